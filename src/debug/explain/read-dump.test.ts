import { describe, expect, it } from "vitest";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { Dump, DumpRefusal } from "./dump.ts";
import { dumpLines, dumpSections } from "./dump-lines.ts";
import { kvmLog, oldKvmLog, oldXenLog, xenLog } from "./dumps.fixture.ts";
import { fieldNamed } from "./field-lookup.ts";
import { readDump } from "./read-dump.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string): Dump => {
  const outcome: Dump | DumpRefusal = readDump(bytes(text));
  if ("refusal" in outcome) throw new Error(outcome.refusal);
  return outcome;
};
const refusal = (text: string | Uint8Array): string => {
  const outcome = readDump(typeof text === "string" ? bytes(text) : text);
  return "refusal" in outcome ? outcome.refusal : "none";
};
/** Fields of the first VMCS, in hexadecimal. */
const fields = (text: string): Record<string, string> =>
  Object.fromEntries([...read(text).vmcses[0]!.fields].map(([name, value]) => [name, value.toString(16)]));

describe("the table of dump lines", () => {
  it("names fields that exist", () => {
    for (const section of dumpSections)
      for (const row of dumpLines[section])
        for (const [, name] of row.matchAll(/\{([\w.]+)\}/g))
          expect(fieldNamed(name as VmcsFieldName)?.field.name, row).toBe(name);
  });
});

