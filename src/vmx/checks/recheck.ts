import { type VmcsFieldName, vmcsField, vmcsFields } from "../../arch/vmcs-fields.ts";
import { controlMask, vmxControl } from "../../arch/vmx-controls.ts";
import { type EntryFacts, Touched } from "../entry-facts.ts";
import type { Check } from "./check.ts";
import { type CheckFailure, checkGroups } from "./index.ts";

/**
 * The checks of VM entry, made again only where something has changed since they all held: on a processor that enters the
 * same VMCS again and again, a handful of rows.
 *
 * What a VM exit saves needs no look: it is state that the processor was in, under the controls of that VM entry. Only
 * non-register state (blocking, activity, pending debug exceptions) is looked at again where it is not 0. A VMWRITE of the
 * value that a field has changes nothing.
 */

interface Row extends CheckFailure {
  readonly holds: Check["holds"];
}
const rows: readonly Row[] = checkGroups.flatMap((group) =>
  group.checks.map((check) => ({ check, group, holds: check.holds })),
);

/** A row that consults single controls of a word is looked up by those; only the others read the whole word. */
const readsWhole = (check: Check, name: VmcsFieldName): boolean =>
  !check.consults.some((key) => vmxControl(key).field === name);

const everyBit = 0xffff_ffff | 0;

/** A row that depends on a field: on these bits of its low half, and on the high half if `high`. */
interface Dependent {
  readonly row: number;
  readonly low: number;
  readonly high: boolean;
}

/** By ordinal: the rows that read the field, and those that consult controls in it. */
const dependents: readonly (readonly Dependent[])[] = vmcsFields.map(({ name }) =>
  rows.flatMap(({ check }, row): Dependent[] => {
    if (check.reads.includes(name) && readsWhole(check, name)) {
      const bits = check.bits?.[name];
      return [{ row, low: bits ?? everyBit, high: bits === undefined }];
    }
    const low = check.consults
      .map(vmxControl)
      .reduce((bits, { field, bit }) => (field === name ? bits | (1 << bit) : bits), 0);
    return low === 0 ? [] : [{ row, low, high: false }];
  }),
);

const processorBased = vmcsField("control.processorBased").ordinal;
const secondary = vmcsField("control.secondaryProcessorBased").ordinal;
const activateSecondary = controlMask("activateSecondaryControls");

const nonRegister = (
  ["guest.interruptibility", "guest.activity", "guest.pendingDebugExceptions"] as const
).map((name) => vmcsField(name).ordinal);

export class EntryChecks {
  readonly facts: EntryFacts;
  /** Whether all checks held when they were last made, of the VMCS that is current. */
  #known = false;
  /** Bits of fields that have changed since, by ordinal, and which fields those are. */
  readonly #low = new Int32Array(vmcsFields.length);
  readonly #high = new Int32Array(vmcsFields.length);
  readonly #changed = new Uint16Array(vmcsFields.length);
  #changes = 0;
  #wasIa32e = false;
  /** Rows that looked at memory: it may change at any time. */
  readonly #ofMemory: number[] = [];
  readonly #isOfMemory = new Uint8Array(rows.length);
  /** Number of the pass that evaluated a row last. */
  readonly #evaluated = new Uint32Array(rows.length);
  #pass = 0;

  /** The VMCS of which everything was known when another became current: its region, its fields then, what had changed. */
  #leftRegion = -1;
  readonly #leftFields = new Uint32Array(2 * vmcsFields.length);
  readonly #leftLow = new Int32Array(vmcsFields.length);
  readonly #leftHigh = new Int32Array(vmcsFields.length);
  readonly #leftChanged = new Uint16Array(vmcsFields.length);
  #leftChanges = 0;

  constructor(facts: EntryFacts) {
    this.facts = facts;
  }

