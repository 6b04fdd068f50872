import { access, segmentType } from "../../arch/descriptors.ts";
import { gdtBytes } from "../host32/linux-gdt.ts";
import { gdtEntry, guestRing } from "./abi.ts";
import { changed, type Guest } from "./guest.ts";
import { state, switcherBase } from "./layout.ts";
import type { SwitcherPages } from "./switcher.ts";

/** The guest's GDT: what it asks for, made harmless. */

const { P, S, G, L, DPL } = access;
const rightsOf = (descriptor: bigint): number => Number((descriptor >> 40n) & 0xffffn);
const baseOf = (descriptor: bigint): number =>
  Number(((descriptor >> 16n) & 0xff_ffffn) | ((descriptor >> 32n) & 0xff00_0000n));
const limitOf = (descriptor: bigint): number =>
  Number((descriptor & 0xffffn) | ((descriptor >> 32n) & 0xf_0000n));

/** Entries that are the host's whatever the guest says. */
const hostsOwn: ReadonlySet<number> = new Set([
  gdtEntry.TSS,
  gdtEntry.LGUEST_CS,
  gdtEntry.LGUEST_DS,
  gdtEntry.DOUBLEFAULT_TSS,
]);
const presentBit = BigInt(P) << 40n;
const accessedBit = BigInt(segmentType.accessed) << 40n;

/** A flat segment's limit that ends below the Switcher's window. */
const withLimit = (descriptor: bigint, limit: number): bigint =>
  (descriptor & ~0x000f_0000_0000_ffffn) | BigInt(limit & 0xffff) | (BigInt(limit & 0xf_0000) << 32n);

/** The segment cut off below the window, or not present when nothing of it is left: ring 1 may access supervisor pages. */
const belowSwitcher = (descriptor: bigint): bigint => {
  const rights = rightsOf(descriptor);
  const base = baseOf(descriptor);
  const expandsDown = (rights & segmentType.code) === 0 && (rights & segmentType.expandDown) !== 0;
  if (base >= switcherBase || expandsDown) return descriptor & ~presentBit;
  const bytes = rights & G ? (limitOf(descriptor) + 1) * 4096 : limitOf(descriptor) + 1;
  const most = switcherBase - base;
  if (bytes <= most) return descriptor;
  if ((rights & G) === 0) return withLimit(descriptor, most - 1);
  return most < 4096 ? descriptor & ~presentBit : withLimit(descriptor, Math.floor(most / 4096) - 1);
};

const madeHarmless = (descriptor: bigint, reachesSwitcher: boolean): bigint => {
  const rights = rightsOf(descriptor);
  if ((rights & P) === 0) return descriptor;
  // Only plain code and data segments: gates, task states and 64-bit code are none of the guest's business.
  if ((rights & S) === 0 || (rights & L) !== 0) return descriptor & ~presentBit;
  const level = (rights & DPL) === 0 ? BigInt(guestRing) << 45n : 0n;
  // An accessed bit that is clear would be set by the processor, in a page that is read-only.
  const lowered = descriptor | level | accessedBit;
  return reachesSwitcher ? lowered : belowSwitcher(lowered);
};

/** Entries have changed: make them harmless, and see that no segment register needs one that is gone. */
const checkEntries = (guest: Guest, start: number, end: number): void => {
  for (let number = start; number < end; number++) {
    if (hostsOwn.has(number)) continue;
    const descriptor = madeHarmless(guest.gdt[number]!, guest.quirks.reachesSwitcher);
    guest.gdt[number] = descriptor;
    if (descriptor & presentBit) continue;
    for (const name of ["gs", "fs", "es"] as const) if (guest.get(name) >>> 3 === number) guest.set(name, 0);
    for (const name of ["cs", "ds", "ss"] as const)
      if (guest.get(name) >>> 3 === number && guest.get(name) !== 0)
        guest.kill(`removed live GDT entry ${number}`);
  }
};

const readEntries = (guest: Guest, table: number, start: number, count: number): void => {
  for (let n = 0; n < count; n++)
    guest.gdt[start + n] =
      BigInt(guest.read32(table + 8 * n)) | (BigInt(guest.read32(table + 8 * n + 4)) << 32n);
  checkEntries(guest, start, start + count);
};

/** LOAD_GDT. */
export const loadGdt = (guest: Guest, table: number, entries: number): void => {
  if (entries > gdtEntry.entries) {
    guest.kill(`GDT of ${entries} entries, expected at most ${gdtEntry.entries}`);
    return;
  }
  readEntries(guest, table, 0, entries);
  guest.changed |= changed.GDT;
};

/** LOAD_TLS: the three entries that a thread may choose. */
export const loadTls = (guest: Guest, table: number): void => {
  readEntries(guest, table, gdtEntry.TLS, gdtEntry.TLS_entries);
  guest.changed |= changed.TLS;
};

/** Into the table that the processor will use. */
export const copyGdt = (guest: Guest, { statePhysical }: SwitcherPages, onlyTls: boolean): void => {
  const [start, end] = onlyTls ? [gdtEntry.TLS, gdtEntry.TLS + gdtEntry.TLS_entries] : [0, gdtBytes / 8];
  for (let number = start; number < end; number++)
    if (!hostsOwn.has(number))
      guest.host.memory.write64(statePhysical + state.guest_gdt + 8 * number, guest.gdt[number]!);
  guest.copies.GDT++;
};
