;; bits: BT, BTS, BSF, POPCNT, TZCNT
;;
;; start: mov r9d, 50
;; again:
;; bt eax, 5
;; setc dl
;; bts rax, 9
;; bsf ecx, eax
;; popcnt ebx, eax
;; tzcnt esi, eax
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i64 i64 i64 i32 i64 i32 i64 i32 i32 i64 i32 i32 i32 i32 i64 i32 i32 i64 i32 i64 i32 i32 i32 i32 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 14 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 12 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 18 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 21 (i64.load offset=48 (i32.const 0)) ;; RSI
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 10 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 9)) (i32.and (i32.const 5) (i32.const 31))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  i32.store offset=136 (i32.const 0) (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2)) (i32.shl (local.get 10) (i32.const 0))) ;; RFLAGS
  local.set 5 (i32.const -1)
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 11 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 11)))
  local.set 13 (i64.or (local.get 9) (i64.shl (i64.const 1) (i64.extend_i32_u (i32.and (i32.const 9) (i32.const 63)))))
  local.set 9 (local.get 13)
  local.set 16 (select (local.get 14) (i64.extend_i32_u (i32.ctz (local.tee 15 (i32.wrap_i64 (local.get 9))))) (i32.eqz (local.get 15)))
  local.set 14 (local.get 16)
  local.set 17 (i32.popcnt (i32.wrap_i64 (local.get 9)))
  local.set 18 (i64.extend_i32_u (local.get 17))
  local.set 20 (i32.ctz (local.tee 19 (i32.wrap_i64 (local.get 9))))
  local.set 21 (i64.extend_i32_u (local.get 20))
  local.set 2 (i64.extend_i32_u (local.get 19))
  local.set 5 (i32.const 18)
  local.set 22 (i32.eqz (i32.wrap_i64 (local.get 2)))
  local.set 24 (i32.sub (local.tee 23 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 24))
  (i64.extend_i32_u (local.get 22))
  local.set 3 (i64.extend_i32_u (local.get 23))
  local.set 2
  local.set 5 (i32.const 20)
  local.set 25 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=8 (i32.const 0) (local.get 14) ;; RCX
  i64.store offset=24 (i32.const 0) (local.get 18) ;; RBX
  i64.store offset=48 (i32.const 0) (local.get 21) ;; RSI
  local.set 26 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 34)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 25) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 26) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 26)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x20
    return
  end
  if (local.get 25)
    local.set 1 (i32.sub (local.get 1) (i32.const 9))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 27 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 9)) (i32.and (i32.const 5) (i32.const 31))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      i32.store offset=136 (i32.const 0) (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2)) (i32.shl (local.get 27) (i32.const 0))) ;; RFLAGS
      local.set 5 (i32.const -1)
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 28 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 28)))
      local.set 29 (i64.or (local.get 9) (i64.shl (i64.const 1) (i64.extend_i32_u (i32.and (i32.const 9) (i32.const 63)))))
      local.set 9 (local.get 29)
      local.set 31 (select (local.get 14) (i64.extend_i32_u (i32.ctz (local.tee 30 (i32.wrap_i64 (local.get 9))))) (i32.eqz (local.get 30)))
      local.set 14 (local.get 31)
      local.set 32 (i32.popcnt (i32.wrap_i64 (local.get 9)))
      local.set 18 (i64.extend_i32_u (local.get 32))
      local.set 34 (i32.ctz (local.tee 33 (i32.wrap_i64 (local.get 9))))
      local.set 21 (i64.extend_i32_u (local.get 34))
      local.set 2 (i64.extend_i32_u (local.get 33))
      local.set 5 (i32.const 18)
      local.set 35 (i32.eqz (i32.wrap_i64 (local.get 2)))
      local.set 37 (i32.sub (local.tee 36 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 37))
      (i64.extend_i32_u (local.get 35))
      local.set 3 (i64.extend_i32_u (local.get 36))
      local.set 2
      local.set 5 (i32.const 20)
      local.set 38 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=16 (i32.const 0) (local.get 12) ;; RDX
      i64.store (i32.const 0) (local.get 9) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 14) ;; RCX
      i64.store offset=24 (i32.const 0) (local.get 18) ;; RBX
      i64.store offset=48 (i32.const 0) (local.get 21) ;; RSI
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 39 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 34)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 38) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 39) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 39)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1049120) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 17, at 0x20
        return
      end
      if (local.get 38)
        local.set 1 (i32.sub (local.get 1) (i32.const 8))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1049152) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 18, at 0x22
    end
  end
  return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x22
  unreachable
)
