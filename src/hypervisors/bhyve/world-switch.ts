import { vmcsField } from "../../arch/vmcs-fields.ts";
import { contextLayout, guestRegisters, hostRegisters } from "./context.ts";

/** How vmx_setjmp came back. */
export const setjmpReturn = { direct: 0, longjmp: 1, vmresume: 2, vmlaunch: 3, ast: 4 } as const;

/** In the per-processor area, at GS: the thread is wanted elsewhere (an asynchronous system trap is due). */
export const astFlag = 0x10;

const resumeOfNonLaunched = 5;

/** Names of the register file for the assembler: guest_rdi, host_rsp, launched. */
export const contextSymbols: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Object.entries(guestRegisters).map(([name, at]) => [`guest_${name}`, at])),
  ...Object.fromEntries(Object.entries(hostRegisters).map(([name, at]) => [`host_${name}`, at])),
  launched: contextLayout.launched,
  launch_error: contextLayout.launchError,
  tmpstktop: contextLayout.temporaryStackTop,
  ast: astFlag,
  VM_INSTRUCTION_ERROR: vmcsField("exit.vmInstructionError").encoding,
  ...Object.fromEntries(Object.entries(setjmpReturn).map(([name, code]) => [`by_${name}`, code])),
};

/** rdi last: until then it is the pointer. Moves touch no flag. */
const loadGuest = `
        mov rsi, [rdi + guest_cr2]
        mov cr2, rsi
        mov rsi, [rdi + guest_rsi]
        mov rdx, [rdi + guest_rdx]
        mov rcx, [rdi + guest_rcx]
        mov r8,  [rdi + guest_r8]
        mov r9,  [rdi + guest_r9]
        mov rax, [rdi + guest_rax]
        mov rbx, [rdi + guest_rbx]
        mov rbp, [rdi + guest_rbp]
        mov r10, [rdi + guest_r10]
        mov r11, [rdi + guest_r11]
        mov r12, [rdi + guest_r12]
        mov r13, [rdi + guest_r13]
        mov r14, [rdi + guest_r14]
        mov r15, [rdi + guest_r15]
        mov rdi, [rdi + guest_rdi]`;

/** vmx_launch and vmx_resume differ in one instruction and one code. rdi = register file; never returns to its caller. */
const enter = (name: string, instruction: string, code: string): string => `
${name}:
        cli                             ; RSP is about to stop being a stack
        cmp dword [gs:ast], 0
        jne ${name}_ast
        mov rsp, rdi                    ; the anchor, as after a VM exit
${loadGuest}
        ${instruction}
        mov eax, 1                      ; still here: CF tells VMfailInvalid,
        jc ${name}_failed
        mov eax, 2                      ; ZF VMfailValid; moves have kept them
${name}_failed:
        mov [rsp + launch_error], eax
        mov rdi, rsp
        mov esi, ${code}
        add rsp, tmpstktop
        call vmx_return
${name}_ast:
        lea rsp, [rdi + tmpstktop]
        mov esi, by_ast
        call vmx_return
`;

/**
 * The world switch. rdi = register file throughout; symbols are those of \`contextSymbols\`.
 */
export const worldSwitch = `
; Note where the host is, and return 0; returns again, not 0, when the host is back.
vmx_setjmp:
        mov rax, [rsp]
        mov [rdi + host_rip], rax
        mov [rdi + host_rsp], rsp       ; at the return-address slot
        mov [rdi + host_rbx], rbx
        mov [rdi + host_rbp], rbp
        mov [rdi + host_r12], r12
        mov [rdi + host_r13], r13
        mov [rdi + host_r14], r14
        mov [rdi + host_r15], r15
        mov eax, by_direct
        ret

; Return esi from vmx_setjmp. Its slot has been used since, by the call of vmx_launch: write it again.
vmx_return:
        mov r15, [rdi + host_r15]
        mov r14, [rdi + host_r14]
        mov r13, [rdi + host_r13]
        mov r12, [rdi + host_r12]
        mov rbp, [rdi + host_rbp]
        mov rsp, [rdi + host_rsp]
        mov rbx, [rdi + host_rbx]
        mov rax, [rdi + host_rip]
        mov [rsp], rax
        mov eax, esi
        ret

; VM exits arrive here: HOST_RIP. RSP = HOST_RSP = register file; every other register is the guest's.
vmx_longjmp:
        mov [rsp + guest_rdi], rdi
        mov [rsp + guest_rsi], rsi
        mov [rsp + guest_rdx], rdx
        mov [rsp + guest_rcx], rcx
        mov [rsp + guest_r8],  r8
        mov [rsp + guest_r9],  r9
        mov [rsp + guest_rax], rax
        mov [rsp + guest_rbx], rbx
        mov [rsp + guest_rbp], rbp
        mov [rsp + guest_r10], r10
        mov [rsp + guest_r11], r11
        mov [rsp + guest_r12], r12
        mov [rsp + guest_r13], r13
        mov [rsp + guest_r14], r14
        mov [rsp + guest_r15], r15
        mov rdi, cr2
        mov [rsp + guest_cr2], rdi
        mov rdi, rsp
        mov esi, by_longjmp
        add rsp, tmpstktop              ; the call pushes: without this, below the register file
        call vmx_return
${enter("vmx_launch", "vmlaunch", "by_vmlaunch")}
${enter("vmx_resume", "vmresume", "by_vmresume")}
`;

/**
 * What the C compiler made of the inner step of vmx_run: setjmp, launch or resume by the launched flag; and once more by launch when
 * the processor says that the VMCS is not launched. Returns the code of vmx_setjmp.
 */
export const runGuest = `
vmx_run_guest:
        push rbx
        mov rbx, rdi
        call vmx_setjmp
        test eax, eax
        jnz .returned
        mov rdi, rbx
        cmp dword [rbx + launched], 0
        jne .resume
        mov dword [rbx + launched], 1
        call vmx_launch
.resume:
        call vmx_resume
.returned:
        cmp eax, by_vmresume
        jne .done
        mov ecx, VM_INSTRUCTION_ERROR
        vmread rdx, rcx
        cmp edx, ${resumeOfNonLaunched}
        jne .done
        mov rdi, rbx
        call vmx_launch
.done:  pop rbx
        ret
`;

/** FPU registers of one owner to rdi, of the other from rsi; then CR0.TS is set, so that nobody uses them by mistake. */
export const switchFpu = `
vmm_switch_fpu:
        clts
        fxsave64 [rdi]
        fxrstor64 [rsi]
        mov rax, cr0
        or eax, 8
        mov cr0, rax
        ret
`;
