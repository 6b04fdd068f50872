;; double-arithmetic: native where MXCSR and operands allow it
;;
;; start: mov r9d, 50
;; again:
;; addsd xmm0, xmm1
;; mulsd xmm2, xmm0
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 f64 v128 f64 v128 f64 f64 v128 i32 i32 i64)
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 13 (v128.load offset=896 (i32.const 0)) ;; XMM0
  local.set 15 (v128.load offset=928 (i32.const 0)) ;; XMM1
  local.set 18 (v128.load offset=960 (i32.const 0)) ;; XMM2
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  block
    block
      local.set 12 (f64x2.extract_lane 0 (local.get 13))
      local.set 14 (f64x2.extract_lane 0 (local.get 15))
      br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 12)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
      br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 14)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
      local.set 16 (f64.add (local.get 12) (local.get 14))
      br_if 0 (i32.eq (i32.and (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get 16)) (i64.const 52))) (i32.const 2047)) (i32.const 2047))
      block
        br_if 0 (i32.eq (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 63520)) (i32.const 6176)) ;; MXCSR
        br_if 1 (i32.ne (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 59392)) (i32.const 2048)) ;; MXCSR
        local.set 17 (f64.sub (local.get 16) (local.get 12))
        br_if 1 (i32.eqz (f64.eq (f64.add (f64.sub (local.get 12) (f64.sub (local.get 16) (local.get 17))) (f64.sub (local.get 14) (local.get 17))) (f64.reinterpret_i64 (i64.const 0))))
      end
      local.set 13 (f64x2.replace_lane 0 (local.get 13) (local.get 16))
      br 1
    end
    i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
    v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
    return_call $core.resumeRecord (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  block
    block
      local.set 12 (f64x2.extract_lane 0 (local.get 18))
      local.set 14 (f64x2.extract_lane 0 (local.get 13))
      br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 12)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
      br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 14)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
      local.set 16 (f64.mul (local.get 12) (local.get 14))
      block
        br_if 0 (i32.lt_u (i32.sub (i32.and (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get 16)) (i64.const 52))) (i32.const 2047)) (i32.const 2)) (i32.const 2045))
        br_if 1 (f64.ne (local.get 16) (local.get 16))
        br_if 1 (i32.eqz (i32.and (i32.or (f64.eq (local.get 12) (f64.reinterpret_i64 (i64.const 0))) (f64.eq (local.get 14) (f64.reinterpret_i64 (i64.const 0)))) (f64.eq (local.get 16) (f64.reinterpret_i64 (i64.const 0)))))
      end
      block
        br_if 0 (i32.eq (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 28704)) (i32.const 4128)) ;; MXCSR
        br_if 1 (i32.ne (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 24576)) (i32.const 0)) ;; MXCSR
        br_if 1 (i32.eqz (i64.eqz (i64.and (i64.or (i64.reinterpret_f64 (local.get 12)) (i64.reinterpret_f64 (local.get 14))) (i64.const 134217727))))
      end
      local.set 18 (f64x2.replace_lane 0 (local.get 18) (local.get 16))
      br 1
    end
    i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
    v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
    v128.store offset=960 (i32.const 0) (local.get 18) ;; XMM2
    return_call $core.resumeRecord (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xa
  end
  local.set 19 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 20 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 11 (i64.extend_i32_u (local.get 19))
  (i64.extend_i32_u (local.get 20))
  local.set 3 (i64.extend_i32_u (local.get 10))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
  v128.store offset=960 (i32.const 0) (local.get 18) ;; XMM2
  local.set 21 (i64.add (i64.add (local.get 8) (i64.const 19)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 21) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 21)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0x11
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      block
        block
          local.set 12 (f64x2.extract_lane 0 (local.get 13))
          local.set 14 (f64x2.extract_lane 0 (local.get 15))
          br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 12)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
          br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 14)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
          local.set 16 (f64.add (local.get 12) (local.get 14))
          br_if 0 (i32.eq (i32.and (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get 16)) (i64.const 52))) (i32.const 2047)) (i32.const 2047))
          block
            br_if 0 (i32.eq (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 63520)) (i32.const 6176)) ;; MXCSR
            br_if 1 (i32.ne (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 59392)) (i32.const 2048)) ;; MXCSR
            local.set 17 (f64.sub (local.get 16) (local.get 12))
            br_if 1 (i32.eqz (f64.eq (f64.add (f64.sub (local.get 12) (f64.sub (local.get 16) (local.get 17))) (f64.sub (local.get 14) (local.get 17))) (f64.reinterpret_i64 (i64.const 0))))
          end
          local.set 13 (f64x2.replace_lane 0 (local.get 13) (local.get 16))
          br 1
        end
        v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
        return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
      end
      block
        block
          local.set 12 (f64x2.extract_lane 0 (local.get 18))
          local.set 14 (f64x2.extract_lane 0 (local.get 13))
          br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 12)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
          br_if 0 (i64.lt_u (i64.sub (i64.shl (i64.reinterpret_f64 (local.get 14)) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))
          local.set 16 (f64.mul (local.get 12) (local.get 14))
          block
            br_if 0 (i32.lt_u (i32.sub (i32.and (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get 16)) (i64.const 52))) (i32.const 2047)) (i32.const 2)) (i32.const 2045))
            br_if 1 (f64.ne (local.get 16) (local.get 16))
            br_if 1 (i32.eqz (i32.and (i32.or (f64.eq (local.get 12) (f64.reinterpret_i64 (i64.const 0))) (f64.eq (local.get 14) (f64.reinterpret_i64 (i64.const 0)))) (f64.eq (local.get 16) (f64.reinterpret_i64 (i64.const 0)))))
          end
          block
            br_if 0 (i32.eq (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 28704)) (i32.const 4128)) ;; MXCSR
            br_if 1 (i32.ne (i32.and (i32.load offset=696 (i32.const 0)) (i32.const 24576)) (i32.const 0)) ;; MXCSR
            br_if 1 (i32.eqz (i64.eqz (i64.and (i64.or (i64.reinterpret_f64 (local.get 12)) (i64.reinterpret_f64 (local.get 14))) (i64.const 134217727))))
          end
          local.set 18 (f64x2.replace_lane 0 (local.get 18) (local.get 16))
          br 1
        end
        v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
        v128.store offset=960 (i32.const 0) (local.get 18) ;; XMM2
        return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xa
      end
      local.set 19 (i32.sub (local.tee 10 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 20 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 11 (i64.extend_i32_u (local.get 19))
      (i64.extend_i32_u (local.get 20))
      local.set 3 (i64.extend_i32_u (local.get 10))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      v128.store offset=896 (i32.const 0) (local.get 13) ;; XMM0
      v128.store offset=960 (i32.const 0) (local.get 18) ;; XMM2
      local.set 21 (i64.add (i64.add (local.get 8) (i64.const 19)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 21) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 21)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 9, at 0x11
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x13
    end
  end
  return_call $core.resumeRecord (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x13
  unreachable
)
