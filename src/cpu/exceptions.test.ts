import { describe, expect, it } from "vitest";
import { CR4 } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import { Fault } from "./core.ts";
import { deliver, deliverFault, deliverOnce, type Event } from "./exceptions.ts";
import {
  atLevel, atUser64, descriptor, FakeCore, faultOf, gate, idtBase, longMode, protectedMode, realMode, selector, setDescriptor,
  snapshot, tssBase, virtual8086,
} from "./fake-core.fixture.ts"; // biome-ignore format: one list

const setGate = (core: FakeCore, vector: number, value: bigint): void =>
  core.write64(idtBase + 8 * vector, value);
const setGate64 = (core: FakeCore, vector: number, value: bigint, upper = 0n): void => {
  core.write64(idtBase + 16 * vector, value);
  core.write64(idtBase + 16 * vector + 8, upper);
};
const external = (vector: number): Event => ({ type: "external interrupt", vector });
const software = (vector: number): Event => ({ type: "software interrupt", vector, returnRip: 0x1_0002n });
const handler = 0x12_3456;

describe("protected mode", () => {
  it("pushes EFLAGS, CS and EIP on the same stack; an interrupt gate clears IF, a trap gate does not", () => {
    for (const [type, IF] of [
      [0x8e, 0n],
      [0x8f, RFLAGS.IF],
    ] as const) {
      const core = protectedMode(new FakeCore());
      core.state.RFLAGS |= RFLAGS.TF | RFLAGS.NT;
      setGate(core, 0x40, gate(selector.code0, handler, type));
      deliver(core, external(0x40));
      expect(core.state.RIP).toBe(BigInt(handler));
      expect(core.state.RSP).toBe(0x8ff4n);
      expect([core.read32(0x8ff4), core.read32(0x8ff8), core.read32(0x8ffc)]).toEqual([0x1_0000, 8, 0x4302]);
      expect(core.state.RFLAGS).toBe(RFLAGS.FIXED | IF);
    }
  });

  it("changes to the stack of the TSS for an inner level", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    core.state.RSP = 0x5_0000n;
    setGate(core, 0x40, gate(selector.code0, handler, 0x8e));
    deliver(core, external(0x40));
    expect([core.state["SS.selector"], core.state.RSP, core.state["CS.selector"]]).toEqual([
      0x10,
      0x7fecn,
      0x08,
    ]);
    expect([0, 4, 8, 12, 16].map((at) => core.read32(0x7fec + at))).toEqual([
      0x1_0000, 0x1b, 0x202, 0x5_0000, 0x23,
    ]);
  });

  it("stays at the present level for a conforming handler", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    setGate(core, 0x40, gate(selector.conforming, handler, 0x8e));
    deliver(core, external(0x40));
    expect([core.state["CS.selector"], core.state["SS.selector"], core.state.RSP]).toEqual([
      0x4b,
      0x23,
      0x8ff4n,
    ]);
  });

  it("pushes the error code and sets RF in the image for faults, CR2 for #PF", () => {
    const core = protectedMode(new FakeCore());
    setGate(core, 14, gate(selector.code0, handler, 0x8e));
    deliverFault(core, new Fault(14, 5, 0xdead_b000n));
    expect([core.read32(0x8ff0), core.read32(0x8ffc)]).toEqual([5, 0x1_0202]);
    expect(core.state.CR2).toBe(0xdead_b000n);
    expect(core.state.RFLAGS & RFLAGS.RF).toBe(0n);
  });

  it("pushes 16-bit frames through 16-bit gates", () => {
    const core = protectedMode(new FakeCore());
    setGate(core, 0x40, gate(selector.code0, 0x1234, 0x86));
    deliver(core, external(0x40));
    expect([core.state.RSP, core.read16(0x8ffa), core.read16(0x8ffc), core.read16(0x8ffe)]).toEqual([
      0x8ffan,
      0,
      8,
      0x202,
    ]);
  });

  it("sets RF in the image for an interrupt between iterations", () => {
    const core = protectedMode(new FakeCore());
    setGate(core, 0x40, gate(selector.code0, handler, 0x8e));
    deliver(core, { ...external(0x40), midRepeat: true });
    expect(core.read32(0x8ffc)).toBe(0x1_0202);
  });

  it("blocks NMIs after an NMI, ends blocking by STI and a halt", () => {
    const core = protectedMode(new FakeCore());
    setGate(core, 2, gate(selector.code0, handler, 0x8e));
    core.state.interruptibility = 1;
    core.state.activity = 1;
    deliver(core, { type: "NMI", vector: 2 });
    expect([core.state.interruptibility, core.state.activity]).toEqual([8, 0]);
  });

  // What is wrong, with the fault for a hardware event (EXT) and for INT n.
  // biome-ignore format: one row per fact
  const refusals: [string, (core: FakeCore) => void, string, string][] = [
    ["vector beyond the IDT",      (core) => { core.state["IDTR.limit"] = 0x206; }, "#GP(203)", "#GP(202)"],
    ["not a gate",                 (core) => setGate(core, 0x40, gate(8, handler, 0x8c)), "#GP(203)", "#GP(202)"],
    ["gate not present",           (core) => setGate(core, 0x40, gate(8, handler, 0x6e)), "#NP(203)", "#NP(202)"],
    ["null code selector",         (core) => setGate(core, 0x40, gate(3, handler, 0xee)), "#GP(1)", "#GP(0)"],
    ["code selector out of range", (core) => setGate(core, 0x40, gate(0x100, handler, 0xee)), "#GP(101)", "#GP(100)"],
    ["data as code",               (core) => setGate(core, 0x40, gate(0x10, handler, 0xee)), "#GP(11)", "#GP(10)"],
    ["code not present",           (core) => { setDescriptor(core, 0x80, descriptor(0, 0xf_ffff, 0x1a, 0xc)); setGate(core, 0x40, gate(0x80, handler, 0xee)); }, "#NP(81)", "#NP(80)"],
    ["outer-level code",           (core) => setGate(core, 0x40, gate(0x18, handler, 0xee)), "#GP(19)", "#GP(18)"],
    ["handler beyond the limit",   (core) => setGate(core, 0x40, gate(selector.code16, 0x1_0000, 0xee)), "#GP(1)", "#GP(0)"],
    ["no room on the stack",       (core) => { core.state["SS.limit"] = 0x10; core.state.RSP = 8n; setGate(core, 0x40, gate(8, handler, 0xee)); }, "#SS(1)", "#SS(0)"],
    ["task gate to a busy TSS",    (core) => setGate(core, 0x40, gate(selector.tss, 0, 0xe5)), "#GP(29)", "#GP(28)"],
    ["task gate to the LDT",       (core) => setGate(core, 0x40, gate(selector.tss | 4, 0, 0xe5)), "#GP(2d)", "#GP(2c)"],
  ];
  for (const [what, set, hardware, int] of refusals)
    it(`${what}: ${hardware} for an interrupt, ${int} for INT n, and nothing changes`, () => {
      const core = protectedMode(new FakeCore());
      set(core);
      const before = snapshot(core);
      expect(faultOf(deliverOnce(core, external(0x40)))).toBe(hardware);
      expect(faultOf(deliverOnce(core, software(0x40)))).toBe(int);
      expect(snapshot(core)).toEqual(before);
    });

  it("INT n needs a gate with DPL >= CPL; INT1 and hardware do not", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    setGate(core, 0x40, gate(8, handler, 0x8e));
    setGate(core, 1, gate(8, handler, 0x8e));
    expect(core.execute("cd 40")).toBe("#GP(202)");
    expect(core.execute("f1")).toBeUndefined();
    expect(core.read32(0x8000 - 20)).toBe(0x1_0001); // the next instruction
  });

  // biome-ignore format: one row per fact
  const stacks: [string, (core: FakeCore) => void, string][] = [
    ["TSS too small",           (core) => { core.state["TR.limit"] = 8; }, "#TS(29)"],
    ["null SS",                 (core) => core.write16(tssBase + 8, 0), "#TS(1)"],
    ["SS out of range",         (core) => core.write16(tssBase + 8, 0x100), "#TS(101)"],
    ["SS with the wrong RPL",   (core) => core.write16(tssBase + 8, 0x13), "#TS(11)"],
    ["SS with the wrong DPL",   (core) => core.write16(tssBase + 8, 0x20), "#TS(21)"],
    ["SS not writable",         (core) => core.write16(tssBase + 8, 0x08), "#TS(9)"],
    ["SS not present",          (core) => { setDescriptor(core, 0x80, descriptor(0, 0xf_ffff, 0x12, 0xc)); core.write16(tssBase + 8, 0x80); }, "#SS(81)"],
    ["no room on it",           (core) => { setDescriptor(core, 0x80, descriptor(0, 0xfff, 0x92, 0x4)); core.write16(tssBase + 8, 0x80); }, "#SS(81)"],
  ];
  for (const [what, set, expected] of stacks)
    it(`inner stack, ${what}: ${expected}`, () => {
      const core = protectedMode(new FakeCore());
      setGate(core, 0x40, gate(8, handler, 0x8e));
      set(core);
      atLevel(core, 3);
      const before = snapshot(core);
      expect(faultOf(deliverOnce(core, external(0x40)))).toBe(expected);
      expect(snapshot(core)).toEqual(before);
    });
});

