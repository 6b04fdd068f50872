;; into-a-loop: an edge into the middle of a loop leaves the region
;;
;; start: mov ecx, 30
;; test al, al
;; jz middle
;; again: add rax, rbx
;; middle: add rbx, 1
;; dec ecx
;; jnz again
;; mov ecx, 30
;; xor al, 1
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 8 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 30)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 10 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))
  local.set 11 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 11))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 12 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
  local.set 13 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 9)) (i64.const 12)) ;; ripBase
  if (i32.and (local.get 12) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x7
    return
  end
  if (local.get 12)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048640) (local.get 1) ;; record 2, at 0x7
  end
  local.set 15 (i64.add (local.get 9) (local.get 14))
  local.set 9 (local.get 15)
  local.set 18 (i64.add (local.tee 16 (local.get 14)) (local.tee 17 (i64.const 1)))
  local.set 14 (local.get 18)
  (local.get 16)
  local.set 3 (local.get 17)
  local.set 2
  local.set 5 (i32.const 14)
  local.set 19 (i64.lt_u (i64.add (local.get 2) (local.tee 20 (local.get 3))) (local.get 20))
  local.set 22 (i32.sub (local.tee 21 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 22))
  (i64.extend_i32_u (local.get 19))
  local.set 3 (i64.extend_i32_u (local.get 21))
  local.set 2
  local.set 5 (i32.const 17)
  local.set 23 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
  local.set 24 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 20)) (i64.const 9)) ;; ripBase
  if (i32.and (local.get 23) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 24) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 24)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x12
    return
  end
  if (local.get 23)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 9)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 25 (i64.add (local.get 9) (local.get 14))
      local.set 9 (local.get 25)
      local.set 28 (i64.add (local.tee 26 (local.get 14)) (local.tee 27 (i64.const 1)))
      local.set 14 (local.get 28)
      (local.get 26)
      local.set 3 (local.get 27)
      local.set 2
      local.set 5 (i32.const 14)
      local.set 29 (i64.lt_u (i64.add (local.get 2) (local.tee 30 (local.get 3))) (local.get 30))
      local.set 32 (i32.sub (local.tee 31 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 32))
      (i64.extend_i32_u (local.get 29))
      local.set 3 (i64.extend_i32_u (local.get 31))
      local.set 2
      local.set 5 (i32.const 17)
      local.set 33 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 9) ;; RAX
      i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
      i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
      local.set 34 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 20)) (i64.const 9)) ;; ripBase
      if (i32.and (local.get 33) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 34) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 34)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1049024) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 14, at 0x12
        return
      end
      if (local.get 33)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 9)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      local.set 35 (i32.const 30)
      local.set 8 (i64.extend_i32_u (local.get 35))
      local.set 38 (i32.xor (local.tee 36 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))) (local.tee 37 (i32.const 1)))
      local.set 9 (i64.or (i64.and (local.get 9) (i64.const -256)) (i64.extend_i32_u (local.get 38)))
      (i64.extend_i32_u (local.get 36))
      local.set 3 (i64.extend_i32_u (local.get 37))
      local.set 2
      local.set 5 (i32.const 22)
      local.set 39 (i32.xor (i32.eqz (i32.xor (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))) (i32.const 1))
      i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
      i64.store (i32.const 0) (local.get 9) ;; RAX
      local.set 40 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 29)) (i64.const 9)) ;; ripBase
      if (i32.and (local.get 39) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 40) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 40)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1049120) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 17, at 0x1b
        return
      end
      if (local.get 39)
        local.set 1 (i32.sub (local.get 1) (i32.const 7))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 9)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1049152) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 18, at 0x1d
    end
  end
  local.set 41 (i32.const 30)
  local.set 8 (i64.extend_i32_u (local.get 41))
  local.set 44 (i32.xor (local.tee 42 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))) (local.tee 43 (i32.const 1)))
  local.set 9 (i64.or (i64.and (local.get 9) (i64.const -256)) (i64.extend_i32_u (local.get 44)))
  (i64.extend_i32_u (local.get 42))
  local.set 3 (i64.extend_i32_u (local.get 43))
  local.set 2
  local.set 5 (i32.const 22)
  local.set 45 (i32.xor (i32.eqz (i32.xor (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))) (i32.const 1))
  i64.store offset=8 (i32.const 0) (local.get 8) ;; RCX
  i64.store (i32.const 0) (local.get 9) ;; RAX
  local.set 46 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 29)) (i64.const 9)) ;; ripBase
  if (i32.and (local.get 45) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 46) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 46)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x1b
    return
  end
  if (local.get 45)
    local.set 1 (i32.sub (local.get 1) (i32.const 10))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048864) (local.get 1) ;; record 9, at 0x1b
  end
  return_call $core.resumeRecord (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x1d
  unreachable
)
