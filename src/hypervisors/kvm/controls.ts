import type { WantedControls } from "../host/vmx-controls.ts";

/** The VMX controls of every virtual processor. There are no shadow page tables, so EPT must be. */
// biome-ignore format: a group of facts a row
export const wantedControls: WantedControls = {
  required: [
    "externalInterruptExiting", "nmiExiting",
    "hltExiting", "useIOBitmaps", "useMSRBitmaps", "movDRExiting", "useTSCOffsetting", "mwaitExiting", "monitorExiting", "rdpmcExiting", "useTPRShadow", "activateSecondaryControls",
    "enableEPT", "hostAddressSpaceSize",
  ],
  optional: [
    "virtualNMIs", "enableVPID", "unrestrictedGuest", "wbinvdExiting", "enableRDTSCP", "enableINVPCID",
    "saveDebugControls", "savePAT", "loadHostPAT", "loadDebugControls", "loadGuestPAT",
  ],
};
