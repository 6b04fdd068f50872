import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { readMsr, writeMsr } from "../cpu/msrs.ts";
import { msrEntryRefusal } from "./checks/msr-entries.ts";
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
    if (msrEntryRefusal(which, index, core.physical.read(at + 4, 4)) !== undefined) return n + 1;
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
    if (msrEntryRefusal("store", index, core.physical.read(at + 4, 4)) !== undefined) return n + 1;
    const value = readMsr(core, index);
    if (value === undefined) return n + 1;
    core.physical.write(at + 8, Number(value & 0xffff_ffffn), 4);
    core.physical.write(at + 12, Number(value >> 32n), 4);
  }
  return undefined;
};
