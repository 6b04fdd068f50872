import {
  type AkarosBugs,
  fastcallSetFsbase,
  frameRegisters,
  hw,
  perCpu,
  RPL,
  selector,
  starKernel,
  starUser,
  sw,
  userAddress,
  vector,
  vm,
  vmFlag,
} from "./layout.ts";

/** The assembly of the kernel: all ways in, all ways out. `call cPart` is where the C part is called; its return address says from where. */

const lines = (all: readonly string[]): string => all.map((line) => `        ${line}`).join("\n");
const IA32_FS_BASE = 0xc000_0100;
const IA32_GS_BASE = 0xc000_0101;
const x2apicEoi = 0x80b;

/** Exceptions for which the processor pushes an error code, as the original has them: 8 was forgotten. */
const withErrorCode = [10, 11, 12, 13, 14, 17];

export interface StubOptions {
  readonly bugs: AkarosBugs;
}

interface TrapRow {
  readonly vector: number;
  readonly name: string;
  readonly to: string;
  readonly pushesError: boolean;
}

const exceptions = Array.from({ length: 20 }, (_, n) => n).filter((n) => n !== 9 && n !== 15);
const irqs = [
  ...Array.from({ length: 16 }, (_, n) => vector.PIC + n),
  ...Array.from({ length: vector.SMP_CALL0 - vector.IOAPIC }, (_, n) => vector.IOAPIC + n),
  ...[224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 239],
  ...Array.from({ length: 16 }, (_, n) => 240 + n),
];

/** The macros that make a stub and its record, in the order of the table. */
const trapRows = ({ bugs }: StubOptions): readonly TrapRow[] => [
  ...exceptions.map((n) => ({
    vector: n,
    name: `trap${n}`,
    to: n === vector.NMI && !bugs.noInterruptStacks ? "nmi" : "traps",
    pushesError: withErrorCode.includes(n) || (n === vector.DF && !bugs.doubleFaultMisframe),
  })),
  { vector: vector.syscall, name: "trapSyscall", to: "traps", pushesError: false },
  ...irqs.map((n) => ({ vector: n, name: `irq${n}`, to: "irqs", pushesError: false })),
];

const stub = ({ vector: n, name, to, pushesError }: TrapRow): string => `
${name}:
${pushesError ? "" : "        push 0\n"}        push ${n}
        jmp ${to}`;

/** One record: handler u64, vector u32. */
const tableRecord = (name: string, n: number): string => `        dq ${name} + KERNBASE\n        dd ${n}`;

/** rax lowest. */
const pushAll = lines([...frameRegisters].reverse().map((name) => `push ${name}`));
const popAll = lines(frameRegisters.map((name) => `pop ${name}`));

/** Traps and interrupts differ in whom they call. From the frame's GPRs on, CS and padding0 lie 0x10 lower than in the frame. */
const entry = (name: string): string => `
${name}:  cld
${pushAll}
        cmp word [rsp + ${hw.cs - hw.rax}], ${selector.kernelCode}
        je ${name}Kernel
        swapgs                          ; from user mode: GS becomes the kernel's,
        mov dword [rsp + ${hw.padding0 - hw.rax}], 1   ; and the user's bases stay in the processor: partial
${name}Kernel:
        push 0                          ; room for fsbase
        push 0                          ; and gsbase
        xor ebp, ebp                    ; a backtrace ends here
        mov rdi, rsp                    ; the frame
        call cPart
${name}Called:
        jmp trapReturn                  ; kernel frames only: a user's has been copied and its stack forgotten
`;

/**
 * On a stack of its own, above which lies whose core this is. Whose RSP and GS are interrupted cannot be told from CS, so neither is
 * used, and the C part is not called: it may itself be waiting for a function.
 */
const nmiEntry = `
nmi:    push rax
        mov rax, [rsp + ${8 * 8}]
        inc qword [rax + ${perCpu.nmis}]
        pop rax
        add rsp, 16                     ; trapno, err
        iretq
`;

const wrmsrFrom = (msr: number, at: string): string => `
        mov ecx, ${msr}
        mov eax, [rdi + ${at}]
        mov edx, [rdi + ${at} + 4]
        wrmsr`;

/** GS of a user context: still in the processor, or in the frame. */
const userBases = (name: string, test: string): string => `
${name}:  ${test}
        jnz ${name}Partial${wrmsrFrom(IA32_GS_BASE, `${hw.gsbase}`)}${wrmsrFrom(IA32_FS_BASE, `${hw.fsbase}`)}
        jmp ${name}Go
${name}Partial:
        swapgs
${name}Go:`;

/** The world switch: VM exit and VM entry. Guest registers by their place in vm_trapframe. */
export const vmExitStub = `
; VM exits arrive here: RSP = HOST_RSP = this core's stack top, GS the kernel's, every other register the guest's.
vmExit:
${lines(Array.from({ length: 11 }, () => "push 0"))}
${pushAll}
        xor ebp, ebp
        mov rdi, rsp
        call cPart
vmExitCalled:
        jmp spin
`;

export const vmEntryStub = `
; rdi = vm_trapframe. Loads are MOVs, which leave the test's flags alone; the pointer goes last.
popVm:  mov rax, rdi
        test dword [rax + ${vm.flags}], ${vmFlag.PARTIAL}
        push rbp
${lines(frameRegisters.filter((name) => name !== "rax").map((name) => `mov ${name}, [rax + ${vm[name]}]`))}
        mov rax, [rax]
        jz popVmLaunch                  ; not partial: the VMCS is loaded, but clear
        vmresume
        jmp popVmFailed
popVmLaunch:
        vmlaunch
popVmFailed:                            ; still here: VMfail. The registers are the guest's, the stack is ours.
        setz al
        pop rbp
        movzx edi, al
        call cPart
vmEntryFailed:
        jmp spin
`;

