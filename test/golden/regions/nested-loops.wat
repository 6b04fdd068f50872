;; nested-loops: a loop in a loop
;;
;; start: mov edx, 9
;; outer: mov ecx, 5
;; inner: add rax, rcx
;; dec ecx
;; jnz inner
;; dec edx
;; jnz outer
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i32 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i64 i64 i64 i32 i64 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64)
  local.set 11 (i64.load (i32.const 0)) ;; RAX
  local.set 10 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 8 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 9)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 9 (i32.const 5)
  local.set 10 (i64.extend_i32_u (local.get 9))
  local.set 14 (i64.add (local.tee 12 (local.get 11)) (local.tee 13 (local.get 10)))
  local.set 11 (local.get 14)
  (local.get 12)
  local.set 3 (local.get 13)
  local.set 2
  local.set 5 (i32.const 10)
  local.set 15 (i64.lt_u (i64.add (local.get 2) (local.tee 16 (local.get 3))) (local.get 16))
  local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 10))) (i32.const 1))
  local.set 10 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 15))
  local.set 3 (i64.extend_i32_u (local.get 17))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 19 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=16 (i32.const 0) (local.get 8) ;; RDX
  i64.store offset=8 (i32.const 0) (local.get 10) ;; RCX
  i64.store (i32.const 0) (local.get 11) ;; RAX
  local.set 20 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 10)) ;; ripBase
  if (i32.and (local.get 19) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 20) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 20)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xf
    return
  end
  if (local.get 19)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 23 (i64.add (local.tee 21 (local.get 11)) (local.tee 22 (local.get 10)))
      local.set 11 (local.get 23)
      (local.get 21)
      local.set 3 (local.get 22)
      local.set 2
      local.set 5 (i32.const 10)
      local.set 24 (i64.lt_u (i64.add (local.get 2) (local.tee 25 (local.get 3))) (local.get 25))
      local.set 27 (i32.sub (local.tee 26 (i32.wrap_i64 (local.get 10))) (i32.const 1))
      local.set 10 (i64.extend_i32_u (local.get 27))
      (i64.extend_i32_u (local.get 24))
      local.set 3 (i64.extend_i32_u (local.get 26))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 28 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 11) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 10) ;; RCX
      local.set 29 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 10)) ;; ripBase
      if (i32.and (local.get 28) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 29) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 29)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0xf
        return
      end
      if (local.get 28)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      local.set 30 (i32.wrap_i64 (local.get 2))
      local.set 32 (i32.sub (local.tee 31 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 32))
      (i64.extend_i32_u (local.get 30))
      local.set 3 (i64.extend_i32_u (local.get 31))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 33 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=16 (i32.const 0) (local.get 8) ;; RDX
      local.set 34 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) (i64.const 5)) ;; ripBase
      if (i32.and (local.get 33) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 34) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 34)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x13
        return
      end
      if (local.get 33)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 5)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        local.set 35 (i32.const 5)
        local.set 10 (i64.extend_i32_u (local.get 35))
        local.set 38 (i64.add (local.tee 36 (local.get 11)) (local.tee 37 (local.get 10)))
        local.set 11 (local.get 38)
        (local.get 36)
        local.set 3 (local.get 37)
        local.set 2
        local.set 5 (i32.const 10)
        local.set 39 (i64.lt_u (i64.add (local.get 2) (local.tee 40 (local.get 3))) (local.get 40))
        local.set 42 (i32.sub (local.tee 41 (i32.wrap_i64 (local.get 10))) (i32.const 1))
        local.set 10 (i64.extend_i32_u (local.get 42))
        (i64.extend_i32_u (local.get 39))
        local.set 3 (i64.extend_i32_u (local.get 41))
        local.set 2
        local.set 5 (i32.const 12)
        local.set 43 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=8 (i32.const 0) (local.get 10) ;; RCX
        i64.store (i32.const 0) (local.get 11) ;; RAX
        local.set 44 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 10)) ;; ripBase
        if (i32.and (local.get 43) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 44) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 44)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1049120) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 17, at 0xf
          return
        end
        if (local.get 43)
          local.set 1 (i32.sub (local.get 1) (i32.const 4))
          if (i32.le_s (local.get 1) (i32.const 0))
            i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) ;; RIP, ripBase
            i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
            call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            return
          end
          br 2
        end
        local.set 45 (i32.wrap_i64 (local.get 2))
        local.set 47 (i32.sub (local.tee 46 (i32.wrap_i64 (local.get 8))) (i32.const 1))
        local.set 8 (i64.extend_i32_u (local.get 47))
        (i64.extend_i32_u (local.get 45))
        local.set 3 (i64.extend_i32_u (local.get 46))
        local.set 2
        local.set 5 (i32.const 12)
        local.set 48 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=16 (i32.const 0) (local.get 8) ;; RDX
        local.set 49 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) (i64.const 5)) ;; ripBase
        if (i32.and (local.get 48) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 49) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 49)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1049184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x13
          return
        end
        if (local.get 48)
          local.set 1 (i32.sub (local.get 1) (i32.const 6))
          call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          local.set 5 (i32.const -1)
          return_call $core.jumpNear (i32.const 1049184) (local.get 1) ;; record 19, at 0x13
        end
        return_call $core.resumeRecord (i32.const 1049216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 20, at 0x15
      end
      return_call $core.resumeRecord (i32.const 1048992) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 13, at 0x15
    end
  end
  local.set 50 (i32.wrap_i64 (local.get 2))
  local.set 52 (i32.sub (local.tee 51 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 52))
  (i64.extend_i32_u (local.get 50))
  local.set 3 (i64.extend_i32_u (local.get 51))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 53 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=16 (i32.const 0) (local.get 8) ;; RDX
  local.set 54 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) (i64.const 5)) ;; ripBase
  if (i32.and (local.get 53) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 54) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 54)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x13
    return
  end
  if (local.get 53)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048768) (local.get 1) ;; record 6, at 0x13
  end
  return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x15
  unreachable
)
