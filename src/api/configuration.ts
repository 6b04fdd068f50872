import type { CpuModel } from "../cpu/core.ts";
import { cpuModel } from "../cpu/cpu-model.ts";
import type { Tier } from "../cpu/execution-engine.ts";
import { maximumRamBytes } from "../cpu/guest-memory.ts";
import { modelRows } from "../cpu/models.ts";
import type { BlockStorage } from "../devices/virtio-blk.ts";
import { type HypervisorName, hypervisorNames } from "../hypervisors/index.ts";
import type { BoardConfiguration } from "../machine/boot-machine.ts";
import type { DiskConfiguration } from "../machine/pc-doors.ts";
import type { InputLog } from "./input-log.ts";

const MIB = 0x10_0000;
export const largestMemoryMiB = maximumRamBytes / MIB;
export const mostProcessors = 8;
const mostDisks = 8;

/** What a machine is made of. Everything has a default. */
export interface MachineOptions {
  /** RAM in MiB, 1 to 3840; default 512. */
  readonly memoryMiB?: number;
  /** Logical processors, 1 to 8; default 1. They take turns on one thread. */
  readonly processors?: number;
  /** CPU model, one of `cpuModels`, and what to change about it: "nehalem", "default,-PCID,-enableEPT", "core2,+AES"; default "default". */
  readonly model?: string;
  /** Disks: the guest sees them as virtio block devices, in this order. */
  readonly disks?: readonly (BlockStorage | DiskConfiguration)[];
  /** Seed of RDRAND, RDSEED and the entropy device; default 0. */
  readonly seed?: number | bigint;
  /** What the real-time clock shows at power-on: a Date, or seconds since 1970. Default: 2025-01-01 00:00 UTC, so that runs repeat. */
  readonly startTime?: Date | number;
  /**
   * While all processors are halted, let virtual time pass as fast as real time instead of jumping to the next event; default false.
   * A run is then no longer a function of its configuration alone, but its input log repeats it.
   */
  readonly realTime?: boolean;
  /** A port whose bytes go to `debugcon`, besides 0xE9. */
  readonly debugconPort?: number;
  /**
   * What carries out instructions; the guest cannot tell. Default "jit"; "evaluator" is the executable specification, slow. "both" runs two
   * machines, one with the JIT and behind it one with the interpreter, and ends the run with "tiers-differ" at the first difference: for tests,
   * slow, and with twice the memory.
   */
  readonly tier?: Tier | "both";
  /** Make the image the guest of one of our hypervisors on the machine: memory, processors and disks are then the guest's. Default: none. */
  readonly hypervisor?: HypervisorName;
  /** What a reset by the guest does: start the image again, or end `run` with "reset". Default "restart". */
  readonly onReset?: "restart" | "stop";
  /** Told of each use of something the machine does not have: a port, an address, an MSR. */
  readonly unimplemented?: (what: string) => void;
  /** Inputs recorded by another machine of the same configuration: they are given again at the same instructions. */
  readonly replay?: InputLog;
}

/** An option of `Machine.create` has a value it cannot have. The message is one sentence. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

const refuse = (message: string): never => {
  throw new ConfigurationError(message);
};

const wholeNumber = (name: string, value: number, least: number, most: number): number =>
  Number.isInteger(value) && value >= least && value <= most
    ? value
    : refuse(`${name} is ${value}, expected a whole number from ${least} to ${most}`);

/** CPU models by name, each with what it is. */
export const cpuModels: readonly { readonly name: string; readonly about: string }[] = modelRows.map(
  ({ name, about }) => ({ name, about }),
);

/** Features that exist here: what at least one model has, by the SDM's name in lower case. */
const cpuidNames = [...new Set(modelRows.flatMap(({ features }) => features))].sort();
const vmxNames = [...new Set(modelRows.flatMap(({ vmx = [] }) => vmx))].sort();

const withoutSeparators = (name: string): string => name.toLowerCase().replace(/[-_ ]/g, "");

