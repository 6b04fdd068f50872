import { describe, expect, it } from "vitest";
import { readCapabilities } from "./read-capabilities.ts";

// biome-ignore format: one row per fact
const msrs: readonly [index: number, name: string, value: bigint][] = [
  [0x480, "IA32_VMX_BASIC", 0x00da_0400_0000_0012n],
  [0x481, "IA32_VMX_PINBASED_CTLS", 0x0000_007f_0000_0016n],
  [0x482, "IA32_VMX_PROCBASED_CTLS", 0xfff9_fffe_0401_e172n],
  [0x483, "IA32_VMX_EXIT_CTLS", 0x007f_ffff_0003_6dffn],
  [0x484, "IA32_VMX_ENTRY_CTLS", 0x0000_ffff_0000_11ffn],
  [0x485, "IA32_VMX_MISC", 0x7004_c1e7n],
  [0x486, "IA32_VMX_CR0_FIXED0", 0x8000_0021n],
  [0x487, "IA32_VMX_CR0_FIXED1", 0xffff_ffffn],
  [0x488, "IA32_VMX_CR4_FIXED0", 0x2000n],
  [0x489, "IA32_VMX_CR4_FIXED1", 0x0077_2fffn],
  [0x48a, "IA32_VMX_VMCS_ENUM", 0x2en],
  [0x48b, "IA32_VMX_PROCBASED_CTLS2", 0x0553_d5ef_0000_0000n],
  [0x48c, "IA32_VMX_EPT_VPID_CAP", 0x0f01_0673_4141n],
  [0x48d, "IA32_VMX_TRUE_PINBASED_CTLS", 0x0000_007f_0000_0016n],
  [0x48e, "IA32_VMX_TRUE_PROCBASED_CTLS", 0xfff9_fffe_0400_6172n],
  [0x48f, "IA32_VMX_TRUE_EXIT_CTLS", 0x007f_ffff_0003_6dfbn],
  [0x490, "IA32_VMX_TRUE_ENTRY_CTLS", 0x0000_ffff_0000_11fbn],
];
const all = new Map(msrs.map(([index, , value]) => [index, value]));
const outcome = (text: string) => readCapabilities(new TextEncoder().encode(text));
const hex = (value: bigint | number): string => value.toString(16);

describe("capability MSRs", () => {
  // biome-ignore format: one row per fact
  it.each<[string, (row: (typeof msrs)[number]) => string]>([
    ["names", ([, name, value]) => `${name}: 0x${hex(value)}`],
    ["Linux constants", ([, name, value]) => `MSR_${name} = 0x${hex(value)}`],
    ["names with indices", ([index, name, value]) => `${name} (0x${hex(index)}) = 0x${hex(value)}`],
    ["indices", ([index, , value]) => `0x${hex(index)} = 0x${hex(value)}`],
    ["rdmsr in a shell", ([index, , value]) => `# rdmsr 0x${hex(index)}\n${hex(value)}`],
    ["rdmsr -0", ([index, , value]) => `rdmsr ${hex(index)}h\n${hex(value).padStart(16, "0")}`],
    ["a table", ([index, , value]) => `${hex(index)}  ${hex(value).padStart(16, "0")}`],
    ["JSON", ([, name, value]) => `  "${name}": "0x${hex(value)}",`],
  ])("are read as %s", (_what, print) => {
    expect(outcome(`# a processor\n\n${msrs.map(print).join("\n")}\n`)).toEqual({
      msrs: all,
      physicalAddressBits: undefined,
      unknown: [],
    });
  });

  it("may come with the width of physical addresses, and lines that mean nothing", () => {
    const text = msrs.map(([index, , value]) => `0x${hex(index)} = 0x${hex(value)}`).join("\n");
    expect(outcome(`address sizes\t: 46 bits physical, 48 bits virtual\n${text}\nhello`)).toMatchObject({
      physicalAddressBits: 46,
      unknown: [{ line: 19, text: "hello" }],
    });
    expect(outcome(`MAXPHYADDR = 39\n${text}`)).toMatchObject({ physicalAddressBits: 39 });
  });

  it("must be all there are on the processor", () => {
    const without = (...indices: number[]): string =>
      msrs
        .filter(([index]) => !indices.includes(index))
        .map(([, name, value]) => `${name} = 0x${hex(value)}`)
        .join("\n");
    expect(outcome(without(0x485, 0x48e))).toEqual({
      refusal:
        "it lacks IA32_VMX_MISC (0x485), IA32_VMX_TRUE_PROCBASED_CTLS (0x48e), expected every VMX capability MSR of the processor",
    });
    const old = without(0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490)
      .replace("da0400", "5a0400")
      .replace("fff9fffe", "7ff9fffe");
    expect(outcome(old)).toMatchObject({ unknown: [] });
  });

  it.each([
    ["", "it is empty"],
    ["\u0000\u0001", "it is not a text of MSR values"],
    ["hello", "no VMX capability MSR is in it"],
    ["IA32_VMX_NEW = 1", "no VMX capability MSR is in it"],
  ])("are refused in one sentence: %j", (text, found) => {
    expect(outcome(text)).toEqual({
      refusal: `${found}, expected values of the MSRs 0x480 to 0x491, such as IA32_VMX_BASIC = 0xda040000000012`,
    });
  });
});
