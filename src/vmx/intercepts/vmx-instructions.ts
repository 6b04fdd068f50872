import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import type { Fault } from "../../cpu/core.ts";
import type { Instruction, RegisterOperand } from "../../isa/instruction.ts";
import { bitmapBit } from "../bitmaps.ts";
import { fieldOffset, type Vmcs } from "../vmcs.ts";
import { encodings } from "../vmcs-fields-of-model.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import { displacement, fieldInformation, invalidationInformation, memoryInformation } from "./information.ts";
import { controlIsSet, type ExitRow, exitOf } from "./intercept.ts";

/** The instructions introduced with VMX, in a guest: SDM Vol. 3, "Instructions That Cause VM Exits Unconditionally" and, for VMCS shadowing, "Conditionally". */

const R = ExitReason;
const field = { qualification: displacement } as const;
const memory = { qualification: displacement, information: memoryInformation } as const;
const invalidation = { qualification: displacement, information: invalidationInformation } as const;

// biome-ignore format: one row per fact
const rows: Readonly<Record<string, ExitRow>> = {
  VMCALL:   { reason: R.VMCALL },
  VMCLEAR:  { reason: R.VMCLEAR, ...memory },
  VMLAUNCH: { reason: R.VMLAUNCH },
  VMPTRLD:  { reason: R.VMPTRLD, ...memory },
  VMPTRST:  { reason: R.VMPTRST, ...memory },
  VMREAD:   { reason: R.VMREAD, ...field, information: fieldInformation(0, 1) },
  VMRESUME: { reason: R.VMRESUME },
  VMWRITE:  { reason: R.VMWRITE, ...field, information: fieldInformation(1, 0) },
  VMXOFF:   { reason: R.VMXOFF },
  VMXON:    { reason: R.VMXON, ...memory },
  INVEPT:   { reason: R.INVEPT, ...invalidation },
  INVVPID:  { reason: R.INVVPID, ...invalidation },
};
const byMnemonic = new Map(Object.entries(rows));

/** The VM exit in place of the instruction. */
export const vmxInstructionExit = ({ core }: VmxProcessor, instruction: Instruction): Fault =>
  exitOf(byMnemonic.get(instruction.row.semantics.mnemonic)!, core, instruction);

const vmcsShadowing = controlIsSet("vmcsShadowing");
const vmreadBitmap = fieldOffset("control.vmreadBitmapAddress");
const vmwriteBitmap = fieldOffset("control.vmwriteBitmapAddress");
const linkPointer = fieldOffset("guest.vmcsLinkPointer");
const none = 0xffff_ffff;

/** The VMCS that a guest's VMREAD or VMWRITE reaches (its `base` is -1 where the link pointer names none), or the VM exit. */
export const shadowAccess = (vmx: VmxProcessor, instruction: Instruction): Vmcs | Fault => {
  if (!vmcsShadowing(vmx)) return vmxInstructionExit(vmx, instruction);
  const reads = instruction.row.semantics.mnemonic === "VMREAD";
  const { number } = instruction.operands[reads ? 1 : 0] as RegisterOperand;
  const { view } = vmx.core.state;
  const encoding = view.getUint32(8 * number, true);
  const beyond = instruction.codeSize === 64 && view.getUint32(8 * number + 4, true) !== 0;
  if (beyond || encoding >= encodings || bitmapBit(vmx, reads ? vmreadBitmap : vmwriteBitmap, 0, encoding))
    return vmxInstructionExit(vmx, instruction);
  const { vmcs, shadow, memory } = vmx;
  const low = vmcs.low(linkPointer);
  const high = vmcs.high(linkPointer);
  const address = (high & 0xf_ffff) * 0x1_0000_0000 + ((low & 0xffff_f000) >>> 0);
  const isNone = low === none && high === none;
  shadow.base = isNone || !memory.isWritable(address) ? -1 : memory.offsetOf(address);
  return shadow;
};
