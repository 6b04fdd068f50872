import type { LogicalProcessor } from "../cpu/logical-processor.ts";
import { type BytesField, layout, type U32Field, type U64Field } from "../state/layout.ts";

/** Registers of 128 and 80 bits: the low part of what their field has room for. */
const wideBytes = (name: string): number => (name.startsWith("XMM") ? 16 : 10);
const isWide = (name: string): boolean => /^(XMM|x87\.)\d+$/.test(name);

const readable = [...layout]
  .filter(([name, { architectural, type }]) => architectural && (type !== "bytes" || isWide(name)))
  .map(([name]) => name);
const known: ReadonlySet<string> = new Set(readable);

/**
 * Names of all registers, the SDM's: RAX ... R15, RIP, RFLAGS, CR0 ... CR4, DR0 ... DR7, XMM0 ... XMM15, MSRs such as IA32_EFER, and the
 * parts of segment and table registers such as CS.selector, CS.base, GDTR.limit. x87.0 ... x87.7 are the physical x87 registers.
 */
export const registerNames: readonly string[] = readable;

/** The registers of one logical processor, as unsigned bigints, while the machine does not run. */
export class Registers {
  readonly #processor: () => LogicalProcessor;

  constructor(processor: () => LogicalProcessor) {
    this.#processor = processor;
  }

  get(name: string): bigint {
    const state = this.#stateWith(name);
    const field = layout.get(name)!;
    if (field.type !== "bytes") return BigInt(state[name as U64Field | U32Field]);
    const bytes = state.bytes(name as BytesField).subarray(0, wideBytes(name));
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** What does not fit into the register is cut off. Nothing is checked: like a debugger, this can make a state no program reaches. */
  set(name: string, value: bigint): void {
    const state = this.#stateWith(name);
    const field = layout.get(name)!;
    if (field.type === "u64") state[name as U64Field] = BigInt.asUintN(64, value);
    else if (field.type === "u32") state[name as U32Field] = Number(BigInt.asUintN(32, value));
    else {
      const bytes = state.bytes(name as BytesField);
      for (let n = 0; n < wideBytes(name); n++) bytes[n] = Number((value >> BigInt(8 * n)) & 0xffn);
    }
    // Translations depend on control registers and segments.
    this.#processor().invalidate({ kind: "all" });
  }

  /** Every register by name. */
  all(): Record<string, bigint> {
    return Object.fromEntries(registerNames.map((name) => [name, this.get(name)]));
  }

  #stateWith(name: string) {
    if (!known.has(name)) throw new RangeError(`there is no register "${name}"; registerNames lists them`);
    const processor = this.#processor();
    processor.select();
    return processor.state;
  }
}
