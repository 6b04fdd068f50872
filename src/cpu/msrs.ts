import { CR0, IA32_EFER } from "../arch/control-registers.ts";
import {
  fixedMtrrs, IA32_FEATURE_CONTROL, IA32_MISC_ENABLE, IA32_SPEC_CTRL, MSR_PLATFORM_INFO, type MsrRow, memoryTypes, msrName, msrRow, msrs, variableMtrrs,
} from "../arch/msrs.ts"; // biome-ignore format: one list
import { VmxMsr } from "../arch/vmx-capabilities.ts";
import { offsetOf, type U64Field } from "../state/layout.ts";
import type { Core, CpuModel } from "./core.ts";
import { isCanonical, isCanonicalHigh } from "./mode.ts";

const raxOffset = offsetOf("RAX");
const rdxOffset = offsetOf("RDX");

/** RDMSR and WRMSR: what each register of arch/msrs.ts does beyond holding a value. */

/** Behaviour of an MSR whose row alone does not say it. `undefined` / `false` is #GP. */
interface MsrBehaviour {
  readonly read?: (core: Core) => bigint | undefined;
  readonly write?: (core: Core, value: bigint) => boolean;
}

/** The time-stamp counter: virtual time plus what software has added. */
export const timeStampCounter = (core: Core): bigint =>
  BigInt.asUintN(64, core.timeStamp() + core.state.tscOffset);

const memoryTypeBytes = (value: bigint, allowed: readonly number[]): boolean => {
  for (let n = 0n; n < 64n; n += 8n) if (!allowed.includes(Number((value >> n) & 0xffn))) return false;
  return true;
};

/** NX exists, and IA32_MISC_ENABLE does not hide it. */
export const offersNX = ({ model, state }: Core): boolean =>
  model.has("NX") && !(state.IA32_MISC_ENABLE & IA32_MISC_ENABLE.XDDisable);

const writableEfer = (core: Core): bigint =>
  (core.model.has("SYSCALL") ? IA32_EFER.SCE : 0n) |
  (core.model.has("LM") ? IA32_EFER.LME | IA32_EFER.LMA : 0n) |
  (offersNX(core) ? IA32_EFER.NXE : 0n);

/** Through the local APIC: it answers for its base, its x2APIC registers and the TSC deadline. */
const apic = (index: number): MsrBehaviour => ({
  read: (core) => core.apic.readMsr(index),
  write: (core, value) => core.apic.writeMsr(index, value),
});

const miscEnableWritable =
  IA32_MISC_ENABLE.fastStrings |
  IA32_MISC_ENABLE.monitor |
  IA32_MISC_ENABLE.limitCpuidMaxval |
  IA32_MISC_ENABLE.xTPRDisable |
  IA32_MISC_ENABLE.XDDisable;
/** Read-only bits of IA32_MISC_ENABLE: writes must leave them as they are, or are ignored. */
const miscEnableReadOnly = IA32_MISC_ENABLE.BTSUnavailable | IA32_MISC_ENABLE.PEBSUnavailable;

const behaviours: Readonly<Record<string, MsrBehaviour>> = {
  IA32_P5_MC_ADDR: { read: () => 0n, write: () => true },
  IA32_P5_MC_TYPE: { read: () => 0n, write: () => true },
  IA32_TIME_STAMP_COUNTER: {
    read: timeStampCounter,
    write: (core, value) => {
      const change = value - timeStampCounter(core);
      core.state.tscOffset += change;
      core.state.IA32_TSC_ADJUST += change;
      core.apic.timeStampChanged();
      return true;
    },
  },
  IA32_TSC_ADJUST: {
    read: ({ state }) => state.IA32_TSC_ADJUST,
    write: ({ state, apic }, value) => {
      state.tscOffset += value - state.IA32_TSC_ADJUST;
      state.IA32_TSC_ADJUST = value;
      apic.timeStampChanged();
      return true;
    },
  },
  IA32_PLATFORM_ID: { read: () => 0n },
  IA32_APIC_BASE: apic(0x1b),
  IA32_TSC_DEADLINE: apic(0x6e0),
  IA32_FEATURE_CONTROL: {
    // Bit 0 locks the register until power-on.
    write: ({ state }, value) => {
      if (state.IA32_FEATURE_CONTROL & IA32_FEATURE_CONTROL.lock) return false;
      state.IA32_FEATURE_CONTROL = value;
      return true;
    },
  },
  IA32_PRED_CMD: { write: () => true },
  IA32_FLUSH_CMD: { write: () => true },
  /** There is no microcode to load; the trigger accepts any address, as a processor that refuses an update does. */
  IA32_BIOS_UPDT_TRIG: { write: () => true },
  IA32_MTRRCAP: { read: () => BigInt(variableMtrrs.pairs) | (1n << 8n) | (1n << 10n) },
  IA32_ARCH_CAPABILITIES: { read: ({ model }) => model.fixedMsrs?.IA32_ARCH_CAPABILITIES ?? 0n },
  /** No error-reporting banks. */
  IA32_MCG_CAP: { read: () => 0n },
  IA32_MISC_ENABLE: {
    write: (core, value) => {
      if (value & ~(miscEnableWritable | miscEnableReadOnly)) return false;
      const { state } = core;
      const changed = state.IA32_MISC_ENABLE ^ value;
      state.IA32_MISC_ENABLE = (value & miscEnableWritable) | (state.IA32_MISC_ENABLE & miscEnableReadOnly);
      if (changed & IA32_MISC_ENABLE.XDDisable) core.invalidate({ kind: "all" });
      return true;
    },
  },
  IA32_PAT: {
    write: ({ state }, value) => {
      if (!memoryTypeBytes(value, [...memoryTypes, 7])) return false;
      state.IA32_PAT = value;
      return true;
    },
  },
  IA32_MTRR_DEF_TYPE: {
    write: ({ state }, value) => {
      if (!memoryTypes.includes(Number(value & 0xffn))) return false;
      state.IA32_MTRR_DEF_TYPE = value;
      return true;
    },
  },
  IA32_EFER: {
    write: (core, value) => {
      const { state } = core;
      if (value & ~writableEfer(core)) return false;
      const changed = state.IA32_EFER ^ value;
      if (changed & IA32_EFER.LME && state.CR0 & CR0.PG) return false;
      // LMA follows CR0.PG and LME; writes to it are ignored.
      state.IA32_EFER = (value & ~IA32_EFER.LMA) | (state.IA32_EFER & IA32_EFER.LMA);
      return true;
    },
  },
};

