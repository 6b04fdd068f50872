/** The virtual-APIC page and what virtualizes accesses to it (SDM Vol. 3, "APIC Virtualization and Virtual Interrupts"). */

/** Offsets of the registers that the processor itself uses. */
// biome-ignore format: one row per fact
export const VirtualApic = {
  VTPR: 0x080, VPPR: 0x0a0, VEOI: 0x0b0, /** Eight words, 16 bytes apart. */ VISR: 0x100, VIRR: 0x200, VICR_LO: 0x300, VICR_HI: 0x310,
  selfIPI: 0x3f0,
} as const;

/** Registers, by offset: with "APIC-register virtualization" accesses within their four bytes are virtualized, "r" reads, "rw" writes too. */
// biome-ignore format: one row per fact
export const virtualizedRegisters: readonly (readonly [first: number, last: number, access: "r" | "rw"])[] = [
  [0x020, 0x020, "rw"], // local APIC ID
  [0x030, 0x030, "r"],  // version
  [0x080, 0x080, "rw"], // task priority
  [0x0b0, 0x0b0, "rw"], // end of interrupt
  [0x0d0, 0x0d0, "rw"], // logical destination
  [0x0e0, 0x0e0, "rw"], // destination format
  [0x0f0, 0x0f0, "rw"], // spurious-interrupt vector
  [0x100, 0x170, "r"],  // in-service
  [0x180, 0x1f0, "r"],  // trigger mode
  [0x200, 0x270, "r"],  // interrupt request
  [0x280, 0x280, "rw"], // error status
  [0x300, 0x310, "rw"], // interrupt command
  [0x320, 0x370, "rw"], // LVT entries
  [0x380, 0x380, "rw"], // initial count
  [0x3e0, 0x3e0, "rw"], // divide configuration
];

/** Bits of VICR_LO that must be 0 for self-IPI virtualization: reserved ones, delivery status, trigger mode, delivery mode. */
export const selfIpiZeroBits = 0xfff3_3000 | 0x8000 | 0x700;
/** Destination shorthand, and its value "self". */
export const selfIpiShorthand = { mask: 3 << 18, self: 1 << 18 } as const;

/** MSRs that "virtualize x2APIC mode" treats: the range, and those whose writes are virtualized. */
export const x2ApicMsr = { first: 0x800, last: 0x8ff, TPR: 0x808, EOI: 0x80b, selfIPI: 0x83f } as const;

/** Access type, bits 15:12 of the exit qualification of an APIC access. */
// biome-ignore format: one row per fact
export const apicAccessType = {
  linearRead: 0, linearWrite: 1, linearFetch: 2, linearDuringDelivery: 3, guestPhysicalDuringDelivery: 10, guestPhysical: 15,
} as const;
export const apicAccessTypeShift = 12;

/** Posted-interrupt descriptor: 256 posted-interrupt requests, then bit 256 "outstanding notification". */
export const postedInterruptDescriptor = { requests: 0, control: 32, outstanding: 1 << 0 } as const;
