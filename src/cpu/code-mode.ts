import { CR0, CR4 } from "../arch/control-registers.ts";
import { access, segmentType } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import type { SegmentPlan, SegmentPlans } from "../codegen/handler-spec.ts";
import type { DecodeMode } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import { codeSize, cpl, isProtected, isRealLike, stackSize } from "./mode.ts";

/** Everything outside its bytes that decides how an instruction is decoded and addressed: the key of decoded code. */
export interface CodeMode extends DecodeMode {
  readonly number: number;
  readonly plans: SegmentPlans;
  /** The same as a number below 4096. */
  readonly plansNumber: number;
  /** Some of x87, MMX, SSE would fault, or an x87 exception is pending: their instructions are left to the processor, which knows which. */
  readonly unitsBlocked: boolean;
  /** Instructions that the guest's controls leave to the processor: bits of `VmxStep`. */
  readonly steps: number;
  /** RIP and linear address say the same: the segment reaches everywhere and begins with a page. */
  readonly flatCode: boolean;
}

const names = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const accessOffsets = names.map((name) => offsetOf(`${name}.access`));
const limitOffsets = names.map((name) => offsetOf(`${name}.limit`));
const baseOffsets = names.map((name) => offsetOf(`${name}.base`));
const cr0Offset = offsetOf("CR0");
const cr4Offset = offsetOf("CR4");
const flagsOffset = offsetOf("RFLAGS");
const fswOffset = offsetOf("FSW");
const stepsOffset = offsetOf("vmx.steps");
const unitBits = Number(CR0.EM | CR0.TS);
const OSFXSR = Number(CR4.OSFXSR);
const AM = Number(CR0.AM);
const AC = Number(RFLAGS.AC);
/** A plan as two bits, for keys. */
export const planNumber = { zero: 0, base: 1, checked: 2 } as const satisfies Record<SegmentPlan, number>;
const planNames: readonly SegmentPlan[] = ["zero", "base", "checked"];

const longPlans = 0b01_01_00_00_00_00; // GS, FS: add the base

/** Of a segment of writable expand-up data up to 4 GiB, through which no access can fail. */
const plainRights = access.P | access.S | segmentType.writable;
const lookedAt = plainRights | access.unusable | segmentType.code | segmentType.expandDown;

const planOf = (view: DataView, n: number): number => {
  const isPlain =
    (view.getUint32(accessOffsets[n]!, true) & lookedAt) === plainRights &&
    view.getUint32(limitOffsets[n]!, true) === 0xffff_ffff;
  if (!isPlain) return planNumber.checked;
  return view.getUint32(baseOffsets[n]!, true) === 0 ? planNumber.zero : planNumber.base;
};

/** Interns modes, so that code decoded in one is found again in the same. */
export class CodeModes {
  readonly #modes = new Map<number, CodeMode>();
  #next = 1;

  /** The mode of a processor about to run the code at its CS:RIP. `pageBase`: RIP of byte 0 of the code page. */
  current(state: CpuState): CodeMode {
    const view = state.view;
    const code = codeSize(state);
    const cr0 = view.getUint32(cr0Offset, true);
    const blocked =
      (cr0 & unitBits) !== 0 ||
      (view.getUint32(cr4Offset, true) & OSFXSR) === 0 ||
      (view.getUint32(fswOffset, true) & FSW.ES) !== 0;
    const steps = view.getUint32(stepsOffset, true);
    const aligned = (cr0 & AM) !== 0 && (view.getUint32(flagsOffset, true) & AC) !== 0 && cpl(state) === 3;
    if (code === 64) {
      const key = (blocked ? 1 : 0) | (aligned ? 2 : 0) | (steps << 2);
      return (
        this.#modes.get(key) ??
        this.#add(key, state, aligned ? 0b10_10_10_10_10_10 : longPlans, blocked, true)
      );
    }
    const realLike = isRealLike(state);
    let plans = 0;
    for (let n = 0; n < 6; n++)
      plans |= (realLike || aligned ? planNumber.checked : planOf(view, n)) << (2 * n);
    const rights = view.getUint32(accessOffsets[1]!, true);
    const flat =
      code === 32 &&
      isProtected(state) &&
      !realLike &&
      (rights & access.unusable) === 0 &&
      view.getUint32(limitOffsets[1]!, true) === 0xffff_ffff &&
      (view.getUint32(baseOffsets[1]!, true) & 0xfff) === 0;
    const rest =
      4 +
      (code >>> 5) +
      (stackSize(state) >>> 5) * 2 +
      (realLike ? 4 : 0) +
      (blocked ? 8 : 0) +
      (flat ? 16 : 0) +
      steps * 32;
    const key = rest * 4096 + plans;
    return this.#modes.get(key) ?? this.#add(key, state, plans, blocked, flat);
  }

  #add(key: number, state: CpuState, plans: number, unitsBlocked: boolean, flatCode: boolean): CodeMode {
    const plan = (n: number): SegmentPlan => planNames[(plans >>> (2 * n)) & 3]!;
    const mode: CodeMode = {
      number: this.#next++,
      codeSize: codeSize(state),
      stackSize: stackSize(state),
      realLike: isRealLike(state),
      plansNumber: plans,
      plans: { ES: plan(0), CS: plan(1), SS: plan(2), DS: plan(3), FS: plan(4), GS: plan(5) },
      unitsBlocked,
      steps: state["vmx.steps"],
      flatCode,
    };
    this.#modes.set(key, mode);
    return mode;
  }

  /** Forget all modes (their decoded code is forgotten too): the guest can make new ones without end. */
  clear(): void {
    this.#modes.clear();
    this.#next = 1;
  }

  get size(): number {
    return this.#modes.size;
  }
}
