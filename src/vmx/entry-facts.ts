import { type VmcsFieldName, vmcsField, vmcsFields } from "../arch/vmcs-fields.ts";
import {
  type ControlFieldName,
  type ControlKey,
  type VmxControl,
  vmxControls,
} from "../arch/vmx-controls.ts";
import type { VmxCapabilities } from "./capabilities.ts";

/**
 * What the checks of VM entry look at. On the machine all of it is known; of a pasted dump some is not: reading that is
 * recorded in `missing` and gives 0, and the verdict of the check that read it is "not known".
 */

/** `guest.cs.selector` as `guest: { cs: { selector } }`. */
type Rest<Name extends string, Head extends string> = Name extends `${Head}.${infer Tail}` ? Tail : never;
type Tree<Name extends string> = {
  readonly [Head in Name extends `${infer Area}.${string}` ? Area : Name]: [Rest<Name, Head>] extends [never]
    ? bigint
    : Tree<Rest<Name, Head>>;
};
export type VmcsTree = Tree<VmcsFieldName>;

/** Where field values come from; undefined: not known. `ordinal` as in `vmcsFields`. */
export interface FieldSource {
  value(ordinal: number): bigint | undefined;
  /** Low 32 bits. */
  low(ordinal: number): number | undefined;
  /** High 32 bits, where that is faster than by way of the value. */
  high?(ordinal: number): number;
}

/** What VM entry sees of the processor beside the VMCS. */
export interface ProcessorTraits {
  readonly physicalAddressBits: number;
  readonly linearAddressBits: number;
  /** CPUID features by the SDM's name. */
  has(feature: string): boolean;
  /** IA32_EFER.LMA at the time of VM entry; undefined: not known. */
  inIa32eMode(): boolean | undefined;
  /** The current-VMCS pointer; undefined: not known. */
  currentVmcs(): bigint | undefined;
  /** The processor is in SMM, or has the dual-monitor treatment: here never. */
  readonly inSMM: boolean;
  /** Bits of IA32_PERF_GLOBAL_CTRL and of IA32_DEBUGCTL that are not reserved. */
  readonly perfGlobalCtrl: bigint;
  readonly debugctl: bigint;
}

/** 32 bits of memory at a physical address; undefined: not known. Beyond memory there are all ones. */
export type ReadPhysical = (address: bigint) => number | undefined;

const areaOrdinals = new Map<string, number>(vmcsFields.map(({ name, ordinal }) => [name, ordinal]));

/** The object behind `VmcsTree`: a getter per field, an object per area and register. */
const growTree = (names: readonly string[], path: string, facts: EntryFacts): object => {
  const node = {};
  for (const head of new Set(names.map((name) => name.split(".", 1)[0]!))) {
    const ordinal = areaOrdinals.get(`${path}${head}`);
    if (ordinal !== undefined) {
      Object.defineProperty(node, head, { get: () => facts.value(ordinal), enumerable: true });
      continue;
    }
    const inner = names
      .filter((name) => name.startsWith(`${head}.`))
      .map((name) => name.slice(head.length + 1));
    Object.defineProperty(node, head, {
      value: growTree(inner, `${path}${head}.`, facts),
      enumerable: true,
    });
  }
  return node;
};

const ordinalOf = (field: ControlFieldName): number => vmcsField(field).ordinal;
const processorBased = ordinalOf("control.processorBased");
/** Words that count only when a primary control activates them. */
const activatedBy: Readonly<Partial<Record<ControlFieldName, number>>> = {
  "control.secondaryProcessorBased": 1 << 31,
  "control.tertiaryProcessorBased": 1 << 17,
};

const growControls = (facts: EntryFacts): object => {
  const node = {};
  for (const control of vmxControls)
    Object.defineProperty(node, control.key, { get: () => facts.isSet(control), enumerable: true });
  return node;
};

/** Things outside the VMCS that a check may look at. */
export const Touched = { memory: 1, mode: 2 } as const;

export class EntryFacts {
  /** Values of fields, zero-extended: `vmcs.guest.cr0`. */
  readonly vmcs: VmcsTree;
  /** Controls in effect: a secondary control counts only when the secondary controls are activated. */
  readonly controls: Readonly<Record<ControlKey, boolean>>;
  readonly capability: VmxCapabilities;
  readonly cpu: ProcessorTraits;
  /** What was read and is not known, since the last `forget`: fields by name, "memory at 0x1000", "IA32_EFER.LMA". */
  readonly missing = new Set<string>();
  /** What was looked at beside fields since the last `forget`: bits of `Touched`. */
  touched = 0;
  readonly #fields: FieldSource;
  readonly #memory: ReadPhysical;

  constructor(fields: FieldSource, capability: VmxCapabilities, cpu: ProcessorTraits, memory: ReadPhysical) {
    this.#fields = fields;
    this.capability = capability;
    this.cpu = cpu;
    this.#memory = memory;
    this.vmcs = growTree(
      vmcsFields.map(({ name }) => name),
      "",
      this,
    ) as VmcsTree;
    this.controls = growControls(this) as Readonly<Record<ControlKey, boolean>>;
  }

  /** Before a check runs. */
  forget(): void {
    if (this.missing.size > 0) this.missing.clear();
    this.touched = 0;
  }

  /** A field by its ordinal. */
  value(ordinal: number): bigint {
    const value = this.#fields.value(ordinal);
    if (value !== undefined) return value;
    this.missing.add(vmcsFields[ordinal]!.name);
    return 0n;
  }

  field(name: VmcsFieldName): bigint {
    return this.value(vmcsField(name).ordinal);
  }

  /** A control is in effect. */
  isSet(control: VmxControl): boolean {
    const activation = activatedBy[control.field];
    if (activation !== undefined && (this.low(processorBased) & activation) === 0) return false;
    return (this.low(vmcsField(control.field).ordinal) & (1 << control.bit)) !== 0;
  }

  /** Low 32 bits of a field, unsigned. */
  low(ordinal: number): number {
    const low = this.#fields.low(ordinal);
    if (low !== undefined) return low;
    this.missing.add(vmcsFields[ordinal]!.name);
    return 0;
  }

  /** High 32 bits of a field, unsigned. */
  high(ordinal: number): number {
    return this.#fields.high?.(ordinal) ?? Number(this.value(ordinal) >> 32n);
  }

  /** 32 bits at a physical address. */
  read32(address: bigint): number {
    this.touched |= Touched.memory;
    const value = this.#memory(address);
    if (value !== undefined) return value;
    this.missing.add(`memory at 0x${address.toString(16)}`);
    return 0;
  }

  /** IA32_EFER.LMA of the processor that enters. */
  get inIa32eMode(): boolean {
    this.touched |= Touched.mode;
    const known = this.cpu.inIa32eMode();
    if (known === undefined) this.missing.add("IA32_EFER.LMA");
    return known ?? false;
  }

  get currentVmcs(): bigint {
    this.touched |= Touched.memory;
    const known = this.cpu.currentVmcs();
    if (known === undefined) this.missing.add("current-VMCS pointer");
    return known ?? 0n;
  }
}
