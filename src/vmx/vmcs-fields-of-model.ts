import { vmcsFields } from "../arch/vmcs-fields.ts";
import type { CpuModel } from "../cpu/core.ts";

/**
 * Which field an encoding names on a processor, for VMREAD and VMWRITE: a table over bits 14:0 of the encoding, because it
 * is looked at with every one of them.
 */
export interface VmcsFieldIndex {
  /** By encoding: 0 where there is no such field, else 1 + 2 * ordinal, one more for the high half of a 64-bit field. */
  readonly fields: Uint16Array;
  /** By ordinal: significant bits of the low and of the high 32-bit word. */
  readonly lowMask: Uint32Array;
  readonly highMask: Uint32Array;
  /** By ordinal: 1 for VM-exit information, which VMWRITE may write only where IA32_VMX_MISC[29] is 1. */
  readonly isInformation: Uint8Array;
}

/** Encodings have bit 15 and above clear (SDM Vol. 3, "Structure of VMCS Component Encoding"). */
export const encodings = 0x8000;

const build = (model: CpuModel): VmcsFieldIndex => {
  const index: VmcsFieldIndex = {
    fields: new Uint16Array(encodings),
    lowMask: new Uint32Array(vmcsFields.length),
    highMask: new Uint32Array(vmcsFields.length),
    isInformation: new Uint8Array(vmcsFields.length),
  };
  for (const { ordinal, encoding, width, area, comesWith } of vmcsFields) {
    index.lowMask[ordinal] = width === "16" ? 0xffff : 0xffff_ffff;
    index.highMask[ordinal] = width === "64" || width === "natural" ? 0xffff_ffff : 0;
    index.isInformation[ordinal] = area === "exit" ? 1 : 0;
    if (comesWith !== undefined && !model.has(comesWith)) continue;
    index.fields[encoding] = 1 + 2 * ordinal;
    if (width === "64") index.fields[encoding | 1] = 2 + 2 * ordinal;
  }
  return index;
};

const indexes = new WeakMap<CpuModel, VmcsFieldIndex>();

/** The fields of a CPU model. */
export const vmcsFieldIndex = (model: CpuModel): VmcsFieldIndex => {
  let index = indexes.get(model);
  if (index === undefined) {
    index = build(model);
    indexes.set(model, index);
  }
  return index;
};
