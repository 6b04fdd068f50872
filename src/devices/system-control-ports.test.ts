import { beforeEach, describe, expect, it } from "vitest";
import { unconnected } from "../bus/shared-line.ts";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { Pit8254 } from "./pit-8254.ts";
import { SystemControlPorts } from "./system-control-ports.ts";

let clock: SteppedClock;
let pit: Pit8254;
let ports: SystemControlPorts;
let a20: boolean;
let resets: string[];
let codes: number[];

beforeEach(() => {
  clock = new SteppedClock();
  pit = new Pit8254(clock, unconnected);
  resets = [];
  codes = [];
  ports = new SystemControlPorts({
    clock,
    timer2Gate: (gate) => pit.setGate(2, gate),
    timer2Out: () => pit.out(2),
    a20: (open) => void (a20 = open),
    reset: (kind) => resets.push(kind),
    postCode: (code) => codes.push(code),
  });
});

describe("system control port B", () => {
  it("gates counter 2 and shows its OUT, as Linux calibrates the TSC", () => {
    ports.portB.write(0, 0x00, 1);
    pit.write(3, 0xb0);
    pit.write(2, 0xff);
    pit.write(2, 0x00);
    clock.advance(1e9);
    expect(ports.portB.read(0, 1) & 0x20).toBe(0);
    ports.portB.write(0, 0x01, 1);
    clock.advance(213_000);
    expect(ports.portB.read(0, 1) & 0x21).toBe(0x01);
    clock.advance(1_000);
    expect(ports.portB.read(0, 1) & 0x21).toBe(0x21);
  });
  it("toggles bit 4 with every memory refresh, about every 15 us", () => {
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      seen.push((ports.portB.read(0, 1) >> 4) & 1);
      clock.advance(15_086);
    }
    expect(seen).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  });
  it("keeps its four writable bits and nothing of the others", () => {
    ports.portB.write(0, 0xff, 1);
    expect(ports.portB.read(0, 1) & 0xcf).toBe(0x0f);
    expect(ports.speaker).toBe(true);
  });
});

describe("system control port A", () => {
  it("opens and closes A20", () => {
    expect(ports.portA.read(0, 1)).toBe(0x02);
    ports.portA.write(0, 0x00, 1);
    expect(a20).toBe(false);
    ports.portA.write(0, 0x02, 1);
    expect([a20, resets]).toEqual([true, []]);
  });
  it("resets on a rising bit 0 only", () => {
    ports.portA.write(0, 0x03, 1);
    ports.portA.write(0, 0x03, 1);
    expect(resets).toEqual(["INIT"]);
    ports.portA.write(0, 0x02, 1);
    ports.portA.write(0, 0x03, 1);
    expect(resets).toEqual(["INIT", "INIT"]);
  });
});

describe("reset control register", () => {
  it("resets on a rising RST_CPU, the platform or the processors as SYS_RST says", () => {
    ports.resetControl.write(0, 0x02, 1);
    expect(resets).toEqual([]);
    ports.resetControl.write(0, 0x06, 1);
    ports.resetControl.write(0, 0x06, 1);
    expect(resets).toEqual(["PLTRST"]);
    ports.resetControl.write(0, 0x00, 1);
    ports.resetControl.write(0, 0x04, 1);
    expect(resets).toEqual(["PLTRST", "INIT"]);
    expect(ports.resetControl.read(0, 1)).toBe(0x04);
  });
});

describe("POST and delay ports", () => {
  it("tell the POST code and give it back", () => {
    ports.post.write(0, 0x55, 1);
    ports.delay.write(0, 0x12, 1);
    expect([codes, ports.post.read(0, 1), ports.delay.read(0, 1)]).toEqual([[0x55], 0x55, 0xff]);
  });
});

describe("system control snapshot", () => {
  it("restores GATE 2 and A20", () => {
    ports.portB.write(0, 1, 1);
    ports.portA.write(0, 0, 1);
    const snapshot = structuredClone(ports.state);
    ports.reset();
    expect([pit.state.counters[2].gate, a20]).toEqual([false, true]);
    ports.state = snapshot;
    ports.driveOutputs();
    expect([pit.state.counters[2].gate, a20]).toEqual([true, false]);
  });
});
