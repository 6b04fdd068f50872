;; flags-pushed: PUSHFQ settles
;;
;; start: mov r9d, 50
;; again:
;; add rax, rbx
;; pushfq
;; pop rcx
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i64 i32 i64 i64 i32)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 20 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 17 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 16 (i64.add (local.tee 13 (local.get 12)) (local.tee 15 (local.get 14)))
  local.set 12 (local.get 16)
  (local.get 13)
  local.set 3 (local.get 15)
  local.set 2
  local.set 5 (i32.const 11)
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  i64.store (i32.const 0) (local.get 12) ;; RAX
  local.set 15 (local.tee 13 (i64.add (local.get 17) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 15) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 15) (i64.const 7)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 15)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x9
  end
  local.set 18
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 16 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
  i64.store (local.get 18) (local.get 16)
  local.set 17 (local.get 13)
  i64.store offset=32 (i32.const 0) (local.get 17) ;; RSP
  local.set 15 (local.tee 13 (local.get 17))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 15) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 15) (i64.const 7)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 15)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097248) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xa
  end
  local.set 18
  local.set 16 (i64.load (local.get 18))
  local.set 19 (i64.add (local.get 13) (i64.const 8))
  local.set 17 (local.get 19)
  local.set 20 (local.get 16)
  local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
  local.set 21 (i32.sub (local.tee 18 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 21))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 18))
  local.set 2
  local.set 5 (i32.const 15)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=32 (i32.const 0) (local.get 17) ;; RSP
  i64.store offset=8 (i32.const 0) (local.get 20) ;; RCX
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 16)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 5, at 0xe
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 16 (i64.add (local.tee 13 (local.get 12)) (local.tee 15 (local.get 14)))
      local.set 12 (local.get 16)
      (local.get 13)
      local.set 3 (local.get 15)
      local.set 2
      local.set 5 (i32.const 11)
      i64.store (i32.const 0) (local.get 12) ;; RAX
      local.set 15 (local.tee 13 (i64.add (local.get 17) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 15) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 15) (i64.const 7)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 15)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097408) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x9
      end
      local.set 18
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 16 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
      i64.store (local.get 18) (local.get 16)
      local.set 17 (local.get 13)
      i64.store offset=32 (i32.const 0) (local.get 17) ;; RSP
      local.set 15 (local.tee 13 (local.get 17))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 15) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 15) (i64.const 7)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 15)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0xa
      end
      local.set 18
      local.set 16 (i64.load (local.get 18))
      local.set 19 (i64.add (local.get 13) (i64.const 8))
      local.set 17 (local.get 19)
      local.set 20 (local.get 16)
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 13 (local.get 3))) (local.get 13))
      local.set 21 (i32.sub (local.tee 18 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 21))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 18))
      local.set 2
      local.set 5 (i32.const 15)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=32 (i32.const 0) (local.get 17) ;; RSP
      i64.store offset=8 (i32.const 0) (local.get 20) ;; RCX
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 16)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097504) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 11, at 0xe
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x10
    end
  end
  return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x10
  unreachable
)
