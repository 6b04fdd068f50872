import { access, segmentType, systemType, TSS64 } from "../../arch/descriptors.ts";
import { interruptStack } from "../host/host-image.ts";
import type { HostMemory } from "../host/host-memory.ts";
import { type AkarosBugs, kernbase, RPL, selector, vector } from "./layout.ts";

/** The trap table that the stubs leave behind, the IDT made of it, GDT and TSS. */

export interface TrapRecord {
  readonly handler: bigint;
  readonly vector: number;
}
const recordBytes = 12;
export const idtGates = 256;

/** Packed records {handler u64, vector u32} between two physical addresses. */
export const trapRecords = (memory: HostMemory, start: number, end: number): TrapRecord[] =>
  Array.from({ length: (end - start) / recordBytes }, (_, n) => {
    const at = start + n * recordBytes;
    const handler = (BigInt(memory.read32(at + 4)) << 32n) | BigInt(memory.read32(at));
    return { handler, vector: memory.read32(at + 8) };
  });

const interruptGate = (handler: bigint, level: 0 | 3, stack: number): readonly [bigint, bigint] => [
  (handler & 0xffffn) |
    (BigInt(selector.kernelCode) << 16n) |
    (BigInt(stack) << 32n) |
    (BigInt(access.P | (level << 5) | systemType.interruptGate32) << 40n) |
    (((handler >> 16n) & 0xffffn) << 48n),
  handler >> 32n,
];

/**
 * All gates become the last record's handler, the default; then each record but the last is walked in order, so that a later one of the
 * same vector wins. INT 3 and INT 48 are the user's too. Returns why the result is refused, if it is.
 */
export const fillIdt = (
  memory: HostMemory,
  idt: number,
  records: readonly TrapRecord[],
  bugs: AkarosBugs,
): string | undefined => {
  const handlers = new Array<bigint>(idtGates).fill(records.at(-1)!.handler);
  for (const record of records.slice(0, -1))
    if (record.vector < idtGates) handlers[record.vector] = record.handler;
  for (const [n, handler] of handlers.entries()) {
    const level = n === vector.BP || n === vector.syscall ? 3 : 0;
    const stack = bugs.noInterruptStacks
      ? 0
      : n === vector.NMI
        ? interruptStack.NMI
        : n === vector.DF
          ? interruptStack.doubleFault
          : 0;
    const [low, high] = interruptGate(handler, level, stack);
    memory.write64(idt + 16 * n, low);
    memory.write64(idt + 16 * n + 8, high);
  }
  const own = records.find((record) => record.vector === vector.syscall)?.handler;
  return own === handlers[vector.syscall] ? undefined : "gate 48 is not the system call's";
};

/** Where a gate leads, its type, privilege level and interrupt stack. */
export const gateOf = (memory: HostMemory, idt: number, n: number) => {
  const [low, high] = [memory.read64(idt + 16 * n), memory.read64(idt + 16 * n + 8)];
  const rights = Number((low >> 40n) & 0xffn);
  return {
    handler: (high << 32n) | ((low >> 32n) & 0xffff_0000n) | (low & 0xffffn),
    present: (rights & access.P) !== 0,
    type: rights & 0xf,
    level: (rights >> 5) & 3,
    stack: Number((low >> 32n) & 7n),
    selector: Number((low >> 16n) & 0xffffn),
  };
};

const flat = (rights: number): bigint => 0x000f_0000_0000_ffffn | (BigInt(rights) << 40n);
const { code, readable, writable, accessed } = segmentType;
const present = access.P | access.S | accessed;
const code64 = present | code | readable | access.L | access.G;
const data = present | writable | access.DB | access.G;
export const gdtBytes = selector.TSS + 16;

/** `tss`: linear address. The TSS is available: LTR makes it busy. */
export const gdtWords = (tss: bigint): readonly bigint[] => [
  0n,
  flat(code64),
  flat(data),
  flat(data | access.DPL),
  flat(code64 | access.DPL),
  BigInt(TSS64.bytes - 1) |
    ((tss & 0xff_ffffn) << 16n) |
    (BigInt(access.P | systemType.TSS32) << 40n) |
    (((tss >> 24n) & 0xffn) << 56n),
  tss >> 32n,
];

/** A TSS whose stacks are at linear addresses; no port is user level's. */
export const tss = (stackTop: bigint, nmiStack: bigint, faultStack: bigint): Uint8Array => {
  const bytes = new Uint8Array(TSS64.bytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(TSS64.RSP0, stackTop, true);
  view.setBigUint64(TSS64.IST1 + 8 * (interruptStack.NMI - 1), nmiStack, true);
  view.setBigUint64(TSS64.IST1 + 8 * (interruptStack.doubleFault - 1), faultStack, true);
  view.setUint16(TSS64.ioMapBase, TSS64.bytes, true);
  return bytes;
};

/** Selector of a user segment, as a user context must have it. */
export const userSelector = { code: selector.userCode | RPL, data: selector.userData | RPL } as const;
export const linear = (physical: number): bigint => kernbase + BigInt(physical);
