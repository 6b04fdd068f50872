import { access, segmentType, systemType, TSS64 } from "../../arch/descriptors.ts";

/** What of the host kernel is the same for all hypervisors: selectors, descriptor tables, the entries of exceptions and interrupts. */

/** Selectors of the GDT. The order of the user segments is the one SYSRET wants. */
// biome-ignore format: one row per fact
export const hostSelector = {
  kernelCode: 0x08, kernelData: 0x10, userBase: 0x18, userData: 0x20, userCode: 0x28, TSS: 0x30,
} as const;

export const gdtBytes = 0x40;
export const idtBytes = 16 * 256;
export const tssBytes = TSS64.bytes;
/** Slots of the interrupt stack table that the host uses. */
export const interruptStack = { none: 0, NMI: 1, doubleFault: 2 } as const;

const { code, readable, writable, accessed } = segmentType;
const present = access.P | access.S | accessed;
const userLevel = access.DPL;

/** A descriptor of a flat segment. */
const flat = (rights: number): bigint => 0x000f_0000_0000_ffffn | (BigInt(rights) << 40n);

/** A GDT for one processor, whose TSS lies at `tss`. */
export const gdt = (tss: number): Uint8Array => {
  const bytes = new Uint8Array(gdtBytes);
  const view = new DataView(bytes.buffer);
  const put = (selector: number, descriptor: bigint): void => view.setBigUint64(selector, descriptor, true);
  const code64 = present | code | readable | access.L | access.G;
  const data = present | writable | access.DB | access.G;
  put(hostSelector.kernelCode, flat(code64));
  put(hostSelector.kernelData, flat(data));
  put(hostSelector.userBase, flat(present | code | readable | access.DB | access.G | userLevel));
  put(hostSelector.userData, flat(data | userLevel));
  put(hostSelector.userCode, flat(code64 | userLevel));
  const base = BigInt(tss);
  put(
    hostSelector.TSS,
    BigInt(tssBytes - 1) |
      ((base & 0xff_ffffn) << 16n) |
      (BigInt(access.P | systemType.busyTSS32) << 40n) |
      ((base & 0xff00_0000n) << 32n),
  );
  put(hostSelector.TSS + 8, base >> 32n);
  return bytes;
};

/** Access rights in the VMCS format of what the GDT above has. */
export const hostRights = {
  code: present | code | readable | access.L | access.G,
  data: present | writable | access.DB | access.G,
  TSS: access.P | systemType.busyTSS32,
} as const;

/** An interrupt gate of the kernel's code segment; `level` is the privilege that INT n needs. */
export const interruptGate = (
  address: number,
  { level = 0, stack = 0, isTrap = false }: { level?: 0 | 3; stack?: number; isTrap?: boolean } = {},
): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address & 0xffff, true);
  view.setUint16(2, hostSelector.kernelCode, true);
  view.setUint8(4, stack);
  view.setUint8(5, access.P | (level << 5) | (isTrap ? systemType.trapGate32 : systemType.interruptGate32));
  view.setUint16(6, (address >>> 16) & 0xffff, true);
  view.setUint32(8, Math.floor(address / 0x1_0000_0000), true);
  return bytes;
};

/** Exceptions that push an error code (SDM Vol. 3, Table "Protected-Mode Exceptions and Interrupts"). */
const pushesErrorCode = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** Bytes between the entries of two vectors. */
export const trapEntryBytes = 16;

/** The frame that an entry leaves: offsets from RSP, lowest address first. */
// biome-ignore format: one list
const saved = ["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
export const trapFrame = {
  ...(Object.fromEntries(saved.map((name, n) => [name, 8 * n])) as Record<(typeof saved)[number], number>),
  vector: 8 * saved.length,
  errorCode: 8 * saved.length + 8,
  rip: 8 * saved.length + 16,
  cs: 8 * saved.length + 24,
  rflags: 8 * saved.length + 32,
  rsp: 8 * saved.length + 40,
  ss: 8 * saved.length + 48,
} as const;

const entry = (vector: number): string => `
        align ${trapEntryBytes}
        ${pushesErrorCode.has(vector) ? "" : "push 0"}
        push ${vector}
        jmp trap`;

/**
 * Where machine code hands over to the C part: HLT at a gate tells that it is there. A function that the C part called returns to
 * returnGate; an exception or interrupt halts at trapGate with RSP at its frame, and goes on at trapDone.
 */
export const hostStubs = `
trapEntries:${Array.from({ length: 256 }, (_, vector) => entry(vector)).join("")}
        align 16
trap:   ${[...saved]
  .reverse()
  .map((name) => `push ${name}`)
  .join("\n        ")}
trapGate:
        hlt
        jmp trapGate
trapDone:
        ${saved.map((name) => `pop ${name}`).join("\n        ")}
        add rsp, 16
        iretq

returnGate:
        hlt
        jmp returnGate

; Waits for an interrupt: STI holds it back until the processor has halted.
idle:   sti
        hlt
        cli
        ret
enableInterrupts:
        sti
        nop
        ret
disableInterrupts:
        cli
        ret

; VMX instructions as functions: rax = CF | ZF << 6 | ..., the low byte of RFLAGS.
vmxon:  push rdi
        vmxon [rsp]
        jmp flags8
vmxoff: push rdi
        vmxoff
        jmp flags8
vmclear:
        push rdi
        vmclear [rsp]
        jmp flags8
vmptrld:
        push rdi
        vmptrld [rsp]
        jmp flags8
vmread: vmread rdx, rdi
        push rdi
        jmp flags8
vmwrite:
        vmwrite rdi, rsi
        push rdi
flags8: lahf
        movzx eax, ah
        pop rdi
        ret
; rdi = type, rsi and rdx = descriptor
invept: push rdx
        push rsi
        invept rdi, [rsp]
        jmp flags16
invvpid:
        push rdx
        push rsi
        invvpid rdi, [rsp]
flags16:
        lahf
        movzx eax, ah
        pop rsi
        pop rdx
        ret
`;