describe("a dump of KVM", () => {
  it("is understood whole", () => {
    const { format, vmcses, unknown } = read(kvmLog);
    expect(unknown).toEqual([]);
    expect(format).toBe("KVM");
    expect(vmcses).toHaveLength(1);
    expect(vmcses[0]).toMatchObject({
      title: "VMCS 00000000336523a9, last attempted VM-entry on CPU 8",
      line: 2,
      remarks: [],
    });
  });

  it("gives each field its value", () => {
    expect(fields(kvmLog)).toMatchObject({
      "guest.cr0": "80050033",
      "control.cr4GuestHostMask": "fffffffffffef871",
      "guest.rflags": "246",
      "guest.ia32SysenterCs": "10",
      "guest.cs.access": "a09b",
      "guest.ldtr.access": "1c000",
      "guest.tr.limit": "4087",
      "guest.idtr.base": "fffffe0000000000",
      "guest.ia32Efer": "d01",
      "host.ia32Pat": "407050600070106",
      "host.tr.selector": "40",
      "host.rip": "ffffffffc0a1b6c0",
      "control.processorBased": "b5b86dfa",
      "control.tertiaryProcessorBased": "0",
      "control.entryControls": "d3ff",
      "exit.reason": "c",
      "control.virtualApicAddress": "10b7d3000",
      "control.vpid": "2",
    });
  });

  it("lacks what KVM does not print, and nothing is put in its place", () => {
    expect(fields(kvmLog)).not.toHaveProperty("guest.vmcsLinkPointer");
  });

  it("says the same in the form of older kernels", () => {
    expect(read(oldKvmLog).unknown).toEqual([]);
    const { "control.tertiaryProcessorBased": _absent, ...rest } = fields(kvmLog);
    expect(fields(oldKvmLog)).toEqual(rest);
  });

  // biome-ignore format: one row per fact
  it.each([
    ["syslog", (line: string) => `Nov 20 17:49:27 host1 kernel: [ 2311.499010] ${line}`],
    ["the journal", (line: string) => `2026-11-20T17:49:27.123456+00:00 host1 kernel: kvm_intel: ${line}`],
    ["dmesg -T", (line: string) => `[Fri Nov 20 17:49:27 2026] kvm_intel: ${line}`],
    ["printk's caller", (line: string) => `[ 2311.499010] [ T1234] kvm_intel: ${line}`],
    ["mail", (line: string) => `> > [ 2311.499010] ${line}`],
    ["carriage returns", (line: string) => `${line}\r`],
  ])("may come through %s", (_what, wrap) => {
    const text = oldKvmLog.trimEnd().split("\n").map(wrap).join("\n");
    expect(read(text).unknown).toEqual([]);
    expect(fields(text)).toEqual(fields(oldKvmLog));
  });

  it("may have its lines broken by mail", () => {
    const text = oldKvmLog
      .replaceAll(", gh_mask", ",\ngh_mask")
      .replace("  RIP", "  RIP =\n")
      .replace("=\n =", "=\n");
    expect(read(text).unknown).toEqual([]);
    expect(fields(text)).toEqual(fields(oldKvmLog));
  });

  it("does not take the EFER that KVM would like to have for the field", () => {
    const text = kvmLog.replace("EFER= 0x0000000000000d01", "EFER= 0x0000000000000d01 (effective)");
    expect(read(text).unknown).toEqual([]);
    expect(fields(text)).not.toHaveProperty("guest.ia32Efer");
    expect(fields(text)).toHaveProperty(["host.ia32Efer"]);
  });

  it("may have fields added by hand", () => {
    const text = `${oldKvmLog}VMCS_LINK_POINTER = 0xffffffffffffffff\n`;
    expect(read(text).unknown).toEqual([]);
    expect(fields(text)).toHaveProperty(["guest.vmcsLinkPointer"], "ffffffffffffffff");
  });

  it("names the lines that it does not understand", () => {
    const text = oldKvmLog
      .replace("RSP = ", "BndCfgS = 0x0000000000000000\nRSP = ")
      .replace("0x0010, attr", "0x12345, attr");
    expect(read(`KVM: entry failed, hardware error 0x80000021\n${text}`).unknown).toEqual([
      { line: 1, text: "KVM: entry failed, hardware error 0x80000021" },
      { line: 6, text: "BndCfgS = 0x0000000000000000" },
      {
        line: 10,
        text: "CS:   sel=0x12345, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000",
        why: "Guest CS selector has 16 bits, and 0x12345 has more",
      },
    ]);
  });

  it("may follow another one", () => {
    const { vmcses } = read(kvmLog + kvmLog.replace("336523a9", "336523aa").replace("d3ff", "d1ff"));
    expect(vmcses.map(({ title, line }) => `${line}: ${title.slice(0, 21)}`)).toEqual([
      "2: VMCS 00000000336523a9",
      "51: VMCS 00000000336523aa",
    ]);
    expect(vmcses.map(({ fields }) => fields.get("control.entryControls"))).toEqual([0xd3ffn, 0xd1ffn]);
  });
});

describe("a dump of Xen", () => {
  it("is understood whole", () => {
    const { format, vmcses, unknown } = read(xenLog);
    expect(unknown).toEqual([]);
    expect(format).toBe("Xen");
    expect(vmcses[0]).toMatchObject({ title: "VCPU 0 of domain 3", line: 5, remarks: [] });
    expect(fields(xenLog)).toMatchObject({
      "guest.rip": "ffffffff8101e0a5",
      "guest.rflags": "246",
      "guest.dr7": "400",
      "guest.cs.access": "a09b",
      "guest.gdtr.limit": "7f",
      "guest.tr.base": "fffffe0000003000",
      "guest.smbase": "0",
      "host.rip": "ffff82d040204d30",
      "host.rsp": "ffff83043c057f70",
      "control.secondaryProcessorBased": "14eb",
      "control.eptpIndex": "0",
      "control.vmFunctionControls": "0",
    });
  });
});

describe("a dump of Xen before 4.6", () => {
  it("is understood whole", () => {
    const { format, vmcses, unknown } = read(oldXenLog);
    expect([format, unknown]).toEqual(["Xen", []]);
    expect(vmcses[0]!.title).toBe("VCPU 1 of domain 1");
    expect(fields(oldXenLog)).toMatchObject({
      "guest.cr3": "123000",
      "control.cr3Target3": "0",
      "guest.cs.access": "a09b",
      "guest.ia32Pat": "7010600070106",
      "control.tscOffset": "ffffffcf8453199b",
      "host.rip": "ffff82c4c01e0b60",
      "host.ss.selector": "0",
      "host.tr.selector": "e040",
      "host.ia32Pat": "50100070406",
      "control.exceptionBitmap": "60082",
      "control.vpid": "e",
    });
  });
});

