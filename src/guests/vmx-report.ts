import { type VmcsFieldName, vmcsFieldOf } from "../arch/vmcs-fields.ts";

/** What the VMX test kernel prints, and how to read it: one line per VM entry, naming all that it changed. */

/** MSRs of the host that are compared across an entry and given back their first value before each case. */
// biome-ignore format: one row per fact
export const observedMsrs = [
  { name: "IA32_EFER", index: 0xc000_0080 }, { name: "IA32_PAT", index: 0x277 }, { name: "IA32_DEBUGCTL", index: 0x1d9 },
  { name: "IA32_SYSENTER_CS", index: 0x174 }, { name: "IA32_SYSENTER_ESP", index: 0x175 }, { name: "IA32_SYSENTER_EIP", index: 0x176 },
  { name: "IA32_FS_BASE", index: 0xc000_0100 }, { name: "IA32_GS_BASE", index: 0xc000_0101 }, { name: "IA32_KERNEL_GS_BASE", index: 0xc000_0102 },
  { name: "IA32_STAR", index: 0xc000_0081 }, { name: "IA32_LSTAR", index: 0xc000_0082 }, { name: "IA32_CSTAR", index: 0xc000_0083 },
  { name: "IA32_FMASK", index: 0xc000_0084 }, { name: "IA32_TSC_AUX", index: 0xc000_0103 },
] as const;

/** Registers of the host that are compared, in the order in which the kernel reads them. */
const observedRegisters = [
  "CR0",
  "CR3",
  "CR4",
  "DR7",
  "DR6",
  "CR2",
  "GDTR.limit",
  "GDTR.base",
  "IDTR.limit",
  "IDTR.base",
  "TR",
  "LDTR",
  "ES",
  "CS",
  "SS",
  "DS",
  "FS",
  "GS",
] as const;
const observed: readonly string[] = [...observedRegisters, ...observedMsrs.map(({ name }) => name)];
const registers = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split(" ");
/** RFLAGS after the entry or the host's part; an exception of the host (its vector + 100H); interrupts and NMIs it took afterwards. */
const outcomes = ["RFLAGS", "exception", "errorCode", "interrupts", "NMIs"];

/** Numbers in front of "=" that are no field encodings start here. */
export const reportBase = {
  host: 0x8000,
  gpr: 0x8100,
  stack: 0x8200,
  memory: 0x8300,
  watch: 0x8400,
  outcome: 0x8500,
} as const;

/** Who ended the step: X a VM exit or failed VM entry, V VMfail, H the host's part, E an exception of the host, U a field that lacks. */
export type ReportKind = "X" | "V" | "H" | "E" | "U";

export interface Report {
  readonly kind: ReportKind;
  /** What changed, by name: fields of the VMCS, "host.X", "RAX" (the guest's, or left by the host), "stack-8" ... */
  readonly changes: ReadonlyMap<string, bigint>;
}

export interface KernelOutput {
  /** IA32_VMX_BASIC and following, by MSR index. */
  readonly capabilities: ReadonlyMap<number, bigint>;
  /** By case number, in order of entries. */
  readonly cases: ReadonlyMap<number, readonly Report[]>;
  /** Verdicts on random VMCSs by seed. */
  readonly random: ReadonlyMap<number, string>;
  /** The kernel came to its end. */
  readonly complete: boolean;
}

/** Name of a number in front of "=". */
const nameOf = (number: number): string => {
  const index = number & 0xff;
  switch (number & 0xff00) {
    case reportBase.host:
      return `host ${observed[index] ?? index}`;
    case reportBase.gpr:
      return registers[index] ?? `gpr${index}`;
    case reportBase.stack:
      return `stack-${(16 - index) * 8}`;
    case reportBase.memory:
      return `memory+${index * 8}`;
    case reportBase.watch:
      return `watch${index}`;
    case reportBase.outcome:
      return outcomes[index] ?? `outcome${index}`;
    default: {
      const name: VmcsFieldName | undefined = vmcsFieldOf(number)?.name;
      return name ?? `field ${number.toString(16)}`;
    }
  }
};

const reportOf = (kind: string, words: readonly string[]): Report => ({
  kind: kind as ReportKind,
  changes: new Map(
    words.map((word) => {
      const [number = "", value = ""] = word.split("=");
      return [nameOf(Number.parseInt(number, 16)), BigInt(`0x${value || "0"}`)];
    }),
  ),
});

export const readKernelOutput = (text: string): KernelOutput => {
  const capabilities = new Map<number, bigint>();
  const cases = new Map<number, Report[]>();
  const random = new Map<number, string>();
  let complete = false;
  for (const line of text.split("\n")) {
    const [tag, number = "0", kind = "", ...words] = line.trim().split(" ");
    const at = Number.parseInt(number, 16);
    if (tag === "m") capabilities.set(at, BigInt(`0x${kind}`));
    else if (tag === "r") random.set(at, [kind, ...words].join(" "));
    else if (tag === "end") complete = true;
    else if (tag === "c") {
      const reports = cases.get(at) ?? [];
      reports.push(reportOf(kind, words));
      cases.set(at, reports);
    }
  }
  return { capabilities, cases, random, complete };
};

/** A report as one line of text, for vectors and for people. */
export const reportText = ({ kind, changes }: Report): string =>
  [kind, ...[...changes].map(([name, value]) => `${name.replace(" ", ":")}=${value.toString(16)}`)].join(" ");
