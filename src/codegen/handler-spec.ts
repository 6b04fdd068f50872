import type { Effect, SegmentName } from "../ir/effects.ts";
import type { Form } from "../ir/frame.ts";
import type { Value } from "../ir/value.ts";
import type { Row } from "../isa/row.ts";
import type { LazyFlags } from "./flags.ts";

/** How accesses through one segment are addressed in the mode of the code: base 0, add the base, or ask segmentation. */
export type SegmentPlan = "zero" | "base" | "checked";
export type SegmentPlans = Readonly<Record<SegmentName, SegmentPlan>>;

/** Where an instruction's memory operand gets its address from. */
export type AddressShape = "base" | "full" | "wide";

/** What selects a handler: everything about an instruction that its record does not carry. */
export interface HandlerSpec {
  readonly row: Row;
  readonly form: Form;
  /** What the instruction does in that form. */
  readonly effects: readonly Effect[];
  /** Shape of the encoded memory operand's address, if any. */
  readonly shape: AddressShape;
  /** Plan of the segment of each memory operand, by operand index. */
  readonly operandSegments: readonly (SegmentPlan | undefined)[];
  readonly plans: SegmentPlans;
  /** A relative jump whose target is in the same page goes from record to record; others are looked up. */
  readonly near: boolean;
  readonly repeat: "none" | "repz" | "repnz";
  /** The instruction after it, which reads the flags that this one sets: one handler carries out both. */
  readonly fused: HandlerSpec | undefined;
  /** The immediate fills the record's last eight bytes. */
  readonly wideImmediate: boolean;
}

/** Function indices in the module that handlers call. */
export interface Imports {
  readonly handlerType: number;
  /** (access) -> memory offset or 0: translate slowAddress; 0 when the handler must return. */ readonly miss: number;
  /** (segment | access << 8) -> 1, or 0 to return: slowAddress becomes linear. */ readonly checked: number;
  /** () -> (): carry out the stores that went to the bounce buffer. */ readonly flush: number;
  /** () -> (): make RFLAGS hold the status flags. */ readonly settle: number;
  /** (node) -> (): TypeScript computes a node from the vector scratch. */ readonly foreign: number;
  readonly mulHighUnsigned: number;
  /** (rip, budget): continue at an offset in CS, of 64-bit code or of other code. */ readonly dispatch64: number;
  readonly dispatch32: number;
  /** (record, budget): jump within the page. */ readonly jumpNear: number;
  /** (linear address, access) -> memory offset or 0: the same as `miss`. */ readonly missAt: number;
  /** (stash, stash, stash, settle function or -1): pending flags go to memory. */ readonly spillFlags: number;
  /** Ways out of a region; the last four parameters are the pending flags, as of `spillFlags`. (record, budget): return. */ readonly leaveRegion: number;
  /** (record, budget): go on with that record. */ readonly resumeRecord: number;
  /** (record, budget): take its jump within the page. */ readonly regionToNear: number;
  /** (rip, budget): go on at an offset in CS. */ readonly regionDispatch64: number;
  readonly regionDispatch32: number;
  /** (rip, budget): return, the budget is used up. */ readonly regionBudget: number;
  /** (record, budget, flags, vector, error code): return with an exception. */ readonly regionRaise: number;
  /** (record) -> its handler: after a store by the slow path, which is carried out. */ readonly storedSlowly: number;
  /** (slot): TypeScript looks up the pages of the region that has that slot. */ readonly lookUpPages: number;
  /** Type of (record) -> 0, or 1 when the region must return: an instruction of a region carried out by a function of its own. */ readonly outOfLineType: number;
}

/** What handler emission asks of the module it is emitted for. */
export interface HandlerContext {
  readonly imports: Imports;
  /** Table index of the function that settles these flags. */
  settleFunction(flags: LazyFlags): number;
  /** Table index of the function that carries out one instruction at a record, on the state in memory. */
  outOfLine(spec: HandlerSpec): number;
  /** Number under which TypeScript finds a node that Wasm has no instruction for. */
  foreignNode(value: Value): number;
}

/** Bits of the access word of a memory access, above its size in bytes. */
export const AccessWord = { size: 0xff, write: 0x100, stack: 0x200, /** A write whose old value is read, too. */ modify: 0x400 } as const;

export const accessWord = (bytes: number, write: boolean, stack: boolean, modify = false): number =>
  bytes | (write ? AccessWord.write : 0) | (stack ? AccessWord.stack : 0) | (modify ? AccessWord.modify : 0);
