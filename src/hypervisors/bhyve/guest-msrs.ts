import { msrs } from "../../arch/msrs.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import type { VirtualApic } from "./vmm.ts";

const indexOf = (name: string): number => msrs.find((row) => row.name === name)!.index;

/** Really switched, by WRMSR around each VM_RUN: what SYSCALL goes by. */
// biome-ignore format: one row per fact
const switched = [
  ["IA32_LSTAR", 0xc000_0082], ["IA32_CSTAR", 0xc000_0083], ["IA32_STAR", 0xc000_0081], ["IA32_FMASK", 0xc000_0084],
] as const;

const powerOnPat = 0x0007_0406_0007_0406n;
const apicBase = 0x1b;
const tscDeadline = 0x6e0;

/** Emulated: a value that no processor register holds. */
// biome-ignore format: one row per fact
const emulated: readonly (readonly [index: number, reset: bigint, isReadOnly: boolean])[] = [
  [indexOf("IA32_PAT"), powerOnPat, false],
  [indexOf("IA32_BIOS_SIGN_ID"), 0n, false],
  [0x179, 0n, true], // IA32_MCG_CAP: no banks
];

/** MSRs of one virtual processor that software switches or emulates. */
export class GuestMsrs {
  readonly #values = new Map<number, bigint>([
    ...switched.map(([, index]) => [index, 0n] as const),
    ...emulated.map(([index, reset]) => [index, reset] as const),
  ]);
  readonly #readOnly = new Set(emulated.filter(([, , isReadOnly]) => isReadOnly).map(([index]) => index));
  readonly #apic: () => VirtualApic;
  /** The host's values while the guest has the processor. */
  readonly #host = new BigUint64Array(switched.length + 1);

  constructor(apic: () => VirtualApic) {
    this.#apic = apic;
  }

  /** Before the guest runs. IA32_KERNEL_GS_BASE is the MSR area's, but its host's value is kept here. */
  loadGuest(state: CpuState): void {
    for (let n = 0; n < switched.length; n++) {
      const [name, index] = switched[n]!;
      this.#host[n] = state[name];
      state[name] = this.#values.get(index)!;
    }
    this.#host[switched.length] = state.IA32_KERNEL_GS_BASE;
  }

  /** After it. The guest cannot change them without an exit, so there is nothing to keep. */
  restoreHost(state: CpuState): void {
    for (let n = 0; n < switched.length; n++) state[switched[n]![0]] = this.#host[n]!;
    state.IA32_KERNEL_GS_BASE = this.#host[switched.length]!;
  }

  static #isApics(index: number): boolean {
    return index === apicBase || index === tscDeadline || (index >= 0x800 && index < 0xc00);
  }

  read(index: number): bigint | "GP" | undefined {
    if (GuestMsrs.#isApics(index)) return this.#apic().readMsr(index) ?? "GP";
    return this.#values.get(index);
  }

  /** `state`: of the processor that has the guest's values loaded. */
  write(index: number, value: bigint, state: CpuState): true | "GP" | undefined {
    if (GuestMsrs.#isApics(index)) return this.#apic().writeMsr(index, value) ? true : "GP";
    if (!this.#values.has(index)) return undefined;
    if (this.#readOnly.has(index)) return "GP";
    const real = switched.find(([, number]) => number === index);
    // SYSCALL's target must be canonical, as WRMSR would have it.
    if (real !== undefined && real[0] !== "IA32_STAR" && real[0] !== "IA32_FMASK" && !isCanonical(value))
      return "GP";
    this.#values.set(index, value);
    if (real !== undefined) state[real[0]] = value;
    return true;
  }
}

const isCanonical = (value: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
