import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access } from "../../arch/descriptors.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import { generalRegisters, segmentRegisters } from "../../state/layout.ts";
import { controlBit, field } from "./vmcs-slots.ts";
import type { FieldSlot } from "./vmx-door.ts";

/** The current VMCS and the saved general registers of a virtual processor. */
export interface GuestFields {
  read32(slot: FieldSlot): number;
  read64(slot: FieldSlot): bigint;
  write32(slot: FieldSlot, value: number): void;
  write64(slot: FieldSlot, value: bigint): void;
  register(number: number): bigint;
  setRegister(number: number, value: bigint): void;
  readonly isUnrestricted: boolean;
  /** The FPU holds the guest's state, and CR0.TS is the guest's own. */
  readonly fpuActive: boolean;
  readonly cr0Fixed0: bigint;
}

/** Bits of CR4 that the guest changes without an exit. */
export const guestOwnedCR4 = CR4.PVI | CR4.DE | CR4.PCE | CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.PGE;

const parts = segmentRegisters.map((name) => {
  const at = (part: string): FieldSlot => field[`guest.${name.toLowerCase()}.${part}` as VmcsFieldName];
  return { name, selector: at("selector"), base: at("base"), limit: at("limit"), access: at("access") };
});
/** Registers that are a field of the VMCS and nothing else. */
// biome-ignore format: one row per fact
const plain = [
  ["GDTR.base", field["guest.gdtr.base"]], ["IDTR.base", field["guest.idtr.base"]], ["RFLAGS", field["guest.rflags"]], ["DR7", field["guest.dr7"]],
  ["CR3", field["guest.cr3"]], ["IA32_SYSENTER_CS", field["guest.ia32SysenterCs"]], ["IA32_SYSENTER_ESP", field["guest.ia32SysenterEsp"]],
  ["IA32_SYSENTER_EIP", field["guest.ia32SysenterEip"]], ["IA32_PAT", field["guest.ia32Pat"]], ["IA32_DEBUGCTL", field["guest.ia32Debugctl"]],
  ["PDPTE0", field["guest.pdpte0"]], ["PDPTE1", field["guest.pdpte1"]], ["PDPTE2", field["guest.pdpte2"]], ["PDPTE3", field["guest.pdpte3"]],
] as const;
const plain32 = [
  ["GDTR.limit", field["guest.gdtr.limit"]],
  ["IDTR.limit", field["guest.idtr.limit"]],
  ["interruptibility", field["guest.interruptibility"]],
] as const;

const ia32eModeGuest = controlBit("ia32eModeGuest");

/** Control registers as the guest sees them: its own bits from the register, the others from the read shadow. */
const seen = (fields: GuestFields, register: FieldSlot, mask: FieldSlot, shadow: FieldSlot): bigint => {
  const owned = fields.read64(mask);
  return (fields.read64(register) & ~owned) | (fields.read64(shadow) & owned);
};
export const guestCR0 = (fields: GuestFields): bigint =>
  seen(fields, field["guest.cr0"], field["control.cr0GuestHostMask"], field["control.cr0ReadShadow"]);
export const guestCR4 = (fields: GuestFields): bigint =>
  seen(fields, field["guest.cr4"], field["control.cr4GuestHostMask"], field["control.cr4ReadShadow"]);

/** All registers of the guest, for emulation. */
export const loadState = (state: CpuState, fields: GuestFields): void => {
  generalRegisters.forEach((name, number) => {
    state[name] = fields.register(number);
  });
  state.RIP = fields.register(16);
  for (const [name, slot] of plain) state[name] = fields.read64(slot);
  for (const [name, slot] of plain32) state[name] = fields.read32(slot);
  for (const { name, selector, base, limit, access: rights } of parts) {
    state[`${name}.selector`] = fields.read32(selector);
    state[`${name}.base`] = fields.read64(base);
    state[`${name}.limit`] = fields.read32(limit);
    state[`${name}.access`] = fields.read32(rights);
  }
  state.CR0 = guestCR0(fields);
  state.CR4 = guestCR4(fields);
  state.activity = 0;
  state.pendingDebug = 0;
};

