;; diamond: two paths that meet
;;
;; start: mov r9d, 50
;; again:
;; test eax, 4
;; jz other
;; add ebx, 1
;; jmp join
;; other: add ecx, 1
;; join: add eax, 1
;; dec r9d
;; jnz again
;; hlt

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i32 i64 i64 i32 i32 i64)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 18 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 15 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.wrap_i64 (local.get 12))
  local.set 13 (i32.const 4)
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 13)) (i64.const 18))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0xb
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    return_call $core.regionToNear (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xb
  end
  local.set 16 (i32.add (local.tee 10 (i32.wrap_i64 (local.get 15))) (local.tee 13 (i32.const 1)))
  local.set 15 (i64.extend_i32_u (local.get 16))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 15)
  i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 18)) (i64.const 21))
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0x10
  end
  local.set 1 (i32.sub (local.get 1) (i32.const 5))
  if (i32.le_s (local.get 1) (i32.const 0))
    return_call $core.regionBudget (i64.add (local.get 8) (i64.const 21)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  loop
    local.set 16 (i32.add (local.tee 10 (i32.wrap_i64 (local.get 12))) (local.tee 13 (i32.const 1)))
    local.set 12 (i64.extend_i32_u (local.get 16))
    (i64.extend_i32_u (local.get 10))
    local.set 3 (i64.extend_i32_u (local.get 13))
    local.set 2
    local.set 5 (i32.const 15)
    local.set 10 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 13 (i32.wrap_i64 (local.get 3)))) (local.get 13))
    local.set 17 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
    local.set 11 (i64.extend_i32_u (local.get 17))
    (i64.extend_i32_u (local.get 10))
    local.set 3 (i64.extend_i32_u (local.get 16))
    local.set 2
    local.set 5 (i32.const 18)
    local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
    i64.store (i32.const 0) (local.get 12) ;; RAX
    i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
    local.set 14 (i64.add (i64.add (local.get 8) (i64.const 29)) (i64.const 6))
    if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
      return_call $core.regionRaise (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 7, at 0x1b
    end
    if (local.get 10)
      local.set 1 (i32.sub (local.get 1) (i32.const 3))
      if (i32.le_s (local.get 1) (i32.const 0))
        return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      end
      loop
        local.set 10 (i32.wrap_i64 (local.get 12))
        local.set 13 (i32.const 4)
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 13))
        local.set 2
        local.set 5 (i32.const 11)
        local.set 10 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 13)) (i64.const 18))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 10, at 0xb
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            return_call $core.regionBudget (i64.add (local.get 8) (i64.const 18)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          end
          local.set 10 (i32.add (i32.wrap_i64 (local.get 18)) (i32.const 1))
          local.set 18 (i64.extend_i32_u (local.get 10))
          local.set 16 (i32.add (local.tee 10 (i32.wrap_i64 (local.get 12))) (local.tee 13 (i32.const 1)))
          local.set 12 (i64.extend_i32_u (local.get 16))
          (i64.extend_i32_u (local.get 10))
          local.set 3 (i64.extend_i32_u (local.get 13))
          local.set 2
          local.set 5 (i32.const 15)
          local.set 10 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 13 (i32.wrap_i64 (local.get 3)))) (local.get 13))
          local.set 17 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
          local.set 11 (i64.extend_i32_u (local.get 17))
          (i64.extend_i32_u (local.get 10))
          local.set 3 (i64.extend_i32_u (local.get 16))
          local.set 2
          local.set 5 (i32.const 18)
          local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
          i64.store offset=8 (i32.const 0) (local.get 18) ;; RCX
          i64.store (i32.const 0) (local.get 12) ;; RAX
          i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
          local.set 14 (i64.add (i64.add (local.get 8) (i64.const 29)) (i64.const 6))
          if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
            return_call $core.regionRaise (i32.const 2097664) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 16, at 0x1b
          end
          if (local.get 10)
            local.set 1 (i32.sub (local.get 1) (i32.const 4))
            if (i32.le_s (local.get 1) (i32.const 0))
              return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            end
            br 2
          end
          return_call $core.resumeRecord (i32.const 2097696) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 17, at 0x1d
        end
        local.set 16 (i32.add (local.tee 10 (i32.wrap_i64 (local.get 15))) (local.tee 13 (i32.const 1)))
        local.set 15 (i64.extend_i32_u (local.get 16))
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 13))
        local.set 2
        local.set 5 (i32.const 15)
        i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 18)) (i64.const 21))
        if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1))
          return_call $core.regionRaise (i32.const 2097536) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 12, at 0x10
        end
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 21)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 2
      end
    end
    return_call $core.resumeRecord (i32.const 2097408) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x1d
  end
  unreachable
)
