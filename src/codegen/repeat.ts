import { flagBit } from "../arch/flags.ts";
import type { Width } from "../ir/value.ts";
import { offsetOf } from "../state/layout.ts";
import { i32, i64 } from "../wasm/code.ts";
import { budget, type HandlerFrame, ip } from "./handler-frame.ts";
import type { MemoryAccess } from "./memory-access.ts";
import { tlbEntries, tlbEntry, tlbEntryShift, tlbOffset } from "./memory-map.ts";
import { ExitKind, record, recordBytes } from "./record.ts";
import { loadAddress, loadWidth, storeWidth } from "./widths.ts";

const offset = {
  RCX: offsetOf("RCX"),
  RFLAGS: offsetOf("RFLAGS"),
  RSI: offsetOf("RSI"),
  RDI: offsetOf("RDI"),
  RIP: offsetOf("RIP"),
  exitKind: offsetOf("exitKind"),
  tlbKey: offsetOf("tlbKey"),
  RAX: offsetOf("RAX"),
};

/** Emits the loop of a string instruction with a REP prefix. */
export class RepeatEmitter {
  readonly #frame: HandlerFrame;
  readonly #memory: MemoryAccess;
  /** Emits one execution of the instruction. */
  readonly #once: () => void;

  constructor(frame: HandlerFrame, memory: MemoryAccess, once: () => void) {
    this.#frame = frame;
    this.#memory = memory;
    this.#once = once;
  }

