import { describe, expect, it } from "vitest";
import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import {
  atLevel,
  atUser64,
  descriptor,
  FakeCore,
  gdtBase,
  longMode,
  protectedMode,
  realMode,
  selector,
  setDescriptor,
  snapshot,
  virtual8086,
} from "./fake-core.fixture.ts";
import { getSegment, setSegment } from "./segmentation.ts";

/** Run an instruction that must fault, and see that nothing has changed. */
const refuses = (core: FakeCore, hex: string): string | undefined => {
  const before = snapshot(core);
  const fault = core.execute(hex);
  if (fault) expect(snapshot(core)).toEqual(before);
  return fault;
};
const movToCR = (core: FakeCore, number: number, value: bigint): string | undefined => {
  core.state.RAX = value;
  return refuses(core, number === 8 ? "44 0f 22 c0" : `0f 22 ${(0xc0 + 8 * number).toString(16)}`);
};

describe("MOV to CR0", () => {
  // biome-ignore format: one row per fact
  const refusals: [string, (core: FakeCore) => bigint, "protected" | "long"][] = [
    ["PG without PE",                     () => CR0.PG, "protected"],
    ["NW without CD",                     () => CR0.PE | CR0.NW, "protected"],
    ["bits 63:32",                        (core) => core.state.CR0 | (1n << 32n), "long"],
    ["PG with LME and without PAE",       (core) => { core.state.IA32_EFER = IA32_EFER.LME; return core.state.CR0 | CR0.PG; }, "protected"],
    ["PG with LME while CS.L is set",     (core) => { core.state.IA32_EFER = IA32_EFER.LME; core.state.CR4 = CR4.PAE; core.state["CS.access"] |= 0x2000; return core.state.CR0 | CR0.PG; }, "protected"],
    ["PG with LME and a 16-bit TSS",      (core) => { core.state.IA32_EFER = IA32_EFER.LME; core.state.CR4 = CR4.PAE; core.state["TR.access"] = 0x83; return core.state.CR0 | CR0.PG; }, "protected"],
    ["PG clear in 64-bit mode",           (core) => core.state.CR0 & ~CR0.PG, "long"],
    ["PG clear with PCIDE",               (core) => { core.state.CR4 |= CR4.PCIDE; core.state["CS.access"] = 0xc09b; return core.state.CR0 & ~CR0.PG; }, "long"],
    ["PG with PAE and bad PDPTEs",        (core) => { core.state.CR4 = CR4.PAE; core.state.CR3 = 0x6000n; core.write64(0x6000, 3n); return core.state.CR0 | CR0.PG; }, "protected"],
  ];
  for (const [what, value, mode] of refusals)
    it(`${what} is #GP(0)`, () => {
      const core = mode === "long" ? longMode(new FakeCore()) : protectedMode(new FakeCore());
      expect(movToCR(core, 0, value(core))).toBe("#GP(0)");
    });

  it("ignores reserved bits below 32, and ET stays 1", () => {
    const core = realMode(new FakeCore());
    expect(movToCR(core, 0, 0x1ffe_ffc1n)).toBeUndefined();
    expect(core.state.CR0).toBe(CR0.PE | CR0.ET | CR0.AM);
    movToCR(core, 0, 0xffe8_0000n & ~CR0.PG);
    expect(core.state.CR0).toBe(CR0.ET | CR0.CD | CR0.NW);
  });

  it("sets and clears LMA with PG, drops translations when PG, PE or WP change", () => {
    const core = protectedMode(new FakeCore());
    core.state.IA32_EFER = IA32_EFER.LME;
    core.state.CR4 = CR4.PAE;
    movToCR(core, 0, core.state.CR0 | CR0.PG);
    expect(core.state.IA32_EFER).toBe(IA32_EFER.LME | IA32_EFER.LMA);
    movToCR(core, 0, core.state.CR0 & ~CR0.PG);
    expect(core.state.IA32_EFER).toBe(IA32_EFER.LME);
    movToCR(core, 0, core.state.CR0 | CR0.TS);
    expect(core.invalidations).toEqual([{ kind: "all" }, { kind: "all" }]);
  });

  it("loads the PDPTE registers for PAE paging", () => {
    const core = protectedMode(new FakeCore());
    core.state.CR4 = CR4.PAE;
    core.state.CR3 = 0x6000n;
    core.write64(0x6008, 0x7001n);
    expect(movToCR(core, 0, core.state.CR0 | CR0.PG)).toBeUndefined();
    expect(core.state.PDPTE1).toBe(0x7001n);
  });
});

