;; carry-chain: ADC and SBB read CF
;;
;; start: mov r9d, 50
;; again:
;; add rax, rbx
;; adc rcx, rdx
;; sbb rsi, 0
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i32 i64 i64 i64 i64 i64 i64 i32 i64 i64 i64 i64 i64 i64 i32 i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i32 i64 i64 i64 i64 i32 i64 i64 i64 i64 i64 i32 i64 i64 i64 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 16 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 18 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 11 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 24 (i64.load offset=48 (i32.const 0)) ;; RSI
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 13 (i64.add (local.tee 10 (local.get 9)) (local.tee 12 (local.get 11)))
  local.set 9 (local.get 13)
  (local.get 10)
  local.set 3 (local.get 12)
  local.set 2
  local.set 5 (i32.const 10)
  local.set 14 (i64.lt_u (i64.add (local.get 2) (local.tee 15 (local.get 3))) (local.get 15))
  local.set 20 (i64.add (i64.add (local.tee 17 (local.get 16)) (local.tee 19 (local.get 18))) (i64.extend_i32_u (local.get 14)))
  local.set 16 (local.get 20)
  (local.get 17)
  (local.get 19)
  local.set 4 (i64.extend_i32_u (local.get 14))
  local.set 3
  local.set 2
  local.set 5 (i32.const 12)
  local.set 21 (i32.and (i32.wrap_i64 (i64.shr_u (i64.or (i64.and (local.tee 22 (local.get 2)) (local.tee 23 (local.get 3))) (i64.and (i64.or (local.get 22) (local.get 23)) (i64.xor (i64.add (i64.add (local.get 22) (local.get 23)) (i64.extend_i32_u (i32.wrap_i64 (local.get 4)))) (i64.const -1)))) (i64.const 63))) (i32.const 1))
  local.set 27 (i64.sub (i64.sub (local.tee 25 (local.get 24)) (local.tee 26 (i64.const 0))) (i64.extend_i32_u (local.get 21)))
  local.set 24 (local.get 27)
  (local.get 25)
  (local.get 26)
  local.set 4 (i64.extend_i32_u (local.get 21))
  local.set 3
  local.set 2
  local.set 5 (i32.const 15)
  local.set 28 (i32.and (i32.wrap_i64 (i64.shr_u (i64.or (i64.and (local.tee 30 (i64.xor (local.tee 29 (local.get 2)) (i64.const -1))) (local.tee 31 (local.get 3))) (i64.and (i64.or (local.get 30) (local.get 31)) (i64.sub (i64.sub (local.get 29) (local.get 31)) (i64.extend_i32_u (i32.wrap_i64 (local.get 4)))))) (i64.const 63))) (i32.const 1))
  local.set 33 (i32.sub (local.tee 32 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 33))
  (i64.extend_i32_u (local.get 28))
  local.set 3 (i64.extend_i32_u (local.get 32))
  local.set 2
  local.set 5 (i32.const 18)
  local.set 34 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=8 (i32.const 0) (local.get 16) ;; RCX
  i64.store offset=48 (i32.const 0) (local.get 24) ;; RSI
  local.set 35 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 34) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 35) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 35)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x13
    return
  end
  if (local.get 34)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 38 (i64.add (local.tee 36 (local.get 9)) (local.tee 37 (local.get 11)))
      local.set 9 (local.get 38)
      (local.get 36)
      local.set 3 (local.get 37)
      local.set 2
      local.set 5 (i32.const 10)
      local.set 39 (i64.lt_u (i64.add (local.get 2) (local.tee 40 (local.get 3))) (local.get 40))
      local.set 43 (i64.add (i64.add (local.tee 41 (local.get 16)) (local.tee 42 (local.get 18))) (i64.extend_i32_u (local.get 39)))
      local.set 16 (local.get 43)
      (local.get 41)
      (local.get 42)
      local.set 4 (i64.extend_i32_u (local.get 39))
      local.set 3
      local.set 2
      local.set 5 (i32.const 12)
      local.set 44 (i32.and (i32.wrap_i64 (i64.shr_u (i64.or (i64.and (local.tee 45 (local.get 2)) (local.tee 46 (local.get 3))) (i64.and (i64.or (local.get 45) (local.get 46)) (i64.xor (i64.add (i64.add (local.get 45) (local.get 46)) (i64.extend_i32_u (i32.wrap_i64 (local.get 4)))) (i64.const -1)))) (i64.const 63))) (i32.const 1))
      local.set 49 (i64.sub (i64.sub (local.tee 47 (local.get 24)) (local.tee 48 (i64.const 0))) (i64.extend_i32_u (local.get 44)))
      local.set 24 (local.get 49)
      (local.get 47)
      (local.get 48)
      local.set 4 (i64.extend_i32_u (local.get 44))
      local.set 3
      local.set 2
      local.set 5 (i32.const 15)
      local.set 50 (i32.and (i32.wrap_i64 (i64.shr_u (i64.or (i64.and (local.tee 52 (i64.xor (local.tee 51 (local.get 2)) (i64.const -1))) (local.tee 53 (local.get 3))) (i64.and (i64.or (local.get 52) (local.get 53)) (i64.sub (i64.sub (local.get 51) (local.get 53)) (i64.extend_i32_u (i32.wrap_i64 (local.get 4)))))) (i64.const 63))) (i32.const 1))
      local.set 55 (i32.sub (local.tee 54 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 55))
      (i64.extend_i32_u (local.get 50))
      local.set 3 (i64.extend_i32_u (local.get 54))
      local.set 2
      local.set 5 (i32.const 18)
      local.set 56 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 9) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 16) ;; RCX
      i64.store offset=48 (i32.const 0) (local.get 24) ;; RSI
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 57 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 21)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 56) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 57) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 57)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x13
        return
      end
      if (local.get 56)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x15
    end
  end
  return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x15
  unreachable
)
