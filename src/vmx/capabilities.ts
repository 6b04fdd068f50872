import { CR0, CR4 } from "../arch/control-registers.ts";
import { vmcsFields } from "../arch/vmcs-fields.ts";
import {
  controlMsrs, VmxMsr, type VmxMsrName, type VmxTrait, vmxTraits,
} from "../arch/vmx-capabilities.ts"; // biome-ignore format: one list
import {
  type ControlFieldName, type ControlKey, default1, vmxControl, vmxControls,
} from "../arch/vmx-controls.ts"; // biome-ignore format: one list
import { supportedCR4 } from "../cpu/control-registers.ts";
import type { CpuModel } from "../cpu/core.ts";

/** The VMX capability MSRs: made from what a CPU model offers, and read back by the checks and the dump reader. */

/** A VMCS region as IA32_VMX_BASIC describes it. */
export const vmcsRevision = 0x57_53_01;
export const vmcsRegionBytes = 4096;
/** The VMX-preemption timer counts down by 1 each time bit 5 of the TSC changes. */
export const preemptionTimerRate = 5;
export const cr3TargetCount = 4;
const memoryTypeWB = 6n;

/** Controls of the default1 class that have a row: they may be 0 where the TRUE MSRs exist. */
const mayBeZero = (field: ControlFieldName, model: CpuModel): number => {
  let bits = 0;
  for (const control of vmxControls)
    if (control.field === field && model.has(control.key)) bits |= 1 << control.bit;
  return default1[field] & bits;
};

const allowed1 = (field: ControlFieldName, model: CpuModel): number => {
  let bits = default1[field];
  for (const control of vmxControls)
    if (control.field === field && model.has(control.key)) bits |= 1 << control.bit;
  return bits >>> 0;
};

const controlWord = (mustBe1: number, may1: number): bigint =>
  (BigInt(may1 >>> 0) << 32n) | BigInt(mustBe1 >>> 0);

const traitBits = (msr: VmxMsrName, has: (key: VmxTrait) => boolean): bigint => {
  let bits = 0n;
  for (const trait of vmxTraits) if (trait.msr === msr && has(trait.key)) bits |= 1n << BigInt(trait.bit);
  return bits;
};

/** The highest index of a field that the model has, as IA32_VMX_VMCS_ENUM reports it. */
const highestFieldIndex = (model: CpuModel): number => {
  let highest = 0;
  for (const field of vmcsFields)
    if (field.comesWith === undefined || model.has(field.comesWith)) highest = Math.max(highest, field.index);
  return highest;
};

/** Index to value of every capability MSR of a model; empty without VMX. */
export const capabilityMsrs = (model: CpuModel): ReadonlyMap<number, bigint> => {
  const msrs = new Map<number, bigint>();
  if (!model.has("VMX")) return msrs;
  const has = (key: string): boolean => model.has(key);
  const exact = model.has("trueControls");
  msrs.set(
    VmxMsr.IA32_VMX_BASIC,
    BigInt(vmcsRevision) |
      (BigInt(vmcsRegionBytes) << 32n) |
      (model.has("LM") ? 0n : 1n << 48n) |
      (memoryTypeWB << 50n) |
      traitBits("IA32_VMX_BASIC", has),
  );
  for (const [field, rows] of Object.entries(controlMsrs) as [
    ControlFieldName,
    (typeof controlMsrs)[ControlFieldName],
  ][]) {
    if (field === "control.secondaryProcessorBased" && !model.has("activateSecondaryControls")) continue;
    if (field === "control.tertiaryProcessorBased" && !model.has("activateTertiaryControls")) continue;
    const may1 = allowed1(field, model);
    if (field === "control.tertiaryProcessorBased") {
      // 64 bits that may be 1; none must be.
      msrs.set(VmxMsr[rows.plain], BigInt(may1));
      continue;
    }
    msrs.set(VmxMsr[rows.plain], controlWord(default1[field], may1));
    if (exact && rows.exact)
      msrs.set(VmxMsr[rows.exact], controlWord(default1[field] & ~mayBeZero(field, model), may1));
  }
  msrs.set(
    VmxMsr.IA32_VMX_MISC,
    BigInt(preemptionTimerRate) | (BigInt(cr3TargetCount) << 16n) | traitBits("IA32_VMX_MISC", has),
  );
  msrs.set(VmxMsr.IA32_VMX_CR0_FIXED0, CR0.PE | CR0.NE | CR0.PG);
  msrs.set(VmxMsr.IA32_VMX_CR0_FIXED1, 0xffff_ffffn);
  msrs.set(VmxMsr.IA32_VMX_CR4_FIXED0, CR4.VMXE);
  msrs.set(VmxMsr.IA32_VMX_CR4_FIXED1, supportedCR4(model));
  msrs.set(VmxMsr.IA32_VMX_VMCS_ENUM, BigInt(highestFieldIndex(model)) << 1n);
  if (model.has("enableEPT") || model.has("enableVPID"))
    msrs.set(VmxMsr.IA32_VMX_EPT_VPID_CAP, traitBits("IA32_VMX_EPT_VPID_CAP", has));
  if (model.has("enableVMFunctions")) msrs.set(VmxMsr.IA32_VMX_VMFUNC, traitBits("IA32_VMX_VMFUNC", has));
  return msrs;
};

