import { type Assembly, assemble } from "../../../src/asm/index.ts";
import { STATIC_ORIGIN } from "../elf.ts";
import { KVM, kvmRun } from "./kvm.ts";
import { OPERATION_QUADWORDS, operations } from "./operations.ts";

/** Where the client maps kvm_run of its two processors, and its guest's memory. */
export const KVM_RUN = 0x1000_0000;
export const KVM_RUN_2 = 0x1001_0000;
export const GUEST_MEMORY = 0x2000_0000;
/** Bytes of guest memory, from physical address 0. Above it there is nothing: accesses are MMIO. */
export const GUEST_BYTES = 0x8_0000;

/** Linux system calls by number (arch/x86/entry/syscalls/syscall_64.tbl). */
// biome-ignore format: one list
const SYS = {
  read: 0, write: 1, open: 2, close: 3, mmap: 9, munmap: 11, rt_sigaction: 13, rt_sigreturn: 15, ioctl: 16, setitimer: 38, clone: 56, exit: 60,
  futex: 202, exit_group: 231,
} as const;
const EINTR = 4;
const EAGAIN = 11;
const SIGALRM = 14;
const SA_RESTORER = 0x0400_0000;
const O_RDWR = 2;
const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;
const MAP_ANONYMOUS = 0x20;
/** VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, CHILD_CLEARTID, CHILD_SETTID. */
const CLONE_THREAD = 0x124_0f00 | 0x1_0000;

/** A scenario that does not end in this time has failed. Seconds of the guest's own clock. */
const SCENARIO_SECONDS = 60;

const OPERATION_BYTES = 8 * OPERATION_QUADWORDS;

/**
 * The client's program: it interprets scenarios (lists of operations), prints a line per check, and measures exits in loops.
 * Registers that live long: RBX the operation, RBP the scenario's name, R13 the scenario's entry, R14 and R15 the words.
 */
