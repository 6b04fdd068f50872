import { vmcsFields } from "../arch/vmcs-fields.ts";
import { guestSelector, guestTable, HANDLER_BYTES, STACK_OFFSET, vmxMemory } from "./vmx-memory.ts";
import { observedMsrs, reportBase } from "./vmx-report.ts";

/** Assembly of the VMX test kernel: long mode, VMX operation, then one case after the other (vmx-kernel.ts says what a case is). */

export const BASE = 0x10_0000;
const GPRS = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];
const eachGpr = (line: (name: string, offset: number) => string): string =>
  GPRS.flatMap((name, number) => (name === "rsp" ? [] : [line(name, number * 8)])).join("\n");
const loadGprs = eachGpr((name, offset) => ` mov ${name}, [gprs + ${offset}]`);
const saveGprs = eachGpr((name, offset) => ` mov [gprsAfter + ${offset}], ${name}`);

/** Exceptions that push an error code (SDM Vol. 3, "Protected-Mode Exceptions and Interrupts"). */
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const hostVectors = Array.from({ length: 256 }, (_, vector) =>
  [
    " align 16",
    withErrorCode.has(vector) ? "" : " push 0",
    ` push ${vector}`,
    ` jmp ${vector === 2 || vector >= 32 ? "hostInterrupt" : "hostException"}`,
  ].join("\n"),
).join("\n");

const start = `
        bits 32
header: dd 0x1badb002, 0x10002, -(0x1badb002 + 0x10002)
        dd header, ${BASE}, 0, 0, entry

; Page tables that map 4 GiB to itself by 2-MByte pages, then long mode.
entry:  cld
        mov esp, hostStackTop
        mov edi, hostPml4
        mov ecx, (hostStackTop - hostPml4) / 4
        xor eax, eax
        rep stosd
        mov dword [hostPml4], hostPdpt + 3
        mov eax, hostDirectories + 3
        mov edi, hostPdpt
        call points
        mov eax, 0x83
        mov edi, hostDirectories
        mov edx, 0x200000
        mov ecx, 2048
        call entries
        mov eax, hostPml4
        mov cr3, eax
        mov eax, 0x620
        mov cr4, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x901
        wrmsr
        mov eax, 0x80010031
        mov cr0, eax
        lgdt [gdtPointer]
        push 8
        push long
        retf

; Four entries to four pages from eax, at edi.
points: mov edx, 4096
        mov ecx, 4
; ecx entries of eight bytes, from eax in steps of edx, at edi.
entries:
        mov [edi], eax
        mov dword [edi + 4], 0
        add eax, edx
        add edi, 8
        dec ecx
        jnz entries
        ret

        bits 64
long:   mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        xor eax, eax
        mov fs, eax
        mov gs, eax
        mov rsp, hostStackTop
        mov eax, 0x18
        ltr ax
        xor eax, eax
        lldt ax
        mov rdi, hostIdt
        mov rsi, vectors
        mov ecx, 256
.gate:  mov rax, rsi
        mov [rdi], ax
        mov dword [rdi + 2], 0x8e000008
        mov word [rdi + 4], 0x8e00
        shr rax, 16
        mov [rdi + 6], ax
        mov qword [rdi + 8], 0
        add rdi, 16
        add rsi, 16
        dec ecx
        jnz .gate
        lidt [idtPointer]
; All lines of the 8259s masked; COM1 at full speed; local APIC on.
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        mov rsi, ports
.port:  movzx edx, word [rsi]
        test edx, edx
        jz .apic
        mov al, [rsi + 2]
        out dx, al
        add rsi, 3
        jmp .port
.apic:  mov ecx, 0x1b
        rdmsr
        or eax, 0x800
        wrmsr
        mov eax, 0xfee00000
        mov dword [rax + 0xf0], 0x1ff
        mov rdi, variables
        mov ecx, 512
        xor eax, eax
        rep stosq

; VMX operation.
        mov ecx, 0x3a
        rdmsr
        test al, 1
        jnz .locked
        or eax, 5
        wrmsr
.locked:
        mov ecx, 0x486
        rdmsr
        mov rbx, cr0
        or rbx, rax
        mov cr0, rbx
        mov ecx, 0x488
        rdmsr
        mov rbx, cr4
        or rbx, rax
        mov cr4, rbx
        mov ecx, 0x480
        rdmsr
        mov [revision], eax
        mov [vmxon], eax
        shr edx, 23
        and edx, 1
        mov [hasTrue], edx
        mov qword [vmxonPointer], vmxon
        mov qword [vmcsPointer], vmcs
        vmxon [vmxonPointer]
        call buildPristine
        call restorePristine
        call freshVmcs
        call findFields
        call printCapabilities
        mov rdi, initial
        call observe
        jmp main

; The machine is switched off.
finish: mov rsi, endText
        call print
        mov dx, 0x3fd
.sent:  in al, dx
        test al, 0x40
        jz .sent
        mov dx, 0xf4
        xor eax, eax
        out dx, al
        mov dx, 0x8900
        mov rsi, shutdownText
.byte:  mov al, [rsi]
        test al, al
        jz .halt
        out dx, al
        inc rsi
        jmp .byte
.halt:  cli
        hlt
        jmp .halt
`;

