import { ExitReason } from "../../src/arch/vm-exit-reasons.ts";
import type { Report } from "../../src/guests/vmx-report.ts";
import { type Difference, differences } from "./differences.ts";

/** Compares our machine's reports with Bochs's, but for what the SDM leaves undefined and for known differences. */

const R = ExitReason;
/** Exits that do not save an instruction's length (SDM Vol. 3, "Information for VM Exits Due to Instruction Execution"). */
const withoutLength: ReadonlySet<number> = new Set([
  R.EXTERNAL_INTERRUPT, R.TRIPLE_FAULT, R.INIT_SIGNAL, R.SIPI, R.INTERRUPT_WINDOW, R.NMI_WINDOW, R.MONITOR_TRAP_FLAG,
  R.TPR_BELOW_THRESHOLD, R.VIRTUALIZED_EOI, R.APIC_WRITE, R.EPT_VIOLATION, R.EPT_MISCONFIGURATION, R.APIC_ACCESS,
  R.PREEMPTION_TIMER, R.PML_FULL,
]); // biome-ignore format: one list
/** Bits of the VM-exit instruction-information field that the SDM defines, by exit reason, in two forms: memory and register. */
const memoryForm = 0x0fff_8783;
const withInformation = new Map<number, { readonly memory: number; readonly register?: number }>([
  ...[R.VMCLEAR, R.VMPTRLD, R.VMPTRST, R.VMXON, R.XSAVES, R.XRSTORS].map(
    (reason) => [reason, { memory: memoryForm }] as const,
  ),
  ...[R.INVEPT, R.INVVPID, R.INVPCID].map(
    (reason) => [reason, { memory: memoryForm | 0xf000_0000 }] as const,
  ),
  ...[R.VMREAD, R.VMWRITE].map(
    (reason) => [reason, { memory: memoryForm | 0xf000_0000, register: 0xf000_0478 }] as const,
  ),
  [R.GDTR_IDTR_ACCESS, { memory: memoryForm | 0x3000_0800 }],
  [R.LDTR_TR_ACCESS, { memory: memoryForm | 0x3000_0000, register: 0x3000_0478 }],
  ...[R.RDRAND, R.RDSEED].map((reason) => [reason, { memory: 0x1878 }] as const),
  [R.IO_INSTRUCTION, { memory: 0x3_8380 }],
]);
const STRING_IN = 0x18n;
const definedInformation = (report: Report): bigint => {
  const value = (name: string): bigint => report.changes.get(name) ?? 0n;
  const reason = Number(value("exit.reason"));
  const forms = withInformation.get(reason);
  if (forms === undefined) return 0n;
  const information = Number(value("exit.instructionInformation"));
  let mask = information & 0x400 && forms.register !== undefined ? forms.register : forms.memory;
  if (reason === R.IO_INSTRUCTION) {
    const qualification = value("exit.qualification");
    if ((qualification & 0x10n) === 0n) return 0n;
    if ((qualification & STRING_IN) === STRING_IN) mask &= ~0x3_8000;
  } else if (mask & (1 << 22)) {
    // An index or base register that is not there has no number.
    if (information & (1 << 22)) mask &= ~0x3c_0003;
    if (information & (1 << 27)) mask &= ~0x0780_0000;
  }
  return BigInt(mask >>> 0);
};

/** Of a segment that is unusable, the SDM defines the unusable bit, and SS's DPL. */
const UNUSABLE = 0x1_0000n;
const segmentName = /^guest\.(?:[c-gs]s|ldtr)\.(?:selector|base|limit|access)$/;
const definedOf = (name: string, ours: Report, bochs: Report): bigint => {
  if (name === "exit.instructionInformation") return definedInformation(ours);
  if (segmentName.test(name)) {
    const access = name.replace(/[a-z]+$/, "access");
    const both = (ours.changes.get(access) ?? 0n) & (bochs.changes.get(access) ?? 0n);
    if (both & UNUSABLE) {
      if (name.endsWith(".access")) return name.includes(".ss.") ? UNUSABLE | 0x60n : UNUSABLE;
      if (!name.endsWith(".selector")) return 0n;
    }
  }
  return -1n;
};
const softwareTypes = new Set([4n, 5n, 6n]);
const typeOf = (information: bigint): bigint => (information & 0x8000_0000n ? (information >> 8n) & 7n : 0n);

/** Names whose values the SDM does not define for this report. */
const undefinedNames = (report: Report): ReadonlySet<string> => {
  const names = new Set<string>();
  const value = (name: string): bigint => report.changes.get(name) ?? 0n;
  if (report.kind !== "X") return names;
  const reason = Number(value("exit.reason") & 0xffffn);
  const software =
    softwareTypes.has(typeOf(value("exit.idtVectoringInformation"))) ||
    softwareTypes.has(typeOf(value("exit.interruptionInformation")));
  if ((withoutLength.has(reason) || reason === R.EXCEPTION_OR_NMI) && !software)
    names.add("exit.instructionLength");
  return names;
};

/** Names under which two reports of one step differ; "kind" when it ended otherwise. */
export const disagreements = (ours: Report | undefined, bochs: Report | undefined): readonly string[] => {
  if (ours === undefined || bochs === undefined) return ours === bochs ? [] : ["kind"];
  if (ours.kind !== bochs.kind) return ["kind"];
  const undefinedHere = undefinedNames(ours);
  const names = new Set([...ours.changes.keys(), ...bochs.changes.keys()]);
  return [...names].filter((name) => {
    if (undefinedHere.has(name)) return false;
    const defined = definedOf(name, ours, bochs);
    const [first, second] = [ours.changes.get(name), bochs.changes.get(name)];
    return defined === -1n ? first !== second : ((first ?? 0n) & defined) !== ((second ?? 0n) & defined);
  });
};

/** Those of the names that no known difference explains, and the known differences that were needed. */
export const unexplained = (
  name: string,
  names: readonly string[],
  ours: Report | undefined,
  bochs: Report | undefined,
): { readonly names: readonly string[]; readonly used: ReadonlySet<Difference> } => {
  const used = new Set<Difference>();
  const left = names.filter((changed) => {
    const row = differences.find(
      (candidate) =>
        (candidate.cases === undefined || candidate.cases.includes(name)) &&
        (candidate.names === undefined || candidate.names.includes(changed)) &&
        (candidate.when === undefined || candidate.when(ours, bochs, changed)),
    );
    if (row) used.add(row);
    return row === undefined;
  });
  return { names: left, used };
};
