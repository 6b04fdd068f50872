import { describe, expect, it } from "vitest";
import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import { vmcsFields } from "../../arch/vmcs-fields.ts";
import { ambiguousKeys, fieldNamed } from "./field-lookup.ts";

const found = (text: string): string => {
  const { field, isHighHalf } = fieldNamed(text) ?? {};
  return field === undefined ? "none" : `${field.name}${isHighHalf ? " high" : ""}`;
};

describe("a field's name", () => {
  it("means one field only", () => {
    expect(ambiguousKeys).toEqual([]);
  });

  it.each(vmcsFields.map((field) => [field.name, field] as const))(
    "finds %s by all its names",
    (name, field) => {
      const { sdm, linux } = vmcsFieldNames(name);
      const hex = field.encoding.toString(16).padStart(4, "0");
      for (const text of [
        name,
        `vmcs.${name}`,
        sdm,
        sdm.toUpperCase(),
        linux,
        `VMCS_${linux}`,
        `0x${hex}`,
        `${hex}H`,
      ])
        expect(found(text), text).toBe(name);
    },
  );

  // biome-ignore format: one row per fact
  it.each([
    ["Guest CR0", "guest.cr0"],
    ["guest cr0", "guest.cr0"],
    ["GUEST_EFER", "guest.ia32Efer"],
    ["Guest CS access rights", "guest.cs.access"],
    ["GUEST_CS_AR_BYTES", "guest.cs.access"],
    ["Guest TR base", "guest.tr.base"],
    ["GUEST_PDPTR2", "guest.pdpte2"],
    ["TSC offset (full)", "control.tscOffset"],
    ["TSC offset (high)", "control.tscOffset high"],
    ["GUEST_IA32_PAT_HIGH", "guest.ia32Pat high"],
    ["0x2805", "guest.ia32Pat high"],
    ["vmread 0x6800", "guest.cr0"],
    ["VMREAD(0x6800)", "guest.cr0"],
    ["[0x6800] GUEST_CR0", "guest.cr0"],
    ["GUEST_CR0 (6800H)", "guest.cr0"],
    ["address of I/O-bitmap A", "control.ioBitmapA"],
    ["exceptionBitmap", "control.exceptionBitmap"],
  ])("is understood as it is written: %s", (text, name) => {
    expect(found(text)).toBe(name);
  });

  it.each([
    "",
    "CR0",
    "RIP",
    "Guest XYZ",
    "0x9999",
    "0x6801",
    "GUEST_CR0 (0x6802)",
    "high",
    "full",
    "constructor",
  ])("means nothing where it means no field: %j", (text) => {
    expect(found(text)).toBe("none");
  });
});
