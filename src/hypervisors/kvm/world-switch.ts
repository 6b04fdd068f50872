import { generalRegisters } from "../../state/layout.ts";
import { area, regOffset } from "./vcpu-area.ts";

const names = generalRegisters.map((name) => name.toLowerCase());
const moves = (order: readonly string[]): readonly { readonly name: string; readonly at: number }[] =>
  order.map((name) => ({ name, at: regOffset(names.indexOf(name)) }));
/** The guest's general registers in the order in which they are moved; RCX is apart, for it holds the pointer; RSP is the processor's business. */
const first = moves(["rax", "rbx"]);
const rest = moves(["rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]);
const rcx = regOffset(names.indexOf("rcx"));
/** Dead after the call: here the guest's values would stay. */
const dead = ["eax", "esi", "edi", "r8d", "r9d", "r10d", "r11d"];

const lines = (texts: readonly string[]): string => texts.map((text) => `        ${text}`).join("\n");

/** What of the switch the original did in another way. */
export interface SwitchStyle {
  /** Leave the guest's values in host registers. */
  readonly leavesGuestValues: boolean;
}

/**
 * The world switch: vmxVcpuRun(rcx = vcpu_vmx, rdx = encoding of HOST_RSP). Between its first and last three lines stands what a
 * compiler puts around inline assembly that clobbers RAX, RBX, RDI, RSI and R8-R15. RDX and RCX are inputs, so they cannot be
 * clobbered; RBP may be the frame pointer: these three the switch saves by hand. From the comparison of `launched` to the jump,
 * and from VMLAUNCH or VMRESUME to SETBE, nothing may change a flag.
 */
export const worldSwitch = ({ leavesGuestValues }: SwitchStyle): string => `
vmxVcpuRun:
        push rbx
        push r12
        push r13
        push r14
        push r15
        push rdx
        push rbp
        push rcx                        ; the anchor: lies where RSP will point after the guest
        cmp rsp, [rcx + ${area.hostRsp}]
        je kvmSameStack
        mov [rcx + ${area.hostRsp}], rsp
kvmWriteHostRsp:
        vmwrite rdx, rsp
kvmSameStack:
        mov rax, [rcx + ${area.cr2}]
        mov rdx, cr2
        cmp rax, rdx
        je kvmSameCr2
kvmWriteCr2:
        mov cr2, rax
kvmSameCr2:
        cmp dword [rcx + ${area.launched}], 0
${lines([...first, ...rest].map(({ name, at }) => `mov ${name}, [rcx + ${at}]`))}
        mov rcx, [rcx + ${rcx}]            ; the pointer last
        jne kvmResume
kvmLaunch:
        vmlaunch
        jmp kvmVmxReturn
kvmResume:
        vmresume
kvmVmxReturn:                           ; HOST_RIP; a failed VMLAUNCH or VMRESUME arrives here too
        xchg rcx, [rsp]                 ; the pointer; the guest's RCX goes onto the stack
${lines(first.map(({ name, at }) => `mov [rcx + ${at}], ${name}`))}
        push qword [rsp]
        pop qword [rcx + ${rcx}]
${lines(rest.map(({ name, at }) => `mov [rcx + ${at}], ${name}`))}
        mov rax, cr2
        mov [rcx + ${area.cr2}], rax
        pop rbp                         ; the guest's RCX: no longer needed
        pop rbp
        pop rdx
        setbe byte [rcx + ${area.fail}]    ; CF or ZF: VMLAUNCH or VMRESUME failed. A VM exit has cleared both
${leavesGuestValues ? "" : lines(dead.map((name) => `xor ${name}, ${name}`))}
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        ret
`;

/** Labels between which only flag-neutral instructions may stand, and the ones that VMLAUNCH and VMRESUME have. */
export const switchLabels = {
  start: "vmxVcpuRun",
  launch: "kvmLaunch",
  resume: "kvmResume",
  back: "kvmVmxReturn",
} as const;

const MSR = { FS_BASE: 0xc000_0100, GS_BASE: 0xc000_0101, KERNEL_GS_BASE: 0xc000_0102 } as const;
const hex = (value: number): string => `0x${value.toString(16)}`;

const readMsr = (index: number, offset: number): string => `
        mov ecx, ${hex(index)}
        rdmsr
        mov [rdi + ${offset}], eax
        mov [rdi + ${offset + 4}], edx`;
const writeMsr = (index: number, offset: number): string => `
        mov ecx, ${hex(index)}
        mov eax, [rdi + ${offset}]
        mov edx, [rdi + ${offset + 4}]
        wrmsr`;

/** XSAVE and XRSTOR with all components that the host has; XCR0 is the guest's only between loading its state and leaving the processor. */
const fpuStubs = (hasXsave: boolean): string => `
; The guest's FPU state in, and out. CR0.TS is clear meanwhile; it is the last thing to change.
kvmLoadGuestFpu:
        clts
        ${hasXsave ? `call kvmHostXcr0\n        mov eax, [rdi + ${area.hostXcr0}]\n        xrstor64 [rdi + ${area.guestFpu}]\n        jmp kvmGuestXcr0` : `fxrstor64 [rdi + ${area.guestFpu}]\n        ret`}
kvmSaveGuestFpu:
        clts
        ${hasXsave ? `call kvmHostXcr0\n        mov eax, [rdi + ${area.hostXcr0}]\n        xsave64 [rdi + ${area.guestFpu}]` : `fxsave64 [rdi + ${area.guestFpu}]`}
        jmp kvmSetTs
kvmSaveHostFpu:
        clts
        ${hasXsave ? `call kvmHostXcr0\n        mov eax, [rdi + ${area.hostXcr0}]\n        xsave64 [rdi + ${area.hostFpu}]` : `fxsave64 [rdi + ${area.hostFpu}]`}
kvmSetTs:
        mov rax, cr0
        or eax, 8
        mov cr0, rax
        ret
kvmLoadHostFpu:
        clts
        ${hasXsave ? `mov eax, [rdi + ${area.hostXcr0}]\n        xor edx, edx\n        xrstor64 [rdi + ${area.hostFpu}]` : `fxrstor64 [rdi + ${area.hostFpu}]`}
        ret
kvmClearTs:
        clts
        ret
kvmGuestXcr0:
        mov eax, [rdi + ${area.guestXcr0}]
        jmp kvmSetXcr0
kvmHostXcr0:
        mov eax, [rdi + ${area.hostXcr0}]
kvmSetXcr0:
        xor ecx, ecx
        xor edx, edx
        xsetbv
        ret
`;

/** What of the switch is lazy, as functions of the C part: rdi = vcpu_vmx. */
export const lazyStubs = (hasXsave: boolean): string => `
; The host's selectors and bases as they are; the guest's KernelGSBase in place of the host's.
kvmSaveHostState:
        mov eax, fs
        mov [rdi + ${area.hostFs}], eax
        mov eax, gs
        mov [rdi + ${area.hostGs}], eax
        mov eax, ds
        mov [rdi + ${area.hostDs}], eax
        mov eax, es
        mov [rdi + ${area.hostEs}], eax
        sldt eax
        mov [rdi + ${area.hostLdt}], eax
${readMsr(MSR.FS_BASE, area.hostFsBase)}${readMsr(MSR.GS_BASE, area.hostGsBase)}${readMsr(MSR.KERNEL_GS_BASE, area.hostKernelGsBase)}
${writeMsr(MSR.KERNEL_GS_BASE, area.guestKernelGsBase)}
        ret

; The host's again: selectors that a VM exit cannot load, bases, limits of GDTR and TR.
kvmLoadHostState:
${readMsr(MSR.KERNEL_GS_BASE, area.guestKernelGsBase)}${writeMsr(MSR.KERNEL_GS_BASE, area.hostKernelGsBase)}
        test dword [rdi + ${area.reload}], 4
        je kvmSameLdt
        lldt [rdi + ${area.hostLdt}]
kvmSameLdt:
        test dword [rdi + ${area.reload}], 2
        je kvmSameGs
        mov eax, [rdi + ${area.hostGs}]
        mov gs, eax
${writeMsr(MSR.GS_BASE, area.hostGsBase)}
kvmSameGs:
        test dword [rdi + ${area.reload}], 1
        je kvmSameFs
        mov eax, [rdi + ${area.hostFs}]
        mov fs, eax
${writeMsr(MSR.FS_BASE, area.hostFsBase)}
kvmSameFs:
        mov ds, [rdi + ${area.hostDs}]
        mov es, [rdi + ${area.hostEs}]
        lgdt [rdi + ${area.hostGdtr}]
        mov rax, [rdi + ${area.hostTss}]
        and byte [rax + 5], 0xfd        ; LTR wants a TSS that is not busy
        str eax
        ltr ax
        ret

; rdi = entries of index and value, rsi = how many
kvmLoadMsrs:
        mov ecx, [rdi]
        mov eax, [rdi + 8]
        mov edx, [rdi + 12]
        wrmsr
        add rdi, 16
        dec rsi
        jne kvmLoadMsrs
        ret

; DS and ES of the process that called: rdi = selector
kvmLoadDataSegments:
        mov ds, edi
        mov es, edi
        ret

${fpuStubs(hasXsave)}
; DR0-DR3 of the guest; DR7 is the VM entry's.
kvmLoadDebugRegisters:
        mov rax, [rdi + ${area.debug}]
        mov dr0, rax
        mov rax, [rdi + ${area.debug + 8}]
        mov dr1, rax
        mov rax, [rdi + ${area.debug + 16}]
        mov dr2, rax
        mov rax, [rdi + ${area.debug + 24}]
        mov dr3, rax
        ret

; A host NMI that came as a VM exit: to the host's handler, whose IRET ends the blocking.
kvmRaiseNmi:
        int 2
        ret
; STI and CLI with an instruction between, after which the shadow of STI is over.
kvmInterruptWindow:
        sti
        nop
        cli
        ret
`;