describe("MOV to CR3", () => {
  it("refuses bits beyond the physical width in 64-bit mode", () => {
    const core = longMode(new FakeCore());
    expect(movToCR(core, 3, 1n << 40n)).toBe("#GP(0)");
    expect(movToCR(core, 3, 1n << 63n)).toBe("#GP(0)");
    expect(movToCR(core, 3, 0x10_0018n)).toBeUndefined();
    expect(core.invalidations).toEqual([{ kind: "non-global" }]);
  });

  it("with PCIDE drops one PCID, or none with bit 63, which is not stored", () => {
    const core = longMode(new FakeCore());
    core.state.CR4 |= CR4.PCIDE;
    movToCR(core, 3, 0x10_0005n);
    movToCR(core, 3, 0x10_0006n | (1n << 63n));
    expect(core.state.CR3).toBe(0x10_0006n);
    expect(core.invalidations).toEqual([{ kind: "pcid", pcid: 5 }]);
  });

  it("reloads PDPTEs for PAE paging, or refuses", () => {
    const core = protectedMode(new FakeCore());
    core.state.CR0 |= CR0.PG;
    core.state.CR4 = CR4.PAE;
    core.write64(0x6000, 0x2n | 1n);
    core.write64(0x6020, 0x9001n);
    expect(movToCR(core, 3, 0x6000n)).toBe("#GP(0)");
    expect(movToCR(core, 3, 0x6020n)).toBeUndefined();
    expect(core.state.PDPTE0).toBe(0x9001n);
  });
});

describe("MOV to CR4", () => {
  it("accepts exactly the bits that the model has", () => {
    const accepted = (model: string): number[] =>
      Array.from({ length: 64 }, (_, bit) => bit).filter(
        (bit) => movToCR(longMode(new FakeCore(model)), 4, CR4.PAE | (1n << BigInt(bit))) === undefined,
      );
    expect(accepted("default")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16, 17, 18, 20, 21]);
    expect(accepted("core2")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13]);
  });

  it("PAE cannot be cleared in IA-32e mode", () => {
    expect(movToCR(longMode(new FakeCore()), 4, 0n)).toBe("#GP(0)");
  });

  it("PCIDE needs IA-32e mode and PCID 0", () => {
    expect(movToCR(protectedMode(new FakeCore()), 4, CR4.PCIDE)).toBe("#GP(0)");
    const core = longMode(new FakeCore());
    core.state.CR3 |= 1n;
    expect(movToCR(core, 4, CR4.PAE | CR4.PCIDE)).toBe("#GP(0)");
    core.state.CR3 &= ~1n;
    expect(movToCR(core, 4, CR4.PAE | CR4.PCIDE)).toBeUndefined();
  });
});

describe("other control registers", () => {
  it("CR8 is the task priority, 0 to 15", () => {
    const core = longMode(new FakeCore());
    expect(movToCR(core, 8, 9n)).toBeUndefined();
    expect(core.apic.taskPriorityClass).toBe(9);
    expect(core.execute("44 0f 20 c1")).toBeUndefined();
    expect(core.state.RCX).toBe(9n);
    expect(movToCR(core, 8, 16n)).toBe("#GP(0)");
  });

  it("LMSW sets PE but cannot clear it, SMSW and CLTS read and clear", () => {
    const core = realMode(new FakeCore());
    core.state.RAX = 0xffffn;
    core.execute("0f 01 f0");
    expect(core.state.CR0 & 0xfn).toBe(0xfn);
    core.state.RAX = 0n;
    core.execute("0f 01 f0");
    expect(core.state.CR0 & 0xfn).toBe(1n);
    core.state.CR0 |= CR0.TS;
    core.execute("0f 06");
    expect(core.state.CR0 & CR0.TS).toBe(0n);
    core.execute("0f 01 e1");
    expect(core.state.RCX).toBe(core.state.CR0 & 0xffffn);
  });

  it("privileged instructions are #GP(0) outside CPL 0", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    for (const hex of [
      "0f 22 c0",
      "0f 20 c0",
      "0f 21 c0",
      "0f 23 c0",
      "0f 06",
      "0f 08",
      "0f 09",
      "0f 30",
      "0f 32",
      "f4",
      "0f 01 f0",
      "0f 01 10",
      "0f 00 d0",
      "0f 00 d8",
      "0f 01 38",
    ])
      expect(`${hex}: ${refuses(core, hex)}`).toBe(`${hex}: #GP(0)`);
  });
});

