;; rotates: ROL, RCR
;;
;; start: mov r9d, 50
;; again:
;; rol eax, 7
;; rcr rbx, 1
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i32 i32 i64 i64 i32 i64 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i64 i32 i32 i32 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 11 (i32.rotl (local.tee 10 (i32.wrap_i64 (local.get 9))) (i32.const 7))
  local.set 12 (i32.and (local.get 11) (i32.const 1))
  local.set 13 (i32.xor (i32.shr_u (local.get 10) (i32.const 31)) (i32.and (i32.shr_u (local.get 10) (i32.const 30)) (i32.const 1)))
  local.set 9 (i64.extend_i32_u (local.get 11))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2050)) (i32.shl (local.get 12) (i32.const 0))) (i32.shl (local.get 13) (i32.const 11))) ;; RFLAGS
  local.set 5 (i32.const -1)
  (i64.shr_u (local.tee 15 (local.get 14)) (i64.extend_i32_u (i32.const 1)))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  (i64.shl (i64.extend_i32_u (local.tee 16 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)))) (i64.extend_i32_u (i32.const 63))) ;; RFLAGS
  i64.or
  (select (i64.shl (local.get 15) (i64.extend_i32_u (i32.const 64))) (i64.const 0) (i32.lt_u (i32.const 64) (i32.const 64)))
  i64.or
  local.set 17
  local.set 18 (i32.and (i32.wrap_i64 (local.get 15)) (i32.const 1))
  local.set 19 (i32.xor (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 63))) (i32.const 1)) (local.get 16))
  local.set 14 (local.get 17)
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2050)) (i32.shl (local.get 18) (i32.const 0))) (i32.shl (local.get 19) (i32.const 11))) ;; RFLAGS
  local.set 5 (i32.const -1)
  local.set 21 (i32.sub (local.tee 20 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 22 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 21))
  (i64.extend_i32_u (local.get 22))
  local.set 3 (i64.extend_i32_u (local.get 20))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 23 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  local.set 24 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 23) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 24) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 24)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xf
    return
  end
  if (local.get 23)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 26 (i32.rotl (local.tee 25 (i32.wrap_i64 (local.get 9))) (i32.const 7))
      local.set 27 (i32.and (local.get 26) (i32.const 1))
      local.set 28 (i32.xor (i32.shr_u (local.get 25) (i32.const 31)) (i32.and (i32.shr_u (local.get 25) (i32.const 30)) (i32.const 1)))
      local.set 9 (i64.extend_i32_u (local.get 26))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2050)) (i32.shl (local.get 27) (i32.const 0))) (i32.shl (local.get 28) (i32.const 11))) ;; RFLAGS
      local.set 5 (i32.const -1)
      (i64.shr_u (local.tee 29 (local.get 14)) (i64.extend_i32_u (i32.const 1)))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      (i64.shl (i64.extend_i32_u (local.tee 30 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)))) (i64.extend_i32_u (i32.const 63))) ;; RFLAGS
      i64.or
      (select (i64.shl (local.get 29) (i64.extend_i32_u (i32.const 64))) (i64.const 0) (i32.lt_u (i32.const 64) (i32.const 64)))
      i64.or
      local.set 31
      local.set 32 (i32.and (i32.wrap_i64 (local.get 29)) (i32.const 1))
      local.set 33 (i32.xor (i32.and (i32.wrap_i64 (i64.shr_u (local.get 29) (i64.const 63))) (i32.const 1)) (local.get 30))
      local.set 14 (local.get 31)
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2050)) (i32.shl (local.get 32) (i32.const 0))) (i32.shl (local.get 33) (i32.const 11))) ;; RFLAGS
      local.set 5 (i32.const -1)
      local.set 35 (i32.sub (local.tee 34 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 36 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 35))
      (i64.extend_i32_u (local.get 36))
      local.set 3 (i64.extend_i32_u (local.get 34))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 37 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 9) ;; RAX
      i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 38 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 37) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 38) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 38)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0xf
        return
      end
      if (local.get 37)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x11
    end
  end
  return_call $core.resumeRecord (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x11
  unreachable
)
