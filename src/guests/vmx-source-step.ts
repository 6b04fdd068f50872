/** Assembly of the VMX test kernel: the VMCS, what is observed of the host, and one VM entry between two pictures of everything. */

const GPRS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const eachGpr = (line: (name: string, offset: number) => string): string =>
  GPRS.flatMap((name, number) => (name === "rsp" ? [] : [line(name, number * 8)])).join("\n");
const loadGprs = eachGpr((name, offset) => ` mov ${name}, [gprs + ${offset}]`);
const saveGprs = eachGpr((name, offset) => ` mov [gprsAfter + ${offset}], ${name}`);

export const vmcsRoutines = `
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

export const step = `
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

export const legacy = `
; VMLAUNCH by a VMM outside IA-32e mode, with PAE paging: VMX operation and the VMCS are taken along. RFLAGS is VMLAUNCH's, or
; what a VM exit to legacyExited left.
legacyLaunch:
        mov [legacyRsp], rsp
        vmxoff
        push 0x28
        push .down
        retfq
        bits 32
.down:  mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        and eax, 0xfffffeff
        wrmsr
        mov eax, guestPaePdpt
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        vmxon [vmxonPointer]
        vmptrld [vmcsPointer]
        vmlaunch
legacyExited:
        mov esp, hostStackTop - 0x2000
        pushfd
        pop dword [legacyFlags]
        vmxoff
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x901
        wrmsr
        mov eax, hostPml4
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 8:.up
        bits 64
.up:    mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov rsp, [legacyRsp]
        vmxon [vmxonPointer]
        vmptrld [vmcsPointer]
        xor eax, eax
        xor ecx, ecx
        xor edx, edx
        push qword [legacyFlags]
        popfq
        ret
`;
