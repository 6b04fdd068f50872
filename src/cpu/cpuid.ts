import { CR4 } from "../arch/control-registers.ts";
import { APIC, featureFlags, MONITOR, NX, OSXSAVE, SYSCALL } from "../arch/cpuid-leaves.ts";
import { IA32_MISC_ENABLE } from "../arch/msrs.ts";
import { extendedComponents } from "../arch/xsave-area.ts";
import { supportedXCR0 } from "./control-registers.ts";
import type { Core } from "./core.ts";
import { xsaveAreaBytes } from "./fpu-state.ts";
import { is64Bit } from "./mode.ts";
import { type CacheRow, crystalHz, type ModelRow, tscHz } from "./models.ts";
import { offersNX } from "./msrs.ts";

/** CPUID leaves of a model (SDM Vol. 2, CPUID). */

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

type Leaf = (core: Core, subleaf: number, result: CpuidResult) => void;

const cacheType = { data: 1, instruction: 2, unified: 3 } as const;
const lineBytes = 64;

/** Four ASCII characters, low byte first. */
const fourCharacters = (text: string, at: number): number => {
  let value = 0;
  for (let n = 3; n >= 0; n--) value = (value << 8) | (text.charCodeAt(at + n) || 0);
  return value;
};

/** Bits of an APIC ID that number the cores. */
const coreIdBits = (processors: number): number => Math.ceil(Math.log2(processors));

const cacheParameters = (row: CacheRow, processors: number, result: CpuidResult): void => {
  const ids = 1 << coreIdBits(processors);
  const sharing = row.shared ? ids - 1 : 0;
  result.eax = cacheType[row.type] | (row.level << 5) | (1 << 8) | (sharing << 14) | ((ids - 1) << 26);
  result.ebx = (lineBytes - 1) | ((row.ways - 1) << 22);
  result.ecx = row.sets - 1;
  result.edx = 0;
};

const signature = ({ family, model, stepping }: ModelRow): number =>
  stepping |
  ((model & 0xf) << 4) |
  (Math.min(family, 15) << 8) |
  ((model >> 4) << 16) |
  (Math.max(family - 15, 0) << 20);

const MHz = 1_000_000;

