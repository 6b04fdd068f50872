;; shift-by-cl: a count of 0 leaves the flags alone
;;
;; start: mov r9d, 50
;; again:
;; shl rax, cl
;; setc dl
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i32 i32 i64 i32 i32 i64 i32 i32 i32 i32 i64 i64 i32 i32 i64 i32 i32 i32 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 11 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 17 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 14 (i64.shl (local.tee 10 (local.get 9)) (i64.extend_i32_u (local.tee 13 (i32.and (local.tee 12 (i32.and (i32.wrap_i64 (local.get 11)) (i32.const 255))) (i32.const 63)))))
  local.set 15 (i32.xor (i32.eqz (local.get 13)) (i32.const 1))
  local.set 9 (local.get 14)
  if (local.get 15)
    (local.get 10)
    local.set 3 (i64.extend_i32_u (local.get 12))
    local.set 2
    local.set 5 (i32.const 10)
  end
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 16 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
  local.set 19 (i32.sub (local.tee 18 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 20 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 19))
  (i64.extend_i32_u (local.get 20))
  local.set 3 (i64.extend_i32_u (local.get 18))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 21 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=16 (i32.const 0) (local.get 17) ;; RDX
  local.set 22 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 21) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 22) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 22)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xf
    return
  end
  if (local.get 21)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 26 (i64.shl (local.tee 23 (local.get 9)) (i64.extend_i32_u (local.tee 25 (i32.and (local.tee 24 (i32.and (i32.wrap_i64 (local.get 11)) (i32.const 255))) (i32.const 63)))))
      local.set 27 (i32.xor (i32.eqz (local.get 25)) (i32.const 1))
      local.set 9 (local.get 26)
      if (local.get 27)
        (local.get 23)
        local.set 3 (i64.extend_i32_u (local.get 24))
        local.set 2
        local.set 5 (i32.const 10)
      end
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 28 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 28)))
      local.set 30 (i32.sub (local.tee 29 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 31 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 30))
      (i64.extend_i32_u (local.get 31))
      local.set 3 (i64.extend_i32_u (local.get 29))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 32 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 9) ;; RAX
      i64.store offset=16 (i32.const 0) (local.get 17) ;; RDX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 33 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 32) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 33) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 33)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0xf
        return
      end
      if (local.get 32)
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
