import { describe, expect, it } from "vitest";
import { RFLAGS } from "../arch/flags.ts";
import {
  atLevel,
  atUser64,
  descriptor,
  FakeCore,
  gate,
  longMode,
  protectedMode,
  realMode,
  selector,
  setDescriptor,
  snapshot,
  tssBase,
  virtual8086,
} from "./fake-core.fixture.ts";
import { setSegment } from "./segmentation.ts";

const bytes16 = (value: number): string =>
  [value & 0xff, value >> 8].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes32 = (value: number): string => bytes16(value & 0xffff) + bytes16(value >>> 16);
/** JMP and CALL ptr16:32. */
const jmp = (sel: number, offset: number): string => `ea${bytes32(offset)}${bytes16(sel)}`;
const call = (sel: number, offset: number): string => `9a${bytes32(offset)}${bytes16(sel)}`;
const where = ({ state }: FakeCore) => [state["CS.selector"], state.RIP, state["SS.selector"], state.RSP];
const push32 = (core: FakeCore, ...values: number[]): void => {
  for (const value of values) {
    core.state.RSP -= 4n;
    core.write32(Number(core.state.RSP), value);
  }
};
const push64 = (core: FakeCore, ...values: bigint[]): void => {
  for (const value of values) {
    core.state.RSP -= 8n;
    core.write64(Number(core.state.RSP), value);
  }
};

describe("real mode", () => {
  it("JMP far loads CS with a paragraph and truncates the offset", () => {
    const core = realMode(new FakeCore());
    expect(core.execute("ea 34 12 00 f0")).toBeUndefined();
    expect([core.state["CS.base"], core.state.RIP]).toEqual([0xf_0000n, 0x1234n]);
  });

  it("JMP far beyond the limit of CS is #GP", () => {
    const core = realMode(new FakeCore());
    const before = snapshot(core);
    expect(core.execute("66 ea 00 00 01 00 00 f0")).toBe("#GP(0)");
    expect(snapshot(core)).toEqual(before);
  });

  it("CALL far and RETF with an immediate are a round trip", () => {
    const core = realMode(new FakeCore());
    core.execute("9a 34 12 00 f0");
    expect(where(core)).toEqual([0xf000, 0x1234n, 0x2000, 0xffcn]);
    expect([core.read16(0x2_0ffc), core.read16(0x2_0ffe)]).toEqual([5, 0x1000]);
    core.execute("ca 06 00");
    expect(where(core)).toEqual([0x1000, 5n, 0x2000, 0x1006n]);
  });

  it("IRET restores 16 flags, IRETD 32, never VM", () => {
    const core = realMode(new FakeCore());
    core.state.RSP = 0x0ffan;
    core.write16(0x2_0ffa, 0x77);
    core.write16(0x2_0ffc, 0x1111);
    core.write16(0x2_0ffe, 0xffff);
    core.execute("cf");
    expect(where(core)).toEqual([0x1111, 0x77n, 0x2000, 0x1000n]);
    expect(core.state.RFLAGS).toBe(0x7fd7n);
    core.state.RSP = 0x0ff4n;
    core.write32(0x2_0ff4, 0x78);
    core.write32(0x2_0ff8, 0x1112);
    core.write32(0x2_0ffc, 0xffff_ffff);
    core.execute("66 cf");
    expect(core.state.RFLAGS).toBe(0x25_7fd7n);
  });
});