/** Leaves with contents beyond feature flags. */
const leavesOf = (row: ModelRow, processors: number): Map<number, Leaf> => {
  const brand = row.brand.padEnd(48, "\0");
  const leaves = new Map<number, Leaf>();
  leaves.set(0x0, (core, _subleaf, result) => {
    const limited = core.state.IA32_MISC_ENABLE & IA32_MISC_ENABLE.limitCpuidMaxval;
    result.eax = limited ? Math.min(row.maxBasicLeaf, 3) : row.maxBasicLeaf;
    result.ebx = fourCharacters(row.vendor, 0);
    result.edx = fourCharacters(row.vendor, 4);
    result.ecx = fourCharacters(row.vendor, 8);
  });
  leaves.set(0x1, (core, _subleaf, result) => {
    result.eax = signature(row);
    result.ebx = (core.index << 24) | ((processors > 1 ? 1 << coreIdBits(processors) : 0) << 16);
    if (core.model.has("CLFSH")) result.ebx |= (lineBytes / 8) << 8;
    if (core.state.CR4 & CR4.OSXSAVE) result.ecx |= OSXSAVE;
    if (!(core.state.IA32_MISC_ENABLE & IA32_MISC_ENABLE.monitor)) result.ecx &= ~MONITOR;
    if (!((core.apic.readMsr(0x1b) ?? 0x800n) & 0x800n)) result.edx &= ~APIC;
  });
  leaves.set(0x2, (_core, _subleaf, result) => {
    [result.eax, result.ebx, result.ecx, result.edx] = row.cacheDescriptors;
  });
  leaves.set(0x4, (_core, subleaf, result) => {
    const cache = row.caches[subleaf];
    if (cache) cacheParameters(cache, processors, result);
  });
  leaves.set(0x5, (core, _subleaf, result) => {
    if (!core.model.has("MONITOR")) return;
    result.eax = result.ebx = lineBytes;
    // Extensions are enumerated, interrupts can break MWAIT; no C-states below C0, so that idle loops choose HLT.
    result.ecx = 3;
  });
  leaves.set(0x7, (core, subleaf, result) => {
    const subleaves = featureFlags.filter(({ leaf, name }) => leaf === 7 && core.model.has(name));
    if (subleaf === 0) result.eax = Math.max(0, ...subleaves.map((flag) => flag.subleaf));
  });
  leaves.set(0xb, (core, subleaf, result) => {
    result.edx = core.index;
    result.ecx = subleaf & 0xff;
    if (subleaf === 0) {
      result.ebx = 1;
      result.ecx |= 1 << 8; // SMT
    } else if (subleaf === 1) {
      result.eax = coreIdBits(processors);
      result.ebx = processors;
      result.ecx |= 2 << 8; // core
    }
  });
  leaves.set(0xd, (core, subleaf, result) => {
    if (!core.model.has("XSAVE")) return;
    const supported = supportedXCR0(core.model);
    if (subleaf === 0) {
      result.eax = Number(supported);
      result.ebx = xsaveAreaBytes(core.state.XCR0, false);
      result.ecx = xsaveAreaBytes(supported, false);
    } else if (subleaf === 1) {
      if (core.model.has("XSAVES")) result.ebx = xsaveAreaBytes(core.state.XCR0 | core.state.IA32_XSS, true);
    } else {
      const component = extendedComponents.find(({ number }) => number === subleaf);
      if (component === undefined || !(supported & (1n << BigInt(subleaf)))) return;
      result.eax = component.bytes;
      result.ebx = component.offset;
    }
  });
  leaves.set(0x15, (_core, _subleaf, result) => {
    result.eax = 1;
    result.ebx = tscHz / crystalHz;
    result.ecx = crystalHz;
  });
  leaves.set(0x16, (_core, _subleaf, result) => {
    result.eax = result.ebx = tscHz / MHz;
    result.ecx = 100;
  });
  leaves.set(0x8000_0000, (_core, _subleaf, result) => {
    result.eax = row.maxExtendedLeaf;
  });
  leaves.set(0x8000_0001, (core, _subleaf, result) => {
    if (!is64Bit(core.state)) result.edx &= ~SYSCALL;
    if (!offersNX(core)) result.edx &= ~NX;
  });
  for (let n = 0; n < 3; n++)
    leaves.set(0x8000_0002 + n, (_core, _subleaf, result) => {
      result.eax = fourCharacters(brand, 16 * n);
      result.ebx = fourCharacters(brand, 16 * n + 4);
      result.ecx = fourCharacters(brand, 16 * n + 8);
      result.edx = fourCharacters(brand, 16 * n + 12);
    });
  leaves.set(0x8000_0006, (_core, _subleaf, result) => {
    const cache = row.caches.find(({ level }) => level === 2);
    if (cache) result.ecx = (((cache.ways * cache.sets * lineBytes) / 1024) << 16) | (8 << 12) | lineBytes;
  });
  leaves.set(0x8000_0008, (core, _subleaf, result) => {
    result.eax =
      core.model.physicalAddressBits | ((core.model.has("LM") ? core.model.linearAddressBits : 32) << 8);
  });
  leaves.set(0x4000_0000, (_core, _subleaf, result) => {
    result.eax = 0x4000_0000;
    result.ebx = fourCharacters("Worldswitch", 0);
    result.ecx = fourCharacters("Worldswitch", 4);
    result.edx = fourCharacters("Worldswitch", 8);
  });
  return leaves;
};

/** The leaf that answers: beyond the last one, Intel processors give the highest basic leaf. */
const effectiveLeaf = (row: ModelRow, features: ReadonlySet<string>, leaf: number): number => {
  if (leaf <= row.maxBasicLeaf) return leaf;
  if (leaf >= 0x8000_0000 && leaf <= row.maxExtendedLeaf) return leaf;
  if (leaf === 0x4000_0000 && features.has("HYPERVISOR")) return leaf;
  return row.maxBasicLeaf;
};

const noFlags: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

/** The CPUID function of a model with these features. */
export const cpuidOf = (
  row: ModelRow,
  features: ReadonlySet<string>,
  processors: number,
): ((core: Core, leaf: number, subleaf: number) => CpuidResult) => {
  const leaves = leavesOf(row, processors);
  const flags = new Map<number, CpuidResult>();
  const keyOf = (leaf: number, subleaf: number): number => leaf * 0x1_0000 + Math.min(subleaf >>> 0, 0xffff);
  for (const { name, leaf, subleaf, register, bit } of featureFlags) {
    if (!features.has(name)) continue;
    const key = keyOf(leaf, subleaf);
    const found = flags.get(key) ?? { ...noFlags };
    flags.set(key, found);
    found[register] |= 1 << bit;
  }
  return (core, asked, subleaf) => {
    const leaf = effectiveLeaf(row, features, asked >>> 0);
    // Leaves without subleaves ignore ECX.
    const isPlain = leaf === 1 || leaf === 6 || leaf >= 0x8000_0000;
    const result = { ...(flags.get(keyOf(leaf, isPlain ? 0 : subleaf)) ?? noFlags) };
    leaves.get(leaf)?.(core, subleaf >>> 0, result);
    return result;
  };
};
