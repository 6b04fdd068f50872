;; flags-over-a-join: flags of two paths that meet are read from memory
;;
;; start: mov r9d, 50
;; again:
;; test al, 1
;; jz even
;; add rbx, rcx
;; jmp join
;; even: sub rbx, rcx
;; join: setc dl
;; add al, 1
;; dec r9d
;; jnz again
;; hlt

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i32 i64 i64 i64 i64 i64 i64 i32 i32)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 16 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 19 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 15 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))
  local.set 13 (i32.const 1)
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 13))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 10 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 10)) (i64.const 15))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0x8
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    return_call $core.regionToNear (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x8
  end
  local.set 18 (i64.add (local.tee 14 (local.get 15)) (local.tee 17 (local.get 16)))
  local.set 15 (local.get 18)
  (local.get 14)
  local.set 3 (local.get 17)
  local.set 2
  local.set 5 (i32.const 15)
  i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
  local.set 14 (i64.add (i64.add (local.get 8) (i64.const 15)) (i64.const 18))
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0xd
  end
  local.set 1 (i32.sub (local.get 1) (i32.const 5))
  if (i32.le_s (local.get 1) (i32.const 0))
    return_call $core.regionBudget (i64.add (local.get 8) (i64.const 18)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  loop
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    call $core.settle
    local.set 10 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
    local.set 19 (i64.or (i64.and (local.get 19) (i64.const -256)) (i64.extend_i32_u (local.get 10)))
    local.set 20 (i32.and (i32.add (local.tee 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))) (local.tee 13 (i32.const 1))) (i32.const 255))
    local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 20)))
    (i64.extend_i32_u (local.get 10))
    local.set 3 (i64.extend_i32_u (local.get 13))
    local.set 2
    local.set 5 (i32.const 19)
    local.set 10 (i32.lt_u (i32.and (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 13 (i32.wrap_i64 (local.get 3)))) (i32.const 255)) (local.get 13))
    local.set 21 (i32.sub (local.tee 20 (i32.wrap_i64 (local.get 11))) (i32.const 1))
    local.set 11 (i64.extend_i32_u (local.get 21))
    (i64.extend_i32_u (local.get 10))
    local.set 3 (i64.extend_i32_u (local.get 20))
    local.set 2
    local.set 5 (i32.const 21)
    local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
    i64.store offset=16 (i32.const 0) (local.get 19) ;; RDX
    i64.store (i32.const 0) (local.get 12) ;; RAX
    i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
    local.set 14 (i64.add (i64.add (local.get 8) (i64.const 28)) (i64.const 6))
    if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
      return_call $core.regionRaise (i32.const 2097408) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 8, at 0x1a
    end
    if (local.get 10)
      local.set 1 (i32.sub (local.get 1) (i32.const 4))
      if (i32.le_s (local.get 1) (i32.const 0))
        return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      end
      loop
        local.set 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))
        local.set 13 (i32.const 1)
        (i64.extend_i32_u (local.get 10))
        local.set 3 (i64.extend_i32_u (local.get 13))
        local.set 2
        local.set 5 (i32.const 11)
        local.set 10 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 10)) (i64.const 15))
        if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
          return_call $core.regionRaise (i32.const 2097504) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 11, at 0x8
        end
        if (local.get 10)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            return_call $core.regionBudget (i64.add (local.get 8) (i64.const 15)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          end
          local.set 18 (i64.sub (local.tee 14 (local.get 15)) (local.tee 17 (local.get 16)))
          local.set 15 (local.get 18)
          (local.get 14)
          local.set 3 (local.get 17)
          local.set 2
          local.set 5 (i32.const 26)
          local.set 10 (i64.lt_u (local.get 2) (local.get 3))
          local.set 13 (local.get 10)
          local.set 19 (i64.or (i64.and (local.get 19) (i64.const -256)) (i64.extend_i32_u (local.get 13)))
          local.set 20 (i32.and (i32.add (local.tee 10 (i32.and (i32.wrap_i64 (local.get 12)) (i32.const 255))) (local.tee 13 (i32.const 1))) (i32.const 255))
          local.set 12 (i64.or (i64.and (local.get 12) (i64.const -256)) (i64.extend_i32_u (local.get 20)))
          (i64.extend_i32_u (local.get 10))
          local.set 3 (i64.extend_i32_u (local.get 13))
          local.set 2
          local.set 5 (i32.const 19)
          local.set 10 (i32.lt_u (i32.and (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 13 (i32.wrap_i64 (local.get 3)))) (i32.const 255)) (local.get 13))
          local.set 21 (i32.sub (local.tee 20 (i32.wrap_i64 (local.get 11))) (i32.const 1))
          local.set 11 (i64.extend_i32_u (local.get 21))
          (i64.extend_i32_u (local.get 10))
          local.set 3 (i64.extend_i32_u (local.get 20))
          local.set 2
          local.set 5 (i32.const 21)
          local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
          i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
          i64.store offset=16 (i32.const 0) (local.get 19) ;; RDX
          i64.store (i32.const 0) (local.get 12) ;; RAX
          i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
          local.set 14 (i64.add (i64.add (local.get 8) (i64.const 28)) (i64.const 6))
          if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1)))
            return_call $core.regionRaise (i32.const 2097728) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 18, at 0x1a
          end
          if (local.get 10)
            local.set 1 (i32.sub (local.get 1) (i32.const 5))
            if (i32.le_s (local.get 1) (i32.const 0))
              return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            end
            br 2
          end
          return_call $core.resumeRecord (i32.const 2097760) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x1c
        end
        local.set 18 (i64.add (local.tee 14 (local.get 15)) (local.tee 17 (local.get 16)))
        local.set 15 (local.get 18)
        (local.get 14)
        local.set 3 (local.get 17)
        local.set 2
        local.set 5 (i32.const 15)
        i64.store offset=24 (i32.const 0) (local.get 15) ;; RBX
        local.set 14 (i64.add (i64.add (local.get 8) (i64.const 15)) (i64.const 18))
        if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 14) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 14)) (i32.const 1))
          return_call $core.regionRaise (i32.const 2097568) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 13, at 0xd
        end
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 18)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 2
      end
    end
    return_call $core.resumeRecord (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x1c
  end
  unreachable
)
