import { beforeEach, describe, expect, it } from "vitest";
import { Pic8259Pair } from "./pic-8259.ts";

let pics: Pic8259Pair;
let intr: boolean;

const command = (byte: number) => pics.master.write(0, byte, 1);
const mask = (byte: number) => pics.master.write(1, byte, 1);
const slaveCommand = (byte: number) => pics.slave.write(0, byte, 1);
const slaveMask = (byte: number) => pics.slave.write(1, byte, 1);
const raise = (...irqs: number[]) => {
  for (const irq of irqs) pics.line(irq).set(true);
};
const lower = (...irqs: number[]) => {
  for (const irq of irqs) pics.line(irq).set(false);
};
const readIRR = () => {
  command(0x0a);
  return pics.master.read(0, 1);
};
const readISR = () => {
  command(0x0b);
  return pics.master.read(0, 1);
};
const slaveISR = () => {
  slaveCommand(0x0b);
  return pics.slave.read(0, 1);
};

/** Linux's init_8259A: master at 0x30, slave at 0x38, nothing masked. */
const initialize = ({ icw1 = 0x11, masterICW4 = 0x01, slaveICW4 = 0x01 } = {}) => {
  command(icw1);
  for (const byte of [0x30, 0x04, masterICW4, 0x00]) mask(byte);
  slaveCommand(icw1);
  for (const byte of [0x38, 0x02, slaveICW4, 0x00]) slaveMask(byte);
};

beforeEach(() => {
  intr = false;
  pics = new Pic8259Pair({ set: (asserted) => void (intr = asserted) });
  initialize();
});

describe("8259 initialization", () => {
  it("takes ICW2, ICW3 and ICW4 and then OCW1 at the odd port", () => {
    mask(0x5a);
    expect(pics.master.read(1, 1)).toBe(0x5a);
    mask(0);
    raise(1);
    expect(pics.acknowledge()).toBe(0x31);
  });
  it("skips ICW3 in single mode and ICW4 without IC4", () => {
    command(0x12);
    mask(0x47);
    mask(0xa5);
    expect(pics.master.read(1, 1)).toBe(0xa5);
  });
  it("clears the mask, the edges and the service register, and reads IRR first", () => {
    raise(1);
    pics.acknowledge();
    raise(3);
    command(0x0b);
    mask(0xff);
    command(0x11);
    expect(pics.master.read(0, 1)).toBe(0);
    for (const byte of [0x20, 4, 1]) mask(byte);
    expect([pics.master.read(1, 1), readISR(), intr]).toEqual([0, 0, false]);
    lower(3);
    raise(3);
    expect(pics.acknowledge()).toBe(0x23);
  });
  it("leaves everything masked at power-on", () => {
    const fresh = new Pic8259Pair({ set: (asserted) => void (intr = asserted) });
    for (let irq = 0; irq < 16; irq++) fresh.line(irq).set(true);
    expect([intr, fresh.master.read(1, 1), fresh.slave.read(1, 1)]).toEqual([false, 0xff, 0xff]);
  });
});

