;; push-and-pop: the stack
;;
;; start: mov r9d, 50
;; again:
;; push rax
;; push rbx
;; pop rax
;; pop rbx
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i32 i32 i32 i32 i64 i64 i64 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i32 i32 i32 i32 i64)
  local.set 15 (i64.load (i32.const 0)) ;; RAX
  local.set 22 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 9 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 11 (local.tee 10 (i64.add (local.get 9) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 12 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 11) (local.tee 14 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 11) (i64.const 7)) (i64.const -4096)) (local.get 14))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 11)) (i32.load offset=65560 (local.get 12)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 13
  local.set 16 (local.get 15)
  i64.store (local.get 13) (local.get 16)
  local.set 9 (local.get 10)
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  local.set 18 (local.tee 17 (i64.add (local.get 9) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 19 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 18) (local.tee 21 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 18) (i64.const 7)) (i64.const -4096)) (local.get 21))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 18)) (i32.load offset=65560 (local.get 19)))
  else
    return_call $core.resumeRecord (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x7
  end
  local.set 20
  local.set 23 (local.get 22)
  i64.store (local.get 20) (local.get 23)
  local.set 9 (local.get 17)
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  local.set 25 (local.tee 24 (local.get 9))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 26 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 25) (local.tee 28 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 25) (i64.const 7)) (i64.const -4096)) (local.get 28))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 25)) (i32.load offset=65560 (local.get 26)))
  else
    return_call $core.resumeRecord (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0x8
  end
  local.set 27
  local.set 29 (i64.load (local.get 27))
  local.set 30 (i64.add (local.get 24) (i64.const 8))
  local.set 9 (local.get 30)
  local.set 15 (local.get 29)
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  i64.store (i32.const 0) (local.get 15) ;; RAX
  local.set 32 (local.tee 31 (local.get 9))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 33 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 32) (local.tee 35 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 32) (i64.const 7)) (i64.const -4096)) (local.get 35))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 32)) (i32.load offset=65560 (local.get 33)))
  else
    return_call $core.resumeRecord (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0x9
  end
  local.set 34
  local.set 36 (i64.load (local.get 34))
  local.set 37 (i64.add (local.get 31) (i64.const 8))
  local.set 9 (local.get 37)
  local.set 22 (local.get 36)
  local.set 39 (i32.sub (local.tee 38 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 40 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 39))
  (i64.extend_i32_u (local.get 40))
  local.set 3 (i64.extend_i32_u (local.get 38))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 41 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
  i64.store offset=24 (i32.const 0) (local.get 22) ;; RBX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 42 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 15)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 41) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 42) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 42)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0xd
    return
  end
  if (local.get 41)
    local.set 1 (i32.sub (local.get 1) (i32.const 7))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 44 (local.tee 43 (i64.add (local.get 9) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 45 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 44) (local.tee 47 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 44) (i64.const 7)) (i64.const -4096)) (local.get 47))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 44)) (i32.load offset=65560 (local.get 45)))
      else
        return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x6
      end
      local.set 46
      local.set 48 (local.get 15)
      i64.store (local.get 46) (local.get 48)
      local.set 9 (local.get 43)
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      local.set 50 (local.tee 49 (i64.add (local.get 9) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 51 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 50) (local.tee 53 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 50) (i64.const 7)) (i64.const -4096)) (local.get 53))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 50)) (i32.load offset=65560 (local.get 51)))
      else
        return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x7
      end
      local.set 52
      local.set 54 (local.get 22)
      i64.store (local.get 52) (local.get 54)
      local.set 9 (local.get 49)
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      local.set 56 (local.tee 55 (local.get 9))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 57 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 56) (local.tee 59 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 56) (i64.const 7)) (i64.const -4096)) (local.get 59))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 56)) (i32.load offset=65560 (local.get 57)))
      else
        return_call $core.resumeRecord (i32.const 1048896) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 10, at 0x8
      end
      local.set 58
      local.set 60 (i64.load (local.get 58))
      local.set 61 (i64.add (local.get 55) (i64.const 8))
      local.set 9 (local.get 61)
      local.set 15 (local.get 60)
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      i64.store (i32.const 0) (local.get 15) ;; RAX
      local.set 63 (local.tee 62 (local.get 9))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 64 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 63) (local.tee 66 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 63) (i64.const 7)) (i64.const -4096)) (local.get 66))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 63)) (i32.load offset=65560 (local.get 64)))
      else
        return_call $core.resumeRecord (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x9
      end
      local.set 65
      local.set 67 (i64.load (local.get 65))
      local.set 68 (i64.add (local.get 62) (i64.const 8))
      local.set 9 (local.get 68)
      local.set 22 (local.get 67)
      local.set 70 (i32.sub (local.tee 69 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 71 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 70))
      (i64.extend_i32_u (local.get 71))
      local.set 3 (i64.extend_i32_u (local.get 69))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 72 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=32 (i32.const 0) (local.get 9) ;; RSP
      i64.store offset=24 (i32.const 0) (local.get 22) ;; RBX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 73 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 15)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 72) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 73) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 73)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048992) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 13, at 0xd
        return
      end
      if (local.get 72)
        local.set 1 (i32.sub (local.get 1) (i32.const 6))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1049024) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 14, at 0xf
    end
  end
  return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xf
  unreachable
)
