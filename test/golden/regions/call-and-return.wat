;; call-and-return: a call and its return stay inside
;;
;; start: mov r9d, 50
;; again: call leaf
;; dec r9d
;; jnz again
;; hlt
;; leaf: add rax, 1
;; ret

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i32 i64 i32)
  local.set 18 (i64.load (i32.const 0)) ;; RAX
  local.set 14 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 12 (i64.add (local.get 8) (i64.const 11))
  local.set 13 (i64.add (local.get 12) (i64.const 17))
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1))
    return_call $core.regionRaise (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 1, at 0x6
  end
  local.set 16 (local.tee 15 (i64.add (local.get 14) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 16) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 16) (i64.const 7)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 16)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 17
  i64.store (local.get 17) (local.get 12)
  local.set 14 (local.get 15)
  i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
  local.set 1 (i32.sub (local.get 1) (i32.const 2))
  if (i32.le_s (local.get 1) (i32.const 0))
    return_call $core.regionBudget (i64.add (local.get 8) (i64.const 17)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  loop
    local.set 15 (i64.add (local.tee 12 (local.get 18)) (local.tee 13 (i64.const 1)))
    local.set 18 (local.get 15)
    (local.get 12)
    local.set 3 (local.get 13)
    local.set 2
    local.set 5 (i32.const 12)
    i64.store (i32.const 0) (local.get 18) ;; RAX
    local.set 13 (local.tee 12 (local.get 14))
    if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 7)) (i64.const -4096)) (local.get 7)))
      (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 10)))
    else
      return_call $core.resumeRecord (i32.const 2097248) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0x15
    end
    local.set 17
    local.set 15 (i64.load (local.get 17))
    if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 15) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 15)) (i32.const 1))
      return_call $core.regionRaise (i32.const 2097248) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 3, at 0x15
    end
    local.set 16 (i64.add (local.get 12) (i64.const 8))
    local.set 14 (local.get 16)
    i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
    local.set 1 (i32.sub (local.get 1) (i32.const 2))
    if (i64.eq (local.get 15) (i64.add (local.get 8) (i64.const 11)))
      if (i32.le_s (local.get 1) (i32.const 0))
        return_call $core.regionBudget (i64.add (local.get 8) (i64.const 11)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      end
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 12 (local.get 3))) (local.get 12))
      local.set 19 (i32.sub (local.tee 17 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 19))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 17))
      local.set 2
      local.set 5 (i32.const 15)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 12 (i64.add (i64.add (local.get 8) (i64.const 16)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 12) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 12)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 5, at 0xe
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 2))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        local.set 12 (i64.add (local.get 8) (i64.const 11))
        local.set 13 (i64.add (local.get 12) (i64.const 17))
        if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1))
          return_call $core.regionRaise (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 7, at 0x6
        end
        local.set 16 (local.tee 15 (i64.add (local.get 14) (i64.const -8)))
        if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 16) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 16) (i64.const 7)) (i64.const -4096)) (local.get 7)))
          (i32.add (i32.wrap_i64 (local.get 16)) (i32.load offset=65560 (local.get 10)))
        else
          return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x6
        end
        local.set 17
        i64.store (local.get 17) (local.get 12)
        local.set 14 (local.get 15)
        i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
        local.set 1 (i32.sub (local.get 1) (i32.const 1))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 17)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 2
      end
      return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x10
    end
    return_call $core.regionDispatch64 (local.get 15) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  unreachable
)
