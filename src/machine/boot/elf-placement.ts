import type { Elf } from "./elf.ts";
import type { FreeSpace } from "./free-space.ts";
import { type BootRefusal, type BootRequest, type LoadSegment, refuse } from "./load-plan.ts";
import { hex, memorySize } from "./memory-map.ts";

/** A stretch of an image in physical memory: what its loader puts there. */
export type ImageSegment = LoadSegment;

/** An executable's PT_LOAD segments at their physical addresses, moved by `delta`. */
export const loadedSegments = (elf: Elf, delta = 0): ImageSegment[] =>
  elf.segments.map((segment) => ({
    address: segment.p_paddr + delta,
    bytes: segment.bytes,
    zeros: segment.p_memsz - segment.bytes.length,
  }));

/** Takes an image's segments out of the free space; a refusal when one does not lie in RAM. */
export const occupy = (
  { image, memoryMap }: BootRequest,
  space: FreeSpace,
  segments: readonly ImageSegment[],
): BootRefusal | undefined => {
  for (const { address, bytes, zeros } of segments) {
    const length = bytes.length + zeros;
    if (!space.isRam(address, length))
      return refuse(
        `${image.name}: a segment lies at ${hex(address)} to ${hex(address + length)}, where ${memorySize(memoryMap)} of memory has no RAM`,
      );
    space.reserve(address, length);
  }
  return undefined;
};
