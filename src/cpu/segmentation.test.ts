import { describe, expect, it } from "vitest";
import { CR0 } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import {
  atLevel,
  atUser64,
  descriptor,
  FakeCore,
  faultOf,
  gdtBase,
  ldtBase,
  longMode,
  protectedMode,
  realMode,
  selector,
  setDescriptor,
  snapshot,
  virtual8086,
} from "./fake-core.fixture.ts";
import { Access } from "./page-walk.ts";
import { loadSegment } from "./segment-loads.ts";
import { getSegment, linearAddress, readMemory, setSegment, writeMemory } from "./segmentation.ts";

const text = (result: unknown): string => faultOf(result) ?? (result as bigint).toString(16);

describe("limit checks", () => {
  const core = protectedMode(new FakeCore());
  const at = (name: "DS" | "SS", offset: bigint, size: number, access: number = Access.READ) =>
    text(linearAddress(core, name, offset, size, access));

  it("accept the last byte and refuse the one after, #SS for the stack", () => {
    const small = { selector: 8, base: 0x1_0000n, limit: 0xfff, access: 0x93 };
    setSegment(core.state, "DS", small);
    setSegment(core.state, "SS", small);
    expect(at("DS", 0xffcn, 4)).toBe("10ffc");
    expect(at("DS", 0xffdn, 4)).toBe("#GP(0)");
    expect(at("SS", 0xffdn, 4)).toBe("#SS(0)");
    expect(at("DS", 0xffff_ffffn, 2)).toBe("#GP(0)");
  });

  it("turn around for expand-down segments, whose upper bound is by B", () => {
    setSegment(core.state, "DS", { selector: 8, base: 0n, limit: 0xfff, access: 0x97 });
    expect(at("DS", 0xfffn, 1)).toBe("#GP(0)");
    expect(at("DS", 0x1000n, 1)).toBe("1000");
    expect(at("DS", 0xffffn, 1)).toBe("ffff");
    expect(at("DS", 0xffffn, 2)).toBe("#GP(0)");
    setSegment(core.state, "DS", { selector: 8, base: 0n, limit: 0xfff, access: 0x4097 });
    expect(at("DS", 0xffffn, 2)).toBe("ffff");
    expect(at("DS", 0xffff_ffffn, 1)).toBe("ffffffff");
    expect(at("DS", 0xffff_ffffn, 2)).toBe("#GP(0)");
  });

  it("let an access wrap around a flat segment", () => {
    setSegment(core.state, "DS", { selector: 8, base: 0x10n, limit: 0xffff_ffff, access: 0xc093 });
    expect(at("DS", 0xffff_fffen, 4)).toBe("e");
  });
});

describe("type checks", () => {
  const types: [string, number, string, string][] = [
    ["read-only data", 0x91, "0", "#GP(0)"],
    ["read-write data", 0x93, "0", "0"],
    ["execute-only code", 0x99, "#GP(0)", "#GP(0)"],
    ["execute-read code", 0x9b, "0", "#GP(0)"],
    ["a null selector", 0x1_0000, "#GP(0)", "#GP(0)"],
  ];
  for (const [what, access, read, write] of types)
    it(`${what}: read ${read}, write ${write}`, () => {
      const core = protectedMode(new FakeCore());
      setSegment(core.state, "ES", { selector: 0, base: 0n, limit: 0xffff, access });
      expect(text(linearAddress(core, "ES", 0n, 1, Access.READ))).toBe(read);
      expect(text(linearAddress(core, "ES", 0n, 1, Access.WRITE))).toBe(write);
    });

  it("are not made in real mode, limits are", () => {
    const core = realMode(new FakeCore());
    setSegment(core.state, "DS", { selector: 0, base: 0x100n, limit: 0xffff, access: 0x9b });
    expect(text(linearAddress(core, "DS", 0xfffen, 2, Access.WRITE))).toBe("100fe");
    expect(text(linearAddress(core, "DS", 0xffffn, 2, Access.WRITE))).toBe("#GP(0)");
    expect(text(linearAddress(core, "SS", 0xffffn, 2, Access.WRITE))).toBe("#SS(0)");
  });
});

describe("64-bit mode", () => {
  const core = longMode(new FakeCore());
  const at = (name: "DS" | "SS" | "FS", offset: bigint, size: number) =>
    text(linearAddress(core, name, offset, size, Access.READ));

  it("uses no base and limit but those of FS and GS", () => {
    setSegment(core.state, "DS", { selector: 0, base: 0x1000n, limit: 0, access: 0x1_0000 });
    core.state["FS.base"] = 0xffff_ffff_8000_0000n;
    expect(at("DS", 0x1234_5678_9abcn, 8)).toBe("123456789abc");
    expect(at("FS", 0x1234n, 8)).toBe("ffffffff80001234");
    expect(at("FS", 0x8000_1234n, 8)).toBe("1234");
  });

  it("refuses non-canonical bytes, first or last, #SS for the stack", () => {
    expect(at("DS", 0x8000_0000_0000n, 1)).toBe("#GP(0)");
    expect(at("SS", 0x8000_0000_0000n, 1)).toBe("#SS(0)");
    expect(at("DS", 0x7fff_ffff_fff9n, 8)).toBe("#GP(0)");
    expect(at("DS", 0x7fff_ffff_fff8n, 8)).toBe("7ffffffffff8");
    expect(at("DS", 0xffff_7fff_ffff_ffffn, 1)).toBe("#GP(0)");
    expect(at("DS", 0xffff_8000_0000_0000n, 1)).toBe("ffff800000000000");
  });
});