describe("debug registers", () => {
  it("DR4 and DR5 are DR6 and DR7 without CR4.DE, and do not exist with it", () => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = 0xffff_ffffn;
    core.execute("0f 23 e0");
    expect(core.state.DR6).toBe(0xffff_efffn);
    core.state.RAX = 0n;
    core.execute("0f 23 e8");
    expect(core.state.DR7).toBe(0x400n);
    core.state.CR4 = CR4.DE;
    expect(refuses(core, "0f 23 e0")).toBe("#UD");
    expect(refuses(core, "0f 21 e8")).toBe("#UD");
  });

  it("upper halves of DR6 and DR7 must be 0", () => {
    const core = longMode(new FakeCore());
    core.state.RAX = 1n << 32n;
    expect(refuses(core, "0f 23 f0")).toBe("#GP(0)");
    expect(refuses(core, "0f 23 f8")).toBe("#GP(0)");
    expect(core.execute("0f 23 c0")).toBeUndefined();
    expect(core.state.DR0).toBe(1n << 32n);
  });

  it("GD makes every access #DB", () => {
    const core = protectedMode(new FakeCore());
    core.state.DR7 |= 1n << 13n;
    expect(refuses(core, "0f 21 c0")).toBe("#DB");
    expect(refuses(core, "0f 23 c0")).toBe("#DB");
  });
});

