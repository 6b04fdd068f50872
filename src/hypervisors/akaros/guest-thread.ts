import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { VirtualApic } from "../../arch/virtual-apic.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import type { Instruction } from "../../isa/instruction.ts";
import type { GuestMemoryMap } from "../host/guest-memory-map.ts";
import { guestAccess, guestPhysical } from "../host/guest-paging.ts";
import type { HostMemory } from "../host/host-memory.ts";
import { type MmioAccess, mmioAccess } from "../host/mmio-instruction.ts";
import { context, contextType, registerNumbers, vm } from "./layout.ts";

/** Guests of this kernel run in 64-bit mode under four levels of paging; the context says no more. */
const paging = { cr0: CR0.PG, cr4: CR4.PAE, efer: IA32_EFER.LMA } as const;
const decodeMode = { codeSize: 64, stackSize: 64, realLike: false } as const;

/** A thread of the guest, in user memory, and what its controller looks at. */
export class GuestThread {
  /** Of its user_context: in the process, and physical. */
  readonly address: number;
  readonly at: number;
  readonly #memory: HostMemory;
  /** HLT: until an interrupt is posted. */
  waiting = false;
  /** The 8259s want to interrupt. */
  externalInterrupt = false;

  constructor(memory: HostMemory, address: number, at: number, guestCore: number) {
    this.#memory = memory;
    this.address = address;
    this.at = at;
    memory.write(at, new Uint8Array(context.bytes));
    memory.write32(at, contextType.VM);
    memory.write32(this.frame + vm.guestPcoreId, guestCore);
  }

  get frame(): number {
    return this.at + context.frame;
  }
  get(name: keyof typeof vm): number {
    return this.#memory.read32(this.frame + vm[name]);
  }
  get64(name: keyof typeof vm): bigint {
    return this.#memory.read64(this.frame + vm[name]);
  }
  set(name: keyof typeof vm, value: number): void {
    this.#memory.write32(this.frame + vm[name], value >>> 0);
  }
  set64(name: keyof typeof vm, value: bigint): void {
    this.#memory.write64(this.frame + vm[name], BigInt.asUintN(64, value));
  }
  general(number: number): bigint {
    return this.get64(registerNumbers[number]!);
  }
  setGeneral(number: number, value: bigint): void {
    this.set64(registerNumbers[number]!, value);
  }
  /** The instruction is done; so is the shadow of an STI before it. */
  advance(by: number): void {
    this.set64("rip", this.get64("rip") + BigInt(by));
    this.set("intrinfo1", this.get("intrinfo1") & ~3);
  }

  /** Guest-physical address of a linear one, as the guest's tables have it; undefined: not mapped. */
  physical(guest: GuestMemoryMap, linear: bigint): number | undefined {
    return guestPhysical(guest, { ...paging, cr3: this.get64("cr3") }, linear);
  }

  /** The same for data that the processor has not looked at yet, or a page fault's error code. The context does not say whose code it is: a kernel's. */
  data(guest: GuestMemoryMap, linear: bigint, isWrite: boolean): ReturnType<typeof guestAccess> {
    const space = { ...paging, cr0: CR0.PG | CR0.WP, cr3: this.get64("cr3") };
    return guestAccess(guest, space, linear, { isWrite, isUser: false, alignmentCheck: true });
  }

  /** The instruction at RIP, if it is one. */
  instruction(guest: GuestMemoryMap, processor: LogicalProcessor): Instruction | undefined {
    const bytes = new Uint8Array(MAXIMUM_LENGTH);
    const rip = this.get64("rip");
    let have = 0;
    while (have < MAXIMUM_LENGTH) {
      const address = this.physical(guest, rip + BigInt(have));
      if (address === undefined) break;
      const count = Math.min(MAXIMUM_LENGTH - have, 4096 - (address % 4096));
      bytes.set(guest.readBytes(address, count), have);
      have += count;
    }
    const instruction = decode(bytes, 0, have, decodeMode, (feature) => processor.model.has(feature));
    return "row" in instruction ? instruction : undefined;
  }

  /** What it does with a device. */
  access(guest: GuestMemoryMap, processor: LogicalProcessor): MmioAccess | undefined {
    const instruction = this.instruction(guest, processor);
    return instruction === undefined ? undefined : mmioAccess(instruction);
  }
}

/** An interrupt waits in the virtual APIC page: one that HLT must not sleep through. */
export const hasVirtualRequest = (memory: HostMemory, page: number): boolean => {
  for (let word = 0; word < 8; word++)
    if (memory.read32(page + VirtualApic.VIRR + 16 * word) !== 0) return true;
  return false;
};
