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
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i64 i32 i32 i64 i64 i64 i32 i64 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 28 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 11 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 14 (i64.load offset=32 (i32.const 0)) ;; RSP
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 13 (i64.add (local.tee 10 (local.get 9)) (local.tee 12 (local.get 11)))
  local.set 9 (local.get 13)
  (local.get 10)
  local.set 3 (local.get 12)
  local.set 2
  local.set 5 (i32.const 10)
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store (i32.const 0) (local.get 9) ;; RAX
  local.set 16 (local.tee 15 (i64.add (local.get 14) (i64.const -8)))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 17 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 16) (local.tee 19 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 16) (i64.const 7)) (i64.const -4096)) (local.get 19))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 16)) (i32.load offset=65560 (local.get 17)))
  else
    return_call $core.resumeRecord (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x9
  end
  local.set 18
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 20 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
  i64.store (local.get 18) (local.get 20)
  local.set 14 (local.get 15)
  i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
  local.set 22 (local.tee 21 (local.get 14))
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 23 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 22) (local.tee 25 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 22) (i64.const 7)) (i64.const -4096)) (local.get 25))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 22)) (i32.load offset=65560 (local.get 23)))
  else
    return_call $core.resumeRecord (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xa
  end
  local.set 24
  local.set 26 (i64.load (local.get 24))
  local.set 27 (i64.add (local.get 21) (i64.const 8))
  local.set 14 (local.get 27)
  local.set 28 (local.get 26)
  local.set 29 (i64.lt_u (i64.add (local.get 2) (local.tee 30 (local.get 3))) (local.get 30))
  local.set 32 (i32.sub (local.tee 31 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 32))
  (i64.extend_i32_u (local.get 29))
  local.set 3 (i64.extend_i32_u (local.get 31))
  local.set 2
  local.set 5 (i32.const 14)
  local.set 33 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
  i64.store offset=8 (i32.const 0) (local.get 28) ;; RCX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 34 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 16)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 33) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 34) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 34)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0xe
    return
  end
  if (local.get 33)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 37 (i64.add (local.tee 35 (local.get 9)) (local.tee 36 (local.get 11)))
      local.set 9 (local.get 37)
      (local.get 35)
      local.set 3 (local.get 36)
      local.set 2
      local.set 5 (i32.const 10)
      i64.store (i32.const 0) (local.get 9) ;; RAX
      local.set 39 (local.tee 38 (i64.add (local.get 14) (i64.const -8)))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 40 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 39) (local.tee 42 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 39) (i64.const 7)) (i64.const -4096)) (local.get 42))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 39)) (i32.load offset=65560 (local.get 40)))
      else
        return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x9
      end
      local.set 41
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 43 (i64.and (i64.load offset=136 (i32.const 0)) (i64.const 16580607)) ;; RFLAGS
      i64.store (local.get 41) (local.get 43)
      local.set 14 (local.get 38)
      i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
      local.set 45 (local.tee 44 (local.get 14))
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 46 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 45) (local.tee 48 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 45) (i64.const 7)) (i64.const -4096)) (local.get 48))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 45)) (i32.load offset=65560 (local.get 46)))
      else
        return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0xa
      end
      local.set 47
      local.set 49 (i64.load (local.get 47))
      local.set 50 (i64.add (local.get 44) (i64.const 8))
      local.set 14 (local.get 50)
      local.set 28 (local.get 49)
      local.set 51 (i64.lt_u (i64.add (local.get 2) (local.tee 52 (local.get 3))) (local.get 52))
      local.set 54 (i32.sub (local.tee 53 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 54))
      (i64.extend_i32_u (local.get 51))
      local.set 3 (i64.extend_i32_u (local.get 53))
      local.set 2
      local.set 5 (i32.const 14)
      local.set 55 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=32 (i32.const 0) (local.get 14) ;; RSP
      i64.store offset=8 (i32.const 0) (local.get 28) ;; RCX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 56 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 16)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 55) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 56) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 56)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0xe
        return
      end
      if (local.get 55)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x10
    end
  end
  return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x10
  unreachable
)
