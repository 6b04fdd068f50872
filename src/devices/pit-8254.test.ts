import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { PIT_HERTZ, Pit8254 } from "./pit-8254.ts";
import { nsOfTicks } from "./ticks.ts";

let clock: SteppedClock;
let pit: Pit8254;
/** OUT 0 as the interrupt controller sees it: the CLK pulse of each change. */
let changes: [tick: number, out: boolean][];
let level: boolean;

const nsOf = (tick: number) => nsOfTicks(BigInt(tick), PIT_HERTZ);
const tickNow = () => Math.floor((clock.nowNs * PIT_HERTZ) / 1e9);
const goTo = (tick: number) => clock.advance(nsOf(tick) - clock.nowNs);
const control = (byte: number) => pit.write(3, byte);
/** Latches and reads a counter that is programmed for two-byte access. */
const count = (counter: 0 | 1 | 2) => {
  control(counter << 6);
  return pit.read(counter) | (pit.read(counter) << 8);
};
/** The count and OUT of counter 2 over the next CLK pulses. */
const waveform = (pulses: number) => {
  const from = tickNow();
  const seen: string[] = [];
  for (let pulse = 1; pulse <= pulses; pulse++) {
    goTo(from + pulse);
    seen.push(`${count(2)}${pit.out(2) ? "H" : "L"}`);
  }
  return seen.join(" ");
};
const program2 = (mode: number, initial: number) => {
  control(0xb0 | (mode << 1));
  pit.write(2, initial & 0xff);
  pit.write(2, initial >> 8);
};

beforeEach(() => {
  clock = new SteppedClock();
  changes = [];
  level = false;
  pit = new Pit8254(clock, {
    set(asserted) {
      if (asserted !== level) changes.push([tickNow(), (level = asserted)]);
    },
  });
  pit.setGate(2, true);
});

describe("8254 mode 0, interrupt on terminal count", () => {
  it("goes high N + 1 pulses after the count was written, and counts on", () => {
    program2(0, 4);
    expect(pit.out(2)).toBe(false);
    expect(waveform(7)).toBe("4L 3L 2L 1L 0H 65535H 65534H");
  });
  it("starts again with a new count, low from its first byte", () => {
    program2(0, 2);
    waveform(3);
    expect(pit.out(2)).toBe(true);
    pit.write(2, 3);
    expect(pit.out(2)).toBe(false);
    expect(waveform(3)).toBe("0L 0L 0L");
    pit.write(2, 0);
    expect(waveform(4)).toBe("3L 2L 1L 0H");
  });
  it("stands still while GATE is low; a count is loaded all the same", () => {
    program2(0, 4);
    waveform(2);
    pit.setGate(2, false);
    expect(waveform(3)).toBe("3L 3L 3L");
    pit.write(2, 2);
    pit.write(2, 0);
    expect(waveform(2)).toBe("2L 2L");
    pit.setGate(2, true);
    expect(waveform(3)).toBe("1L 0H 65535H");
  });
});

describe("8254 mode 1, hardware retriggerable one-shot", () => {
  it("waits high for a trigger, then is low for N pulses", () => {
    pit.setGate(2, false);
    program2(1, 3);
    waveform(3);
    expect(pit.out(2)).toBe(true);
    pit.setGate(2, true);
    expect(waveform(5)).toBe("3L 2L 1L 0H 65535H");
  });
  it("is retriggered by GATE while low, and takes a new count only then", () => {
    pit.setGate(2, false);
    program2(1, 3);
    pit.setGate(2, true);
    waveform(2);
    pit.write(2, 2);
    pit.write(2, 0);
    pit.setGate(2, false);
    expect(waveform(1)).toBe("1L");
    pit.setGate(2, true);
    expect(waveform(3)).toBe("2L 1L 0H");
  });
});

describe("8254 mode 2, rate generator", () => {
  it("is low for the last pulse of every N", () => {
    program2(2, 3);
    expect(waveform(8)).toBe("3H 2H 1L 3H 2H 1L 3H 2H");
  });
  it("takes a new count at the end of the cycle", () => {
    program2(2, 4);
    waveform(2);
    pit.write(2, 3);
    pit.write(2, 0);
    expect(waveform(6)).toBe("2H 1L 3H 2H 1L 3H");
  });
  it("is high and still while GATE is low, and starts afresh with GATE", () => {
    program2(2, 3);
    waveform(3);
    pit.setGate(2, false);
    expect(waveform(2)).toBe("1H 1H");
    pit.setGate(2, true);
    expect(waveform(4)).toBe("3H 2H 1L 3H");
  });
});

describe("8254 mode 3, square wave", () => {
  it("of an even count is high and low for half of it, counting by two", () => {
    program2(3, 4);
    expect(waveform(9)).toBe("4H 2H 4L 2L 4H 2H 4L 2L 4H");
  });
  it("of an odd count is high for one pulse longer", () => {
    program2(3, 5);
    expect(waveform(10)).toBe("4H 2H 0H 4L 2L 4H 2H 0H 4L 2L");
  });
  it("takes a new count at the end of the half-cycle", () => {
    program2(3, 8);
    waveform(2);
    pit.write(2, 4);
    pit.write(2, 0);
    expect(waveform(7)).toBe("4H 2H 4L 2L 4H 2H 4L");
  });
});