describe("JMP far in protected mode", () => {
  it("to code of the same level keeps the CPL in CS", () => {
    const core = protectedMode(new FakeCore());
    expect(core.execute(jmp(selector.code0, 0x1234))).toBeUndefined();
    expect(where(core)).toEqual([8, 0x1234n, 0x10, 0x9000n]);
    atLevel(core, 3);
    expect(core.execute(jmp(selector.conforming, 0x1234))).toBeUndefined();
    expect(core.state["CS.selector"]).toBe(0x4b);
  });

  // biome-ignore format: one row per fact
  const refusals: [string, number, bigint | undefined, 0 | 3, string][] = [
    ["null",                        2, undefined, 0, "#GP(0)"],
    ["beyond the table",            0x103, undefined, 0, "#GP(100)"],
    ["data",                        0x10, undefined, 0, "#GP(10)"],
    ["an interrupt gate",           0x80, gate(8, 0, 0x8e), 0, "#GP(80)"],
    ["an LDT",                      0x68, undefined, 0, "#GP(68)"],
    ["outer code",                  0x18, undefined, 0, "#GP(18)"],
    ["inner code",                  0x08, undefined, 3, "#GP(8)"],
    ["code with RPL > CPL",         0x0b, undefined, 0, "#GP(8)"],
    ["conforming code, DPL > CPL",  0x80, descriptor(0, 0xf_ffff, 0xfe, 0xc), 0, "#GP(80)"],
    ["code that is not present",    0x80, descriptor(0, 0xf_ffff, 0x1a, 0xc), 0, "#NP(80)"],
    ["an offset beyond the limit",  0x80, descriptor(0, 0xfff, 0x9a, 0x4), 0, "#GP(0)"],
    ["a gate with DPL < CPL",       0x80, gate(8, 0, 0x8c), 3, "#GP(80)"],
    ["a gate with DPL < RPL",       0x83, gate(8, 0, 0x8c), 0, "#GP(80)"],
    ["a gate that is not present",  0x80, gate(8, 0, 0x0c), 0, "#NP(80)"],
    ["a gate to null",              0x80, gate(1, 0, 0x8c), 0, "#GP(0)"],
    ["a gate beyond the table",     0x80, gate(0x101, 0, 0x8c), 0, "#GP(100)"],
    ["a gate to data",              0x80, gate(0x10, 0, 0x8c), 0, "#GP(10)"],
    ["a gate to inner code",        0x80, gate(8, 0, 0xec), 3, "#GP(8)"],
    ["the busy TSS",                0x28, undefined, 0, "#GP(28)"],
  ];
  for (const [what, sel, value, level, expected] of refusals)
    it(`${what} at CPL ${level}: ${expected}`, () => {
      const core = protectedMode(new FakeCore());
      if (value !== undefined) setDescriptor(core, sel, value);
      atLevel(core, level);
      const before = snapshot(core);
      expect(core.execute(jmp(sel, 0x2000))).toBe(expected);
      expect(snapshot(core)).toEqual(before);
    });

  it("goes through a call gate and takes the offset from it", () => {
    const core = protectedMode(new FakeCore());
    setDescriptor(core, selector.free, gate(selector.code0, 0x8765_4321, 0x8c));
    expect(core.execute(jmp(selector.free, 0x1111))).toBeUndefined();
    expect(core.state.RIP).toBe(0x8765_4321n);
    setDescriptor(core, selector.free, gate(selector.code0, 0x8765_4321, 0x84));
    core.execute(jmp(selector.free, 0x1111));
    expect(core.state.RIP).toBe(0x4321n);
  });
});

