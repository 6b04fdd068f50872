;; compare-and-branch: a condition computed from the operands, no flags
;;
;; start: mov ecx, 60
;; again: cmp ecx, 20
;; jl below
;; add rax, 1
;; below: dec ecx
;; jnz again
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i32 i32 i32 i64 i32 i32 i32 i32 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64)
  local.set 13 (i64.load (i32.const 0)) ;; RAX
  local.set 8 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 60)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 9 (i32.wrap_i64 (local.get 8))
  local.set 10 (i32.const 20)
  (i64.extend_i32_u (local.get 9))
  local.set 3 (i64.extend_i32_u (local.get 10))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 11 (i32.lt_s (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
  i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
  local.set 12 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) (i64.const 14)) ;; ripBase
  if (i32.and (local.get 11) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 12) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 12)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x8
    return
  end
  if (local.get 11)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048640) (local.get 1) ;; record 2, at 0x8
  end
  local.set 16 (i64.add (local.tee 14 (local.get 13)) (local.tee 15 (i64.const 1)))
  local.set 13 (local.get 16)
  (local.get 14)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 14)
  local.set 17 (i64.lt_u (i64.add (local.get 2) (local.tee 18 (local.get 3))) (local.get 18))
  local.set 20 (i32.sub (local.tee 19 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 20))
  (i64.extend_i32_u (local.get 17))
  local.set 3 (i64.extend_i32_u (local.get 19))
  local.set 2
  local.set 5 (i32.const 16)
  local.set 21 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 13) ;; RAX
  i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
  local.set 22 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) (i64.const 5)) ;; ripBase
  if (i32.and (local.get 21) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 22) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 22)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x10
    return
  end
  if (local.get 21)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 5)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 23 (i32.wrap_i64 (local.get 8))
      local.set 24 (i32.const 20)
      (i64.extend_i32_u (local.get 23))
      local.set 3 (i64.extend_i32_u (local.get 24))
      local.set 2
      local.set 5 (i32.const 10)
      local.set 25 (i32.lt_s (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
      local.set 26 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) (i64.const 14)) ;; ripBase
      if (i32.and (local.get 25) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 26) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 26)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x8
        return
      end
      if (local.get 25)
        local.set 1 (i32.sub (local.get 1) (i32.const 2))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 14)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        local.set 27 (i32.lt_u (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
        local.set 29 (i32.sub (local.tee 28 (i32.wrap_i64 (local.get 8))) (i32.const 1))
        local.set 8 (i64.extend_i32_u (local.get 29))
        (i64.extend_i32_u (local.get 27))
        local.set 3 (i64.extend_i32_u (local.get 28))
        local.set 2
        local.set 5 (i32.const 16)
        local.set 30 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
        local.set 31 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) (i64.const 5)) ;; ripBase
        if (i32.and (local.get 30) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 31) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 31)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1049024) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 14, at 0x10
          return
        end
        if (local.get 30)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 5)) ;; RIP, ripBase
            i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
            call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            return
          end
          br 2
        end
        return_call $core.resumeRecord (i32.const 1049056) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 15, at 0x12
      end
      local.set 34 (i64.add (local.tee 32 (local.get 13)) (local.tee 33 (i64.const 1)))
      local.set 13 (local.get 34)
      (local.get 32)
      local.set 3 (local.get 33)
      local.set 2
      local.set 5 (i32.const 14)
      local.set 35 (i64.lt_u (i64.add (local.get 2) (local.tee 36 (local.get 3))) (local.get 36))
      local.set 38 (i32.sub (local.tee 37 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 38))
      (i64.extend_i32_u (local.get 35))
      local.set 3 (i64.extend_i32_u (local.get 37))
      local.set 2
      local.set 5 (i32.const 16)
      local.set 39 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 13) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
      local.set 40 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) (i64.const 5)) ;; ripBase
      if (i32.and (local.get 39) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 40) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 40)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x10
        return
      end
      if (local.get 39)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 5)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x12
    end
  end
  return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x12
  unreachable
)