describe("descriptor tables", () => {
  it("LGDT and SGDT are a round trip; a 16-bit LGDT loads 24 bits", () => {
    const core = protectedMode(new FakeCore());
    core.state.RBX = 0x5000n;
    core.write16(0x5000, 0x1234);
    core.write32(0x5002, 0x8765_4321);
    core.execute("0f 01 13");
    expect([core.state["GDTR.base"], core.state["GDTR.limit"]]).toEqual([0x8765_4321n, 0x1234]);
    core.execute("66 0f 01 1b");
    expect(core.state["IDTR.base"]).toBe(0x65_4321n);
    core.state.RBX = 0x5100n;
    core.execute("0f 01 03");
    expect([core.read16(0x5100), core.read32(0x5102)]).toEqual([0x1234, 0x8765_4321]);
  });

  it("LGDT of a non-canonical base is #GP(0)", () => {
    const core = longMode(new FakeCore());
    core.state.RBX = 0x5000n;
    core.write64(0x5002, 1n << 47n);
    expect(refuses(core, "0f 01 13")).toBe("#GP(0)");
  });

  it("UMIP keeps them from CPL 3", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    core.state.RBX = 0x5000n;
    const all = ["0f 01 03", "0f 01 0b", "0f 00 c0", "0f 00 c8", "0f 01 e0"];
    for (const hex of all) expect(core.execute(hex)).toBeUndefined();
    core.state.CR4 = CR4.UMIP;
    for (const hex of all) expect(refuses(core, hex)).toBe("#GP(0)");
  });

  it("LLDT and LTR load system segments, 64-bit bases in IA-32e mode", () => {
    const core = longMode(new FakeCore());
    core.state.RAX = BigInt(selector.ldt);
    core.write64(gdtBase + selector.ldt + 8, 0xffff_8000n);
    expect(core.execute("0f 00 d0")).toBeUndefined();
    expect(getSegment(core.state, "LDTR")).toEqual({
      selector: 0x68,
      base: 0xffff_8000_0000_3800n,
      limit: 0x7f,
      access: 0x82,
    });
    core.state.RAX = BigInt(selector.tss);
    setDescriptor(core, selector.tss, descriptor(0x3000, 0x67, 0x89, 0));
    setDescriptor(core, selector.tss + 8, 0n);
    expect(core.execute("0f 00 d8")).toBeUndefined();
    expect([core.state["TR.access"], core.memory.getUint8(gdtBase + selector.tss + 5)]).toEqual([0x8b, 0x8b]);
    expect(refuses(core, "0f 00 d8")).toBe("#GP(28)"); // busy now
  });

  // biome-ignore format: one row per fact
  const refusals: [string, string, number, bigint | undefined, string][] = [
    ["LTR null",              "0f 00 d8", 0, undefined, "#GP(0)"],
    ["LTR with TI",           "0f 00 d8", 0x2c, undefined, "#GP(2c)"],
    ["LTR of the LDT",        "0f 00 d8", selector.ldt, undefined, "#GP(68)"],
    ["LTR of data",           "0f 00 d8", 0x10, undefined, "#GP(10)"],
    ["LTR not present",       "0f 00 d8", 0x80, descriptor(0, 0x67, 0x09, 0), "#NP(80)"],
    ["LLDT with TI",          "0f 00 d0", 0x6c, undefined, "#GP(6c)"],
    ["LLDT of a TSS",         "0f 00 d0", selector.tss, undefined, "#GP(28)"],
    ["LLDT beyond the table", "0f 00 d0", 0x100, undefined, "#GP(100)"],
    ["LLDT not present",      "0f 00 d0", 0x80, descriptor(0, 0x67, 0x02, 0), "#NP(80)"],
  ];
  for (const [what, hex, sel, value, expected] of refusals)
    it(`${what}: ${expected}`, () => {
      const core = protectedMode(new FakeCore());
      if (value) setDescriptor(core, sel, value);
      core.state.RAX = BigInt(sel);
      expect(refuses(core, hex)).toBe(expected);
    });

  it("LLDT null makes the LDT unusable", () => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = 0n;
    core.execute("0f 00 d0");
    expect(core.state["LDTR.access"]).toBe(0x1_0000);
  });
});

describe("ARPL", () => {
  const arpl = (dest: number, src: number): [bigint, boolean] => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = BigInt(dest);
    core.state.RCX = BigInt(src);
    expect(core.execute("63 c8")).toBeUndefined();
    return [core.state.RAX, (core.state.RFLAGS & RFLAGS.ZF) !== 0n];
  };
  it("raises the RPL and reports it in ZF", () => {
    expect(arpl(0x28, 3)).toEqual([0x2bn, true]);
    expect(arpl(0x2b, 1)).toEqual([0x2bn, false]);
  });
});

