/**
 * VM-instruction error numbers (SDM Vol. 3, "VM Instruction Error Numbers"): one row each. The sentence is the manual's
 * description; the hint is what a hypervisor's author should look at. 14, 21 and 27 are not in use.
 */

export interface VmInstructionError {
  readonly number: number;
  readonly says: string;
  readonly hint: string;
}

// biome-ignore format: one row per fact
const rows = [
  [1, "VMCALL executed in VMX root operation", "VMCALL calls the hypervisor from a guest; the hypervisor itself has nothing to call"],
  [2, "VMCLEAR with invalid physical address", "give the physical address of a 4-KByte aligned region below the processor's physical-address width (and below 4 GBytes if IA32_VMX_BASIC[48] is 1)"],
  [3, "VMCLEAR with VMXON pointer", "the VMXON region is not a VMCS: give each its own 4-KByte region"],
  [4, "VMLAUNCH with non-clear VMCS", "the VMCS was launched already: use VMRESUME, or VMCLEAR it first"],
  [5, "VMRESUME with non-launched VMCS", "the VMCS was not launched since its last VMCLEAR: use VMLAUNCH"],
  [6, "VMRESUME after VMXOFF (VMXOFF and VMXON between VMLAUNCH and VMRESUME)", "after VMXON, VMCLEAR each VMCS and launch it again"],
  [7, "VM entry with invalid control field(s)", "the checks on VMX controls that failed are listed below"],
  [8, "VM entry with invalid host-state field(s)", "the checks on the host-state area that failed are listed below"],
  [9, "VMPTRLD with invalid physical address", "give the physical address of a 4-KByte aligned region below the processor's physical-address width (and below 4 GBytes if IA32_VMX_BASIC[48] is 1)"],
  [10, "VMPTRLD with VMXON pointer", "the VMXON region is not a VMCS: give each its own 4-KByte region"],
  [11, "VMPTRLD with incorrect VMCS revision identifier", "write IA32_VMX_BASIC[30:0] into the first four bytes of the region, bit 31 clear (bit 31 marks a shadow VMCS and needs \"VMCS shadowing\")"],
  [12, "VMREAD/VMWRITE from/to unsupported VMCS component", "no field has this encoding on this processor: some fields come with a control that the capability MSRs must allow"],
  [13, "VMWRITE to read-only VMCS component", "VM-exit information fields may be written only where IA32_VMX_MISC[29] is 1"],
  [15, "VMXON executed in VMX root operation", "the logical processor is in VMX operation already"],
  [16, "VM entry with invalid executive-VMCS pointer", "\"deactivate dual-monitor treatment\" is for an SMM-transfer monitor: clear it in the VM-entry controls"],
  [17, "VM entry with non-launched executive VMCS", "\"deactivate dual-monitor treatment\" is for an SMM-transfer monitor: clear it in the VM-entry controls"],
  [18, "VM entry with executive-VMCS pointer not VMXON pointer (when attempting to deactivate the dual-monitor treatment of SMIs and SMM)", "\"deactivate dual-monitor treatment\" is for an SMM-transfer monitor: clear it in the VM-entry controls"],
  [19, "VMCALL with non-clear VMCS (when attempting to activate the dual-monitor treatment of SMIs and SMM)", "VMCLEAR the VMCS before VMCALL activates the SMM-transfer monitor"],
  [20, "VMCALL with invalid VM-exit control fields", "VMCALL in root operation activates an SMM-transfer monitor: set the VM-exit controls as for it"],
  [22, "VMCALL with incorrect MSEG revision identifier", "VMCALL in root operation activates an SMM-transfer monitor, whose MSEG header does not fit this processor"],
  [23, "VMXOFF under dual-monitor treatment of SMIs and SMM", "deactivate the SMM-transfer monitor first"],
  [24, "VMCALL with invalid SMM-monitor features", "VMCALL in root operation activates an SMM-transfer monitor, whose MSEG header asks for what this processor lacks"],
  [25, "VM entry with invalid VM-execution control fields in executive VMCS (when attempting to return from SMM)", "the executive VMCS no longer passes the checks on VM-execution controls"],
  [26, "VM entry with events blocked by MOV SS", "VMLAUNCH or VMRESUME directly follows MOV SS or POP SS: put another instruction between"],
  [28, "Invalid operand to INVEPT/INVVPID", "the type in the register is not one of IA32_VMX_EPT_VPID_CAP, or the descriptor has reserved bits set, an EPTP that VM entry would refuse, VPID 0 or a non-canonical address"],
] as const;

export type VmInstructionErrorNumber = (typeof rows)[number][0];

export const vmInstructionErrors: readonly VmInstructionError[] = rows.map(([number, says, hint]) => ({
  number,
  says,
  hint,
}));

const byNumber = new Map(vmInstructionErrors.map((row) => [row.number, row]));
export const vmInstructionError = (number: number): VmInstructionError | undefined => byNumber.get(number);

/** Why an instruction ends in VMfailInvalid, which has no error number (SDM Vol. 3, "VMX Instruction Reference"). */
export interface VmFailInvalidRow {
  readonly instructions: readonly string[];
  readonly says: string;
  readonly hint: string;
}

const noCurrentVmcs = "There is no current VMCS whose VM-instruction error field could take a number";
// biome-ignore format: one row per fact
const vmFailInvalidRows: readonly VmFailInvalidRow[] = [
  { instructions: ["VMXON"], says: "The VMXON pointer or the VMXON region is not valid", hint: "give the physical address of a 4-KByte aligned region below the processor's physical-address width, and write IA32_VMX_BASIC[30:0] into its first four bytes, bit 31 clear; or the processor is in VMX operation already" },
  { instructions: ["VMLAUNCH", "VMRESUME"], says: "There is no current VMCS, or it is a shadow VMCS", hint: "execute VMPTRLD on this logical processor first; VMCLEAR of the current VMCS, VMXOFF and VMXON leave none" },
  { instructions: ["VMREAD", "VMWRITE"], says: "There is no current VMCS (in a guest under \"VMCS shadowing\": no VMCS link pointer)", hint: "execute VMPTRLD on this logical processor first; VMCLEAR of the current VMCS, VMXOFF and VMXON leave none" },
  { instructions: ["VMPTRLD"], says: noCurrentVmcs, hint: "the address is not that of a 4-KByte aligned region below the physical-address width, is the VMXON pointer, or the region does not begin with IA32_VMX_BASIC[30:0]" },
  { instructions: ["VMCLEAR"], says: noCurrentVmcs, hint: "the address is not that of a 4-KByte aligned region below the physical-address width, or it is the VMXON pointer" },
  { instructions: ["INVEPT", "INVVPID"], says: noCurrentVmcs, hint: "the type in the register is not one of IA32_VMX_EPT_VPID_CAP, or the descriptor is not valid" },
  { instructions: ["VMCALL", "VMXOFF"], says: noCurrentVmcs, hint: "the instruction is not possible in VMX root operation now" },
];

/** What VMfailInvalid of an instruction means. */
export const vmFailInvalid = (mnemonic: string): VmFailInvalidRow | undefined =>
  vmFailInvalidRows.find(({ instructions }) => instructions.includes(mnemonic));
