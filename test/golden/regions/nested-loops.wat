;; nested-loops: a loop in a loop
;;
;; start: mov edx, 9
;; outer: mov ecx, 5
;; inner: add rax, rcx
;; dec ecx
;; jnz inner
;; dec edx
;; jnz outer
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i32 i32)
  local.set 13 (i64.load (i32.const 0)) ;; RAX
  local.set 12 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 11 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 9)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.const 5)
  local.set 12 (i64.extend_i32_u (local.get 10))
  local.set 16 (i64.add (local.tee 14 (local.get 13)) (local.tee 15 (local.get 12)))
  local.set 13 (local.get 16)
  (local.get 14)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 14 (local.get 3))) (local.get 14))
  local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 12))) (i32.const 1))
  local.set 12 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 17))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=16 (i32.const 0) (local.get 11) ;; RDX
  i64.store offset=8 (i32.const 0) (local.get 12) ;; RCX
  i64.store (i32.const 0) (local.get 13) ;; RAX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 17)) (i64.const 10))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0xf
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 10)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 16 (i64.add (local.tee 14 (local.get 13)) (local.tee 15 (local.get 12)))
      local.set 13 (local.get 16)
      (local.get 14)
      local.set 3 (local.get 15)
      local.set 2
      local.set 5 (i32.const 11)
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 14 (local.get 3))) (local.get 14))
      local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 12))) (i32.const 1))
      local.set 12 (i64.extend_i32_u (local.get 18))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 17))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 13) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 12) ;; RCX
      local.set 14 (i64.add (i64.add (local.get 8) (i64.const 17)) (i64.const 10))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 10, at 0xf
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 10)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      local.set 10 (i32.wrap_i64 (local.get 2))
      local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 18))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 17))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=16 (i32.const 0) (local.get 11) ;; RDX
      local.set 14 (i64.add (i64.add (local.get 8) (i64.const 21)) (i64.const 5))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 12, at 0x13
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 5)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        local.set 10 (i32.const 5)
        local.set 12 (i64.extend_i32_u (local.get 10))
        local.set 16 (i64.add (local.tee 14 (local.get 13)) (local.tee 15 (local.get 12)))
        local.set 13 (local.get 16)
        (local.get 14)
        local.set 3 (local.get 15)
        local.set 2
        local.set 5 (i32.const 11)
        local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 14 (local.get 3))) (local.get 14))
        local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 12))) (i32.const 1))
        local.set 12 (i64.extend_i32_u (local.get 18))
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 17))
        local.set 2
        local.set 5 (i32.const 13)
        local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=8 (i32.const 0) (local.get 12) ;; RCX
        i64.store (i32.const 0) (local.get 13) ;; RAX
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 17)) (i64.const 10))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097696) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 17, at 0xf
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 4))
          if (i32.le_s (local.get 1) (i32.const 0))
            return_call $core.regionBudget (i64.add (local.get 8) (i64.const 10)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          end
          br 2
        end
        local.set 10 (i32.wrap_i64 (local.get 2))
        local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 11))) (i32.const 1))
        local.set 11 (i64.extend_i32_u (local.get 18))
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 17))
        local.set 2
        local.set 5 (i32.const 13)
        local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=16 (i32.const 0) (local.get 11) ;; RDX
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 21)) (i64.const 5))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097760) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 19, at 0x13
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 6))
          return_call $core.regionToNear (i32.const 2097760) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x13
        end
        return_call $core.resumeRecord (i32.const 2097792) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 20, at 0x15
      end
      return_call $core.resumeRecord (i32.const 2097568) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 13, at 0x15
    end
  end
  local.set 10 (i32.wrap_i64 (local.get 2))
  local.set 18 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 17))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=16 (i32.const 0) (local.get 11) ;; RDX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 21)) (i64.const 5))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 6, at 0x13
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    return_call $core.regionToNear (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x13
  end
  return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x15
  unreachable
)
