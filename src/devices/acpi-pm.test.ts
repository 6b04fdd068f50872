import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { ACPI_DISABLE, ACPI_ENABLE, AcpiPm, SLP_TYP_S5 } from "./acpi-pm.ts";

const STS = 0;
const EN = 2;
const CNT = 4;
const TMR = 8;
const GPE_STS = 0x20;
const GPE_EN = 0x28;
const PWRBTN = 0x100;

let clock: SteppedClock;
let sci: boolean;
let slept: number[];
let pm: AcpiPm;
const build = (timerBits?: 24 | 32) => {
  clock = new SteppedClock();
  sci = false;
  slept = [];
  return new AcpiPm({
    clock,
    sci: {
      set: (asserted) => {
        sci = asserted;
      },
    },
    sleep: (type) => slept.push(type),
    ...(timerBits === undefined ? {} : { timerBits }),
  });
};
beforeEach(() => {
  pm = build();
});

describe("ACPI mode", () => {
  it("is turned on and off through the SMI command port, which shows in SCI_EN", () => {
    pm.smiCommand.write(0, ACPI_ENABLE, 1);
    expect(pm.read(CNT, 2)).toBe(1);
    pm.smiCommand.write(0, ACPI_DISABLE, 1);
    expect(pm.read(CNT, 2)).toBe(0);
    pm.smiCommand.write(0, 0x5a77, 2);
    expect([pm.smiCommand.read(0, 1), pm.smiCommand.read(1, 1), pm.smiCommand.read(0, 2)]).toEqual([
      0x77, 0x5a, 0x5a77,
    ]);
    expect(pm.read(CNT, 2)).toBe(0);
  });
  it("gates the SCI", () => {
    pm.write(EN, PWRBTN, 2);
    pm.pressPowerButton();
    expect(sci).toBe(false);
    pm.smiCommand.write(0, ACPI_ENABLE, 1);
    expect(sci).toBe(true);
  });
});

describe("fixed events", () => {
  beforeEach(() => pm.smiCommand.write(0, ACPI_ENABLE, 1));
  it("raise the SCI while enabled, until their status is written with 1", () => {
    pm.pressPowerButton();
    expect([sci, pm.read(STS, 2)]).toEqual([false, PWRBTN]);
    pm.write(EN, PWRBTN, 2);
    expect(sci).toBe(true);
    pm.write(STS, 0xffff ^ PWRBTN, 2);
    expect(sci).toBe(true);
    pm.write(STS + 1, 1, 1); // the byte with PWRBTN_STS
    expect([sci, pm.read(STS, 2)]).toEqual([false, 0]);
  });
  it("can be reached as one 32-bit register", () => {
    pm.write(STS, PWRBTN << 16, 4);
    pm.pressPowerButton();
    expect(pm.read(STS, 4)).toBe(((PWRBTN << 16) | PWRBTN) >>> 0);
  });
  it("keep to the defined bits of the enable register", () => {
    pm.write(EN, 0xffff, 2);
    expect(pm.read(EN, 2)).toBe(0x0721);
  });
});

describe("sleeping", () => {
  it("calls out with the sleep type when SLP_EN is written, which reads as 0", () => {
    pm.write(CNT, (SLP_TYP_S5 << 10) | 1, 2);
    expect(slept).toEqual([]);
    pm.write(CNT, 0x2000 | (SLP_TYP_S5 << 10) | 1, 2);
    expect(slept).toEqual([SLP_TYP_S5]);
    expect(pm.read(CNT, 2)).toBe((SLP_TYP_S5 << 10) | 1);
  });
  it("works through a write of the high byte alone", () => {
    pm.write(CNT + 1, 0x20 | (SLP_TYP_S5 << 2), 1);
    expect(slept).toEqual([SLP_TYP_S5]);
  });
});

describe("PM timer", () => {
  it("counts 3.579545 MHz from power-on and ignores writes", () => {
    clock.advance(1_000_000_000);
    expect(pm.read(TMR, 4)).toBe(3_579_545);
    pm.write(TMR, 0, 4);
    expect(pm.read(TMR, 4)).toBe(3_579_545);
    expect(pm.read(TMR + 1, 1)).toBe((3_579_545 >> 8) & 0xff);
  });
  it("wraps at 24 or 32 bits", () => {
    const seconds = 1300; // 32 bits last 1199 s
    clock.advance(seconds * 1e9);
    expect(pm.read(TMR, 4)).toBe((3_579_545 * seconds) % 2 ** 32);
    pm = build(24);
    clock.advance(seconds * 1e9);
    expect(pm.read(TMR, 4)).toBe((3_579_545 * seconds) % 2 ** 24);
  });
  it("raises the SCI each time its top bit toggles, when enabled", () => {
    pm = build(24);
    pm.smiCommand.write(0, ACPI_ENABLE, 1);
    pm.write(EN, 1, 2);
    const half = Math.ceil((2 ** 23 / 3_579_545) * 1e9);
    clock.advance(half - 1);
    expect([sci, pm.read(STS, 2)]).toEqual([false, 0]);
    clock.advance(1);
    expect([sci, pm.read(STS, 2)]).toEqual([true, 1]);
    pm.write(STS, 1, 2);
    expect([sci, pm.read(STS, 2)]).toEqual([false, 0]);
    expect(clock.advance(half)).toBe(1);
    expect(sci).toBe(true);
  });
});

describe("general-purpose events", () => {
  it("raise the SCI while enabled, until cleared", () => {
    pm.smiCommand.write(0, ACPI_ENABLE, 1);
    pm.raiseGpe(42);
    expect([pm.read(GPE_STS + 5, 1), sci]).toEqual([4, false]);
    pm.write(GPE_EN + 4, 0x400, 2);
    expect(sci).toBe(true);
    pm.write(GPE_STS + 4, 0x400, 4);
    expect([pm.read(GPE_STS + 4, 4), sci]).toEqual([0, false]);
  });
});

it("ports of the PM block without a register read 0 and swallow writes", () => {
  for (const offset of [0x06, 0x0c, 0x34, 0x7c]) {
    pm.write(offset, 0xffff_ffff, 4);
    expect(pm.read(offset, 4)).toBe(0);
  }
});

it("SMI_EN tells firmware that the SMI command port is taken care of", () => {
  expect(pm.read(0x30, 4)).toBe(0x21);
});

it("ACPI state round-trips, and reset turns ACPI mode off", () => {
  pm.smiCommand.write(0, ACPI_ENABLE, 1);
  pm.write(EN, PWRBTN, 2);
  pm.pressPowerButton();
  const saved = structuredClone(pm.state);
  pm = build();
  pm.state = saved;
  pm.driveOutputs();
  expect(sci).toBe(true);
  pm.reset();
  expect([sci, pm.read(CNT, 2), pm.read(STS, 4)]).toEqual([false, 0, 0]);
});
