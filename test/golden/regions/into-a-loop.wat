;; into-a-loop: an edge into the middle of a loop leaves the region
;;
;; start: mov ecx, 30
;; test al, al
;; jz middle
;; again: add rax, rbx
;; middle: add rbx, 1
;; dec ecx
;; jnz again
;; mov ecx, 30
;; xor al, 1
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i32 i64 i64 i64 i64 i32)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 11 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 15 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 30)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))
  local.set 13 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 9)) (i64.const 12))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0x7
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    return_call $core.regionToNear (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x7
  end
  local.set 14 (i64.add (local.get 12) (local.get 15))
  local.set 12 (local.get 14)
  local.set 17 (i64.add (local.tee 14 (local.get 15)) (local.tee 16 (i64.const 1)))
  local.set 15 (local.get 17)
  (local.get 14)
  local.set 3 (local.get 16)
  local.set 2
  local.set 5 (i32.const 15)
  local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 14 (local.get 3))) (local.get 14))
  local.set 18 (i32.sub (local.tee 13 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 18)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 12) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
  i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 20)) (i64.const 9))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 6, at 0x12
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 9)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 14 (i64.add (local.get 12) (local.get 15))
      local.set 12 (local.get 14)
      local.set 17 (i64.add (local.tee 14 (local.get 15)) (local.tee 16 (i64.const 1)))
      local.set 15 (local.get 17)
      (local.get 14)
      local.set 3 (local.get 16)
      local.set 2
      local.set 5 (i32.const 15)
      local.set 10 (i64.lt_u (i64.add (local.get 2) (local.tee 14 (local.get 3))) (local.get 14))
      local.set 18 (i32.sub (local.tee 13 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 18))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 13))
      local.set 2
      local.set 5 (i32.const 18)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 12) ;; RAX
      i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
      i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
      local.set 14 (i64.add (i64.add (local.get 8) (i64.const 20)) (i64.const 9))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097600) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 14, at 0x12
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 9)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      local.set 10 (i32.const 30)
      local.set 11 (i64.extend_i32_u (local.get 10))
      local.set 18 (i32.xor (local.tee 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))) (local.tee 13 (i32.const 1)))
      local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 18)))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 13))
      local.set 2
      local.set 5 (i32.const 23)
      local.set 10 (i32.xor (i32.eqz (i32.xor (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))) (i32.const 1))
      i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
      i64.store (i32.const 0) (local.get 12) ;; RAX
      local.set 14 (i64.add (i64.add (local.get 8) (i64.const 29)) (i64.const 9))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097696) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 17, at 0x1b
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 7))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 9)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097728) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 18, at 0x1d
    end
  end
  local.set 10 (i32.const 30)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 18 (i32.xor (local.tee 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))) (local.tee 13 (i32.const 1)))
  local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 18)))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 23)
  local.set 10 (i32.xor (i32.eqz (i32.xor (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))) (i32.const 1))
  i64.store offset=8 (i32.const 0) (local.get 11) ;; RCX
  i64.store (i32.const 0) (local.get 12) ;; RAX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 29)) (i64.const 9))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 9, at 0x1b
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 10))
    return_call $core.regionToNear (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x1b
  end
  return_call $core.resumeRecord (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x1d
  unreachable
)