describe("exceptions during delivery", () => {
  const broken = (vectors: Record<number, bigint>) => {
    const core = protectedMode(new FakeCore());
    for (const [vector, value] of Object.entries(vectors)) setGate(core, Number(vector), value);
    return core;
  };
  const good = (offset: number) => gate(selector.code0, offset, 0x8e);

  it("a contributory one after a contributory one is a double fault", () => {
    const core = broken({ 8: good(0x800) });
    deliverFault(core, new Fault(13, 0x10));
    expect([core.state.RIP, core.read32(0x8ff0)]).toEqual([0x800n, 0]);
  });

  it("a contributory one after a page fault is a double fault, the reverse is not", () => {
    const after = broken({ 8: good(0x800) });
    deliverFault(after, new Fault(14, 0, 0x1000n));
    expect([after.state.RIP, after.state.CR2]).toEqual([0x800n, 0x1000n]);
    const page = longMode(new FakeCore());
    setGate64(page, 14, good(0xe00));
    setGate64(page, 8, good(0x800));
    page.state["IDTR.base"] = BigInt(idtBase);
    setGate64(page, 13, gate(selector.code0, 0, 0x8e));
    page.state["GDTR.limit"] = 0xffff;
    page.write64(idtBase + 16 * 13, gate(0xfff0, 0, 0x8e));
    page.state["GDTR.base"] = 0x1f_f000n; // selectors 1000H and above are on a page that is not there
    for (const sel of [selector.code64]) page.write64(0x1f_f000 + sel, descriptor(0, 0xf_ffff, 0x9a, 0xa));
    page.write64(idtBase + 16 * 14, gate(selector.code64, 0xe00, 0x8e));
    deliverFault(page, new Fault(13, 0));
    expect([page.state.RIP, page.state.CR2]).toEqual([0xe00n, 0x20_eff0n]);
  });

  it("a benign one is followed by the second alone", () => {
    const core = broken({ 13: good(0xd00) });
    deliverFault(core, new Fault(6));
    expect([core.state.RIP, core.read32(0x8ff0)]).toEqual([0xd00n, 6 * 8 + 3]);
    const interrupted = broken({ 13: good(0xd00) });
    deliver(interrupted, external(0x40));
    expect([interrupted.state.RIP, interrupted.read32(0x8ff0)]).toEqual([0xd00n, 0x203]);
  });

  it("a fault while a double fault is delivered shuts the processor down", () => {
    const core = broken({});
    deliverFault(core, new Fault(13, 0));
    expect([core.state.activity, core.state.RIP]).toEqual([2, 0x1_0000n]);
  });
});