const exists = (model: CpuModel, row: MsrRow): boolean => {
  if (row.ofModel) return model.fixedMsrs?.[row.name] !== undefined;
  if (row.name === "MSR_MISC_FEATURES_ENABLES")
    return ((model.fixedMsrs?.["MSR_PLATFORM_INFO"] ?? 0n) & MSR_PLATFORM_INFO.CPUIDFaulting) !== 0n;
  return row.features === undefined || row.features.some((feature) => model.has(feature));
};

const mtrrIndex = (index: number): number => index - variableMtrrs.first;

const isVariableMtrr = (index: number): boolean =>
  mtrrIndex(index) >= 0 && mtrrIndex(index) < 2 * variableMtrrs.pairs;

const isVmxCapability = (index: number): boolean =>
  index >= VmxMsr.IA32_VMX_BASIC && index <= VmxMsr.IA32_VMX_PROCBASED_CTLS3;

const isX2Apic = (index: number): boolean => index >= 0x800 && index <= 0x8ff;

const readMtrr = (core: Core, index: number): bigint | undefined => {
  if (!core.model.has("MTRR")) return undefined;
  const { state } = core;
  const fixed = fixedMtrrs.indexOf(index);
  const [field, at] =
    fixed >= 0 ? (["mtrr.fixed", fixed] as const) : (["mtrr.variable", mtrrIndex(index)] as const);
  const bytes = state.bytes(field);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * at, true);
};

const writeMtrr = (core: Core, index: number, value: bigint): boolean => {
  if (!core.model.has("MTRR")) return false;
  const { state, model } = core;
  const fixed = fixedMtrrs.indexOf(index);
  if (fixed >= 0) {
    if (!memoryTypeBytes(value, memoryTypes)) return false;
  } else {
    const address = ((1n << BigInt(model.physicalAddressBits)) - 1n) & ~0xfffn;
    const isMask = (mtrrIndex(index) & 1) === 1;
    if (value & ~(address | (isMask ? 0x800n : 0xffn))) return false;
    if (!isMask && !memoryTypes.includes(Number(value & 0xffn))) return false;
  }
  const bytes = state.bytes(fixed >= 0 ? "mtrr.fixed" : "mtrr.variable");
  const at = fixed >= 0 ? fixed : mtrrIndex(index);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(8 * at, value, true);
  return true;
};

const isMtrr = (index: number): boolean => isVariableMtrr(index) || fixedMtrrs.includes(index);

/** An MSR that is a field of the state and no more: what WRMSR asks of a value. */
interface PlainMsr {
  readonly offset: number;
  readonly canonical: boolean;
  /** Bits that may be set; and their halves. */
  readonly writable: bigint;
  readonly low: number;
  readonly high: number;
}

const everyBit = 0xffff_ffff_ffff_ffffn;

/** Bits of IA32_SPEC_CTRL that a model has. Nothing is speculated on; they are kept. */
const specCtrlBits = (model: CpuModel): bigint =>
  IA32_SPEC_CTRL.reduce((set, { feature, bits }) => (model.has(feature) ? set | bits : set), 0n);

