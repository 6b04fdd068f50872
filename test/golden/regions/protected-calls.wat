;; protected-calls: 32-bit call and return
;;
;; start: mov ebp, 50
;; again: call leaf
;; dec ebp
;; jnz again
;; hlt
;; leaf: inc eax
;; ret

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i32 i32 i32 i64 i32 i64)
  local.set 17 (i64.load (i32.const 0)) ;; RAX
  local.set 12 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 11 (i64.load offset=40 (i32.const 0)) ;; RBP
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  i64.store offset=40 (i32.const 0) (local.get 11) ;; RBP
  local.set 13 (i64.extend_i32_u (local.tee 10 (i32.add (i32.wrap_i64 (local.get 12)) (i32.const -4))))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 14 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 3)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 14)))
  else
    return_call $core.resumeRecord (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x5
  end
  local.set 15
  local.set 16 (i32.wrap_i64 (i64.and (i64.add (local.get 8) (i64.const 10)) (i64.const 4294967295)))
  i32.store (local.get 15) (local.get 16)
  local.set 12 (i64.extend_i32_u (local.get 10))
  i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
  local.set 1 (i32.sub (local.get 1) (i32.const 2))
  if (i32.le_s (local.get 1) (i32.const 0))
    return_call $core.regionBudget (i64.add (local.get 8) (i64.const 14)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  loop
    local.set 14 (i32.add (local.tee 10 (i32.wrap_i64 (local.get 17))) (i32.const 1))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    call $core.settle
    local.set 15 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
    local.set 17 (i64.extend_i32_u (local.get 14))
    (i64.extend_i32_u (local.get 15))
    local.set 3 (i64.extend_i32_u (local.get 10))
    local.set 2
    local.set 5 (i32.const 12)
    i64.store (i32.const 0) (local.get 17) ;; RAX
    local.set 13 (i64.extend_i32_u (local.tee 10 (i32.wrap_i64 (local.get 12))))
    if (result i32) (i64.eq (i64.load offset=65536 (local.tee 14 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 3)) (i64.const -4096)) (local.get 7)))
      (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 14)))
    else
      return_call $core.resumeRecord (i32.const 2097248) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xf
    end
    local.set 15
    local.set 16 (i32.load (local.get 15))
    local.set 18 (i32.add (local.get 10) (i32.const 4))
    local.set 19 (i64.extend_i32_u (local.get 16))
    local.set 12 (i64.extend_i32_u (local.get 18))
    i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
    local.set 1 (i32.sub (local.get 1) (i32.const 2))
    if (i64.eq (local.get 19) (i64.add (local.get 8) (i64.const 10)))
      if (i32.le_s (local.get 1) (i32.const 0))
        return_call $core.regionBudget (i64.add (local.get 8) (i64.const 10)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      end
      local.set 10 (i32.wrap_i64 (local.get 2))
      local.set 15 (i32.sub (local.tee 14 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 15))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 14))
      local.set 2
      local.set 5 (i32.const 15)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=40 (i32.const 0) (local.get 11) ;; RBP
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 2))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 5)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        local.set 13 (i64.extend_i32_u (local.tee 10 (i32.add (i32.wrap_i64 (local.get 12)) (i32.const -4))))
        if (result i32) (i64.eq (i64.load offset=65544 (local.tee 14 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 13) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 13) (i64.const 3)) (i64.const -4096)) (local.get 7)))
          (i32.add (i32.wrap_i64 (local.get 13)) (i32.load offset=65560 (local.get 14)))
        else
          return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x5
        end
        local.set 15
        local.set 16 (i32.wrap_i64 (i64.and (i64.add (local.get 8) (i64.const 10)) (i64.const 4294967295)))
        i32.store (local.get 15) (local.get 16)
        local.set 12 (i64.extend_i32_u (local.get 10))
        i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
        local.set 1 (i32.sub (local.get 1) (i32.const 1))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 14)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 2
      end
      return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0xd
    end
    return_call $core.regionDispatch32 (local.get 19) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  unreachable
)
