;; flags-over-a-join: flags of two paths that meet are read from memory
;;
;; start: mov r9d, 50
;; again:
;; test al, 1
;; jz even
;; add rbx, rcx
;; jmp join
;; even: sub rbx, rcx
;; join: setc dl
;; add al, 1
;; dec r9d
;; jnz again
;; hlt

(func $region of 4 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i64 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i64 i64 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i64 i64 i64)
  local.set 9 (i64.load (i32.const 0)) ;; RAX
  local.set 16 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 21 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 14 (i64.load offset=24 (i32.const 0)) ;; RBX
  local.set 8 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i32.const 50)
  local.set 8 (i64.extend_i32_u (local.get 7))
  local.set 10 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))
  local.set 11 (i32.const 1)
  (i64.extend_i32_u (local.get 10))
  local.set 3 (i64.extend_i32_u (local.get 11))
  local.set 2
  local.set 5 (i32.const 10)
  local.set 12 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
  i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
  local.set 13 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) (i64.const 15)) ;; ripBase
  if (i32.and (local.get 12) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 13) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 13)) (i32.const 1)))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048640) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0x8
    return
  end
  if (local.get 12)
    local.set 1 (i32.sub (local.get 1) (i32.const 3))
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    return_call $core.jumpNear (i32.const 1048640) (local.get 1) ;; record 2, at 0x8
  end
  local.set 18 (i64.add (local.tee 15 (local.get 14)) (local.tee 17 (local.get 16)))
  local.set 14 (local.get 18)
  (local.get 15)
  local.set 3 (local.get 17)
  local.set 2
  local.set 5 (i32.const 14)
  i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
  local.set 19 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 15)) (i64.const 18)) ;; ripBase
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 19) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 19)) (i32.const 1))
    i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
    i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
    i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
    call $core.leaveRegion (i32.const 1048704) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 4, at 0xd
    return
  end
  local.set 1 (i32.sub (local.get 1) (i32.const 5))
  if (i32.le_s (local.get 1) (i32.const 0))
    i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) ;; RIP, ripBase
    i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
    call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    return
  end
  loop
    call $core.spillFlags (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    local.set 5 (i32.const -1)
    call $core.settle
    local.set 20 (i32.and (i32.shr_u (i32.load offset=136 (i32.const 0)) (i32.const 0)) (i32.const 1)) ;; RFLAGS
    local.set 21 (i64.or (i64.and (local.get 21) (i64.const -256)) (i64.extend_i32_u (local.get 20)))
    local.set 24 (i32.and (i32.add (local.tee 22 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))) (local.tee 23 (i32.const 1))) (i32.const 255))
    local.set 9 (i64.or (i64.and (local.get 9) (i64.const -256)) (i64.extend_i32_u (local.get 24)))
    (i64.extend_i32_u (local.get 22))
    local.set 3 (i64.extend_i32_u (local.get 23))
    local.set 2
    local.set 5 (i32.const 18)
    local.set 25 (i32.lt_u (i32.and (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 26 (i32.wrap_i64 (local.get 3)))) (i32.const 255)) (local.get 26))
    local.set 28 (i32.sub (local.tee 27 (i32.wrap_i64 (local.get 8))) (i32.const 1))
    local.set 8 (i64.extend_i32_u (local.get 28))
    (i64.extend_i32_u (local.get 25))
    local.set 3 (i64.extend_i32_u (local.get 27))
    local.set 2
    local.set 5 (i32.const 20)
    local.set 29 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
    i64.store offset=16 (i32.const 0) (local.get 21) ;; RDX
    i64.store (i32.const 0) (local.get 9) ;; RAX
    i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
    local.set 30 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 28)) (i64.const 6)) ;; ripBase
    if (i32.and (local.get 29) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 30) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 30)) (i32.const 1)))
      i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
      i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
      i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
      call $core.leaveRegion (i32.const 1048832) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 8, at 0x1a
      return
    end
    if (local.get 29)
      local.set 1 (i32.sub (local.get 1) (i32.const 4))
      if (i32.le_s (local.get 1) (i32.const 0))
        i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 6)) ;; RIP, ripBase
        i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
        call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
        return
      end
      loop
        local.set 31 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))
        local.set 32 (i32.const 1)
        (i64.extend_i32_u (local.get 31))
        local.set 3 (i64.extend_i32_u (local.get 32))
        local.set 2
        local.set 5 (i32.const 10)
        local.set 33 (i32.eqz (i32.and (i32.wrap_i64 (local.get 2)) (i32.wrap_i64 (local.get 3))))
        local.set 34 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 10)) (i64.const 15)) ;; ripBase
        if (i32.and (local.get 33) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 34) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 34)) (i32.const 1)))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1048928) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 11, at 0x8
          return
        end
        if (local.get 33)
          local.set 1 (i32.sub (local.get 1) (i32.const 2))
          if (i32.le_s (local.get 1) (i32.const 0))
            i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 15)) ;; RIP, ripBase
            i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
            call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
            return
          end
          local.set 37 (i64.sub (local.tee 35 (local.get 14)) (local.tee 36 (local.get 16)))
          local.set 14 (local.get 37)
          (local.get 35)
          local.set 3 (local.get 36)
          local.set 2
          local.set 5 (i32.const 25)
          local.set 38 (i64.lt_u (local.get 2) (local.get 3))
          local.set 39 (local.get 38)
          local.set 21 (i64.or (i64.and (local.get 21) (i64.const -256)) (i64.extend_i32_u (local.get 39)))
          local.set 42 (i32.and (i32.add (local.tee 40 (i32.and (i32.wrap_i64 (local.get 9)) (i32.const 255))) (local.tee 41 (i32.const 1))) (i32.const 255))
          local.set 9 (i64.or (i64.and (local.get 9) (i64.const -256)) (i64.extend_i32_u (local.get 42)))
          (i64.extend_i32_u (local.get 40))
          local.set 3 (i64.extend_i32_u (local.get 41))
          local.set 2
          local.set 5 (i32.const 18)
          local.set 43 (i32.lt_u (i32.and (i32.add (i32.wrap_i64 (local.get 2)) (local.tee 44 (i32.wrap_i64 (local.get 3)))) (i32.const 255)) (local.get 44))
          local.set 46 (i32.sub (local.tee 45 (i32.wrap_i64 (local.get 8))) (i32.const 1))
          local.set 8 (i64.extend_i32_u (local.get 46))
          (i64.extend_i32_u (local.get 43))
          local.set 3 (i64.extend_i32_u (local.get 45))
          local.set 2
          local.set 5 (i32.const 20)
          local.set 47 (i32.xor (i32.eq (i32.wrap_i64 (local.get 3)) (i32.const 1)) (i32.const 1))
          i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
          i64.store offset=16 (i32.const 0) (local.get 21) ;; RDX
          i64.store (i32.const 0) (local.get 9) ;; RAX
          i64.store offset=72 (i32.const 0) (local.get 8) ;; R9
          local.set 48 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 28)) (i64.const 6)) ;; ripBase
          if (i32.and (local.get 47) (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 48) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 48)) (i32.const 1)))
            i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
            i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
            i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
            call $core.leaveRegion (i32.const 1049152) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 18, at 0x1a
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
            br 2
          end
          return_call $core.resumeRecord (i32.const 1049184) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 19, at 0x1c
        end
        local.set 51 (i64.add (local.tee 49 (local.get 14)) (local.tee 50 (local.get 16)))
        local.set 14 (local.get 51)
        (local.get 49)
        local.set 3 (local.get 50)
        local.set 2
        local.set 5 (i32.const 14)
        i64.store offset=24 (i32.const 0) (local.get 14) ;; RBX
        local.set 52 (i64.add (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 15)) (i64.const 18)) ;; ripBase
        if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 52) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 52)) (i32.const 1))
          i32.store offset=1744 (i32.const 0) (i32.const 3) ;; exitKind
          i32.store offset=1756 (i32.const 0) (i32.const 13) ;; exitVector
          i32.store offset=1760 (i32.const 0) (i32.const 0) ;; exitErrorCode
          call $core.leaveRegion (i32.const 1048992) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 13, at 0xd
          return
        end
        local.set 1 (i32.sub (local.get 1) (i32.const 4))
        if (i32.le_s (local.get 1) (i32.const 0))
          i64.store offset=128 (i32.const 0) (i64.add (i64.load offset=1664 (i32.const 0)) (i64.const 18)) ;; RIP, ripBase
          i32.store offset=1744 (i32.const 0) (i32.const 0) ;; exitKind
          call $core.leaveRegion (i32.const 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
          return
        end
        br 2
      end
    end
    return_call $core.resumeRecord (i32.const 1048864) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 9, at 0x1c
  end
  unreachable
)
