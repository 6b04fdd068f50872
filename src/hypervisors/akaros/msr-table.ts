import { IA32_MISC_ENABLE } from "../../arch/msrs.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { readMsr, writeMsr } from "../../cpu/msrs.ts";

/** What the kernel does when a guest reads or writes an MSR of its table; all others are the user-level scheduler's. */
export type MsrPolicy =
  /** Reads the host's value, with performance monitoring's PEBS unavailable; only that value may be written. */
  | "misc enable"
  /** The host's own MSR. */
  | "host"
  /** The host's value until the guest has written one, which is then remembered. */
  | "fake write"
  | "read zero"
  | "read only"
  /** Reads a constant, and only that may be written. */
  | "APIC base";

// biome-ignore format: one row per fact
const rows: readonly (readonly [first: number, last: number, policy: MsrPolicy])[] = [
  [0x1a0, 0x1a0, "misc enable"],
  [0x174, 0x176, "host"], [0x1c9, 0x1c9, "host"], [0x0c1, 0x0c4, "host"], [0x186, 0x189, "host"], [0x38d, 0x391, "host"],
  [0x08b, 0x08b, "fake write"], [0xc000_0083, 0xc000_0083, "fake write"], [0x480, 0x491, "fake write"], [0x1b0, 0x1b0, "fake write"],
  [0x048, 0x048, "fake write"], [0x049, 0x049, "fake write"], [0x010, 0x010, "fake write"], [0x03b, 0x03b, "fake write"], [0x277, 0x277, "fake write"],
  [0x200, 0x213, "fake write"], [0x250, 0x250, "fake write"], [0x258, 0x259, "fake write"], [0x268, 0x26f, "fake write"], [0x2ff, 0x2ff, "fake write"],
  [0xc000_0103, 0xc000_0103, "fake write"], [0xda0, 0xda0, "fake write"], [0x140, 0x140, "fake write"],
  [0x034, 0x034, "read zero"], [0x1a2, 0x1a2, "read zero"], [0x179, 0x17a, "read zero"],
  [0x017, 0x017, "read only"], [0x0ce, 0x0ce, "read only"], [0x0fe, 0x0fe, "read only"], [0x10a, 0x10a, "read only"],
  [0x01b, 0x01b, "APIC base"],
];
const fakeApicBase = 0xfee0_0900n;

export const msrPolicy = (msr: number): MsrPolicy | undefined =>
  rows.find(([first, last]) => msr >= first && msr <= last)?.[2];

const hostValue: (processor: LogicalProcessor, msr: number) => bigint | undefined = readMsr;

/** Undefined: refused. `written`: what guests have written, by MSR. `swapsHalves`: the original's mistake. */
export const readGuestMsr = (
  processor: LogicalProcessor,
  written: ReadonlyMap<number, bigint>,
  msr: number,
  swapsHalves: boolean,
): bigint | undefined => {
  switch (msrPolicy(msr)) {
    case "misc enable":
      return (hostValue(processor, msr) ?? 0n) | IA32_MISC_ENABLE.PEBSUnavailable;
    case "host": {
      const value = hostValue(processor, msr);
      if (value === undefined || !swapsHalves) return value;
      return (value >> 32n) | ((value & 0xffff_ffffn) << 32n);
    }
    case "fake write":
      return written.get(msr) ?? hostValue(processor, msr) ?? 0n;
    case "read zero":
      return 0n;
    case "read only":
      return hostValue(processor, msr) ?? 0n;
    case "APIC base":
      return fakeApicBase;
    default:
      return undefined;
  }
};

/** False: refused. */
export const writeGuestMsr = (
  processor: LogicalProcessor,
  written: Map<number, bigint>,
  msr: number,
  value: bigint,
): boolean => {
  switch (msrPolicy(msr)) {
    case "misc enable":
      return value === ((hostValue(processor, msr) ?? 0n) | IA32_MISC_ENABLE.PEBSUnavailable);
    case "host":
      return writeMsr(processor, msr, value);
    case "fake write":
      written.set(msr, value);
      return true;
    case "APIC base":
      return value === fakeApicBase;
    default:
      return false;
  }
};