/** Everything, for a kernel with these bugs; KERNBASE is a symbol. */
export const kernelStubs = (options: StubOptions): string => `
${trapRows(options).map(stub).join("\n")}
${entry("traps")}
${entry("irqs")}
${options.bugs.noInterruptStacks ? "" : nmiEntry}
trapReturn:
        add rsp, 16
${popAll}
        add rsp, 16                     ; trapno, err
        iretq

; An interrupt whose only effect is to have interrupted.
poke:   push rax
        push rcx
        push rdx
        xor eax, eax
        xor edx, edx
        mov ecx, ${x2apicEoi}
        wrmsr
        pop rdx
        pop rcx
        pop rax
        iretq

align 64
trapTable:
${trapRows(options)
  .map(({ name, vector: n }) => tableRecord(name, n))
  .join("\n")}
${tableRecord("poke", vector.POKE_CORE)}
${tableRecord("trapDefault", 0xbeef)}
trapTableEnd:
trapDefault:
        push 0
        push 0xbeef
        jmp traps

; SYSCALL. rdi = system calls, rsi = how many, rdx = user RSP, rcx = user RIP. IF and DF are 0 by IA32_FMASK; RSP is still the user's.
syscallEntry:
        mov rax, ${fastcallSetFsbase}
        cmp rdi, rax
        je fastcall
        swapgs
        mov rsp, gs:[${perCpu.stackTop}]
        push 0
        mov word [rsp + ${sw.padding0 - sw.mxcsr}], 1
        stmxcsr [rsp]
        fnstcw [rsp + ${sw.fpucw - sw.mxcsr}]
        push rdx
        push rcx
${lines(["r15", "r14", "r13", "r12", "rbp", "rbx"].map((name) => `push ${name}`))}
        push 0
        push 0
        xor ebp, ebp
        mov rdx, rsp
        call cPart                      ; RSP is 8 modulo 16 here: the frame has 0x58 bytes
syscallCalled:
        jmp spin
; No stack, no SWAPGS: FS.base := rsi where that is an address of the user's half.
fastcall:
        mov rax, rsi
        shr rax, 47
        jnz fastcallDone
        mov rdi, rcx
        mov ecx, ${IA32_FS_BASE}
        mov rdx, rsi
        shr rdx, 32
        mov eax, esi
        wrmsr
        mov rcx, rdi
fastcallDone:
        sysretq

; rdi = sw_trapframe. What the kernel had in other registers does not leak.
${userBases("popSw", `test word [rdi + ${sw.padding0}], 1`)}
        lea rsp, [rdi + ${sw.rbx}]
        xor eax, eax
        xor edx, edx
        xor esi, esi
        xor edi, edi
        xor r8d, r8d
        xor r9d, r9d
        xor r10d, r10d
        mov r11d, 0x200
        pop rbx
        pop rbp
        pop r12
        pop r13
        pop r14
        pop r15
        pop rcx
        pop rsp
        sysretq

; rdi = hw_trapframe.
${userBases("popHw", `test dword [rdi + ${hw.padding0}], 1`)}
        lea rsp, [rdi + ${hw.rax}]
${popAll}
        add rsp, 16
        iretq

${vmExitStub}
${vmEntryStub}

; Nothing to run: until an interrupt has come.
idleCore:
        sti
        hlt
        cli
        call cPart
idleCalled:
        jmp spin

; rdi = GDT and IDT pointers, 16 bytes apart; rsi = what GS is to be; rdx = IA32_LSTAR.
bootCore:
        lgdt [rdi]
        lidt [rdi + 16]
        mov eax, ${selector.TSS}
        ltr ax
        mov eax, ${selector.kernelData}
        mov ss, eax
        xor eax, eax                    ; FS and GS null: IRET to user mode takes no base away
        mov fs, eax
        mov gs, eax
        mov r8, rdx
        mov ecx, ${IA32_GS_BASE}
        mov rdx, rsi
        shr rdx, 32
        mov eax, esi
        wrmsr
        inc ecx                         ; IA32_KERNEL_GS_BASE
        wrmsr
        mov ecx, 0xc0000082             ; IA32_LSTAR
        mov rdx, r8
        shr rdx, 32
        mov eax, r8d
        wrmsr
        dec ecx                         ; IA32_STAR
        xor eax, eax
        mov edx, ${((starUser | RPL) << 16) | starKernel}
        wrmsr
        mov ecx, 0xc0000084             ; IA32_FMASK: all
        mov eax, 0xffffffff
        xor edx, edx
        wrmsr
        ret

; rdi = address space, rsi = XCR0.
loadCr3:
        mov cr3, rdi
        ret
loadXcr0:
        mov eax, esi
        mov rdx, rsi
        shr rdx, 32
        xor ecx, ecx
        xsetbv
        ret

cPart:  jmp returnGate
spin:   pause
        jmp spin
`;

/** User level: where a virtual core begins, and how it calls the kernel. The stores to the gate hand over to TypeScript, which moves RIP on. */
export const userStubs = `
vcoreEntry:
        mov rdx, ${userAddress.gate}
vcoreGate:
        mov [rdx], eax
vcoreGateDone:
        jmp vcoreGate
callKernel:
        mov rdx, rsp
        syscall
callReturned:
        mov rdx, ${userAddress.gate}
returnedGate:
        mov [rdx], eax
returnedGateDone:
        jmp returnedGate
`;