describe("real mode", () => {
  it("goes through the vector table with a 16-bit frame and no error code", () => {
    const core = realMode(new FakeCore());
    core.write32(4 * 13, 0x4321_0123);
    core.state.RFLAGS |= RFLAGS.IF | RFLAGS.TF | RFLAGS.AC;
    deliverFault(core, new Fault(13, 0));
    expect([core.state["CS.selector"], core.state["CS.base"], core.state.RIP]).toEqual([
      0x4321,
      0x4_3210n,
      0x123n,
    ]);
    expect([core.state.RSP, core.read16(0x2_0ffa), core.read16(0x2_0ffc), core.read16(0x2_0ffe)]).toEqual([
      0xffan,
      0,
      0x1000,
      0x302,
    ]);
    expect(core.state.RFLAGS).toBe(RFLAGS.FIXED);
  });

  it("wraps SP, and shuts down without a table", () => {
    const core = realMode(new FakeCore());
    core.state.RSP = 2n;
    core.write32(4 * 0x40, 0x1000_0100);
    expect(core.execute("cd 40")).toBeUndefined();
    expect(core.state.RSP).toBe(0xfffcn);
    core.state["IDTR.limit"] = 0;
    deliverFault(core, new Fault(6));
    expect(core.state.activity).toBe(2);
  });
});

