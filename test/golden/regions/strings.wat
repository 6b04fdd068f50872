;; strings: string instructions
;;
;; start: mov r9d, 50
;; again:
;; mov rsi, 0x13000
;; mov rdi, 0x14000
;; mov ecx, 8
;; rep movsq
;; lodsb
;; stosd
;; dec r9d
;; jnz again
;; hlt

(func $region of 2 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64 i64 i64)
  local.set 15 (i64.load offset=8 (i32.const 0)) ;; RCX
  local.set 13 (i64.load offset=48 (i32.const 0)) ;; RSI
  local.set 14 (i64.load offset=56 (i32.const 0)) ;; RDI
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  local.set 12 (i64.const 77824)
  local.set 13 (local.get 12)
  local.set 12 (i64.const 81920)
  local.set 14 (local.get 12)
  local.set 10 (i32.const 8)
  local.set 15 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  i64.store offset=48 (i32.const 0) (local.get 13) ;; RSI
  i64.store offset=56 (i32.const 0) (local.get 14) ;; RDI
  i64.store offset=8 (i32.const 0) (local.get 15) ;; RCX
  local.set 1 (i32.sub (local.get 1) (i32.const 4))
  if (i32.le_s (local.get 1) (i32.const 0))
    return_call $core.regionBudget (i64.add (local.get 8) (i64.const 25)) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  end
  return_call $core.resumeRecord (i32.const 2097312) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) ;; record 5, at 0x19
  unreachable
)
