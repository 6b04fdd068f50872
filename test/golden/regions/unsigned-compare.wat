;; unsigned-compare: JB, JBE, SETA from one comparison
;;
;; start: mov r9d, 50
;; again:
;; cmp rax, rbx
;; seta cl
;; jbe over
;; add rax, 3
;; over: add rbx, 2
;; dec r9d
;; jnz again
;; hlt

(func $region of 3 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i64 i64 i32 i64 i32 i64 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 17 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 11 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 10 (local.get 9)
  local.set 12 (local.get 11)
  (local.get 10)
  local.set 3 (local.get 12)
  local.set 2
  local.set 5 (i32.const 10)
  local.set 13 (i32.xor (i32.or (i64.lt_u (local.tee 14 (local.get 2)) (local.tee 15 (local.get 3))) (i64.eq (local.get 14) (local.get 15))) (i32.const 1))
  local.set 16 (local.get 13)
  local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 16)))
  local.set 18 (i32.or (i64.lt_u (local.tee 19 (local.get 2)) (local.tee 20 (local.get 3))) (i64.eq (local.get 19) (local.get 20)))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  i64.store offset=8 (i32.const 0) (local.get 17) ;; RCX
  local.set 21 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 14)) (i64.const 18)) ;; ripBase
  if (i32.and (local.get 18) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 21) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 21)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048672) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 3, at 0xc
    return
  end
  if (local.get 18)
    local.set 1 (i32.sub (local.get 1) (i32.const 4))
    if (i32.le_s (local.get 1) (i32.const 0))
      i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) ;; RIP, ripBase
      i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
      call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      return
    end
    loop
      local.set 24 (i64.add (local.tee 22 (local.get 11)) (local.tee 23 (i64.const 2)))
      local.set 11 (local.get 24)
      (local.get 22)
      local.set 3 (local.get 23)
      local.set 2
      local.set 5 (i32.const 15)
      local.set 25 (i64.lt_u (i64.add (local.get 2) (local.tee 26 (local.get 3))) (local.get 26))
      local.set 28 (i32.sub (local.tee 27 (i32.wrap_i64 (local.get 8))) (i32.const 1))
      local.set 8 (i64.extend_i32_u (local.get 28))
      (i64.extend_i32_u (local.get 25))
      local.set 3 (i64.extend_i32_u (local.get 27))
      local.set 2
      local.set 5 (i32.const 17)
      local.set 29 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
      i64.store offset=24 (i32.const 0) (local.get 11) ;; RBX
      i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
      local.set 30 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 27)) (i64.const 6)) ;; ripBase
      if (i32.and (local.get 29) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 30) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 30)) (i32.const 1)))
        i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
        i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
        i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
        call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x19
        return
      end
      if (local.get 29)
        local.set 1 (i32.sub (local.get 1) (i32.const 3))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        local.set 31 (local.get 9)
        local.set 32 (local.get 11)
        (local.get 31)
        local.set 3 (local.get 32)
        local.set 2
        local.set 5 (i32.const 10)
        local.set 33 (i32.xor (i32.or (i64.lt_u (local.tee 34 (local.get 2)) (local.tee 35 (local.get 3))) (i64.eq (local.get 34) (local.get 35))) (i32.const 1))
        local.set 36 (local.get 33)
        local.set 17 (i64.or (i64.and (local.get 17) (i64.const -256)) (i64.extend_i32_u (local.get 36)))
        local.set 37 (i32.or (i64.lt_u (local.tee 38 (local.get 2)) (local.tee 39 (local.get 3))) (i64.eq (local.get 38) (local.get 39)))
        i64.store offset=8 (i32.const 0) (local.get 17) ;; RCX
        local.set 40 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 14)) (i64.const 18)) ;; ripBase
        if (i32.and (local.get 37) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 40) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 40)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1049056) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 15, at 0xc
          return
        end
        if (local.get 37)
          local.set 1 (i32.sub (local.get 1) (i32.const 3))
          if (i32.le_s (local.get 1) (i32.const 0))
            i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) ;; RIP, ripBase
            i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
            call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            return
          end
          br 2
        end
        local.set 41 (i64.add (local.get 9) (i64.const 3))
        local.set 9 (local.get 41)
        local.set 44 (i64.add (local.tee 42 (local.get 11)) (local.tee 43 (i64.const 2)))
        local.set 11 (local.get 44)
        (local.get 42)
        local.set 3 (local.get 43)
        local.set 2
        local.set 5 (i32.const 15)
        local.set 45 (i64.lt_u (i64.add (local.get 2) (local.tee 46 (local.get 3))) (local.get 46))
        local.set 48 (i32.sub (local.tee 47 (i32.wrap_i64 (local.get 8))) (i32.const 1))
        local.set 8 (i64.extend_i32_u (local.get 48))
        (i64.extend_i32_u (local.get 45))
        local.set 3 (i64.extend_i32_u (local.get 47))
        local.set 2
        local.set 5 (i32.const 17)
        local.set 49 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
        i64.store (i32.const 0) (local.get 9) ;; RAX
        i64.store offset=24 (i32.const 0) (local.get 11) ;; RBX
        i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
        local.set 50 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 27)) (i64.const 6)) ;; ripBase
        if (i32.and (local.get 49) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 50) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 50)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1049184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x19
          return
        end
        if (local.get 49)
          local.set 1 (i32.sub (local.get 1) (i32.const 7))
          call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          local.set 5 (i32.const -1)
          return_call $core.jumpNear (i32.const 1049184) (local.get 1) ;; record 19, at 0x19
        end
        return_call $core.resumeRecord (i32.const 1049216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 20, at 0x1b
      end
      return_call $core.resumeRecord (i32.const 1048960) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 12, at 0x1b
    end
  end
  local.set 51 (i64.add (local.get 9) (i64.const 3))
  local.set 9 (local.get 51)
  local.set 54 (i64.add (local.tee 52 (local.get 11)) (local.tee 53 (i64.const 2)))
  local.set 11 (local.get 54)
  (local.get 52)
  local.set 3 (local.get 53)
  local.set 2
  local.set 5 (i32.const 15)
  local.set 55 (i64.lt_u (i64.add (local.get 2) (local.tee 56 (local.get 3))) (local.get 56))
  local.set 58 (i32.sub (local.tee 57 (i32.wrap_i64 (local.get 8))) (i32.const 1))
  local.set 8 (i64.extend_i32_u (local.get 58))
  (i64.extend_i32_u (local.get 55))
  local.set 3 (i64.extend_i32_u (local.get 57))
  local.set 2
  local.set 5 (i32.const 17)
  local.set 59 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
  i64.store (i32.const 0) (local.get 9) ;; RAX
  i64.store offset=24 (i32.const 0) (local.get 11) ;; RBX
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 60 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 27)) (i64.const 6)) ;; ripBase
  if (i32.and (local.get 59) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 60) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 60)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048800) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 7, at 0x19
    return
  end
  if (local.get 59)
    local.set 1 (i32.sub (local.get 1) (i32.const 8))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048800) (local.get 1) ;; record 7, at 0x19
  end
  return_call $core.resumeRecord (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x1b
  unreachable
)
