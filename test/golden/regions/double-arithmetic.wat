;; double-arithmetic: native where MXCSR and operands allow it
;;
;; start: mov r9d, 50
;; again:
;; addsd xmm0, xmm1
;; mulsd xmm2, xmm0
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i32 i64 i64 i64 i64 i32 i64 f64 f64 f64 v128 i32 i32 i32 i32 i32 i64 i32 i64 i64 i64 i64 i32 i64 v128 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64 i32 i64 i64 i64 i64 i32 i64 f64 f64 f64 v128 i32 i32 i32 i32 i32 i64 i32 i64 i64 i64 i64 i32 i64 v128 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i64)
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 9 (i32.load offset=696 (i32.const 0)) ;; MXCSR
  local.set 10 (i64.load offset=896 (i32.const 0)) ;; XMM0
  local.set 11 (i64.load offset=928 (i32.const 0)) ;; XMM1
  local.set 12 (local.get 10)
  local.set 13 (local.get 11)
  local.set 14 (local.get 9)
  local.set 15 (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 12)) (f64.reinterpret_i64 (local.get 13))))
  if (result i32) (i32.and (i32.and (i32.or (i64.lt_u (i64.sub (i64.shl (local.get 15) (i64.const 1)) (i64.const 9007199254740992)) (i64.const -18014398509481984)) (i64.eqz (i64.shl (local.get 15) (i64.const 1)))) (i64.ge_u (i64.sub (i64.shl (local.get 12) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))) (i64.ge_u (i64.sub (i64.shl (local.get 13) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991)))
    if (result i32) (i32.eq (i32.and (local.get 14) (i32.const 28704)) (i32.const 4128))
      (i32.const 1)
    else
      (i32.eqz (i32.and (local.get 14) (i32.const 24576)))
      local.set 16 (f64.reinterpret_i64 (local.get 15))
      local.set 17 (f64.reinterpret_i64 (local.get 13))
      local.set 18 (f64.sub (local.get 16) (f64.reinterpret_i64 (local.get 12)))
      (f64.eq (f64.add (f64.sub (f64.reinterpret_i64 (local.get 12)) (f64.sub (local.get 16) (local.get 18))) (f64.sub (local.get 17) (local.get 18))) (f64.sub (local.get 16) (local.get 16)))
      i32.and
    end
  else
    (i32.const 0)
  end
  if (result v128)
    (i64x2.replace_lane 0 (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0) (local.get 15))
  else
    i64.store offset=2816 (i32.const 0) (local.get 10) ;; vectorScratch
    i64.store offset=2832 (i32.const 0) (local.get 11)
    i32.store offset=2848 (i32.const 0) (local.get 9)
    call $host.foreign (i32.const 0)
    (v128.load offset=2816 (i32.const 0)) ;; vectorScratch
  end
  local.set 19
  local.set 20 (i8x16.extract_lane_u 8 (local.get 19))
  local.set 21 (i32.and (i32.and (local.get 20) (i32.xor (i32.and (i32.shr_u (local.get 9) (i32.const 7)) (i32.const 255)) (i32.const 255))) (i32.const 63))
  local.set 22 (i32.xor (i32.eqz (local.get 21)) (i32.const 1))
  local.set 23 (i32.and (i32.wrap_i64 (i64.shr_u (i64.load offset=168 (i32.const 0)) (i64.const 10))) (i32.const 1)) ;; CR4
  local.set 24 (i32.or (local.get 9) (select (local.get 20) (i32.and (local.get 20) (i32.const 7)) (i32.eqz (i32.and (local.get 21) (i32.const 7)))))
  if (i32.and (local.get 22) (local.get 23))
    i32.store offset=696 (i32.const 0) (local.get 24) ;; MXCSR
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 19) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
    return
  end
  if (i32.and (local.get 22) (i32.xor (local.get 23) (i32.const 1)))
    i32.store offset=696 (i32.const 0) (local.get 24) ;; MXCSR
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 6) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048608) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 1, at 0x6
    return
  end
  local.set 25 (i64x2.extract_lane 0 (local.get 19))
  i32.store offset=696 (i32.const 0) (local.get 24) ;; MXCSR
  i64.store offset=896 (i32.const 0) (local.get 25) ;; XMM0
  local.set 26 (i32.load offset=696 (i32.const 0)) ;; MXCSR
  local.set 27 (i64.load offset=960 (i32.const 0)) ;; XMM2
  local.set 28 (i64.load offset=896 (i32.const 0)) ;; XMM0
  local.set 29 (local.get 27)
  local.set 30 (local.get 28)
  local.set 31 (local.get 26)
  local.set 32 (i64.reinterpret_f64 (f64.mul (f64.reinterpret_i64 (local.get 29)) (f64.reinterpret_i64 (local.get 30))))
  if (result i32) (i32.and (i32.and (i32.or (i64.lt_u (i64.sub (i64.shl (local.get 32) (i64.const 1)) (i64.const 18014398509481984)) (i64.const -27021597764222976)) (i32.and (i64.eqz (i64.shl (local.get 32) (i64.const 1))) (i32.or (i64.eqz (i64.shl (local.get 29) (i64.const 1))) (i64.eqz (i64.shl (local.get 30) (i64.const 1)))))) (i64.ge_u (i64.sub (i64.shl (local.get 29) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))) (i64.ge_u (i64.sub (i64.shl (local.get 30) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991)))
    if (result i32) (i32.eq (i32.and (local.get 31) (i32.const 28704)) (i32.const 4128))
      (i32.const 1)
    else
      (i32.and (i32.eqz (i32.and (local.get 31) (i32.const 24576))) (i64.eqz (i64.and (i64.or (local.get 29) (local.get 30)) (i64.const 134217727))))
    end
  else
    (i32.const 0)
  end
  if (result v128)
    (i64x2.replace_lane 0 (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0) (local.get 32))
  else
    i64.store offset=2816 (i32.const 0) (local.get 27) ;; vectorScratch
    i64.store offset=2832 (i32.const 0) (local.get 28)
    i32.store offset=2848 (i32.const 0) (local.get 26)
    call $host.foreign (i32.const 1)
    (v128.load offset=2816 (i32.const 0)) ;; vectorScratch
  end
  local.set 33
  local.set 34 (i8x16.extract_lane_u 8 (local.get 33))
  local.set 35 (i32.and (i32.and (local.get 34) (i32.xor (i32.and (i32.shr_u (local.get 26) (i32.const 7)) (i32.const 255)) (i32.const 255))) (i32.const 63))
  local.set 36 (i32.xor (i32.eqz (local.get 35)) (i32.const 1))
  local.set 37 (i32.and (i32.wrap_i64 (i64.shr_u (i64.load offset=168 (i32.const 0)) (i64.const 10))) (i32.const 1)) ;; CR4
  local.set 38 (i32.or (local.get 26) (select (local.get 34) (i32.and (local.get 34) (i32.const 7)) (i32.eqz (i32.and (local.get 35) (i32.const 7)))))
  if (i32.and (local.get 36) (local.get 37))
    i32.store offset=696 (i32.const 0) (local.get 38) ;; MXCSR
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 19) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xa
    return
  end
  if (i32.and (local.get 36) (i32.xor (local.get 37) (i32.const 1)))
    i32.store offset=696 (i32.const 0) (local.get 38) ;; MXCSR
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 6) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xa
    return
  end
  local.set 39 (i64x2.extract_lane 0 (local.get 33))
  i32.store offset=696 (i32.const 0) (local.get 38) ;; MXCSR
  i64.store offset=960 (i32.const 0) (local.get 39) ;; XMM2
  local.set 41 (i32.sub (local.tee 40 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  call $core.settle
  local.set 42 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
  local.set 8 (i64.extend_i32_u (local.get 41))
  (i64.extend_i32_u (local.get 42))
  local.set 3 (i64.extend_i32_u (local.get 40))
  local.set 2
  local.set 5 (i32.const 12)
  local.set 43 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 44 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 19)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 43) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 44) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 44)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0x11
    return
  end
  if (local.get 43)
    local.set 1 (i32.sub (local.get 1) (i32.const 5))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 45 (i32.load offset=696 (i32.const 0)) ;; MXCSR
      local.set 46 (i64.load offset=896 (i32.const 0)) ;; XMM0
      local.set 47 (i64.load offset=928 (i32.const 0)) ;; XMM1
      local.set 48 (local.get 46)
      local.set 49 (local.get 47)
      local.set 50 (local.get 45)
      local.set 51 (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 48)) (f64.reinterpret_i64 (local.get 49))))
      if (result i32) (i32.and (i32.and (i32.or (i64.lt_u (i64.sub (i64.shl (local.get 51) (i64.const 1)) (i64.const 9007199254740992)) (i64.const -18014398509481984)) (i64.eqz (i64.shl (local.get 51) (i64.const 1)))) (i64.ge_u (i64.sub (i64.shl (local.get 48) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))) (i64.ge_u (i64.sub (i64.shl (local.get 49) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991)))
        if (result i32) (i32.eq (i32.and (local.get 50) (i32.const 28704)) (i32.const 4128))
          (i32.const 1)
        else
          (i32.eqz (i32.and (local.get 50) (i32.const 24576)))
          local.set 52 (f64.reinterpret_i64 (local.get 51))
          local.set 53 (f64.reinterpret_i64 (local.get 49))
          local.set 54 (f64.sub (local.get 52) (f64.reinterpret_i64 (local.get 48)))
          (f64.eq (f64.add (f64.sub (f64.reinterpret_i64 (local.get 48)) (f64.sub (local.get 52) (local.get 54))) (f64.sub (local.get 53) (local.get 54))) (f64.sub (local.get 52) (local.get 52)))
          i32.and
        end
      else
        (i32.const 0)
      end
      if (result v128)
        (i64x2.replace_lane 0 (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0) (local.get 51))
      else
        i64.store offset=2816 (i32.const 0) (local.get 46) ;; vectorScratch
        i64.store offset=2832 (i32.const 0) (local.get 47)
        i32.store offset=2848 (i32.const 0) (local.get 45)
        call $host.foreign (i32.const 0)
        (v128.load offset=2816 (i32.const 0)) ;; vectorScratch
      end
      local.set 55
      local.set 56 (i8x16.extract_lane_u 8 (local.get 55))
      local.set 57 (i32.and (i32.and (local.get 56) (i32.xor (i32.and (i32.shr_u (local.get 45) (i32.const 7)) (i32.const 255)) (i32.const 255))) (i32.const 63))
      local.set 58 (i32.xor (i32.eqz (local.get 57)) (i32.const 1))
      local.set 59 (i32.and (i32.wrap_i64 (i64.shr_u (i64.load offset=168 (i32.const 0)) (i64.const 10))) (i32.const 1)) ;; CR4
      local.set 60 (i32.or (local.get 45) (select (local.get 56) (i32.and (local.get 56) (i32.const 7)) (i32.eqz (i32.and (local.get 57) (i32.const 7)))))
      if (i32.and (local.get 58) (local.get 59))
        i32.store offset=696 (i32.const 0) (local.get 60) ;; MXCSR
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 19) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
        return
      end
      if (i32.and (local.get 58) (i32.xor (local.get 59) (i32.const 1)))
        i32.store offset=696 (i32.const 0) (local.get 60) ;; MXCSR
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 6) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048768) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 6, at 0x6
        return
      end
      local.set 61 (i64x2.extract_lane 0 (local.get 55))
      i32.store offset=696 (i32.const 0) (local.get 60) ;; MXCSR
      i64.store offset=896 (i32.const 0) (local.get 61) ;; XMM0
      local.set 62 (i32.load offset=696 (i32.const 0)) ;; MXCSR
      local.set 63 (i64.load offset=960 (i32.const 0)) ;; XMM2
      local.set 64 (i64.load offset=896 (i32.const 0)) ;; XMM0
      local.set 65 (local.get 63)
      local.set 66 (local.get 64)
      local.set 67 (local.get 62)
      local.set 68 (i64.reinterpret_f64 (f64.mul (f64.reinterpret_i64 (local.get 65)) (f64.reinterpret_i64 (local.get 66))))
      if (result i32) (i32.and (i32.and (i32.or (i64.lt_u (i64.sub (i64.shl (local.get 68) (i64.const 1)) (i64.const 18014398509481984)) (i64.const -27021597764222976)) (i32.and (i64.eqz (i64.shl (local.get 68) (i64.const 1))) (i32.or (i64.eqz (i64.shl (local.get 65) (i64.const 1))) (i64.eqz (i64.shl (local.get 66) (i64.const 1)))))) (i64.ge_u (i64.sub (i64.shl (local.get 65) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991))) (i64.ge_u (i64.sub (i64.shl (local.get 66) (i64.const 1)) (i64.const 1)) (i64.const 9007199254740991)))
        if (result i32) (i32.eq (i32.and (local.get 67) (i32.const 28704)) (i32.const 4128))
          (i32.const 1)
        else
          (i32.and (i32.eqz (i32.and (local.get 67) (i32.const 24576))) (i64.eqz (i64.and (i64.or (local.get 65) (local.get 66)) (i64.const 134217727))))
        end
      else
        (i32.const 0)
      end
      if (result v128)
        (i64x2.replace_lane 0 (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0) (local.get 68))
      else
        i64.store offset=2816 (i32.const 0) (local.get 63) ;; vectorScratch
        i64.store offset=2832 (i32.const 0) (local.get 64)
        i32.store offset=2848 (i32.const 0) (local.get 62)
        call $host.foreign (i32.const 1)
        (v128.load offset=2816 (i32.const 0)) ;; vectorScratch
      end
      local.set 69
      local.set 70 (i8x16.extract_lane_u 8 (local.get 69))
      local.set 71 (i32.and (i32.and (local.get 70) (i32.xor (i32.and (i32.shr_u (local.get 62) (i32.const 7)) (i32.const 255)) (i32.const 255))) (i32.const 63))
      local.set 72 (i32.xor (i32.eqz (local.get 71)) (i32.const 1))
      local.set 73 (i32.and (i32.wrap_i64 (i64.shr_u (i64.load offset=168 (i32.const 0)) (i64.const 10))) (i32.const 1)) ;; CR4
      local.set 74 (i32.or (local.get 62) (select (local.get 70) (i32.and (local.get 70) (i32.const 7)) (i32.eqz (i32.and (local.get 71) (i32.const 7)))))
      if (i32.and (local.get 72) (local.get 73))
        i32.store offset=696 (i32.const 0) (local.get 74) ;; MXCSR
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 19) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xa
        return
      end
      if (i32.and (local.get 72) (i32.xor (local.get 73) (i32.const 1)))
        i32.store offset=696 (i32.const 0) (local.get 74) ;; MXCSR
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 6) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const -1) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0xa
        return
      end
      local.set 75 (i64x2.extract_lane 0 (local.get 69))
      i32.store offset=696 (i32.const 0) (local.get 74) ;; MXCSR
      i64.store offset=960 (i32.const 0) (local.get 75) ;; XMM2
      local.set 77 (i32.sub (local.tee 76 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      local.set 5 (i32.const -1)
      call $core.settle
      local.set 78 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
      local.set 8 (i64.extend_i32_u (local.get 77))
      (i64.extend_i32_u (local.get 78))
      local.set 3 (i64.extend_i32_u (local.get 76))
      local.set 2
      local.set 5 (i32.const 12)
      local.set 79 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 80 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 19)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 79) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 80) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 80)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x11
        return
      end
      if (local.get 79)
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
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
      return_call_indirect (param i32 i32) (i32.const 1048896) (local.get 1) (i32.load (i32.const 1048896)) ;; record 10, at 0x13
    end
  end
  call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  local.set 5 (i32.const -1)
  return_call_indirect (param i32 i32) (i32.const 1048736) (local.get 1) (i32.load (i32.const 1048736)) ;; record 5, at 0x13
  unreachable
)
