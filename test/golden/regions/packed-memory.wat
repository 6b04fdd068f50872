;; packed-memory: 16 bytes, aligned and not
;;
;; start: mov r9d, 50
;; again:
;; movdqu xmm0, [rsi + 4]
;; movaps [0x13020], xmm0
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i32 v128 v128 i32)
  local.set 12 (i64.load offset=48 (i32.const 0)) ;; RSI
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 16 (v128.load offset=896 (i32.const 0)) ;; XMM0
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 13 (i64.add (local.get 12) (i64.const 4))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 15)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 14
  local.set 15 (v128.load (local.get 14))
  local.set 16 (local.get 15)
  v128.store offset=896 (i32.const 0) (local.get 16) ;; XMM0
  local.set 13 (i64.const 77856)
  if (i32.eqz (i64.eqz (i64.and (local.get 13) (i64.const 15))))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0xb
  end
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 15)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xb
  end
  local.set 14
  local.set 15 (local.get 16)
  v128.store (local.get 14) (local.get 15)
  local.set 14 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 17 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 11 (i64.extend_i32_u (local.get 14))
  (i64.extend_i32_u (local.get 17))
  local.set 3 (i64.extend_i32_u (local.get 10))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 24)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0x16
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 13 (i64.add (local.get 12) (i64.const 4))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 15)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
      end
      local.set 14
      local.set 15 (v128.load (local.get 14))
      local.set 16 (local.get 15)
      v128.store offset=896 (i32.const 0) (local.get 16) ;; XMM0
      local.set 13 (i64.const 77856)
      if (i32.eqz (i64.eqz (i64.and (local.get 13) (i64.const 15))))
        return_call $core.regionRaise (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 7, at 0xb
      end
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 15)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xb
      end
      local.set 14
      local.set 15 (local.get 16)
      v128.store (local.get 14) (local.get 15)
      local.set 14 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 17 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 11 (i64.extend_i32_u (local.get 14))
      (i64.extend_i32_u (local.get 17))
      local.set 3 (i64.extend_i32_u (local.get 10))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 24)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 9, at 0x16
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x18
    end
  end
  return_call $core.resumeRecord (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x18
  unreachable
)
