import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { RtcMc146818 } from "./rtc-mc146818.ts";

const SECOND = 1e9;
const MIB = 1024 * 1024;

let clock: SteppedClock;
let rtc: RtcMc146818;
let irq: boolean;
let interrupts: number;

const powerUp = (
  startUnixSeconds?: number,
  memory: Partial<{ low: number; high: number; processors: number }> = {},
) => {
  clock = new SteppedClock();
  irq = false;
  interrupts = 0;
  const line = {
    set(asserted: boolean) {
      if (asserted && !irq) interrupts++;
      irq = asserted;
    },
  };
  rtc = new RtcMc146818(clock, line, {
    ...(startUnixSeconds === undefined ? {} : { startUnixSeconds }),
    memoryBelow4GiB: memory.low ?? 512 * MIB,
    memoryAbove4GiB: memory.high ?? 0,
    processors: memory.processors ?? 1,
  });
};
const get = (address: number) => {
  rtc.write(0, address);
  return rtc.read(1);
};
const set = (address: number, byte: number) => {
  rtc.write(0, address);
  rtc.write(1, byte);
};
/** Century, year, month, day, weekday, hours, minutes, seconds as hex digits, the registers' own BCD. */
const now = () =>
  [0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00]
    .map((address) => get(address).toString(16).padStart(2, "0"))
    .join(" ");
const unix = (text: string) => Date.parse(`${text}Z`) / 1000;

beforeEach(() => powerUp());

describe("MC146818 time", () => {
  it("starts at a fixed date unless told otherwise", () => {
    expect(now()).toBe("20 25 01 01 04 00 00 00");
    powerUp(unix("1999-12-31T23:59:58"));
    expect(now()).toBe("19 99 12 31 06 23 59 58");
  });
  it("carries seconds up to the century", () => {
    powerUp(unix("1999-12-31T23:59:59"));
    clock.advance(SECOND - 1);
    expect(now()).toBe("19 99 12 31 06 23 59 59");
    clock.advance(1);
    expect(now()).toBe("20 00 01 01 07 00 00 00");
  });
  it.each([
    ["2024-02-28T23:59:59", "20 24 02 29 05 00 00 00"],
    ["2023-02-28T23:59:59", "20 23 03 01 04 00 00 00"],
    ["2024-12-31T12:59:59", "20 24 12 31 03 13 00 00"],
  ])("knows the length of the months: %s", (before, after) => {
    powerUp(unix(before));
    clock.advance(SECOND);
    expect(now()).toBe(after);
  });
  it("passes many days in one step as in many", () => {
    powerUp(unix("2024-01-01T00:00:00"));
    clock.advance(400 * 86_400 * SECOND);
    const once = now();
    powerUp(unix("2024-01-01T00:00:00"));
    for (let day = 0; day < 400; day++) {
      clock.advance(86_400 * SECOND);
      now();
    }
    expect(now()).toBe(once);
    expect(once).toBe("20 25 02 04 03 00 00 00");
  });
  it.each([
    [0x02, "2024-05-05T00:00:00", 0x00, 0x00],
    [0x00, "2024-05-05T00:00:00", 0x12, 0x12],
    [0x00, "2024-05-05T12:00:00", 0x92, 0x92],
    [0x00, "2024-05-05T23:00:00", 0x91, 0x91],
    [0x04, "2024-05-05T23:00:00", 0x8b, 0x8b],
    [0x06, "2024-05-05T23:00:00", 0x17, 0x17],
  ])("shows hours in the format of register B = %i at %s", (registerB, time, hours) => {
    // Changing the format needs the time bytes to be written again, as on the chip.
    powerUp(unix(time));
    set(0x0b, 0x80 | registerB);
    set(0x04, hours);
    set(0x02, registerB & 4 ? 59 : 0x59);
    set(0x00, registerB & 4 ? 58 : 0x58);
    set(0x0b, registerB);
    clock.advance(1.5 * SECOND);
    expect(get(0x04)).toBe(hours);
    expect(get(0x00)).toBe(registerB & 4 ? 59 : 0x59);
  });
  it("counts from noon to one in the afternoon and through midnight in 12-hour format", () => {
    set(0x0b, 0x80);
    for (const [address, byte] of [
      [4, 0x92],
      [2, 0x59],
      [0, 0x59],
    ] as const)
      set(address, byte);
    set(0x0b, 0x00);
    clock.advance(SECOND);
    expect(get(4)).toBe(0x81);
    set(0x0b, 0x80);
    for (const [address, byte] of [
      [4, 0x91],
      [2, 0x59],
      [0, 0x59],
    ] as const)
      set(address, byte);
    set(0x0b, 0x00);
    clock.advance(SECOND);
    expect(get(4)).toBe(0x12);
  });
  it("survives time bytes out of range", () => {
    set(0x0b, 0x82);
    for (let address = 0; address < 10; address++) set(address, 0xff);
    set(0x32, 0xff);
    set(0x0b, 0x02);
    clock.advance(3 * SECOND);
    expect(now()).toMatch(/^[0-9a-f ]+$/);
    expect(rtc.state.bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 0xff)).toBe(true);
  });
});

