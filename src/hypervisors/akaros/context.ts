import { RFLAGS } from "../../arch/flags.ts";
import type { HostMemory } from "../host/host-memory.ts";
import { type AkarosBugs, context, contextType, hw, sw, vm, vmFlag } from "./layout.ts";
import { userSelector } from "./trap-table.ts";

/** User contexts where they lie in memory: what is partial, what is secure. */

const canonicalUser = (value: bigint): bigint => (value >> 47n === 0n ? value : 0n);
/** Of RFLAGS, what a user may choose: status flags, TF, DF, RF, AC, ID. */
const userFlags =
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.TF | RFLAGS.DF | RFLAGS.OF | RFLAGS.RF | RFLAGS.AC | RFLAGS.ID; // biome-ignore format: one list
const definedFlags = 0x3f_7fd5n | RFLAGS.FIXED;
const originalFlags = 0xffff_ffff_ffff_ffffn;

export class UserContext {
  readonly #memory: HostMemory;
  /** Physical address of a user_context. */
  readonly at: number;

  constructor(memory: HostMemory, at: number) {
    this.#memory = memory;
    this.at = at;
  }

  get type(): number {
    return this.#memory.read32(this.at);
  }
  get frame(): number {
    return this.at + context.frame;
  }

  get isPartial(): boolean {
    const { frame } = this;
    switch (this.type) {
      case contextType.HW:
        return (this.#memory.read32(frame + hw.padding0) & 1) !== 0;
      case contextType.SW:
        return this.#memory.read32(frame + sw.fpucw) >>> 16 !== 0;
      case contextType.VM:
        return (this.#memory.read32(frame + vm.flags) & vmFlag.PARTIAL) !== 0;
      default:
        return false;
    }
  }

  clearPartial(): void {
    const { frame } = this;
    const memory = this.#memory;
    if (this.type === contextType.HW) memory.write32(frame + hw.padding0, 0);
    else if (this.type === contextType.SW)
      memory.write32(frame + sw.fpucw, memory.read32(frame + sw.fpucw) & 0xffff);
    else memory.write32(frame + vm.flags, memory.read32(frame + vm.flags) & ~vmFlag.PARTIAL);
  }

  /** A frame as an entry left it on the stack. */
  take(type: number, frame: number): void {
    const bytes = type === contextType.HW ? hw.bytes : type === contextType.SW ? sw.bytes : vm.bytes;
    this.#memory.write32(this.at, type);
    this.#memory.copy(frame, this.frame, bytes);
  }

  copyFrom(from: number): void {
    this.#memory.copy(from, this.at, context.bytes);
  }

  /** What user level wrote must not hurt the kernel. False: it is of no known type. */
  secure(bugs: AkarosBugs): boolean {
    switch (this.type) {
      case contextType.HW:
        this.#secureHw(bugs);
        return true;
      case contextType.SW:
        this.#canonical([sw.gsbase, sw.fsbase, sw.rip, sw.rsp]);
        this.clearPartial();
        return true;
      case contextType.VM: {
        this.clearPartial();
        const at = this.frame + vm.rflags;
        this.#memory.write64(at, (this.#memory.read64(at) & definedFlags) | RFLAGS.FIXED);
        return true;
      }
      default:
        return false;
    }
  }

  #canonical(offsets: readonly number[]): void {
    for (const offset of offsets)
      this.#memory.write64(this.frame + offset, canonicalUser(this.#memory.read64(this.frame + offset)));
  }

  #secureHw(bugs: AkarosBugs): void {
    const memory = this.#memory;
    const { frame } = this;
    this.clearPartial();
    this.#canonical([hw.gsbase, hw.fsbase, hw.rip, hw.rsp]);
    memory.write32(frame + hw.cs, (memory.read32(frame + hw.cs) & 0xffff_0000) | userSelector.code);
    memory.write32(frame + hw.ss, userSelector.data);
    const kept = bugs.trustsRflags ? originalFlags : userFlags;
    const flags = memory.read64(frame + hw.rflags) & kept;
    memory.write64(frame + hw.rflags, flags | RFLAGS.IF | RFLAGS.FIXED);
  }
}
