import { CR0, CR3, CR4, CR4Feature, IA32_EFER, XCR0 } from "../arch/control-registers.ts";
import { access as rights, systemType } from "../arch/descriptors.ts";
import type { Core, CpuModel, Fault } from "./core.ts";
import { is64Bit, isIa32e } from "./mode.ts";
import { reloadPdptes } from "./pdptes.ts";
import { GP, UD } from "./segmentation.ts";

/** Moves to control registers, with every rule of SDM Vol. 2, "MOV—Move to/from Control Registers". */

const definedCR0 =
  CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;

const supportedCR4Cache = new WeakMap<CpuModel, bigint>();

/** Bits of CR4 that the model has; the others are reserved. */
export const supportedCR4 = (model: CpuModel): bigint => {
  let bits = supportedCR4Cache.get(model);
  if (bits === undefined) {
    bits = 0n;
    for (const name of Object.keys(CR4) as (keyof typeof CR4)[])
      if (model.has(CR4Feature[name])) bits |= CR4[name];
    supportedCR4Cache.set(model, bits);
  }
  return bits;
};

/** Bits of XCR0 that the model has. */
export const supportedXCR0 = (model: CpuModel): bigint =>
  model.has("XSAVE") ? XCR0.x87 | XCR0.SSE | (model.has("AVX") ? XCR0.AVX : 0n) : 0n;

/** PAE paging, where CR3 points to PDPTEs that are loaded into registers. */
const usesPdptes = (cr0: bigint, cr4: bigint, ia32e: boolean): boolean =>
  (cr0 & CR0.PG) !== 0n && (cr4 & CR4.PAE) !== 0n && !ia32e;

/** The value that MOV from CR gives; CR2 needs no procedure. CR8 is the task priority; undefined is #UD. */
export const readControlRegister = (core: Core, number: number): bigint | undefined => {
  const { state } = core;
  switch (number) {
    case 0:
      return state.CR0;
    case 3:
      return state.CR3;
    case 4:
      return state.CR4;
    case 8:
      return is64Bit(state) ? BigInt(core.apic.taskPriorityClass) : undefined;
    default:
      return undefined;
  }
};

export const writeControlRegister = (core: Core, number: number, value: bigint): Fault | undefined => {
  switch (number) {
    case 0:
      return writeCR0(core, value);
    case 3:
      return writeCR3(core, value);
    case 4:
      return writeCR4(core, value);
    case 8:
      if (!is64Bit(core.state)) return UD();
      if (value > 15n) return GP(0);
      core.apic.taskPriorityClass = Number(value);
      return undefined;
    default:
      return UD();
  }
};

export const writeCR0 = (core: Core, value: bigint): Fault | undefined => {
  const { state } = core;
  if (value >> 32n) return GP(0);
  const next = (value & definedCR0) | CR0.ET;
  if (next & CR0.PG && !(next & CR0.PE)) return GP(0);
  if (next & CR0.NW && !(next & CR0.CD)) return GP(0);
  if (core.vmx?.inVmxOperation && core.vmx.cr0Fixed & ~next) return GP(0);
  const changed = state.CR0 ^ next;
  let efer = state.IA32_EFER;
  if (changed & CR0.PG) {
    if (next & CR0.PG) {
      if (efer & IA32_EFER.LME) {
        const is16BitTss = (state["TR.access"] & rights.type & ~systemType.busy) === systemType.TSS16;
        if (!(state.CR4 & CR4.PAE) || state["CS.access"] & rights.L || is16BitTss) return GP(0);
        efer |= IA32_EFER.LMA;
      }
    } else {
      if (is64Bit(state) || state.CR4 & CR4.PCIDE) return GP(0);
      efer &= ~IA32_EFER.LMA;
    }
  }
  if (changed & (CR0.PG | CR0.CD | CR0.NW) && usesPdptes(next, state.CR4, (efer & IA32_EFER.LMA) !== 0n)) {
    const fault = reloadPdptes(core, state.CR3);
    if (fault) return fault;
  }
  state.CR0 = next;
  state.IA32_EFER = efer;
  if (changed & (CR0.PG | CR0.PE | CR0.WP)) core.invalidate({ kind: "all" });
  return undefined;
};

export const writeCR3 = (core: Core, value: bigint): Fault | undefined => {
  const { state, model } = core;
  const pcide = (state.CR4 & CR4.PCIDE) !== 0n;
  const keep = pcide && (value & CR3.noInvalidate) !== 0n;
  const next = keep ? value & ~CR3.noInvalidate : value;
  if (is64Bit(state) && next >> BigInt(model.physicalAddressBits)) return GP(0);
  if (usesPdptes(state.CR0, state.CR4, isIa32e(state))) {
    const fault = reloadPdptes(core, next);
    if (fault) return fault;
  }
  state.CR3 = next;
  if (!pcide) core.invalidate({ kind: "non-global" });
  else if (!keep) core.invalidate({ kind: "pcid", pcid: Number(next & CR3.PCID) });
  return undefined;
};

export const writeCR4 = (core: Core, value: bigint): Fault | undefined => {
  const { state, model } = core;
  if (value & ~supportedCR4(model)) return GP(0);
  if (core.vmx?.inVmxOperation && core.vmx.cr4Fixed & ~value) return GP(0);
  const changed = state.CR4 ^ value;
  const ia32e = isIa32e(state);
  if (changed & CR4.PAE && ia32e) return GP(0);
  if (changed & value & CR4.PCIDE && (!ia32e || state.CR3 & CR3.PCID)) return GP(0);
  if (changed & (CR4.PAE | CR4.PGE | CR4.PSE | CR4.SMEP) && usesPdptes(state.CR0, value, ia32e)) {
    const fault = reloadPdptes(core, state.CR3);
    if (fault) return fault;
  }
  state.CR4 = value;
  if (changed & (CR4.PAE | CR4.PGE | CR4.PSE | CR4.PCIDE | CR4.SMEP | CR4.SMAP | CR4.PKE))
    core.invalidate({ kind: "all" });
  return undefined;
};

/** XSETBV of XCR0. */
export const writeXCR0 = (core: Core, value: bigint): Fault | undefined => {
  if (value & ~supportedXCR0(core.model) || !(value & XCR0.x87)) return GP(0);
  if (value & XCR0.AVX && !(value & XCR0.SSE)) return GP(0);
  core.state.XCR0 = value;
  return undefined;
};
