import { beforeEach, describe, expect, it } from "vitest";
import { FW_CFG, FwCfg } from "./fw-cfg.ts";

let ram: Uint8Array;
let device: FwCfg;

const select = (key: number) => device.write(0, key, 2);
const bytes = (count: number) => Array.from({ length: count }, () => device.read(1, 1));
const text = (count: number) => String.fromCharCode(...bytes(count));
const swap = (value: number) => new DataView(Uint32Array.of(value).buffer).getUint32(0);

/** Runs one DMA access from a structure at 0x100 and gives the control field back. */
const dma = (control: number, length: number, address: number) => {
  const view = new DataView(ram.buffer);
  view.setUint32(0x100, control);
  view.setUint32(0x104, length);
  view.setUint32(0x108, Math.floor(address / 2 ** 32));
  view.setUint32(0x10c, address);
  device.write(4, 0, 4);
  device.write(8, swap(0x100), 4);
  return view.getUint32(0x100);
};

beforeEach(() => {
  ram = new Uint8Array(0x4_0000);
  device = new FwCfg({
    read: (address, length) => Uint8Array.from({ length }, (_, i) => ram[address + i] ?? 0xff),
    write: (address, written) => {
      if (address + written.length <= ram.length) ram.set(written, address);
    },
  });
});

describe("fw_cfg by its ports", () => {
  it("is recognized by its signature and says that it has DMA", () => {
    select(FW_CFG.SIGNATURE);
    expect(text(4)).toBe("QEMU");
    select(FW_CFG.ID);
    expect(bytes(4)).toEqual([3, 0, 0, 0]);
    expect([device.read(4, 4), device.read(8, 4), device.read(4, 1)]).toEqual([
      0x554d_4551, 0x4746_4320, 0x51,
    ]);
  });
  it("gives numbers little-endian and zeros after the end", () => {
    device.setNumber(FW_CFG.RAM_SIZE, 5 * 2 ** 30 + 1, 8);
    device.setNumber(FW_CFG.NB_CPUS, 2, 2);
    select(FW_CFG.RAM_SIZE);
    expect(bytes(9)).toEqual([1, 0, 0, 0x40, 1, 0, 0, 0, 0]);
    select(FW_CFG.NB_CPUS);
    expect(device.read(1, 2)).toBe(2);
  });
  it("starts an item afresh at every selection, also with the old write bit set", () => {
    device.setText(FW_CFG.CMDLINE_DATA, "quiet");
    select(FW_CFG.CMDLINE_DATA);
    bytes(3);
    select(FW_CFG.CMDLINE_DATA | 0x4000);
    expect(text(6)).toBe("quiet\0");
  });
  it("reads zeros from keys that nobody set, and before any selection", () => {
    expect(bytes(2)).toEqual([0, 0]);
    for (const key of [0x06, 0x1234, 0xffff]) {
      select(key);
      expect(bytes(2)).toEqual([0, 0]);
    }
  });
  it("ignores writes to the data register and odd sizes", () => {
    select(FW_CFG.SIGNATURE);
    device.write(1, 0, 1);
    device.write(0, 0x05, 1);
    device.write(0, 0x05, 4);
    expect(text(4)).toBe("QEMU");
  });
  it("keeps architecture-specific keys apart", () => {
    device.setNumber(FW_CFG.IRQ0_OVERRIDE, 1, 4);
    select(FW_CFG.IRQ0_OVERRIDE);
    expect(bytes(4)).toEqual([1, 0, 0, 0]);
    select(FW_CFG.UUID);
    expect(bytes(1)).toEqual([0]);
  });
});

describe("fw_cfg files", () => {
  it("are listed big-endian with size, key and name", () => {
    device.addFile("etc/e820", Uint8Array.of(1, 2, 3));
    device.addFile("opt/note", Uint8Array.of(4));
    device.addFile("etc/e820", Uint8Array.of(9, 8));
    select(FW_CFG.FILE_DIR);
    expect(bytes(4)).toEqual([0, 0, 0, 2]);
    expect(bytes(8)).toEqual([0, 0, 0, 2, 0, 0x20, 0, 0]);
    expect(text(56)).toBe("etc/e820".padEnd(56, "\0"));
    expect(bytes(8)).toEqual([0, 0, 0, 1, 0, 0x21, 0, 0]);
    select(0x20);
    expect(bytes(3)).toEqual([9, 8, 0]);
    select(0x21);
    expect(bytes(1)).toEqual([4]);
  });
  it("with too long a name are a mistake of the machine", () => {
    expect(() => device.addFile("x".repeat(56), new Uint8Array())).toThrow("55 letters");
  });
});

describe("fw_cfg DMA", () => {
  it("selects, skips and reads in one go or in steps, with zeros beyond the end", () => {
    device.setText(FW_CFG.CMDLINE_DATA, "console=ttyS0");
    ram.fill(0xee, 0x200, 0x220);
    expect(dma((FW_CFG.CMDLINE_DATA << 16) | 0x0c, 8, 0)).toBe(0);
    expect(dma(0x02, 10, 0x200)).toBe(0);
    expect(String.fromCharCode(...ram.subarray(0x200, 0x20b))).toBe("ttyS0\0\0\0\0\0\xee");
  });
  it("fills megabytes with zeros when the key does not exist", () => {
    ram.fill(0xee, 0x1000);
    expect(dma((0x1234 << 16) | 0x0a, 0x2_0001, 0x1000)).toBe(0);
    expect([ram[0x1000], ram[0x2_1000], ram[0x2_1001]]).toEqual([0, 0, 0xee]);
  });
  it("writes only files made for it, within their length", () => {
    const seen: number[][] = [];
    device.addFile("etc/vmgenid_addr", new Uint8Array(8), (content) => seen.push([...content]));
    device.addFile("etc/read-only", new Uint8Array(8));
    ram.set([1, 2, 3, 4], 0x300);
    expect(dma((0x20 << 16) | 0x18, 4, 0x300)).toBe(0);
    expect(dma(0x10, 4, 0x300)).toBe(0);
    expect(dma(0x10, 1, 0x300)).toBe(1);
    expect(seen.at(-1)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    expect(dma((0x21 << 16) | 0x18, 1, 0x300)).toBe(1);
    expect(dma((0x1234 << 16) | 0x18, 1, 0x300)).toBe(1);
    select(0x20);
    expect(bytes(8)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    device.reset();
    select(0x20);
    expect(bytes(1)).toEqual([0]);
  });
  it("an access without a verb succeeds and does nothing", () => {
    expect(dma(0, 100, 0x200)).toBe(0);
  });
  it("survives addresses outside memory", () => {
    device.write(4, 0xffff_ffff, 4);
    device.write(8, 0xffff_ffff, 4);
    expect(dma((FW_CFG.SIGNATURE << 16) | 0x0a, 0xffff_ffff, 2 ** 40)).toBe(0);
    expect(device.state.dmaAddressHigh).toBe(0);
  });
  it("resumes from its state record", () => {
    select(FW_CFG.SIGNATURE);
    bytes(2);
    const snapshot = structuredClone(device.state);
    bytes(2);
    device.state = snapshot;
    expect(text(2)).toBe("MU");
  });
});
