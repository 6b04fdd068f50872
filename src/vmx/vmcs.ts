import { type VmcsFieldName, vmcsField, vmcsFields } from "../arch/vmcs-fields.ts";

/**
 * A VMCS in its 4-KByte region of guest memory, in a layout of ours (the manual leaves it to the processor): header,
 * then eight bytes a field in the order of `vmcsFields`, then for each field where it was last written by VMWRITE.
 */

/** Offsets in the region: SDM Vol. 3, "Format of the VMCS Region", for the first two. */
export const header = {
  /** Bits 30:0 revision identifier, bit 31 shadow-VMCS indicator. */
  revision: 0,
  vmxAbort: 4,
  /** 0 clear, 1 launched (our own). */
  launchState: 8,
  firstField: 32,
} as const;

const firstOrigin = header.firstField + 8 * vmcsFields.length;
const originBytes = 16;
/** Bytes of a region in use; they must fit the 4096 of IA32_VMX_BASIC. */
export const vmcsBytes = firstOrigin + originBytes * vmcsFields.length;

/** Offset of a field's value from the start of the region. */
export const fieldOffset = (name: VmcsFieldName): number => header.firstField + 8 * vmcsField(name).ordinal;
export const ordinalOffset = (ordinal: number): number => header.firstField + 8 * ordinal;

/** Where a field's last VMWRITE is recorded: RIP, then the number of the instruction. */
export const originOffset = (ordinal: number): number => firstOrigin + originBytes * ordinal;

/** A VMCS region, read and written in memory. `base` is its offset in linear memory, -1 when there is none. */
export class Vmcs {
  readonly view: DataView;
  base = -1;

  constructor(view: DataView) {
    this.view = view;
  }

  /** Low 32 bits of the field at an offset from `fieldOffset`; unsigned. */
  low(offset: number): number {
    return this.view.getUint32(this.base + offset, true);
  }
  high(offset: number): number {
    return this.view.getUint32(this.base + offset + 4, true);
  }
  value(offset: number): bigint {
    return this.view.getBigUint64(this.base + offset, true);
  }
  setLow(offset: number, value: number): void {
    this.view.setUint32(this.base + offset, value, true);
    this.view.setUint32(this.base + offset + 4, 0, true);
  }
  setValue(offset: number, value: bigint): void {
    this.view.setBigUint64(this.base + offset, value, true);
  }
  read(name: VmcsFieldName): bigint {
    return this.value(fieldOffset(name));
  }
}
