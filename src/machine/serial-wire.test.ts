import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { SerialWire } from "./serial-wire.ts";

let clock: SteppedClock;
let wire: SerialWire;
let chip: { canReceive: boolean; isListening: boolean; got: number[]; receive(byte: number): void };

const newChip = (room: number): typeof chip => ({
  got: [],
  isListening: true,
  get canReceive() {
    return this.got.length < room;
  },
  receive(byte) {
    this.got.push(byte);
  },
});
const text = (letters: string) => new TextEncoder().encode(letters);

beforeEach(() => {
  clock = new SteppedClock();
  chip = newChip(16);
  wire = new SerialWire(clock, chip);
});

describe("serial wire", () => {
  it("hands over at once what there is room for, the rest as room appears, in order", () => {
    const sent = text("a line longer than the sixteen bytes of a FIFO");
    wire.send(sent.subarray(0, 30));
    wire.send(sent.subarray(30));
    expect(chip.got.length).toBe(16);
    const all: number[] = [];
    for (let n = 0; n < 10; n++) {
      all.push(...chip.got.splice(0));
      clock.advance(1_000);
    }
    expect(Uint8Array.from(all)).toEqual(sent);
    expect(wire.pending).toBe(0);
  });

  it("holds input back until somebody listens", () => {
    chip.isListening = false;
    wire.send(text("ls"));
    clock.advance(5_000_300_000);
    expect([chip.got.length, wire.pending]).toEqual([0, 2]);
    chip.isListening = true;
    clock.advance(699_999);
    expect(chip.got.length).toBe(0);
    clock.advance(1);
    expect([chip.got.length, wire.pending]).toEqual([2, 0]);
  });

  it("carries over what was not delivered to the chip after a reset", () => {
    chip.isListening = false;
    wire.send(text("ls"));
    const next = newChip(16);
    wire.connect(new SteppedClock(), next);
    expect(next.got).toEqual([...text("ls")]);
    clock.advance(5_000_000);
    expect(chip.got).toEqual([]);
  });
});