describe("alignment checking", () => {
  it("raises #AC at CPL 3 with AM and AC, for user accesses only", () => {
    const core = protectedMode(new FakeCore());
    const read = (offset: bigint, size: number) => faultOf(readMemory(core, "DS", offset, size));
    core.state.CR0 |= CR0.AM;
    core.state.RFLAGS |= RFLAGS.AC;
    expect(read(0x101n, 4)).toBeUndefined();
    atLevel(core, 3);
    expect(read(0x101n, 4)).toBe("#AC(0)");
    expect(read(0x101n, 2)).toBe("#AC(0)");
    expect(read(0x101n, 1)).toBeUndefined();
    expect(read(0x104n, 8)).toBe("#AC(0)");
    core.state.CR0 &= ~CR0.AM;
    expect(read(0x101n, 4)).toBeUndefined();
  });
});

describe("memory accesses", () => {
  it("cross pages, and change nothing when the second page faults", () => {
    const core = longMode(new FakeCore());
    expect(writeMemory(core, "DS", 0x4fffn, 0x1122_3344_5566_7788n, 8)).toBeUndefined();
    expect(readMemory(core, "DS", 0x4fffn, 8)).toBe(0x1122_3344_5566_7788n);
    expect(core.read64(0x4fff)).toBe(0x1122_3344_5566_7788n);
    expect(faultOf(writeMemory(core, "DS", 0x1f_fffcn, 0n, 8))).toBe("#PF(2)");
    expect(readMemory(core, "DS", 0x1f_fff8n, 8)).toBe(0n);
    writeMemory(core, "DS", 0x1f_fffcn, 0xabcdn, 4);
    expect(faultOf(writeMemory(core, "DS", 0x1f_fffcn, 0n, 8))).toBe("#PF(2)");
    expect(core.read32(0x1f_fffc)).toBe(0xabcd);
  });

  it("record data breakpoints that they touch", () => {
    const core = protectedMode(new FakeCore());
    const { state } = core;
    state.DR1 = 0x5002n;
    state.DR7 |= 0x4n | (0x5n << 20n); // L1, write, two bytes
    readMemory(core, "DS", 0x5000n, 4);
    expect(state.pendingDebug).toBe(0);
    writeMemory(core, "DS", 0x5004n, 0n, 4);
    expect(state.pendingDebug).toBe(0);
    writeMemory(core, "DS", 0x5003n, 0n, 1);
    expect(state.pendingDebug).toBe(0x1002);
  });
});

