;; load-add-store: the TLB is looked up inline; one slow path for all accesses
;;
;; start: mov r9d, 50
;; again:
;; mov rax, [0x13000]
;; add rax, rcx
;; mov [0x13008], rax
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64 i32 i64 i32 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64 i32 i64 i32 i32 i32 i64)
  local.set 14 (i64.load (i32.const 0)) ;; RAX
  local.set 16 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 9 (i64.const 77824)
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 9) (local.tee 12 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 9) (i64.const 7)) (i64.const -4096)) (local.get 12))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 9)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 11
  local.set 13 (i64.load (local.get 11))
  local.set 14 (local.get 13)
  local.set 18 (i64.add (local.tee 15 (local.get 14)) (local.tee 17 (local.get 16)))
  local.set 14 (local.get 18)
  (local.get 15)
  local.set 3 (local.get 17)
  local.set 2
  local.set 5 (i32.const 11)
  i64.store (i32.const 0) (local.get 14) ;; RAX
  local.set 19 (i64.const 77832)
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 20 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 19) (local.tee 22 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 19) (i64.const 7)) (i64.const -4096)) (local.get 22))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 19)) (i32.load offset=65560 (local.get 20)))
  else
    return_call $core.resumeRecord (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0x11
  end
  local.set 21
  local.set 23 (local.get 14)
  i64.store (local.get 21) (local.get 23)
  local.set 24 (i64.lt_u (i64.add (local.get 2) (local.tee 25 (local.get 3))) (local.get 25))
  local.set 27 (i32.sub (local.tee 26 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 27))
  (i64.extend_i32_u (local.get 24))
  local.set 3 (i64.extend_i32_u (local.get 26))
  local.set 2
  local.set 5 (i32.const 14)
  local.set 28 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 29 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 30)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 28) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 29) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 29)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x1c
    return
  end
  if (local.get 28)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 30 (i64.const 77824)
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 31 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 30) (local.tee 33 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 30) (i64.const 7)) (i64.const -4096)) (local.get 33))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 30)) (i32.load offset=65560 (local.get 31)))
      else
        return_call $core.resumeRecord (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x6
      end
      local.set 32
      local.set 34 (i64.load (local.get 32))
      local.set 14 (local.get 34)
      local.set 37 (i64.add (local.tee 35 (local.get 14)) (local.tee 36 (local.get 16)))
      local.set 14 (local.get 37)
      (local.get 35)
      local.set 3 (local.get 36)
      local.set 2
      local.set 5 (i32.const 11)
      i64.store (i32.const 0) (local.get 14) ;; RAX
      local.set 38 (i64.const 77832)
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 39 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 38) (local.tee 41 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 38) (i64.const 7)) (i64.const -4096)) (local.get 41))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 38)) (i32.load offset=65560 (local.get 39)))
      else
        return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x11
      end
      local.set 40
      local.set 42 (local.get 14)
      i64.store (local.get 40) (local.get 42)
      local.set 43 (i64.lt_u (i64.add (local.get 2) (local.tee 44 (local.get 3))) (local.get 44))
      local.set 46 (i32.sub (local.tee 45 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 46))
      (i64.extend_i32_u (local.get 43))
      local.set 3 (i64.extend_i32_u (local.get 45))
      local.set 2
      local.set 5 (i32.const 14)
      local.set 47 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 48 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 30)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 47) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 48) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 48)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x1c
        return
      end
      if (local.get 47)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x1e
    end
  end
  return_call $core.resumeRecord (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x1e
  unreachable
)
