import { isIa32e } from "../cpu/mode.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { EntryFacts } from "./entry-facts.ts";
import { ordinalOffset } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** The facts of VM entry of a processor at work: its current VMCS, its state and its memory. */
export const liveFacts = (vmx: VmxProcessor): EntryFacts => {
  const { core, vmcs } = vmx;
  const { model, physical, state } = core;
  return new EntryFacts(
    {
      value: (ordinal) => vmcs.value(ordinalOffset(ordinal)),
      low: (ordinal) => vmcs.low(ordinalOffset(ordinal)),
    },
    capabilitiesOf(model),
    {
      physicalAddressBits: model.physicalAddressBits,
      linearAddressBits: model.linearAddressBits,
      has: (feature) => model.has(feature),
      inIa32eMode: () => isIa32e(state),
      currentVmcs: () => state["vmx.currentVmcs"],
      inSMM: false,
      perfGlobalCtrl: 0n,
    },
    (address) => physical.read(Number(address), 4) >>> 0,
  );
};
