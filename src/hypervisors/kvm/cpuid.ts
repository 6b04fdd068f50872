import { featureFlags, OSXSAVE } from "../../arch/cpuid-leaves.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import type { CpuidEntry } from "../host/guest-model.ts";

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
