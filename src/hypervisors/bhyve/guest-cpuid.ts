import type { Core } from "../../cpu/core.ts";
import { VM_MAXCPU } from "./vmm.ts";

/** CPUID as guests see it: the host's, without what they cannot have. */

export interface CpuidRegisters {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const hypervisorLeaf = 0x4000_0000;
const signature = "bhyve bhyve ";
const leafEcx = {
  MONITOR: 3,
  VMX: 5,
  EST: 7,
  TM2: 8,
  PDCM: 15,
  XSAVE: 26,
  OSXSAVE: 27,
  AVX: 28,
  DTES64: 2,
  DSCPL: 4,
  hypervisor: 31,
} as const;
const leafEdx = { MCE: 7, MTRR: 12, MCA: 14, DS: 21, ACPI: 22, HTT: 28, TM: 29 } as const;
const RDTSCP = 27;

const bits = (numbers: readonly number[]): number => numbers.reduce((mask, bit) => mask | (1 << bit), 0);
const hiddenEcx = bits([
  leafEcx.VMX,
  leafEcx.EST,
  leafEcx.TM2,
  leafEcx.XSAVE,
  leafEcx.OSXSAVE,
  leafEcx.AVX,
  leafEcx.MONITOR,
  leafEcx.PDCM,
  leafEcx.DTES64,
  leafEcx.DSCPL,
]);
const hiddenEdx = bits([
  leafEdx.MCA,
  leafEdx.MCE,
  leafEdx.MTRR,
  leafEdx.DS,
  leafEdx.HTT,
  leafEdx.ACPI,
  leafEdx.TM,
]);
const FMA = 12;
/** Leaves that ECX chooses a part of, of those that guests see. */
const hasSubleaves: ReadonlySet<number> = new Set([0x4, 0xb]);
const zeroLeaves = new Set([0x6, 0x7, 0xa, 0xd]);

const word = (text: string, at: number): number =>
  [3, 2, 1, 0].reduce((value, n) => (value << 8) | text.charCodeAt(at + n), 0);

/** How many bits of an APIC ID number virtual processors. */
const idBits = (count: number): number => Math.ceil(Math.log2(count));

export class GuestCpuid {
  readonly #host: Core;
  readonly #processors: number;
  /** Answers by leaf and subleaf: they do not change, but for the APIC ID. */
  readonly #known = new Map<number, CpuidRegisters>();

  constructor(host: Core, processors: number) {
    this.#host = host;
    this.#processors = processors;
  }

  #leaf(leaf: number): number {
    const ask = (first: number): number => this.#host.model.cpuid(this.#host, first, 0).eax >>> 0;
    if (leaf >= 0x8000_0000) return Math.min(leaf, ask(0x8000_0000));
    if (leaf >= hypervisorLeaf) return hypervisorLeaf;
    return Math.min(leaf, ask(0));
  }

  /** `vcpu` is the APIC ID. */
  answer(vcpu: number, leaf: number, subleaf: number): CpuidRegisters {
    const part = hasSubleaves.has(leaf) ? Math.min(subleaf, 0xff) : 0;
    const key = ((leaf >>> 28) * 256 + (leaf & 0xff)) * 2048 + part * VM_MAXCPU + vcpu;
    // Leaves that mean nothing are not kept: a guest may ask for any.
    if ((leaf & 0x0fff_ff00) !== 0) return this.#compute(vcpu, leaf, subleaf);
    let registers = this.#known.get(key);
    if (registers === undefined) {
      registers = this.#compute(vcpu, leaf, part);
      this.#known.set(key, registers);
    }
    return registers;
  }

  #compute(vcpu: number, asked: number, subleaf: number): CpuidRegisters {
    const leaf = this.#leaf(asked);
    if (leaf === hypervisorLeaf)
      return {
        eax: hypervisorLeaf,
        ebx: word(signature, 0),
        ecx: word(signature, 4),
        edx: word(signature, 8),
      };
    if (zeroLeaves.has(leaf)) return { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    const result = { ...this.#host.model.cpuid(this.#host, leaf, subleaf) };
    const count = this.#processors;
    switch (leaf) {
      case 0x1:
        result.ebx = (result.ebx & 0xff00) | (vcpu << 24) | ((count > 1 ? 1 << idBits(count) : 0) << 16);
        result.ecx = (result.ecx & ~hiddenEcx & ~(1 << FMA)) | (1 << leafEcx.hypervisor);
        result.edx = (result.edx & ~hiddenEdx) | (count > 1 ? 1 << leafEdx.HTT : 0);
        break;
      case 0x4:
        // No sharing that anyone should count on.
        result.eax = (result.eax & 0x3fff) | ((count - 1) << 26);
        break;
      case 0xb:
        result.edx = vcpu;
        result.ecx = subleaf & 0xff;
        result.eax = subleaf === 1 ? idBits(count) : 0;
        result.ebx = subleaf === 0 ? 1 : subleaf === 1 ? count : 0;
        if (subleaf < 2) result.ecx |= (subleaf + 1) << 8;
        break;
      case 0x8000_0001:
        result.edx &= ~(1 << RDTSCP);
        break;
    }
    return result;
  }
}
