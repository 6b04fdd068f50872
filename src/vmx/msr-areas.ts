import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { plainMsr, readMsr, setPlain, writeMsr } from "../cpu/msrs.ts";
import { type MsrList, msrEntryRefusal } from "./checks/msr-entries.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** The three MSR areas (SDM Vol. 3, "VM-Exit Controls for MSRs", "VM-Entry Controls for MSRs"): 16 bytes an entry. */

interface Area {
  readonly count: number;
  readonly address: number;
}
const area = (name: string): Area => ({
  count: fieldOffset(`control.${name}Count` as VmcsFieldName),
  address: fieldOffset(`control.${name}Address` as VmcsFieldName),
});
const areas = {
  entry: area("entryMsrLoad"),
  exit: area("exitMsrLoad"),
  store: area("exitMsrStore"),
} as const;

const entryBytes = 16;

/** Plain MSRs, by their indices: may an area name them? */
const namedCache: Readonly<Record<MsrList, Map<number, boolean>>> = {
  entry: new Map(),
  exit: new Map(),
  store: new Map(),
};
const mayName = (which: MsrList, index: number): boolean => {
  let may = namedCache[which].get(index);
  if (may === undefined) {
    may = msrEntryRefusal(which, index, 0) === undefined;
    namedCache[which].set(index, may);
  }
  return may;
};

const addressOf = ({ vmcs }: VmxProcessor, at: number): number =>
  vmcs.low(at) + (vmcs.high(at) & 0xf_ffff) * 0x1_0000_0000;

/** Load the MSRs of an area; the number (from 1) of the entry that failed, or undefined. */
export const loadMsrs = (vmx: VmxProcessor, which: "entry" | "exit"): number | undefined => {
  const { vmcs, core } = vmx;
  const { count: countAt, address: addressAt } = areas[which];
  const count = vmcs.low(countAt);
  if (count === 0) return undefined;
  const start = addressOf(vmx, addressAt);
  for (let n = 0; n < count; n++) {
    if (n === vmx.capability.msrListEntries) return n + 1;
    const at = start + entryBytes * n;
    const index = core.physical.read(at, 4) >>> 0;
    const reserved = core.physical.read(at + 4, 4);
    const plain = plainMsr(core, index);
    if (plain !== undefined && reserved === 0 && mayName(which, index)) {
      if (!setPlain(core, plain, core.physical.read(at + 8, 4), core.physical.read(at + 12, 4))) return n + 1;
      continue;
    }
    if (msrEntryRefusal(which, index, reserved) !== undefined) return n + 1;
    const value =
      BigInt(core.physical.read(at + 8, 4) >>> 0) | (BigInt(core.physical.read(at + 12, 4) >>> 0) << 32n);
    if (!writeMsr(core, index, value)) return n + 1;
  }
  return undefined;
};

/** Store MSRs at VM exit; the number of the entry that failed, or undefined. */
export const storeMsrs = (vmx: VmxProcessor): number | undefined => {
  const { vmcs, core } = vmx;
  const count = vmcs.low(areas.store.count);
  if (count === 0) return undefined;
  const start = addressOf(vmx, areas.store.address);
  for (let n = 0; n < count; n++) {
    if (n === vmx.capability.msrListEntries) return n + 1;
    const at = start + entryBytes * n;
    const index = core.physical.read(at, 4) >>> 0;
    const reserved = core.physical.read(at + 4, 4);
    const plain = plainMsr(core, index);
    if (plain !== undefined && reserved === 0 && mayName("store", index)) {
      const { view } = core.state;
      core.physical.write(at + 8, view.getUint32(plain.offset, true), 4);
      core.physical.write(at + 12, view.getUint32(plain.offset + 4, true), 4);
      continue;
    }
    if (msrEntryRefusal("store", index, reserved) !== undefined) return n + 1;
    const value = readMsr(core, index);
    if (value === undefined) return n + 1;
    core.physical.write(at + 8, Number(value & 0xffff_ffffn), 4);
    core.physical.write(at + 12, Number(value >> 32n), 4);
  }
  return undefined;
};
