import { expect, it } from "vitest";
import { GuestMemory } from "../../cpu/guest-memory.ts";
import { EptTables, eptPermission, memoryType } from "./ept-tables.ts";
import { HostMemory } from "./host-memory.ts";

const MIB = 0x10_0000;
const GIB = 1024 * MIB;
const { read, write, execute } = eptPermission;
const all = read | write | execute;
const tables = (has1GPages = true, has2MPages = true): EptTables => {
  const memory = new GuestMemory(16 * MIB, 0, { read: () => 0, write() {} });
  return new EptTables(new HostMemory(memory, 16 * MIB), { has1GPages, has2MPages });
};
const writeBack = { permissions: all, memoryType: memoryType.writeBack };

it("uses the largest pages that alignment, length and processor allow", () => {
  const large = tables();
  large.map({ guest: 0, host: GIB, length: GIB + 4 * MIB + 8192, ...writeBack });
  expect([...large.pages]).toEqual([[30, 1], [21, 2], [12, 2]]); // biome-ignore format: one list
  const unaligned = tables();
  unaligned.map({ guest: 0, host: 2 * MIB, length: GIB, ...writeBack });
  expect([...unaligned.pages]).toEqual([[21, 512]]);
  const small = tables(false, false);
  small.map({ guest: 2 * MIB, host: 4 * MIB, length: 2 * MIB, ...writeBack });
  expect([...small.pages]).toEqual([[12, 512]]);
});

it("translates what is mapped and nothing else", () => {
  const ept = tables();
  ept.map({ guest: 4 * MIB, host: 32 * MIB, length: 2 * MIB + 4096, ...writeBack });
  expect(ept.lookUp(4 * MIB + 0x1234)?.host).toBe(32 * MIB + 0x1234);
  expect(ept.lookUp(6 * MIB + 0x234)?.host).toBe(34 * MIB + 0x234);
  expect(ept.lookUp(6 * MIB + 0x1000)).toBeUndefined();
  expect(ept.lookUp(0)).toBeUndefined();
  expect(ept.pointer % 4096).toBe(0x1e);
});

it("takes one page out of a large one and leaves its neighbours", () => {
  const ept = tables();
  ept.map({ guest: 0, host: 64 * MIB, length: 2 * MIB, ...writeBack, permissions: read });
  ept.map({ guest: 0x3000, host: 0, length: 4096, permissions: 0, memoryType: 0 });
  expect(ept.lookUp(0x3000)).toBeUndefined();
  expect(ept.lookUp(0x2fff)?.host).toBe(64 * MIB + 0x2fff);
  expect(ept.lookUp(0x4000)).toMatchObject({ host: 64 * MIB + 0x4000, pageBytes: 4096 });
  expect((ept.lookUp(0x4000)?.entry ?? 0n) & 0x7fn).toBe(BigInt(read | (memoryType.writeBack << 3)));
});