describe("LAR, LSL, VERR, VERW", () => {
  const ask = (core: FakeCore, hex: string, sel: number): bigint | undefined => {
    core.state.RCX = BigInt(sel);
    core.state.RAX = 0n;
    expect(core.execute(hex)).toBeUndefined();
    return core.state.RFLAGS & RFLAGS.ZF ? core.state.RAX : undefined;
  };
  const [lar, lsl, verr, verw] = ["0f 02 c1", "0f 03 c1", "0f 00 e1", "0f 00 e9"] as const;

  it("tell about descriptors that the program may see", () => {
    const core = protectedMode(new FakeCore());
    expect(ask(core, lar, selector.code0)).toBe(0xc0_9a00n);
    expect(ask(core, lsl, selector.code0)).toBe(0xffff_ffffn);
    expect(ask(core, lar, selector.tss)).toBe(0x8b00n);
    expect(ask(core, lsl, selector.tss)).toBe(0x2ffn);
    expect(ask(core, "66 0f 02 c1", selector.code0)).toBe(0x9a00n);
    expect([verr, verw].map((hex) => ask(core, hex, selector.data0) !== undefined)).toEqual([true, true]);
    expect([verr, verw].map((hex) => ask(core, hex, selector.code0) !== undefined)).toEqual([true, false]);
    expect([lar, lsl, verr, verw].map((hex) => ask(core, hex, 0) ?? ask(core, hex, 0x100))).toEqual(
      Array(4).fill(undefined),
    );
  });

  it("hide what DPL and RPL forbid, conforming code never", () => {
    const core = protectedMode(new FakeCore());
    expect(ask(core, lar, selector.data0 | 3)).toBeUndefined();
    atLevel(core, 3);
    expect(ask(core, lar, selector.data0)).toBeUndefined();
    expect(ask(core, lar, selector.conforming)).toBe(0xc0_9e00n);
    expect(ask(core, verr, selector.conforming)).toBeDefined();
  });

  it("know fewer system types in IA-32e mode", () => {
    const visible = (core: FakeCore, hex: string): number[] =>
      Array.from({ length: 16 }, (_, type) => type).filter((type) => {
        setDescriptor(core, 0x80, descriptor(0, 0xfff, 0x80 | type, 0));
        setDescriptor(core, 0x88, 0n);
        return ask(core, hex, 0x80) !== undefined;
      });
    expect(visible(protectedMode(new FakeCore()), lar)).toEqual([1, 2, 3, 4, 5, 9, 11, 12]);
    expect(visible(protectedMode(new FakeCore()), lsl)).toEqual([1, 2, 3, 9, 11]);
    expect(visible(longMode(new FakeCore()), lar)).toEqual([2, 9, 11, 12]);
    expect(visible(longMode(new FakeCore()), lsl)).toEqual([2, 9, 11]);
  });

  it("leave the destination alone when ZF is cleared", () => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = 0x1234_5678n;
    core.state.RCX = 0n;
    core.execute(lar);
    expect(core.state.RAX).toBe(0x1234_5678n);
  });
});

describe("translations", () => {
  it("INVLPG names the linear page, and ignores what is not canonical", () => {
    const core = longMode(new FakeCore());
    core.state.RBX = 0xffff_8000_1234_5678n;
    core.execute("0f 01 3b");
    core.state.RBX = 1n << 47n;
    core.execute("0f 01 3b");
    expect(core.invalidations).toEqual([{ kind: "page", address: 0xffff_8000_1234_5678n }]);
  });

  it("INVPCID has four types", () => {
    const core = longMode(new FakeCore());
    core.state.CR4 |= CR4.PCIDE;
    core.state.RBX = 0x5000n;
    const go = (type: bigint, pcid: bigint, address = 0n): string | undefined => {
      core.state.RAX = type;
      core.write64(0x5000, pcid);
      core.write64(0x5008, address);
      return core.execute("66 0f 38 82 03");
    };
    for (const type of [0n, 1n, 2n, 3n]) expect(go(type, 7n, 0x1234n)).toBeUndefined();
    expect(core.invalidations).toEqual([
      { kind: "page", address: 0x1234n, pcid: 7 },
      { kind: "pcid", pcid: 7 },
      { kind: "all" },
      { kind: "non-global" },
    ]);
    expect(go(4n, 0n)).toBe("#GP(0)");
    expect(go(1n, 0x1000n)).toBe("#GP(0)");
    expect(go(0n, 0n, 1n << 47n)).toBe("#GP(0)");
    core.state.CR4 &= ~CR4.PCIDE;
    expect(go(1n, 1n)).toBe("#GP(0)");
    expect(go(1n, 0n)).toBeUndefined();
  });
});