describe("loading a segment register", () => {
  it("takes base, limit and rights from the descriptor and sets its accessed bit", () => {
    const core = protectedMode(new FakeCore());
    setDescriptor(core, selector.free, descriptor(0x1234_5678, 0x1_2345, 0x92, 0x4));
    expect(loadSegment(core, "ES", selector.free)).toBeUndefined();
    expect(getSegment(core.state, "ES")).toEqual({
      selector: 0x80,
      base: 0x1234_5678n,
      limit: 0x1_2345,
      access: 0x4093,
    });
    expect(core.memory.getUint8(gdtBase + 0x85)).toBe(0x93);
    core.written.length = 0;
    loadSegment(core, "ES", selector.free);
    expect(core.written).toEqual([]);
  });

  it("scales page-granular limits", () => {
    const core = protectedMode(new FakeCore());
    setDescriptor(core, selector.free, descriptor(0, 0x12, 0x92, 0xc));
    loadSegment(core, "ES", selector.free);
    expect(core.state["ES.limit"]).toBe(0x12fff);
  });

  // biome-ignore format: one row per fact
  const refusals: [string, "DS" | "SS", number, bigint | undefined, 0 | 3, string | undefined][] = [
    ["null in DS",                                   "DS", 0x03, undefined, 0, undefined],
    ["null in SS",                                   "SS", 0x00, undefined, 0, "#GP(0)"],
    ["a selector beyond the table",                  "DS", 0x100, undefined, 0, "#GP(100)"],
    ["a selector in an LDT that is not there",       "DS", 0x07, undefined, 0, "#GP(4)"],
    ["a system descriptor",                          "DS", selector.tss, undefined, 0, "#GP(28)"],
    ["execute-only code",                            "DS", 0x80, descriptor(0, 0xfff, 0x98, 4), 0, "#GP(80)"],
    ["readable code",                                "DS", 0x80, descriptor(0, 0xfff, 0x9a, 4), 0, undefined],
    ["data with DPL < CPL",                          "DS", 0x10, undefined, 3, "#GP(10)"],
    ["data with DPL < RPL",                          "DS", 0x13, undefined, 0, "#GP(10)"],
    ["conforming code with DPL < CPL",               "DS", 0x48, undefined, 3, undefined],
    ["data that is not present",                     "DS", 0x80, descriptor(0, 0xfff, 0x12, 4), 0, "#NP(80)"],
    ["a stack with RPL other than CPL",              "SS", 0x13, undefined, 0, "#GP(10)"],
    ["a stack with DPL other than CPL",              "SS", 0x20, undefined, 0, "#GP(20)"],
    ["read-only data as stack",                      "SS", 0x80, descriptor(0, 0xfff, 0x90, 4), 0, "#GP(80)"],
    ["code as stack",                                "SS", 0x08, undefined, 0, "#GP(8)"],
    ["a stack that is not present",                  "SS", 0x80, descriptor(0, 0xfff, 0x12, 4), 0, "#SS(80)"],
    ["an expand-down stack",                         "SS", selector.expandDown, undefined, 0, undefined],
  ];
  for (const [what, name, sel, value, level, expected] of refusals)
    it(`${what} at CPL ${level}: ${expected ?? "is loaded"}`, () => {
      const core = protectedMode(new FakeCore());
      if (value !== undefined) setDescriptor(core, sel, value);
      atLevel(core, level);
      const before = snapshot(core);
      expect(faultOf(loadSegment(core, name, sel))).toBe(expected);
      if (expected) expect(snapshot(core)).toEqual(before);
      else expect(core.state[`${name}.selector`]).toBe(sel);
    });

  it("reads the LDT for TI = 1", () => {
    const core = protectedMode(new FakeCore());
    setSegment(core.state, "LDTR", {
      selector: selector.ldt,
      base: BigInt(ldtBase),
      limit: 0x0f,
      access: 0x82,
    });
    core.write64(ldtBase + 8, descriptor(0x777, 0xfff, 0x92, 4));
    expect(loadSegment(core, "FS", 0x0c)).toBeUndefined();
    expect(core.state["FS.base"]).toBe(0x777n);
    expect(faultOf(loadSegment(core, "FS", 0x14))).toBe("#GP(14)");
  });

  it("allows a null SS in 64-bit mode below CPL 3 with RPL = CPL, and keeps the CPL", () => {
    const core = longMode(new FakeCore());
    expect(loadSegment(core, "SS", 0)).toBeUndefined();
    expect(core.state["SS.access"]).toBe(0x1_0000);
    expect(faultOf(loadSegment(core, "SS", 1))).toBe("#GP(0)");
    atUser64(core);
    expect(faultOf(loadSegment(core, "SS", 3))).toBe("#GP(0)");
  });

  it("a null selector in FS clears its base in 64-bit mode", () => {
    const core = longMode(new FakeCore());
    core.state["FS.base"] = 0x1234n;
    loadSegment(core, "FS", 0);
    expect(getSegment(core.state, "FS")).toEqual({ selector: 0, base: 0n, limit: 0, access: 0x1_0000 });
  });

  it("shifts by four in real mode and keeps a large limit", () => {
    const core = realMode(new FakeCore());
    core.state["DS.limit"] = 0xffff_ffff;
    loadSegment(core, "DS", 0x1234);
    expect(getSegment(core.state, "DS")).toMatchObject({
      selector: 0x1234,
      base: 0x1_2340n,
      limit: 0xffff_ffff,
    });
  });

  it("shifts by four in virtual-8086 mode with a limit of 64 KiB", () => {
    const core = virtual8086(new FakeCore(), 0);
    loadSegment(core, "DS", 0x1234);
    expect(getSegment(core.state, "DS")).toEqual({
      selector: 0x1234,
      base: 0x1_2340n,
      limit: 0xffff,
      access: 0xf3,
    });
  });
});

describe("instructions that load segments", () => {
  it("MOV SS and POP SS hold back events for one instruction, MOV DS does not", () => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = BigInt(selector.data0);
    expect(core.execute("8e d8")).toBeUndefined();
    expect(core.state.interruptibility).toBe(0);
    expect(core.execute("8e d0")).toBeUndefined();
    expect(core.state.interruptibility).toBe(2);
    expect(core.state.RIP).toBe(0x1_0004n);
  });

  it("POP DS that faults leaves ESP", () => {
    const core = protectedMode(new FakeCore());
    core.write32(0x9000, 0x100);
    const before = snapshot(core);
    expect(core.execute("1f")).toBe("#GP(100)");
    expect(snapshot(core)).toEqual(before);
    core.write32(0x9000, selector.data0);
    expect(core.execute("1f")).toBeUndefined();
    expect(core.state.RSP).toBe(0x9004n);
  });

  it("LES loads the register only when the segment can be loaded", () => {
    const core = protectedMode(new FakeCore());
    core.write32(0x5000, 0xdead_beef);
    core.write16(0x5004, 0x100);
    core.state.RBX = 0x5000n;
    expect(core.execute("c4 03")).toBe("#GP(100)");
    expect(core.state.RAX).toBe(0n);
    core.write16(0x5004, selector.data0);
    expect(core.execute("c4 03")).toBeUndefined();
    expect([core.state.RAX, core.state["ES.selector"]]).toEqual([0xdead_beefn, 0x10]);
  });
});
