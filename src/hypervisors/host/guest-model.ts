import { CR4 } from "../../arch/control-registers.ts";
import { type CpuidRegister, featureFlags, OSXSAVE } from "../../arch/cpuid-leaves.ts";
import type { CpuModel } from "../../cpu/core.ts";
import type { GuestFields } from "./guest-state.ts";
import { field } from "./vmcs-slots.ts";

/** An answer of CPUID. */
export interface CpuidEntry {
  readonly function: number;
  /** Undefined: whatever ECX holds. */
  readonly index: number | undefined;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** A virtual processor's model: features and CPUID are what its user has set. */
export const guestModel = (
  host: CpuModel,
  entries: readonly CpuidEntry[],
  fields: () => GuestFields,
): CpuModel => {
  const leaves = new Map<number, CpuidEntry[]>();
  for (const entry of entries) leaves.set(entry.function, [...(leaves.get(entry.function) ?? []), entry]);
  const features = new Map<string, boolean>();
  for (const { name, leaf, subleaf, register, bit } of featureFlags) {
    const entry = leaves.get(leaf)?.find(({ index }) => (index ?? 0) === subleaf);
    features.set(name, entry !== undefined && ((entry[register as CpuidRegister] >>> bit) & 1) === 1);
  }
  const limits = [0, 0x4000_0000, 0x8000_0000].map((first) => leaves.get(first)?.[0]?.eax ?? 0);
  return {
    name: host.name,
    has: (feature) => features.get(feature) ?? false,
    physicalAddressBits: host.physicalAddressBits,
    linearAddressBits: host.linearAddressBits,
    ...(host.fixedMsrs === undefined ? {} : { fixedMsrs: host.fixedMsrs }),
    cpuid: (_core, leaf, subleaf) => {
      const limit = limits[leaf >>> 31 ? 2 : leaf >>> 30 ? 1 : 0]!;
      // Beyond the last leaf, the highest basic one answers.
      const at = leaf > limit ? limits[0]! : leaf;
      const candidates = leaves.get(at);
      const entry = candidates?.find(({ index }) => index === undefined || index === subleaf);
      if (entry === undefined) return { eax: 0, ebx: 0, ecx: at === 0xb ? subleaf & 0xff : 0, edx: 0 };
      const { eax, ebx, edx } = entry;
      const isOsxsave =
        at === 1 &&
        (entry.ecx >>> 26) & 1 &&
        (fields().read32(field["guest.cr4"]) & Number(CR4.OSXSAVE)) !== 0;
      return { eax, ebx, ecx: (isOsxsave ? entry.ecx | OSXSAVE : entry.ecx) >>> 0, edx };
    },
  };
};
