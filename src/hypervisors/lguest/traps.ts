import { systemType } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { hex } from "../../machine/boot/memory-map.ts";
import {
  firstInterruptVector,
  guestRing,
  hypercallVector,
  selector,
  syscallVector,
  virtualInterrupts,
} from "./abi.ts";
import { changed, Guest } from "./guest.ts";
import { state } from "./layout.ts";
import type { Switcher, SwitcherPages } from "./switcher.ts";

/** The guest's IDT: what it may set, which gates the processor uses itself, and how the host delivers the rest. */

const [IF, TF, RF, NT] = [Number(RFLAGS.IF), Number(RFLAGS.TF), Number(RFLAGS.RF), Number(RFLAGS.NT)];
/** Never the guest's: NMI, double fault, spurious, hypercall. LOAD_IDT_ENTRY ignores them. */
const hostsOwn: ReadonlySet<number> = new Set([2, 8, 15, hypercallVector]);
/** The host must see these: FPU, emulated instructions, shadow page tables, hypercalls. */
const neverDirect: ReadonlySet<number> = new Set([7, 13, 14, hypercallVector]);
const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);
const typeOf = (high: number): number => (high >>> 8) & 0x1f;
const presentBit = 0x8000;
/** Of a gate's high word: offset, present, DPL and type. */
const keptBits = 0xffff_ef00;

/** LOAD_IDT_ENTRY. */
export const loadGate = (guest: Guest, vector: number, low: number, high: number): void => {
  if (hostsOwn.has(vector)) return;
  if (!Guest.hasGate(vector)) {
    guest.kill(`setting the gate of vector ${vector}, which there is not`);
    return;
  }
  guest.changed |= changed.IDT;
  if ((high & presentBit) === 0) {
    guest.gates[2 * vector] = guest.gates[2 * vector + 1] = 0;
    return;
  }
  const type = typeOf(high);
  if (type !== systemType.interruptGate32 && type !== systemType.trapGate32) {
    guest.kill(`bad IDT type ${hex(type)} of vector ${vector}`);
    return;
  }
  guest.gates[2 * vector] = (((selector.KERNEL_CS | guestRing) << 16) | (low & 0xffff)) >>> 0;
  guest.gates[2 * vector + 1] = (high & keptBits) >>> 0;
};

/** May the processor go from the guest's programs to the guest's kernel itself? Not by a gate that would clear the real IF. */
export const isDirect = (guest: Guest, vector: number): boolean => {
  const high = guest.gates[2 * vector + 1]!;
  if (vector >= 32 && vector !== syscallVector) return false;
  return (high & presentBit) !== 0 && typeOf(high) === systemType.trapGate32 && !neverDirect.has(vector);
};

/** DPL bits for the host's own gate where the guest lets its programs call the vector. INT n pushes no error code, so not where there is one. */
const calledFrom = (guest: Guest, vector: number): number =>
  guest.quirks.refusesCalls || vector === hypercallVector || withErrorCode.has(vector)
    ? 0
    : guest.gates[2 * vector + 1]! & 0x6000;

/** Into the table that the processor will use. */
export const copyIdt = (guest: Guest, { defaultGates }: Switcher, { statePhysical }: SwitcherPages): void => {
  for (const vector of [...Array(firstInterruptVector).keys(), syscallVector]) {
    const direct = isDirect(guest, vector);
    const [low, plain] = defaultGates[vector]!;
    const high = plain | calledFrom(guest, vector);
    const at = statePhysical + state.guest_idt + 8 * vector;
    guest.host.memory.write32(at, direct ? guest.gates[2 * vector]! : low);
    guest.host.memory.write32(at + 4, direct ? guest.gates[2 * vector + 1]! : high >>> 0);
  }
  guest.copies.IDT++;
};

/** SET_STACK: where the guest's kernel takes traps from its programs. */
export const setKernelStack = (guest: Guest, ss: number, esp: number, pages: number): void => {
  if ((ss & 3) !== guestRing) guest.kill(`bad stack segment ${hex(ss)}, expected one of ring ${guestRing}`);
  else if (pages > 2) guest.kill(`bad stack of ${pages} pages, expected at most 2`);
  else {
    guest.ss1 = ss & 0xffff;
    guest.esp1 = esp;
    guest.stackPages = pages;
    guest.paging.pinStack();
  }
};

/** Go to the guest's handler, with a frame on its kernel's stack as the processor would have made it. */
const enterHandler = (guest: Guest, vector: number, errorCode: number | undefined): void => {
  const [low, high] = [guest.gates[2 * vector]!, guest.gates[2 * vector + 1]!];
  const inKernel = guest.ring === guestRing;
  let esp = inKernel ? guest.get("esp") : guest.esp1;
  const push = (value: number): void => {
    esp = (esp - 4) >>> 0;
    const address = guest.paging.translate(esp);
    if (address === undefined) guest.kill(`bad kernel stack address ${hex(esp)}`);
    else guest.write32(address, value);
  };
  if (!inKernel) {
    push(guest.get("ss"));
    push(guest.get("esp"));
  }
  const enabled = guest.sharedWord("irq_enabled") & IF;
  push((guest.get("eflags") & ~IF) | enabled);
  push(guest.get("cs"));
  push(guest.get("eip"));
  if (errorCode !== undefined) push(errorCode);
  if (!inKernel) guest.set("ss", guest.ss1);
  guest.set("esp", esp);
  guest.set("cs", selector.KERNEL_CS | guestRing);
  guest.set("eip", ((high & 0xffff_0000) | (low & 0xffff)) >>> 0);
  guest.set("eflags", guest.get("eflags") & ~(TF | RF | NT));
  if (typeOf(high) === systemType.interruptGate32) guest.setSharedWord("irq_enabled", 0);
};

/** Give a trap to the guest's kernel; false when it has no handler. */
export const reflect = (guest: Guest, vector: number): boolean => {
  if (!Guest.hasGate(vector) || (guest.gates[2 * vector + 1]! & presentBit) === 0) return false;
  enterHandler(guest, vector, withErrorCode.has(vector) ? guest.get("errcode") : undefined);
  return true;
};

/** Deliver the first virtual interrupt that may be delivered now. */
export const deliverInterrupt = (guest: Guest): void => {
  if (guest.shared === undefined) return;
  const waiting = guest.interruptsPending & ~guest.sharedWord("blocked_interrupts");
  if (waiting === 0) return;
  const eip = guest.get("eip");
  if (eip >= guest.noirqStart && eip < guest.noirqEnd) return;
  if (guest.halted) {
    guest.setSharedWord("irq_enabled", IF);
    guest.halted = false;
  } else if ((guest.sharedWord("irq_enabled") & IF) === 0) return;
  const irq = 31 - Math.clz32(waiting & -waiting);
  const vector = firstInterruptVector + irq;
  if ((guest.gates[2 * vector + 1]! & presentBit) === 0) return;
  guest.interruptsPending &= ~(1 << irq);
  enterHandler(guest, vector, undefined);
};

/** A device of the guest's asks for attention. */
export const raiseInterrupt = (guest: Guest, irq: number): void => {
  if (irq >= 0 && irq < virtualInterrupts) guest.interruptsPending |= 1 << irq;
};