const pages = `
; The guest's pages as each case finds them, built at pristine for addresses from guestCode.
distance equ pristine - guestCode
buildPristine:
        mov rdi, pristine
        mov ecx, (guestEnd - guestCode) / 8
        xor eax, eax
        rep stosq
        mov edi, guestHandlers + distance
        call handlers
        mov edi, lowHandlers
        call handlers
        mov esi, tablesImage
        mov edi, guestTables + distance
        mov ecx, tablesEnd - tablesImage
        rep movsb
; 64-bit gates; those of vectors 3, 4 and 128 for everybody.
        mov edi, guestIdt64 + distance
        mov ebx, guestIdt32 + distance
        mov ecx, lowVectors
        mov esi, guestHandlers
        xor edx, edx
.gate:  mov eax, esi
        and eax, 0xffff
        or eax, ${guestSelector.code64 << 16}
        mov [rdi], eax
        and eax, 0xffff
        or eax, ${guestSelector.code32 << 16}
        mov [rbx], eax
        mov eax, esi
        and eax, 0xffff0000
        or eax, 0x8e00
        cmp edx, 3
        je .open
        cmp edx, 4
        je .open
        cmp edx, 128
        jne .shut
.open:  or eax, 0x6000
.shut:  mov [rdi + 4], eax
        mov qword [rdi + 8], 0
        mov [rbx + 4], eax
        mov eax, edx
        shl eax, 4
        or eax, (lowHandlers / 16) << 16
        mov [rcx], eax
        add esi, ${HANDLER_BYTES}
        add edi, 16
        add ebx, 8
        add ecx, 4
        inc edx
        cmp edx, 256
        jb .gate
; Vector 32 of the 32-bit table is a task gate.
        mov dword [guestIdt32 + distance + 256], ${guestSelector.otherTss32 << 16}
        mov dword [guestIdt32 + distance + 260], 0x8500

; Paging structures for guests.
        mov dword [guestPml4 + distance], guestPdpt + 7
        mov eax, guestDirectories + 7
        mov edi, guestPdpt + distance
        call fourPoints
        mov eax, guestDirectories + 1
        mov edi, guestPaePdpt + distance
        call fourPoints
        mov eax, 0x87
        mov edi, guestDirectories + distance
        call bigPages
        mov qword [guestDirectories + distance + 8], guestPageTable + 7
        mov eax, 0x200007
        mov edi, guestPageTable + distance
        call smallPages
        mov eax, 0x87
        mov edi, guestDirectory32 + distance
        mov ecx, 1024
.big:   mov [rdi], eax
        add eax, 0x400000
        add edi, 4
        dec ecx
        jnz .big
; EPT: write-back, all allowed.
        mov dword [eptPml4 + distance], eptPdpt + 7
        mov dword [eptOtherPml4 + distance], eptPdpt + 7
        mov eax, eptDirectories + 7
        mov edi, eptPdpt + distance
        call fourPoints
        mov eax, 0xb7
        mov edi, eptDirectories + distance
        call bigPages
        mov qword [eptDirectories + distance + 8], eptPageTable + 7
        mov eax, 0x200037
        mov edi, eptPageTable + distance
        jmp smallPages

; 256 times VMCALL, IRET.
handlers:
        mov ecx, 256
.next:  mov dword [rdi], 0x48c1010f
        mov dword [rdi + 4], 0xf4f4f4cf
        mov dword [rdi + 8], 0xf4f4f4f4
        mov dword [rdi + 12], 0xf4f4f4f4
        add edi, ${HANDLER_BYTES}
        dec ecx
        jnz .next
        ret
fourPoints:
        mov edx, 4096
        mov ecx, 4
        jmp fill
smallPages:
        mov edx, 4096
        mov ecx, 512
        jmp fill
bigPages:
        mov edx, 0x200000
        mov ecx, 2048
fill:   mov [rdi], rax
        add rax, rdx
        add edi, 8
        dec ecx
        jnz fill
        ret

restorePristine:
        mov esi, pristine
        mov edi, guestCode
        mov ecx, (guestEnd - guestCode) / 8
        rep movsq
        xor eax, eax
        mov edi, lowStack
        mov ecx, (lowEnd - lowStack) / 8
        rep stosq
        ret
`;