  /**
   * One REP step: elements until the count is used up, a pointer enters another page, or (CMPS, SCAS) ZF ends it. The
   * step counts as one instruction; an unfinished REP goes on with the same record. `evaluator.ts` follows the same rule.
   */
  emit(): void {
    const frame = this.#frame;
    const memory = this.#memory;
    const { code } = frame;
    const size = frame.spec.form.addressSize;
    const counter = (): void => {
      code.i32(0);
      loadAddress(code, size, offset.RCX);
    };
    if (frame.spec.row.repeat === "repz") {
      // SDM Vol. 2, "REP": CMPS and SCAS that fault midway leave EFLAGS as before the instruction.
      frame.savedFlags = code.local(i32);
      code.call(frame.context.imports.settle).i32(0).memory("i32.load", offset.RFLAGS).set(frame.savedFlags);
    }
    const sourcePage = code.local(i64);
    const destinationPage = code.local(i64);
    if (size === 32)
      for (const register of this.#stringRegisters()) {
        code.i32(0).i32(0);
        loadAddress(code, size, register);
        code.memory("i64.store", register);
      }
    const page = (register: number): void => {
      code.i32(0);
      loadAddress(code, size, register);
      code.i64(12n).op("i64.shr_u");
    };
    page(offset.RSI);
    code.set(sourcePage);
    page(offset.RDI);
    code.set(destinationPage);
    code.block();
    counter();
    code.op("i64.eqz").brIf(0);
    const unlessSamePages = (label: number): void => {
      page(offset.RSI);
      code.get(sourcePage).op("i64.ne").brIf(label);
      page(offset.RDI);
      code.get(destinationPage).op("i64.ne").brIf(label);
    };
    // All at once is tried again when the first element has brought its pages into the TLB.
    const bulk = this.#hasBulk();
    const tried = code.local(i32);
    const done = bulk ? 3 : 2;
    if (bulk) {
      code.i32(0).set(tried).loop();
      this.#emitBulk();
    }
    code.block();
    unlessSamePages(0);
    code.loop();
    counter();
    code.op("i64.eqz").brIf(done);
    memory.sharedSlow = code.local(i32);
    code.i32(0).set(memory.sharedSlow);
    this.#once();
    // rCX - 1; a 32-bit count clears the upper half
    code.i32(0);
    counter();
    code.i64(1n).op("i64.sub");
    if (size === 64) code.memory("i64.store", offset.RCX);
    else if (size === 32) code.i64(0xffff_ffffn).op("i64.and").memory("i64.store", offset.RCX);
    else code.memory("i64.store16", offset.RCX);
    if (frame.spec.row.repeat === "repz") {
      code.call(frame.context.imports.settle);
      code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.ZF).op("i32.and");
      if (frame.spec.repeat === "repz") code.op("i32.eqz");
      code.brIf(done);
    }
    unlessSamePages(1);
    if (bulk) code.get(tried).op("i32.eqz").if().i32(1).set(tried).br(3).end();
    code.br(0).end().end();
    if (bulk) code.end();
    // The step is over; go on with the same record unless the count is used up.
    counter();
    code.op("i64.eqz").brIf(0);
    frame.restoreFlags();
    frame.spend();
    code.get(budget).i32(0).op("i32.le_s").if();
    code.i32(0);
    frame.ripOf(record.offset);
    code.memory("i64.store", offset.RIP);
    code.i32(0).i32(ExitKind.repeat).memory("i32.store", offset.exitKind);
    frame.leave();
    code.end();
    code.get(ip).get(budget).get(ip).memory("i32.load", record.handler + frame.at).returnCallIndirect(frame.context.imports.handlerType);
    code.end();
    frame.tailCall(recordBytes);
  }

  /** The registers whose upper halves a repeat with 32-bit addresses clears before anything else: as Intel CPUs do. */
  #stringRegisters(): number[] {
    const { mnemonic } = this.#frame.spec.row.semantics;
    if (mnemonic === "MOVS") return [offset.RCX, offset.RSI, offset.RDI];
    return mnemonic === "STOS" ? [offset.RCX, offset.RDI] : [offset.RCX];
  }

  /** Can all elements of a page be carried out at once? MOVS and STOS through segments that need no check. */
  #hasBulk(): boolean {
    const { row, form, operandSegments } = this.#frame.spec;
    const { mnemonic } = row.semantics;
    if ((mnemonic !== "MOVS" && mnemonic !== "STOS") || form.addressSize === 16) return false;
    return !operandSegments.includes("checked");
  }

  /** Forwards, all elements up to a page's end at once, where both pages are in the TLB. */
  #emitBulk(): void {
    const { semantics } = this.#frame.spec.row;
    const moves = semantics.mnemonic === "MOVS";
    const size = this.#frame.spec.form.addressSize;
    const { code } = this.#frame;
    const bytes = this.#frame.spec.form.operands[0]!.width / 8;
    const index = { destination: this.#frame.spec.row.operands.findIndex(({ addressing }) => addressing === "Y"), source: this.#frame.spec.row.operands.findIndex(({ addressing }) => addressing === "X") };
    const count = code.local(i32);
    const room = (linear: number): void => {
      // elements that fit wholly between the address and its page's end
      code.i32(4096).get(linear).op("i32.wrap_i64").i32(4095).op("i32.and").op("i32.sub").i32(Math.log2(bytes)).op("i32.shr_u");
    };
    const lookUp = (linear: number, write: boolean, into: number): void => {
      const key = code.local(i64);
      code.get(linear).i32(0).memory("i64.load", offset.tlbKey).tee(key).op("i64.xor");
      code.op("i32.wrap_i64").i32(12 - tlbEntryShift).op("i32.shr_u").i32((tlbEntries - 1) << tlbEntryShift).op("i32.and").tee(into);
      code.memory("i64.load", tlbOffset + (write ? tlbEntry.writeTag : tlbEntry.readTag));
      code.get(linear).i64(-4096n).op("i64.and").get(key).op("i64.xor").op("i64.ne").brIf(0);
      code.get(linear).op("i32.wrap_i64").get(into).memory("i32.load", tlbOffset + tlbEntry.addend).op("i32.add").set(into);
    };
    const least = (): void => {
      // count = min(count, top of stack)
      const other = code.local(i32);
      code.tee(other).get(count).get(other).get(count).op("i32.lt_u").op("select").set(count);
    };
    code.block();
    code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.DF).op("i32.and").brIf(0);
    const destination = this.#memory.operandLinear(index.destination, bytes, true);
    const to = code.local(i32);
    const from = code.local(i32);
    lookUp(destination, true, to);
    room(destination);
    code.set(count);
    if (moves) {
      const source = this.#memory.operandLinear(index.source, bytes, false);
      lookUp(source, false, from);
      room(source);
      least();
    }
    code.i32(0);
    loadAddress(code, size, offset.RCX);
    const wide = code.local(i64);
    code.tee(wide).op("i32.wrap_i64").i32(-1).get(wide).i64(0x7fff_ffffn).op("i64.lt_u").op("select");
    least();
    code.get(count).op("i32.eqz").brIf(0);
    const length = code.local(i32);
    code.get(count).i32(Math.log2(bytes)).op("i32.shl").set(length);
    if (moves) {
      // A destination that begins inside the source repeats it: only element by element is right.
      code.get(to).get(from).op("i32.sub").get(length).op("i32.lt_u").brIf(0);
      code.get(to).get(from).get(length).memoryCopy();
    } else if (bytes === 1) code.get(to).i32(0).memory("i32.load8_u", offset.RAX).get(length).memoryFill();
    else {
      const end = code.local(i32);
      code.get(to).get(length).op("i32.add").set(end);
      code.loop().get(to);
      code.i32(0);
      loadWidth(code, (bytes * 8) as Width, offset.RAX);
      storeWidth(code, (bytes * 8) as Width, 0, false);
      code.get(to).i32(bytes).op("i32.add").tee(to).get(end).op("i32.ne").brIf(0).end();
    }
    for (const register of moves ? [offset.RSI, offset.RDI] : [offset.RDI]) this.#advance(register, length, "i64.add");
    this.#advance(offset.RCX, count, "i64.sub");
    code.end();
  }

  /** register op= local, at the address size. */
  #advance(register: number, local: number, op: "i64.add" | "i64.sub"): void {
    const { code } = this.#frame;
    code.i32(0).i32(0);
    loadAddress(code, this.#frame.spec.form.addressSize, register);
    code.get(local).op("i64.extend_i32_u").op(op);
    if (this.#frame.spec.form.addressSize === 32) code.i64(0xffff_ffffn).op("i64.and");
    code.memory("i64.store", register);
  }
}
