import { beforeEach, describe, expect, it } from "vitest";
import { type ApicAgent, ApicBus, type InterruptMessage } from "./apic-bus.ts";
import { IoApic } from "./io-apic.ts";

const MASKED = 0x1_0000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const ACTIVE_LOW = 0x2000;

let messages: InterruptMessage[];
let accepts: boolean;
let ioApic: IoApic;

const build = (activeLowPins?: number): IoApic => {
  const bus = new ApicBus();
  const agent: ApicAgent = {
    isDestinationOf: () => true,
    acceptsVectors: true,
    arbitrationPriority: 0,
    accept(message) {
      messages.push(message);
      return accepts;
    },
  };
  bus.attach(agent);
  return new IoApic({ bus, id: 2, ...(activeLowPins === undefined ? {} : { activeLowPins }) });
};
beforeEach(() => {
  messages = [];
  accepts = true;
  ioApic = build();
});
const read = (index: number): number => {
  ioApic.write(0, index, 4);
  return ioApic.read(0x10, 4);
};
const write = (index: number, value: number): void => {
  ioApic.write(0, index, 4);
  ioApic.write(0x10, value, 4);
};
const program = (pin: number, low: number, destination = 0): void => {
  write(0x11 + 2 * pin, destination << 24);
  write(0x10 + 2 * pin, low);
};
const vectors = () => messages.map((message) => message.vector);

describe("I/O APIC registers", () => {
  it("identify version 0x20 with 24 pins, all masked at power-up", () => {
    expect(read(1)).toBe(0x0017_0020);
    expect(read(0)).toBe(0x0200_0000);
    for (let pin = 0; pin < 24; pin++)
      expect([read(0x10 + 2 * pin), read(0x11 + 2 * pin)]).toEqual([MASKED, 0]);
  });
  it("keep the writable bits of entries and ID only", () => {
    program(23, 0xffff_ffff, 0xff);
    expect([read(0x10 + 46), read(0x11 + 46)]).toEqual([0x1_afff, 0xff00_0000]);
    write(0, 0xffff_ffff);
    expect(read(0)).toBe(0x0f00_0000);
    write(1, 0);
    expect(read(1)).toBe(0x0017_0020);
  });
  it("beyond the table read 0 and swallow writes", () => {
    for (const index of [0x03, 0x0f, 0x40, 0xff]) {
      write(index, 0xffff_ffff);
      expect(read(index)).toBe(0);
    }
  });
  it("select by byte writes too, and read by bytes", () => {
    ioApic.write(0, 1, 1);
    expect(ioApic.read(0, 1)).toBe(1);
    expect([ioApic.read(0x10, 1), ioApic.read(0x12, 2)]).toEqual([0x20, 0x17]);
  });
});

describe("edge-triggered pins", () => {
  it("send one message per rising edge, to the entry's destination", () => {
    program(4, 0x31, 7);
    const line = ioApic.pin(4);
    line.set(true);
    line.set(true);
    line.set(false);
    line.set(true);
    expect(vectors()).toEqual([0x31, 0x31]);
    expect(messages[0]).toMatchObject({
      destination: 7,
      destinationBits: 8,
      logical: false,
      deliveryMode: 0,
      levelTriggered: false,
    });
  });
  it("lose an edge that comes while masked", () => {
    program(4, MASKED | 0x31);
    ioApic.pin(4).set(true);
    program(4, 0x31);
    expect(messages).toEqual([]);
  });
  it("carry delivery mode and logical destinations", () => {
    program(0, 0x700);
    program(1, 0x400 | LEVEL); // NMI is an edge even when programmed as level
    program(2, 0x940, 3);
    for (const pin of [0, 1, 2]) ioApic.pin(pin).set(true);
    expect(messages.map((message) => message.deliveryMode)).toEqual([7, 4, 1]);
    expect(messages.map((message) => message.levelTriggered)).toEqual([false, false, false]);
    expect(messages[2]).toMatchObject({ destination: 3, logical: true, vector: 0x40 });
  });
});

describe("level-triggered pins", () => {
  it("send once, hold Remote IRR, and send again after EOI while asserted", () => {
    program(16, LEVEL | 0x51);
    ioApic.pin(16).set(true);
    ioApic.pin(16).set(false);
    ioApic.pin(16).set(true);
    expect(vectors()).toEqual([0x51]);
    expect(messages[0]!.levelTriggered).toBe(true);
    expect(read(0x30)).toBe(LEVEL | REMOTE_IRR | 0x51);
    ioApic.endOfInterrupt(0x52);
    expect(vectors()).toEqual([0x51]);
    ioApic.write(0x40, 0x51, 4);
    expect(vectors()).toEqual([0x51, 0x51]);
    ioApic.pin(16).set(false);
    ioApic.endOfInterrupt(0x51);
    expect(vectors()).toEqual([0x51, 0x51]);
    expect(read(0x30)).toBe(LEVEL | 0x51);
  });
  it("deliver on unmasking while asserted", () => {
    program(16, MASKED | LEVEL | 0x51);
    ioApic.pin(16).set(true);
    expect(messages).toEqual([]);
    program(16, LEVEL | 0x51);
    expect(vectors()).toEqual([0x51]);
  });
  it("share a vector: one EOI frees every entry with it", () => {
    program(16, LEVEL | 0x51);
    program(17, LEVEL | 0x51);
    ioApic.pin(16).set(true);
    ioApic.pin(17).set(true);
    ioApic.endOfInterrupt(0x51);
    expect(vectors()).toEqual([0x51, 0x51, 0x51, 0x51]);
  });
  it("drop Remote IRR when switched to edge and back", () => {
    program(16, LEVEL | 0x51);
    ioApic.pin(16).set(true);
    program(16, MASKED | 0x51);
    program(16, LEVEL | 0x51);
    expect(vectors()).toEqual([0x51, 0x51]);
  });
  it("do not hold Remote IRR when no local APIC accepted", () => {
    accepts = false;
    program(16, LEVEL | 0x51);
    ioApic.pin(16).set(true);
    expect(read(0x30)).toBe(LEVEL | 0x51);
    accepts = true;
    program(16, LEVEL | 0x51);
    expect(read(0x30)).toBe(LEVEL | REMOTE_IRR | 0x51);
  });
});

describe("polarity", () => {
  it("means nothing unless the wiring is given", () => {
    program(16, LEVEL | ACTIVE_LOW | 0x51);
    expect(messages).toEqual([]);
    ioApic.pin(16).set(true);
    expect(vectors()).toEqual([0x51]);
  });
  it("must match the wiring where that is given", () => {
    ioApic = build(1 << 16);
    program(16, LEVEL | ACTIVE_LOW | 0x51);
    expect(messages).toEqual([]);
    ioApic.pin(16).set(true);
    expect(vectors()).toEqual([0x51]);
    program(17, LEVEL | ACTIVE_LOW | 0x52); // wired high, idle: looks asserted
    expect(vectors()).toEqual([0x51, 0x52]);
  });
});

it("the I/O APIC's state round-trips, and reset keeps the levels of its pins", () => {
  program(16, LEVEL | 0x51);
  ioApic.pin(16).set(true);
  const other = build();
  other.state = structuredClone(ioApic.state);
  messages.length = 0;
  other.endOfInterrupt(0x51);
  expect(vectors()).toEqual([0x51]);
  other.reset();
  expect(other.state).toMatchObject({ asserted: 1 << 16, IOAPICID: 0x0200_0000 });
});
