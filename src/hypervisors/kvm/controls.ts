import type { ControlFieldName, ControlKey } from "../../arch/vmx-controls.ts";
import type { VmxCapabilities } from "../../vmx/capabilities.ts";
import { controlBit } from "../host/vmcs-slots.ts";

/** The VMX controls, chosen from what the capability MSRs allow. */
export interface Controls {
  readonly pinBased: number;
  readonly processorBased: number;
  readonly secondary: number;
  readonly exit: number;
  readonly entry: number;
  readonly has: (key: ControlKey) => boolean;
}

interface Wanted {
  readonly field: ControlFieldName;
  /** Without these there is no virtual machine. */
  readonly required: readonly ControlKey[];
  readonly optional: readonly ControlKey[];
}

// biome-ignore format: one row per word of controls
const wanted: Readonly<Record<"pinBased" | "processorBased" | "secondary" | "exit" | "entry", Wanted>> = {
  pinBased: { field: "control.pinBased", required: ["externalInterruptExiting", "nmiExiting"], optional: ["virtualNMIs"] },
  processorBased: {
    field: "control.processorBased",
    required: ["hltExiting", "useIOBitmaps", "useMSRBitmaps", "movDRExiting", "useTSCOffsetting", "mwaitExiting", "monitorExiting", "rdpmcExiting", "useTPRShadow", "activateSecondaryControls"],
    optional: [],
  },
  secondary: { field: "control.secondaryProcessorBased", required: ["enableEPT"], optional: ["enableVPID", "unrestrictedGuest", "wbinvdExiting", "enableRDTSCP", "enableINVPCID"] },
  exit: { field: "control.exitControls", required: ["hostAddressSpaceSize"], optional: ["saveDebugControls", "savePAT", "loadHostPAT"] },
  entry: { field: "control.entryControls", required: [], optional: ["loadDebugControls", "loadGuestPAT"] },
};

/** Undefined: the processor lacks something that this hypervisor needs (there are no shadow page tables). */
export const chooseControls = (
  capability: VmxCapabilities,
  without: ReadonlySet<string> = new Set(),
): Controls | undefined => {
  const words = { pinBased: 0, processorBased: 0, secondary: 0, exit: 0, entry: 0 };
  const chosen = new Set<ControlKey>();
  for (const [name, { field, required, optional }] of Object.entries(wanted)) {
    let bits = capability.allowed(field).mustBe1 >>> 0;
    for (const key of [...required, ...optional]) {
      if (capability.offers(key) && !without.has(key)) {
        bits = (bits | controlBit(key)) >>> 0;
        chosen.add(key);
      } else if (required.includes(key)) return undefined;
    }
    words[name as keyof typeof words] = bits >>> 0;
  }
  return { ...words, has: (key) => chosen.has(key) };
};
