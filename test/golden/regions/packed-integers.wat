;; packed-integers: 128-bit SIMD
;;
;; start: mov r9d, 50
;; again:
;; paddd xmm0, xmm1
;; pxor xmm2, xmm0
;; pcmpeqb xmm3, xmm2
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 v128 v128 v128 i32 i32 i32 i32 i64 v128 v128 v128 i32 i32 i32 i32 i64)
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 9 (i32x4.add (v128.load offset=896 (i32.const 0)) (v128.load offset=928 (i32.const 0))) ;; XMM0, XMM1
  v128.store offset=896 (i32.const 0) (local.get 9) ;; XMM0
  local.set 10 (v128.xor (v128.load offset=960 (i32.const 0)) (v128.load offset=896 (i32.const 0))) ;; XMM2, XMM0
  v128.store offset=960 (i32.const 0) (local.get 10) ;; XMM2
  local.set 11 (i8x16.eq (v128.load offset=992 (i32.const 0)) (v128.load offset=960 (i32.const 0))) ;; XMM3, XMM2
  v128.store offset=992 (i32.const 0) (local.get 11) ;; XMM3
  local.set 13 (i32.sub (local.tee 12 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 14 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 13))
  (i64.extend_i32_u (local.get 14))
  local.set 3 (i64.extend_i32_u (local.get 12))
  local.set 2
  local.set 5 (i32.const 13)
  local.set 15 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 16 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 23)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 15) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 16) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 16)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048736) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x15
    return
  end
  if (local.get 15)
    local.set 1 (i32.sub (local.get 1) (i32.const 6))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 17 (i32x4.add (v128.load offset=896 (i32.const 0)) (v128.load offset=928 (i32.const 0))) ;; XMM0, XMM1
      v128.store offset=896 (i32.const 0) (local.get 17) ;; XMM0
      local.set 18 (v128.xor (v128.load offset=960 (i32.const 0)) (v128.load offset=896 (i32.const 0))) ;; XMM2, XMM0
      v128.store offset=960 (i32.const 0) (local.get 18) ;; XMM2
      local.set 19 (i8x16.eq (v128.load offset=992 (i32.const 0)) (v128.load offset=960 (i32.const 0))) ;; XMM3, XMM2
      v128.store offset=992 (i32.const 0) (local.get 19) ;; XMM3
      local.set 21 (i32.sub (local.tee 20 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 22 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 21))
      (i64.extend_i32_u (local.get 22))
      local.set 3 (i64.extend_i32_u (local.get 20))
      local.set 2
      local.set 5 (i32.const 13)
      local.set 23 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 24 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 23)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 23) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 24) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 24)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x15
        return
      end
      if (local.get 23)
        local.set 1 (i32.sub (local.get 1) (i32.const 5))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 1
      end
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      return_call_indirect (param i32 i32) (i32.const 1048960) (local.get 1) (i32.load (i32.const 1048960)) ;; record 12, at 0x17
    end
  end
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  return_call_indirect (param i32 i32) (i32.const 1048768) (local.get 1) (i32.load (i32.const 1048768)) ;; record 6, at 0x17
  unreachable
)
