import { hypercall, lguestData, ringSlots, slotBytes, slotStatus } from "./abi.ts";
import { bindDma, sendDma } from "./dma.ts";
import type { Guest } from "./guest.ts";
import { switcherBase } from "./layout.ts";
import { loadGdt, loadTls } from "./segments.ts";
import { loadGate, setKernelStack } from "./traps.ts";

/** What a guest asks of its host. */

/** One call: what it is given, what it gives back. */
type Call = (guest: Guest, edx: number, ebx: number, ecx: number) => number | undefined;
const nothing = undefined;
/** Virtual time stamps count nanoseconds. */
const tscKhz = 1_000_000;

// biome-ignore format: one row per hypercall
const calls = new Map<number, Call>([
  [hypercall.FLUSH_ASYNC,    () => nothing], // making any call has done it
  [hypercall.INIT,           (guest) => { guest.kill("already has its shared data: INIT came twice"); return nothing; }],
  [hypercall.CRASH,          (guest, text) => { const reason = guest.readText(text); guest.kill(reason); return nothing; }],
  [hypercall.LOAD_GDT,       (guest, table, entries) => { loadGdt(guest, table, entries); return nothing; }],
  [hypercall.NEW_PGTABLE,    (guest, cr3) => { if (guest.paging.switchTo(cr3)) guest.paging.pinStack(); return nothing; }],
  [hypercall.FLUSH_TLB,      (guest, all) => { if (all) guest.paging.flushAll(); else guest.paging.flushUser(); return nothing; }],
  [hypercall.LOAD_IDT_ENTRY, (guest, vector, low, high) => { loadGate(guest, vector, low, high); return nothing; }],
  [hypercall.SET_STACK,      (guest, ss, esp, pages) => { setKernelStack(guest, ss, esp, pages); return nothing; }],
  [hypercall.TS,             (guest, on) => { guest.taskSwitched = on !== 0; return nothing; }],
  [hypercall.SET_CLOCKEVENT, (guest, ns) => { if (ns === 0) guest.clockEvent.disarm(); else guest.clockEvent.arm(guest.host.pc.clock.nowNs + ns); return nothing; }],
  [hypercall.HALT,           (guest) => { guest.halted = true; return nothing; }],
  [hypercall.GET_WALLCLOCK,  ({ host }) => host.startUnixSeconds + Math.floor(host.pc.clock.nowNs / 1e9)],
  [hypercall.BIND_DMA,       (guest, key, dmas, how) => bindDma(guest, key, dmas, how >>> 8, how & 0xff)],
  [hypercall.SEND_DMA,       (guest, key, dma) => { sendDma(guest, key, dma); return nothing; }],
  [hypercall.SET_PTE,        (guest, cr3, address, pte) => { guest.paging.setEntry(cr3, address, pte); return nothing; }],
  [hypercall.SET_PMD,        (guest, cr3, index) => { guest.paging.setDirectoryEntry(cr3, index); return nothing; }],
  [hypercall.LOAD_TLS,       (guest, table) => { loadTls(guest, table); return nothing; }],
]);

const carryOut = (
  guest: Guest,
  number: number,
  edx: number,
  ebx: number,
  ecx: number,
): number | undefined => {
  const call = calls.get(number);
  if (call === undefined) {
    guest.kill(`bad hypercall ${number}`);
    return nothing;
  }
  return call(guest, edx, ebx, ecx);
};

/** The first hypercall: where the structure both sides share is. */
const initialize = (guest: Guest): void => {
  const number = guest.get("eax");
  if (number !== hypercall.INIT) {
    guest.kill(`hypercall ${number} before INIT`);
    return;
  }
  const address = guest.get("edx");
  if (address + lguestData.bytes > guest.limit) {
    guest.kill(`bad guest page 0x${address.toString(16)} for the shared data`);
    return;
  }
  guest.shared = address;
  guest.noirqStart = guest.sharedWord("noirq_start");
  guest.noirqEnd = guest.sharedWord("noirq_end");
  guest.setSharedWord("tsc_khz", tscKhz);
  guest.setSharedWord("guestid", guest.id);
  guest.setSharedWord("reserve_mem", 0x1_0000_0000 - switcherBase);
};

/** The calls that wait in the ring, in order. A DMA to be sent ends it early: the Launcher takes one at a time. */
const drainRing = (guest: Guest): void => {
  const { shared } = guest;
  if (shared === undefined) return;
  for (let n = 0; n < ringSlots; n++) {
    const slot = guest.nextSlot;
    const statusAt = shared + lguestData.hcall_status + slot;
    const status = guest.readBytes(statusAt, 1)[0];
    if (status !== slotStatus.pending) return;
    const at = shared + lguestData.hcalls + slotBytes * slot;
    carryOut(guest, guest.read32(at), guest.read32(at + 4), guest.read32(at + 8), guest.read32(at + 12));
    guest.writeBytes(statusAt, new Uint8Array([slotStatus.done]));
    guest.nextSlot = (slot + 1) % ringSlots;
    if (guest.pendingDma !== undefined || guest.dead !== undefined) return;
  }
};

/** What the guest last trapped for was a hypercall: carry it out, after those that wait. */
export const answerHypercall = (guest: Guest): void => {
  if (guest.shared === undefined) {
    initialize(guest);
    guest.set("trapnum", 255);
    return;
  }
  drainRing(guest);
  if (guest.pendingDma !== undefined || guest.dead !== undefined) return;
  const result = carryOut(guest, guest.get("eax"), guest.get("edx"), guest.get("ebx"), guest.get("ecx"));
  if (result !== undefined) guest.set("eax", result >>> 0);
  // Not again, should this exit be looked at once more.
  guest.set("trapnum", 255);
};