describe("CALL far and RETF in protected mode", () => {
  it("push and pop CS and EIP at one level", () => {
    const core = protectedMode(new FakeCore());
    expect(core.execute(call(selector.code0, 0x1234))).toBeUndefined();
    expect(where(core)).toEqual([8, 0x1234n, 0x10, 0x8ff8n]);
    expect([core.read32(0x8ff8), core.read32(0x8ffc)]).toEqual([0x1_0007, 8]);
    expect(core.execute("ca 08 00")).toBeUndefined();
    expect(where(core)).toEqual([8, 0x1_0007n, 0x10, 0x9008n]);
  });

  it("through a gate to an inner level copy parameters to the stack of the TSS, and back", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    setDescriptor(core, selector.free, gate(selector.code0, 0x4567, 0xec, 2));
    core.state.RSP = 0x5000n;
    core.write32(0x5000, 0xaaaa);
    core.write32(0x5004, 0xbbbb);
    expect(core.execute(call(selector.free | 3, 0))).toBeUndefined();
    expect(where(core)).toEqual([8, 0x4567n, 0x10, 0x7fe8n]);
    expect([0, 4, 8, 12, 16, 20].map((at) => core.read32(0x7fe8 + at))).toEqual([
      0x1_0007, 0x1b, 0xaaaa, 0xbbbb, 0x5000, 0x23,
    ]);
    setSegment(core.state, "DS", { selector: 0x10, base: 0n, limit: 0xffff_ffff, access: 0xc093 });
    expect(core.execute("ca 08 00")).toBeUndefined();
    expect(where(core)).toEqual([0x1b, 0x1_0007n, 0x23, 0x5008n]);
    expect([core.state["DS.selector"], core.state["DS.access"], core.state["ES.selector"]]).toEqual([
      0, 0x1_0000, 0x23,
    ]);
  });

  it("through a gate to conforming code stay at the level and use the present stack", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    setDescriptor(core, selector.free, gate(selector.conforming, 0x4567, 0xec, 2));
    expect(core.execute(call(selector.free | 3, 0))).toBeUndefined();
    expect(where(core)).toEqual([0x4b, 0x4567n, 0x23, 0x8ff8n]);
  });

  // biome-ignore format: one row per fact
  const stackRefusals: [string, (core: FakeCore) => void, string][] = [
    ["a null SS",             (core) => core.write16(tssBase + 8, 0), "#TS(0)"],
    ["SS at the wrong level", (core) => core.write16(tssBase + 8, selector.data3), "#TS(20)"],
    ["a TSS too small",       (core) => { core.state["TR.limit"] = 8; }, "#TS(28)"],
    ["no room",               (core) => { setDescriptor(core, 0x88, descriptor(0, 0xfff, 0x92, 0x4)); core.write16(tssBase + 8, 0x88); }, "#SS(88)"],
  ];
  for (const [what, set, expected] of stackRefusals)
    it(`through a gate, inner stack with ${what}: ${expected}`, () => {
      const core = protectedMode(new FakeCore());
      setDescriptor(core, selector.free, gate(selector.code0, 0x4567, 0xec));
      set(core);
      atLevel(core, 3);
      const before = snapshot(core);
      expect(core.execute(call(selector.free | 3, 0))).toBe(expected);
      expect(snapshot(core)).toEqual(before);
    });

  // Frames that RETF refuses: EIP, CS, then ESP, SS for an outer level.
  // biome-ignore format: one row per fact
  const frames: [string, number[], 0 | 3, string][] = [
    ["null CS",                    [0, 3], 0, "#GP(0)"],
    ["CS beyond the table",        [0, 0x100], 0, "#GP(100)"],
    ["CS of data",                 [0, 0x10], 0, "#GP(10)"],
    ["CS of an inner level",       [0, 0x08], 3, "#GP(8)"],
    ["CS with DPL other than RPL", [0, 0x0b, 0, 0x23], 0, "#GP(8)"],
    ["offset beyond the limit",    [0x1_0000, selector.code16], 0, "#GP(0)"],
    ["null SS",                    [0, 0x1b, 0, 0], 0, "#GP(0)"],
    ["SS with RPL other than CS",  [0, 0x1b, 0, 0x20], 0, "#GP(20)"],
    ["SS of another level",        [0, 0x1b, 0, 0x13], 0, "#GP(10)"],
    ["SS of code",                 [0, 0x1b, 0, 0x1b], 0, "#GP(18)"],
  ];
  for (const [what, frame, level, expected] of frames)
    it(`RETF to ${what}: ${expected}`, () => {
      const core = protectedMode(new FakeCore());
      atLevel(core, level);
      push32(core, ...frame.toReversed());
      const before = snapshot(core);
      expect(core.execute("cb")).toBe(expected);
      expect(snapshot(core)).toEqual(before);
    });
});