const vmcsRoutines = `
; A VMCS with nothing in it, current.
freshVmcs:
        vmclear [vmcsPointer]
        mov edi, vmcs
        mov ecx, 512
        xor eax, eax
        rep stosq
        mov eax, [revision]
        mov [vmcs], eax
        mov [otherVmcs], eax
        vmclear [vmcsPointer]
        vmptrld [vmcsPointer]
        mov byte [launched], 0
        ret

; Which fields this processor has: a byte per encoding at offered, their encodings at fields.
findFields:
        mov rdi, offered
        mov ecx, 0x7000 / 8
        xor eax, eax
        rep stosq
        mov rsi, fieldTable
        mov rdi, fields
.next:  movzx eax, word [rsi]
        add rsi, 2
        cmp eax, 0xffff
        je .end
        vmread rdx, rax
        jbe .next
        mov byte [offered + rax], 1
        mov [rdi], ax
        add rdi, 2
        jmp .next
.end:   mov word [rdi], 0xffff
        ret

; The baseline: constants, then what the host is now, then controls as this processor allows them.
writeBaseline:
        mov rsi, baseline
.next:  mov eax, [rsi]
        cmp eax, -1
        je .host
        cmp byte [offered + rax], 0
        je .skip
        mov ecx, [rsi + 4]
        mov rdx, [rsi + 8]
        test ecx, ecx
        jz .write
        mov rbx, rdx
        push rax
        cmp dword [hasTrue], 0
        jne .true
        cmp ecx, 0x48d
        jb .true
        sub ecx, 12
.true:  rdmsr
        and rdx, rbx
        or rdx, rax
        pop rax
.write: vmwrite rax, rdx
.skip:  add rsi, 16
        jmp .next
.host:  mov eax, host.cr0
        mov rdx, cr0
        vmwrite rax, rdx
        mov eax, host.cr3
        mov rdx, cr3
        vmwrite rax, rdx
        mov eax, host.cr4
        mov rdx, cr4
        vmwrite rax, rdx
        ret

; What each observable is now, at rdi.
observe:
        mov rax, cr0
        stosq
        mov rax, cr3
        stosq
        mov rax, cr4
        stosq
        mov rax, dr7
        stosq
        mov rax, dr6
        stosq
        mov rax, cr2
        stosq
        sub rsp, 16
        mov qword [rsp], 0
        sgdt [rsp + 6]
        movzx eax, word [rsp + 6]
        stosq
        mov rax, [rsp + 8]
        stosq
        sidt [rsp + 6]
        movzx eax, word [rsp + 6]
        stosq
        mov rax, [rsp + 8]
        stosq
        add rsp, 16
        xor eax, eax
        str ax
        stosq
        sldt ax
        stosq
        mov eax, es
        stosq
        mov eax, cs
        stosq
        mov eax, ss
        stosq
        mov eax, ds
        stosq
        mov eax, fs
        stosq
        mov eax, gs
        stosq
        mov rsi, msrTable
.msr:   mov ecx, [rsi]
        cmp ecx, -1
        je .end
        add rsi, 4
        rdmsr
        shl rdx, 32
        or rax, rdx
        stosq
        jmp .msr
.end:   ret

; The host as it was at the start.
restoreHost:
        mov rax, [initial]
        mov cr0, rax
        mov rax, [initial + 16]
        mov cr4, rax
        mov rax, [initial + 8]
        mov cr3, rax
        mov eax, 0x400
        mov dr7, rax
        mov eax, 0xffff0ff0
        mov dr6, rax
        xor eax, eax
        mov cr2, rax
        lgdt [gdtPointer]
        lidt [idtPointer]
        lldt ax
        mov fs, eax
        mov gs, eax
        mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov byte [gdt + 0x1d], 0x89
        mov eax, 0x18
        ltr ax
        mov rsi, msrTable
        mov rbx, initial + 18 * 8
.msr:   mov ecx, [rsi]
        cmp ecx, -1
        je .end
        add rsi, 4
        mov eax, [rbx]
        mov edx, [rbx + 4]
        add rbx, 8
        wrmsr
        jmp .msr
.end:   ret

; All fields of the VMCS at rdi.
readFields:
        mov rsi, fields
.next:  movzx eax, word [rsi]
        cmp eax, 0xffff
        je .end
        add rsi, 2
        xor edx, edx
        vmread rdx, rax
        mov [rdi], rdx
        add rdi, 8
        jmp .next
.end:   ret
`;

