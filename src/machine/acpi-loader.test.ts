import { describe, expect, it } from "vitest";
import { acpiLoaderFiles } from "./acpi-loader.ts";
import { acpiTablesOf } from "./boot-machine.ts";

/** What firmware does with the script (SeaBIOS src/fw/romfile_loader.c), with the addresses it would choose given. */
const load = (addresses: Readonly<Record<string, number>>): ReadonlyMap<string, Uint8Array> => {
  const files = new Map(
    acpiLoaderFiles(acpiTablesOf(2, 0, 0)).map(({ name, bytes }) => [name, bytes.slice()]),
  );
  const script = files.get("etc/table-loader")!;
  const allocated = new Set<string>();
  for (let at = 0; at < script.length; at += 128) {
    const entry = new DataView(script.buffer, at, 128);
    const name = (offset: number): string =>
      new TextDecoder().decode(script.subarray(at + offset, at + offset + 56)).replaceAll("\0", "");
    const file = name(4);
    const bytes = files.get(file)!;
    const view = new DataView(bytes.buffer);
    switch (entry.getUint32(0, true)) {
      case 1:
        allocated.add(file);
        expect(addresses[file]! % entry.getUint32(60, true)).toBe(0);
        break;
      case 2: {
        const [offset, size] = [entry.getUint32(116, true), entry.getUint8(120)];
        expect([allocated.has(file), allocated.has(name(60))]).toEqual([true, true]);
        const sum = BigInt(addresses[name(60)]!) + BigInt(view.getUint32(offset, true));
        if (size === 8) view.setBigUint64(offset, sum, true);
        else view.setUint32(offset, Number(sum), true);
        break;
      }
      default: {
        const [offset, start, length] = [60, 64, 68].map((field) => entry.getUint32(field, true)) as [
          number,
          number,
          number,
        ];
        const sum = bytes.subarray(start, start + length).reduce((total, byte) => total + byte, 0);
        bytes[offset] = bytes[offset]! - sum;
      }
    }
  }
  return files;
};

describe("ACPI tables placed by firmware", () => {
  it("are those that are built for the addresses it chooses", () => {
    const files = load({ "etc/acpi/tables": 0x1ffe_0000, "etc/acpi/rsdp": 0xf_5a40 });
    const direct = acpiTablesOf(2, 0x1ffe_0000, 0xf_5a40);
    expect(files.get("etc/acpi/tables")).toEqual(direct.tables.bytes);
    expect(files.get("etc/acpi/rsdp")).toEqual(direct.rsdp.bytes);
  });
});
