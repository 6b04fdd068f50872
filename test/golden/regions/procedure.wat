;; procedure: an instruction that TypeScript carries out ends the block
;;
;; start: mov r9d, 50
;; again:
;; mov eax, 1
;; cpuid
;; add rbx, rax
;; dec r9d
;; jnz again
;; hlt

(func $region of 1 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64)
  local.set 12 (i64.load (i32.const 0)) ;; RAX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 10 (i32.const 1)
  local.set 12 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  i64.store (i32.const 0) (local.get 12) ;; RAX
  return_call $core.resumeRecord (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 2, at 0xb
  unreachable
)
