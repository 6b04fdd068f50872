import { assemble } from "../../asm/index.ts";
import { generalRegisters } from "../../state/layout.ts";
import { entryMark, hypercall, lguestData, slotStatus } from "../lguest/abi.ts";

/**
 * The guests of the comparison: each fills every register with a value that occurs nowhere else, leaves for the host in a few ways,
 * and writes down after each what it finds in its registers. One for VT-x, one for ring 1.
 */

const MIB = 0x10_0000;
export const guestBytes = 8 * MIB;

/** What a guest tells of itself in its memory, and where. */
export interface GuestImage {
  readonly bytes: Uint8Array;
  /** Guest-physical address of a quadword (VT-x) or doubleword (ring 1): how often the guest has come back and written its registers down. */
  readonly rounds: number;
  /** A byte: set it, and a guest that spins goes on. */
  readonly flag: number;
  /** Where it writes its registers down. */
  readonly found: number;
  /** How often its own interrupt handler has run, and the handler itself (as RIP). */
  readonly handled: number;
  readonly handler: bigint;
  /** What is expected there, by register. */
  readonly registers: readonly {
    readonly name: string;
    readonly value: bigint;
    readonly at: number;
    readonly bytes: 4 | 8;
  }[];
}

/** Of the interrupt that a guest has coming when it has seen all else. */
const ownVector = 0x50;
const IA32_APIC_BASE = 0x1b;
const x2apicEnabled = 1 << 10;
const clockNs = 1000;

/** How the guest leaves for good, at the end. */
export type GuestEnd = "spins" | "faults";

/** A value of one register of the guest: canonical, and unlike any other. */
export const guestValue = (number: number): bigint => 0x6e57_0000_0000n + BigInt(number + 1) * 0x1_0001_0101n;
export const hostValue = (number: number): bigint => 0x4057_0000_0000n + BigInt(number + 1) * 0x1_0001_0101n;
/** Numbers of values beside the sixteen general registers. */
export const valueNumber = { CR2: 16, XMM0: 17, IA32_LSTAR: 18, IA32_KERNEL_GS_BASE: 19 } as const;

const origin = 0x20_0000;
const names = generalRegisters.map((name) => name.toLowerCase());
const hex = (value: bigint): string => `0x${value.toString(16)}`;

const wrmsr = (msr: number, value: bigint): string => `
        mov ecx, ${msr}
        mov eax, ${hex(value & 0xffff_ffffn)}
        mov edx, ${hex(value >> 32n)}
        wrmsr`;
const fill64 = names.map((name, n) => `mov ${name}, ${hex(guestValue(n))}`).join("\n");
const store64 = (area: string): string => `
        ${names.map((name, n) => `mov [${area} + ${8 * n}], ${name}`).join("\n")}
        mov rax, cr2
        mov [${area} + 128], rax
        movq rax, xmm0
        mov [${area} + 136], rax
        inc dword [rounds]
        mov rax, [${area}]`;

/** 64-bit code at CPL 0, memory mapped to itself. Port E9H is a device of the user's; CPUID is the kernel's affair. */
const guest64 = (end: GuestEnd): string => `
        lgdt [gdtr]
        lidt [idtr]
        mov rax, handler
        mov [idt + 16 * ${ownVector}], ax
        shr rax, 16
        mov [idt + 16 * ${ownVector} + 6], ax
        mov word [idt + 16 * ${ownVector} + 2], 8
        mov byte [idt + 16 * ${ownVector} + 5], 0x8e
        clts
        mov rax, cr4
        or eax, 0x600
        mov cr4, rax
${wrmsr(0xc000_0082, guestValue(valueNumber.IA32_LSTAR))}
${wrmsr(0xc000_0102, guestValue(valueNumber.IA32_KERNEL_GS_BASE))}
        mov rax, ${hex(guestValue(valueNumber.XMM0))}
        movq xmm0, rax
        mov byte [flag], 0
        mov rax, ${hex(guestValue(valueNumber.CR2))}
        mov cr2, rax
        ${fill64}
        out 0xe9, al
        ${store64("found")}
        out 0xe9, al
        ${store64("later")}
        cpuid
        ${store64("later")}
        ${fill64}
${end === "faults" ? "lidt [nothing]\n ud2" : ""}
spin:   cmp byte [flag], 0
        je spin
        ${store64("later")}
        mov rsp, stack
        mov ecx, ${IA32_APIC_BASE}
        rdmsr
        test eax, ${x2apicEnabled}
        jz memory
        mov ecx, 0x80f
        mov eax, 0x1ff
        xor edx, edx
        wrmsr
        sti
        mov ecx, 0x83f
        mov eax, ${ownVector}
        wrmsr
        jmp last
memory: mov rbx, 0xfee00000
        mov dword [rbx + 0xf0], 0x1ff
        sti
        mov dword [rbx + 0x310], 0
        mov dword [rbx + 0x300], 0x44000 + ${ownVector}
last:   jmp last
handler:
        inc dword [handled]
        cli
stop:   jmp stop
        align 64
rounds: dq 0
flag:   dq 0
handled: dq 0
gdtr:   dw 0x17
        dq gdt
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
idtr:   dw 0xfff
        dq idt
nothing: dw 0
        dq 0
found:  ${"dq 0, 0, 0, 0, 0, 0\n".repeat(3)}
later:  ${"dq 0, 0, 0, 0, 0, 0\n".repeat(3)}
        align 16
idt:    times 4096 db 0
        times 512 db 0
stack:
`;

