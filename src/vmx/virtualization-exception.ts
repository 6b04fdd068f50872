import { CR0 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { deliver } from "../cpu/exceptions.ts";
import type { VmExit } from "../cpu/vmx-socket.ts";
import { offsetOf } from "../state/layout.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxGuest } from "./vmx-guest.ts";

/** SDM Vol. 3, "Virtualization Exceptions": EPT violations that the guest takes itself, as #VE. */

const informationAddress = fieldOffset("control.virtualizationExceptionInformationAddress");
const eptpIndex = fieldOffset("control.eptpIndex");
const cr0Offset = offsetOf("CR0");
const PE = Number(CR0.PE);
const TWO32 = 0x1_0000_0000;

/** Offsets in the virtualization-exception information area. */
// biome-ignore format: one row per fact
const area = { reason: 0, /** All ones from a #VE until the guest clears it. */ busy: 4, qualification: 8, linear: 16, physical: 24, eptpIndex: 32 } as const;

/**
 * Deliver a convertible EPT violation as #VE, unless CR0.PE is 0 or the area is busy: then it is the VM exit. The caller knows
 * that no event was being delivered.
 */
export const virtualizationException = (vmx: VmxGuest, violation: VmExit): boolean => {
  const { vmcs, core } = vmx;
  const { physical } = core;
  if ((core.state.view.getUint32(cr0Offset, true) & PE) === 0) return false;
  const base =
    (vmcs.high(informationAddress) & 0xf_ffff) * TWO32 + ((vmcs.low(informationAddress) & 0xffff_f000) >>> 0);
  if (physical.read(base + area.busy, 4) !== 0) return false;
  const write = (offset: number, value: bigint): void => {
    physical.write(base + offset, Number(value & 0xffff_ffffn), 4);
    physical.write(base + offset + 4, Number(value >> 32n), 4);
  };
  physical.write(base + area.reason, violation.reason, 4);
  physical.write(base + area.busy, 0xffff_ffff, 4);
  write(area.qualification, violation.qualification);
  write(area.linear, violation.details.guestLinearAddress ?? 0n);
  write(area.physical, BigInt(violation.details.guestPhysicalAddress ?? 0));
  physical.write(base + area.eptpIndex, vmcs.low(eptpIndex) & 0xffff, 2);
  deliver(core, { type: "hardware exception", vector: Exception.VE });
  return true;
};