/** What rules for control registers, MSRs and task priority look at. */
export const loadControlState = (state: CpuState, fields: GuestFields): void => {
  state.CR0 = guestCR0(fields);
  state.CR3 = fields.read64(field["guest.cr3"]);
  state.CR4 = guestCR4(fields);
  state.RFLAGS = fields.read64(field["guest.rflags"]);
  state["CS.access"] = fields.read32(field["guest.cs.access"]);
  state["SS.access"] = fields.read32(field["guest.ss.access"]);
  state["TR.access"] = fields.read32(field["guest.tr.access"]);
  for (const n of [0, 1, 2, 3] as const) state[`PDPTE${n}`] = fields.read64(field[`guest.pdpte${n}`]);
};

export const storeRegisters = (state: CpuState, fields: GuestFields): void => {
  generalRegisters.forEach((name, number) => {
    fields.setRegister(number, state[name]);
  });
  fields.setRegister(16, state.RIP);
  fields.write64(field["guest.rflags"], state.RFLAGS);
};

/** CR0, CR4 and IA-32e mode in the fields of the VMCS, with what the processor asks for beside what the guest has chosen. */
export const storeControlState = (state: CpuState, fields: GuestFields): void => {
  const released = fields.isUnrestricted ? CR0.PE | CR0.PG : 0n;
  let real = (state.CR0 & ~(CR0.NW | CR0.CD)) | (fields.cr0Fixed0 & ~released);
  if (!fields.fpuActive) real |= CR0.TS | CR0.MP;
  fields.write64(field["guest.cr0"], real);
  fields.write64(
    field["control.cr0GuestHostMask"],
    fields.fpuActive ? BigInt.asUintN(64, ~CR0.TS) : 0xffff_ffff_ffff_ffffn,
  );
  fields.write64(field["control.cr0ReadShadow"], state.CR0);
  fields.write64(field["guest.cr4"], state.CR4 | CR4.VMXE);
  fields.write64(field["control.cr4GuestHostMask"], BigInt.asUintN(64, ~guestOwnedCR4));
  fields.write64(field["control.cr4ReadShadow"], state.CR4);
  fields.write64(field["guest.cr3"], state.CR3);
  for (const n of [0, 1, 2, 3] as const) fields.write64(field[`guest.pdpte${n}`], state[`PDPTE${n}`]);
  const entry = fields.read32(field["control.entryControls"]);
  const long = (state.IA32_EFER & IA32_EFER.LMA) !== 0n;
  fields.write32(
    field["control.entryControls"],
    (long ? entry | ia32eModeGuest : entry & ~ia32eModeGuest) >>> 0,
  );
  if (!long) return;
  // IA-32e mode asks for a busy 64-bit TSS, whatever LTR found before.
  const rights = fields.read32(field["guest.tr.access"]);
  if ((rights & access.type) !== 0xb) fields.write32(field["guest.tr.access"], (rights & ~access.type) | 0xb);
};

/** All of it back into the VMCS. */
export const storeState = (state: CpuState, fields: GuestFields): void => {
  for (const [name, slot] of plain) fields.write64(slot, state[name]);
  for (const [name, slot] of plain32) fields.write32(slot, state[name]);
  for (const { name, selector, base, limit, access: rights } of parts) {
    fields.write32(selector, state[`${name}.selector`]);
    fields.write64(base, state[`${name}.base`]);
    fields.write32(limit, state[`${name}.limit`]);
    fields.write32(rights, usableRights(state[`${name}.access`]));
  }
  storeRegisters(state, fields);
  storeControlState(state, fields);
};

/** A segment that is not present is unusable for VM entry. */
const usableRights = (rights: number): number => (rights & access.P ? rights : rights | access.unusable);
