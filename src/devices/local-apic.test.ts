import { describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { ApicBus } from "./apic-bus.ts";
import { LocalApic } from "./local-apic.ts";
import type { LocalApicOptions } from "./local-apic-doors.ts";

const ID = 0x20;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const ISR = 0x100;
const TMR = 0x180;
const IRR = 0x200;
const ESR = 0x280;
const ICR = 0x300;
const LVT_TIMER = 0x320;
const LVT_PERFMON = 0x340;
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const LVT_ERROR = 0x370;
const TMICT = 0x380;
const TMCCT = 0x390;
const DCR = 0x3e0;
const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
const BASE = 0xfee0_0000n;

/** `count` local APICs on one bus; TSC at 2 ticks a nanosecond. */
const board = (count = 1, options: Partial<LocalApicOptions> = {}) => {
  const clock = new SteppedClock();
  const bus = new ApicBus();
  const log: string[] = [];
  const eois: number[] = [];
  bus.attachIoApic({ endOfInterrupt: (vector) => eois.push(vector) });
  const apics = Array.from(
    { length: count },
    (_, id) =>
      new LocalApic({
        id,
        bootstrap: id === 0,
        clock,
        bus,
        pins: {
          interruptRequest: (pending) => log.push(`${id} INTR ${pending}`),
          nmi: () => log.push(`${id} NMI`),
          init: () => log.push(`${id} INIT`),
          startup: (vector) => log.push(`${id} SIPI ${vector}`),
          smi: () => log.push(`${id} SMI`),
          apicPage: (address) => log.push(`${id} page ${address?.toString(16)}`),
        },
        externalVector: () => 0x30,
        tsc: () => BigInt(clock.nowNs) * 2n,
        nsUntilTsc: (tsc) => Math.max(0, Number(tsc - BigInt(clock.nowNs) * 2n) / 2),
        ...options,
      }),
  );
  const [apic] = apics as [LocalApic];
  const enable = () => {
    for (const each of apics) each.write(SVR, 0x1ff, 4);
    log.length = 0;
  };
  return { clock, bus, apics, apic, log, eois, enable };
};
const enabled = (count = 1, options: Partial<LocalApicOptions> = {}) => {
  const made = board(count, options);
  made.enable();
  return made;
};
const requested = (apic: LocalApic, vector: number) =>
  (apic.read(IRR + 16 * (vector >>> 5), 4) & (1 << (vector & 31))) !== 0;
const inService = (apic: LocalApic, vector: number) =>
  (apic.read(ISR + 16 * (vector >>> 5), 4) & (1 << (vector & 31))) !== 0;
const ipi = (apic: LocalApic, low: number, destination = 0) => {
  apic.write(ICR + 0x10, destination << 24, 4);
  apic.write(ICR, low, 4);
};
const fixed = (apic: LocalApic, vector: number, levelTriggered = false) =>
  apic.accept({ deliveryMode: 0, vector, levelTriggered });

describe("local APIC registers after power-up", () => {
  it("are those of the SDM", () => {
    const { apic } = board(3);
    expect(apic.read(0x30, 4)).toBe(0x0106_0015);
    expect(apic.read(DFR, 4)).toBe(0xffff_ffff);
    expect(apic.read(SVR, 4)).toBe(0xff);
    for (const lvt of [0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370])
      expect(apic.read(lvt, 4)).toBe(0x1_0000);
    expect(apic.read(TPR, 4)).toBe(0);
    expect(apic.readMsr(IA32_APIC_BASE)).toBe(BASE | 0x900n);
  });
  it("show the APIC ID in the top byte, and the bootstrap flag only on one", () => {
    const { apics } = board(3);
    expect(apics.map((apic) => apic.read(ID, 4))).toEqual([0, 0x0100_0000, 0x0200_0000]);
    expect(apics.map((apic) => (apic.readMsr(IA32_APIC_BASE)! & 0x100n) !== 0n)).toEqual([
      true,
      false,
      false,
    ]);
  });
  it("read by bytes and words inside the low 4 bytes of their 16", () => {
    const { apic } = enabled();
    expect(apic.read(SVR + 1, 1)).toBe(1);
    expect(apic.read(SVR, 2)).toBe(0x1ff);
    expect(apic.read(SVR + 4, 4)).toBe(0);
  });
  it("ignore writes that are not aligned 4-byte writes, and writes to read-only registers", () => {
    const { apic } = enabled();
    apic.write(TPR, 0x20, 1);
    apic.write(TPR, 0x20, 2);
    apic.write(TPR + 4, 0x20, 4);
    apic.write(PPR, 0x20, 4);
    expect(apic.read(TPR, 4)).toBe(0);
    expect(apic.read(PPR, 4)).toBe(0);
  });
  it("keep only the writable bits", () => {
    const { apic } = enabled();
    const writable = [
      [TPR, 0xff],
      [LDR, 0xff00_0000],
      [DFR, 0xffff_ffff],
      [SVR, 0x13ff],
      [LVT_TIMER, 0x5_00ff], // timer mode 3 is reserved: it reads as TSC-deadline
      [0x330, 0x1_07ff],
      [LVT_LINT0, 0x1_a7ff],
      [LVT_ERROR, 0x1_00ff],
      [DCR, 0xb],
    ];
    for (const [offset, bits] of writable) {
      apic.write(offset!, 0xffff_ffff, 4);
      expect(apic.read(offset!, 4).toString(16)).toBe(bits!.toString(16));
    }
  });
});

describe("interrupt acceptance and priority", () => {
  it("refuses fixed interrupts while software-disabled, but takes NMI, INIT, SIPI and SMI", () => {
    const { apic, bus, log } = board();
    log.length = 0;
    expect(fixed(apic, 0x40)).toBe(false);
    for (const data of [0x400, 0x500, 0x69a, 0x200]) bus.send(0xfee0_0000, data);
    expect(log).toEqual(["0 NMI", "0 INIT", "0 SIPI 154", "0 SMI"]);
    expect(requested(apic, 0x40)).toBe(false);
  });
  it("says as often as it is asked that an interrupt waits: only acknowledge takes it", () => {
    const { apic } = enabled();
    fixed(apic, 0x62);
    for (let n = 0; n < 3; n++) expect(apic.hasInterrupt()).toBe(true);
    expect([requested(apic, 0x62), inService(apic, 0x62)]).toEqual([true, false]);
    expect(apic.acknowledge()).toBe(0x62);
    expect(apic.hasInterrupt()).toBe(false);
  });
  it("moves the highest vector from IRR to ISR on acknowledge, and EOI drops the highest in service", () => {
    const { apic, log } = enabled();
    fixed(apic, 0x41);
    fixed(apic, 0x62);
    expect(log).toEqual(["0 INTR true"]);
    expect(apic.acknowledge()).toBe(0x62);
    expect([requested(apic, 0x62), inService(apic, 0x62)]).toEqual([false, true]);
    expect(apic.hasInterrupt()).toBe(false); // 0x41 is below the class in service
    fixed(apic, 0x70);
    expect(apic.acknowledge()).toBe(0x70);
    apic.write(EOI, 0, 4);
    expect(inService(apic, 0x70)).toBe(false);
    expect(inService(apic, 0x62)).toBe(true);
    apic.write(EOI, 0, 4);
    expect(apic.pendingVector()).toBe(0x41);
    expect(log.at(-1)).toBe("0 INTR true");
  });
  it("does not nest within one priority class", () => {
    const { apic } = enabled();
    fixed(apic, 0x41);
    apic.acknowledge();
    fixed(apic, 0x4f);
    expect(apic.pendingVector()).toBeUndefined();
    fixed(apic, 0x50);
    expect(apic.pendingVector()).toBe(0x50);
  });
  it("holds back vectors at or below the task priority class, by TPR and by CR8 alike", () => {
    const { apic } = enabled();
    fixed(apic, 0x4f);
    apic.write(TPR, 0x40, 4);
    expect(apic.pendingVector()).toBeUndefined();
    apic.write(TPR, 0x3f, 4);
    expect(apic.pendingVector()).toBe(0x4f);
    apic.taskPriorityClass = 4;
    expect(apic.read(TPR, 4)).toBe(0x40);
    expect(apic.hasInterrupt()).toBe(false);
    apic.write(TPR, 0x95, 4);
    expect(apic.taskPriorityClass).toBe(9);
  });
  it("computes PPR from TPR and the vector in service", () => {
    const { apic } = enabled();
    fixed(apic, 0x57);
    apic.acknowledge();
    const ppr = [0x00, 0x45, 0x5a, 0x63].map((tpr) => {
      apic.write(TPR, tpr, 4);
      return apic.read(PPR, 4);
    });
    expect(ppr).toEqual([0x50, 0x50, 0x5a, 0x63]);
  });
  it("gives the spurious vector, not in service, when the request has vanished", () => {
    const { apic } = enabled();
    apic.write(SVR, 0x1ef, 4);
    fixed(apic, 0x50);
    apic.taskPriorityClass = 15;
    expect(apic.acknowledge()).toBe(0xef);
    expect(inService(apic, 0xef)).toBe(false);
    expect(requested(apic, 0x50)).toBe(true);
  });
  it("keeps IRR and ISR through a software disable, delivers nothing meanwhile, and masks every LVT entry", () => {
    const { apic, log } = enabled();
    apic.write(LVT_TIMER, 0x20, 4);
    fixed(apic, 0x50);
    apic.write(SVR, 0xff, 4);
    expect(log.at(-1)).toBe("0 INTR false");
    expect(requested(apic, 0x50)).toBe(true);
    expect(apic.read(LVT_TIMER, 4)).toBe(0x1_0020);
    apic.write(LVT_TIMER, 0x20, 4);
    expect(apic.read(LVT_TIMER, 4)).toBe(0x1_0020);
    apic.write(SVR, 0x1ff, 4);
    expect(apic.acknowledge()).toBe(0x50);
  });
  it("broadcasts the EOI of level-triggered vectors only, unless told to suppress it", () => {
    const { apic, eois } = enabled();
    const serve = (vector: number, level: boolean) => {
      fixed(apic, vector, level);
      apic.acknowledge();
      apic.write(EOI, 0, 4);
    };
    serve(0x31, false);
    serve(0x32, true);
    expect(apic.read(TMR + 0x10, 4)).toBe(1 << 0x12);
    apic.write(SVR, 0x11ff, 4);
    serve(0x33, true);
    apic.write(SVR, 0x1ff, 4);
    serve(0x32, false); // an edge clears TMR again
    expect(eois).toEqual([0x32]);
    apic.write(EOI, 0, 4); // nothing in service: nothing happens
    expect(eois).toEqual([0x32]);
  });
});

describe("errors", () => {
  it("show in ESR only after a write to it, and the next write clears them", () => {
    const { apic } = enabled();
    ipi(apic, 0x0f);
    fixed(apic, 5);
    apic.read(0x40, 4);
    expect(apic.read(ESR, 4)).toBe(0);
    apic.write(ESR, 0xffff, 4);
    expect(apic.read(ESR, 4)).toBe(0xe0);
    apic.write(ESR, 0, 4);
    expect(apic.read(ESR, 4)).toBe(0);
  });
  it("raise the error interrupt once, until ESR is written", () => {
    const { apic } = enabled();
    apic.write(LVT_ERROR, 0xfe, 4);
    ipi(apic, 1);
    expect(apic.acknowledge()).toBe(0xfe);
    apic.write(EOI, 0, 4);
    ipi(apic, 1);
    expect(apic.hasInterrupt()).toBe(false);
    apic.write(ESR, 0, 4);
    ipi(apic, 1);
    expect(apic.pendingVector()).toBe(0xfe);
  });
  it("do not loop when the error entry itself has an illegal vector", () => {
    const { apic } = enabled();
    apic.write(LVT_ERROR, 3, 4);
    ipi(apic, 1);
    apic.write(ESR, 0, 4);
    expect(apic.read(ESR, 4)).toBe(0x60);
  });
});

describe("interprocessor interrupts", () => {
  it("reach one APIC by physical ID, and all by 0xff", () => {
    const { apic, apics } = enabled(3);
    ipi(apic, 0x40, 2);
    expect(apics.map((each) => requested(each, 0x40))).toEqual([false, false, true]);
    ipi(apic, 0x41, 0xff);
    expect(apics.map((each) => requested(each, 0x41))).toEqual([true, true, true]);
    ipi(apic, 0x42, 9);
    expect(apics.map((each) => requested(each, 0x42))).toEqual([false, false, false]);
  });
  it("obey the shorthands self, all and all but self, whatever the destination", () => {
    const { apics } = enabled(3);
    const sender = apics[1]!;
    ipi(sender, 0x4_0051, 2);
    ipi(sender, 0x8_0052, 2);
    ipi(sender, 0xc_0053, 2);
    expect(apics.map((each) => requested(each, 0x51))).toEqual([false, true, false]);
    expect(apics.map((each) => requested(each, 0x52))).toEqual([true, true, true]);
    expect(apics.map((each) => requested(each, 0x53))).toEqual([true, false, true]);
  });
  it("reach logical destinations in the flat model", () => {
    const { apic, apics } = enabled(3);
    for (const [i, each] of apics.entries()) each.write(LDR, (1 << i) << 24, 4);
    ipi(apic, 0x840, 0b101);
    expect(apics.map((each) => requested(each, 0x40))).toEqual([true, false, true]);
    ipi(apic, 0x841, 0xff);
    expect(apics.map((each) => requested(each, 0x41))).toEqual([true, true, true]);
  });
  it("reach logical destinations in the cluster model", () => {
    const { apic, apics } = enabled(4);
    const logical = [0x11, 0x12, 0x21, 0x22];
    for (const [i, each] of apics.entries()) {
      each.write(DFR, 0x0fff_ffff, 4);
      each.write(LDR, logical[i]! << 24, 4);
    }
    ipi(apic, 0x840, 0x13);
    expect(apics.map((each) => requested(each, 0x40))).toEqual([true, true, false, false]);
    ipi(apic, 0x841, 0x22);
    expect(apics.map((each) => requested(each, 0x41))).toEqual([false, false, false, true]);
    ipi(apic, 0x842, 0xf1);
    expect(apics.map((each) => requested(each, 0x42))).toEqual([true, false, true, false]);
  });
  it("with lowest priority, go to the APIC with the lowest arbitration priority, first of equals", () => {
    const { apic, apics } = enabled(3);
    ipi(apic, 0x140, 0xff);
    expect(apics.map((each) => requested(each, 0x40))).toEqual([true, false, false]);
    apics[0]!.write(TPR, 0x30, 4);
    apics[1]!.write(TPR, 0x30, 4);
    ipi(apic, 0x120, 0xff);
    expect(apics.map((each) => requested(each, 0x20))).toEqual([false, false, true]);
    apics[2]!.write(SVR, 0xff, 4);
    ipi(apic, 0x121, 0xff);
    expect(requested(apics[2]!, 0x21)).toBe(false);
  });
  it("carry NMI, SMI, INIT and start-up, but not INIT level de-assert, ExtINT or the reserved mode", () => {
    const { apic, log } = enabled(2);
    for (const low of [0x4400, 0x4200, 0xc500, 0x8500, 0x46_08 & 0xffff, 0x700, 0x300]) ipi(apic, low, 1);
    expect(log).toEqual(["1 NMI", "1 SMI", "1 INIT", "1 SIPI 8"]);
  });
  it("leave the delivery status idle", () => {
    const { apic } = enabled(2);
    ipi(apic, 0xffff_ffff & ~0xf_0700, 1);
    expect(apic.read(ICR, 4) & 0x1000).toBe(0);
    expect(apic.read(ICR + 0x10, 4)).toBe(0x0100_0000);
  });
});

describe("local interrupt pins", () => {
  it("LINT0 as ExtINT passes the 8259's request and vector through", () => {
    const { apic, log } = board();
    apic.virtualWire();
    log.length = 0;
    apic.lint0.set(true);
    expect(log).toEqual(["0 INTR true"]);
    expect(apic.pendingVector()).toBeUndefined();
    apic.taskPriorityClass = 15; // no say over ExtINT
    expect(apic.acknowledge()).toBe(0x30);
    expect(apic.hasInterrupt()).toBe(true); // still asserted
    apic.lint0.set(false);
    expect(apic.hasInterrupt()).toBe(false);
    apic.lint0.set(true);
    apic.write(LVT_LINT0, 0x1_0700, 4);
    expect(apic.hasInterrupt()).toBe(false);
  });
  it("LINT1 as NMI is edge-triggered", () => {
    const { apic, log } = board();
    apic.virtualWire();
    log.length = 0;
    apic.lint1.set(true);
    apic.lint1.set(true);
    apic.lint1.set(false);
    apic.lint1.set(true);
    expect(log).toEqual(["0 NMI", "0 NMI"]);
  });
  it("an edge on a masked pin is lost", () => {
    const { apic } = enabled();
    apic.write(LVT_LINT1, 0x1_0045, 4);
    apic.lint1.set(true);
    apic.write(LVT_LINT1, 0x45, 4);
    expect(requested(apic, 0x45)).toBe(false);
    apic.lint1.set(false);
    apic.lint1.set(true);
    expect(requested(apic, 0x45)).toBe(true);
  });
  it("LINT0 as level-triggered fixed comes back after EOI until it is released", () => {
    const { apic } = enabled();
    apic.write(LVT_LINT0, 0x8045, 4);
    apic.lint0.set(true);
    expect(apic.read(LVT_LINT0, 4)).toBe(0xc045);
    expect(apic.acknowledge()).toBe(0x45);
    expect(requested(apic, 0x45)).toBe(false);
    apic.write(EOI, 0, 4);
    expect(apic.acknowledge()).toBe(0x45);
    apic.lint0.set(false);
    apic.write(EOI, 0, 4);
    expect(apic.hasInterrupt()).toBe(false);
    expect(apic.read(LVT_LINT0, 4)).toBe(0x8045);
  });
  it("an ExtINT message waits for one acknowledge", () => {
    const { apic, bus } = enabled();
    bus.send(0xfee0_0000, 0x700);
    expect(apic.acknowledge()).toBe(0x30);
    expect(apic.hasInterrupt()).toBe(false);
  });
  it("a performance-monitoring interrupt masks its entry", () => {
    const { apic, log } = enabled();
    apic.write(LVT_PERFMON, 0x400, 4);
    apic.raise("PERFMON");
    apic.raise("PERFMON");
    expect(log).toEqual(["0 NMI"]);
    expect(apic.read(LVT_PERFMON, 4)).toBe(0x1_0400);
  });
});

describe("APIC timer", () => {
  it("one-shot counts down at the divided bus clock and fires once", () => {
    const { apic, clock } = enabled();
    apic.write(LVT_TIMER, 0x40, 4);
    apic.write(DCR, 3, 4); // divide by 16
    apic.write(TMICT, 1000, 4);
    clock.advance(8000);
    expect(apic.read(TMCCT, 4)).toBe(500);
    clock.advance(7999);
    expect([apic.read(TMCCT, 4), requested(apic, 0x40)]).toEqual([1, false]);
    clock.advance(1);
    expect([apic.read(TMCCT, 4), requested(apic, 0x40)]).toEqual([0, true]);
    apic.acknowledge();
    expect(clock.advance(1_000_000)).toBe(0);
    expect(apic.read(TMICT, 4)).toBe(1000);
  });
  it("divides by 2, 4, 8, 16, 32, 64, 128 and 1", () => {
    const counts = [0, 1, 2, 3, 8, 9, 10, 11].map((dcr) => {
      const { apic, clock } = enabled();
      apic.write(DCR, dcr, 4);
      apic.write(TMICT, 0x1_0000, 4);
      clock.advance(0x4000);
      return 0x4000 / (0x1_0000 - apic.read(TMCCT, 4));
    });
    expect(counts).toEqual([2, 4, 8, 16, 32, 64, 128, 1]);
  });
  it("periodic fires each period without drift, at odd bus clocks too", () => {
    const { apic, clock } = enabled(1, { busHz: 333_333_333 });
    apic.write(DCR, 11, 4);
    apic.write(LVT_TIMER, 0x2_0040, 4);
    apic.write(TMICT, 1000, 4);
    let fired = 0;
    for (let ms = 0; ms < 30; ms++) fired += clock.advance(1_000_000);
    expect(fired).toBe(9999); // 0.03 s of 333333.333 periods/s
    expect(apic.read(TMCCT, 4)).toBeGreaterThan(0);
  });
  it("keeps counting while masked, and fires when unmasked in time", () => {
    const { apic, clock } = enabled();
    apic.write(DCR, 11, 4);
    apic.write(TMICT, 1000, 4);
    expect(clock.advance(600)).toBe(0);
    apic.write(LVT_TIMER, 0x40, 4);
    clock.advance(400);
    expect(requested(apic, 0x40)).toBe(true);
  });
  it("stops when the initial count is written with 0", () => {
    const { apic, clock } = enabled();
    apic.write(LVT_TIMER, 0x2_0040, 4);
    apic.write(TMICT, 1000, 4);
    apic.write(TMICT, 0, 4);
    expect(clock.advance(100_000)).toBe(0);
    expect(apic.read(TMCCT, 4)).toBe(0);
  });
  it("goes on counting from where it is between one-shot and periodic; a spent count stays spent", () => {
    const { apic, clock } = enabled();
    apic.write(DCR, 11, 4);
    apic.write(LVT_TIMER, 0x40, 4);
    apic.write(TMICT, 1000, 4);
    clock.advance(700);
    apic.write(LVT_TIMER, 0x2_0040, 4);
    expect(apic.read(TMCCT, 4)).toBe(300);
    clock.advance(400);
    expect(apic.read(TMCCT, 4)).toBe(900);
    apic.write(LVT_TIMER, 0x40, 4);
    expect(apic.read(TMCCT, 4)).toBe(900);
    clock.advance(900);
    expect(apic.read(TMCCT, 4)).toBe(0);
    apic.write(LVT_TIMER, 0x2_0040, 4);
    clock.advance(10);
    expect([apic.read(TMCCT, 4), apic.read(TMICT, 4)]).toEqual([0, 1000]);
  });
  it("changes its divisor without losing the count", () => {
    const { apic, clock } = enabled();
    apic.write(DCR, 11, 4);
    apic.write(LVT_TIMER, 0x40, 4);
    apic.write(TMICT, 1000, 4);
    clock.advance(500);
    apic.write(DCR, 0, 4);
    expect(apic.read(TMCCT, 4)).toBe(500);
    clock.advance(999);
    expect(requested(apic, 0x40)).toBe(false);
    clock.advance(1);
    expect(requested(apic, 0x40)).toBe(true);
  });
  it("TSC-deadline fires when the TSC reaches the deadline, which then reads 0", () => {
    const { apic, clock } = enabled();
    apic.write(LVT_TIMER, 0x4_0040, 4);
    apic.writeMsr(IA32_TSC_DEADLINE, 2001n);
    expect(apic.readMsr(IA32_TSC_DEADLINE)).toBe(2001n);
    clock.advance(1000);
    expect(requested(apic, 0x40)).toBe(false);
    clock.advance(1);
    expect(requested(apic, 0x40)).toBe(true);
    expect(apic.readMsr(IA32_TSC_DEADLINE)).toBe(0n);
    apic.acknowledge();
    apic.writeMsr(IA32_TSC_DEADLINE, 1n); // long past
    clock.advance(0);
    expect(requested(apic, 0x40)).toBe(true);
  });
  it("TSC-deadline is disarmed by 0, by a mode change, and never armed by the farthest deadline", () => {
    const { apic, clock } = enabled();
    apic.write(LVT_TIMER, 0x4_0040, 4);
    apic.writeMsr(IA32_TSC_DEADLINE, 0xffff_ffff_ffff_ffffn);
    apic.writeMsr(IA32_TSC_DEADLINE, 2000n);
    apic.writeMsr(IA32_TSC_DEADLINE, 0n);
    expect(clock.advance(5000)).toBe(0);
    apic.writeMsr(IA32_TSC_DEADLINE, 20_000n);
    apic.write(LVT_TIMER, 0x40, 4);
    expect(apic.readMsr(IA32_TSC_DEADLINE)).toBe(0n);
    expect(clock.advance(50_000)).toBe(0);
  });
  it("TSC-deadline mode ignores the initial count, other modes ignore the deadline", () => {
    const { apic } = enabled();
    apic.writeMsr(IA32_TSC_DEADLINE, 5n);
    expect(apic.readMsr(IA32_TSC_DEADLINE)).toBe(0n);
    apic.write(LVT_TIMER, 0x4_0040, 4);
    apic.write(TMICT, 1000, 4);
    expect([apic.read(TMICT, 4), apic.read(TMCCT, 4)]).toEqual([0, 0]);
  });
});

describe("IA32_APIC_BASE", () => {
  it("allows exactly the SDM's transitions", () => {
    const bits = { disabled: 0x100n, invalid: 0x500n, xAPIC: 0x900n, x2APIC: 0xd00n };
    const reach = { disabled: ["disabled"], xAPIC: [], x2APIC: ["x2APIC"] } as const;
    const legal = { disabled: "disabled xAPIC", xAPIC: "disabled xAPIC x2APIC", x2APIC: "disabled x2APIC" };
    for (const from of ["disabled", "xAPIC", "x2APIC"] as const)
      for (const to of ["disabled", "invalid", "xAPIC", "x2APIC"] as const) {
        const { apic } = enabled();
        for (const step of reach[from]) apic.writeMsr(IA32_APIC_BASE, BASE | bits[step]);
        expect(`${from} to ${to}: ${apic.writeMsr(IA32_APIC_BASE, BASE | bits[to])}`).toBe(
          `${from} to ${to}: ${legal[from].split(" ").includes(to)}`,
        );
      }
  });
  it("refuses every reserved bit, and x2APIC mode where CPUID does not offer it", () => {
    const { apic } = enabled(1, { physicalAddressBits: 39 });
    for (let bit = 0n; bit < 64n; bit++) {
      const reserved = bit < 8n || bit === 9n || bit >= 39n;
      if (reserved) expect(apic.writeMsr(IA32_APIC_BASE, (BASE | 0x900n) ^ (1n << bit))).toBe(false);
    }
    expect(enabled(1, { x2apic: false }).apic.writeMsr(IA32_APIC_BASE, BASE | 0xd00n)).toBe(false);
  });
  it("moves the page, takes it away in x2APIC mode and when disabled", () => {
    const { apic, log } = enabled();
    apic.writeMsr(IA32_APIC_BASE, 0x1_2345_6900n);
    expect(apic.page).toBe(0x1_2345_6000);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0xd00n);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0x100n);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0x900n);
    expect(log.filter((line) => line.includes("page"))).toEqual([
      "0 page 123456000",
      "0 page undefined",
      "0 page fee00000",
    ]);
  });
  it("global disable resets the registers, and the APIC works again once re-enabled", () => {
    const { apic, clock } = enabled();
    apic.write(TPR, 0x20, 4);
    apic.write(LVT_TIMER, 0x2_0040, 4);
    apic.write(TMICT, 100, 4);
    fixed(apic, 0x80);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0x100n);
    expect(apic.hasInterrupt()).toBe(false);
    expect(apic.read(SVR, 4)).toBe(0xffff_ffff);
    expect(clock.advance(10_000)).toBe(0);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0x900n);
    expect([TPR, SVR, LVT_TIMER, TMICT].map((offset) => apic.read(offset, 4))).toEqual([
      0, 0xff, 0x1_0000, 0,
    ]);
    expect(apic.hasInterrupt()).toBe(false);
    apic.write(SVR, 0x1ff, 4);
    fixed(apic, 0x81);
    expect(apic.acknowledge()).toBe(0x81);
  });
  it("while globally disabled, LINT0 is INTR and LINT1 is NMI, and no message arrives", () => {
    const { apic, bus, log } = enabled();
    apic.writeMsr(IA32_APIC_BASE, BASE | 0x100n);
    log.length = 0;
    apic.lint0.set(true);
    apic.lint1.set(true);
    bus.send(0xfeef_f000, 0x400);
    expect(log).toEqual(["0 INTR true", "0 NMI"]);
    expect(apic.acknowledge()).toBe(0x30);
  });
  it("INIT resets the registers but keeps mode, base and ID", () => {
    const { apics } = enabled(2);
    const apic = apics[1]!;
    apic.writeMsr(IA32_APIC_BASE, BASE | 0xc00n);
    apic.writeMsr(0x808, 0x30n);
    apic.initialize();
    expect(apic.readMsr(IA32_APIC_BASE)).toBe(BASE | 0xc00n);
    expect([apic.readMsr(0x802), apic.readMsr(0x808), apic.readMsr(0x80f)]).toEqual([1n, 0n, 0xffn]);
  });
});

