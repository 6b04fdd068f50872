;; compare-and-branch: a condition computed from the operands, no flags
;;
;; start: mov ecx, 60
;; again: cmp ecx, 20
;; jl below
;; add rax, 1
;; below: dec ecx
;; jnz again
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i32 i64 i64 i64 i64 i32)
  local.set 14 (i64.load (i32.const 0)) ;; RAX
  local.set 11 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 60)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.wrap_i64 (local.get 11))
  local.set 12 (i32.const 20)
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 12))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i32.lt_s (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
  i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 10)) (i64.const 14))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0x8
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    return_call $core.regionToNear (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x8
  end
  local.set 16 (i64.add (local.tee 13 (local.get 14)) (local.tee 15 (i64.const 1)))
  local.set 14 (local.get 16)
  (local.get 13)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 15)
  local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
  local.set 17 (i32.sub (local.tee 12 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 17))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 12))
  local.set 2
  local.set 5 (i32.const 17)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 14) ;; RAX
  i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 18)) (i64.const 5))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 5, at 0x10
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 5)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 10 (i32.wrap_i64 (local.get 11))
      local.set 12 (i32.const 20)
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 12))
      local.set 2
      local.set 5 (i32.const 11)
      local.set 10 (i32.lt_s (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 10)) (i64.const 14))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097408) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 8, at 0x8
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 2))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 14)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        local.set 10 (i32.lt_u (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
        local.set 17 (i32.sub (local.tee 12 (i32.wrap_i64 (local.get 11))) (i32.const 1))
        local.set 11 (i64.extend_i32_u (local.get 17))
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 12))
        local.set 2
        local.set 5 (i32.const 17)
        local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
        local.set 13 (i64.add (i64.add (local.get 8) (i64.const 18)) (i64.const 5))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097600) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 14, at 0x10
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            return_call $core.regionBudget (i64.add (local.get 8) (i64.const 5)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          end
          br 2
        end
        return_call $core.resumeRecord (i32.const 2097632) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 15, at 0x12
      end
      local.set 16 (i64.add (local.tee 13 (local.get 14)) (local.tee 15 (i64.const 1)))
      local.set 14 (local.get 16)
      (local.get 13)
      local.set 3 (local.get 15)
      local.set 2
      local.set 5 (i32.const 15)
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
      local.set 17 (i32.sub (local.tee 12 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 17))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 12))
      local.set 2
      local.set 5 (i32.const 17)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 14) ;; RAX
      i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 18)) (i64.const 5))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097504) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 11, at 0x10
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 5)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x12
    end
  end
  return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x12
  unreachable
)
