;; diamond: two paths that meet
;;
;; start: mov r9d, 50
;; again:
;; test eax, 4
;; jz other
;; add ebx, 1
;; jmp join
;; other: add ecx, 1
;; join: add eax, 1
;; dec r9d
;; jnz again
;; hlt

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i32 i64 i64 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 32 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 10 (i32.wrap_i64 (local.get 9))
  local.set 11 (i32.const 4)
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 11))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 12 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 13 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 13)) (i64.const 18)) ;; ripBase
  if (i32.and (local.get 12) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xb
    return
  end
  if (local.get 12)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048640) (local.get 1) ;; record 2, at 0xb
  end
  local.set 17 (i32.add (local.tee 15 (i32.wrap_i64 (local.get 14))) (local.tee 16 (i32.const 1)))
  local.set 14 (i64.extend_i32_u (local.get 17))
  (i64.extend_i32_u (local.get 15))
  local.set 3 (i64.extend_i32_u (local.get 16))
  local.set 2
  local.set 5 (i32.const 14)
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  local.set 18 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) (i64.const 21)) ;; ripBase
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 18) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 18)) (i32.const 1))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0x10
    return
  end
  local.set 1 (i32.sub (local.get 1) (i32.const 5))
  if (i32.le_s (local.get 1) (i32.const 0))
    i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) ;; RIP, ripBase
    i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
    call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    return
  end
  loop
    local.set 21 (i32.add (local.tee 19 (i32.wrap_i64 (local.get 9))) (local.tee 20 (i32.const 1)))
    local.set 9 (i64.extend_i32_u (local.get 21))
    (i64.extend_i32_u (local.get 19))
    local.set 3 (i64.extend_i32_u (local.get 20))
    local.set 2
    local.set 5 (i32.const 14)
    local.set 22 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 23 (i32.wrap_i64 (local.get 3)))) (local.get 23))
    local.set 25 (i32.sub (local.tee 24 (i32.wrap_i64 (local.get 8))) (i32.const 1))
    local.set 8 (i64.extend_i32_u (local.get 25))
    (i64.extend_i32_u (local.get 22))
    local.set 3 (i64.extend_i32_u (local.get 24))
    local.set 2
    local.set 5 (i32.const 17)
    local.set 26 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
    i64.store (i32.const 0) (local.get 9) ;; RAX
    i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
    local.set 27 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 29)) (i64.const 6)) ;; ripBase
    if (i32.and (local.get 26) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 27) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 27)) (i32.const 1)))
      i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
      i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
      i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
      call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x1b
      return
    end
    if (local.get 26)
      local.set 1 (i32.sub (local.get 1) (i32.const 3))
      if (i32.le_s (local.get 1) (i32.const 0))
        i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
        i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
        call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        return
      end
      loop
        local.set 28 (i32.wrap_i64 (local.get 9))
        local.set 29 (i32.const 4)
        (i64.extend_i32_u (local.get 28))
        local.set 3 (i64.extend_i32_u (local.get 29))
        local.set 2
        local.set 5 (i32.const 10)
        local.set 30 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
        local.set 31 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 13)) (i64.const 18)) ;; ripBase
        if (i32.and (local.get 30) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 31) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 31)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0xb
          return
        end
        if (local.get 30)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) ;; RIP, ripBase
            i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
            call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            return
          end
          local.set 33 (i32.add (i32.wrap_i64 (local.get 32)) (i32.const 1))
          local.set 32 (i64.extend_i32_u (local.get 33))
          local.set 36 (i32.add (local.tee 34 (i32.wrap_i64 (local.get 9))) (local.tee 35 (i32.const 1)))
          local.set 9 (i64.extend_i32_u (local.get 36))
          (i64.extend_i32_u (local.get 34))
          local.set 3 (i64.extend_i32_u (local.get 35))
          local.set 2
          local.set 5 (i32.const 14)
          local.set 37 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 38 (i32.wrap_i64 (local.get 3)))) (local.get 38))
          local.set 40 (i32.sub (local.tee 39 (i32.wrap_i64 (local.get 8))) (i32.const 1))
          local.set 8 (i64.extend_i32_u (local.get 40))
          (i64.extend_i32_u (local.get 37))
          local.set 3 (i64.extend_i32_u (local.get 39))
          local.set 2
          local.set 5 (i32.const 17)
          local.set 41 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
          i64.store offset=8 (i32.const 0) (local.get 32) ;; RCX
          i64.store (i32.const 0) (local.get 9) ;; RAX
          i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
          local.set 42 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 29)) (i64.const 6)) ;; ripBase
          if (i32.and (local.get 41) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 42) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 42)) (i32.const 1)))
            i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
            i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
            i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
            call $core.leaveRegion (i32.const 1049088) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 16, at 0x1b
            return
          end
          if (local.get 41)
            local.set 1 (i32.sub (local.get 1) (i32.const 4))
            if (i32.le_s (local.get 1) (i32.const 0))
              i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
              i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
              call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
              return
            end
            br 2
          end
          return_call $core.resumeRecord (i32.const 1049120) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 17, at 0x1d
        end
        local.set 45 (i32.add (local.tee 43 (i32.wrap_i64 (local.get 14))) (local.tee 44 (i32.const 1)))
        local.set 14 (i64.extend_i32_u (local.get 45))
        (i64.extend_i32_u (local.get 43))
        local.set 3 (i64.extend_i32_u (local.get 44))
        local.set 2
        local.set 5 (i32.const 14)
        i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
        local.set 46 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) (i64.const 21)) ;; ripBase
        if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 46) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 46)) (i32.const 1))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x10
          return
        end
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 2
      end
    end
    return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x1d
  end
  unreachable
)