describe("lines of names and values", () => {
  it("may name fields in many ways", () => {
    const text = `# from my hypervisor
Guest CR0 = 0x80000031
  0x6804: 0x2020,
GUEST_CS_AR_BYTES=0xa09b
"VM-entry controls": "0x000013ff",
vmcs.guest.rip -> 0xffff_ffff_8100_0000
VMWRITE(0x681c), 0x7c00
host cr3 1234567
GUEST_RFLAGS = 2h   ; reserved bit
TSC_OFFSET_HIGH = 0x1
TSC_OFFSET = 0x80000000
guest.dr7 = 0x400 (default)
HOST_CR0=0x80050033 HOST_CR4=0x2020
`;
    expect(read(text).unknown).toEqual([]);
    expect(fields(text)).toEqual({
      "guest.cr0": "80000031",
      "guest.cr4": "2020",
      "guest.cs.access": "a09b",
      "control.entryControls": "13ff",
      "guest.rip": "ffffffff81000000",
      "guest.rsp": "7c00",
      "host.cr3": (1234567).toString(16),
      "guest.rflags": "2",
      "control.tscOffset": "180000000",
      "guest.dr7": "400",
      "host.cr0": "80050033",
      "host.cr4": "2020",
    });
  });

  it("have decimal numbers, unless some numbers of the file can only be hexadecimal", () => {
    expect(fields("GUEST_CR0 = 31\nGUEST_CR4 = 2020")).toEqual({ "guest.cr0": "1f", "guest.cr4": "7e4" });
    const text = "GUEST_CR0 = 0000000080000031\nGUEST_CR4 = 2020";
    expect(fields(text)).toEqual({ "guest.cr0": "80000031", "guest.cr4": "2020" });
    expect(read(text).vmcses[0]!.remarks.join()).toContain("read as hexadecimal");
  });

  it("are told of when they are not understood, and why", () => {
    const text = `GUEST_CR0 = 0x31
GUEST_COLOUR = 0x7
0x2812 = 0x0
GUEST_CR4 = yes
GUEST_CS_SELECTOR = 0x12345
GUEST_CR0 (0x6802) = 0x1
GUEST_CR3 (0x6802) = 0x1
`;
    expect(read(text).unknown).toEqual([
      { line: 2, text: "GUEST_COLOUR = 0x7" },
      { line: 3, text: "0x2812 = 0x0", why: "no field known here has the encoding 0x2812" },
      { line: 4, text: "GUEST_CR4 = yes" },
      {
        line: 5,
        text: "GUEST_CS_SELECTOR = 0x12345",
        why: "Guest CS selector has 16 bits, and 0x12345 has more",
      },
      { line: 6, text: "GUEST_CR0 (0x6802) = 0x1", why: "the name and the encoding are of different fields" },
    ]);
  });

  it("count by the last of several values of one field", () => {
    const { fields: values, remarks } = read("GUEST_CR0 = 0x31\n0x6800 = 0x33").vmcses[0]!;
    expect(values.get("guest.cr0")).toBe(0x33n);
    expect(remarks).toEqual(["line 2 gives Guest CR0 another value than before: the last one counts"]);
  });

  it("leave a field out of which only the high half is there", () => {
    const { fields: values, remarks } = read("GUEST_CR0 = 0x31\nTSC_OFFSET_HIGH = 0x33").vmcses[0]!;
    expect([...values.keys()]).toEqual(["guest.cr0"]);
    expect(remarks).toEqual(["of TSC offset only the high half is there: the field counts as missing"]);
  });
});