describe("MC146818 update cycle", () => {
  it("shows UIP from 244 us before the update cycle of 1984 us until it ends", () => {
    clock.advance(SECOND - 2_228_001);
    expect(get(0x0a)).toBe(0x26);
    clock.advance(1);
    expect(get(0x0a)).toBe(0xa6);
    clock.advance(2_227_999);
    expect(get(0x0a)).toBe(0xa6);
    clock.advance(1);
    expect(get(0x0a)).toBe(0x26);
  });
  it("SET stops updates and UIP, and drops UIE", () => {
    set(0x0b, 0x92);
    expect(get(0x0b)).toBe(0x82);
    clock.advance(SECOND - 1000);
    expect(get(0x0a)).toBe(0x26);
    clock.advance(5 * SECOND);
    expect(now()).toBe("20 25 01 01 04 00 00 00");
    set(0x0b, 0x02);
    clock.advance(SECOND);
    expect(get(0)).toBe(1);
  });
  it("the first update comes half a second after the divider is released", () => {
    clock.advance(0.3 * SECOND);
    set(0x0a, 0x76);
    clock.advance(10 * SECOND);
    expect(get(0)).toBe(0);
    set(0x0a, 0x26);
    clock.advance(0.5 * SECOND - 1);
    expect(get(0)).toBe(0);
    clock.advance(1);
    expect(get(0)).toBe(1);
  });
});