describe("fast system calls", () => {
  it("SYSCALL and SYSRET change between flat segments", () => {
    const core = longMode(new FakeCore());
    const { state } = core;
    atUser64(core);
    Object.assign(state, {
      IA32_STAR: 0x0033_0010_0000_0000n,
      IA32_LSTAR: 0xffff_ffff_8000_0000n,
      IA32_FMASK: 0x4_7700n,
    });
    state.RFLAGS |= RFLAGS.TF | RFLAGS.CF | RFLAGS.RF;
    expect(core.execute("0f 05")).toBeUndefined();
    expect([state.RIP, state.RCX, state.R11, state.RFLAGS]).toEqual([
      0xffff_ffff_8000_0000n,
      0x1_0002n,
      0x303n,
      3n,
    ]);
    expect(getSegment(state, "CS")).toEqual({ selector: 0x10, base: 0n, limit: 0xffff_ffff, access: 0xa09b });
    expect(getSegment(state, "SS")).toEqual({ selector: 0x18, base: 0n, limit: 0xffff_ffff, access: 0xc093 });
    state.R11 = 0xffff_ffffn;
    expect(core.execute("48 0f 07")).toBeUndefined();
    expect([state.RIP, state.RFLAGS]).toEqual([0x1_0002n, 0x3c_7fd7n]);
    expect([state["CS.selector"], state["CS.access"], state["SS.selector"], state["SS.access"]]).toEqual([
      0x43, 0xa0fb, 0x3b, 0xc0f3,
    ]);
  });

  it("SYSRET with a non-canonical RCX is #GP(0) at CPL 0, a 32-bit one truncates", () => {
    const core = longMode(new FakeCore());
    core.state.RCX = 0x8000_0000_1234n;
    expect(refuses(core, "48 0f 07")).toBe("#GP(0)");
    expect(core.execute("0f 07")).toBeUndefined();
    expect([core.state.RIP, core.state["CS.access"]]).toEqual([0x1234n, 0xc0fb]);
  });

  it("both are #UD while SCE is clear", () => {
    const core = longMode(new FakeCore());
    core.state.IA32_EFER &= ~IA32_EFER.SCE;
    expect(refuses(core, "0f 05")).toBe("#UD");
    expect(refuses(core, "48 0f 07")).toBe("#UD");
  });

  it("SYSENTER and SYSEXIT go by IA32_SYSENTER_CS", () => {
    const core = protectedMode(new FakeCore());
    const { state } = core;
    expect(refuses(core, "0f 34")).toBe("#GP(0)");
    Object.assign(state, {
      IA32_SYSENTER_CS: 0x60n,
      IA32_SYSENTER_ESP: 0x1_0000_7000n,
      IA32_SYSENTER_EIP: 0x4444n,
    });
    atLevel(core, 3);
    expect(core.execute("0f 34")).toBeUndefined();
    expect([state.RIP, state.RSP, state["CS.selector"], state["SS.selector"], state["CS.access"]]).toEqual([
      0x4444n,
      0x7000n,
      0x60,
      0x68,
      0xc09b,
    ]);
    expect(state.RFLAGS & RFLAGS.IF).toBe(0n);
    state.RCX = 0x6000n;
    state.RDX = 0x5555n;
    expect(core.execute("0f 35")).toBeUndefined();
    expect([state.RIP, state.RSP, state["CS.selector"], state["SS.selector"]]).toEqual([
      0x5555n,
      0x6000n,
      0x73,
      0x7b,
    ]);
    expect(refuses(core, "0f 35")).toBe("#GP(0)"); // CPL 3
  });
});

describe("waiting", () => {
  it("HLT stops after the instruction", () => {
    const core = protectedMode(new FakeCore());
    core.execute("f4");
    expect([core.state.activity, core.state.RIP]).toEqual([1, 0x1_0001n]);
  });

  it("MWAIT waits only behind an armed MONITOR", () => {
    const core = protectedMode(new FakeCore());
    core.state.RAX = 0x5000n;
    core.execute("0f 01 c9");
    expect(core.state.activity).toBe(0);
    core.execute("0f 01 c8");
    core.state.RCX = 1n;
    core.execute("0f 01 c9");
    expect([core.state.activity, core.state["MONITOR.armed"], core.state["MONITOR.address"]]).toEqual([
      1,
      6,
      0x5000n,
    ]);
  });

  it("both are #UD outside CPL 0, and #GP(0) for unknown extensions", () => {
    const core = protectedMode(new FakeCore());
    core.state.RCX = 2n;
    expect([refuses(core, "0f 01 c8"), refuses(core, "0f 01 c9")]).toEqual(["#GP(0)", "#GP(0)"]);
    atLevel(core, 3);
    expect([refuses(core, "0f 01 c8"), refuses(core, "0f 01 c9")]).toEqual(["#UD", "#UD"]);
  });
});

