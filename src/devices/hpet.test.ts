import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { Hpet } from "./hpet.ts";

const GEN_CONF = 0x10;
const GINTR_STA = 0x20;
const MAIN_CNT = 0xf0;
const conf = (n: number) => 0x100 + 0x20 * n;
const comp = (n: number) => 0x108 + 0x20 * n;
const LEVEL = 2;
const INT_ENB = 4;
const PERIODIC = 8;
const VAL_SET = 0x40;
const MODE_32 = 0x100;
const route = (input: number) => input << 9;

let clock: SteppedClock;
let log: string[];
let hpet: Hpet;

const build = () => {
  clock = new SteppedClock();
  log = [];
  const line = (name: string) => ({
    set: (asserted: boolean) => {
      log.push(`${name}${asserted ? "+" : "-"}`);
    },
  });
  return new Hpet({
    clock,
    line: (input) => line(`${input}`),
    legacyLines: [line("irq0"), line("irq8")],
    legacyReplacement: (enabled) => log.push(`legacy ${enabled}`),
    message: { send: (address, value) => log.push(`msi ${address.toString(16)} ${value.toString(16)}`) },
  });
};
beforeEach(() => {
  hpet = build();
});
const read = (offset: number) => hpet.read(offset, 4);
const write = (offset: number, value: number) => hpet.write(offset, value, 4);
const write64 = (offset: number, value: bigint) => {
  write(offset, Number(value & 0xffff_ffffn));
  write(offset + 4, Number(value >> 32n));
};
const counter = () => (BigInt(read(MAIN_CNT + 4)) << 32n) | BigInt(read(MAIN_CNT));
/** Pulses of a line so far. */
const pulses = (name: string) => log.filter((entry) => entry === `${name}+`).length;

