import { print, put, shortHexadecimal } from "./routines.ts";
import { STACK_OFFSET } from "./vmx-memory.ts";
import { reportBase } from "./vmx-report.ts";

/** Assembly of the VMX test kernel: the walk over the cases' records, and what is printed of each. */

export const cases = `
; The case whose record is at rbx.
beginCase:
        mov eax, [rbx]
        mov [caseNumber], rax
        mov eax, [rbx + 4]
        mov [caseFlags], eax
        mov rax, [rbx + 16]
        mov [casePrepare], rax
        mov rax, [rbx + 24]
        mov [caseBetween], rax
        push rbx
        vmclear [vmcsPointer]
        call restorePristine
        call restoreHost
        call freshVmcs
        call writeBaseline
        test byte [caseFlags], 4
        jz .baseline
        mov eax, host.rip
        mov ecx, legacyExited
        vmwrite rax, rcx
        mov eax, host.cr3
        mov ecx, guestPaePdpt
        vmwrite rax, rcx
        mov eax, host.cs.selector
        mov ecx, 0x28
        vmwrite rax, rcx
.baseline:
        pop rbx
        mov edi, gprs
        mov ecx, 16
        xor eax, eax
        rep stosq
        mov qword [unsupported], 0
        mov qword [expectedOutcome], 2
        mov ecx, [rbx + 12]
        lea rsi, [rbx + 48]
        test ecx, ecx
        jz .guest
.write: push rcx
        call applyWrite
        pop rcx
        add rsi, 16
        dec ecx
        jnz .write
.guest: mov [watches], rsi
        mov eax, [rbx + 40]
        mov [watchCount], eax
        lea rsi, [rsi + rax * 8]
        mov ecx, [rbx + 32]
        mov edi, [rbx + 36]
        rep movsb
        mov eax, [rbx + 44]
        add rax, rbx
        mov [nextRecord], rax
        ret

; A write of 16 bytes at rsi: target, operation, value.
applyWrite:
        mov eax, [rsi]
        mov ecx, [rsi + 4]
        mov rdx, [rsi + 8]
        cmp ecx, 4
        je .msr
        ja .other
        cmp byte [offered + rax], 0
        jne .field
        mov [unsupported], rax
        ret
.field: vmread r8, rax
        test ecx, ecx
        jz .set
        cmp ecx, 2
        jb .or
        je .andNot
        xor rdx, r8
        jmp .set
.or:    or rdx, r8
        jmp .set
.andNot:
        not rdx
        and rdx, r8
.set:   vmwrite rax, rdx
        ret
.msr:   mov ecx, eax
        mov eax, edx
        shr rdx, 32
        wrmsr
        ret
.other: cmp ecx, 5
        jne .gpr
        mov [rax], rdx
        ret
.gpr:   mov [gprs + rax * 8], rdx
        ret

runCases:
        mov rbx, caseTable
.next:  cmp dword [rbx], -1
        je finish
        push rbx
        call beginCase
        cmp qword [unsupported], 0
        je .offered
        mov byte [kind], 'U'
        call printHead
        call newLine
        pop rbx
        jmp .end
.offered:
        test byte [caseFlags], 1
        jnz .prepared
        mov rax, [casePrepare]
        test rax, rax
        jz .prepared
        call rax
.prepared:
        call forgetMappings
        pop rbx
        mov r12d, [rbx + 8]
.entry: push rbx
        push r12
        mov rdi, observed + 1024
        call observe
        call keepMemory
        mov rdi, before
        call readFields
        call step
        mov rdi, after
        call readFields
        call report
        pop r12
        pop rbx
        cmp byte [kind], 'X'
        jne .end
        mov eax, exit.reason
        vmread rax, rax
        test eax, 0x80000000
        jnz .end
        dec r12d
        jz .end
        test byte [caseFlags], 2
        jz .same
        mov eax, guest.rip
        vmread rdx, rax
        mov ecx, exit.instructionLength
        vmread rcx, rcx
        add rdx, rcx
        vmwrite rax, rdx
.same:  mov ecx, 16
        mov rsi, gprsAfter
        mov rdi, gprs
        rep movsq
        mov rax, [caseBetween]
        test rax, rax
        jz .entry
        push rbx
        push r12
        call rax
        pop r12
        pop rbx
        jmp .entry
.end:   mov rbx, [nextRecord]
        jmp .next

; Nothing cached of EPT, which the case before may have had otherwise: INVEPT and INVVPID of all contexts.
forgetMappings:
        mov ecx, 0x482
        rdmsr
        test edx, edx
        jns .end
        mov ecx, 0x48b
        rdmsr
        test edx, 0x22
        jz .end
        mov ebx, edx
        mov ecx, 0x48c
        rdmsr
        mov qword [scratch], 0
        mov qword [scratch + 8], 0
        mov ecx, 2
        test eax, 0x4000000
        jz .vpid
        invept rcx, [scratch]
.vpid:  test edx, 0x400
        jz .end
        invvpid rcx, [scratch]
.end:   ret

; Memory whose changes are reported: top of the stack, start of the guest's memory, what the case watches.
keepMemory:
        mov rdi, memoryBefore
copyMemory:
        mov rsi, guestStack + ${STACK_OFFSET} - 128
        mov ecx, 16
        rep movsq
        mov rsi, guestMemory
        mov ecx, 8
        rep movsq
        mov rbx, [watches]
        mov ecx, [watchCount]
        test ecx, ecx
        jz .end
.watch: mov rax, [rbx]
        mov rax, [rax]
        stosq
        add rbx, 8
        dec ecx
        jnz .watch
.end:   ret
`;

