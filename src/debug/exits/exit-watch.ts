import { ExitReason, exitReasonName } from "../../arch/vm-exit-reasons.ts";
import type { Core } from "../../cpu/core.ts";
import type { Observer } from "../../cpu/execution-engine.ts";
import { codeSize } from "../../cpu/mode.ts";
import type { VmExit } from "../../cpu/vmx-socket.ts";
import { fieldOffset } from "../../vmx/vmcs.ts";
import { VmxProcessor } from "../../vmx/vmx-processor.ts";
import { type DecodedInterruption, decodeInterruption } from "./decode-interruption.ts";
import { type DecodedQualification, decodeQualification } from "./decode-qualification.ts";

/** A VM exit as a log tells it. Addresses and words are hexadecimal text, absent things are left out. */
export interface ExitRecord {
  /** From 1, in the order in which they happened. */
  readonly n: number;
  /** Logical processor. */
  readonly cpu: number;
  /** Instructions that this processor had retired. */
  readonly instruction: number;
  /** The same at the VM entry before; absent when it was not seen. */
  readonly entryInstruction?: number;
  /** Basic exit reason and its name: 30, "IO_INSTRUCTION". */
  readonly reason: number;
  readonly name: string;
  readonly qualification: string;
  readonly decoded?: DecodedQualification;
  readonly rip: string;
  /** CS.base + RIP, as the guest's mode has it. */
  readonly linearRip: string;
  readonly cs: { readonly selector: string; readonly base: string };
  readonly guestPhysicalAddress?: string;
  readonly guestLinearAddress?: string;
  readonly instructionLength?: number;
  readonly instructionInformation?: string;
  readonly interruption?: DecodedInterruption;
  /** The event that was being delivered. */
  readonly idtVectoring?: DecodedInterruption;
}

/** VM exits of one reason. */
export interface ExitSummary {
  readonly reason: number;
  readonly name: string;
  readonly count: number;
  /** Of all exits, 0 to 1. */
  readonly share: number;
  /** Instructions in VMX root operation from the exit to the next VM entry of the same VMCS, VMLAUNCH or VMRESUME included; undefined: none followed. */
  readonly meanHandlerInstructions: number | undefined;
  readonly longestHandlerInstructions: number | undefined;
}

const offsets = {
  idtVectoring: fieldOffset("exit.idtVectoringInformation"),
  idtVectoringErrorCode: fieldOffset("exit.idtVectoringErrorCode"),
} as const;

/** VMCSs whose last exit is remembered; more than any machine uses. */
const LARGEST_PENDING = 4096;
const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
/** A 64-bit counter or address as a number; counters stay below 2^53. */
const numberOf = (state: Core["state"], field: "retired" | "vmx.currentVmcs"): number =>
  state.high32(field) * 0x1_0000_0000 + state.low32(field);

interface Tally {
  count: number;
  answered: number;
  instructions: number;
  longest: number;
}

/** Watches VM exits: counts them by reason, times their handlers, and tells a listener of each. */
export class ExitWatch implements Required<Pick<Observer, "vmExit" | "vmEntry">> {
  /** Told of each exit. */
  listener: ((exit: ExitRecord) => void) | undefined;
  readonly #tallies = new Map<number, Tally>();
  /** By current-VMCS pointer: the exit that is being handled. */
  readonly #pending = new Map<
    number,
    { readonly cpu: number; readonly reason: number; readonly instruction: number }
  >();
  /** By processor: where its guest was entered. */
  readonly #entered: (number | undefined)[] = [];
  #count = 0;