describe("IRET in protected mode", () => {
  it("to the same level leaves SS:ESP and restores what CPL 0 may", () => {
    const core = protectedMode(new FakeCore());
    push32(core, 0x3d_7fd7, 8, 0x4444);
    core.state.interruptibility = 8;
    expect(core.execute("cf")).toBeUndefined();
    expect(where(core)).toEqual([8, 0x4444n, 0x10, 0x9000n]);
    expect(core.state.RFLAGS).toBe(0x3d_7fd7n);
    expect(core.state.interruptibility).toBe(0);
  });

  it("to an outer level pops SS:ESP and clears inner data segments", () => {
    const core = protectedMode(new FakeCore());
    push32(core, 0x23, 0x6000, 0x202, 0x1b, 0x4444);
    expect(core.execute("cf")).toBeUndefined();
    expect(where(core)).toEqual([0x1b, 0x4444n, 0x23, 0x6000n]);
    expect(core.state["DS.access"]).toBe(0x1_0000);
  });

  it("keeps the base of FS when it is null already", () => {
    const core = protectedMode(new FakeCore());
    setSegment(core.state, "FS", { selector: 0, base: 0x7777n, limit: 0, access: 0x1_0000 });
    push32(core, 0x23, 0x6000, 0x202, 0x1b, 0x4444);
    core.execute("cf");
    expect(core.state["FS.base"]).toBe(0x7777n);
  });

  it("at CPL 3 changes neither IOPL nor, above IOPL, IF", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    push32(core, 0x3d_7fd7 & ~0x200, 0x1b, 0x4444);
    core.execute("cf");
    expect(core.state.RFLAGS).toBe(0x25_4fd7n);
    expect(core.state.RFLAGS & RFLAGS.IF).toBe(RFLAGS.IF);
  });

  it("to virtual-8086 mode loads all segments", () => {
    const core = protectedMode(new FakeCore());
    push32(core, 6, 5, 4, 3, 2, 0x1000, 0x2_3202, 0x1234, 0x4444);
    expect(core.execute("cf")).toBeUndefined();
    expect(where(core)).toEqual([0x1234, 0x4444n, 2, 0x1000n]);
    expect(["ES", "DS", "FS", "GS"].map((name) => core.state[`${name as "ES"}.selector`])).toEqual([
      3, 4, 5, 6,
    ]);
    expect([core.state["SS.access"], core.state["CS.base"], core.state.RFLAGS]).toEqual([
      0xf3,
      0x1_2340n,
      0x2_3202n,
    ]);
  });

  it("in virtual-8086 mode needs IOPL 3 and keeps it", () => {
    expect(virtual8086(new FakeCore(), 2).execute("cf")).toBe("#GP(0)");
    const core = virtual8086(new FakeCore(), 3);
    core.state.RSP = 0x0ffan;
    core.write16(0x2_0ffc, 0x1111);
    core.write16(0x2_0ffe, 0);
    expect(core.execute("cf")).toBeUndefined();
    expect([core.state["CS.selector"], core.state.RFLAGS]).toEqual([
      0x1111,
      RFLAGS.FIXED | RFLAGS.VM | RFLAGS.IOPL,
    ]);
  });
});

