import { describe, expect, it } from "vitest";
import { PcTestdev } from "./pc-testdev.ts";

const build = () => {
  const lines: string[] = [];
  const flushed: number[] = [];
  const device = new PcTestdev(
    (number) => ({ set: (asserted) => void lines.push(`${number}${asserted ? "+" : "-"}`) }),
    (address) => flushed.push(address),
  );
  return { device, lines, flushed };
};

describe("pc-testdev", () => {
  it("echoes I/O at every size and place, one register behind both ranges", () => {
    const { device } = build();
    device.ioport.write(0, 0x1234_5678, 4);
    device.ioport.write(1, 0xab, 1);
    expect([device.ioport.read(0, 4), device.ioport.read(1, 2), device.ioportByte.read(3, 1)]).toEqual([
      0x1234_ab78, 0x34ab, 0x12,
    ]);
    device.ioportByte.write(2, 0xffff_ffff, 4);
    expect(device.ioport.read(0, 4)).toBe(0xffff_ab78);
    expect(device.ioport.read(2, 4)).toBe(0xffff);
  });
  it("echoes memory and drops what reaches past its end", () => {
    const { device } = build();
    device.iomem.write(0x10, 0xdead_beef, 4);
    device.iomem.write(0xffff, 0x1122, 2);
    expect([device.iomem.read(0x10, 4), device.iomem.read(0x12, 2), device.iomem.read(0xffff, 4)]).toEqual([
      0xdead_beef, 0xdead, 0x22,
    ]);
    expect(device.state.iomem.length).toBe(0x1_0000);
  });
  it("raises and lowers interrupt lines", () => {
    const { device, lines } = build();
    device.irqLine.write(0x0e, 1, 1);
    device.irqLine.write(0x0e, 0, 1);
    expect(lines).toEqual(["14+", "14-"]);
  });
  it("tells which page to flush, at 4 bytes only", () => {
    const { device, flushed } = build();
    device.flushPage.write(0, 0xffff_f123, 4);
    device.flushPage.write(0, 0x12, 1);
    expect(flushed).toEqual([0xffff_f000]);
  });
  it("drives its lines again after a restore", () => {
    const { device, lines } = build();
    device.irqLine.write(3, 1, 1);
    const snapshot = structuredClone(device.state);
    device.reset();
    lines.length = 0;
    device.state = snapshot;
    device.driveOutputs();
    expect(lines.filter((line) => line.endsWith("+"))).toEqual(["3+"]);
  });
});
