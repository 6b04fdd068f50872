import { VmxMsr, type VmxMsrName } from "../../arch/vmx-capabilities.ts";
import type { CpuModel } from "../../cpu/core.ts";
import { capabilitiesOf, VmxCapabilities } from "../../vmx/capabilities.ts";
import type { ProcessorTraits } from "../../vmx/entry-facts.ts";
import { modelTraits } from "../../vmx/live-facts.ts";
import type { ReportedCapabilities } from "./read-capabilities.ts";

/** The processor that a dump is judged for: what VMX capability MSRs and the rest of it allow. */
export interface JudgedProcessor {
  /** "a recent processor", a CPU model, or the file that has its capabilities. */
  readonly name: string;
  readonly capability: VmxCapabilities;
  readonly traits: Omit<ProcessorTraits, "inIa32eMode" | "currentVmcs">;
  /** What a user should know about it. */
  readonly remarks: readonly string[];
}

/**
 * Capability MSRs of a recent processor: every control, capability and bit of CR4 that the SDM defines is allowed (those of our CPU models
 * are what the machine has, and real dumps have more). What they refuse, every processor refuses.
 */
// biome-ignore format: one row per fact
const recent: Readonly<Record<VmxMsrName, bigint>> = {
  IA32_VMX_BASIC: 0x01da_0400_0000_0001n,
  IA32_VMX_PINBASED_CTLS: 0x0000_00ff_0000_0016n,
  IA32_VMX_PROCBASED_CTLS: 0xfffb_fffe_0401_e172n,
  IA32_VMX_EXIT_CTLS: 0xffff_ffff_0003_6dffn,
  IA32_VMX_ENTRY_CTLS: 0x00ff_ffff_0000_11ffn,
  IA32_VMX_MISC: 0x7004_c1e5n,
  IA32_VMX_CR0_FIXED0: 0x8000_0021n,
  IA32_VMX_CR0_FIXED1: 0xffff_ffffn,
  IA32_VMX_CR4_FIXED0: 0x2000n,
  IA32_VMX_CR4_FIXED1: 0x1_1bff_7fffn,
  IA32_VMX_VMCS_ENUM: 0x2en,
  IA32_VMX_PROCBASED_CTLS2: 0xdfdf_ffff_0000_0000n,
  IA32_VMX_EPT_VPID_CAP: 0x0f01_06f3_41c1n,
  IA32_VMX_TRUE_PINBASED_CTLS: 0x0000_00ff_0000_0016n,
  IA32_VMX_TRUE_PROCBASED_CTLS: 0xfffb_fffe_0400_6172n,
  IA32_VMX_TRUE_EXIT_CTLS: 0xffff_ffff_0003_6dfbn,
  IA32_VMX_TRUE_ENTRY_CTLS: 0x00ff_ffff_0000_11fbn,
  IA32_VMX_VMFUNC: 0x1n,
  IA32_VMX_PROCBASED_CTLS3: 0x9fn,
};

const LA57 = 1n << 12n;
/** The widest physical addresses there are. */
const LARGEST_PHYSICAL_BITS = 52;

/** What no VMX capability MSR tells: all that the SDM defines. */
const traitsOf = (physicalAddressBits: number, linearAddressBits: number): JudgedProcessor["traits"] => ({
  physicalAddressBits,
  linearAddressBits,
  has: () => true,
  inSMM: false,
  perfGlobalCtrl: 0x0001_ffff_0000_ffffn,
  debugctl: 0xffc7n,
});

export const recentProcessor: JudgedProcessor = {
  name: "a recent processor",
  capability: new VmxCapabilities(
    new Map((Object.keys(VmxMsr) as VmxMsrName[]).map((name) => [VmxMsr[name], recent[name]])),
  ),
  traits: traitsOf(LARGEST_PHYSICAL_BITS, 57),
  remarks: [],
};

/** One of our CPU models. */
export const processorOfModel = (model: CpuModel): JudgedProcessor => ({
  name: `the CPU model "${model.name}"`,
  capability: capabilitiesOf(model),
  traits: modelTraits(model),
  remarks: [],
});

/** The processor whose capability MSRs a file has. */
export const processorOfMsrs = (
  name: string,
  { msrs, physicalAddressBits, unknown }: ReportedCapabilities,
): JudgedProcessor => {
  const capability = new VmxCapabilities(msrs);
  const linearAddressBits = capability.cr4.fixed1 & LA57 ? 57 : 48;
  return {
    name,
    capability,
    traits: traitsOf(physicalAddressBits ?? LARGEST_PHYSICAL_BITS, linearAddressBits),
    remarks: [
      ...(physicalAddressBits === undefined
        ? [
            `${name} does not tell the width of physical addresses (MAXPHYADDR = 46, say): 52 bits are allowed`,
          ]
        : []),
      ...unknown.map(({ line, text }) => `line ${line} of ${name} is not understood: ${text}`),
    ],
  };
};
