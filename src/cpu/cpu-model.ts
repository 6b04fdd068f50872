import type { CpuModel } from "./core.ts";
import { cpuidOf } from "./cpuid.ts";
import { modelRows } from "./models.ts";

export interface ModelOptions {
  /** Logical processors in the package, 1 to 8; they are cores of one thread each. */
  readonly processors?: number;
  /** Set CPUID's hypervisor bit and leaf 40000000H. */
  readonly hypervisor?: boolean;
  /** Features to add or take away, by name. */
  readonly plus?: readonly string[];
  readonly minus?: readonly string[];
}

/** A CPU model by name, or undefined where `modelRows` has none of that name. */
export const cpuModel = (name: string, options: ModelOptions = {}): CpuModel | undefined => {
  const row = modelRows.find((candidate) => candidate.name === name);
  if (row === undefined) return undefined;
  const processors = options.processors ?? 1;
  const features = new Set([...row.features, ...(options.plus ?? [])]);
  if (processors > 1) features.add("HTT");
  if (options.hypervisor) features.add("HYPERVISOR");
  for (const feature of options.minus ?? []) features.delete(feature);
  const cpuid = cpuidOf(row, features, processors);
  return {
    name: row.name,
    has: (feature) => features.has(feature),
    physicalAddressBits: row.physicalAddressBits,
    linearAddressBits: 48,
    fixedMsrs: {
      ...row.msrs,
      IA32_ARCH_CAPABILITIES: row.architecturalCapabilities ?? 0n,
      IA32_BIOS_SIGN_ID: BigInt(row.microcodeRevision) << 32n,
    },
    cpuid,
  };
};
