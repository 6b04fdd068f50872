;; rip-relative: an address relative to ripBase
;;
;; start: mov r9d, 50
;; again:
;; mov eax, [rip + 64]
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i64 i32 i64 i32 i32 i32 i32 i64 i64 i32 i32 i64 i32 i32 i32 i32 i32 i64)
  local.set 14 (i64.load (i32.const 0)) ;; RAX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 9 (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 76)) ;; ripBase
  if (result i32) (i64.eq (i64.load offset=65536 (local.tee 10 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 9) (local.tee 12 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 9) (i64.const 3)) (i64.const -4096)) (local.get 12))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 9)) (i32.load offset=65560 (local.get 10)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 11
  local.set 13 (i32.load (local.get 11))
  local.set 14 (i64.extend_i32_u (local.get 13))
  local.set 16 (i32.sub (local.tee 15 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 17 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 16))
  (i64.extend_i32_u (local.get 17))
  local.set 3 (i64.extend_i32_u (local.get 15))
  local.set 2
  local.set 5 (i32.const 11)
  local.set 18 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 14) ;; RAX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 19 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 18) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 19) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 19)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xf
    return
  end
  if (local.get 18)
    local.set 1 (i32.sub (local.get 1) (i32.const 4))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 20 (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 76)) ;; ripBase
      if (result i32) (i64.eq (i64.load offset=65536 (local.tee 21 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 20) (local.tee 23 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 20) (i64.const 3)) (i64.const -4096)) (local.get 23))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 20)) (i32.load offset=65560 (local.get 21)))
      else
        return_call $core.resumeRecord (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x6
      end
      local.set 22
      local.set 24 (i32.load (local.get 22))
      local.set 14 (i64.extend_i32_u (local.get 24))
      local.set 26 (i32.sub (local.tee 25 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 27 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 26))
      (i64.extend_i32_u (local.get 27))
      local.set 3 (i64.extend_i32_u (local.get 25))
      local.set 2
      local.set 5 (i32.const 11)
      local.set 28 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store (i32.const 0) (local.get 14) ;; RAX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 29 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 17)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 28) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 29) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 29)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xf
        return
      end
      if (local.get 28)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x11
    end
  end
  return_call $core.resumeRecord (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0x11
  unreachable
)
