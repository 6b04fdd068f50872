;; packed-integers: 128-bit SIMD
;;
;; start: mov r9d, 50
;; again:
;; paddd xmm0, xmm1
;; pxor xmm2, xmm0
;; pcmpeqb xmm3, xmm2
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 v128 v128 v128 v128 v128 i32 i32 i64)
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 12 (v128.load offset=896 (i32.const 0)) ;; XMM0
  local.set 13 (v128.load offset=928 (i32.const 0)) ;; XMM1
  local.set 15 (v128.load offset=960 (i32.const 0)) ;; XMM2
  local.set 16 (v128.load offset=992 (i32.const 0)) ;; XMM3
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 14 (i32x4.add (local.get 12) (local.get 13))
  local.set 12 (local.get 14)
  local.set 14 (v128.xor (local.get 15) (local.get 12))
  local.set 15 (local.get 14)
  local.set 14 (i8x16.eq (local.get 16) (local.get 15))
  local.set 16 (local.get 14)
  local.set 17 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 18 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 11 (i64.extend_i32_u (local.get 17))
  (i64.extend_i32_u (local.get 18))
  local.set 3 (i64.extend_i32_u (local.get 10))
  local.set 2
  local.set 5 (i32.const 14)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  v128.store offset=896 (i32.const 0) (local.get 12) ;; XMM0
  v128.store offset=960 (i32.const 0) (local.get 15) ;; XMM2
  v128.store offset=992 (i32.const 0) (local.get 16) ;; XMM3
  local.set 19 (i64.add (i64.add (local.get 8) (i64.const 23)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 19) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 19)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 5, at 0x15
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 14 (i32x4.add (local.get 12) (local.get 13))
      local.set 12 (local.get 14)
      local.set 14 (v128.xor (local.get 15) (local.get 12))
      local.set 15 (local.get 14)
      local.set 14 (i8x16.eq (local.get 16) (local.get 15))
      local.set 16 (local.get 14)
      local.set 17 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 18 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 11 (i64.extend_i32_u (local.get 17))
      (i64.extend_i32_u (local.get 18))
      local.set 3 (i64.extend_i32_u (local.get 10))
      local.set 2
      local.set 5 (i32.const 14)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      v128.store offset=896 (i32.const 0) (local.get 12) ;; XMM0
      v128.store offset=960 (i32.const 0) (local.get 15) ;; XMM2
      v128.store offset=992 (i32.const 0) (local.get 16) ;; XMM3
      local.set 19 (i64.add (i64.add (local.get 8) (i64.const 23)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 19) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 19)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097504) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 11, at 0x15
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x17
    end
  end
  return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x17
  unreachable
)
