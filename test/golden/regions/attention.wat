;; attention: an instruction after which events must be looked at
;;
;; start: mov r9d, 50
;; again:
;; popfq
;; pushfq
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  local.set 12 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 14 (local.tee 13 (local.get 12))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 14) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 14) (i64.const 7)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 14)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 15
  local.set 16 (i64.load (local.get 15))
  local.set 17 (i64.add (local.get 13) (i64.const 8))
  local.set 18 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 8))) (i32.const 1))
  local.set 24 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 9))) (i32.const 1)) (local.tee 19 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 9)) (i32.const 1))) (i32.or (i32.lt_u (local.tee 20 (i32.and (i32.shr_u (i32.load8_u offset=664 (i32.const 0)) (i32.const 5)) (i32.const 3))) (local.tee 23 (i32.or (select (i32.const 2) (i32.const 0) (local.tee 21 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 13)) (i32.const 1)))) (local.tee 22 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 12)) (i32.const 1)))))) (i32.eq (local.get 20) (local.get 23)))) ;; RFLAGS, SS.access
  local.set 25 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 10))) (i32.const 1))
  local.set 27 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 12))) (i32.const 1)) (local.get 22) (local.tee 26 (i32.eqz (local.get 20))))
  local.set 28 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 13))) (i32.const 1)) (local.get 21) (local.get 26))
  local.set 29 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 14))) (i32.const 1))
  local.set 30 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 18))) (i32.const 1))
  local.set 31 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 21))) (i32.const 1))
  local.set 32 (i32.or (local.get 18) (i32.and (local.get 24) (i32.xor (local.get 19) (i32.const 1))))
  local.set 12 (local.get 17)
  local.set 2 (local.get 16)
  local.set 5 (i32.const 11)
  i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2455297)) (i32.shl (local.get 18) (i32.const 8))) (i32.shl (local.get 24) (i32.const 9))) (i32.shl (local.get 25) (i32.const 10))) (i32.shl (local.get 27) (i32.const 12))) (i32.shl (local.get 28) (i32.const 13))) (i32.shl (local.get 29) (i32.const 14))) (i32.shl (i32.const 0) (i32.const 16))) (i32.shl (local.get 30) (i32.const 18))) (i32.shl (local.get 31) (i32.const 21))) ;; RFLAGS
  i64.store offset=1712 (i32.const 0) (select (i64.load offset=1728 (i32.const 0)) (i64.load offset=1720 (i32.const 0)) (local.get 30)) ;; tlbKey, tlbKeyAcSet, tlbKeyAcClear
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
  if (i32.and (local.get 32) (i32.or (i32.ne (i32.load offset=1768 (i32.const 0)) (i32.const 0)) (i32.ne (i32.and (i32.load offset=136 (i32.const 0)) (i32.const 256)) (i32.const 0)))) ;; interruptPending, RFLAGS
    local.set 1 (i32.sub (local.get 1) (i32.const 2))
    i64.store offset=128 (i32.const 0) (i64.add (local.get 8) (i64.const 7)) ;; RIP
    i32.store offset=1748 (i32.const 0) (i32.const 7) ;; exitKind
    return_call $core.leaveRegion (i32.const 2097184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 14 (local.tee 13 (i64.add (local.get 12) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 14) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 14) (i64.const 7)) (i64.const -4096)) (local.get 7)))
    (i32.add (i32.wrap_i64 (local.get 14)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x7
  end
  local.set 15
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 16 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
  i64.store (local.get 15) (local.get 16)
  local.set 12 (local.get 13)
  local.set 10 (i32.and (i32.wrap_i64 (local.get 2)) (i32.const 1))
  local.set 18 (i32.sub (local.tee 15 (i32.wrap_i64 (local.get 11))) (i32.const 1))
  local.set 11 (i64.extend_i32_u (local.get 18))
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 15))
  local.set 2
  local.set 5 (i32.const 14)
  local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 13 (i64.add (i64.add (local.get 8) (i64.const 13)) (i64.const 6))
  if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    return_call $core.regionRaise (i32.const 2097280) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 4, at 0xb
  end
  if (local.get 10)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    end
    loop
      local.set 14 (local.tee 13 (local.get 12))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 14) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 14) (i64.const 7)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 14)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
      end
      local.set 15
      local.set 16 (i64.load (local.get 15))
      local.set 17 (i64.add (local.get 13) (i64.const 8))
      local.set 18 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 8))) (i32.const 1))
      local.set 24 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 9))) (i32.const 1)) (local.tee 19 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 9)) (i32.const 1))) (i32.or (i32.lt_u (local.tee 20 (i32.and (i32.shr_u (i32.load8_u offset=664 (i32.const 0)) (i32.const 5)) (i32.const 3))) (local.tee 23 (i32.or (select (i32.const 2) (i32.const 0) (local.tee 21 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 13)) (i32.const 1)))) (local.tee 22 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 12)) (i32.const 1)))))) (i32.eq (local.get 20) (local.get 23)))) ;; RFLAGS, SS.access
      local.set 25 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 10))) (i32.const 1))
      local.set 27 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 12))) (i32.const 1)) (local.get 22) (local.tee 26 (i32.eqz (local.get 20))))
      local.set 28 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 13))) (i32.const 1)) (local.get 21) (local.get 26))
      local.set 29 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 14))) (i32.const 1))
      local.set 30 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 18))) (i32.const 1))
      local.set 31 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 16) (i64.const 21))) (i32.const 1))
      local.set 32 (i32.or (local.get 18) (i32.and (local.get 24) (i32.xor (local.get 19) (i32.const 1))))
      local.set 12 (local.get 17)
      local.set 2 (local.get 16)
      local.set 5 (i32.const 11)
      i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2455297)) (i32.shl (local.get 18) (i32.const 8))) (i32.shl (local.get 24) (i32.const 9))) (i32.shl (local.get 25) (i32.const 10))) (i32.shl (local.get 27) (i32.const 12))) (i32.shl (local.get 28) (i32.const 13))) (i32.shl (local.get 29) (i32.const 14))) (i32.shl (i32.const 0) (i32.const 16))) (i32.shl (local.get 30) (i32.const 18))) (i32.shl (local.get 31) (i32.const 21))) ;; RFLAGS
      i64.store offset=1712 (i32.const 0) (select (i64.load offset=1728 (i32.const 0)) (i64.load offset=1720 (i32.const 0)) (local.get 30)) ;; tlbKey, tlbKeyAcSet, tlbKeyAcClear
      local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
      i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
      if (i32.and (local.get 32) (i32.or (i32.ne (i32.load offset=1768 (i32.const 0)) (i32.const 0)) (i32.ne (i32.and (i32.load offset=136 (i32.const 0)) (i32.const 256)) (i32.const 0)))) ;; interruptPending, RFLAGS
        local.set 1 (i32.sub (local.get 1) (i32.const 1))
        i64.store offset=128 (i32.const 0) (i64.add (local.get 8) (i64.const 7)) ;; RIP
        i32.store offset=1748 (i32.const 0) (i32.const 7) ;; exitKind
        return_call $core.leaveRegion (i32.const 2097344) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
      end
      local.set 14 (local.tee 13 (i64.add (local.get 12) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.and (i32.shr_u (i32.wrap_i64 (i64.xor (local.get 14) (local.get 7))) (i32.const 7)) (i32.const 524256)))) (i64.xor (i64.and (i64.add (local.get 14) (i64.const 7)) (i64.const -4096)) (local.get 7)))
        (i32.add (i32.wrap_i64 (local.get 14)) (i32.load offset=65560 (local.get 10)))
      else
        return_call $core.resumeRecord (i32.const 2097376) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x7
      end
      local.set 15
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 16 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
      i64.store (local.get 15) (local.get 16)
      local.set 12 (local.get 13)
      local.set 10 (i32.and (i32.wrap_i64 (local.get 2)) (i32.const 1))
      local.set 18 (i32.sub (local.tee 15 (i32.wrap_i64 (local.get 11))) (i32.const 1))
      local.set 11 (i64.extend_i32_u (local.get 18))
      (i64.extend_i32_u (local.get 10))
      local.set 3 (i64.extend_i32_u (local.get 15))
      local.set 2
      local.set 5 (i32.const 14)
      local.set 10 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=32 (i32.const 0) (local.get 12) ;; RSP
      i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
      local.set 13 (i64.add (i64.add (local.get 8) (i64.const 13)) (i64.const 6))
      if (i32.and (local.get 10) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
        return_call $core.regionRaise (i32.const 2097440) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 9, at 0xb
      end
      if (local.get 10)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          return_call $core.regionBudget (i64.add (local.get 8) (i64.const 6)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 2097472) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0xd
    end
  end
  return_call $core.resumeRecord (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0xd
  unreachable
)
