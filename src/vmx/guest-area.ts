import { access as rights } from "../arch/descriptors.ts";
import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { layout, offsetOf, segmentRegisters } from "../state/layout.ts";
import { fieldOffset, type Vmcs } from "./vmcs.ts";

/**
 * What VM entry loads from the guest-state area and VM exit saves there, as pairs of places that are copied word by word (SDM Vol. 3,
 * "Guest-State Area"). Fields with rules of their own (CR0, debug controls, EFER, PAT ...) are in vm-entry.ts and vm-exit.ts.
 */

/** Field of the VMCS, field of the processor's state. */
type Pair = readonly [VmcsFieldName, string];

const segments = segmentRegisters.flatMap((name): Pair[] => {
  const area = `guest.${name.toLowerCase()}` as "guest.cs";
  return [
    [`${area}.selector`, `${name}.selector`],
    [`${area}.base`, `${name}.base`],
    [`${area}.limit`, `${name}.limit`],
    [`${area}.access`, `${name}.access`],
  ];
});

// biome-ignore format: one row per fact
const pairs: readonly Pair[] = [
  ...segments,
  ["guest.cr3", "CR3"], ["guest.cr4", "CR4"],
  ["guest.gdtr.base", "GDTR.base"], ["guest.gdtr.limit", "GDTR.limit"], ["guest.idtr.base", "IDTR.base"], ["guest.idtr.limit", "IDTR.limit"],
  ["guest.rsp", "RSP"], ["guest.rip", "RIP"], ["guest.rflags", "RFLAGS"],
  ["guest.ia32SysenterCs", "IA32_SYSENTER_CS"], ["guest.ia32SysenterEsp", "IA32_SYSENTER_ESP"], ["guest.ia32SysenterEip", "IA32_SYSENTER_EIP"],
  ["guest.pendingDebugExceptions", "pendingDebug"],
  ["guest.activity", "activity"],
];

/** Offsets in the VMCS and in the state, alternating, of each 32-bit word that is copied. */
const wordsOf = (list: readonly Pair[]): Uint16Array => {
  const words: number[] = [];
  for (const [field, name] of list)
    for (let word = 0; word < layout.get(name)!.size; word += 4)
      words.push(fieldOffset(field) + word, offsetOf(name) + word);
  return Uint16Array.from(words);
};
const words = wordsOf(pairs);
/** High halves of fields whose state has 32 bits: saved as 0. */
const highHalves = Uint16Array.from(
  pairs.filter(([, name]) => layout.get(name)!.size === 4).map(([field]) => fieldOffset(field) + 4),
);
const pdptes = wordsOf([
  ["guest.pdpte0", "PDPTE0"],
  ["guest.pdpte1", "PDPTE1"],
  ["guest.pdpte2", "PDPTE2"],
  ["guest.pdpte3", "PDPTE3"],
]);

const load = ({ view, base }: Vmcs, state: DataView, list: Uint16Array): void => {
  for (let n = 0; n < list.length; n += 2)
    state.setUint32(list[n + 1]!, view.getUint32(base + list[n]!, true), true);
};
const save = ({ view, base }: Vmcs, state: DataView, list: Uint16Array): void => {
  for (let n = 0; n < list.length; n += 2)
    view.setUint32(base + list[n]!, state.getUint32(list[n + 1]!, true), true);
};

const accessOffsets = segmentRegisters.map((name) => offsetOf(`${name}.access`));
const selectorOffsets = segmentRegisters.map((name) => offsetOf(`${name}.selector`));
/** ES, CS, SS, DS: bits 63:32 of their bases are always 0. */
const shortBases = segmentRegisters.slice(0, 4).map((name) => offsetOf(`${name}.base`));
const accessBits = rights.fromDescriptor | rights.unusable;

export const loadGuestArea = (vmcs: Vmcs, state: CpuState): void => {
  const { view } = state;
  load(vmcs, view, words);
  // Fields of unusable registers are not checked and may hold anything.
  for (let n = 0; n < accessOffsets.length; n++) {
    const at = accessOffsets[n]!;
    view.setUint32(at, view.getUint32(at, true) & accessBits, true);
    const selector = selectorOffsets[n]!;
    view.setUint32(selector, view.getUint32(selector, true) & 0xffff, true);
  }
  for (let n = 0; n < shortBases.length; n++) view.setUint32(shortBases[n]! + 4, 0, true);
};

export const saveGuestArea = (vmcs: Vmcs, state: CpuState): void => {
  save(vmcs, state.view, words);
  for (let n = 0; n < highHalves.length; n++) vmcs.view.setUint32(vmcs.base + highHalves[n]!, 0, true);
};

export const loadGuestPdptes = (vmcs: Vmcs, state: CpuState): void => load(vmcs, state.view, pdptes);
export const saveGuestPdptes = (vmcs: Vmcs, state: CpuState): void => save(vmcs, state.view, pdptes);
