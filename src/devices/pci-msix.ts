import type { RegisterBlock } from "../bus/address-range.ts";
import type { MessageInterrupt } from "../bus/interrupt-line.ts";
import { PCI, type PciFunction } from "./pci-function.ts";

// PCI Local Bus Specification 3.0, "MSI-X Capability and Table Structures".

const CAPABILITY_ID = 0x11;
/** Bits of the high byte of Message Control. */
// biome-ignore format: one row per fact
const CONTROL = { FUNCTION_MASK: 1 << 6, ENABLE: 1 << 7 } as const;
const ENTRY_LENGTH = 16;
const VECTOR_MASKED = 1;
/** The pending bits start here, the table at 0. */
const PBA_OFFSET = 0x800;
/** Bytes that the table and the pending bits take in their BAR. */
export const MSIX_LENGTH = 0x1000;

export interface MsixState {
  /** Four dwords per vector: message address, upper address, data, vector control. */
  table: number[];
  /** Pending bits, 32 vectors to a dword. */
  pending: number[];
}

/** The MSI-X capability of a function, with its table and pending bits; as a register block it is their BAR. */
export class Msix implements RegisterBlock {
  state: MsixState;
  readonly vectors: number;
  readonly #owner: PciFunction;
  readonly #message: MessageInterrupt;
  /** Offset in configuration space of the byte with the enable bit. */
  readonly controlOffset: number;

  /** Adds the capability and the BAR to `owner`. At most 128 vectors. */
  constructor(owner: PciFunction, barIndex: number, vectors: number, message: MessageInterrupt) {
    this.vectors = vectors;
    this.#owner = owner;
    this.#message = message;
    this.state = powerOn(vectors);
    const size = vectors - 1;
    const dword = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
    const body = [size & 0xff, size >>> 8, ...dword(barIndex), ...dword(PBA_OFFSET | barIndex)];
    const offset = owner.addCapability(CAPABILITY_ID, body, [0, CONTROL.FUNCTION_MASK | CONTROL.ENABLE]);
    this.controlOffset = offset + 3;
    owner.addBar({ index: barIndex, space: "memory", length: MSIX_LENGTH, block: this });
    owner.watch(this.controlOffset, 1, () => this.#sendPending());
    owner.watch(PCI.COMMAND, 1, () => this.#sendPending());
  }

  reset(): void {
    this.state = powerOn(this.vectors);
  }

  /** While enabled, the function must not use its interrupt pin. */
  get enabled(): boolean {
    return (this.#owner.register(this.controlOffset, 1) & CONTROL.ENABLE) !== 0;
  }

  /** Send the message of a vector, now or when it is unmasked. */
  signal(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    this.state.pending[vector >>> 5]! |= 1 << (vector & 31);
    this.#sendPending();
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if ((offset & 3) + size > 4) return 0;
    const { table, pending } = this.state;
    const dword = offset >>> 2;
    const value = (offset < PBA_OFFSET ? table[dword] : pending[dword - PBA_OFFSET / 4]) ?? 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted >>> 0 : shifted & (size === 2 ? 0xffff : 0xff);
  }

  /** "Software must use DWORD or QWORD accesses"; the pending bits are read-only. */
  write(offset: number, value: number, size: 1 | 2 | 4): void {
    const { table } = this.state;
    const dword = offset >>> 2;
    if (size !== 4 || (offset & 3) !== 0 || dword >= table.length) return;
    const register = dword & 3;
    table[dword] = (register === 0 ? value & ~3 : register === 3 ? value & VECTOR_MASKED : value) >>> 0;
    this.#sendPending();
  }

  #sendPending(): void {
    const { table, pending } = this.state;
    const control = this.#owner.register(this.controlOffset, 1);
    const free = (control & (CONTROL.ENABLE | CONTROL.FUNCTION_MASK)) === CONTROL.ENABLE;
    if (!free || !this.#owner.busMaster) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      const bit = 1 << (vector & 31);
      const [address = 0, upper = 0, value = 0, masked = 0] = table.slice(4 * vector, 4 * vector + 4);
      if ((pending[vector >>> 5]! & bit) === 0 || (masked & VECTOR_MASKED) !== 0) continue;
      pending[vector >>> 5]! &= ~bit;
      this.#message.send(upper * 2 ** 32 + address, value);
    }
  }
}

const powerOn = (vectors: number): MsixState => ({
  table: Array.from({ length: (vectors * ENTRY_LENGTH) / 4 }, (_, i) => ((i & 3) === 3 ? VECTOR_MASKED : 0)),
  pending: new Array<number>(Math.ceil(vectors / 32)).fill(0),
});