describe("IA-32e mode", () => {
  const far64 = (core: FakeCore, sel: number, offset: bigint, opcode: string): string | undefined => {
    core.state.RBX = 0x5000n;
    core.write64(0x5000, offset);
    core.write16(0x5008, sel);
    return core.execute(`48 ff ${opcode}`);
  };

  it("has 64-bit call gates of 16 bytes", () => {
    const core = longMode(new FakeCore());
    setDescriptor(core, 0x80, gate(selector.code64, 0x1234_5678, 0xec));
    setDescriptor(core, 0x88, 0xffff_ffffn);
    atUser64(core);
    core.state.RSP = 0x6000n;
    expect(far64(core, 0x83, 0x1111n, "1b")).toBeUndefined();
    expect(where(core)).toEqual([0x38, 0xffff_ffff_1234_5678n, 0, 0x8000n - 32n]);
    expect([0, 8, 16, 24].map((at) => core.read64(0x8000 - 32 + at))).toEqual([
      0x1_0003n,
      0x43n,
      0x6000n,
      0x23n,
    ]);
    core.state.RSP = 0x8000n - 32n;
    expect(core.execute("48 cb")).toBeUndefined();
    expect(where(core)).toEqual([0x43, 0x1_0003n, 0x23, 0x6000n]);
  });

  // biome-ignore format: one row per fact
  const refusals: [string, number, bigint, bigint, string][] = [
    ["a TSS",                        selector.tss, 0n, 0n, "#GP(28)"],
    ["a gate whose upper half is no gate", 0x80, gate(selector.code64, 0, 0x8c), 1n << 40n, "#GP(80)"],
    ["a gate to 32-bit code",        0x80, gate(selector.code0, 0, 0x8c), 0n, "#GP(8)"],
    ["a gate to non-canonical",      0x80, gate(selector.code64, 0, 0x8c), 0x8000n, "#GP(0)"],
    ["code with L and D",            0x80, descriptor(0, 0xf_ffff, 0x9a, 0xe), 0n, "#GP(80)"],
  ];
  for (const [what, sel, value, upper, expected] of refusals)
    it(`JMP to ${what}: ${expected}`, () => {
      const core = longMode(new FakeCore());
      if (value) {
        setDescriptor(core, sel, value);
        setDescriptor(core, sel + 8, upper);
      }
      expect(far64(core, sel, 0n, "2b")).toBe(expected);
    });

  it("JMP to a non-canonical offset is #GP(0)", () => {
    const core = longMode(new FakeCore());
    expect(far64(core, selector.code64, 1n << 47n, "2b")).toBe("#GP(0)");
    expect(far64(core, selector.code64, 0xffff_8000_0000_0000n, "2b")).toBeUndefined();
  });

  it("IRETQ pops SS:RSP at the same level, a null SS included", () => {
    const core = longMode(new FakeCore());
    push64(core, 0n, 0x6000n, 0x202n, BigInt(selector.code64), 0xffff_ffff_8000_0000n);
    expect(core.execute("48 cf")).toBeUndefined();
    expect(where(core)).toEqual([0x38, 0xffff_ffff_8000_0000n, 0, 0x6000n]);
    expect(core.state["SS.access"]).toBe(0x1_0000);
  });

  it("IRETQ to compatibility mode truncates by SS, and refuses a null SS", () => {
    const core = longMode(new FakeCore());
    push64(core, 0x23n, 0x1_0000_6000n, 0x202n, 0x1bn, 0x4444n);
    expect(core.execute("48 cf")).toBeUndefined();
    expect(where(core)).toEqual([0x1b, 0x4444n, 0x23, 0x6000n]);
    const bad = longMode(new FakeCore());
    push64(bad, 3n, 0x6000n, 0x202n, 0x1bn, 0x4444n);
    expect(bad.execute("48 cf")).toBe("#GP(0)");
  });

  it("IRETQ to user level needs a stack of user level", () => {
    for (const [ss, expected] of [
      [0x23n, undefined],
      [3n, "#GP(0)"],
      [0x10n, "#GP(10)"],
    ] as const) {
      const core = longMode(new FakeCore());
      push64(core, ss, 0x6000n, 0x202n, BigInt(selector.code64User), 0x4444n);
      const before = snapshot(core);
      expect(core.execute("48 cf")).toBe(expected);
      if (expected) expect(snapshot(core)).toEqual(before);
    }
  });

  it("IRETQ with NT set and to a non-canonical RIP are #GP(0)", () => {
    const core = longMode(new FakeCore());
    push64(core, 0x10n, 0x6000n, 0x202n, 0x38n, 1n << 47n);
    expect(core.execute("48 cf")).toBe("#GP(0)");
    core.state.RFLAGS |= RFLAGS.NT;
    core.write64(Number(core.state.RSP), 0n);
    expect(core.execute("48 cf")).toBe("#GP(0)");
  });
});
