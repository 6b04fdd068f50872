import { describe, expect, it } from "vitest";
import { type SmbiosFacts, smbiosTables } from "./smbios.ts";

const MiB = 2 ** 20;
const facts: SmbiosFacts = {
  memoryBytes: 512 * MiB,
  lowMemoryBytes: 512 * MiB,
  processors: 2,
  signature: 0x8_06f8,
  features: 0x0fab_fbff,
  vendor: "GenuineIntel",
  brand: "A processor",
  megahertz: 1000,
  uuid: Uint8Array.from({ length: 16 }, (_, n) => n),
};
const ADDRESS = 0xf_1230;

interface Found {
  readonly type: number;
  readonly handle: number;
  readonly fields: DataView;
  readonly strings: readonly string[];
}

/** Structures by type, read as the specification says: formatted area, then strings up to two zero bytes. */
const read = (structures: Uint8Array): Found[] => {
  const found: Found[] = [];
  for (let at = 0; at < structures.length; ) {
    const fields = new DataView(structures.buffer, at, structures[at + 1]);
    let end = at + fields.byteLength;
    while (structures[end] !== 0 || structures[end + 1] !== 0) end++;
    const text = String.fromCharCode(...structures.subarray(at + fields.byteLength, end));
    found.push({
      type: fields.getUint8(0),
      handle: fields.getUint16(2, true),
      fields,
      strings: text === "" ? [] : text.split("\0"),
    });
    at = end + 2;
  }
  return found;
};
const tables = smbiosTables(facts, ADDRESS);
const all = read(tables.structures);
const one = (type: number, of = all): Found => of.find((structure) => structure.type === type)!;
const stringAt = ({ fields, strings }: Found, offset: number) => strings[fields.getUint8(offset) - 1];
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

describe("SMBIOS entry points", () => {
  it("of both forms lead to the same structures", () => {
    const { entry32, entry64, structures } = tables;
    const [view32, view64] = [new DataView(entry32.buffer), new DataView(entry64.buffer)];
    expect([String.fromCharCode(...entry32.subarray(0, 4)), entry32.length, entry32[5]]).toEqual([
      "_SM_",
      31,
      31,
    ]);
    expect(String.fromCharCode(...entry32.subarray(16, 21))).toBe("_DMI_");
    expect([view32.getUint16(22, true), view32.getUint32(24, true), view32.getUint16(28, true)]).toEqual([
      structures.length,
      ADDRESS,
      all.length,
    ]);
    expect([sum(entry32), sum(entry32.subarray(16))]).toEqual([0, 0]);
    expect([String.fromCharCode(...entry64.subarray(0, 5)), entry64.length, entry64[6]]).toEqual([
      "_SM3_",
      24,
      24,
    ]);
    expect([view64.getUint32(12, true), Number(view64.getBigUint64(16, true))]).toEqual([
      structures.length,
      ADDRESS,
    ]);
    expect(sum(entry64)).toBe(0);
  });
  it("name the largest structure with its strings", () => {
    const sizes = all.map(
      ({ fields, strings }) => fields.byteLength + Math.max(2, strings.join("\0").length + 2),
    );
    expect(new DataView(tables.entry32.buffer).getUint16(8, true)).toBe(Math.max(...sizes));
  });
});

describe("SMBIOS structures", () => {
  it("are those of a PC, of the lengths that version 3.0 gives them, each with its own handle", () => {
    expect(all.map(({ type, fields }) => [type, fields.byteLength])).toEqual([
      [0, 0x18],
      [1, 0x1b],
      [3, 0x16],
      [4, 0x30],
      [16, 0x17],
      [17, 0x28],
      [19, 0x1f],
      [32, 0x0b],
      [127, 4],
    ]);
    expect(new Set(all.map(({ handle }) => handle)).size).toBe(all.length);
  });
  it("name the maker, the product and the firmware", () => {
    expect([stringAt(one(1), 4), stringAt(one(1), 5)]).toEqual(["Worldswitch", "Q35 PC"]);
    expect([stringAt(one(0), 4), stringAt(one(0), 5), stringAt(one(0), 8)]).toEqual([
      "Worldswitch",
      "1.0",
      "01/01/2026",
    ]);
    expect(stringAt(one(3), 4)).toBe("Worldswitch");
  });
  it("have the UUID with its first three fields little-endian", () => {
    const { fields } = one(1);
    const bytes = Array.from({ length: 16 }, (_, n) => fields.getUint8(8 + n));
    expect(bytes).toEqual([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
  });
  it("describe the processor package", () => {
    const processor = one(4);
    const { fields } = processor;
    expect([stringAt(processor, 7), stringAt(processor, 0x10)]).toEqual(["GenuineIntel", "A processor"]);
    expect([fields.getUint32(8, true), fields.getUint32(12, true)]).toEqual([0x8_06f8, 0x0fab_fbff]);
    expect([fields.getUint16(0x14, true), fields.getUint16(0x16, true), fields.getUint8(0x18)]).toEqual([
      1000, 1000, 0x41,
    ]);
    expect([0x23, 0x24, 0x25].map((at) => fields.getUint8(at))).toEqual([2, 2, 2]);
    expect([0x2a, 0x2c, 0x2e].map((at) => fields.getUint16(at, true))).toEqual([2, 2, 2]);
    expect(fields.getUint16(0x26, true)).toBe((1 << 2) | (1 << 3) | (1 << 5));
  });
  it("describe memory: an array, a module, and where it is", () => {
    const [array, device, mapped] = [16, 17, 19].map((type) => one(type).fields);
    expect([array!.getUint32(7, true), array!.getUint16(0xd, true)]).toEqual([512 * 1024, 1]);
    expect([device!.getUint16(4, true), device!.getUint16(0xc, true)]).toEqual([one(16).handle, 512]);
    expect(stringAt(one(17), 0x10)).toBe("DIMM 0");
    expect([mapped!.getUint32(4, true), mapped!.getUint32(8, true), mapped!.getUint16(12, true)]).toEqual([
      0,
      512 * 1024 - 1,
      one(16).handle,
    ]);
  });
  it("give memory above 4 GiB a range of its own", () => {
    const more = read(
      smbiosTables({ ...facts, memoryBytes: 3840 * MiB, lowMemoryBytes: 2816 * MiB }, ADDRESS).structures,
    ).filter(({ type }) => type === 19);
    expect(more.map(({ fields }) => [fields.getUint32(4, true), fields.getUint32(8, true)])).toEqual([
      [0, 2816 * 1024 - 1],
      [4096 * 1024, 5120 * 1024 - 1],
    ]);
  });
  it("give a module's size in KiB where it is no whole number of MiB", () => {
    const odd = smbiosTables({ ...facts, memoryBytes: 1.5 * MiB, lowMemoryBytes: 1.5 * MiB }, ADDRESS);
    expect(one(17, read(odd.structures)).fields.getUint16(0xc, true)).toBe(0x8000 | 1536);
  });
  it("leave out strings that nobody knows", () => {
    const unnamed = one(4, read(smbiosTables({ ...facts, brand: "" }, ADDRESS).structures));
    expect([unnamed.fields.getUint8(0x10), unnamed.strings.length]).toEqual([0, 2]);
  });
});