  /** The VMCS in a region will no longer be current: what is known of it is kept, until the next one of which something is. */
  leave(region: number): void {
    if (!this.#known) {
      if (region === this.#leftRegion) this.#leftRegion = -1;
      return;
    }
    this.#leftRegion = region;
    const { facts } = this;
    for (let ordinal = 0; ordinal < vmcsFields.length; ordinal++) {
      this.#leftFields[2 * ordinal] = facts.low(ordinal);
      this.#leftFields[2 * ordinal + 1] = facts.high(ordinal);
    }
    this.#leftLow.set(this.#low);
    this.#leftHigh.set(this.#high);
    this.#leftChanged.set(this.#changed);
    this.#leftChanges = this.#changes;
  }

  /** The VMCS in a region is current. If it is the one that was left, and its fields are as they were, as much is known as then. */
  arrive(region: number): void {
    this.#known = false;
    if (region !== this.#leftRegion) return;
    const { facts } = this;
    for (let ordinal = 0; ordinal < vmcsFields.length; ordinal++)
      if (
        this.#leftFields[2 * ordinal] !== facts.low(ordinal) ||
        this.#leftFields[2 * ordinal + 1] !== facts.high(ordinal)
      )
        return;
    this.#low.set(this.#leftLow);
    this.#high.set(this.#leftHigh);
    this.#changed.set(this.#leftChanged);
    this.#changes = this.#leftChanges;
    this.#known = true;
  }

  /** Nothing is known: another VMCS is current, or memory may have changed behind it. */
  forget(): void {
    this.#known = false;
  }

  /** The region has not been stored to since all checks held but by VMWRITE and VM exits. */
  get known(): boolean {
    return this.#known;
  }

  /** IA32_EFER.LMA at the last VM entry. */
  get wasIa32e(): boolean {
    return this.#wasIa32e;
  }

  /** At a VM exit from a VMCS that somebody has stored to meanwhile: do the checks of controls and host state still hold? */
  hostHolds(): boolean {
    for (const { holds, group } of rows)
      if (group.otherwise.kind === "VMfailValid" && !holds(this.facts)) return false;
    return true;
  }

  /** VMWRITE of a field of the current VMCS: bits that it changes, of the low and the high 32. */
  noteWrite(ordinal: number, low: number, high: number): void {
    if (low === 0 && high === 0) return;
    if (this.#low[ordinal] === 0 && this.#high[ordinal] === 0) this.#changed[this.#changes++] = ordinal;
    // Not exclusive: a VM exit may have written in between, so that a bit that changes twice is not what it was.
    this.#low[ordinal]! |= low;
    this.#high[ordinal]! |= high;
  }

  /** Ordinals of the fields written with another value since all checks held. */
  get changedFields(): readonly number[] {
    return [...this.#changed.subarray(0, this.#changes)];
  }

  /** The first check that does not hold; undefined: VM entry goes on, and all of them hold. */
  refusal(): CheckFailure | undefined {
    const isIa32e = this.facts.cpu.inIa32eMode() === true;
    const first = this.#known && isIa32e === this.#wasIa32e ? this.#again() : this.#all();
    this.#known = first === rows.length;
    this.#wasIa32e = isIa32e;
    return rows[first];
  }

  /** Number of the first row that does not hold, of all; the number of rows if there is none. */
  #all(): number {
    for (const row of this.#ofMemory) this.#isOfMemory[row] = 0;
    this.#ofMemory.length = 0;
    for (; this.#changes > 0; this.#changes--) this.#forgetChange(this.#changed[this.#changes - 1]!);
    for (let row = 0; row < rows.length; row++) if (!this.#holds(row)) return row;
    return rows.length;
  }

  #forgetChange(ordinal: number): void {
    this.#low[ordinal] = 0;
    this.#high[ordinal] = 0;
  }

  /** The same, of the rows that something has changed for. */
  #again(): number {
    this.#pass++;
    const { facts } = this;
    let first = rows.length;
    for (let n = 0; n < 3; n++) {
      const ordinal = nonRegister[n]!;
      const low = facts.low(ordinal);
      if (low !== 0) this.noteWrite(ordinal, low, 0);
    }
    for (let n = 0; n < this.#changes; n++) {
      const ordinal = this.#changed[n]!;
      const low = this.#low[ordinal]!;
      first = this.#evaluate(ordinal, low, this.#high[ordinal]!, first);
      // With their activation every secondary control may have changed in effect.
      if (ordinal === processorBased && low & activateSecondary)
        first = this.#evaluate(secondary, everyBit, 0, first);
      this.#forgetChange(ordinal);
    }
    this.#changes = 0;
    for (let n = this.#ofMemory.length - 1; n >= 0; n--) first = this.#evaluateRow(this.#ofMemory[n]!, first);
    return first;
  }

  #evaluate(ordinal: number, low: number, high: number, first: number): number {
    const list = dependents[ordinal]!;
    let best = first;
    for (let n = 0; n < list.length; n++) {
      const dependent = list[n]!;
      if ((dependent.low & low) !== 0 || (dependent.high && high !== 0))
        best = this.#evaluateRow(dependent.row, best);
    }
    return best;
  }

  #evaluateRow(row: number, first: number): number {
    if (this.#evaluated[row] === this.#pass) return first;
    this.#evaluated[row] = this.#pass;
    return !this.#holds(row) && row < first ? row : first;
  }

  #holds(row: number): boolean {
    const { facts } = this;
    facts.touched = 0;
    const holds = rows[row]!.holds(facts);
    if ((facts.touched & Touched.memory) !== 0 && this.#isOfMemory[row] === 0) {
      this.#isOfMemory[row] = 1;
      this.#ofMemory.push(row);
    }
    return holds;
  }
}
