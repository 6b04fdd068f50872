import { ramOffset } from "../../codegen/memory-map.ts";
import type { HostMemory } from "../host/host-memory.ts";

/**
 * The register file of one virtual processor, struct vmxctx: what the world switch saves and loads itself. It lies in the host
 * kernel's memory, the VMCS's HOST_RSP points to its beginning, and its first 256 bytes are a stack for one return address.
 */
// biome-ignore format: one row per fact
export const guestRegisters = {
  rdi: 0x108, rsi: 0x110, rdx: 0x118, rcx: 0x120, r8: 0x128, r9: 0x130, rax: 0x138, rbx: 0x140, rbp: 0x148,
  r10: 0x150, r11: 0x158, r12: 0x160, r13: 0x168, r14: 0x170, r15: 0x178, cr2: 0x180,
} as const;
export type ContextRegister = keyof typeof guestRegisters;

// biome-ignore format: one row per fact
export const hostRegisters = {
  r15: 0x188, r14: 0x190, r13: 0x198, r12: 0x1a0, rbp: 0x1a8, rsp: 0x1b0, rbx: 0x1b8, rip: 0x1c0,
} as const;

// biome-ignore format: one row per fact
export const contextLayout = {
  temporaryStack: 0x000, temporaryStackTop: 0x100, launched: 0x1c8, launchError: 0x1cc, bytes: 0x1d0,
} as const;

/** General registers in their encoding's order; RSP is the VMCS's. */
// biome-ignore format: one list
export const byNumber: readonly (ContextRegister | "rsp")[] = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/** A register file in memory, as the C part sees it. */
export class Context {
  readonly address: number;
  readonly #view: DataView;
  readonly #base: number;

  constructor(memory: HostMemory, address: number, vcpu: number) {
    this.address = address;
    this.#view = memory.physical.view;
    this.#base = ramOffset + address;
    const name = `vmxctx of vcpu ${vcpu}`;
    memory.label({ start: address, length: contextLayout.bytes, name, owner: "host", isStack: true });
    memory.label({
      start: address, length: contextLayout.temporaryStackTop, name: `${name}: temporary stack`, owner: "host", isStack: true,
    }); // biome-ignore format: one record
    for (const [register, at] of Object.entries(guestRegisters))
      memory.label({ start: address + at, length: 8, name: `${name}: guest ${register}`, owner: "guest" });
    for (const [register, at] of Object.entries(hostRegisters))
      memory.label({ start: address + at, length: 8, name: `${name}: host ${register}`, owner: "host" });
  }

  guest(register: ContextRegister): bigint {
    return this.#view.getBigUint64(this.#base + guestRegisters[register], true);
  }
  setGuest(register: ContextRegister, value: bigint): void {
    this.#view.setBigUint64(this.#base + guestRegisters[register], value, true);
  }
  /** Low 32 bits of a register at an offset from `guestRegisters`; unsigned. */
  low(at: number): number {
    return this.#view.getUint32(this.#base + at, true);
  }
  high(at: number): number {
    return this.#view.getUint32(this.#base + at + 4, true);
  }
  /** Zero-extends. */
  setLow(at: number, value: number): void {
    this.#view.setUint32(this.#base + at, value, true);
    this.#view.setUint32(this.#base + at + 4, 0, true);
  }
  host(register: keyof typeof hostRegisters): bigint {
    return this.#view.getBigUint64(this.#base + hostRegisters[register], true);
  }
  get launched(): boolean {
    return this.#view.getUint32(this.#base + contextLayout.launched, true) !== 0;
  }
  set launched(value: boolean) {
    this.#view.setUint32(this.#base + contextLayout.launched, value ? 1 : 0, true);
  }
  get launchError(): number {
    return this.#view.getUint32(this.#base + contextLayout.launchError, true);
  }
}