/** Names as a user may write them: case and separators do not count, and "EPT" is short for "enableEPT". CPUID's come first. */
const canonicalNames: ReadonlyMap<string, string> = new Map([
  ...vmxNames.map(
    (name) => [withoutSeparators(name.replace(/^(?:enable|use|activate)(?=[A-Z])/, "")), name] as const,
  ),
  ...vmxNames.map((name) => [withoutSeparators(name), name] as const),
  ...cpuidNames.map((name) => [withoutSeparators(name), name] as const),
]);

/** A CPU model by name, with changes. Throws a `ConfigurationError` where there is none. */
export const modelOf = (text: string, processors: number): CpuModel => {
  const [name = "", ...changes] = text.split(",");
  const names = cpuModels.map((model) => model.name).join(", ");
  const plus: string[] = [];
  const minus: string[] = [];
  for (const change of changes) {
    const feature = canonicalNames.get(withoutSeparators(change.slice(1)));
    if (!/^[+-]/.test(change))
      refuse(`CPU model "${text}": "${change}" is not a change, expected +FEATURE or -FEATURE`);
    (change.startsWith("+") ? plus : minus).push(
      feature ??
        refuse(
          `CPU model "${text}": there is no feature "${change.slice(1)}" here, expected one of ${[...cpuidNames, ...vmxNames].join(", ")}`,
        ),
    );
  }
  return (
    cpuModel(name, { processors, plus, minus }) ??
    refuse(`there is no CPU model "${name}", expected one of ${names}`)
  );
};

const diskOf = (disk: BlockStorage | DiskConfiguration): DiskConfiguration =>
  "storage" in disk ? disk : { storage: disk };

const tiers = ["jit", "interpreter", "evaluator", "both"] as const satisfies readonly (Tier | "both")[];

/** A checked configuration. */
export interface Configuration {
  readonly board: BoardConfiguration;
  readonly realTime: boolean;
  /** Undefined: what engines begin with. */
  readonly tier: Tier | "both" | undefined;
  readonly onReset: "restart" | "stop";
  readonly hypervisor: HypervisorName | undefined;
  readonly replay: InputLog | undefined;
}

export const configurationOf = (options: MachineOptions): Configuration => {
  const { memoryMiB = 512, processors = 1, model = "default", disks = [], seed = 0 } = options;
  const { startTime, debugconPort, realTime = false, tier, onReset = "restart" } = options;
  const { hypervisor } = options;
  wholeNumber("memoryMiB", memoryMiB, 1, largestMemoryMiB);
  wholeNumber("processors", processors, 1, mostProcessors);
  if (debugconPort !== undefined) wholeNumber("debugconPort", debugconPort, 0, 0xffff);
  if (typeof seed === "number") wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  if (hypervisor !== undefined && !hypervisorNames.includes(hypervisor))
    refuse(`hypervisor is "${hypervisor}", expected one of ${hypervisorNames.join(", ")}`);
  if (tier !== undefined && !tiers.includes(tier))
    refuse(`tier is "${tier}", expected one of ${tiers.join(", ")}`);
  if (disks.length > mostDisks) refuse(`there are ${disks.length} disks, expected at most ${mostDisks}`);
  const startUnixSeconds = startTime instanceof Date ? Math.floor(startTime.getTime() / 1000) : startTime;
  if (startUnixSeconds !== undefined && !Number.isFinite(startUnixSeconds))
    refuse(`startTime is ${startUnixSeconds}, expected a date`);
  return {
    board: {
      memoryBytes: memoryMiB * MIB,
      processors,
      model: modelOf(model, processors),
      disks: disks.map(diskOf),
      seed: BigInt(seed),
      ...(startUnixSeconds === undefined ? {} : { startUnixSeconds: Math.floor(startUnixSeconds) }),
      ...(debugconPort === undefined ? {} : { debugconPort }),
    },
    realTime,
    tier,
    onReset,
    hypervisor,
    replay: options.replay,
  };
};
