import { describe, expect, it } from "vitest";
import type { AcpiBoard } from "./acpi-board.ts";
import { buildAcpiTables } from "./acpi-tables.ts";

const board: AcpiBoard = {
  apicIds: [0, 1, 2],
  localApic: 0xfee0_0000,
  ioApic: 0xfec0_0000,
  hpet: 0xfed0_0000,
  ecam: 0xb000_0000,
  pciMemory: [{ start: 0xc000_0000, length: 0x3ec0_0000 }],
  pmBase: 0x600,
  smiCommand: 0xb2,
  interrupts: { sci: 9, rtc: 8, keyboard: 1, mouse: 12 },
  serialPorts: [
    { start: 0x3f8, irq: 4 },
    { start: 0x2f8, irq: 3 },
  ],
  pirqIsaIrqs: [10, 11, 10, 11, 10, 11, 10, 11],
};
const TABLES = 0x1fff_0000;
const RSDP = 0xf_5a40;
const built = buildAcpiTables(board, TABLES, RSDP);

const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);
/** The table at a physical address. */
const tableAt = (address: number) => {
  const bytes = built.tables.bytes.subarray(address - TABLES);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const own = bytes.slice(0, length);
  return { signature: text(own.subarray(0, 4)), bytes: own, view: new DataView(own.buffer) };
};
const rsdp = new DataView(built.rsdp.bytes.buffer);
const xsdt = tableAt(Number(rsdp.getBigUint64(24, true)));
const found = new Map(
  Array.from({ length: (xsdt.bytes.length - 36) / 8 }, (_, i) => {
    const table = tableAt(Number(xsdt.view.getBigUint64(36 + 8 * i, true)));
    return [table.signature, table] as const;
  }),
);
const fadt = found.get("FACP")!;
const dsdt = tableAt(Number(fadt.view.getBigUint64(140, true)));

describe("ACPI tables", () => {
  it("start at a root pointer with both checksums", () => {
    expect(text(built.rsdp.bytes.subarray(0, 8))).toBe("RSD PTR ");
    expect([built.rsdp.bytes[15], rsdp.getUint32(20, true), built.rsdp.bytes.length]).toEqual([2, 36, 36]);
    expect([sum(built.rsdp.bytes.subarray(0, 20)), sum(built.rsdp.bytes)]).toEqual([0, 0]);
    expect(built.rsdp.address).toBe(RSDP);
  });
  it("are reached through XSDT and RSDT alike, each with a right length and checksum", () => {
    const rsdt = tableAt(rsdp.getUint32(16, true));
    expect([xsdt.signature, rsdt.signature]).toEqual(["XSDT", "RSDT"]);
    expect([...found.keys()]).toEqual(["FACP", "APIC", "HPET", "MCFG"]);
    for (const table of [xsdt, rsdt, dsdt, ...found.values()]) expect(sum(table.bytes)).toBe(0);
    for (let i = 0; i < 4; i++)
      expect(rsdt.view.getUint32(36 + 4 * i, true)).toBe(Number(xsdt.view.getBigUint64(36 + 8 * i, true)));
  });
  it("have a FACS on a 64-byte boundary", () => {
    const address = fadt.view.getUint32(36, true);
    expect([tableAt(address).signature, tableAt(address).bytes.length, address % 64]).toEqual([
      "FACS",
      64,
      0,
    ]);
  });
  it("keep their length wherever they are placed", () => {
    expect(buildAcpiTables(board, 0x10_0000, RSDP).tables.bytes.length).toBe(built.tables.bytes.length);
  });
});

describe("FADT", () => {
  it("names the fixed hardware, the same in both address forms", () => {
    const { view, bytes } = fadt;
    expect([bytes[8], bytes.length]).toEqual([6, 276]);
    expect([view.getUint16(46, true), view.getUint32(48, true), bytes[52], bytes[53]]).toEqual([
      9, 0xb2, 2, 3,
    ]);
    // biome-ignore format: one row per fact
    const blocks = [
      // 32-bit address, length byte, X_ form
      [56, 88, 148, 0x600, 4], // PM1a event
      [64, 89, 172, 0x604, 2], // PM1a control
      [76, 91, 208, 0x608, 4], // PM timer
      [80, 92, 220, 0x620, 16], // GPE0
    ] as const;
    for (const [address, length, extended, port, bytesLong] of blocks) {
      expect([view.getUint32(address, true), bytes[length]]).toEqual([port, bytesLong]);
      expect([bytes[extended], bytes[extended + 1], Number(view.getBigUint64(extended + 4, true))]).toEqual([
        1,
        8 * bytesLong,
        port,
      ]);
    }
  });
  it("says how to reset, that the timer has 32 bits, and that the power button is fixed hardware", () => {
    const { view, bytes } = fadt;
    expect([bytes[116], view.getUint16(120, true), bytes[128]]).toEqual([1, 0xcf9, 6]);
    const flags = view.getUint32(112, true);
    expect([flags & (1 << 10), flags & (1 << 8), flags & (1 << 4)]).toEqual([1 << 10, 1 << 8, 0]);
    expect(view.getUint16(109, true) & 2).toBe(2); // 8042
  });
});

