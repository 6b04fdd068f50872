import { beforeEach, describe, expect, it } from "vitest";
import { MmioBus } from "../bus/mmio.ts";
import { PortBus } from "../bus/port-io.ts";
import { Ich9Lpc } from "./ich9-lpc.ts";
import { CONFIG_PORT, PciBus, pirqOf } from "./pci.ts";
import { PciFunction } from "./pci-function.ts";
import { Msix } from "./pci-msix.ts";
import { Q35HostBridge, type ShadowSegment } from "./q35-host-bridge.ts";

let mmio: MmioBus;
let ports: PortBus;
let bus: PciBus;
let levels: Map<string, boolean>;
let messages: string[];
let shadow: readonly ShadowSegment[];
let host: Q35HostBridge;
let lpc: Ich9Lpc;
let card: PciFunction;
let msix: Msix;

/** A register block that answers with a tag and remembers the last write. */
const tagged = (tag: number) => ({
  written: -1,
  read(offset: number) {
    return tag + offset;
  },
  write(_offset: number, value: number) {
    this.written = value;
  },
});
const level = (name: string) => ({
  set: (asserted: boolean) => {
    levels.set(name, asserted);
  },
});

beforeEach(() => {
  mmio = new MmioBus();
  ports = new PortBus();
  levels = new Map();
  messages = [];
  shadow = [];
  lpc = new Ich9Lpc({
    ports,
    powerManagement: tagged(0x60),
    ioApicInput: (input) => level(`gsi${input}`),
    isaIrq: (irq) => level(`irq${irq}`),
  });
  bus = new PciBus({ mmio, ports, pirq: lpc.pirq });
  host = new Q35HostBridge({
    mmio,
    ecam: bus.ecam,
    shadow: (segments) => {
      shadow = segments;
    },
  });
  card = new PciFunction("card", {
    vendorId: 0x1234,
    deviceId: 0x5678,
    revisionId: 9,
    classCode: 0x02_00_01,
    subsystemVendorId: 0xaaaa,
    subsystemId: 0xbbbb,
    interruptPin: 1,
  });
  card.addBar({ index: 0, space: "io", length: 32, block: tagged(0x10) });
  card.addBar({ index: 2, space: "memory64", length: 0x4000, prefetchable: true, block: tagged(0x20) });
  msix = new Msix(card, 4, 3, {
    send: (address, value) => messages.push(`${address.toString(16)} ${value.toString(16)}`),
  });
  bus.add(0, 0, host.function);
  bus.add(31, 0, lpc.function);
  bus.add(3, 0, card);
  ports.map(CONFIG_PORT, 8, bus.configurationPorts, "PCI configuration");
});

const select = (device: number, register: number, number = 0, busNumber = 0) =>
  ports.write(
    0xcf8,
    (0x8000_0000 | (busNumber << 16) | (device << 11) | (number << 8) | (register & 0xfc)) >>> 0,
    4,
  );
const read = (device: number, register: number, size: 1 | 2 | 4 = 4) => {
  select(device, register);
  return ports.read(0xcfc + (register & 3), size);
};
const write = (device: number, register: number, value: number, size: 1 | 2 | 4 = 4) => {
  select(device, register);
  ports.write(0xcfc + (register & 3), value, size);
};

describe("configuration mechanism #1", () => {
  it("finds the functions of bus 0, and all ones elsewhere", () => {
    expect([read(0, 0), read(31, 0), read(3, 0), read(4, 0)]).toEqual([
      0x29c0_8086, 0x2918_8086, 0x5678_1234, 0xffff_ffff,
    ]);
    select(3, 0, 1);
    expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
    select(3, 0, 0, 1);
    expect(ports.read(0xcfc, 2)).toBe(0xffff);
  });
  it("reads and writes bytes and words", () => {
    expect([read(3, 2, 2), read(3, 0xb, 1), read(3, 0xa, 2), read(3, 0x2e, 2)]).toEqual([
      0x5678, 2, 0x0200, 0xbbbb,
    ]);
    write(3, 0x3c, 0x0b, 1);
    expect(read(3, 0x3c)).toBe(0x0000_010b);
  });
  it("answers nothing while the enable bit is clear", () => {
    ports.write(0xcf8, 3 << 11, 4);
    expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
  });
  it("takes CONFIG_ADDRESS as one dword only, without its reserved bits", () => {
    ports.write(0xcf8, 0xffff_ffff, 4);
    expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
    ports.write(0xcf8, 0, 1);
    ports.write(0xcfa, 0, 2);
    expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
    expect(ports.read(0xcf8, 2)).toBe(0xffff);
  });
  it("leaves read-only registers alone", () => {
    for (const register of [0x00, 0x08, 0x2c, 0x3d & 0xfc, 0x34]) {
      const before = read(3, register);
      write(3, register, 0xffff_ffff);
      expect(read(3, register) & (register === 0x3c ? 0xffff_ff00 : -1)).toBe(
        before & (register === 0x3c ? 0xffff_ff00 : -1),
      );
    }
    write(3, 4, 0xffff_ffff);
    expect(read(3, 4)).toBe(0x0010_0547);
  });
});

