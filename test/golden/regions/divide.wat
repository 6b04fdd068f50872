;; divide: DIV: by 0 and too large a quotient fault
;;
;; start: mov r9d, 50
;; again:
;; mov eax, 1000
;; mov edx, 0
;; mov ecx, 7
;; div ecx
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i32 i64 i32 i64 i32 i64 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i64)
  local.set 10 (i64.load (i32.const 0)) ;; RAX
  local.set 14 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 12 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 9 (i32.const 1000)
  local.set 10 (i64.extend_i32_u (local.get 9))
  local.set 11 (i32.const 0)
  local.set 12 (i64.extend_i32_u (local.get 11))
  local.set 13 (i32.const 7)
  local.set 14 (i64.extend_i32_u (local.get 13))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store (i32.const 0) (local.get 10) ;; RAX
  i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
  i64.store offset=8 (i32.const 0) (local.get 14) ;; RCX
  local.set 15 (i32.wrap_i64 (local.get 12))
  local.set 16 (i32.wrap_i64 (local.get 14))
  if (i32.xor (i32.lt_u (local.get 15) (local.get 16)) (i32.const 1))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 0) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0x15
    return
  end
  local.set 17 (i64.or (i64.shl (i64.extend_i32_u (local.get 15)) (i64.const 32)) (i64.extend_i32_u (i32.wrap_i64 (local.get 10))))
  local.set 18 (i64.extend_i32_u (local.get 16))
  if (result i64) (i64.eqz (local.get 18))
    (i64.const 0)
  else
    (i64.div_u (local.get 17) (local.get 18))
  end
  i32.wrap_i64
  local.set 19
  if (result i64) (i64.eqz (local.get 18))
    (i64.const 0)
  else
    (i64.rem_u (local.get 17) (local.get 18))
  end
  i32.wrap_i64
  local.set 20
  local.set 10 (i64.extend_i32_u (local.get 19))
  local.set 12 (i64.extend_i32_u (local.get 20))
  local.set 22 (i32.sub (local.tee 21 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 23 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 22))
  (i64.extend_i32_u (local.get 23))
  local.set 3 (i64.extend_i32_u (local.get 21))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 24 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 10) ;; RAX
  i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 25 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 28)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 24) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 25) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 25)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x1a
    return
  end
  if (local.get 24)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 26 (i32.const 1000)
      local.set 10 (i64.extend_i32_u (local.get 26))
      local.set 27 (i32.const 0)
      local.set 12 (i64.extend_i32_u (local.get 27))
      local.set 28 (i32.const 7)
      local.set 14 (i64.extend_i32_u (local.get 28))
      i64.store (i32.const 0) (local.get 10) ;; RAX
      i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
      i64.store offset=8 (i32.const 0) (local.get 14) ;; RCX
      local.set 29 (i32.wrap_i64 (local.get 12))
      local.set 30 (i32.wrap_i64 (local.get 14))
      if (i32.xor (i32.lt_u (local.get 29) (local.get 30)) (i32.const 1))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 0) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x15
        return
      end
      local.set 31 (i64.or (i64.shl (i64.extend_i32_u (local.get 29)) (i64.const 32)) (i64.extend_i32_u (i32.wrap_i64 (local.get 10))))
      local.set 32 (i64.extend_i32_u (local.get 30))
      if (result i64) (i64.eqz (local.get 32))
        (i64.const 0)
      else
        (i64.div_u (local.get 31) (local.get 32))
      end
      i32.wrap_i64
      local.set 33
      if (result i64) (i64.eqz (local.get 32))
        (i64.const 0)
      else
        (i64.rem_u (local.get 31) (local.get 32))
      end
      i32.wrap_i64
      local.set 34
      local.set 10 (i64.extend_i32_u (local.get 33))
      local.set 12 (i64.extend_i32_u (local.get 34))
      local.set 36 (i32.sub (local.tee 35 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 37 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 36))
      (i64.extend_i32_u (local.get 37))
      local.set 3 (i64.extend_i32_u (local.get 35))
      local.set 2
      local.set 5 (i32.const 11)
      local.set 38 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 10) ;; RAX
      i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 39 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 28)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 38) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 39) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 39)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048992) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 13, at 0x1a
        return
      end
      if (local.get 38)
        local.set 1 (i32.sub (local.get 1) (i32.const 6))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1049024) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 14, at 0x1c
    end
  end
  return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x1c
  unreachable
)