describe("8259 requests", () => {
  it.each([0, 1, 3, 4, 5, 6, 7])("IRQ%i has vector base + its number", (irq) => {
    raise(irq);
    expect(intr).toBe(true);
    expect(readIRR()).toBe(1 << irq);
    expect(pics.acknowledge()).toBe(0x30 + irq);
    expect([intr, readIRR(), readISR()]).toEqual([false, 0, 1 << irq]);
  });
  it.each([8, 9, 10, 11, 12, 13, 14, 15])("IRQ%i comes through the cascade", (irq) => {
    raise(irq);
    expect(readIRR()).toBe(0x04);
    expect(pics.acknowledge()).toBe(0x30 + irq);
    expect([readISR(), slaveISR()]).toEqual([0x04, 1 << (irq - 8)]);
  });
  it("nobody can drive IRQ2", () => {
    raise(2);
    expect(intr).toBe(false);
  });
  it("an edge counts once, and again after the line fell", () => {
    raise(4);
    pics.acknowledge();
    command(0x20);
    expect(intr).toBe(false);
    raise(4);
    expect(intr).toBe(false);
    lower(4);
    raise(4);
    expect(intr).toBe(true);
  });
  it("a masked edge waits for its mask to be lifted", () => {
    mask(0x10);
    raise(4);
    expect([intr, readIRR()]).toEqual([false, 0x10]);
    mask(0);
    expect(intr).toBe(true);
  });
  it("a request that goes away before the acknowledge is a spurious IRQ7, not in service", () => {
    raise(4);
    lower(4);
    expect(intr).toBe(false);
    expect(pics.acknowledge()).toBe(0x37);
    expect(readISR()).toBe(0);
  });
  it("a slave's request that goes away is a spurious IRQ15, with the cascade in service", () => {
    raise(10);
    // The slave is masked without the master noticing only inside the acknowledge itself; the state says the same.
    pics.state.slave.IMR = 0xff;
    expect(pics.acknowledge()).toBe(0x3f);
    expect([readISR(), slaveISR()]).toEqual([0x04, 0]);
  });
});

describe("8259 fully nested mode", () => {
  it("serves the lowest number first and lets only higher priorities interrupt", () => {
    raise(6, 3, 1);
    expect(pics.acknowledge()).toBe(0x31);
    expect(intr).toBe(false);
    raise(0);
    expect(pics.acknowledge()).toBe(0x30);
    command(0x20);
    expect(intr).toBe(false);
    command(0x20);
    expect(pics.acknowledge()).toBe(0x33);
  });
  it("holds the slave back while the cascade is in service, even for a higher slave level", () => {
    raise(12);
    pics.acknowledge();
    raise(8);
    expect(intr).toBe(false);
    slaveCommand(0x20);
    expect(intr).toBe(false);
    command(0x20);
    expect(pics.acknowledge()).toBe(0x38);
  });
  it("delivers two slave requests one after the other", () => {
    raise(8, 12);
    expect(pics.acknowledge()).toBe(0x38);
    slaveCommand(0x20);
    command(0x20);
    expect(intr).toBe(true);
    expect(pics.acknowledge()).toBe(0x3c);
  });
  it("specific EOI ends the level it names", () => {
    raise(5);
    pics.acknowledge();
    raise(1);
    pics.acknowledge();
    command(0x65);
    expect(readISR()).toBe(0x02);
  });
  it("special fully nested mode lets a higher level of the same slave through, and nothing below the cascade", () => {
    initialize({ masterICW4: 0x11 });
    raise(12);
    pics.acknowledge();
    raise(3);
    expect(intr).toBe(false);
    raise(8);
    expect(pics.acknowledge()).toBe(0x38);
    slaveCommand(0x20);
    expect(slaveISR()).toBe(0x10);
  });
});

describe("8259 level triggering", () => {
  it("ELCR keeps only the bits of inputs that can be level triggered", () => {
    pics.edgeLevelControl.write(0, 0xffff, 2);
    expect(pics.edgeLevelControl.read(0, 2)).toBe(0xdef8);
  });
  it("asks again after EOI while the line stays high, and stops when it falls", () => {
    pics.edgeLevelControl.write(1, 0x08, 1);
    raise(11);
    expect(pics.acknowledge()).toBe(0x3b);
    slaveCommand(0x20);
    command(0x20);
    expect(pics.acknowledge()).toBe(0x3b);
    lower(11);
    slaveCommand(0x20);
    command(0x20);
    expect(intr).toBe(false);
  });
  it("LTIM makes every input level triggered", () => {
    initialize({ icw1: 0x19 });
    raise(1);
    pics.acknowledge();
    command(0x20);
    expect(intr).toBe(true);
  });
});