describe("counters and random numbers", () => {
  it("RDTSC adds what software wrote; TSD keeps it from CPL 3", () => {
    const core = protectedMode(new FakeCore());
    core.ticks = 0x1_0000_0005n;
    core.state.tscOffset = 0x10n;
    core.state.IA32_TSC_AUX = 7n;
    core.execute("0f 01 f9");
    expect([core.state.RDX, core.state.RAX, core.state.RCX]).toEqual([1n, 0x15n, 7n]);
    core.state.CR4 = CR4.TSD;
    expect(core.execute("0f 31")).toBeUndefined();
    atLevel(core, 3);
    expect([refuses(core, "0f 31"), refuses(core, "0f 01 f9"), refuses(core, "0f 33")]).toEqual([
      "#GP(0)",
      "#GP(0)",
      "#GP(0)",
    ]);
    expect(refuses(virtual8086(core, 3), "0f 31")).toBe("#GP(0)");
  });

  it("RDRAND fills the register and sets CF alone", () => {
    const core = longMode(new FakeCore());
    core.state.RAX = 0xffff_ffff_ffff_ffffn;
    core.state.RFLAGS |= RFLAGS.OF | RFLAGS.ZF;
    core.execute("0f c7 f0");
    expect([core.state.RAX, core.state.RFLAGS]).toEqual([0x5566_7788n, 0x203n]);
    core.execute("48 0f c7 f8");
    expect(core.state.RAX).toBe(0x1122_3344_5566_7788n);
  });
});

describe("XGETBV and XSETBV", () => {
  it("need OSXSAVE; XCR0 keeps x87 and only what the model has", () => {
    const core = longMode(new FakeCore());
    const set = (value: bigint): string | undefined => {
      core.state.RAX = value;
      core.state.RDX = 0n;
      return refuses(core, "0f 01 d1");
    };
    expect(set(3n)).toBe("#UD");
    core.state.CR4 |= CR4.OSXSAVE;
    expect([set(0n), set(2n), set(7n), set(9n)]).toEqual(["#GP(0)", "#GP(0)", "#GP(0)", "#GP(0)"]);
    expect(set(3n)).toBeUndefined();
    expect(core.state.XCR0).toBe(3n);
    core.state.RAX = 0n;
    expect(core.execute("0f 01 d0")).toBeUndefined();
    expect(core.state.RAX).toBe(3n);
    core.state.RCX = 2n;
    expect(refuses(core, "0f 01 d0")).toBe("#GP(0)");
    core.state.RCX = 1n;
    core.state.bytes("XMM3")[7] = 1;
    core.state.FCW = 0x37f;
    core.state.FTW = 0xffff;
    expect(core.execute("0f 01 d0")).toBeUndefined();
    expect(core.state.RAX).toBe(2n);
  });

  it("XSETBV is #GP(0) outside CPL 0", () => {
    const core = longMode(new FakeCore());
    core.state.CR4 |= CR4.OSXSAVE;
    atUser64(core);
    core.state.RAX = 3n;
    expect(refuses(core, "0f 01 d1")).toBe("#GP(0)");
  });
});

describe("ENTER", () => {
  it("makes a frame, with the display of the enclosing procedures", () => {
    const core = protectedMode(new FakeCore());
    core.state.RBP = 0x9100n;
    core.write32(0x90fc, 0xaaaa);
    core.write32(0x90f8, 0xbbbb);
    expect(core.execute("c8 10 00 03")).toBeUndefined();
    expect([core.state.RBP, core.state.RSP]).toEqual([0x8ffcn, 0x8fe0n]);
    expect([0x8ffc, 0x8ff8, 0x8ff4, 0x8ff0].map((at) => core.read32(at))).toEqual([
      0x9100, 0xaaaa, 0xbbbb, 0x8ffc,
    ]);
  });

  it("faults without a change when the stack ends", () => {
    const core = protectedMode(new FakeCore());
    setSegment(core.state, "SS", { selector: 0x10, base: 0n, limit: 0xfff, access: 0x4093 });
    core.state.RSP = 0x20n;
    expect(refuses(core, "c8 40 00 00")).toBe("#SS(0)");
    expect(core.execute("c8 10 00 00")).toBeUndefined();
  });
});
