;; shift-by-constant: SHL, SHR, SAR with their flags
;;
;; start: mov r9d, 50
;; again:
;; shl rax, 3
;; sar ebx, 1
;; shr cx, 4
;; setc dl
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i64 i32)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 15 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 17 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 13 (i64.shl (local.get 12) (i64.extend_i32_u (i32.const 3)))
  local.set 12 (local.get 13)
  local.set 10 (i32.shr_s (i32.wrap_i64 (local.get 14)) (i32.const 1))
  local.set 14 (i64.extend_i32_u (local.get 10))
  local.set 16 (i32.shr_u (local.tee 10 (i32.and (i32.wrap_i64 (local.get 15)) (i32.const 65535))) (i32.const 4))
  local.set 15 (i64.or (i64.and (local.get 15) (i64.const -65536)) (i64.extend_i32_u (local.get 16)))
  local.set 2 (i64.extend_i32_u (local.get 10))
  local.set 5 (i32.const 22)
  local.set 10 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 2)) (i32.const 3)) (i32.const 1))
  local.set 16 (local.get 10)
  local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
  local.set 10 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 2)) (i32.const 3)) (i32.const 1))
  local.set 18 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 16))
  local.set 2
  local.set 5 (i32.const 18)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  i64.store (i32.const 0) (local.get 12) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  i64.store offset=8 (i32.const 0) (local.get 15) ;; RCX
  i64.store offset=16 (i32.const 0) (local.get 17) ;; RDX
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 24)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 6, at 0x16
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 13 (i64.shl (local.get 12) (i64.extend_i32_u (i32.const 3)))
      local.set 12 (local.get 13)
      local.set 10 (i32.shr_s (i32.wrap_i64 (local.get 14)) (i32.const 1))
      local.set 14 (i64.extend_i32_u (local.get 10))
      local.set 16 (i32.shr_u (local.tee 10 (i32.and (i32.wrap_i64 (local.get 15)) (i32.const 65535))) (i32.const 4))
      local.set 15 (i64.or (i64.and (local.get 15) (i64.const -65536)) (i64.extend_i32_u (local.get 16)))
      local.set 2 (i64.extend_i32_u (local.get 10))
      local.set 5 (i32.const 22)
      local.set 10 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 2)) (i32.const 3)) (i32.const 1))
      local.set 16 (local.get 10)
      local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
      local.set 10 (i32.and (i32.shr_u (i32.wrap_i64 (local.get 2)) (i32.const 3)) (i32.const 1))
      local.set 18 (i32.sub (local.tee 16 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 18))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 16))
      local.set 2
      local.set 5 (i32.const 18)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 12) ;; RAX
      i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
      i64.store offset=8 (i32.const 0) (local.get 15) ;; RCX
      i64.store offset=16 (i32.const 0) (local.get 17) ;; RDX
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 24)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097568) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 13, at 0x16
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 6))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097600) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 14, at 0x18
    end
  end
  return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x18
  unreachable
)
