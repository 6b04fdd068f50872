import { msrRow } from "../arch/msrs.ts";
import type { CpuModel } from "../cpu/core.ts";
import { isIa32e } from "../cpu/mode.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { EntryFacts, type ProcessorTraits } from "./entry-facts.ts";
import { ordinalOffset } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** Bits of an MSR that are not reserved; none where the processor lacks it. */
const definedBits = (index: number, has: (feature: string) => boolean): bigint => {
  const row = msrRow(index);
  if (row === undefined || (row.features && !row.features.some(has))) return 0n;
  return row.writable ?? 0xffff_ffff_ffff_ffffn;
};
const [IA32_DEBUGCTL, IA32_PERF_GLOBAL_CTRL] = [0x1d9, 0x38f];
const allOnes = 0xffff_ffff;

/** What a CPU model is to the checks, apart from its capability MSRs. */
export const modelTraits = (model: CpuModel): Omit<ProcessorTraits, "inIa32eMode" | "currentVmcs"> => {
  const has = (feature: string): boolean => model.has(feature);
  return {
    physicalAddressBits: model.physicalAddressBits,
    linearAddressBits: model.linearAddressBits,
    has,
    inSMM: false,
    perfGlobalCtrl: definedBits(IA32_PERF_GLOBAL_CTRL, has),
    debugctl: definedBits(IA32_DEBUGCTL, has),
  };
};

/** The facts of VM entry of a processor at work: its current VMCS, its state and its memory. */
export const liveFacts = (vmx: VmxProcessor): EntryFacts => {
  const { core, vmcs } = vmx;
  const { model, physical, state } = core;
  return new EntryFacts(
    {
      value: (ordinal) => vmcs.value(ordinalOffset(ordinal)),
      low: (ordinal) => vmcs.low(ordinalOffset(ordinal)),
      high: (ordinal) => vmcs.high(ordinalOffset(ordinal)),
    },
    capabilitiesOf(model),
    {
      ...modelTraits(model),
      // While a guest runs: that of the host which has entered it.
      inIa32eMode: () => (vmx.nonRoot ? vmx.checks.wasIa32e : isIa32e(state)),
      currentVmcs: () => state["vmx.currentVmcs"],
    },
    (address) =>
      address >> BigInt(model.physicalAddressBits) ? allOnes : physical.read(Number(address), 4) >>> 0,
  );
};
