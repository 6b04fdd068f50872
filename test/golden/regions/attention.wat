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
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i64 i64 i32 i32 i32 i32 i64 i64 i64 i32 i32 i64 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i64 i64 i32 i32 i32 i32 i64)
  local.set 9 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 11 (local.tee 10 (local.get 9))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 12 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 11) (local.tee 14 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 11) (i64.const 7)) (i64.const -4096)) (local.get 14))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 11)) (i32.load offset=65560 (local.get 12)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 13
  local.set 15 (i64.load (local.get 13))
  local.set 16 (i64.add (local.get 10) (i64.const 8))
  local.set 17 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 8))) (i32.const 1))
  local.set 23 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 9))) (i32.const 1)) (local.tee 18 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 9)) (i32.const 1))) (i32.or (i32.lt_u (local.tee 19 (i32.and (i32.shr_u (i32.load8_u offset=664 (i32.const 0)) (i32.const 5)) (i32.const 3))) (local.tee 22 (i32.or (select (i32.const 2) (i32.const 0) (local.tee 20 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 13)) (i32.const 1)))) (local.tee 21 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 12)) (i32.const 1)))))) (i32.eq (local.get 19) (local.get 22)))) ;; RFLAGS, SS.access
  local.set 24 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 10))) (i32.const 1))
  local.set 26 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 12))) (i32.const 1)) (local.get 21) (local.tee 25 (i32.eqz (local.get 19))))
  local.set 27 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 13))) (i32.const 1)) (local.get 20) (local.get 25))
  local.set 28 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 14))) (i32.const 1))
  local.set 29 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 18))) (i32.const 1))
  local.set 30 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 15) (i64.const 21))) (i32.const 1))
  local.set 31 (i32.or (local.get 17) (i32.and (local.get 23) (i32.xor (local.get 18) (i32.const 1))))
  local.set 9 (local.get 16)
  local.set 2 (local.get 15)
  local.set 5 (i32.const 10)
  i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2455297)) (i32.shl (local.get 17) (i32.const 8))) (i32.shl (local.get 23) (i32.const 9))) (i32.shl (local.get 24) (i32.const 10))) (i32.shl (local.get 26) (i32.const 12))) (i32.shl (local.get 27) (i32.const 13))) (i32.shl (local.get 28) (i32.const 14))) (i32.shl (i32.const 0) (i32.const 16))) (i32.shl (local.get 29) (i32.const 18))) (i32.shl (local.get 30) (i32.const 21))) ;; RFLAGS
  i64.store offset=1712 (i32.const 0) (select (i64.load offset=1728 (i32.const 0)) (i64.load offset=1720 (i32.const 0)) (local.get 29)) ;; tlbKey, tlbKeyAcSet, tlbKeyAcClear
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  if (i32.and (local.get 31) (i32.or (i32.ne (i32.load offset=1764 (i32.const 0)) (i32.const 0)) (i32.ne (i32.and (i32.load offset=136 (i32.const 0)) (i32.const 256)) (i32.const 0)))) ;; interruptPending, RFLAGS
    local.set 1 (i32.sub (local.get 1) (i32.const 2))
    i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 7)) ;; RIP, ripBase
    i32.store offset=1744 (i32.const 0) (i32.const 7) ;; exitKind
    call $core.leaveRegion (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
    return
  end
  local.set 33 (local.tee 32 (i64.add (local.get 9) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 34 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 33) (local.tee 36 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 33) (i64.const 7)) (i64.const -4096)) (local.get 36))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 33)) (i32.load offset=65560 (local.get 34)))
  else
    return_call $core.resumeRecord (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x7
  end
  local.set 35
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 37 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
  i64.store (local.get 35) (local.get 37)
  local.set 9 (local.get 32)
  local.set 38 (i32.and (i32.wrap_i64 (local.get 2)) (i32.const 1))
  local.set 40 (i32.sub (local.tee 39 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 40))
  (i64.extend_i32_u (local.get 38))
  local.set 3 (i64.extend_i32_u (local.get 39))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 41 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 42 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 13)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 41) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 42) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 42)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xb
    return
  end
  if (local.get 41)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 44 (local.tee 43 (local.get 9))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 45 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 44) (local.tee 47 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 44) (i64.const 7)) (i64.const -4096)) (local.get 47))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 44)) (i32.load offset=65560 (local.get 45)))
      else
        return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
      end
      local.set 46
      local.set 48 (i64.load (local.get 46))
      local.set 49 (i64.add (local.get 43) (i64.const 8))
      local.set 50 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 8))) (i32.const 1))
      local.set 56 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 9))) (i32.const 1)) (local.tee 51 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 9)) (i32.const 1))) (i32.or (i32.lt_u (local.tee 52 (i32.and (i32.shr_u (i32.load8_u offset=664 (i32.const 0)) (i32.const 5)) (i32.const 3))) (local.tee 55 (i32.or (select (i32.const 2) (i32.const 0) (local.tee 53 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 13)) (i32.const 1)))) (local.tee 54 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 12)) (i32.const 1)))))) (i32.eq (local.get 52) (local.get 55)))) ;; RFLAGS, SS.access
      local.set 57 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 10))) (i32.const 1))
      local.set 59 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 12))) (i32.const 1)) (local.get 54) (local.tee 58 (i32.eqz (local.get 52))))
      local.set 60 (select (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 13))) (i32.const 1)) (local.get 53) (local.get 58))
      local.set 61 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 14))) (i32.const 1))
      local.set 62 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 18))) (i32.const 1))
      local.set 63 (i32.and (i32.wrap_i64 (i64.shr_u (local.get 48) (i64.const 21))) (i32.const 1))
      local.set 64 (i32.or (local.get 50) (i32.and (local.get 56) (i32.xor (local.get 51) (i32.const 1))))
      local.set 9 (local.get 49)
      local.set 2 (local.get 48)
      local.set 5 (i32.const 10)
      i32.store offset=136 (i32.const 0) (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.or (i32.and (i32.load offset=136 (i32.const 0)) (i32.const -2455297)) (i32.shl (local.get 50) (i32.const 8))) (i32.shl (local.get 56) (i32.const 9))) (i32.shl (local.get 57) (i32.const 10))) (i32.shl (local.get 59) (i32.const 12))) (i32.shl (local.get 60) (i32.const 13))) (i32.shl (local.get 61) (i32.const 14))) (i32.shl (i32.const 0) (i32.const 16))) (i32.shl (local.get 62) (i32.const 18))) (i32.shl (local.get 63) (i32.const 21))) ;; RFLAGS
      i64.store offset=1712 (i32.const 0) (select (i64.load offset=1728 (i32.const 0)) (i64.load offset=1720 (i32.const 0)) (local.get 62)) ;; tlbKey, tlbKeyAcSet, tlbKeyAcClear
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      if (i32.and (local.get 64) (i32.or (i32.ne (i32.load offset=1764 (i32.const 0)) (i32.const 0)) (i32.ne (i32.and (i32.load offset=136 (i32.const 0)) (i32.const 256)) (i32.const 0)))) ;; interruptPending, RFLAGS
        local.set 1 (i32.sub (local.get 1) (i32.const 1))
        i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 7)) ;; RIP, ripBase
        i32.store offset=1744 (i32.const 0) (i32.const 7) ;; exitKind
        call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
        return
      end
      local.set 66 (local.tee 65 (i64.add (local.get 9) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 67 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 66) (local.tee 69 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 66) (i64.const 7)) (i64.const -4096)) (local.get 69))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 66)) (i32.load offset=65560 (local.get 67)))
      else
        return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x7
      end
      local.set 68
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 70 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
      i64.store (local.get 68) (local.get 70)
      local.set 9 (local.get 65)
      local.set 71 (i32.and (i32.wrap_i64 (local.get 2)) (i32.const 1))
      local.set 73 (i32.sub (local.tee 72 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 73))
      (i64.extend_i32_u (local.get 71))
      local.set 3 (i64.extend_i32_u (local.get 72))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 74 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 75 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 13)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 74) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 75) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 75)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0xb
        return
      end
      if (local.get 74)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0xd
    end
  end
  return_call $core.resumeRecord (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0xd
  unreachable
)
