import { writePorts } from "./routines.ts";
import { guestSelector, HANDLER_BYTES } from "./vmx-memory.ts";

/** Assembly of the VMX test kernel: from the boot loader to VMX operation, and the guest's pages. */

export const BASE = 0x10_0000;

export const start = `
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
${writePorts("ports", ".apic")}
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

export const pages = `
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