const step = `
; One VM entry, or the host's part of a case, between two pictures of everything.
step:   mov [recoverRsp], rsp
        mov byte [kind], 'V'
        mov qword [hostVector], 0
        mov qword [hostErrorCode], 0
        mov qword [tookInterrupt], 0
        mov qword [tookNmi], 0
        test byte [caseFlags], 1
        jnz .host
        cmp byte [launched], 0
${loadGprs}
        jne .resume
        vmlaunch
        jmp captured
.resume:
        vmresume
        jmp captured
.host:  mov byte [kind], 'H'
${loadGprs}
        call [casePrepare]
        jmp captured
exited: mov byte [kind], 'X'
captured:
${saveGprs}
        mov [rspAfter], rsp
        mov rsp, [recoverRsp]
        pushfq
        pop qword [flagsAfter]
        cld
recovered:
        mov rsp, [recoverRsp]
        mov rdi, observed
        call observe
        mov qword [recoverRsp], 0
; What the host's part of a case must mend before the VMCS can be read again.
        mov rax, [caseBetween]
        test byte [caseFlags], 1
        jz .entered
        test rax, rax
        jz .end
        jmp rax
; Only an entry that ended in a VM exit other than a failed entry launches.
.entered:
        cmp byte [kind], 'X'
        jne .end
        mov eax, exit.reason
        vmread rax, rax
        test eax, 0x80000000
        jnz .end
        mov byte [launched], 1
.end:   ret

; An exception of the host ends the step.
hostException:
        mov byte [kind], 'E'
        pop rax
        or eax, 0x100
        mov [hostVector], rax
        pop qword [hostErrorCode]
        mov rax, [rsp]
        mov [rspAfter], rax
        cmp qword [recoverRsp], 0
        jne recovered
        mov rsi, panicText
        call print
        mov rax, [hostVector]
        call hex
        mov al, ' '
        call put
        mov rax, [rspAfter]
        call hex
        jmp finish

hostInterrupt:
        push rax
        mov rax, [rsp + 8]
        cmp eax, 2
        jne .external
        inc qword [tookNmi]
        jmp .end
.external:
        shl qword [tookInterrupt], 8
        or [tookInterrupt], rax
        mov eax, 0xfee00000
        mov dword [rax + 0xb0], 0
.end:   pop rax
        add rsp, 16
        iretq

; Interrupts that wait come in, NMIs are unblocked, what was acknowledged at a VM exit is ended.
drain:  mov rax, rsp
        push 0x10
        push rax
        pushfq
        push 8
        push .unblocked
        iretq
.unblocked:
        mov eax, 0xfee00000
        mov dword [rax + 0xb0], 0
        mov dword [rax + 0xb0], 0
        mov dword [rax + 0x80], 0
        sti
        nop
        nop
        nop
        cli
        ret
`;

const cases = `
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

const reporting = `
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

print:  mov al, [rsi]
        test al, al
        jz .end
        call put
        inc rsi
        jmp print
.end:   ret

put:    push rdx
        push rax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov dx, 0x3f8
        pop rax
        out dx, al
        pop rdx
        ret

; rax in hexadecimal without leading zeros.
hex:    push rcx
        push rdx
        mov rdx, rax
        mov ecx, 60
.skip:  mov rax, rdx
        shr rax, cl
        test eax, 15
        jnz .digit
        sub ecx, 4
        jnz .skip
.digit: mov rax, rdx
        shr rax, cl
        and eax, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   call put
        sub ecx, 4
        jns .digit
        pop rdx
        pop rcx
        ret
`;

const tables = `
        align 16
vectors:
${hostVectors}

        align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
        dw 0x67, hostTss & 0xffff
        db (hostTss >> 16) & 0xff, 0x89, 0, (hostTss >> 24) & 0xff
        dq 0
gdtPointer:
        dw 0xffff
        dq gdt
idtPointer:
        dw 0xffff
        dq hostIdt
        align 8
hostTss: times 104 db 0

