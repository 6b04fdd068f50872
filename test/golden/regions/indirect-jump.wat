;; indirect-jump: through the jump cache
;;
;; start: mov r9d, 50
;; lea rdx, [next]
;; again: jmp rdx
;; next: dec r9d
;; jnz again
;; hlt

(func $region of 1 blocks (param i32 i32)
  (local i64 i64 i64 i32 i32 i64 i64 i32 i32 i64 i64 i64)
  local.set 13 (i64.load offset=16 (i32.const 0)) ;; RDX
  local.set 11 (i64.load offset=72 (i32.const 0)) ;; R9
  local.set 5 (i32.const -1)
  local.set 7 (i64.load offset=1712 (i32.const 0)) ;; tlbKey
  local.set 8 (i64.load offset=1664 (i32.const 0)) ;; ripBase
  local.set 10 (i32.const 50)
  local.set 11 (i64.extend_i32_u (local.get 10))
  i64.store offset=72 (i32.const 0) (local.get 11) ;; R9
  local.set 12 (i64.const 65552)
  local.set 13 (local.get 12)
  i64.store offset=16 (i32.const 0) (local.get 13) ;; RDX
  local.set 12 (local.get 13)
  if (i32.xor (i64.eq (i64.shr_s (i64.shl (local.get 12) (i64.extend_i32_u (i32.const 16))) (i64.extend_i32_u (i32.const 16))) (local.get 12)) (i32.const 1))
    return_call $core.regionRaise (i32.const 2097216) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (i32.const 13) (i32.const 0) ;; record 2, at 0xe
  end
  local.set 1 (i32.sub (local.get 1) (i32.const 3))
  return_call $core.regionDispatch64 (local.get 12) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
  unreachable
)
