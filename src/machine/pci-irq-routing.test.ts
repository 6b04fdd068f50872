import { expect, it } from "vitest";
import { boardFacts } from "./boot-machine.ts";
import { pciIrqRoutingTable } from "./pci-irq-routing.ts";

const table = pciIrqRoutingTable(boardFacts(1));
const view = new DataView(table.buffer);

it("names the LPC bridge as the router, compatible with one that older systems know", () => {
  expect(String.fromCharCode(...table.subarray(0, 4))).toBe("$PIR");
  expect([view.getUint16(4, true), view.getUint16(6, true)]).toEqual([0x100, table.length]);
  expect([table[8], table[9], view.getUint16(10, true)]).toEqual([0, 31 << 3, (1 << 10) | (1 << 11)]);
  expect([view.getUint16(12, true), view.getUint16(14, true)]).toEqual([0x8086, 0x2440]);
  expect(table.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
});

it("has a slot for each device, whose links are the routing registers of its pins' PIRQs", () => {
  expect(table.length).toBe(32 + 32 * 16);
  const slot = (device: number) => [...table.subarray(32 + 16 * device, 48 + 16 * device)];
  const irqs = [0xf8, 0xde];
  expect(slot(0)).toEqual([0, 0, 0x60, ...irqs, 0x61, ...irqs, 0x62, ...irqs, 0x63, ...irqs, 0, 0]);
  expect(slot(6)).toEqual([0, 6 << 3, 0x6a, ...irqs, 0x6b, ...irqs, 0x60, ...irqs, 0x61, ...irqs, 0, 0]);
});