describe("virtual-8086 mode", () => {
  it("saves all segments on the ring 0 stack and clears them", () => {
    const core = virtual8086(new FakeCore(), 0);
    setGate(core, 0x40, gate(8, handler, 0x8e));
    deliver(core, external(0x40));
    expect(core.state.RSP).toBe(BigInt(0x8000 - 36));
    // biome-ignore format: EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS
    expect([0, 4, 8, 12, 16, 20, 24, 28, 32].map((at) => core.read32(0x8000 - 36 + at)))
      .toEqual([0x100, 0x1000, 0x2_0202, 0x1000, 0x2000, 0x3000, 0x3000, 0x3000, 0x3000]);
    expect([core.state["DS.selector"], core.state["DS.access"], core.state["CS.selector"]]).toEqual([
      0, 0x1_0000, 8,
    ]);
    expect(core.state.RFLAGS & RFLAGS.VM).toBe(0n);
  });

  it("needs a ring 0 handler", () => {
    const core = virtual8086(new FakeCore(), 3);
    setGate(core, 0x40, gate(selector.conforming, handler, 0xee));
    expect(faultOf(deliverOnce(core, external(0x40)))).toBe("#GP(49)");
  });

  it("INT n is #GP(0) below IOPL 3, INT3 is not", () => {
    const core = virtual8086(new FakeCore(), 2);
    setGate(core, 0x40, gate(8, handler, 0xee));
    setGate(core, 3, gate(8, handler, 0xee));
    expect(core.execute("cd 40")).toBe("#GP(0)");
    expect(core.execute("cc")).toBeUndefined();
    const at3 = virtual8086(new FakeCore(), 3);
    setGate(at3, 0x40, gate(8, handler, 0xee));
    expect(at3.execute("cd 40")).toBeUndefined();
  });

  const withVme = (iopl: number, redirected: boolean) => {
    const core = virtual8086(new FakeCore(), iopl);
    core.state.CR4 = CR4.VME;
    core.write16(tssBase + 102, 0x200);
    core.memory.setUint8(tssBase + 0x200 - 32 + 8, redirected ? 0xfe : 0xff); // vector 40H
    core.write32(4 * 0x40, 0x4000_0010);
    setGate(core, 0x40, gate(8, handler, 0xee));
    return core;
  };

  it("VME redirects INT n to the 8086 handler where the bitmap says so", () => {
    const core = withVme(3, true);
    expect(core.execute("cd 40")).toBeUndefined();
    expect([core.state["CS.selector"], core.state.RIP, core.state.RSP]).toEqual([0x4000, 0x10n, 0xffan]);
    expect([core.read16(0x2_0ffa), core.read16(0x2_0ffc), core.read16(0x2_0ffe)]).toEqual([
      0x102, 0x1000, 0x3202,
    ]);
    expect(core.state.RFLAGS).toBe(RFLAGS.FIXED | RFLAGS.VM | RFLAGS.IOPL);
  });

  it("VME below IOPL 3 uses VIF in place of IF", () => {
    const core = withVme(0, true);
    core.state.RFLAGS |= RFLAGS.VIF;
    expect(core.execute("cd 40")).toBeUndefined();
    expect(core.read16(0x2_0ffe)).toBe(0x3202);
    expect(core.state.RFLAGS).toBe(RFLAGS.FIXED | RFLAGS.VM | RFLAGS.IF);
    expect(withVme(0, false).execute("cd 40")).toBe("#GP(0)");
  });
});