describe("x2APIC mode", () => {
  const x2apic = (count = 1, ids: Partial<LocalApicOptions> = {}) => {
    const made = enabled(count, ids);
    for (const apic of made.apics) apic.writeMsr(IA32_APIC_BASE, apic.readMsr(IA32_APIC_BASE)! | 0x400n);
    made.log.length = 0;
    return made;
  };
  const irr = (apic: LocalApic, vector: number) =>
    ((apic.readMsr(0x820 + (vector >>> 5))! >> BigInt(vector & 31)) & 1n) === 1n;

  it("answers exactly the MSRs of the SDM's table", () => {
    const { apic } = x2apic();
    const readable = [
      2, 3, 8, 0xa, 0xd, 0xf, 0x28, 0x2f, 0x30, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3e,
    ];
    for (let i = 0x10; i < 0x28; i++) readable.push(i);
    const writable = [8, 0xb, 0xf, 0x28, 0x2f, 0x30, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3e, 0x3f];
    const all = Array.from({ length: 0x40 }, (_, i) => i);
    expect(all.filter((i) => apic.readMsr(0x800 + i) !== undefined)).toEqual(readable.sort((a, b) => a - b));
    // A legal value for each: a vector for the self-IPI, the enable bit kept in SVR, a vector in the ICR.
    const legal = (i: number) => (i === 0xf ? 0x1ffn : i === 0x30 || i === 0x3f ? 0x40n : 0n);
    expect(all.filter((i) => apic.writeMsr(0x800 + i, legal(i)))).toEqual(writable);
  });
  it("answers no MSR outside x2APIC mode, nor the page inside it", () => {
    expect(enabled().apic.readMsr(0x802)).toBeUndefined();
    expect(enabled().apic.writeMsr(0x80b, 0n)).toBe(false);
    const { apic } = x2apic();
    apic.write(TPR, 0x20, 4);
    expect(apic.readMsr(0x808)).toBe(0n);
    expect(apic.read(ID, 4)).toBe(0xffff_ffff);
  });
  it("refuses reserved bits without changing anything", () => {
    const { apic } = x2apic();
    const reserved: [number, bigint][] = [
      [0x808, 0x100n],
      [0x80b, 1n],
      [0x80f, 0x800n],
      [0x828, 1n],
      [0x830, 1n << 13n],
      [0x830, 1n << 20n],
      [0x832, 1n << 13n],
      [0x838, 1n << 32n],
      [0x83e, 4n],
      [0x83f, 0x100n],
    ];
    for (const [msr, value] of reserved) expect(apic.writeMsr(msr, value)).toBe(false);
    expect(apic.writeMsr(0x832, 0x1_1040n)).toBe(true); // the status bit may be carried
    expect(apic.readMsr(0x832)).toBe(0x1_0040n);
  });
  it("has a 32-bit ID and a logical ID derived from it", () => {
    const { apic } = x2apic(1, { id: 0x123 });
    expect(apic.readMsr(0x802)).toBe(0x123n);
    expect(apic.readMsr(0x80d)).toBe(0x0012_0008n);
  });
  it("sends with one 64-bit write: physical, logical cluster, broadcast and self-IPI", () => {
    const { apic, apics } = x2apic(3);
    apic.writeMsr(0x830, (2n << 32n) | 0x40n);
    expect(apics.map((each) => irr(each, 0x40))).toEqual([false, false, true]);
    apic.writeMsr(0x830, (0b011n << 32n) | 0x841n);
    expect(apics.map((each) => irr(each, 0x41))).toEqual([true, true, false]);
    apic.writeMsr(0x830, (0x1_0001n << 32n) | 0x842n);
    expect(apics.some((each) => irr(each, 0x42))).toBe(false);
    apic.writeMsr(0x830, (0xffff_ffffn << 32n) | 0x43n);
    expect(apics.every((each) => irr(each, 0x43))).toBe(true);
    expect(apic.readMsr(0x830)).toBe((0xffff_ffffn << 32n) | 0x43n);
    apics[1]!.writeMsr(0x83f, 0x44n);
    expect(apics.map((each) => irr(each, 0x44))).toEqual([false, true, false]);
  });
  it("keeps pending interrupts on the way in from xAPIC mode", () => {
    const { apic } = enabled();
    fixed(apic, 0x55);
    apic.writeMsr(IA32_APIC_BASE, BASE | 0xd00n);
    expect(apic.acknowledge()).toBe(0x55);
    expect(apic.writeMsr(0x80b, 0n)).toBe(true);
  });
  it("meets xAPICs: an 8-bit 0xff reaches everyone", () => {
    const { apics } = enabled(2);
    apics[1]!.writeMsr(IA32_APIC_BASE, BASE | 0xc00n);
    ipi(apics[0]!, 0x60, 0xff);
    expect(irr(apics[1]!, 0x60)).toBe(true);
  });
});

