import { type VmcsFieldName, vmcsField, vmcsFields } from "../../arch/vmcs-fields.ts";
import { vmxNeeds } from "../../arch/vmx-capabilities.ts";
import { type ControlFieldName, type ControlKey, vmxControl, vmxControls } from "../../arch/vmx-controls.ts";
import { cpuModel, type ModelOptions } from "../../cpu/cpu-model.ts";
import { capabilitiesOf } from "../capabilities.ts";
import { EntryFacts } from "../entry-facts.ts";

/** A VMCS with which VM entry succeeds, for guests of every kind, and the facts of it. */

export type FieldValues = Partial<Record<VmcsFieldName, bigint>>;
export type GuestKind = "64-bit" | "PAE" | "virtual-8086" | "real";

const [code64, code32, flatData, unusable, busyTss] = [0xa09bn, 0xc09bn, 0xc093n, 0x1_0000n, 0x8bn];
const flat = 0xffff_ffffn;
const pat = 0x0007_0406_0007_0406n;
export const currentVmcs = 0x6000n;

const segment = (name: string, selector: bigint, access: bigint, limit = flat, base = 0n): FieldValues => ({
  [`guest.${name}.selector`]: selector,
  [`guest.${name}.access`]: access,
  [`guest.${name}.limit`]: limit,
  [`guest.${name}.base`]: base,
});
const dataSegments = ["ss", "ds", "es", "fs", "gs"];
const all = (names: readonly string[], make: (name: string) => FieldValues): FieldValues =>
  Object.assign({}, ...names.map(make));

/** Of a 64-bit host, with a value for every field that some control puts in use. */
const base64: FieldValues = {
  "control.vpid": 1n,
  "control.eptPointer": 0x1en,
  "control.tscMultiplier": 1n << 48n,
  "guest.vmcsLinkPointer": 0xffff_ffff_ffff_ffffn,
  "guest.cr0": 0x8001_0031n,
  "guest.cr3": 0x5000n,
  "guest.cr4": 0x2020n,
  "guest.dr7": 0x400n,
  "guest.rflags": 2n,
  "guest.rip": 0x1000n,
  "guest.ia32Efer": 0x500n,
  "guest.ia32Pat": pat,
  ...segment("cs", 8n, code64),
  ...all(dataSegments, (name) => segment(name, 0x10n, flatData)),
  ...segment("ldtr", 0n, unusable, 0n),
  ...segment("tr", 0x18n, busyTss, 0x67n, 0x2000n),
  "guest.gdtr.limit": 0x27n,
  "guest.idtr.limit": 0xfffn,
  "host.cr0": 0x8001_0031n,
  "host.cr3": 0x4000n,
  "host.cr4": 0x2020n,
  "host.rip": 0x3000n,
  "host.ia32Efer": 0x500n,
  "host.ia32Pat": pat,
  "host.cs.selector": 8n,
  "host.ss.selector": 0x10n,
  "host.tr.selector": 0x18n,
};

const legacy: FieldValues = { ...segment("cs", 8n, code32), "guest.ia32Efer": 0n };
const paragraphs = (name: string): FieldValues => segment(name, 0x1000n, 0xf3n, 0xffffn, 0x1_0000n);
const realSegment = (name: string): FieldValues => segment(name, 0n, 0x93n, 0xffffn);

const guestFields: Readonly<Record<GuestKind, FieldValues>> = {
  "64-bit": {},
  PAE: legacy,
  "virtual-8086": { ...legacy, ...all(["cs", ...dataSegments], paragraphs), "guest.rflags": 0x2_0002n },
  real: { ...legacy, ...all(["cs", ...dataSegments], realSegment), "guest.cr0": 0x30n, "guest.cr4": 0x2000n },
};
const guestControls: Readonly<Record<GuestKind, readonly ControlKey[]>> = {
  "64-bit": ["ia32eModeGuest"],
  PAE: [],
  "virtual-8086": [],
  real: ["unrestrictedGuest"],
};

export interface ValidEntry {
  /** Default "64-bit". */
  readonly guest?: GuestKind;
  /** Controls that are 1, and what they need with them. */
  readonly with?: readonly ControlKey[];
  /** Controls that are 0 after all, also if another needs them. */
  readonly without?: readonly ControlKey[];
  /** The VMM is outside IA-32e mode (and "host address-space size" 0). */
  readonly legacyHost?: true;
  readonly model?: ModelOptions;
}

const withNeeds = (keys: readonly ControlKey[]): Set<ControlKey> => {
  const found = new Set<ControlKey>();
  const visit = (key: ControlKey): void => {
    if (found.has(key)) return;
    found.add(key);
    for (const need of vmxNeeds[key] ?? []) {
      const control = vmxControls.find((row) => row.key === need);
      if (control) visit(control.key);
    }
  };
  keys.forEach(visit);
  return found;
};

const controlFields = [...new Set(vmxControls.map(({ field }) => field))] as ControlFieldName[];

/** A processor and a VMCS on it; memory is all 0 but for what is put into `memory` (32-bit words by address). */
export class Entry {
  readonly values = new Map<number, bigint>();
  readonly memory = new Map<bigint, number>();
  readonly model;
  /** VM entry is made in IA-32e mode. */
  inIa32eMode: boolean;

  constructor(shape: ValidEntry = {}) {
    this.model = cpuModel("default", shape.model)!;
    this.inIa32eMode = shape.legacyHost !== true;
    const kind = shape.guest ?? "64-bit";
    for (const { ordinal } of vmcsFields) this.values.set(ordinal, 0n);
    this.set({ ...base64, ...guestFields[kind] });
    const keys = withNeeds([
      ...guestControls[kind],
      ...(this.inIa32eMode ? (["hostAddressSpaceSize"] as const) : []),
      ...(shape.with ?? []),
    ]);
    for (const key of shape.without ?? []) keys.delete(key);
    for (const field of controlFields) {
      const { mustBe1 } = this.capability.allowed(field);
      let word = mustBe1;
      for (const key of keys) if (vmxControl(key).field === field) word |= 1 << vmxControl(key).bit;
      this.set({ [field]: BigInt(word >>> 0) });
    }
  }

  get capability() {
    return capabilitiesOf(this.model);
  }

  read(name: VmcsFieldName): bigint {
    return this.values.get(vmcsField(name).ordinal)!;
  }

  set(fields: FieldValues): void {
    for (const [name, value] of Object.entries(fields))
      this.values.set(vmcsField(name as VmcsFieldName).ordinal, value);
  }

  /** Facts that follow every later change. */
  facts(): EntryFacts {
    const { model, values, memory } = this;
    return new EntryFacts(
      { value: (ordinal) => values.get(ordinal), low: (ordinal) => Number(values.get(ordinal)! & flat) },
      this.capability,
      {
        physicalAddressBits: model.physicalAddressBits,
        linearAddressBits: model.linearAddressBits,
        has: (feature) => model.has(feature),
        inIa32eMode: () => this.inIa32eMode,
        currentVmcs: () => currentVmcs,
        inSMM: false,
        perfGlobalCtrl: 0x7_0000_000fn,
        debugctl: 3n,
      },
      (address) => memory.get(address) ?? 0,
    );
  }
}
