;; read-modify-write: one translation for the load and the store
;;
;; start: mov r9d, 50
;; again:
;; add dword ptr [rsi + 8], ecx
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i32 i32 i64 i32 i64 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64)
  local.set 15 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 9 (i64.load offset=48 (i32.const 0)) ;; RSI
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 10 (i64.add (local.get 9) (i64.const 8))
  if (result i32) (i64.eq (i64.load offset=65544 (local.tee 11 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 10) (local.tee 13 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 10) (i64.const 3)) (i64.const -4096)) (local.get 13))) ;; tlbKey
    (i32.add (i32.wrap_i64 (local.get 10)) (i32.load offset=65560 (local.get 11)))
  else
    return_call $core.resumeRecord (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
  end
  local.set 12
  local.set 14 (i32.load (local.get 12))
  local.set 17 (i32.add (local.get 14) (local.tee 16 (i32.wrap_i64 (local.get 15))))
  i32.store (local.get 12) (local.get 17)
  (i64.extend_i32_u (local.get 14))
  local.set 3 (i64.extend_i32_u (local.get 16))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 18 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 19 (i32.wrap_i64 (local.get 3)))) (local.get 19))
  local.set 21 (i32.sub (local.tee 20 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 21))
  (i64.extend_i32_u (local.get 18))
  local.set 3 (i64.extend_i32_u (local.get 20))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 22 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 23 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 14)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 22) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 23) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 23)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xc
    return
  end
  if (local.get 22)
    local.set 1 (i32.sub (local.get 1) (i32.const 4))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 24 (i64.add (local.get 9) (i64.const 8))
      if (result i32) (i64.eq (i64.load offset=65544 (local.tee 25 (i32.shl (i32.and (i32.wrap_i64 (i64.shr_u (i64.xor (local.get 24) (local.tee 27 (i64.load offset=1712 (i32.const 0)))) (i64.const 12))) (i32.const 4095)) (i32.const 5)))) (i64.xor (i64.and (i64.add (local.get 24) (i64.const 3)) (i64.const -4096)) (local.get 27))) ;; tlbKey
        (i32.add (i32.wrap_i64 (local.get 24)) (i32.load offset=65560 (local.get 25)))
      else
        return_call $core.resumeRecord (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x6
      end
      local.set 26
      local.set 28 (i32.load (local.get 26))
      local.set 30 (i32.add (local.get 28) (local.tee 29 (i32.wrap_i64 (local.get 15))))
      i32.store (local.get 26) (local.get 30)
      (i64.extend_i32_u (local.get 28))
      local.set 3 (i64.extend_i32_u (local.get 29))
      local.set 2
      local.set 5 (i32.const 10)
      local.set 31 (i32.lt_u (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 32 (i32.wrap_i64 (local.get 3)))) (local.get 32))
      local.set 34 (i32.sub (local.tee 33 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 34))
      (i64.extend_i32_u (local.get 31))
      local.set 3 (i64.extend_i32_u (local.get 33))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 35 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 36 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 14)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 35) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 36) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 36)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xc
        return
      end
      if (local.get 35)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0xe
    end
  end
  return_call $core.resumeRecord (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xe
  unreachable
)