export const reporting = `
printHead:
        mov al, 'c'
        call put
        mov al, ' '
        call put
        mov rax, [caseNumber]
        call hex
        mov al, ' '
        call put
        mov al, [kind]
        jmp put

; What changed since the picture before, one line.
report: call printHead
        mov r8, before
        mov r9, after
        mov r10, fields
.field: movzx r11d, word [r10]
        cmp r11d, 0xffff
        je .registers
        add r10, 2
        call difference
        jmp .field
.registers:
        mov r8, gprs
        mov r9, gprsAfter
        mov r11d, ${reportBase.gpr}
        mov r10d, 16
        cmp byte [kind], 'E'
        je .observables
        mov rax, [gprs + 32]
        mov [gprsAfter + 32], rax
        call differences
.observables:
        mov r8, observed + 1024
        mov r9, observed
        mov r11d, ${reportBase.host}
        mov r10d, observables
        call differences
        mov rdi, memoryAfter
        call copyMemory
        mov r8, memoryBefore
        mov r9, memoryAfter
        mov r11d, ${reportBase.stack}
        mov r10d, 16
        call differences
        mov r11d, ${reportBase.memory}
        mov r10d, 8
        call differences
        mov r11d, ${reportBase.watch}
        mov r10d, [watchCount]
        call differences
        mov r8, expectedOutcome
        mov r9, flagsAfter
        mov r11d, ${reportBase.outcome}
        mov r10d, 3
        cmp byte [kind], 'E'
        jne .flags
        mov qword [flagsAfter], 2
.flags: and qword [flagsAfter], 0x3f7fd7
        call differences
        call drain
        mov r8, expectedOutcome + 24
        mov r9, flagsAfter + 24
        mov r11d, ${reportBase.outcome + 3}
        mov r10d, 2
        call differences
newLine:
        mov al, 10
        jmp put

; r10 pairs of values, numbered from r11.
differences:
        test r10d, r10d
        jz .end
        call difference
        inc r11d
        dec r10d
        jmp differences
.end:   ret

difference:
        mov rax, [r9]
        add r9, 8
        add r8, 8
        cmp rax, [r8 - 8]
        je .end
        push rax
        mov al, ' '
        call put
        mov eax, r11d
        call hex
        mov al, '='
        call put
        pop rax
        jmp hex
.end:   ret

; The capability MSRs, each where it exists.
printCapabilities:
        mov r12d, 0x480
.next:  mov ecx, r12d
        cmp ecx, 0x48b
        jb .read
        mov r13d, ecx
        mov ecx, 0x482
        rdmsr
        mov r14d, edx
        cmp r13d, 0x48d
        jb .secondary
        cmp r13d, 0x491
        je .secondary
        cmp dword [hasTrue], 0
        je .skip
        jmp .read
.secondary:
        test r14d, r14d
        jns .skip
        cmp r13d, 0x48b
        je .read
        mov ecx, 0x48b
        rdmsr
        mov eax, 0x22
        cmp r13d, 0x48c
        je .mask
        mov eax, 0x2000
.mask:  test edx, eax
        jz .skip
.read:  mov al, 'm'
        call put
        mov al, ' '
        call put
        mov eax, r12d
        call hex
        mov al, ' '
        call put
        mov ecx, r12d
        rdmsr
        shl rdx, 32
        or rax, rdx
        call hex
        call newLine
.skip:  inc r12d
        cmp r12d, 0x492
        jb .next
        ret

${print}${put}${shortHexadecimal}`;