describe("HPET identification", () => {
  it("has three 64-bit timers, legacy replacement and a 10 ns period", () => {
    expect(read(0)).toBe(0x8086_a201);
    expect(read(4)).toBe(10_000_000);
    expect(read(conf(0))).toBe(0x8030);
    expect(read(conf(0) + 4)).toBe(0x00f0_0000);
    expect(read(conf(2) + 4)).toBe(0x00f0_0800);
    expect([read(comp(1)), read(comp(1) + 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
    expect([read(conf(3)), read(0x3fc), read(0x18)]).toEqual([0, 0, 0]);
  });
  it("reads bytes and words, and nothing across a dword", () => {
    expect([hpet.read(3, 1), hpet.read(2, 2), hpet.read(2, 4)]).toEqual([0x80, 0x8086, 0]);
  });
});

describe("HPET main counter", () => {
  it("counts only while enabled and keeps its value when halted", () => {
    clock.advance(1000);
    expect(counter()).toBe(0n);
    write(GEN_CONF, 1);
    clock.advance(1005);
    expect(counter()).toBe(100n);
    write(GEN_CONF, 0);
    clock.advance(1000);
    expect(counter()).toBe(100n);
    write(GEN_CONF, 1);
    clock.advance(10);
    expect(counter()).toBe(101n);
  });
  it("can be set in halves, and wraps at 64 bits", () => {
    write64(MAIN_CNT, 0xffff_ffff_ffff_fffen);
    write(GEN_CONF, 1);
    clock.advance(50);
    expect(counter()).toBe(3n);
  });
});

describe("HPET one-shot timers", () => {
  it("pulse their route once at the match, and again only after the counter came around", () => {
    write(comp(0), 100);
    write(comp(0) + 4, 0);
    write(conf(0), INT_ENB | MODE_32 | route(20));
    write(GEN_CONF, 1);
    clock.advance(999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(["20+", "20-"]);
    clock.advance(0xffff_ffff * 10);
    expect(pulses("20")).toBe(1);
    clock.advance(10);
    expect(pulses("20")).toBe(2);
    expect(read(comp(0))).toBe(100);
  });
  it("do not fire while the counter is halted or the timer disabled", () => {
    write64(comp(0), 100n);
    write(conf(0), INT_ENB | route(20));
    expect(clock.advance(10_000)).toBe(0);
    write(conf(0), route(20));
    write(GEN_CONF, 1);
    expect(clock.advance(10_000)).toBe(0);
    write(conf(0), INT_ENB | route(20));
    expect(clock.advance(1_000_000)).toBe(0);
    expect(log).toEqual([]);
  });
  it("follow the main counter when that is written", () => {
    write64(comp(0), 1000n);
    write(conf(0), INT_ENB | route(20));
    write64(MAIN_CNT, 990n);
    write(GEN_CONF, 1);
    clock.advance(100);
    expect(pulses("20")).toBe(1);
  });
  it("in 32-bit mode match on the low half of the counter", () => {
    write64(MAIN_CNT, 0x5_0000_0000n);
    write(conf(0), INT_ENB | MODE_32 | route(21));
    write(comp(0), 10);
    write(GEN_CONF, 1);
    clock.advance(100);
    expect(pulses("21")).toBe(1);
    expect(read(comp(0) + 4)).toBe(0);
  });
});

describe("HPET level-triggered timers", () => {
  it("hold the line until their status bit is written with 1", () => {
    write64(comp(2), 10n);
    write(conf(2), INT_ENB | LEVEL | route(11));
    write(GEN_CONF, 1);
    clock.advance(100);
    expect(log).toEqual(["11+"]);
    expect(read(GINTR_STA)).toBe(4);
    write(GINTR_STA, 3);
    expect(log).toEqual(["11+"]);
    write(GINTR_STA, 4);
    expect([read(GINTR_STA), log]).toEqual([0, ["11+", "11-"]]);
  });
  it("set status also while their interrupt is disabled, and assert when it is enabled", () => {
    write64(comp(2), 10n);
    write(conf(2), LEVEL | route(11));
    write(GEN_CONF, 1);
    clock.advance(100);
    expect([read(GINTR_STA), log]).toEqual([4, []]);
    write(conf(2), INT_ENB | LEVEL | route(11));
    expect(log).toEqual(["11+"]);
    write(GEN_CONF, 0);
    expect(log).toEqual(["11+", "11-"]);
  });
});

describe("HPET periodic timers", () => {
  it("programmed as Linux does (value set, then the period) fire each period without drift", () => {
    write(conf(0), INT_ENB | PERIODIC | VAL_SET | MODE_32 | route(20));
    write(comp(0), 150);
    write(comp(0), 100);
    write(GEN_CONF, 1);
    expect(clock.advance(1499)).toBe(0);
    clock.advance(1);
    expect(pulses("20")).toBe(1);
    expect(read(comp(0))).toBe(250);
    clock.advance(100 * 1000);
    expect(pulses("20")).toBe(101);
  });
  it("take one 64-bit write, or VAL_SET before each half, as accumulator and period", () => {
    for (const again of [false, true]) {
      hpet = build();
      write(conf(0), INT_ENB | PERIODIC | VAL_SET | route(20));
      write(comp(0), 0);
      if (again) write(conf(0), INT_ENB | PERIODIC | VAL_SET | route(20));
      write(comp(0) + 4, 1);
      write(GEN_CONF, 1);
      clock.advance(0x1_0000_0000 * 10 * 3);
      expect(pulses("20")).toBe(3);
    }
  });
  it("without VAL_SET change the period only", () => {
    write(conf(0), INT_ENB | PERIODIC | VAL_SET | MODE_32 | route(20));
    write(comp(0), 100);
    write(comp(0), 50);
    expect(read(comp(0))).toBe(100);
    write(GEN_CONF, 1);
    clock.advance(1500);
    expect(pulses("20")).toBe(2);
  });
  it("with the smallest period fire at most once a tick", () => {
    write(conf(0), INT_ENB | PERIODIC | VAL_SET | MODE_32 | route(20));
    write(comp(0), 1);
    write(GEN_CONF, 1);
    expect(clock.advance(1000)).toBe(100);
  });
});

describe("HPET routing", () => {
  it("does not take a route the timer cannot drive", () => {
    write(conf(0), route(20));
    write(conf(0), route(2));
    expect((read(conf(0)) >> 9) & 0x1f).toBe(20);
  });
  it("legacy replacement sends timers 0 and 1 to IRQ0 and IRQ8, timer 2 to its own", () => {
    for (const n of [0, 1, 2]) {
      write64(comp(n), 10n);
      write(conf(n), INT_ENB | route(22));
    }
    write(GEN_CONF, 3);
    clock.advance(100);
    expect(log).toEqual(["legacy true", "irq0+", "irq8+", "22+", "22-"]);
    write(GEN_CONF, 1);
    expect(log.slice(-3)).toEqual(["legacy false", "irq0-", "irq8-"]);
  });
  it("holds a legacy line up until the next edge, or until the timer is disabled", () => {
    write(conf(0), INT_ENB | PERIODIC | VAL_SET | MODE_32);
    write(comp(0), 10);
    write(GEN_CONF, 3);
    clock.advance(100);
    expect(log).toEqual(["legacy true", "irq0+"]);
    clock.advance(100);
    expect(log).toEqual(["legacy true", "irq0+", "irq0-", "irq0+"]);
    write(conf(0), PERIODIC | MODE_32);
    expect(log.at(-1)).toBe("irq0-");
    write(conf(0), INT_ENB | PERIODIC | MODE_32);
    expect(log.at(-1)).toBe("irq0-");
  });
  it("FSB delivery sends the programmed message instead of driving a line", () => {
    write(0x110, 0x41);
    write(0x114, 0xfee0_1000);
    write64(comp(0), 10n);
    write(conf(0), INT_ENB | 0x4000 | route(20));
    write(GEN_CONF, 1);
    clock.advance(100);
    expect(log).toEqual(["msi fee01000 41"]);
  });
});

describe("HPET state", () => {
  it("round-trips through a structured clone, running timers and held lines included", () => {
    write64(comp(2), 10n);
    write(conf(2), INT_ENB | LEVEL | route(11));
    write(conf(0), INT_ENB | PERIODIC | VAL_SET | MODE_32 | route(20));
    write(comp(0), 100);
    write(GEN_CONF, 3);
    clock.advance(500);
    const saved = structuredClone(hpet.state);
    hpet = build();
    clock.nowNs = 500;
    hpet.state = saved;
    hpet.driveOutputs();
    expect(log).toEqual(["legacy true", "11+"]);
    clock.advance(500);
    expect(log.at(-1)).toBe("irq0+");
    hpet.reset();
    expect(log.slice(-3)).toEqual(["legacy false", "11-", "irq0-"]);
    expect(counter()).toBe(0n);
  });
});