describe("memory-mapped configuration space", () => {
  it("appears where PCIEXBAR says, moves and disappears with it", () => {
    host.placeEcam(0xb000_0000);
    expect(mmio.read(0xb000_0000 + (3 << 15), 4)).toBe(0x5678_1234);
    expect(mmio.read(0xb000_0000 + (1 << 20), 4)).toBe(0xffff_ffff);
    mmio.write(0xb000_0000 + (3 << 15) + 0x3c, 7, 1);
    expect(read(3, 0x3c, 1)).toBe(7);
    expect(mmio.read(0xb000_0000 + (3 << 15) + 0x100, 4)).toBe(0);
    write(0, 0x60, 0xc000_0003);
    expect(mmio.read(0xb000_0000, 4)).toBe(0xffff_ffff);
    expect(mmio.read(0xc000_0000, 2)).toBe(0x8086);
    expect(mmio.read(0xc800_0000, 4)).toBe(0xffff_ffff); // 128 MiB only
    write(0, 0x60, 0xc000_0002);
    expect(mmio.read(0xc000_0000, 4)).toBe(0xffff_ffff);
  });
});

describe("base address registers", () => {
  it("tell their size and kind", () => {
    for (const register of [0x10, 0x14, 0x18, 0x1c, 0x20]) write(3, register, 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map((register) => read(3, register))).toEqual([
      0xffff_ffe1, 0, 0xffff_c00c, 0xffff_ffff, 0xffff_f000, 0,
    ]);
  });
  it("decode only while the command register lets them", () => {
    write(3, 0x10, 0xc000);
    write(3, 0x18, 0xfe00_0000);
    expect([ports.read(0xc004, 4), mmio.read(0xfe00_0004, 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
    write(3, 4, 1, 2);
    expect([ports.read(0xc004, 4), mmio.read(0xfe00_0004, 4)]).toEqual([0x14, 0xffff_ffff]);
    write(3, 4, 2, 2);
    expect([ports.read(0xc004, 4), mmio.read(0xfe00_0004, 4)]).toEqual([0xffff_ffff, 0x24]);
  });
  it("move, also above 4 GiB, and are gone while sized or zero", () => {
    write(3, 4, 3, 2);
    write(3, 0x18, 0xfe00_0000);
    write(3, 0x18, 0xd000_0000);
    expect([mmio.read(0xfe00_0000, 4), mmio.read(0xd000_0000, 4)]).toEqual([0xffff_ffff, 0x20]);
    write(3, 0x1c, 8);
    expect([mmio.read(0xd000_0000, 4), mmio.read(0x8_d000_0000, 4)]).toEqual([0xffff_ffff, 0x20]);
    write(3, 0x18, 0xffff_ffff);
    write(3, 0x1c, 0xffff_ffff);
    expect(card.addressOf(card.bars[1]!)).toBeUndefined();
    write(3, 0x18, 0);
    write(3, 0x1c, 0);
    expect(mmio.read(0, 4)).toBe(0xffff_ffff);
  });
  it("are gone after reset", () => {
    write(3, 4, 3, 2);
    write(3, 0x18, 0xfe00_0000);
    bus.reset();
    expect([mmio.read(0xfe00_0000, 4), read(3, 0x18), read(3, 4, 2)]).toEqual([0xffff_ffff, 0xc, 0]);
  });
});

describe("interrupt pins", () => {
  it("reach the I/O APIC input of their PIRQ", () => {
    expect(pirqOf(3, 1)).toBe(3);
    card.interrupt.set(true);
    expect([levels.get("gsi19"), read(3, 6, 2) & 8]).toEqual([true, 8]);
    card.interrupt.set(false);
    expect([levels.get("gsi19"), read(3, 6, 2) & 8]).toEqual([false, 0]);
  });
  it("are shared: the PIRQ stays asserted until every function lets go", () => {
    const other = new PciFunction("other", { vendorId: 1, deviceId: 2, classCode: 0, interruptPin: 1 });
    bus.add(11, 0, other);
    card.interrupt.set(true);
    other.interrupt.set(true);
    card.interrupt.set(false);
    expect(levels.get("gsi19")).toBe(true);
    other.interrupt.set(false);
    expect(levels.get("gsi19")).toBe(false);
  });
  it("are cut off by the command register's Interrupt Disable, while the status still shows the request", () => {
    card.interrupt.set(true);
    write(3, 4, 0x400, 2);
    expect([levels.get("gsi19"), read(3, 6, 2) & 8]).toEqual([false, 8]);
    write(3, 4, 0, 2);
    expect(levels.get("gsi19")).toBe(true);
  });
  it("reach the 8259s as PIRQx_ROUT says", () => {
    card.interrupt.set(true);
    expect(levels.get("irq10")).toBeUndefined();
    lpc.routePirq(3, 10);
    expect(levels.get("irq10")).toBe(true);
    lpc.routePirq(3, 5);
    expect([levels.get("irq10"), levels.get("irq5")]).toEqual([false, true]);
    card.interrupt.set(false);
    expect(levels.get("irq5")).toBe(false);
    write(31, 0x63, 0x80, 1);
    card.interrupt.set(true);
    expect(levels.get("irq5")).toBe(false);
  });
});

describe("MSI-X", () => {
  const table = 0xfe10_0000;
  const enable = (control: number) => write(3, 0x42, control << 8, 2);
  beforeEach(() => {
    write(3, 0x20, table);
    write(3, 4, 6, 2);
  });
  it("is in the capability list with table and pending bits in its BAR", () => {
    expect([read(3, 6, 2) & 0x10, read(3, 0x34, 1)]).toEqual([0x10, 0x40]);
    expect([read(3, 0x40), read(3, 0x44), read(3, 0x48)]).toEqual([0x0002_0011, 4, 0x804]);
    write(3, 0x42, 0xffff, 2);
    expect(read(3, 0x42, 2)).toBe(0xc002);
  });
  it("sends a vector's message when enabled and unmasked", () => {
    mmio.write(table + 16, 0xfee0_1003, 4);
    mmio.write(table + 24, 0x41, 4);
    msix.signal(1); // MSI-X still off: nobody hears it, now or later
    enable(0x80);
    mmio.write(table + 28, 0, 4);
    expect(messages).toEqual([]);
    msix.signal(1);
    expect(messages).toEqual(["fee01000 41"]);
    msix.signal(3);
    expect(messages.length).toBe(1);
  });
  it("holds masked vectors pending, once, and sends them when unmasked", () => {
    mmio.write(table, 0xfee0_0000, 4);
    enable(0x80);
    msix.signal(0);
    msix.signal(0);
    expect([messages, mmio.read(table + 0x800, 4)]).toEqual([[], 1]);
    enable(0xc0);
    mmio.write(table + 12, 0, 4);
    expect(messages).toEqual([]);
    enable(0x80);
    expect([messages.length, mmio.read(table + 0x800, 4)]).toEqual([1, 0]);
  });
  it("sends nothing while the function may not master the bus", () => {
    enable(0x80);
    mmio.write(table + 12, 0, 4);
    write(3, 4, 2, 2);
    msix.signal(0);
    expect(messages).toEqual([]);
    write(3, 4, 6, 2);
    expect(messages.length).toBe(1);
  });
  it("ignores narrow writes to the table and all writes to the pending bits", () => {
    mmio.write(table, 0xff, 1);
    mmio.write(table + 0x800, 0xff, 4);
    mmio.write(table + 0x30, 0xff, 4);
    expect([mmio.read(table, 4), mmio.read(table + 0x800, 4), mmio.read(table + 0x30, 4)]).toEqual([0, 0, 0]);
    expect(mmio.read(table + 12, 1)).toBe(1);
  });
});

describe("host and LPC bridges", () => {
  it("the host bridge tells which segments below 1 MiB are shadowed", () => {
    expect(shadow.every(({ reads, writes }) => !reads && !writes)).toBe(true);
    write(0, 0x90, 0x10, 1);
    write(0, 0x91, 0x23, 1);
    expect(shadow.slice(0, 4)).toEqual([
      { start: 0xf_0000, length: 0x1_0000, reads: true, writes: false },
      { start: 0xc_0000, length: 0x4000, reads: true, writes: true },
      { start: 0xc_4000, length: 0x4000, reads: false, writes: true },
      { start: 0xc_8000, length: 0x4000, reads: false, writes: false },
    ]);
    host.shadowAll();
    expect(shadow.length).toBe(13);
    expect(shadow.every(({ reads, writes }) => reads && writes)).toBe(true);
  });
  it("the LPC bridge places the ACPI registers", () => {
    lpc.placePowerManagement(0x600);
    expect([ports.read(0x608, 1), read(31, 0x40)]).toEqual([0x68, 0x601]);
    write(31, 0x40, 0xb000);
    expect([ports.read(0x608, 1), ports.read(0xb008, 1)]).toEqual([0xff, 0x68]);
    write(31, 0x44, 0, 1);
    expect(ports.read(0xb008, 1)).toBe(0xff);
  });
});

it("a function's state round-trips: decoding and interrupt pin come back", () => {
  write(3, 4, 3, 2);
  write(3, 0x18, 0xfe00_0000);
  card.interrupt.set(true);
  const saved = structuredClone(card.state);
  card.interrupt.set(false);
  bus.reset();
  card.state = saved;
  card.driveOutputs();
  expect([mmio.read(0xfe00_0004, 4), levels.get("gsi19")]).toEqual([0x24, true]);
});
