import { type VmxFeature, vmxFeatures, vmxNeeds } from "../arch/vmx-capabilities.ts";
import type { CpuModel } from "./core.ts";
import { cpuidOf } from "./cpuid.ts";
import { modelRows } from "./models.ts";

export interface ModelOptions {
  /** Logical processors in the package, 1 to 8; they are cores of one thread each. */
  readonly processors?: number;
  /** Set CPUID's hypervisor bit and leaf 40000000H. */
  readonly hypervisor?: boolean;
  /**
   * Features to add or take away, by name: CPUID's (arch/cpuid-leaves.ts), controls of VT-x (arch/vmx-controls.ts) and its
   * capabilities (arch/vmx-capabilities.ts). What is added brings the VT-x that it needs; what needs something absent is absent.
   */
  readonly plus?: readonly string[];
  readonly minus?: readonly string[];
}

const needs = (feature: string): readonly string[] => vmxNeeds[feature as VmxFeature] ?? [];
const isVmxFeature = (feature: string): boolean => vmxFeatures.has(feature);

/** Add a feature, and what of VT-x it needs. */
const add = (features: Set<string>, feature: string): void => {
  if (features.has(feature)) return;
  features.add(feature);
  for (const needed of needs(feature)) if (isVmxFeature(needed)) add(features, needed);
};

/** Take away VT-x that lacks what it needs, until nothing more goes. */
const dropUseless = (features: Set<string>): void => {
  for (let before = -1; before !== features.size; ) {
    before = features.size;
    for (const feature of features)
      if (
        isVmxFeature(feature) &&
        !(features.has("VMX") && needs(feature).every((need) => features.has(need)))
      )
        features.delete(feature);
  }
};

/** A CPU model by name, or undefined where `modelRows` has none of that name. */
export const cpuModel = (name: string, options: ModelOptions = {}): CpuModel | undefined => {
  const row = modelRows.find((candidate) => candidate.name === name);
  if (row === undefined) return undefined;
  const processors = options.processors ?? 1;
  const features = new Set<string>([...row.features, ...(row.vmx ?? [])]);
  for (const feature of options.plus ?? []) add(features, feature);
  if (processors > 1) features.add("HTT");
  if (options.hypervisor) features.add("HYPERVISOR");
  for (const feature of options.minus ?? []) features.delete(feature);
  dropUseless(features);
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