export const virtualGuest = (end: GuestEnd): GuestImage & { readonly origin: number } => {
  const { bytes, symbols } = assembled(guest64(end), 64, origin);
  const found = symbols("found");
  const registers = [
    ...names.map((name, n) => ({ name, value: guestValue(n), at: found + 8 * n, bytes: 8 as const })),
    { name: "cr2", value: guestValue(valueNumber.CR2), at: found + 128, bytes: 8 as const },
    { name: "xmm0", value: guestValue(valueNumber.XMM0), at: found + 136, bytes: 8 as const },
  ];
  return {
    bytes,
    rounds: symbols("rounds"),
    flag: symbols("flag"),
    handled: symbols("handled"),
    handler: BigInt(symbols("handler")),
    found,
    registers,
    origin,
  };
};

const paravirtualOffset = 0xc000_0000;
const names32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
/** Arguments of the hypercall lie in EAX, EBX and EDX. */
const free = [1, 5, 6, 7] as const;
const value32 = (number: number): bigint => guestValue(number) & 0xffff_ffffn;
const fill32 = free.map((n) => `mov ${names32[n]}, ${hex(value32(n))}`).join("\n");
const store32 = (area: string): string => `
        ${names32.map((name, n) => `mov [${area} + ${4 * n}], ${name}`).join("\n")}
        inc dword [rounds]`;

/** 32-bit code in ring 1: a message to its console is a device of the user's, FLUSH_TLB the kernel's affair. */
const guest32 = (end: GuestEnd): string => `
        bits 32
V       equ ${paravirtualOffset}
        db "${entryMark}"
        mov esp, stack
        mov edx, shared - V
        mov eax, ${hypercall.INIT}
        int 31
        mov byte [flag], 0
        mov dword [message + 4], letter - V
        mov dword [message + 68], 1
${Array.from(
  { length: 2 },
  () => `
        mov eax, ${hypercall.SEND_DMA}
        xor edx, edx
        mov ebx, message - V
        ${fill32}
        int 31
        ${store32("found")}`,
).join("")}
        mov eax, ${hypercall.FLUSH_TLB}
        int 31
        ${store32("later")}
${end === "faults" ? "ud2" : ""}
spin:   cmp byte [flag], 0
        je spin
        ${store32("later")}
        mov edx, 32
        mov ebx, handler
        mov ecx, ebx
        and ecx, 0xffff0000
        or ecx, 0x8e00
        and ebx, 0xffff
        mov eax, ${hypercall.LOAD_IDT_ENTRY}
        int 31
        mov dword [shared + ${lguestData.irq_enabled}], 0x200
        mov eax, ${hypercall.SET_CLOCKEVENT}
        mov edx, ${clockNs}
        int 31
last:   jmp last
handler:
        inc dword [handled]
stop:   jmp stop
        align 64
rounds: dd 0
flag:   dd 0
handled: dd 0
found:  dd 0, 0, 0, 0, 0, 0, 0, 0
later:  dd 0, 0, 0, 0, 0, 0, 0, 0
letter: db "x"
        align 4
message: ${"dd 0, 0, 0, 0, 0\n".repeat(7)}
shared: times ${lguestData.hcall_status} db 0
        times 64 db ${slotStatus.done}
        times ${lguestData.bytes - lguestData.hcalls} db 0
        align 4096
        resb 4096
stack:
`;

/** Linked at \`paravirtualOffset\` + 1 MiB. */
export const paravirtualGuest = (end: GuestEnd): GuestImage => {
  const { bytes, symbols } = assembled(guest32(end), 32, paravirtualOffset + MIB);
  const at = (label: string): number => symbols(label) - paravirtualOffset;
  const registers = free.map((n) => ({
    name: names32[n]!,
    value: value32(n),
    at: at("found") + 4 * n,
    bytes: 4 as const,
  }));
  return {
    bytes,
    rounds: at("rounds"),
    flag: at("flag"),
    handled: at("handled"),
    handler: BigInt(symbols("handler")),
    found: at("found"),
    registers,
  };
};
export const paravirtualAddress = {
  virtual: paravirtualOffset + MIB,
  physical: MIB,
  offset: paravirtualOffset,
} as const;

const assembled = (text: string, codeSize: 32 | 64, at: number) => {
  const assembly = assemble(text, { codeSize, origin: at });
  if (assembly.kind === "errors")
    throw new Error(assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("; "));
  return { bytes: assembly.bytes, symbols: (name: string): number => Number(assembly.symbols.get(name)!) };
};
