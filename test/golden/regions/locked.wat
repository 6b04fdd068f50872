;; locked: LOCK ADD, XCHG, CMPXCHG
;;
;; start: mov r9d, 50
;; again:
;; lock add dword ptr [0x13000], ecx
;; xchg dword ptr [0x13008], edx
;; lock cmpxchg dword ptr [0x13010], ebx
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i64 i32 i64 i32 i32 i64 i32 i32 i64 i32 i64 i32 i64 i32 i32 i64 i32 i64 i64 i32 i32 i32 i64 i32 i32 i32 i32 i64 i64 i32 i32 i64 i32 i32 i32 i64 i32 i32 i64 i32 i32 i64 i32 i32 i64 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64)
  local.set 30 (i64.load (i32.const 0)) ;; RAX
  local.set 14 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 22 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 29 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 9 (i64.const 77824)
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 10 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 9) (local.tee 12 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 9) (i64.const 3)) (i64.const -4096)) (local.get 12))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 9)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 11
  local.set 13 (i32.load (local.get 11))
  local.set 16 (i32.add (local.get 13) (local.tee 15 (i32.wrap_i64 (local.get 14))))
  i32.store (local.get 11) (local.get 16)
  (i64.extend_i32_u (local.get 13))
  local.set 3 (i64.extend_i32_u (local.get 15))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 17 (i64.const 77832)
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 18 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 17) (local.tee 20 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 17) (i64.const 3)) (i64.const -4096)) (local.get 20))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 17)) (i32.load offset=65560 (local.get 18)))
  else
    return_call $core.resumeRecord (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xe
  end
  local.set 19
  local.set 21 (i32.load (local.get 19))
  local.set 23 (i32.wrap_i64 (local.get 22))
  i32.store (local.get 19) (local.get 23)
  local.set 22 (i64.extend_i32_u (local.get 21))
  i64.store offset=16 (i32.const 0) (local.get 22) ;; RDX
  local.set 24 (i64.const 77840)
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 25 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 24) (local.tee 27 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 24) (i64.const 3)) (i64.const -4096)) (local.get 27))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 24)) (i32.load offset=65560 (local.get 25)))
  else
    return_call $core.resumeRecord (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0x15
  end
  local.set 26
  local.set 28 (i32.load (local.get 26))
  local.set 33 (select (i32.wrap_i64 (local.get 29)) (local.get 28) (local.tee 32 (i32.eq (local.tee 31 (i32.wrap_i64 (local.get 30))) (local.get 28))))
  local.set 34 (select (local.get 30) (i64.extend_i32_u (local.get 28)) (local.get 32))
  i32.store (local.get 26) (local.get 33)
  local.set 30 (local.get 34)
  (i64.extend_i32_u (local.get 31))
  local.set 3 (i64.extend_i32_u (local.get 28))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 35 (i32.lt_u (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
  local.set 37 (i32.sub (local.tee 36 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 37))
  (i64.extend_i32_u (local.get 35))
  local.set 3 (i64.extend_i32_u (local.get 36))
  local.set 2
  local.set 5 (i32.const 15)
  local.set 38 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 30) ;; RAX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 39 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 35)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 38) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 39) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 39)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x21
    return
  end
  if (local.get 38)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 40 (i64.const 77824)
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 41 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 40) (local.tee 43 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 40) (i64.const 3)) (i64.const -4096)) (local.get 43))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 40)) (i32.load offset=65560 (local.get 41)))
      else
        return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x6
      end
      local.set 42
      local.set 44 (i32.load (local.get 42))
      local.set 46 (i32.add (local.get 44) (local.tee 45 (i32.wrap_i64 (local.get 14))))
      i32.store (local.get 42) (local.get 46)
      (i64.extend_i32_u (local.get 44))
      local.set 3 (i64.extend_i32_u (local.get 45))
      local.set 2
      local.set 5 (i32.const 10)
      local.set 47 (i64.const 77832)
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 48 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 47) (local.tee 50 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 47) (i64.const 3)) (i64.const -4096)) (local.get 50))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 47)) (i32.load offset=65560 (local.get 48)))
      else
        return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0xe
      end
      local.set 49
      local.set 51 (i32.load (local.get 49))
      local.set 52 (i32.wrap_i64 (local.get 22))
      i32.store (local.get 49) (local.get 52)
      local.set 22 (i64.extend_i32_u (local.get 51))
      i64.store offset=16 (i32.const 0) (local.get 22) ;; RDX
      local.set 53 (i64.const 77840)
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 54 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 53) (local.tee 56 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 53) (i64.const 3)) (i64.const -4096)) (local.get 56))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 53)) (i32.load offset=65560 (local.get 54)))
      else
        return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x15
      end
      local.set 55
      local.set 57 (i32.load (local.get 55))
      local.set 60 (select (i32.wrap_i64 (local.get 29)) (local.get 57) (local.tee 59 (i32.eq (local.tee 58 (i32.wrap_i64 (local.get 30))) (local.get 57))))
      local.set 61 (select (local.get 30) (i64.extend_i32_u (local.get 57)) (local.get 59))
      i32.store (local.get 55) (local.get 60)
      local.set 30 (local.get 61)
      (i64.extend_i32_u (local.get 58))
      local.set 3 (i64.extend_i32_u (local.get 57))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 62 (i32.lt_u (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3)))
      local.set 64 (i32.sub (local.tee 63 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 64))
      (i64.extend_i32_u (local.get 62))
      local.set 3 (i64.extend_i32_u (local.get 63))
      local.set 2
      local.set 5 (i32.const 15)
      local.set 65 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 30) ;; RAX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 66 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 35)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 65) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 66) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 66)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x21
        return
      end
      if (local.get 65)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x23
    end
  end
  return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x23
  unreachable
)
