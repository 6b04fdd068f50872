import type { HostMemory } from "./host-memory.ts";

/** Bitmaps that say what a guest does without a VM exit (SDM Vol. 3, "I/O-Bitmap Addresses", "MSR-Bitmap Address"). */

const pageBytes = 4096;

/** Pages of ones in the host kernel's memory, but for these bits. */
const onesBut = (memory: HostMemory, pages: number, clear: readonly number[]): number => {
  const bytes = new Uint8Array(pages * pageBytes).fill(0xff);
  for (const bit of clear) bytes[bit >>> 3]! &= ~(1 << (bit & 7));
  const at = memory.allocate(bytes.length);
  memory.write(at, bytes);
  return at;
};

/** Two pages, a bit a port: those that do not exit. */
export const ioBitmaps = (memory: HostMemory, ports: readonly number[]): number => onesBut(memory, 2, ports);

/** One page: reads of low MSRs, of high ones (from C0000000H on), writes of low ones, of high ones, a quarter each. */
export const msrBitmap = (memory: HostMemory, msrs: readonly number[]): number => {
  const quarter = (pageBytes / 4) * 8;
  const reads = msrs.map((msr) => (msr & 0x1fff) + (msr >= 0xc000_0000 ? quarter : 0));
  return onesBut(memory, 1, [...reads, ...reads.map((bit) => bit + 2 * quarter)]);
};
