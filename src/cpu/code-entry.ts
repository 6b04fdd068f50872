import { fixedHandlers } from "../codegen/interpreter-module.ts";
import { record } from "../codegen/record.ts";
import { offsetOf } from "../state/layout.ts";
import type { CodeMode } from "./code-mode.ts";
import { type Core, Fault } from "./core.ts";
import { breakpointOnPage, breakpointsEnabled } from "./debug-registers.ts";
import type { ExecutionEngine } from "./execution-engine.ts";
import { cpl, isCanonicalHigh } from "./mode.ts";
import { Access, walk } from "./page-walk.ts";

const ripOffset = offsetOf("RIP");
const ripBaseOffset = offsetOf("ripBase");
const codeBaseOffset = offsetOf("codeBase");
const jumpKeyOffset = offsetOf("jumpKey");
const csLimitOffset = offsetOf("CS.limit");

/** Between RIP and records: where translated code is entered for the code at CS:RIP, and RIP where it was left. */
export class CodeEntry {
  readonly #core: Core;
  readonly #engine: ExecutionEngine;
  /** Of the code at CS:RIP. */
  mode!: CodeMode;
  /** Is the page that `#pageOfCode` found last global? */
  #globalCode = false;

  constructor(core: Core, engine: ExecutionEngine) {
    this.#core = core;
    this.#engine = engine;
  }

  /** The debug registers when translations of their pages were dropped last. */
  readonly #breakpoints = new BigUint64Array(5);

  /**
   * Breakpoints are watched by pages: those with one on execution are never entered, those with one on data are in no TLB entry. To be
   * called after whatever may have changed the debug registers.
   */
  noteBreakpoints(): void {
    const { state } = this.#engine;
    const known = this.#breakpoints;
    if (!breakpointsEnabled(state) && known[4] === 0n) return;
    const { DR0, DR1, DR2, DR3, DR7 } = state;
    const enabled = breakpointsEnabled(state) ? DR7 : 0n;
    const now = [DR0, DR1, DR2, DR3, enabled];
    if (now.every((value, n) => value === known[n])) return;
    known.set(now);
    if (enabled !== 0n)
      for (const address of [DR0, DR1, DR2, DR3]) this.#engine.tlb.invalidate({ kind: "page", address }, 0);
  }

  /** Is there a breakpoint on execution on the page of CS:RIP? */
  isBreakpointPage(): boolean {
    const { state } = this.#engine;
    const { view } = state;
    const ripLow = view.getUint32(ripOffset, true);
    return this.mode.codeSize === 64
      ? breakpointOnPage(state, ripLow, view.getUint32(ripOffset + 4, true), true)
      : breakpointOnPage(state, (ripLow + view.getUint32(codeBaseOffset, true)) >>> 0, 0, true);
  }

  /** RIP of a record, from the page it belongs to. */
  setRip(at: number): void {
    const { view } = this.#engine.state;
    this.setRipTo(view.getUint16(at + record.offset, true));
  }

  setRipTo(pageOffset: number): void {
    const { view } = this.#engine.state;
    const sum = view.getUint32(ripBaseOffset, true) + pageOffset;
    view.setUint32(ripOffset, sum >>> 0, true);
    const carry = sum > 0xffff_ffff ? 1 : 0;
    view.setUint32(
      ripOffset + 4,
      this.mode.codeSize === 64 ? (view.getUint32(ripBaseOffset + 4, true) + carry) >>> 0 : 0,
      true,
    );
  }

  /** A jump within its page meets code not decoded yet: decode it, and connect the two. */
  resolve(at: number): void {
    const engine = this.#engine;
    this.setRipTo(engine.state.view.getInt32(at + record.immediate, true));
    if (engine.cache.full) return;
    const target = this.lookUp();
    if (target !== 0) engine.cache.link(at, target);
  }

  /** The record of the code at CS:RIP, with ripBase set for it; 0 where only a single step can tell. */
  lookUp(): number {
    const engine = this.#engine;
    const { state } = engine;
    const { view } = state;
    const mode = this.mode;
    const ripLow = view.getUint32(ripOffset, true);
    const ripHigh = view.getUint32(ripOffset + 4, true);
    let low = ripLow;
    let high = ripHigh;
    if (mode.codeSize !== 64) {
      low = (ripLow + view.getUint32(codeBaseOffset, true)) >>> 0;
      high = 0;
    }
    const offset = low & 0xfff;
    const jumpKey = view.getUint32(jumpKeyOffset, true);
    let found = engine.tlb.findJump(low, high, jumpKey);
    if (found === 0 || view.getUint32(found + record.handler, true) === fixedHandlers.stale) {
      // Beyond the limit nothing is fetched, so no page walk sets accessed flags.
      if (mode.codeSize !== 64 && ripLow > view.getUint32(csLimitOffset, true)) return 0;
      const page = this.#pageOfCode(low, high, jumpKey);
      if (page < 0) return 0;
      found = engine.cache.find(page, offset, ripLow, view.getUint32(csLimitOffset, true), mode);
      if (mode.flatCode) engine.tlb.enterJump(low, high, jumpKey, found, page, this.#globalCode);
    }
    this.setRipBase(ripLow, ripHigh, offset);
    return found;
  }

  setRipBase(ripLow: number, ripHigh: number, offset: number): void {
    const { view } = this.#engine.state;
    const low = ripLow - offset;
    view.setUint32(ripBaseOffset, low >>> 0, true);
    view.setUint32(ripBaseOffset + 4, low < 0 ? ripHigh - 1 : ripHigh, true);
  }

  /** The page of code that was translated last: linear, under which key, and its memory offset. */
  #pageLow = -1;
  #pageHigh = 0;
  #pageKey = 0;
  #pageOffset = -1;

  /** Translations have been invalidated. */
  forgetPage(): void {
    this.#pageLow = -1;
  }

  /** Memory offset of the code page at a linear address; -1 where fetching it faults or it is not in memory. */
  #pageOfCode(low: number, high: number, jumpKey: number): number {
    // Keys are those of an address space, a mode and a privilege level, and none is used twice.
    if (low >>> 12 === this.#pageLow && high === this.#pageHigh && jumpKey === this.#pageKey)
      return this.#pageOffset;
    const found = this.#translateCode(low, high);
    this.#pageLow = found < 0 ? -1 : low >>> 12;
    this.#pageHigh = high;
    this.#pageKey = jumpKey;
    this.#pageOffset = found;
    return found;
  }

  #translateCode(low: number, high: number): number {
    const { state } = this.#core;
    if (this.mode.codeSize === 64 && !isCanonicalHigh(high, this.#core.model.linearAddressBits)) return -1;
    const translation = walk(this.#core, high, low, Access.FETCH | (cpl(state) === 3 ? Access.USER : 0));
    if (translation instanceof Fault || translation.apicAccess) return -1;
    this.#globalCode = translation.global;
    return this.#engine.guest.offsetOf(translation.frame);
  }
}
