import type { InitialCpuState } from "./initial-state.ts";
import type { MemoryMap } from "./memory-map.ts";

/** A file that is booted, or that goes along with what is booted. */
export interface BootFile {
  /** As the user named it: used in messages and, for multiboot, on the command line. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** An initial RAM disk or multiboot module. */
export interface BootModule extends BootFile {
  /** What the user wrote after the file's name; empty when nothing. */
  readonly args: string;
}

/** What every loader is given. */
export interface BootRequest {
  readonly image: BootFile;
  readonly commandLine: string;
  /** Linux takes them as one initial RAM disk, concatenated. */
  readonly modules: readonly BootModule[];
  readonly memoryMap: MemoryMap;
}

/** Bytes to write into guest RAM at a guest-physical address, followed by `zeros` cleared bytes. */
export interface LoadSegment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly zeros: number;
}

/** Read-only memory at a guest-physical address; address and length are multiples of 4 KiB. */
export interface RomRegion {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** How an image is entered. */
export type BootProtocol = "linux-64" | "linux-32" | "pvh" | "multiboot" | "multiboot2" | "flat" | "firmware";

/** All that must be done to a machine at power-on so that an image runs: write the segments in order, then set the processor. */
export interface LoadPlan {
  readonly protocol: BootProtocol;
  readonly segments: readonly LoadSegment[];
  readonly roms: readonly RomRegion[];
  /** State of the bootstrap processor. The others wait for SIPI. */
  readonly cpu: InitialCpuState;
}

/** Why an image cannot be booted: one sentence naming the file, the field, what was found and what was expected. */
export interface BootRefusal {
  readonly message: string;
}

export const refuse = (message: string): BootRefusal => ({ message });

export const isRefusal = <T extends object>(outcome: T | BootRefusal): outcome is BootRefusal =>
  "message" in outcome;

/** A segment that is exactly its bytes. */
export const segmentOf = (address: number, bytes: Uint8Array): LoadSegment => ({ address, bytes, zeros: 0 });

/** The address after a segment's last byte. */
export const segmentEnd = ({ address, bytes, zeros }: LoadSegment): number => address + bytes.length + zeros;
