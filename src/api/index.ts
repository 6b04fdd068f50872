/** The public library: a PC that boots kernels, for Node and browsers. */

export {
  type AssembledLine,
  type Assembly,
  type AssemblyError,
  type AssemblyErrors,
  type AssemblyOptions,
  assemble,
} from "../asm/index.ts";
export type { Tier } from "../cpu/execution-engine.ts";
export type { BlockStorage, StorageFailure } from "../devices/virtio-blk.ts";
export type { BootFile, BootProtocol } from "../machine/boot/load-plan.ts";
export type { DiskConfiguration } from "../machine/pc-doors.ts";
export {
  ConfigurationError,
  cpuModels,
  largestMemoryMiB,
  type MachineOptions,
  mostProcessors,
} from "./configuration.ts";
export type { ImageSource, ModuleSource, Refusal } from "./files.ts";
export type { Input, InputLog, LoggedInput } from "./input-log.ts";
export { type BootOptions, type BootOutcome, type Line, Machine } from "./machine.ts";
export type { Memory } from "./memory.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { OutputListener } from "./output-stream.ts";
export { type Registers, registerNames } from "./registers.ts";
export { type RunOptions, type RunResult, type Statistics, type StopReason, stopReasons } from "./run.ts";
