import { CR4 } from "../../arch/control-registers.ts";
import { type CpuidRegister, featureFlags, OSXSAVE } from "../../arch/cpuid-leaves.ts";
import type { CpuModel } from "../../cpu/core.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import type { GuestFields } from "../host/guest-state.ts";
import { field } from "../host/vmcs-slots.ts";

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

/** Features that this hypervisor does not pass on: they would need more of it than running their instructions. */
const hidden = new Set(["VMX", "SMX", "MONITOR", "XSAVES", "WAITPKG", "PKU", "PKS", "CET_SS", "LA57"]);
/** Leaves whose answer depends on ECX, and how many of them are asked for. */
const subleaves: Readonly<Record<number, number>> = { 4: 4, 7: 3, 11: 2, 13: 3 };
/** Leaves that describe power management, monitors and counters of the hardware. */
const emptied = new Set([0x5, 0xa]);

const signature = { function: 0x4000_0000, highest: 0x4000_0001, text: "KVMKVMKVM\0\0\0" } as const;
/** Leaf 40000001H: I/O needs no delay. */
const paravirtual = 1 << 1;
const HYPERVISOR = featureFlags.find(({ name }) => name === "HYPERVISOR")!;

const word = (text: string, at: number): number =>
  new DataView(new TextEncoder().encode(text).buffer).getUint32(at, true);

/** What the processor offers and this hypervisor can give to a guest. */
export const supportedCpuid = (processor: LogicalProcessor): CpuidEntry[] => {
  const { model } = processor;
  const entries: CpuidEntry[] = [];
  const add = (leaf: number, index: number | undefined): void => {
    const answer = emptied.has(leaf)
      ? { eax: 0, ebx: 0, ecx: 0, edx: 0 }
      : { ...model.cpuid(processor, leaf, index ?? 0) };
    for (const { name, leaf: at, subleaf, register, bit } of featureFlags)
      if (hidden.has(name) && at === leaf && subleaf === (index ?? 0))
        answer[register] = (answer[register] & ~(1 << bit)) >>> 0;
    if (leaf === 1) answer.ecx = ((answer.ecx | (1 << HYPERVISOR.bit)) & ~OSXSAVE) >>> 0;
    entries.push({ function: leaf, index, ...answer });
  };
  for (const first of [0, 0x8000_0000]) {
    const last = model.cpuid(processor, first, 0).eax;
    for (let leaf = first; leaf <= last; leaf++) {
      const count = subleaves[leaf];
      if (count === undefined) add(leaf, undefined);
      else for (let index = 0; index < count; index++) add(leaf, index);
    }
  }
  const { text } = signature;
  entries.push(
    {
      function: signature.function,
      index: undefined,
      eax: signature.highest,
      ebx: word(text, 0),
      ecx: word(text, 4),
      edx: word(text, 8),
    },
    { function: signature.highest, index: undefined, eax: paravirtual, ebx: 0, ecx: 0, edx: 0 },
  );
  return entries;
};

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