const isPlain = (model: CpuModel, row: MsrRow): boolean =>
  row.field !== undefined &&
  behaviours[row.name] === undefined &&
  !(row.ofModel || row.readOnly || row.writeOnly || isVmxCapability(row.index) || isMtrr(row.index)) &&
  exists(model, row);

const plainMsrsOf = (model: CpuModel): ReadonlyMap<number, PlainMsr> => {
  const plain = new Map<number, PlainMsr>();
  for (const row of msrs) {
    if (!isPlain(model, row)) continue;
    const writable = row.name === "IA32_SPEC_CTRL" ? specCtrlBits(model) : (row.writable ?? everyBit);
    plain.set(row.index, {
      offset: offsetOf(row.field as U64Field),
      canonical: row.canonical === true,
      writable,
      low: Number(writable & 0xffff_ffffn) | 0,
      high: Number(writable >> 32n) | 0,
    });
  }
  return plain;
};

const plainMsrs = new WeakMap<CpuModel, ReadonlyMap<number, PlainMsr>>();
let lastModel: CpuModel | undefined;
let lastPlain: ReadonlyMap<number, PlainMsr> = new Map();

/** The MSR if it is a plain one: those that operating systems switch with tasks and guests are. */
export const plainMsr = ({ model }: Core, index: number): PlainMsr | undefined => {
  if (model !== lastModel) {
    let plain = plainMsrs.get(model);
    if (plain === undefined) {
      plain = plainMsrsOf(model);
      plainMsrs.set(model, plain);
    }
    lastModel = model;
    lastPlain = plain;
  }
  return lastPlain.get(index);
};

/** RDMSR of a plain one: to EDX:EAX. */
export const readPlain = ({ state: { view } }: Core, { offset }: PlainMsr): void => {
  view.setUint32(raxOffset, view.getUint32(offset, true), true);
  view.setUint32(raxOffset + 4, 0, true);
  view.setUint32(rdxOffset, view.getUint32(offset + 4, true), true);
  view.setUint32(rdxOffset + 4, 0, true);
};

/** A plain one takes a value, as two halves; false is #GP. */
export const setPlain = (
  { state: { view }, model }: Core,
  msr: PlainMsr,
  low: number,
  high: number,
): boolean => {
  if (((low & ~msr.low) | (high & ~msr.high)) !== 0) return false;
  if (msr.canonical && !isCanonicalHigh(high, model.linearAddressBits)) return false;
  view.setUint32(msr.offset, low, true);
  view.setUint32(msr.offset + 4, high, true);
  return true;
};

/** WRMSR of a plain one, EDX:EAX; false is #GP. */
export const writePlain = (core: Core, msr: PlainMsr): boolean => {
  const { view } = core.state;
  return setPlain(core, msr, view.getUint32(raxOffset, true), view.getUint32(rdxOffset, true));
};

/** RDMSR: the value, or undefined for #GP(0). An MSR that we do not know is reported by number. */
export const readMsr = (core: Core, index: number): bigint | undefined => {
  const plain = plainMsr(core, index);
  if (plain !== undefined) return core.state.view.getBigUint64(plain.offset, true);
  if (isX2Apic(index)) return core.apic.readMsr(index);
  if (isMtrr(index)) return readMtrr(core, index);
  const row = msrRow(index);
  if (row === undefined || !exists(core.model, row)) {
    core.reportUnimplemented(`RDMSR of ${msrName(index)}`);
    return undefined;
  }
  if (row.writeOnly) return undefined;
  if (row.ofModel) return core.model.fixedMsrs?.[row.name];
  if (isVmxCapability(index)) return core.vmx?.capabilityMsr(index);
  const read = behaviours[row.name]?.read;
  if (read) return read(core);
  return core.state[row.field as U64Field];
};

/** WRMSR: false for #GP(0). */
export const writeMsr = (core: Core, index: number, value: bigint): boolean => {
  const plain = plainMsr(core, index);
  if (plain !== undefined) {
    const { writable, canonical } = plain;
    if (value & ~writable) return false;
    if (canonical && !isCanonical(value, core.model.linearAddressBits)) return false;
    core.state.view.setBigUint64(plain.offset, value, true);
    return true;
  }
  if (isX2Apic(index)) return core.apic.writeMsr(index, value);
  if (isMtrr(index)) return writeMtrr(core, index, value);
  const row = msrRow(index);
  if (row === undefined || !exists(core.model, row)) {
    core.reportUnimplemented(`WRMSR of ${msrName(index)}, value 0x${value.toString(16)}`);
    return false;
  }
  if (row.readOnly) return false;
  if (row.writable !== undefined && value & ~row.writable) return false;
  if (row.canonical && !isCanonical(value, core.model.linearAddressBits)) return false;
  const write = behaviours[row.name]?.write;
  if (write) return write(core, value);
  core.state[row.field as U64Field] = value;
  return true;
};
