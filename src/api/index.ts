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
export type { DecodedInterruption } from "../debug/exits/decode-interruption.ts";
export type { DecodedQualification } from "../debug/exits/decode-qualification.ts";
export type { ExitRecord, ExitSummary } from "../debug/exits/exit-watch.ts";
export type { DumpFormat, UnknownLine } from "../debug/explain/dump.ts";
export type { ExplainedDump, ExplainedVmcs, ReportedOutcome } from "../debug/explain/explain-dump.ts";
export type {
  AllowedValue,
  ExplainedControl,
  ExplainedFailure,
  ExplainedField,
  LastWrite,
  UndecidedCheck,
} from "../debug/explain/explanation.ts";
export type { VmxFailure } from "../debug/explain/failure-watch.ts";
export type { OperandValue } from "../debug/explain/operand-values.ts";
export { dumpText, type Paint, type Style, vmxFailureText } from "../debug/explain/print.ts";
export type { BlockStorage, StorageFailure } from "../devices/virtio-blk.ts";
export {
  type CompareOptions,
  type Comparison,
  type ComparisonRow,
  compareHypervisors,
} from "../hypervisors/compare/index.ts";
export {
  type MovedRegister,
  type SwitchStep,
  switchStepJson,
  switchStepText,
} from "../hypervisors/host/switch-trace.ts";
export { type HypervisorName, hypervisorNames } from "../hypervisors/index.ts";
export type { BootFile, BootProtocol } from "../machine/boot/load-plan.ts";
export type { DiskConfiguration } from "../machine/pc-doors.ts";
export {
  ConfigurationError,
  cpuModels,
  largestMemoryMiB,
  type MachineOptions,
  mostProcessors,
} from "./configuration.ts";
export { type DumpSource, type ExplainOptions, explainVmcs } from "./explain.ts";
export type { ImageSource, ModuleSource, Refusal } from "./files.ts";
export type { Input, InputLog, LoggedInput } from "./input-log.ts";
export { type BootOptions, type BootOutcome, type Line, Machine } from "./machine.ts";
export type { Memory } from "./memory.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { OutputListener } from "./output-stream.ts";
export { type Registers, registerNames } from "./registers.ts";
export {
  type RunOptions,
  type RunResult,
  type Statistics,
  type StopReason,
  stopReasons,
  type VmxAbort,
} from "./run.ts";
export type { Vmx } from "./vmx.ts";
