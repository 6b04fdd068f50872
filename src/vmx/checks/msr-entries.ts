import { hex } from "./check.ts";

/**
 * Which entries of the three MSR areas are refused (SDM Vol. 3, "Loading MSRs", "Saving MSRs"). A refused entry of the VM-entry MSR-load
 * area is a VM-entry failure 34 with the entry's number as qualification; of the others, a VMX abort.
 */

/** VM-entry MSR-load, VM-exit MSR-load, VM-exit MSR-store. */
export type MsrList = "entry" | "exit" | "store";

export interface MsrEntryRule {
  readonly id: string;
  /** Heading of the section in the SDM. */
  readonly sdm: string;
  /** The rule in one sentence. */
  readonly says: string;
  /** What to change, in one line. */
  readonly hint: string;
  readonly lists: readonly MsrList[];
  /** By what the entry names: bits 31:0 and bits 63:32. */
  readonly refuses: (index: number, reserved: number) => boolean;
}

const [FS_BASE, GS_BASE, SMM_MONITOR_CTL, SMBASE, BIOS_UPDT_TRIG] = [
  0xc000_0100, 0xc000_0101, 0x9b, 0x9e, 0x79,
];
const loads = ["entry", "exit"] as const;
const loading = "Loading MSRs";
const saving = "Saving MSRs";

const rules: readonly MsrEntryRule[] = [
  {
    id: "msr-load-segment-base",
    sdm: loading,
    says: "IA32_FS_BASE and IA32_GS_BASE must not be in an MSR-load area",
    hint: "write the FS and GS base fields of the guest- or host-state area instead",
    lists: loads,
    refuses: (index) => index === FS_BASE || index === GS_BASE,
  },
  {
    id: "msr-load-x2apic",
    sdm: loading,
    says: "MSRs 800H to 8FFH (x2APIC) must not be in an MSR-load area",
    hint: "write the register with WRMSR outside the area",
    lists: loads,
    refuses: (index) => index >>> 8 === 8,
  },
  {
    id: "msr-load-smm",
    sdm: loading,
    says: "An MSR that can be written in SMM only must not be in an MSR-load area outside SMM",
    hint: "leave IA32_SMM_MONITOR_CTL out",
    lists: loads,
    refuses: (index) => index === SMM_MONITOR_CTL,
  },
  {
    id: "msr-load-model",
    sdm: loading,
    says: "IA32_BIOS_UPDT_TRIG must not be in an MSR-load area (for model-specific reasons)",
    hint: "leave it out",
    lists: loads,
    refuses: (index) => index === BIOS_UPDT_TRIG,
  },
  {
    id: "msr-load-reserved",
    sdm: loading,
    says: "Bits 63:32 of an entry of an MSR-load area must be 0",
    hint: "an entry is: index (4 bytes), 0 (4 bytes), value (8 bytes)",
    lists: loads,
    refuses: (_index, reserved) => reserved !== 0,
  },
  {
    id: "msr-store-x2apic",
    sdm: saving,
    says: "MSRs 800H to 8FFH (x2APIC) must not be in an MSR-store area",
    hint: "read the register with RDMSR outside the area",
    lists: ["store"],
    refuses: (index) => index >>> 8 === 8,
  },
  {
    id: "msr-store-smm",
    sdm: saving,
    says: "An MSR that can be read in SMM only must not be in an MSR-store area outside SMM",
    hint: "leave IA32_SMBASE out",
    lists: ["store"],
    refuses: (index) => index === SMBASE,
  },
  {
    id: "msr-store-reserved",
    sdm: saving,
    says: "Bits 63:32 of an entry of an MSR-store area must be 0",
    hint: "an entry is: index (4 bytes), 0 (4 bytes), room for the value (8 bytes)",
    lists: ["store"],
    refuses: (_index, reserved) => reserved !== 0,
  },
];

const rulesOf: Readonly<Record<MsrList, readonly MsrEntryRule[]>> = {
  entry: rules.filter(({ lists }) => lists.includes("entry")),
  exit: rules.filter(({ lists }) => lists.includes("exit")),
  store: rules.filter(({ lists }) => lists.includes("store")),
};

/** The rule that refuses an entry for what it names; undefined: RDMSR or WRMSR decides. */
export const msrEntryRefusal = (list: MsrList, index: number, reserved: number): MsrEntryRule | undefined => {
  for (const rule of rulesOf[list]) if (rule.refuses(index, reserved)) return rule;
  return undefined;
};

/** What an entry violates whose RDMSR or WRMSR at privilege level 0 would fault; `value` is what was to be loaded. */
export const msrAccessRule = (
  list: MsrList,
  index: number,
  value?: bigint,
): Omit<MsrEntryRule, "lists" | "refuses"> =>
  list === "store"
    ? {
        id: "msr-store-rdmsr",
        sdm: saving,
        says: "An MSR in an MSR-store area must be one that RDMSR reads without a fault",
        hint: `RDMSR of ${hex(index)} is #GP here: leave it out`,
      }
    : {
        id: "msr-load-wrmsr",
        sdm: loading,
        says: "The value of an MSR in an MSR-load area must be one that WRMSR writes without a fault",
        hint: `WRMSR of ${hex(index)}${value === undefined ? "" : ` with ${hex(value)}`} is #GP here: the MSR does not exist, is read-only, or the value sets reserved bits`,
      };
