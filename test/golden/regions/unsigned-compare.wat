;; unsigned-compare: JB, JBE, SETA from one comparison
;;
;; start: mov r9d, 50
;; again:
;; cmp rax, rbx
;; seta cl
;; jbe over
;; add rax, 3
;; over: add rbx, 2
;; dec r9d
;; jnz again
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i64 i64 i32)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 17 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 13 (local.get 12)
  local.set 15 (local.get 14)
  (local.get 13)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i32.xor (i32.or (i64.lt_u (local.tee 13 (local.get 2)) (local.tee 15 (local.get 3))) (i64.eq (local.get 13) (local.get 15))) (i32.const 1))
  local.set 16 (local.get 10)
  local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
  local.set 10 (i32.or (i64.lt_u (local.tee 13 (local.get 2)) (local.tee 15 (local.get 3))) (i64.eq (local.get 13) (local.get 15)))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  i64.store offset=8 (i32.const 0) (local.get 17) ;; RCX
  local.set 18 (i64.add (i64.add (local.get 8) (i64.const 14)) (i64.const 18))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 18) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 18)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097248) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 3, at 0xc
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 4))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 18)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 18 (i64.add (local.tee 13 (local.get 14)) (local.tee 15 (i64.const 2)))
      local.set 14 (local.get 18)
      (local.get 13)
      local.set 3 (local.get 15)
      local.set 2
      local.set 5 (i32.const 16)
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
      local.set 19 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 19))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 16))
      local.set 2
      local.set 5 (i32.const 18)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 27)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097504) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 11, at 0x19
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        local.set 13 (local.get 12)
        local.set 15 (local.get 14)
        (local.get 13)
        local.set 3 (local.get 15)
        local.set 2
        local.set 5 (i32.const 11)
        local.set 10 (i32.xor (i32.or (i64.lt_u (local.tee 13 (local.get 2)) (local.tee 15 (local.get 3))) (i64.eq (local.get 13) (local.get 15))) (i32.const 1))
        local.set 16 (local.get 10)
        local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
        local.set 10 (i32.or (i64.lt_u (local.tee 13 (local.get 2)) (local.tee 15 (local.get 3))) (i64.eq (local.get 13) (local.get 15)))
        i64.store offset=8 (i32.const 0) (local.get 17) ;; RCX
        local.set 18 (i64.add (i64.add (local.get 8) (i64.const 14)) (i64.const 18))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 18) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 18)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097632) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 15, at 0xc
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 3))
          if (i32.le_s (local.get 1) (i32.const 0))
            return_call $core.regionBudget (i64.add (local.get 8) (i64.const 18)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          end
          br 2
        end
        local.set 13 (i64.add (local.get 12) (i64.const 3))
        local.set 12 (local.get 13)
        local.set 18 (i64.add (local.tee 13 (local.get 14)) (local.tee 15 (i64.const 2)))
        local.set 14 (local.get 18)
        (local.get 13)
        local.set 3 (local.get 15)
        local.set 2
        local.set 5 (i32.const 16)
        local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
        local.set 19 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
        local.set 11 (i64.extend_i32_u (local.get 19))
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 16))
        local.set 2
        local.set 5 (i32.const 18)
        local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store (i32.const 0) (local.get 12) ;; RAX
        i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
        i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
        local.set 13 (i64.add (i64.add (local.get 8) (i64.const 27)) (i64.const 6))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097760) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 19, at 0x19
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 7))
          return_call $core.regionToNear (i32.const 2097760) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x19
        end
        return_call $core.resumeRecord (i32.const 2097792) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 20, at 0x1b
      end
      return_call $core.resumeRecord (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x1b
    end
  end
  local.set 13 (i64.add (local.get 12) (i64.const 3))
  local.set 12 (local.get 13)
  local.set 18 (i64.add (local.tee 13 (local.get 14)) (local.tee 15 (i64.const 2)))
  local.set 14 (local.get 18)
  (local.get 13)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 16)
  local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
  local.set 19 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 19))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 16))
  local.set 2
  local.set 5 (i32.const 18)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 12) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 27)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 7, at 0x19
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 8))
    return_call $core.regionToNear (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x19
  end
  return_call $core.resumeRecord (i32.const 2097408) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x1b
  unreachable
)
