import { describe, expect, it } from "vitest";
import {
  buffer,
  busNumbers,
  device,
  eisaId,
  equal,
  integer,
  ioPorts,
  ioWindow,
  isaIrq,
  memory32,
  memoryWindow,
  method,
  name,
  nameString,
  not,
  otherwise,
  packageOf,
  resources,
  returns,
  scope,
  string,
  uuid,
  when,
} from "./aml.ts";

const hex = (bytes: readonly number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Each expected encoding is what ACPICA's compiler iasl makes of the same ASL. */
describe("AML encoding", () => {
  it("encodes integers in their shortest form", () => {
    const encoded = [0, 1, 2, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000n].map((n) =>
      hex(integer(n)),
    );
    expect(encoded).toEqual([
      "00",
      "01",
      "0a 02",
      "0a ff",
      "0b 00 01",
      "0b ff ff",
      "0c 00 00 01 00",
      "0c ff ff ff ff",
      "0e 00 00 00 00 01 00 00 00",
    ]);
  });
  it("encodes names of one, two and more segments, rooted and relative", () => {
    expect(hex(nameString("_SB"))).toBe("5f 53 42 5f");
    expect(hex(nameString("\\_S5"))).toBe("5c 5f 53 35 5f");
    expect(hex(nameString("\\"))).toBe("5c 00");
    expect(hex(nameString("^^X"))).toBe("5e 5e 58 5f 5f 5f");
    expect(hex(nameString("\\_SB.PCI0"))).toBe("5c 2e 5f 53 42 5f 50 43 49 30");
    expect(hex(nameString("_SB.PCI0.COM1"))).toBe("2f 03 5f 53 42 5f 50 43 49 30 43 4f 4d 31");
  });
  it("counts package lengths with themselves, in one to three bytes", () => {
    const lengthOf = (content: number) => hex(buffer(new Array(content).fill(0)).slice(1, 4));
    expect(lengthOf(60)).toBe("3f 0a 3c"); // 1 + 2 + 60 = 63: the largest one-byte length
    expect(lengthOf(61)).toBe("41 04 0a"); // 2 + 2 + 61 = 65
    expect(lengthOf(4090)).toBe("4f ff 0b"); // 2 + 3 + 4090 = 4095: the largest two-byte length
    expect(lengthOf(4091)).toBe("81 00 01"); // 3 + 3 + 4091 = 4097
  });
  it("encodes strings, packages, EISA IDs and UUIDs", () => {
    expect(hex(string("AB"))).toBe("0d 41 42 00");
    expect(hex(packageOf(integer(7), integer(0)))).toBe("12 05 02 0a 07 00");
    expect(hex(eisaId("PNP0A03"))).toBe("0c 41 d0 0a 03");
    expect(hex(eisaId("PNP0501"))).toBe("0c 41 d0 05 01");
    expect(hex(uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766"))).toBe(
      "11 13 0a 10 5b 4d db 33 f7 1f 1c 40 96 57 74 41 c0 3d d7 66",
    );
  });
  it("encodes objects and control flow", () => {
    expect(hex(name("X", integer(0)))).toBe("08 58 5f 5f 5f 00");
    expect(hex(scope("\\", name("X", integer(1))))).toBe("10 09 5c 00 08 58 5f 5f 5f 01");
    expect(hex(device("D", name("X", integer(1))))).toBe("5b 82 0b 44 5f 5f 5f 08 58 5f 5f 5f 01");
    expect(hex(method("M", 2, true, returns(integer(0))))).toBe("14 08 4d 5f 5f 5f 0a a4 00");
    expect(
      hex([
        ...when(not(equal(integer(0), integer(1))), returns(integer(1))),
        ...otherwise(returns(integer(0))),
      ]),
    ).toBe("a0 07 92 93 00 01 a4 01 a1 03 a4 00");
  });
  it("encodes resource descriptors", () => {
    expect(hex(ioPorts(0x3f8, 8))).toBe("47 01 f8 03 f8 03 01 08");
    expect(hex(isaIrq(4))).toBe("22 10 00");
    expect(hex(memory32(0xfed0_0000, 0x400, false))).toBe("86 09 00 00 00 00 d0 fe 00 04 00 00");
    expect(hex(busNumbers(0, 256))).toBe("88 0d 00 02 0c 00 00 00 00 00 ff 00 00 00 00 01");
    expect(hex(ioWindow(0xd00, 0xf300))).toBe("88 0d 00 01 0c 03 00 00 00 0d ff ff 00 00 00 f3");
    expect(hex(memoryWindow(0xc000_0000, 0x1000_0000))).toBe(
      "87 17 00 00 0c 01 00 00 00 00 00 00 00 c0 ff ff ff cf 00 00 00 00 00 00 00 10",
    );
    expect(memoryWindow(2 ** 39, 2 ** 36).slice(0, 6)).toEqual([0x8a, 0x2b, 0, 0, 0x0c, 1]);
    expect(hex(resources(isaIrq(8)))).toBe("11 08 0a 05 22 00 01 79 00");
  });
});
