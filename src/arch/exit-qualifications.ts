import { ExitReason } from "./vm-exit-reasons.ts";

/**
 * What the bits of the exit qualification mean for each reason (SDM Vol. 3, "Basic VM-Exit Information"). Reasons without a row
 * have a qualification of 0, or an undefined one.
 */

/** How a part is to be read: one bit, a number, a number that people write in hexadecimal, a signed one, or one of these values. */
export type PartForm =
  | "flag"
  | "number"
  | "hexadecimal"
  | "signed"
  | readonly (string | number | undefined)[];

export interface QualificationPart {
  readonly name: string;
  /** Lowest bit. */
  readonly bit: number;
  /** Number of bits. */
  readonly bits: number;
  readonly form: PartForm;
}

// biome-ignore format: one list
const generalRegisters = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"];

const part = (name: string, bit: number, bits: number, form: PartForm): QualificationPart => ({
  name,
  bit,
  bits,
  form,
});
const flag = (name: string, bit: number): QualificationPart => part(name, bit, 1, "flag");

const linearAddress = [part("linearAddress", 0, 64, "hexadecimal")];
const displacement = [part("displacement", 0, 64, "signed")];
const vector = [part("vector", 0, 8, "number")];

// biome-ignore format: one row per fact
const rows: Readonly<Record<number, readonly QualificationPart[]>> = {
  [ExitReason.SIPI]: vector,
  [ExitReason.TASK_SWITCH]: [part("selector", 0, 16, "hexadecimal"), part("source", 30, 2, ["CALL", "IRET", "JMP", "task gate in IDT"])],
  [ExitReason.INVLPG]: linearAddress,
  [ExitReason.CR_ACCESS]: [
    part("register", 0, 4, ["CR0", "CR1", "CR2", "CR3", "CR4", "CR5", "CR6", "CR7", "CR8"]),
    part("access", 4, 2, ["MOV to CR", "MOV from CR", "CLTS", "LMSW"]),
    part("operand", 6, 1, ["register", "memory"]), part("general", 8, 4, generalRegisters), part("source", 16, 16, "hexadecimal"),
  ],
  [ExitReason.MOV_DR]: [
    part("register", 0, 3, ["DR0", "DR1", "DR2", "DR3", "DR4", "DR5", "DR6", "DR7"]),
    part("direction", 4, 1, ["MOV to DR", "MOV from DR"]), part("general", 8, 4, generalRegisters),
  ],
  [ExitReason.IO_INSTRUCTION]: [
    part("port", 16, 16, "hexadecimal"), part("direction", 3, 1, ["OUT", "IN"]), part("size", 0, 3, [1, 2, undefined, 4]),
    flag("string", 4), flag("REP", 5), part("operand", 6, 1, ["DX", "immediate"]),
  ],
  [ExitReason.INVALID_GUEST_STATE]: [part("cause", 0, 64, [undefined, undefined, "PDPTEs", "NMI injection", "VMCS link pointer"])],
  [ExitReason.MSR_LOADING]: [part("entry", 0, 64, "number")],
  [ExitReason.MWAIT]: [flag("armed", 0)],
  [ExitReason.MONITOR]: displacement,
  [ExitReason.APIC_ACCESS]: [
    part("offset", 0, 12, "hexadecimal"),
    part("access", 12, 4, [
      "linear, data read", "linear, data write", "linear, instruction fetch", "linear, event delivery", "linear, monitoring",
      undefined, undefined, undefined, undefined, undefined, "guest-physical, event delivery", undefined, undefined, undefined, undefined, "guest-physical, instruction",
    ]),
    flag("asynchronous", 16),
  ],
  [ExitReason.VIRTUALIZED_EOI]: vector,
  [ExitReason.GDTR_IDTR_ACCESS]: displacement,
  [ExitReason.LDTR_TR_ACCESS]: displacement,
  [ExitReason.EPT_VIOLATION]: [
    flag("read", 0), flag("write", 1), flag("fetch", 2),
    flag("readable", 3), flag("writable", 4), flag("executable", 5), flag("userExecutable", 6),
    flag("linearAddressValid", 7), part("of", 8, 1, ["paging structure", "translated address"]),
    flag("userMode", 9), flag("guestWritable", 10), flag("guestExecuteDisable", 11), flag("nmiUnblocking", 12),
  ],
  [ExitReason.APIC_WRITE]: [part("offset", 0, 12, "hexadecimal")],
  [ExitReason.PML_FULL]: [flag("nmiUnblocking", 12)],
  [ExitReason.INVEPT]: displacement,
  [ExitReason.INVVPID]: displacement,
  [ExitReason.INVPCID]: displacement,
  [ExitReason.XSAVES]: displacement,
  [ExitReason.XRSTORS]: displacement,
  [ExitReason.VMCLEAR]: displacement,
  [ExitReason.VMPTRLD]: displacement,
  [ExitReason.VMPTRST]: displacement,
  [ExitReason.VMREAD]: displacement,
  [ExitReason.VMWRITE]: displacement,
  [ExitReason.VMXON]: displacement,
};

/** Of exceptions, by vector: #DB has bits as DR6, #PF the faulting address. */
// biome-ignore format: one row per fact
const ofExceptions: Readonly<Record<number, readonly QualificationPart[]>> = {
  1: [flag("B0", 0), flag("B1", 1), flag("B2", 2), flag("B3", 3), flag("BLD", 11), flag("BD", 13), flag("BS", 14), flag("RTM", 16)],
  14: linearAddress,
};

/** The parts of an exit qualification. `vector`: of the exception, for exit reason 0. */
export const exitQualificationParts = (reason: number, exceptionVector = -1): readonly QualificationPart[] =>
  (reason === ExitReason.EXCEPTION_OR_NMI ? ofExceptions[exceptionVector] : rows[reason]) ?? [];