describe("8254 modes 4 and 5, strobes", () => {
  it("mode 4 is low for one pulse when the count reaches 0, once", () => {
    program2(4, 3);
    expect(pit.out(2)).toBe(true);
    expect(waveform(6)).toBe("3H 2H 1H 0L 65535H 65534H");
    pit.write(2, 1);
    pit.write(2, 0);
    expect(waveform(3)).toBe("1H 0L 65535H");
  });
  it("mode 5 does so after every trigger", () => {
    pit.setGate(2, false);
    program2(5, 2);
    expect(waveform(3)).toBe("0H 0H 0H");
    pit.setGate(2, true);
    expect(waveform(4)).toBe("2H 1H 0L 65535H");
    pit.setGate(2, false);
    pit.setGate(2, true);
    expect(waveform(3)).toBe("2H 1H 0L");
  });
});

describe("8254 programming", () => {
  it("counts in BCD, where 0 means 10000", () => {
    control(0xb1);
    pit.write(2, 0x00);
    pit.write(2, 0x10);
    goTo(tickNow() + 2);
    expect(count(2)).toBe(0x0999);
    pit.write(2, 0);
    pit.write(2, 0);
    goTo(tickNow() + 2);
    expect(count(2)).toBe(0x9999);
  });
  it("takes 0 as 65536", () => {
    program2(0, 0);
    goTo(tickNow() + 2);
    expect(count(2)).toBe(0xffff);
    goTo(tickNow() + 0xffff);
    expect(pit.out(2)).toBe(true);
  });
  it("reads and writes single bytes, the other byte of the count being 0", () => {
    control(0x94);
    pit.write(2, 5);
    goTo(tickNow() + 2);
    expect([pit.read(2), pit.read(2)]).toEqual([4, 4]);
    control(0xa4);
    pit.write(2, 5);
    goTo(tickNow() + 2);
    expect(pit.read(2)).toBe(0x04);
  });
  it("reads an unlatched two-byte count low byte first, independently of the writing order", () => {
    program2(0, 0x1234);
    goTo(tickNow() + 1);
    expect(pit.read(2)).toBe(0x34);
    pit.write(2, 0x78);
    expect(pit.read(2)).toBe(0x12);
    pit.write(2, 0x56);
    goTo(tickNow() + 1);
    expect(count(2)).toBe(0x5678);
  });
  it("holds a latched count until it was read, ignoring a second latch", () => {
    program2(0, 1000);
    goTo(tickNow() + 1);
    control(0x80);
    goTo(tickNow() + 100);
    control(0x80);
    expect(pit.read(2) | (pit.read(2) << 8)).toBe(1000);
    expect(pit.read(2) | (pit.read(2) << 8)).toBe(900);
  });
  it("reads back status and count of several counters, status first", () => {
    control(0x74);
    program2(3, 0x1000);
    control(0xcc);
    expect(pit.read(1)).toBe(0xf4);
    expect(pit.read(2)).toBe(0xf6);
    expect(pit.read(2) | (pit.read(2) << 8)).toBe(0x1000);
    goTo(tickNow() + 1);
    control(0xe8);
    expect(pit.read(2)).toBe(0xb6);
  });
  it("shows NULL COUNT until a new count of a periodic mode is loaded", () => {
    program2(2, 10);
    goTo(tickNow() + 5);
    pit.write(2, 20);
    pit.write(2, 0);
    control(0xe8);
    expect(pit.read(2)).toBe(0xf4);
    goTo(tickNow() + 10);
    control(0xe8);
    expect(pit.read(2)).toBe(0xb4);
  });
  it("floats at the control word register", () => {
    expect(pit.read(3)).toBe(0xff);
  });
});

describe("8254 OUT 0", () => {
  it("ticks with exact long-term rate as Linux programs it for 250 Hz", () => {
    control(0x34);
    pit.write(0, 4772 & 0xff);
    pit.write(0, 4772 >> 8);
    clock.advance(10e9);
    const rises = changes.filter(([, out]) => out).map(([tick]) => tick);
    expect(rises.length).toBe(1 + Math.floor((10 * PIT_HERTZ - 1) / 4772));
    expect(rises.slice(0, 3)).toEqual([0, 1 + 4772, 1 + 2 * 4772]);
    expect(changes.slice(1, 3)).toEqual([
      [4772, false],
      [4773, true],
    ]);
  });
  it("fires once in mode 4 and leaves no timer behind", () => {
    control(0x38);
    pit.write(0, 100);
    pit.write(0, 0);
    changes.length = 0;
    clock.advance(1e6);
    expect(changes).toEqual([
      [101, false],
      [102, true],
    ]);
    expect(clock.advance(1e9)).toBe(0);
  });
  it("shows an edge even when the timer is served many periods late, and when a read comes before it", () => {
    control(0x14);
    pit.write(0, 2);
    level = true;
    changes.length = 0;
    // The clock jumps past several deadlines, as it does within one long instruction.
    clock.nowNs = nsOf(1001);
    pit.read(0);
    expect(changes.map(([, out]) => out)).toEqual([false, true]);
    clock.nowNs = nsOf(1_000_000_001);
    pit.driveOutputs();
    expect(changes.length).toBe(4);
  });
  it("needs no timer for the illegal counts of 1", () => {
    for (const mode of [2, 3]) {
      control(0x10 | (mode << 1));
      pit.write(0, 1);
      expect(clock.advance(1e6)).toBeLessThan(3);
    }
  });
  it("follows the state record after a restore", () => {
    control(0x34);
    pit.write(0, 0);
    pit.write(0, 1);
    goTo(300);
    const snapshot = structuredClone(pit.state);
    changes.length = 0;
    goTo(600);
    const seen = [...changes];
    clock.nowNs = nsOf(300);
    pit.reset();
    pit.state = snapshot;
    changes.length = 0;
    level = true;
    pit.driveOutputs();
    goTo(600);
    expect(changes).toEqual(seen);
    expect(seen.length).toBe(2);
  });
});