describe("MC146818 interrupts", () => {
  it("update-ended comes once a second until register C is read", () => {
    set(0x0b, 0x12);
    clock.advance(SECOND);
    expect(irq).toBe(true);
    clock.advance(5 * SECOND);
    expect(interrupts).toBe(1);
    expect(get(0x0c)).toBe(0xd0);
    expect([irq, get(0x0c)]).toEqual([false, 0]);
    clock.advance(SECOND);
    expect(interrupts).toBe(2);
  });
  it.each([
    [0x23, 8192],
    [0x26, 1024],
    [0x2f, 2],
    [0x21, 256],
    [0x22, 128],
  ])("periodic with register A = %i comes %i times a second", (registerA, rate) => {
    set(0x0a, registerA);
    set(0x0b, 0x42);
    get(0x0c);
    let seen = 0;
    while (seen < 3) {
      clock.advance(Math.ceil(SECOND / rate));
      expect(irq).toBe(true);
      expect(get(0x0c) & 0xc0).toBe(0xc0);
      seen++;
    }
    expect(interrupts).toBe(3);
  });
  it("periodic flag is set whether or not its interrupt is enabled, and enabling it then interrupts", () => {
    clock.advance(Math.ceil(SECOND / 1024));
    expect(irq).toBe(false);
    set(0x0b, 0x42);
    expect(irq).toBe(true);
  });
  it("rings the alarm at its time", () => {
    set(0x05, 0xc0);
    set(0x03, 0x01);
    set(0x01, 0x30);
    set(0x0b, 0x22);
    clock.advance(90 * SECOND - 1);
    expect(irq).toBe(false);
    clock.advance(1);
    expect(irq).toBe(true);
    expect(get(0x0c) & 0xa0).toBe(0xa0);
    clock.advance(3599 * SECOND);
    expect(irq).toBe(false);
    clock.advance(SECOND);
    expect(irq).toBe(true);
  });
  it("a don't-care alarm byte matches every value", () => {
    set(0x05, 0xff);
    set(0x03, 0xc0);
    set(0x01, 0x10);
    set(0x0b, 0x22);
    for (let minute = 0; minute < 3; minute++) {
      clock.advance(60 * SECOND);
      expect(get(0x0c) & 0x80).toBe(0x80);
    }
    expect(interrupts).toBe(3);
  });
  it("notices an alarm that passed while nobody looked", () => {
    set(0x05, 0x23);
    clock.advance(22 * 3600 * SECOND);
    expect(get(0x0c) & 0x20).toBe(0);
    clock.advance(400 * 86_400 * SECOND);
    expect(get(0x0c) & 0x20).toBe(0x20);
  });
  it("an impossible alarm never rings", () => {
    set(0x01, 0x77);
    set(0x0b, 0x22);
    clock.advance(3600 * SECOND);
    expect(interrupts).toBe(0);
    set(0x0b, 0x02);
    clock.advance(2 * 86_400 * SECOND);
    expect(get(0x0c) & 0x20).toBe(0);
  });
  it("no timer is left when no interrupt is enabled or one is already asserted", () => {
    expect(clock.advance(10 * SECOND)).toBe(0);
    set(0x0b, 0x42);
    expect(clock.advance(10 * SECOND)).toBe(0);
  });
  it("a reset switches interrupts off and keeps time and RAM", () => {
    set(0x40, 0x5a);
    set(0x0b, 0x72);
    clock.advance(2 * SECOND);
    rtc.reset();
    expect([irq, get(0x0b), get(0x0c), get(0x40), get(0x00)]).toEqual([false, 0x02, 0, 0x5a, 2]);
  });
});

describe("MC146818 registers and CMOS", () => {
  it("says that the battery is good, and C and D cannot be written", () => {
    set(0x0d, 0);
    set(0x0c, 0xff);
    expect([get(0x0d), get(0x0c)]).toEqual([0x80, 0]);
  });
  it("keeps the NMI mask out of the index", () => {
    rtc.write(0, 0x8d);
    expect([rtc.nmiMasked, rtc.read(1), rtc.read(0)]).toEqual([true, 0x80, 0xff]);
    rtc.write(0, 0x0d);
    expect(rtc.nmiMasked).toBe(false);
  });
  it.each([
    [{ low: 32 * MIB }, "80 02 00 7c 00 7c 00 01 00 00 00 00"],
    [{ low: 512 * MIB, processors: 4 }, "80 02 ff ff ff ff 00 1f 00 00 00 03"],
    [{ low: 3072 * MIB, high: 5120 * MIB, processors: 8 }, "80 02 ff ff ff ff 00 bf 00 40 01 07"],
    [{ low: 512 * 1024 }, "00 02 00 00 00 00 00 00 00 00 00 00"],
  ])("describes the memory and processors to firmware: %o", (memory, expected) => {
    powerUp(undefined, memory);
    const addresses = [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5b, 0x5c, 0x5d, 0x5f];
    expect(addresses.map((address) => get(address).toString(16).padStart(2, "0")).join(" ")).toBe(expected);
  });
  it("resumes from its state record", () => {
    set(0x0b, 0x12);
    clock.advance(1.25 * SECOND);
    const snapshot = structuredClone(rtc.state);
    const at = clock.nowNs;
    clock.advance(100 * SECOND);
    clock.nowNs = at;
    rtc.state = snapshot;
    rtc.driveOutputs();
    expect(irq).toBe(true);
    expect(get(0x0c)).toBe(0xd0);
    clock.advance(0.75 * SECOND);
    expect([irq, get(0)]).toEqual([true, 2]);
  });
});
