import { describe, expect, it } from "vitest";
import { boardFacts } from "./boot-machine.ts";
import { mpTables } from "./mp-tables.ts";

const ADDRESS = 0xf_0010;
const bytes = mpTables(boardFacts(2), { signature: 0x8_06f8, features: 0x0fab_fbff }, ADDRESS);
const view = new DataView(bytes.buffer);
const sum = (from: number, length: number) =>
  bytes.subarray(from, from + length).reduce((total, byte) => (total + byte) & 0xff, 0);
const text = (at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));

const TABLE = 16;
const entryBytes = (type: number) => (type === 0 ? 20 : 8);
const entries: number[][] = [];
for (let at = TABLE + 44; at < bytes.length; at += entryBytes(bytes[at]!))
  entries.push([...bytes.subarray(at, at + entryBytes(bytes[at]!))]);
const ofType = (type: number) => entries.filter(([own]) => own === type);

describe("MP tables", () => {
  it("begin with the floating pointer: a configuration table follows, in virtual wire mode", () => {
    expect([text(0, 4), view.getUint32(4, true), bytes[8], bytes[9]]).toEqual(["_MP_", ADDRESS + 16, 1, 4]);
    expect([...bytes.subarray(11, 16)]).toEqual([0, 0, 0, 0, 0]);
    expect(sum(0, 16)).toBe(0);
  });
  it("have a header that counts what follows", () => {
    expect([text(TABLE, 4), view.getUint16(TABLE + 4, true), bytes[TABLE + 6]]).toEqual([
      "PCMP",
      bytes.length - 16,
      4,
    ]);
    expect([view.getUint16(TABLE + 34, true), view.getUint32(TABLE + 36, true)]).toEqual([
      entries.length,
      0xfee0_0000,
    ]);
    expect(sum(TABLE, bytes.length - 16)).toBe(0);
  });
  it("list the processors, the first as the bootstrap one", () => {
    expect(ofType(0)).toEqual([
      [0, 0, 0x15, 3, 0xf8, 0x06, 8, 0, 0xff, 0xfb, 0xab, 0x0f, ...new Array(8).fill(0)],
      [0, 1, 0x15, 1, 0xf8, 0x06, 8, 0, 0xff, 0xfb, 0xab, 0x0f, ...new Array(8).fill(0)],
    ]);
  });
  it("list the buses and the I/O APIC", () => {
    expect(ofType(1).map((entry) => [entry[1], String.fromCharCode(...entry.slice(2))])).toEqual([
      [0, "PCI   "],
      [1, "ISA   "],
    ]);
    expect(ofType(2)).toEqual([[2, 0, 0x20, 1, 0, 0, 0xc0, 0xfe]]);
  });
  it("wire ISA interrupts to the inputs of their number, but IRQ0 to input 2, and none twice", () => {
    const isa = ofType(3).filter((entry) => entry[4] === 1);
    expect(isa.map((entry) => entry[5])).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]);
    expect(isa.map((entry) => entry[7])).toEqual([2, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]);
    expect(isa.find((entry) => entry[5] === 9)).toEqual([3, 0, 0x0d, 0, 1, 9, 0, 9]);
    const inputs = new Set(ofType(3).map((entry) => entry[7]));
    expect([inputs.has(10), inputs.has(11)]).toEqual([false, false]); // they are where PIRQs go without an I/O APIC
  });
  it("wire the pins of each PCI slot to inputs 16 to 23, one further from slot to slot", () => {
    const pci = ofType(3).filter((entry) => entry[4] === 0);
    expect(pci).toHaveLength(128);
    expect(pci[0]).toEqual([3, 0, 0, 0, 0, 0, 0, 16]);
    expect(pci.find((entry) => entry[5] === ((3 << 2) | 1))).toEqual([3, 0, 0, 0, 0, 13, 0, 20]);
  });
  it("wire the 8259s to LINT0 of the bootstrap processor and NMI to LINT1 of all", () => {
    expect(ofType(4)).toEqual([
      [4, 3, 0, 0, 1, 0, 0, 0],
      [4, 1, 0, 0, 1, 0, 0xff, 1],
    ]);
  });
});
