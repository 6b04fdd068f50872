import { Exception } from "../arch/exceptions.ts";
import { flagBit } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import type { Effect, FlagName, SegmentName, SegmentSource } from "../ir/effects.ts";
import { evaluator } from "../ir/evaluate.ts";
import type { Value, Width } from "../ir/value.ts";
import { formKey, formOf } from "../isa/decode.ts";
import { effectsOf } from "../isa/define.ts";
import type { Instruction, MemoryOperand } from "../isa/instruction.ts";
import { asksAlignment, entersMMX, type Row } from "../isa/row.ts";
import { generalRegisters, layout, offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { type LinearMemory, walkedMemory } from "./linear-memory.ts";
import { cpl } from "./mode.ts";
import { Access } from "./page-walk.ts";
import { registerOffset } from "./register-offset.ts";
import { linearAddress } from "./segmentation.ts";

/**
 * The evaluator tier: carries an instruction's effects out one by one with bigints over the same state and memory as
 * translated code. Slow, plain, and what the other tiers are compared with.
 */

const truncate = (bits: bigint, width: number): bigint => BigInt.asUintN(width, bits);

/** Effective address of a memory operand. `next`: offset of the following instruction. */
export const effectiveAddress = (
  core: Core,
  operand: MemoryOperand,
  addressSize: number,
  next: bigint,
): bigint => {
  const { state } = core;
  let address = operand.displacement;
  if (operand.base === "RIP") address += next;
  else if (operand.base !== undefined) address += state.general(operand.base);
  if (operand.index !== undefined) address += state.general(operand.index) * BigInt(operand.scale);
  return truncate(address, addressSize);
};

const readField = (view: DataView, offset: number, width: number): bigint => {
  if (width === 128) return view.getBigUint64(offset, true) | (view.getBigUint64(offset + 8, true) << 64n);
  if (width === 64) return view.getBigUint64(offset, true);
  if (width === 32) return BigInt(view.getUint32(offset, true));
  if (width === 16) return BigInt(view.getUint16(offset, true));
  return BigInt.asUintN(width, BigInt(view.getUint8(offset)));
};

const writeField = (view: DataView, offset: number, width: number, value: bigint): void => {
  if (width === 128) {
    view.setBigUint64(offset, truncate(value, 64), true);
    view.setBigUint64(offset + 8, value >> 64n, true);
  } else if (width === 64) view.setBigUint64(offset, value, true);
  else if (width === 32) view.setUint32(offset, Number(value), true);
  else if (width === 16) view.setUint16(offset, Number(value), true);
  else view.setUint8(offset, Number(value));
};

/** What a form of an instruction does, built once. */
interface FormEffects {
  readonly effects: readonly Effect[];
  /** The memory operands that are read: those whose value the effects use. */
  readonly reads: readonly { readonly index: number; readonly width: Width }[];
}

const formEffectsCache = new WeakMap<Row, Map<number, FormEffects>>();
const formEffects = (instruction: Instruction): FormEffects => {
  const { row } = instruction;
  let forms = formEffectsCache.get(row);
  if (forms === undefined) {
    forms = new Map();
    formEffectsCache.set(row, forms);
  }
  const key = formKey(instruction);
  let found = forms.get(key);
  if (found === undefined) {
    const { effects } = effectsOf(row.semantics, formOf(instruction));
    const used = new Set<Value>();
    const visit = (value: Value | undefined): void => {
      if (value === undefined || used.has(value)) return;
      used.add(value);
      for (const arg of value.args) visit(arg);
    };
    for (const effect of effects) visitEffect(effect, visit);
    const reads = [...used]
      .filter(({ op, attr }) => op === "operand" && instruction.operands[attr as number]!.kind === "memory")
      .map(({ attr, width }) => ({ index: attr as number, width }));
    found = { effects, reads };
    forms.set(key, found);
  }
  return found;
};

/** Carry out one instruction (one REP step). On success RIP has moved on; a fault leaves the state as it was before the element that raised it. */
export const evaluateInstruction = (
  core: Core,
  instruction: Instruction,
  memory: LinearMemory = walkedMemory,
): Fault | undefined => {
  const { row, addressSize } = instruction;
  const repeated = row.repeat !== undefined && instruction.rep !== "none";
  if (!repeated) return evaluateOnce(core, instruction, memory);
  const { state } = core;
  const size = addressSize;
  const count = (): bigint => truncate(state.RCX, size);
  const page = (pointer: bigint): bigint => truncate(pointer, size) >> 12n;
  const source = page(state.RSI);
  const destination = page(state.RDI);
  const rip = state.RIP;
  // SDM Vol. 2, "REP": CMPS and SCAS that fault midway leave EFLAGS as before the instruction.
  const flags = state.RFLAGS;
  if (size === 32) {
    // A repeat with 32-bit addresses clears these upper halves before anything else, as Intel CPUs do.
    const { mnemonic } = row.semantics;
    state.RCX = count();
    if (mnemonic === "MOVS") state.RSI = truncate(state.RSI, size);
    if (mnemonic === "MOVS" || mnemonic === "STOS") state.RDI = truncate(state.RDI, size);
  }
  for (;;) {
    if (count() === 0n) break;
    state.RIP = rip;
    const fault = evaluateOnce(core, instruction, memory);
    if (fault) {
      if (row.repeat === "repz") state.RFLAGS = flags;
      return fault;
    }
    const left = count() - 1n;
    state.RCX =
      size === 64
        ? truncate(left, 64)
        : size === 32
          ? truncate(left, 32)
          : (state.RCX & ~0xffffn) | truncate(left, 16);
    if (row.repeat === "repz") {
      const zero = ((state.RFLAGS >> BigInt(flagBit.ZF)) & 1n) === 1n;
      if (zero !== (instruction.rep === "repz")) break;
    }
    if (page(state.RSI) !== source || page(state.RDI) !== destination) {
      if (count() === 0n) break;
      state.RIP = rip; // the step is over, the instruction is not
      if (row.repeat === "repz") state.RFLAGS = flags;
      return undefined;
    }
  }
  state.RIP = nextRip(rip, instruction);
  return undefined;
};

const nextRip = (rip: bigint, instruction: Instruction): bigint =>
  truncate(rip + BigInt(instruction.length), instruction.codeSize === 64 ? 64 : 32);

const evaluateOnce = (core: Core, instruction: Instruction, memory: LinearMemory): Fault | undefined => {
  const { state } = core;
  const { view } = state;
  const { row, operands, addressSize } = instruction;
  const user = cpl(state) === 3 ? Access.USER : 0;
  if (row.privileged && cpl(state) !== 0) return new Fault(Exception.GP, 0);
  const next = nextRip(state.RIP, instruction);
  const { effects, reads } = formEffects(instruction);

  const segmentOf = (source: SegmentSource): SegmentName =>
    typeof source === "number" ? (operands[source] as MemoryOperand).segment : source;
  const addressOf = (index: number): bigint =>
    effectiveAddress(core, operands[index] as MemoryOperand, addressSize, next);
  const operandValues = new Map<number, bigint>();
  const loads: bigint[] = [];

  const evaluate = evaluator({
    operand: (index, width) => {
      const operand = operands[index]!;
      if (operand.kind === "register") return readField(view, registerOffset(operand), width);
      if (operand.kind === "immediate") return operand.value;
      return operandValues.get(index)!;
    },
    address: addressOf,
    register: (name, width) => readField(view, offsetOf(name), width),
    flag: (name) => (state.RFLAGS >> BigInt(flagBit[name as FlagName])) & 1n,
    rflags: () => state.RFLAGS,
    nextRip: () => next,
    load: (index) => loads[index]!,
  });

  const linearOf = (segment: SegmentName, address: bigint, bytes: number, write: boolean): bigint | Fault =>
    linearAddress(core, segment, address, bytes, user | (write ? Access.WRITE : 0));
  const aligned = (index: number, linear: bigint): boolean =>
    !asksAlignment(row) || (operands[index] as MemoryOperand).width !== 128 || (linear & 15n) === 0n;

  for (const { index, width } of reads) {
    const operand = operands[index] as MemoryOperand;
    const bytes = width / 8;
    const write = row.operands[index]!.access === "rw";
    const linear = linearOf(operand.segment, addressOf(index), bytes, write);
    if (linear instanceof Fault) return linear;
    if (!aligned(index, linear)) return new Fault(Exception.GP, 0);
    if (write) {
      const fault = memory.probe(core, linear, bytes, user | Access.WRITE);
      if (fault) return fault;
    }
    const read = memory.read(core, linear, bytes, user);
    if (read instanceof Fault) return read;
    operandValues.set(index, read);
  }

  const stores: { linear: bigint; bytes: number; value: bigint }[] = [];
  const addStore = (
    segment: SegmentName,
    address: bigint,
    value: bigint,
    width: Width,
    index: number,
  ): Fault | undefined => {
    const bytes = width / 8;
    const linear = linearOf(segment, address, bytes, true);
    if (linear instanceof Fault) return linear;
    if (index >= 0 && !aligned(index, linear)) return new Fault(Exception.GP, 0);
    stores.push({ linear, bytes, value });
    return memory.probe(core, linear, bytes, user | Access.WRITE);
  };

  for (const effect of effects) {
    if (effect.kind === "load") {
      const bytes = effect.width / 8;
      const linear = linearOf(segmentOf(effect.segment), evaluate(effect.address), bytes, effect.forWrite);
      if (linear instanceof Fault) return linear;
      if (effect.forWrite) {
        const fault = memory.probe(core, linear, bytes, user | Access.WRITE);
        if (fault) return fault;
      }
      const read = memory.read(core, linear, bytes, user);
      if (read instanceof Fault) return read;
      loads[effect.index] = read;
    } else if (effect.kind === "fault" && evaluate(effect.when) === 1n) {
      if (effect.commit) writeField(view, offsetOf(effect.commit.name), 32, evaluate(effect.commit.value));
      return new Fault(effect.vector, effect.errorCode ? Number(evaluate(effect.errorCode)) : undefined);
    }
  }
  for (const effect of effects) {
    let fault: Fault | undefined;
    if (effect.kind === "store")
      fault = addStore(
        segmentOf(effect.segment),
        evaluate(effect.address),
        evaluate(effect.value),
        effect.value.width,
        -1,
      );
    else if (effect.kind === "writeOperand" && operands[effect.index]!.kind === "memory")
      fault = addStore(
        (operands[effect.index] as MemoryOperand).segment,
        addressOf(effect.index),
        evaluate(effect.value),
        effect.value.width,
        effect.index,
      );
    if (fault) return fault;
  }
  // Everything is computed from the state before; only then does it change.
  const commits: (() => void)[] = [];
  let target = next;
  for (const effect of effects) {
    switch (effect.kind) {
      case "writeOperand": {
        const operand = operands[effect.index]!;
        if (operand.kind !== "register") break;
        const value = evaluate(effect.value);
        const { width } = effect.value;
        commits.push(() => {
          if (operand.file === "general" && width === 32) state.setGeneral(operand.number, value);
          else writeField(view, registerOffset(operand), width, value);
          if (operand.file === "mmx") view.setUint16(registerOffset(operand) + 8, 0xffff, true);
        });
        break;
      }
      case "writeRegister": {
        const value = evaluate(effect.value);
        const { width } = effect.value;
        const field = layout.get(effect.name)!;
        const general = (generalRegisters as readonly string[]).includes(effect.name);
        const whole =
          field.type === "u32" ? 32 : (general || field.type === "u64") && width === 32 ? 64 : width;
        commits.push(() => writeField(view, field.offset, whole, value));
        break;
      }
      case "flags": {
        if (effect.when && evaluate(effect.when) === 0n) break;
        for (const [name, value] of Object.entries(effect.flags)) {
          const bit = BigInt(flagBit[name as FlagName]);
          const flag = evaluate(value);
          commits.push(() => {
            state.RFLAGS = (state.RFLAGS & ~(1n << bit)) | (flag << bit);
          });
        }
        break;
      }
      case "jump":
        if (!effect.when || evaluate(effect.when) === 1n) target = evaluate(effect.target);
        break;
      case "interruptShadow":
        if (evaluate(effect.when) === 1n)
          commits.push(() => {
            state.interruptibility |= 1;
          });
        break;
    }
  }
  for (const { linear, bytes, value } of stores) {
    const fault = memory.write(core, linear, value, bytes, user | Access.WRITE);
    if (fault) return fault;
  }
  if (entersMMX(row)) enterMmx(core);
  for (const commit of commits) commit();
  state.RIP = target;
  return undefined;
};

const visitEffect = (effect: Effect, visit: (value: Value | undefined) => void): void => {
  switch (effect.kind) {
    case "load":
      visit(effect.address);
      break;
    case "store":
      visit(effect.address);
      visit(effect.value);
      break;
    case "fault":
      visit(effect.when);
      visit(effect.errorCode);
      visit(effect.commit?.value);
      break;
    case "writeOperand":
    case "writeRegister":
      visit(effect.value);
      break;
    case "flags":
      for (const value of Object.values(effect.flags)) visit(value);
      visit(effect.when);
      break;
    case "jump":
      visit(effect.target);
      visit(effect.when);
      break;
    case "interruptShadow":
    case "attention":
      visit(effect.when);
      break;
  }
};

/** SDM Vol. 1, "Effect of MMX Instructions on x87 State": TOP becomes 0, every tag valid. */
const enterMmx = ({ state }: Core): void => {
  state.FSW &= ~FSW.TOP;
  state.FTW = 0;
};