describe("message-signalled interrupts", () => {
  it("are writes to 0xfeexxxxx; the others go where memory writes go", () => {
    const stray: number[] = [];
    const bus = new ApicBus((address) => stray.push(address));
    bus.send(0xfed0_0000, 1);
    bus.send(0x1_fee0_0000, 1);
    bus.send(0xfee0_0000, 1);
    expect(stray).toEqual([0xfed0_0000, 0x1_fee0_0000]);
  });
  it("name a destination, a vector and a trigger mode; a level de-assert is no interrupt", () => {
    const { bus, apics } = enabled(2);
    bus.send(0xfee0_1000, 0x4041);
    bus.send(0xfee0_1000, 0x8042);
    bus.send(0xfee0_1000, 0xc043);
    expect([0x41, 0x42, 0x43].map((vector) => requested(apics[1]!, vector))).toEqual([true, false, true]);
    expect(apics[1]!.read(TMR + 0x20, 4)).toBe(1 << 3);
    expect(requested(apics[0]!, 0x41)).toBe(false);
  });
  it("with the redirection hint, choose one of a logical set", () => {
    const { bus, apics } = enabled(2);
    for (const [i, apic] of apics.entries()) apic.write(LDR, (1 << i) << 24, 4);
    apics[0]!.write(TPR, 0x10, 4);
    bus.send(0xfee0_300c, 0x50);
    expect(apics.map((apic) => requested(apic, 0x50))).toEqual([false, true]);
    bus.send(0xfee0_3004, 0x51);
    expect(apics.map((apic) => requested(apic, 0x51))).toEqual([true, true]);
  });
});

describe("local APIC state", () => {
  it("round-trips through a structured clone, timer and outputs included", () => {
    const first = enabled();
    first.apic.write(LVT_TIMER, 0x2_0040, 4);
    first.apic.write(DCR, 11, 4);
    first.apic.write(TMICT, 100, 4);
    fixed(first.apic, 0x90);
    const second = board();
    second.log.length = 0;
    second.apic.state = structuredClone(first.apic.state);
    expect(second.log).toContain("0 INTR true");
    expect(second.apic.state).toEqual(first.apic.state);
    expect(second.apic.acknowledge()).toBe(0x90);
    expect(second.clock.advance(250)).toBe(2);
  });
  it("has reset defaults after RESET, and keeps the levels of its pins", () => {
    const { apic } = enabled();
    apic.lint0.set(true);
    apic.writeMsr(IA32_APIC_BASE, 0x1_2345_6900n);
    apic.reset();
    expect(apic.readMsr(IA32_APIC_BASE)).toBe(BASE | 0x900n);
    expect(apic.state.LINT0).toBe(true);
  });
});