describe("8259 automatic EOI and rotation", () => {
  it("AEOI leaves nothing in service", () => {
    initialize({ masterICW4: 0x03, slaveICW4: 0x03 });
    raise(1, 9);
    expect(pics.acknowledge()).toBe(0x31);
    expect(readISR()).toBe(0);
    expect(pics.acknowledge()).toBe(0x39);
    expect([readISR(), slaveISR(), intr]).toEqual([0, 0, false]);
  });
  it("AEOI of the slave alone keeps further slave requests coming", () => {
    initialize({ masterICW4: 0x03, slaveICW4: 0x03 });
    raise(9, 10);
    expect(pics.acknowledge()).toBe(0x39);
    expect(intr).toBe(true);
    expect(pics.acknowledge()).toBe(0x3a);
  });
  it("rotation on non-specific EOI gives the served level the lowest priority", () => {
    raise(1);
    pics.acknowledge();
    command(0xa0);
    lower(1);
    raise(1, 4);
    expect(pics.acknowledge()).toBe(0x34);
  });
  it("rotation on specific EOI and set-priority name the lowest level", () => {
    raise(3);
    pics.acknowledge();
    command(0xe3);
    expect(readISR()).toBe(0);
    lower(3);
    raise(3, 4);
    expect(pics.acknowledge()).toBe(0x34);
    command(0x64);
    command(0xc7);
    expect(pics.acknowledge()).toBe(0x33);
  });
  it("rotation in automatic EOI rotates at every acknowledge until it is cleared", () => {
    initialize({ masterICW4: 0x03 });
    command(0x80);
    raise(0);
    pics.acknowledge();
    lower(0);
    raise(0, 5);
    expect(pics.acknowledge()).toBe(0x35);
    command(0x00);
    expect(pics.acknowledge()).toBe(0x30);
    lower(0, 5);
    raise(0, 6);
    expect(pics.acknowledge()).toBe(0x36);
  });
});

describe("8259 special mask mode", () => {
  beforeEach(() => {
    raise(3);
    pics.acknowledge();
    command(0x68);
    mask(0x08);
  });
  it("lets lower levels interrupt while a masked level is in service", () => {
    raise(6);
    expect(pics.acknowledge()).toBe(0x36);
  });
  it("keeps a masked level in service through a non-specific EOI, until the mode ends", () => {
    command(0x20);
    expect(readISR()).toBe(0x08);
    command(0x48);
    raise(6);
    expect(intr).toBe(false);
    command(0x20);
    expect([readISR(), intr]).toEqual([0, true]);
  });
});

describe("8259 poll mode", () => {
  it("a read is the acknowledge: bit 7, the level, and in service", () => {
    raise(5);
    command(0x0c);
    expect(pics.master.read(0, 1)).toBe(0x85);
    expect([readISR(), intr]).toEqual([0x20, false]);
  });
  it("says 0 in bit 7 when nothing asks, once", () => {
    command(0x0c);
    expect(pics.master.read(1, 1) & 0x80).toBe(0);
    expect(pics.master.read(1, 1)).toBe(0);
    mask(0x44);
    expect(pics.master.read(1, 1)).toBe(0x44);
  });
  it("of the slave releases the cascade", () => {
    raise(12);
    slaveCommand(0x0c);
    expect(pics.slave.read(0, 1)).toBe(0x84);
    expect(intr).toBe(false);
  });
});

describe("8259 snapshot and reset", () => {
  it("restores INTR from the state record", () => {
    raise(4);
    const snapshot = structuredClone(pics.state);
    pics.acknowledge();
    pics.state = snapshot;
    pics.driveOutputs();
    expect(intr).toBe(true);
    expect(pics.acknowledge()).toBe(0x34);
  });
  it("a reset masks everything and forgets edges, but not who drives the pins", () => {
    raise(4);
    pics.reset();
    expect(intr).toBe(false);
    initialize();
    expect(intr).toBe(false);
    raise(4);
    expect(intr).toBe(false);
    lower(4);
    raise(4);
    expect(intr).toBe(true);
  });
});