describe("IA-32e mode", () => {
  it("pushes SS, RSP, RFLAGS, CS and RIP on an aligned stack, without a change of level too", () => {
    const core = longMode(new FakeCore());
    core.state.RSP = 0x900fn;
    setGate64(core, 0x40, gate(selector.code64, handler, 0x8e), 0xffff_8000n);
    deliver(core, external(0x40));
    expect(core.state.RIP).toBe(0xffff_8000_0012_3456n);
    expect(core.state.RSP).toBe(0x9000n - 40n);
    expect([0, 8, 16, 24, 32].map((at) => core.read64(0x9000 - 40 + at))).toEqual([
      0x1_0000n,
      0x38n,
      0x202n,
      0x900fn,
      0x10n,
    ]);
    expect(core.state["SS.selector"]).toBe(0x10);
  });

  it("takes RSP0 and a null SS from user level, the IST where the gate names one", () => {
    for (const [ist, rsp] of [
      [0, 0x8000],
      [1, 0x7000],
    ] as const) {
      const core = longMode(new FakeCore());
      atUser64(core);
      setGate64(core, 13, gate(selector.code64, handler, 0x8e, ist));
      deliverFault(core, new Fault(13, 0x18));
      expect([core.state["SS.selector"], core.state["SS.access"], core.state.RSP]).toEqual([
        0,
        0x1_0000,
        BigInt(rsp - 48),
      ]);
      expect(core.read64(rsp - 48)).toBe(0x18n);
    }
  });

  // biome-ignore format: one row per fact
  const refusals: [string, (core: FakeCore) => void, string][] = [
    ["a 32-bit code segment",     (core) => setGate64(core, 0x40, gate(selector.code0, handler, 0x8e)), "#GP(9)"],
    ["a 16-bit gate",             (core) => setGate64(core, 0x40, gate(selector.code64, handler, 0x86)), "#GP(403)"],
    ["a task gate",               (core) => setGate64(core, 0x40, gate(selector.code64, handler, 0x85)), "#GP(403)"],
    ["a non-canonical handler",   (core) => setGate64(core, 0x40, gate(selector.code64, handler, 0x8e), 0x8000n), "#GP(1)"],
    ["a non-canonical stack",     (core) => { core.write64(tssBase + 36, 1n << 47n); setGate64(core, 0x40, gate(selector.code64, handler, 0x8e, 1)); }, "#SS(1)"],
    ["an IST beyond the TSS",     (core) => { core.state["TR.limit"] = 36 + 6; setGate64(core, 0x40, gate(selector.code64, handler, 0x8e, 1)); }, "#TS(29)"],
    ["a stack that is not there", (core) => { core.state.RSP = 0x40_0000n; setGate64(core, 0x40, gate(selector.code64, handler, 0x8e)); }, "#PF(2)"],
  ];
  for (const [what, set, expected] of refusals)
    it(`${what}: ${expected === "#GP(403)" ? "#GP(vector)" : expected}`, () => {
      const core = longMode(new FakeCore());
      set(core);
      const before = snapshot(core);
      expect(faultOf(deliverOnce(core, external(0x40)))).toBe(
        expected === "#GP(403)" ? "#GP(203)" : expected,
      );
      expect(snapshot(core)).toEqual(before);
    });
});