export interface FixedBits {
  readonly fixed0: bigint;
  readonly fixed1: bigint;
}

/** What values of the capability MSRs mean. An MSR that is absent allows nothing. */
export class VmxCapabilities {
  readonly msrs: ReadonlyMap<number, bigint>;
  readonly cr0: FixedBits;
  readonly cr4: FixedBits;
  /** Bits 30:0 of a VMCS region. */
  readonly revision: number;
  readonly cr3TargetCount: number;
  /** IA32_VMX_MISC bits 27:25: entries of an MSR area that are sure to work. A processor may do anything beyond; here the first too many is refused. */
  readonly msrListEntries: number;
  readonly #words = new Map<ControlFieldName, { readonly mustBe1: number; readonly may1: number }>();
  readonly #traits = new Set<string>();

  constructor(msrs: ReadonlyMap<number, bigint>) {
    this.msrs = msrs;
    this.cr0 = {
      fixed0: this.msr("IA32_VMX_CR0_FIXED0"),
      fixed1: this.msr("IA32_VMX_CR0_FIXED1"),
    };
    this.cr4 = {
      fixed0: this.msr("IA32_VMX_CR4_FIXED0"),
      fixed1: this.msr("IA32_VMX_CR4_FIXED1"),
    };
    this.revision = Number(this.msr("IA32_VMX_BASIC") & 0x7fff_ffffn);
    const misc = this.msr("IA32_VMX_MISC");
    this.cr3TargetCount = Number((misc >> 16n) & 0x1ffn);
    this.msrListEntries = 512 * (Number((misc >> 25n) & 7n) + 1);
    for (const field of Object.keys(controlMsrs) as ControlFieldName[]) {
      const reported = this.msr(this.reportedBy(field));
      const word = field === "control.tertiaryProcessorBased" ? reported << 32n : reported;
      this.#words.set(field, {
        mustBe1: Number(word & 0xffff_ffffn) | 0,
        may1: Number(word >> 32n) | 0,
      });
    }
    for (const { key, msr, bit } of vmxTraits) if ((this.msr(msr) >> BigInt(bit)) & 1n) this.#traits.add(key);
  }

  msr(name: VmxMsrName): bigint {
    return this.msrs.get(VmxMsr[name]) ?? 0n;
  }

  /** The MSR that says what a word of controls may be: the TRUE one where there is one. */
  reportedBy(field: ControlFieldName): VmxMsrName {
    const { plain, exact } = controlMsrs[field];
    return exact !== undefined && this.msrs.has(VmxMsr[exact]) ? exact : plain;
  }

  /** Bits of a word of controls that must be 1, and that may be 1. */
  allowed(field: ControlFieldName): { readonly mustBe1: number; readonly may1: number } {
    return this.#words.get(field)!;
  }

  /** The control may be 1. */
  offers(key: ControlKey): boolean {
    const { field, bit } = vmxControl(key);
    return ((this.allowed(field).may1 >>> bit) & 1) === 1;
  }

  has(key: VmxTrait): boolean {
    return this.#traits.has(key);
  }
}

const capabilitiesCache = new WeakMap<CpuModel, VmxCapabilities>();

/** The capabilities of a CPU model. */
export const capabilitiesOf = (model: CpuModel): VmxCapabilities => {
  let capabilities = capabilitiesCache.get(model);
  if (capabilities === undefined) {
    capabilities = new VmxCapabilities(capabilityMsrs(model));
    capabilitiesCache.set(model, capabilities);
  }
  return capabilities;
};