describe("MADT", () => {
  const { view, bytes } = found.get("APIC")!;
  const entries: Uint8Array[] = [];
  for (let at = 44; at < bytes.length; at += bytes[at + 1]!)
    entries.push(bytes.slice(at, at + bytes[at + 1]!));
  it("has every processor, the I/O APIC and the NMI pin", () => {
    expect([view.getUint32(36, true), view.getUint32(40, true)]).toEqual([0xfee0_0000, 1]);
    const ofType = (type: number) =>
      entries.filter(([own]) => own === type).map((entry) => [...entry.subarray(2)]);
    expect(ofType(0)).toEqual([0, 1, 2].map((id) => [id, id, 1, 0, 0, 0]));
    expect(ofType(1)).toEqual([[0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]]);
    expect(ofType(4)).toEqual([[0xff, 0, 0, 1]]);
  });
  it("moves IRQ0 to input 2 and makes the SCI an active-high level", () => {
    const overrides = entries.filter(([type]) => type === 2).map((entry) => [...entry]);
    expect(overrides).toEqual([
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
    ]);
  });
});

describe("HPET and MCFG", () => {
  it("say where the event timers and configuration space are", () => {
    const hpet = found.get("HPET")!.view;
    expect([hpet.getUint32(36, true), hpet.getUint32(44, true)]).toEqual([0x8086_a201, 0xfed0_0000]);
    const mcfg = found.get("MCFG")!;
    expect([mcfg.view.getUint32(44, true), mcfg.bytes[54], mcfg.bytes[55]]).toEqual([0xb000_0000, 0, 255]);
  });
});

/** Objects of a DSDT by path: walks scopes, devices, names and methods by their package lengths. */
const objectsOf = (aml: Uint8Array): Map<string, number> => {
  const objects = new Map<string, number>();
  const packageEnd = (at: number): [body: number, end: number] => {
    const more = aml[at]! >> 6;
    let length = more === 0 ? aml[at]! & 0x3f : aml[at]! & 0xf;
    for (let i = 1; i <= more; i++) length |= aml[at + i]! << (8 * i - 4);
    return [at + 1 + more, at + length];
  };
  const readName = (at: number): [name: string, next: number] => {
    const start = aml[at] === 0x5c ? at + 1 : at;
    return [text(aml.subarray(start, start + 4)).replaceAll("_", ""), start + 4];
  };
  const skipValue = (at: number): number => {
    const fixed: Record<number, number> = { 0: 1, 1: 1, 10: 2, 11: 3, 12: 5, 14: 9 };
    if (aml[at] === 0x0d) return aml.indexOf(0, at) + 1;
    if (aml[at] === 0x11 || aml[at] === 0x12) return packageEnd(at + 1)[1];
    return at + fixed[aml[at]!]!;
  };
  const walk = (from: number, to: number, path: string): void => {
    for (let at = from; at < to; ) {
      const opcode = aml[at]!;
      const device = opcode === 0x5b && aml[at + 1] === 0x82;
      if (device || opcode === 0x10 || opcode === 0x14) {
        const [body, end] = packageEnd(at + (device ? 2 : 1));
        const [own, next] = readName(body);
        objects.set(`${path}.${own}`, next);
        if (opcode !== 0x14) walk(next, end, `${path}.${own}`);
        at = end;
      } else if (opcode === 0x08) {
        const [own, next] = readName(at + 1);
        objects.set(`${path}.${own}`, next);
        at = skipValue(next);
      } else throw new Error(`opcode ${opcode.toString(16)} at ${at}`);
    }
    objects.set(path, to);
  };
  walk(36, aml.length, "");
  return objects;
};

describe("DSDT", () => {
  const objects = objectsOf(dsdt.bytes);
  it("is well-formed down to the last package length, and has the devices", () => {
    for (const path of [
      "SB.PCI0.LPCB.COM1",
      "SB.PCI0.LPCB.COM2",
      "SB.PCI0.LPCB.RTC",
      "SB.PCI0.LPCB.KBD",
      "SB.PCI0.LPCB.MOU",
      "SB.PCI0.PRT",
      "SB.PCI0.OSC",
      "SB.HPET",
      "SB.MBRD",
      "SB.C000",
      "SB.C002",
      "PIC",
    ])
      expect([path, objects.has(`.${path}`)]).toEqual([path, true]);
    expect(objects.has(".SB.C003")).toBe(false);
    expect(objects.has(".SB.FWCF")).toBe(false);
  });
  it("gives S5 the sleep type that the power management registers expect", () => {
    const at = objects.get(".S5")!;
    expect([...dsdt.bytes.subarray(at, at + 9)]).toEqual([0x12, 8, 4, 0x0a, 7, 0x0a, 7, 0, 0]);
  });
  it("routes interrupt pins to I/O APIC inputs 16 to 23, neighbours one further", () => {
    const at = objects.get(".SB.PCI0.AR00")!;
    const aml = [...dsdt.bytes.subarray(at)];
    const rows = [];
    // Package, length (2 bytes), 128 elements; each: package, length, 4 elements, address, pin, 0, input.
    expect(aml[3]).toBe(128);
    let next = 4;
    for (let i = 0; i < 128; i++) {
      rows.push(aml[next + aml[next + 1]!]!);
      next += 1 + aml[next + 1]!;
    }
    expect(rows.slice(0, 8)).toEqual([16, 17, 18, 19, 17, 18, 19, 20]);
    expect(rows.slice(-4)).toEqual([23, 16, 17, 18]);
  });
});