; The page of the guest's tables, as offsets in it say.
tablesImage:
        dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
        dq 0x00009b000000ffff, 0x000093000000ffff, 0x00affb000000ffff, 0x00cff3000000ffff
        dq 0x00cffb000000ffff
        dw 0x67, guestTables + ${guestTable.tss64} & 0xffff, 0x8b20, 0
        dq 0
        dw 0x67, guestTables + ${guestTable.tss32} & 0xffff, 0x8b20, 0
        dw 0x67, guestTables + ${guestTable.otherTss32} & 0xffff, 0x8920, 0
        dw 0, ${guestSelector.otherTss32}, 0xe500, 0
        dw 0x1f, guestTables + ${guestTable.ldt} & 0xffff, 0x8220, 0
        dq 0
        dw 0x2b, guestTables + ${guestTable.tss16} & 0xffff, 0x8320, 0
        dw (guestHandlers + 0xff0) & 0xffff, ${guestSelector.code32}, 0xec00, guestHandlers >> 16
        times ${guestTable.tss64} - ($ - tablesImage) db 0
        dd 0
        dq guestStack + ${STACK_OFFSET}
        times ${guestTable.tss64} + 0x66 - ($ - tablesImage) db 0
        dw 0x68
        times ${guestTable.tss32} - ($ - tablesImage) db 0
        dd 0, guestStack + ${STACK_OFFSET}, ${guestSelector.stack}
        times ${guestTable.tss32} + 0x66 - ($ - tablesImage) db 0
        dw 0x68
        times ${guestTable.otherTss32} - ($ - tablesImage) db 0
; The other 32-bit task: link, three stacks, CR3, EIP, EFLAGS, EAX to EDI, segments, LDT.
        dd 0, guestStack + 0xe00, ${guestSelector.stack}, 0, 0, 0, 0, guestDirectory32, guestHandlers + 0xfe0, 2
        dd 1, 2, 3, 4, guestStack + 0xd00, 5, 6, 7
        dd ${guestSelector.stack}, ${guestSelector.code32}, ${guestSelector.stack}, ${guestSelector.stack}, 0, 0, 0, 0x00680000
        times ${guestTable.ldt} - ($ - tablesImage) db 0
tablesEnd:

ports:
${[
  [0x3f9, 0x00],
  [0x3fb, 0x83],
  [0x3f8, 0x01],
  [0x3f9, 0x00],
  [0x3fb, 0x03],
  [0x3fa, 0x07],
  [0x3fc, 0x03],
]
  .map(([port, byte]) => ` dw ${port}\n db ${byte}`)
  .join("\n")}
        dw 0
endText:        db "end", 10, 0
panicText:      db "panic ", 0
shutdownText:   db "Shutdown", 0

        align 4
msrTable:
${observedMsrs.map(({ index }) => ` dd ${index}`).join("\n")}
        dd -1
observables equ 18 + ${observedMsrs.length}
fieldTable:
${vmcsFields.map(({ encoding }) => ` dw ${encoding}`).join("\n")}
        dw 0xffff
`;

/** Variables of the host, zero at the start; sizes in bytes. */
// biome-ignore format: one row per fact
const variables: readonly (readonly [name: string, bytes: number])[] = [
  ["revision", 8], ["hasTrue", 8], ["vmxonPointer", 8], ["vmcsPointer", 8], ["kind", 8], ["launched", 8], ["caseNumber", 8],
  ["caseFlags", 8], ["casePrepare", 8], ["caseBetween", 8], ["unsupported", 8], ["watches", 8], ["watchCount", 8], ["nextRecord", 8],
  ["recoverRsp", 8], ["rspAfter", 8], ["gprs", 128], ["gprsAfter", 128],
  ["flagsAfter", 8], ["hostVector", 8], ["hostErrorCode", 8], ["tookInterrupt", 8], ["tookNmi", 8], ["expectedOutcome", 40],
  ["initial", 512], ["observed", 2048], ["memoryBefore", 256], ["memoryAfter", 256], ["scratch", 256], ["random", 64], ["fields", 512],
];
let offset = 0;
const variableEquates = variables
  .map(([name, bytes]) => {
    const line = `${name} equ ${vmxMemory.variables + offset}`;
    offset += bytes;
    return line;
  })
  .join("\n");

/** All that every VMX test kernel has; `main` and the tables `baseline` and `caseTable` are its user's. */
export const vmxSource = [start, pages, vmcsRoutines, step, cases, reporting, tables, variableEquates].join(
  "\n",
);

/** Addresses and VMCS encodings, for all assembly of the test kernels. */
export const vmxSymbols: Readonly<Record<string, number>> = {
  ...vmxMemory,
  ...Object.fromEntries(vmcsFields.map(({ name, encoding }) => [name, encoding])),
};