const source = `
        bits 64
start:  mov rax, [rsp]
        cmp rax, 2
        jb usage
        mov r14, [rsp + 16]
        mov r15, [rsp + 24]
        mov rdi, kvmPath
        mov esi, ${O_RDWR}
        xor edx, edx
        mov eax, ${SYS.open}
        syscall
        mov [kvm], eax
        test eax, eax
        js noKvm
        mov edi, ${SIGALRM}
        mov rsi, alarmAction
        xor edx, edx
        mov r10d, 8
        mov eax, ${SYS.rt_sigaction}
        syscall
        mov rsi, testWord
        call isWord
        je test
        mov rsi, benchIoWord
        call isWord
        je benchIo
        mov rsi, benchCpuidWord
        call isWord
        je benchCpuid
usage:  mov rsi, usageText
        call text
        call endLine
        mov edi, 2
        jmp exit
noKvm:  mov rsi, noKvmText
        call text
        movsxd rax, dword [kvm]
        call decimal
        call endLine
        mov edi, 1
exit:   mov eax, ${SYS.exit_group}
        syscall

; ZF: the words at R14 and RSI are equal.
isWord: mov rdi, r14
.next:  mov al, [rsi]
        cmp al, [rdi]
        jne .end
        inc rsi
        inc rdi
        test al, al
        jnz .next
.end:   ret

; ------------------------------------------------------------------------------------------------------------- the test
test:   mov r13, [scenarioTable]
.next:  mov rbp, [r13]
        test rbp, rbp
        jz summary
        call isWanted
        jne .skip
        mov rbx, [r13 + 8]
        call perform
.skip:  add r13, 16
        jmp .next

summary:
        mov rsi, summaryText
        call text
        mov rax, [passed]
        call decimal
        mov rsi, passedText
        call text
        mov rax, [failed]
        call decimal
        mov rsi, failedText
        call text
        mov rax, [skipped]
        call decimal
        mov rsi, skippedText
        call text
        call endLine
        xor edi, edi
        cmp qword [failed], 0
        setne dil
        cmp qword [passed], 0
        jne exit
        mov edi, 1
        jmp exit

; ZF: no scenario was named, or the name at RBP begins with the word at R15.
isWanted:
        test r15, r15
        jz .end
        mov rsi, r15
        mov rdi, rbp
.next:  mov al, [rsi]
        test al, al
        jz .end
        cmp al, [rdi]
        jne .end
        inc rsi
        inc rdi
        jmp .next
.end:   ret

; Performs the operations from RBX on and leaves no descriptor open. EAX: 2 when they came to their end.
perform:
        mov dword [timedOut], 0
        xor edi, edi
        mov rsi, deadline
        xor edx, edx
        mov eax, ${SYS.setitimer}
        syscall
.next:  mov rax, [rbx]
        call [operations + rax * 8]
        test eax, eax
        jnz .stop
        add rbx, ${OPERATION_BYTES}
        jmp .next
.stop:  cmp dword [keep], 0
        jne .end
        push rax
        xor edi, edi
        mov rsi, noDeadline
        xor edx, edx
        mov eax, ${SYS.setitimer}
        syscall
        mov rdi, ${KVM_RUN}
        mov esi, 0x20000
        mov eax, ${SYS.munmap}
        syscall
        mov rdi, ${GUEST_MEMORY}
        mov esi, ${GUEST_BYTES}
        mov eax, ${SYS.munmap}
        syscall
        mov r12, vm
.close: mov edi, [r12]
        mov dword [r12], -1
        mov eax, ${SYS.close}
        syscall
        add r12, 4
        cmp r12, descriptorsEnd
        jb .close
        pop rax
.end:   ret

; ------------------------------------------------------------------------- operations; EAX: 0 go on, 1 failed, 2 the end
opEND:  mov eax, 2
        ret

opOK:   mov rsi, okText
        call text
        mov rsi, rbp
        call text
        mov rsi, colon
        call text
        mov rsi, [rbx + 40]
        call text
        call endLine
        inc qword [passed]
        xor eax, eax
        ret

; "FAILED scenario: what"; EAX is 1 at the end of the operation that calls it.
complain:
        mov rsi, failedLine
        call text
        mov rsi, rbp
        call text
        mov rsi, colon
        call text
        mov rsi, [rbx + 40]
        call text
        inc qword [failed]
        ret

request:
        mov rdi, [rbx + 8]
        mov edi, [rdi]
        mov rsi, [rbx + 16]
        mov rdx, [rbx + 24]
        mov eax, ${SYS.ioctl}
        syscall
        movsxd rax, eax
        ret

opIOCTL:
        call request
        cmp rax, [rbx + 32]
        jne .wrong
        xor eax, eax
        ret
.wrong: mov r12, rax
        call complain
        mov rsi, givesText
        call text
        mov rax, r12
        call decimal
        mov rsi, insteadText
        call text
        mov rax, [rbx + 32]
        call decimal
        call endLine
        mov eax, 1
        ret

opOPEN: call request
        test rax, rax
        js .wrong
        mov rdx, [rbx + 32]
        mov [rdx], eax
        xor eax, eax
        ret
.wrong: mov r12, rax
        call complain
        mov rsi, givesText
        call text
        mov rax, r12
        call decimal
        call endLine
        mov eax, 1
        ret

opCOPY: mov rdi, [rbx + 8]
        mov rsi, [rbx + 16]
        mov rcx, [rbx + 24]
        rep movsb
        xor eax, eax
        ret

; Names every quadword that differs.
opEQUAL:
        xor r12d, r12d
        xor r8d, r8d
.next:  cmp r12, [rbx + 24]
        jae .end
        mov rsi, [rbx + 8]
        mov rdi, [rbx + 16]
        mov rax, [rsi + r12]
        cmp rax, [rdi + r12]
        je .same
        test r8d, r8d
        jnz .name
        call complain
        inc r8d
.name:  mov rsi, semicolon
        call text
        call quadwordName
        mov rsi, isText
        call text
        mov rsi, [rbx + 8]
        mov rax, [rsi + r12]
        call hex
        mov rsi, insteadText
        call text
        mov rdi, [rbx + 16]
        mov rax, [rdi + r12]
        call hex
.same:  add r12, 8
        jmp .next
.end:   test r8d, r8d
        jz .good
        call endLine
        mov r8d, 1
.good:  mov eax, r8d
        ret

; The name of the quadword at offset R12: the operation's own, or the offset.
quadwordName:
        mov rsi, [rbx + 32]
        test rsi, rsi
        jz .offset
        mov rcx, r12
        shr rcx, 3
.find:  test rcx, rcx
        jz text
.skip:  inc rsi
        cmp byte [rsi - 1], 0
        jne .skip
        dec rcx
        jmp .find
.offset:
        mov rsi, offsetText
        call text
        mov rax, r12
        jmp hex

; KVM_RUN on descriptor EDI until it is not a signal that ends it. RAX: its result.
enter:  mov esi, ${KVM.RUN}
        xor edx, edx
        mov eax, ${SYS.ioctl}
        syscall
        movsxd rax, eax
        cmp dword [timedOut], 0
        jne .end
        cmp rax, -${EINTR}
        je enter
        cmp rax, -${EAGAIN}
        je enter
.end:   ret

opRUN:  mov rdi, [rbx + 8]
        mov edi, [rdi]
        call enter
        test rax, rax
        jnz .refused
        mov rdx, [rbx + 16]
        mov eax, [rdx + ${kvmRun.exitReason}]
        cmp rax, [rbx + 24]
        jne .other
        xor eax, eax
        ret
.refused:
        mov r12, rax
        call complain
        mov rsi, refusedText
        cmp dword [timedOut], 0
        je .say
        mov rsi, timeText
.say:   call text
        mov rax, r12
        call decimal
        jmp .state
.other: call complain
        call exitReason
        mov rsi, insteadText
        call text
        mov rax, [rbx + 24]
        call decimal
.state: call processorState
        call endLine
        mov eax, 1
        ret

; "; exit reason 17 (0x3 0x0 0x0)": with the first quadwords of the union.
exitReason:
        mov rsi, reasonText
        call text
        mov rdx, [rbx + 16]
        mov eax, [rdx + ${kvmRun.exitReason}]
        call decimal
        mov r12d, ${kvmRun.union}
.next:  mov rsi, space
        call text
        mov rdx, [rbx + 16]
        mov rax, [rdx + r12]
        call hex
        add r12d, 8
        cmp r12d, ${kvmRun.union + 40}
        jb .next
        ret

; Where the processor stands: for someone who looks for the reason.
processorState:
        mov rdi, [rbx + 8]
        mov edi, [rdi]
        mov esi, ${KVM.GET_REGS}
        mov rdx, found
        mov eax, ${SYS.ioctl}
        syscall
        mov rsi, ripText
        call text
        mov rax, [found + 128]
        call hex
        mov rsi, rflagsText
        call text
        mov rax, [found + 136]
        call hex
        mov rdi, [rbx + 8]
        mov edi, [rdi]
        mov esi, ${KVM.GET_SREGS}
        mov rdx, found
        mov eax, ${SYS.ioctl}
        syscall
        mov rsi, csText
        call text
        mov rax, [found]
        call hex
        mov rsi, cr0Text
        call text
        mov rax, [found + 224]
        call hex
        mov rsi, eferText
        call text
        mov rax, [found + 264]
        jmp hex

opMAP:  mov rdi, [rbx + 8]
        mov rsi, [rbx + 24]
        mov edx, ${PROT_READ_WRITE}
        mov r10d, ${MAP_SHARED_FIXED}
        xor r9d, r9d
        mov r8, [rbx + 16]
        test r8, r8
        jz .fresh
        mov r8d, [r8]
        jmp .map
.fresh: or r10d, ${MAP_ANONYMOUS}
        mov r8, -1
.map:   mov eax, ${SYS.mmap}
        syscall
        cmp rax, [rbx + 8]
        jne .wrong
        xor eax, eax
        ret
.wrong: mov r12, rax
        call complain
        mov rsi, givesText
        call text
        mov rax, r12
        call decimal
        call endLine
        mov eax, 1
        ret

opAND:  mov rsi, [rbx + 8]
        mov rdi, [rbx + 16]
        xor ecx, ecx
.next:  cmp rcx, [rbx + 24]
        jae .end
        mov rax, [rdi + rcx]
        and [rsi + rcx], rax
        add rcx, 8
        jmp .next
.end:   xor eax, eax
        ret

opREPLACE:
        mov rsi, [rbx + 8]
        mov rax, [rbx + 16]
        cmp [rsi], rax
        jne .end
        mov rax, [rbx + 24]
        mov [rsi], rax
.end:   xor eax, eax
        ret

opSPAWN:
        mov edi, ${CLONE_THREAD}
        mov rsi, threadStack
        xor edx, edx
        mov r10, thread
        xor r8d, r8d
        mov dword [thread], 1
        mov eax, ${SYS.clone}
        syscall
        test rax, rax
        jz .child
        js .wrong
        xor eax, eax
        ret
.wrong: mov r12, rax
        call complain
        mov rsi, givesText
        call text
        mov rax, r12
        call decimal
        call endLine
        mov eax, 1
        ret
.child: mov rdi, [rbx + 8]
        mov edi, [rdi]
        call enter
        mov [threadResult], rax
        xor edi, edi
        mov eax, ${SYS.exit}
        syscall

; The kernel clears the thread's number and wakes who waits for it.
opJOIN: cmp dword [timedOut], 0
        jne .late
        mov edx, [thread]
        test edx, edx
        jz .ended
        mov rdi, thread
        xor esi, esi
        xor r10d, r10d
        mov eax, ${SYS.futex}
        syscall
        jmp opJOIN
.late:  call complain
        mov rsi, timeText
        call text
        jmp .end
.ended: mov rdx, [rbx + 8]
        mov eax, [rdx + ${kvmRun.exitReason}]
        cmp qword [threadResult], 0
        jne .wrong
        cmp rax, [rbx + 16]
        jne .wrong
        xor eax, eax
        ret
.wrong: call complain
        mov rsi, givesText
        call text
        mov rax, [threadResult]
        call decimal
        mov rsi, reasonText
        call text
        mov rdx, [rbx + 8]
        mov eax, [rdx + ${kvmRun.exitReason}]
        call decimal
.end:   call endLine
        mov eax, 1
        ret

opNEED: mov edi, [kvm]
        mov esi, ${KVM.CHECK_EXTENSION}
        mov rdx, [rbx + 8]
        mov eax, ${SYS.ioctl}
        syscall
        test eax, eax
        jle skip
        xor eax, eax
        ret

opUNLESS:
        mov rdi, [rbx + 8]
        xor esi, esi
        xor edx, edx
        mov eax, ${SYS.open}
        syscall
        test eax, eax
        js .end
        mov edi, eax
        mov rsi, scratch
        mov byte [rsi], 0
        mov edx, 1
        mov eax, ${SYS.read}
        syscall
        mov eax, ${SYS.close}
        syscall
        cmp byte [scratch], 'N'
        je skip
.end:   xor eax, eax
        ret

skip:   mov rsi, skippedLine
        call text
        mov rsi, rbp
        call text
        mov rsi, colon
        call text
        mov rsi, [rbx + 40]
        call text
        call endLine
        inc qword [skipped]
        mov eax, 2
        ret

; --------------------------------------------------------------------------------------------------------- measurements
; Exits to this program and back, each with a byte of the guest: their sum is the checksum.
benchIo:
        mov rbp, benchIoWord
        mov r13, [benchIoScript]
        call prepare
        xor r13d, r13d
        mov r12, [count]
.next:  mov edi, [vcpu]
        call enter
        test rax, rax
        jnz broken
        cmp dword [${KVM_RUN} + ${kvmRun.exitReason}], 2
        jne broken
        movzx eax, byte [${KVM_RUN} + 4096]
        add r13, rax
        dec r12
        jnz .next
        jmp finish

; Exits that KVM serves itself: the guest does them all before it halts.
benchCpuid:
        mov rbp, benchCpuidWord
        mov r13, [benchCpuidScript]
        call prepare
        mov edi, [vcpu]
        call enter
        test rax, rax
        jnz broken
        cmp dword [${KVM_RUN} + ${kvmRun.exitReason}], 5
        jne broken
        mov edi, [vcpu]
        mov esi, ${KVM.GET_REGS}
        mov rdx, found
        mov eax, ${SYS.ioctl}
        syscall
        mov r13, [found + 72]
finish: mov rsi, rbp
        call text
        mov rsi, endText
        call text
        mov rax, [count]
        call decimal
        mov rsi, space
        call text
        mov rax, r13
        call decimal
        call endLine
        xor edi, edi
        jmp exit

; The guest of script R13, with the count of the second word in its R8, and the line that starts the clock.
prepare:
        mov dword [keep], 1
        mov rbx, r13
        call perform
        cmp eax, 2
        jne broken
        test r15, r15
        jz usage
        xor eax, eax
.digit: movzx ecx, byte [r15]
        test ecx, ecx
        jz .counted
        sub ecx, '0'
        cmp ecx, 9
        ja usage
        imul rax, rax, 10
        add rax, rcx
        inc r15
        jmp .digit
.counted:
        test rax, rax
        jz usage
        mov [count], rax
        mov [regs + 64], rax
        mov edi, [vcpu]
        mov esi, ${KVM.SET_REGS}
        mov rdx, regs
        mov eax, ${SYS.ioctl}
        syscall
        test eax, eax
        jnz broken
        xor edi, edi
        mov rsi, noDeadline
        xor edx, edx
        mov eax, ${SYS.setitimer}
        syscall
        mov rsi, rbp
        call text
        mov rsi, startText
        call text
        mov rax, [count]
        call decimal
        jmp endLine

broken: mov rbx, brokenOperation
        call complain
        call exitReason
        call processorState
        call endLine
        mov edi, 1
        jmp exit

; ---------------------------------------------------------------------------------------------------------------- lines
; Appends the text at RSI. RDI, RAX and RSI are lost.
text:   mov rdi, [lineEnd]
.next:  mov al, [rsi]
        test al, al
        jz .end
        cmp rdi, lineLast
        jae .end
        mov [rdi], al
        inc rsi
        inc rdi
        jmp .next
.end:   mov [lineEnd], rdi
        ret

; Appends RAX as a signed number.
decimal:
        mov rcx, digitsEnd
        xor r9d, r9d
        test rax, rax
        jns .digit
        neg rax
        inc r9d
.digit: xor edx, edx
        mov esi, 10
        div rsi
        add dl, '0'
        dec rcx
        mov [rcx], dl
        test rax, rax
        jnz .digit
        test r9d, r9d
        jz .show
        dec rcx
        mov byte [rcx], '-'
.show:  mov rsi, rcx
        jmp text

; Appends RAX as 0x and digits.
hex:    mov rcx, digitsEnd
.digit: mov edx, eax
        and edx, 15
        mov dl, [hexDigits + rdx]
        dec rcx
        mov [rcx], dl
        shr rax, 4
        jnz .digit
        sub rcx, 2
        mov word [rcx], '0x'
        mov rsi, rcx
        jmp text

endLine:
        mov rdx, [lineEnd]
        mov byte [rdx], 10
        mov rsi, line
        sub rdx, rsi
        inc rdx
        mov edi, 1
        mov eax, ${SYS.write}
        syscall
        mov qword [lineEnd], line
        ret

; SIGALRM: KVM_RUN returns, and is not entered again. The processor comes here on a stack of its own making.
alarm:  mov dword [timedOut], 1
        ret
restore:
        mov eax, ${SYS.rt_sigreturn}
        syscall

        align 8
alarmAction:    dq alarm, ${SA_RESTORER}, restore, 0
deadline:       dq 1, 0, ${SCENARIO_SECONDS}, 0
noDeadline:     dq 0, 0, 0, 0
operations:     dq ${operations.map((name) => `op${name}`).join(", ")}
brokenOperation: dq 0, vcpu, ${KVM_RUN}, 0, 0, brokenText
scenarioTable:  dq 0
benchIoScript:  dq 0
benchCpuidScript: dq 0
passed:         dq 0
failed:         dq 0
skipped:        dq 0
count:          dq 0
threadResult:   dq 0
lineEnd:        dq line
kvm:            dd -1
vm:             dd -1
vcpu:           dd -1
vcpu2:          dd -1
descriptorsEnd: dd 0
thread:         dd 0
timedOut:       dd 0
keep:           dd 0
kvmPath:        db '/dev/kvm', 0
testWord:       db 'test', 0
benchIoWord:    db 'bench-io', 0
benchCpuidWord: db 'bench-cpuid', 0
usageText:      db 'usage: kvm-client test [SCENARIO] | bench-io COUNT | bench-cpuid COUNT', 0
noKvmText:      db 'kvm-client: /dev/kvm cannot be opened: ', 0
summaryText:    db 'kvm-client: ', 0
passedText:     db ' ok, ', 0
failedText:     db ' failed, ', 0
skippedText:    db ' skipped', 0
okText:         db 'ok ', 0
failedLine:     db 'FAILED ', 0
skippedLine:    db 'skipped ', 0
colon:          db ': ', 0
semicolon:      db '; ', 0
space:          db ' ', 0
givesText:      db ' gives ', 0
insteadText:    db ', expected ', 0
isText:         db ' is ', 0
offsetText:     db 'at offset ', 0
reasonText:     db '; exit reason ', 0
refusedText:    db '; KVM_RUN gives ', 0
timeText:       db '; no exit in time: KVM_RUN gives ', 0
ripText:        db '; rip ', 0
rflagsText:     db ', rflags ', 0
csText:         db ', cs.base ', 0
cr0Text:        db ', cr0 ', 0
eferText:       db ', efer ', 0
startText:      db ' start ', 0
endText:        db ' end ', 0
brokenText:     db 'the measured guest cannot go on', 0
hexDigits:      db '0123456789abcdef'
digits:         resb 24
digitsEnd:      db 0
                align 16
regs:           resb 144
sregs:          resb 312
found:          resb 512
scratch:        resb 4096
line:           resb 4000
lineLast:       resb 96
                resb 4096
threadStack:    resb 16
end:
`;

/** The assembled program, whose symbols the scenarios refer to. */
export const runtime = (): Assembly => {
  const program = assemble(source, { origin: STATIC_ORIGIN });
  if (program.kind === "assembly") return program;
  throw new Error(program.errors.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
};