describe("bad input", () => {
  const expected = "expected a VMCS dump of Linux KVM or Xen, or lines such as GUEST_CR0 = 0x80000031";
  // biome-ignore format: one row per fact
  it.each<[string, string | Uint8Array, string]>([
    ["an empty file", "", `it is empty, ${expected}`],
    ["white space", " \n\n", `no VMCS field is in it, ${expected}`],
    ["an ELF file", Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0), `it is not text, ${expected}`],
    ["bytes that are not UTF-8", Uint8Array.of(0x47, 0xff, 0xfe, 0x20), `it is not text, ${expected}`],
    ["prose", "This is no dump at all.\nRIP = 0x1234\n", `no VMCS field is in it, ${expected}`],
    ["a name without its value at the end", "GUEST_CR0 = 0x31\nGUEST_CR4 =", `it is cut off: line 2 names GUEST_CR4 and has no value, ${expected}`],
    ["a large file", new Uint8Array(5_000_000).fill(0x20), `it has 5000000 bytes, expected at most 4194304: a VMCS dump of Linux KVM or Xen, or lines such as GUEST_CR0 = 0x80000031`],
  ])("is refused in one sentence: %s", (_what, input, sentence) => {
    expect(refusal(input)).toBe(sentence);
  });

  it("is a dump that is cut off, wherever", () => {
    const lines = kvmLog.split("\n");
    const whole = "expected a whole dump, from *** Guest State *** to the end of *** Control State ***";
    const first = (count: number): string => lines.slice(0, count).join("\n");
    expect(refusal(first(2))).toBe(
      `the dump at line 2 has no *** Host State *** and no *** Control State ***, ${whole}`,
    );
    expect(refusal(first(30))).toContain("has no *** Control State ***");
    expect(refusal(first(38))).toBe(`the dump at line 2 is cut off in *** Control State ***, ${whole}`);
    expect(refusal(lines.slice(30).join("\n"))).toContain(
      "has no *** Guest State *** and no *** Host State ***",
    );
  });

  it("never makes the reader throw or hang, random bytes and mangled dumps", () => {
    let seed = 12345;
    const dice = (sides: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % sides;
    };
    const originals = [
      kvmLog,
      oldKvmLog,
      xenLog,
      oldXenLog,
      "GUEST_CR0 = 0x31\nGuest CR4: 2020\n0x6800 = 1\n",
    ];
    const letters = "0123456789abcdefx=:,*() \n\t\r[]{}|GUEST_CR0#'\"-\u0000\u00e9";
    for (let round = 0; round < 400; round++) {
      if (round % 4 === 0) {
        readDump(Uint8Array.from({ length: dice(300) }, () => dice(256)));
        readDump(bytes(Array.from({ length: dice(300) }, () => letters[dice(letters.length)]).join("")));
      }
      let text = originals[dice(originals.length)]!;
      for (let edit = dice(12); edit >= 0; edit--) {
        const [at, length] = [dice(text.length + 1), dice(60)];
        const put = Array.from({ length: dice(8) }, () => letters[dice(letters.length)]).join("");
        text = text.slice(0, at) + put + text.slice(at + length);
      }
      const outcome = readDump(bytes(text));
      if ("refusal" in outcome) expect(outcome.refusal).toMatch(/expected/);
      else expect(outcome.vmcses.length).toBeGreaterThan(0);
    }
  });

  it("takes no longer than a large file must", () => {
    const started = performance.now();
    readDump(bytes(" = ".repeat(300_000)));
    readDump(bytes("a".repeat(1_000_000)));
    readDump(bytes(`${kvmLog}${"CR0: ".repeat(100_000)}${" ".repeat(100_000)}`));
    readDump(bytes("GUEST_CR0 ".repeat(50_000)));
    readDump(bytes("GUEST_CR0 = x\n".repeat(20_000)));
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