  vmExit(exit: VmExit, processor: Core): void {
    const { state, index } = processor;
    const instruction = numberOf(state, "retired");
    this.#count++;
    let tally = this.#tallies.get(exit.reason);
    if (tally === undefined) {
      tally = { count: 0, answered: 0, instructions: 0, longest: 0 };
      this.#tallies.set(exit.reason, tally);
    }
    tally.count++;
    if (this.#pending.size >= LARGEST_PENDING) this.#pending.clear();
    this.#pending.set(numberOf(state, "vmx.currentVmcs"), { cpu: index, reason: exit.reason, instruction });
    const { listener } = this;
    if (listener) listener(this.#record(exit, processor, instruction));
    this.#entered[index] = undefined;
  }

  vmEntry({ state, index }: Core): void {
    const instruction = numberOf(state, "retired");
    this.#entered[index] = instruction;
    const vmcs = numberOf(state, "vmx.currentVmcs");
    const pending = this.#pending.get(vmcs);
    if (pending === undefined) return;
    this.#pending.delete(vmcs);
    // Each processor counts for itself: a guest that moved has no count.
    if (pending.cpu !== index) return;
    const tally = this.#tallies.get(pending.reason)!;
    // VMLAUNCH or VMRESUME, too.
    const instructions = instruction + 1 - pending.instruction;
    tally.answered++;
    tally.instructions += instructions;
    tally.longest = Math.max(tally.longest, instructions);
  }

  /** The processors count from 0 again; `isBoot`: so does this. */
  begin(isBoot: boolean): void {
    this.#pending.clear();
    this.#entered.length = 0;
    if (!isBoot) return;
    this.#tallies.clear();
    this.#count = 0;
  }

  /** VM exits so far. */
  get count(): number {
    return this.#count;
  }

  /** By reason, the most frequent first. */
  summary(): ExitSummary[] {
    return [...this.#tallies]
      .map(([reason, { count, answered, instructions, longest }]) => ({
        reason,
        name: exitReasonName(reason),
        count,
        share: count / this.#count,
        meanHandlerInstructions: answered === 0 ? undefined : instructions / answered,
        longestHandlerInstructions: answered === 0 ? undefined : longest,
      }))
      .sort((a, b) => b.count - a.count || a.reason - b.reason);
  }

  #record({ reason, qualification, details }: VmExit, processor: Core, instruction: number): ExitRecord {
    const { state, index, vmx } = processor;
    const vmcs = vmx instanceof VmxProcessor ? vmx.vmcs : undefined;
    const entered = this.#entered[index];
    const interruption = decodeInterruption(
      details.interruptionInformation ?? 0,
      details.interruptionErrorCode,
    );
    const vectoring = vmcs?.low(offsets.idtVectoring) ?? 0;
    const idtVectoring = decodeInterruption(vectoring, vmcs?.low(offsets.idtVectoringErrorCode));
    const isException = reason === ExitReason.EXCEPTION_OR_NMI;
    const decoded = decodeQualification(
      reason,
      qualification,
      isException ? interruption?.vector : undefined,
    );
    const base = state["CS.base"];
    const { RIP } = state;
    const { guestPhysicalAddress, guestLinearAddress, instructionLength, instructionInformation } = details;
    return {
      n: this.#count,
      cpu: index,
      instruction,
      ...(entered !== undefined && { entryInstruction: entered }),
      reason,
      name: exitReasonName(reason),
      qualification: hex(qualification),
      ...(decoded && { decoded }),
      rip: hex(RIP),
      linearRip: hex(isLongCode(state) ? RIP : BigInt.asUintN(32, base + RIP)),
      cs: { selector: hex(state["CS.selector"]), base: hex(base) },
      ...(guestPhysicalAddress !== undefined && { guestPhysicalAddress: hex(guestPhysicalAddress) }),
      ...(guestLinearAddress !== undefined && { guestLinearAddress: hex(guestLinearAddress) }),
      ...(instructionLength !== undefined && { instructionLength }),
      ...(instructionInformation !== undefined && { instructionInformation: hex(instructionInformation) }),
      ...(interruption && { interruption }),
      ...(idtVectoring && { idtVectoring }),
    };
  }
}

const isLongCode = (state: Core["state"]): boolean => codeSize(state) === 64;
