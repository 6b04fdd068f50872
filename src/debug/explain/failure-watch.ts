import { exitReasonName } from "../../arch/vm-exit-reasons.ts";
import { vmFailInvalid, vmInstructionError } from "../../arch/vm-instruction-errors.ts";
import { vmcsFields } from "../../arch/vmcs-fields.ts";
import type { Core } from "../../cpu/core.ts";
import type { Observer, VmEntryFailure, VmFail } from "../../cpu/execution-engine.ts";
import { isIa32e } from "../../cpu/mode.ts";
import { EntryFacts } from "../../vmx/entry-facts.ts";
import { ordinalOffset, originOffset, Vmcs, vmcsBytes } from "../../vmx/vmcs.ts";
import { VmxProcessor } from "../../vmx/vmx-processor.ts";
import { entryFailureRow } from "./entry-failures.ts";
import { type ExplainedFailure, explainEntry, hexadecimal, type LastWrite } from "./explanation.ts";
import { type OperandValue, operandValues } from "./operand-values.ts";

/** A VMX instruction that failed on the machine, explained. */
export interface VmxFailure {
  /** Mnemonic: "VMLAUNCH". */
  readonly instruction: string;
  readonly kind: "VMfailInvalid" | "VMfailValid" | "VM-entry failure";
  /** VM-instruction error number of VMfailValid, basic exit reason of a VM-entry failure, 0 of VMfailInvalid. */
  readonly number: number;
  /** Exit qualification of a VM-entry failure. */
  readonly qualification?: string;
  /** The manual's word for the number. */
  readonly says: string;
  /** What to look at, where the number alone tells. */
  readonly hint?: string;
  /** Logical processor, and instructions that it had retired. */
  readonly cpu: number;
  readonly instructionNumber: number;
  /** RIP of the instruction; absent where it was no longer known. */
  readonly rip?: string;
  /** What its operands held. */
  readonly operands: readonly OperandValue[];
  /** The checks of VM entry that do not hold; of how many. */
  readonly failures: readonly ExplainedFailure[];
  readonly checks: number;
}

/** VM-instruction errors that the checks of VM entry explain. */
const byChecks = new Set([7, 8]);
const INVALID_GUEST_STATE = 33;

const wordAt = (view: DataView, offset: number): bigint => view.getBigUint64(offset, true);

/** What the checks read, as it was at the failure: the machine goes on and may change all of it. */
class Captured {
  readonly #vmcs: Vmcs;
  /** Made when somebody asks: most failures are never looked at, and a guest may fail in a loop. */
  readonly #facts: () => EntryFacts;

  constructor(vmx: VmxProcessor) {
    const { view, base } = vmx.vmcs;
    const copy = new Uint8Array(view.buffer, view.byteOffset + base, vmcsBytes).slice();
    const vmcs = new Vmcs(new DataView(copy.buffer));
    vmcs.base = 0;
    this.#vmcs = vmcs;
    const { state, physical } = vmx.core;
    const { capability, cpu } = vmx.facts;
    const [long, pointer] = [isIa32e(state), state["vmx.currentVmcs"]];
    this.#facts = () =>
      new EntryFacts(
        {
          value: (ordinal) => vmcs.value(ordinalOffset(ordinal)),
          low: (ordinal) => vmcs.low(ordinalOffset(ordinal)),
        },
        capability,
        { ...cpu, inIa32eMode: () => long, currentVmcs: () => pointer },
        // To look at a device's registers would change it.
        (address) => {
          const at = Number(address);
          return physical.isRam(at) ? physical.read(at, 4) >>> 0 : undefined;
        },
      );
  }

  explain(): Pick<VmxFailure, "failures" | "checks"> {
    const lastWrite = (ordinal: number): LastWrite | undefined => {
      const at = originOffset(ordinal);
      const instruction = Number(wordAt(this.#vmcs.view, at + 8));
      if (instruction === 0) return undefined;
      return { rip: hexadecimal(wordAt(this.#vmcs.view, at), 64), instruction };
    };
    const ordinals = new Map(vmcsFields.map(({ name, ordinal }) => [name, ordinal]));
    const { failures, checks } = explainEntry(this.#facts(), {
      value: (name) => this.#vmcs.read(name),
      lastWrite: (name) => lastWrite(ordinals.get(name)!),
    });
    return { failures, checks };
  }
}

/** Watches VMX instructions fail. Explaining waits until somebody asks. */
export class FailureWatch implements Required<Pick<Observer, "vmFail" | "vmEntryFailure">> {
  /** Told of each failure. */
  listener: ((failure: VmxFailure) => void) | undefined;
  #last: (() => VmxFailure) | undefined;
  #lastEntry: (() => VmxFailure) | undefined;

  /** The last VMX instruction that failed. */
  get last(): VmxFailure | undefined {
    return this.#last?.();
  }

  /** The last VMLAUNCH or VMRESUME that failed. */
  get lastEntry(): VmxFailure | undefined {
    return this.#lastEntry?.();
  }

  /** A new image is booted. */
  forget(): void {
    this.#last = this.#lastEntry = undefined;
  }

  vmFail({ instruction, error }: VmFail, processor: Core): void {
    const { mnemonic } = instruction.row.semantics;
    const row = error === undefined ? vmFailInvalid(mnemonic) : vmInstructionError(error);
    const isEntry = mnemonic === "VMLAUNCH" || mnemonic === "VMRESUME";
    this.#note(isEntry, byChecks.has(error ?? 0) ? processor : undefined, {
      instruction: mnemonic,
      kind: error === undefined ? "VMfailInvalid" : "VMfailValid",
      number: error ?? 0,
      says: row?.says ?? `error ${error}`,
      ...(row && !byChecks.has(error ?? 0) && { hint: row.hint }),
      ...placeOf(processor),
      rip: hexadecimal(processor.state.RIP, 64),
      operands: operandValues(processor, instruction),
    });
  }

  vmEntryFailure({ instruction, reason, qualification }: VmEntryFailure, processor: Core): void {
    const row = entryFailureRow(reason);
    const isAtInstruction = processor.vmx?.nonRoot !== true;
    this.#note(true, reason === INVALID_GUEST_STATE ? processor : undefined, {
      instruction,
      kind: "VM-entry failure",
      number: reason,
      qualification: `0x${qualification.toString(16)}`,
      says: row?.says ?? exitReasonName(reason),
      ...(row?.hint !== undefined && { hint: row.hint }),
      ...placeOf(processor),
      ...(isAtInstruction && { rip: hexadecimal(processor.state.RIP, 64) }),
      operands: [],
    });
  }

  #note(
    isEntry: boolean,
    processor: Core | undefined,
    failure: Omit<VmxFailure, "failures" | "checks">,
  ): void {
    const vmx = processor?.vmx;
    const captured = vmx instanceof VmxProcessor && vmx.vmcs.base >= 0 ? new Captured(vmx) : undefined;
    let explained: VmxFailure | undefined;
    const explain = (): VmxFailure => {
      explained ??= { ...failure, ...(captured?.explain() ?? { failures: [], checks: 0 }) };
      return explained;
    };
    this.#last = explain;
    if (isEntry) this.#lastEntry = explain;
    if (this.listener) this.listener(explain());
  }
}

const placeOf = ({ index, state }: Core): Pick<VmxFailure, "cpu" | "instructionNumber"> => ({
  cpu: index,
  instructionNumber: Number(state.retired),
});
