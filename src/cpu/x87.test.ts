import { beforeEach, describe, expect, it } from "vitest";
import { CR0 } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { ModelOptions } from "./cpu-model.ts";
import {
  atUser64,
  FakeCore,
  longMode,
  pml4,
  protectedMode,
  realMode,
  virtual8086,
} from "./fake-core.fixture.ts";
import { setSegment } from "./segmentation.ts";
import { readST, writeST } from "./x87-stack.ts";

const ONE = 0x3fff_8000_0000_0000_0000n;
const TWO = 0x4000_8000_0000_0000_0000n;
const SNAN = 0x7fff_a000_0000_0000_0000n;
const INDEFINITE = 0xffff_c000_0000_0000_0000n;
const CODE = 0x1_0000n;
const OPERAND = 0x1_2000;

/** Masks all but the invalid operation. */
const unmaskedIE = 0x37e;

let core: FakeCore;

/** Instructions in hexadecimal, each at the same RIP; the fault of the last. */
const run = (...code: readonly string[]): string | undefined => {
  let fault: string | undefined;
  for (const hex of code) {
    const bytes = Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));
    core.state.RIP = CODE;
    const at = Number(core.state["CS.base"] + CODE) & 0x1f_ffff;
    new Uint8Array(core.memory.buffer).set(bytes, at);
    fault = core.execute(hex);
  }
  return fault;
};

/** All registers, at the RIP of every instruction here. */
const registersNow = (): string => {
  core.state.RIP = CODE;
  return core.state.architectural().join();
};

const start = (options: ModelOptions = {}): void => {
  core = longMode(new FakeCore("default", options));
  core.state.RBX = BigInt(OPERAND);
  run("dbe3"); // FNINIT
};

beforeEach(() => start());

describe("a pending x87 exception", () => {
  beforeEach(() => {
    core.state.FCW = unmaskedIE;
    expect(run("d9e0")).toBeUndefined(); // FCHS of an empty register
    expect(core.state.FSW).toBe(0x80c1);
  });

  it.each([
    ["FLD1", "d9e8"],
    ["FNOP", "d9d0"],
    ["FWAIT", "9b"],
    ["FLDCW", "d92b"],
    ["FLDENV", "d923"],
    ["FRSTOR", "dd23"],
  ])("is raised by %s, which does nothing else", (_, code) => {
    const before = registersNow();
    expect(run(code)).toBe("#16");
    expect(registersNow()).toBe(before);
  });

  it.each([
    ["FNSTSW", "dfe0"],
    ["FNSTCW", "d93b"],
    ["FNSTENV", "d933"],
    ["FNSAVE", "dd33"],
    ["FNINIT", "dbe3"],
    ["FNCLEX", "dbe2"],
    ["FNENI", "dbe0"],
    ["FNDISI", "dbe1"],
    ["FNSETPM", "dbe4"],
  ])("is not looked at by %s", (_, code) => {
    expect(run(code)).toBeUndefined();
  });

  it("comes before a page fault of the operand", () => {
    core.state.RBX = 0x7fff_0000_0000n;
    expect(run("d903")).toBe("#16");
  });

  it("is gone after FNCLEX", () => {
    expect(run("dbe2", "d9e8")).toBeUndefined();
    expect(core.state.FSW).toBe(0x3800);
  });

  it("is ignored with CR0.NE = 0, as with IGNNE# asserted", () => {
    core.state.CR0 &= ~CR0.NE;
    expect(run("d9e8")).toBeUndefined();
    expect(core.state.FSW).toBe(0xb8c1);
  });

  it("appears when its mask is cleared", () => {
    run("dbe3", "d9e0");
    expect(core.state.FSW).toBe(0x41);
    core.write16(OPERAND, unmaskedIE);
    expect(run("d92b")).toBeUndefined();
    expect(core.state.FSW).toBe(0x80c1);
    expect(run("d9d0")).toBe("#16");
  });
});

describe("memory operands", () => {
  it("fault before the stack is looked at, and leave everything as it was", () => {
    for (let n = 0; n < 8; n++) run("d9e8");
    core.state.RBX = 0x40_0000n;
    const before = registersNow();
    expect(run("d903")).toBe("#PF(0)");
    expect(registersNow()).toBe(before);
  });

  it("are not touched by a store that an unmasked exception withholds", () => {
    core.state.FCW = unmaskedIE;
    core.state.RBX = 0x40_0000n;
    expect(run("d91b")).toBeUndefined(); // FSTP of an empty register
    expect(core.state.FSW).toBe(0x80c1);
    expect(core.state.FDP).toBe(0x40_0000n);
    core.state.FCW = 0x37f;
    core.state.FSW = 0;
    expect(run("d91b")).toBe("#PF(2)");
    expect(core.state.FSW).toBe(0);
  });

  it("are pushed, and popped, only after the store has succeeded", () => {
    core.write64(pml4 + 0x2000, 0xe5n); // read-only
    core.state.CR0 |= CR0.WP;
    run("d9e8");
    const before = registersNow();
    for (const code of ["d91b", "db3b", "df33", "df3b", "dd1b", "dd0b"]) expect(run(code)).toBe("#PF(3)");
    expect(registersNow()).toBe(before);
  });

  it("of 80 bits cross pages", () => {
    core.write64(pml4 + 0x2000, BigInt(pml4 + 0x3000) | 7n);
    for (const [page, frame] of [
      [0x10, 0x10],
      [0x20, 0x28],
      [0x21, 0x18],
    ] as const)
      core.write64(pml4 + 0x3000 + 8 * page, BigInt(frame << 12) | 7n);
    core.state.RBX = 0x2_0ffan;
    run("d9eb", "db3b"); // FLDPI, FSTP m80
    expect(core.read32(0x2_8ffa)).toBe(0x2168_c235);
    expect(core.read32(0x1_8000)).toBe(0x4000_c90f);
    run("db2b");
    expect(readST(core.state, 0)).toBe(0x4000_c90f_daa2_2168_c235n);
  });

  it("are aligned where alignment is checked: images to their fields, 80 bits to eight bytes", () => {
    atUser64(core);
    core.state.CR0 |= CR0.AM;
    core.state.RFLAGS |= RFLAGS.AC;
    const faults = (code: string, offsets: readonly number[]): (string | undefined)[] =>
      offsets.map((offset) => {
        core.state.RBX = BigInt(OPERAND + offset);
        return run(code);
      });
    expect(faults("db2b", [4, 8])).toEqual(["#AC(0)", undefined]);
    expect(faults("d903", [2, 4])).toEqual(["#AC(0)", undefined]);
    expect(faults("d933", [2, 4])).toEqual(["#AC(0)", undefined]);
    expect(faults("66d933", [1, 2])).toEqual(["#AC(0)", undefined]);
    expect(faults("dd33", [2, 4])).toEqual(["#AC(0)", undefined]);
    core.state.FCW = unmaskedIE;
    expect(faults("d91b", [1])).toEqual([undefined]); // nothing is stored
  });
});

describe("the last-instruction pointers", () => {
  it("follow every instruction but control instructions; FOP only unmasked exceptions", () => {
    run("d9e8");
    expect(core.state.FIP).toBe(CODE);
    core.state.FIP = 0n;
    run("dfe0", "d93b", "d92b", "dbe2", "9b");
    expect(core.state.FIP).toBe(0n);
    expect(core.state.FOP).toBe(0);
    core.state.FCW = unmaskedIE;
    core.write32(OPERAND, 0x7fa0_0000); // SNaN
    run("67d903");
    expect(core.state.FOP).toBe(0x103);
    expect(core.state.FDP).toBe(BigInt(OPERAND));
  });

  it("FOP follows every instruction in fopcode compatibility mode", () => {
    core.state.IA32_MISC_ENABLE |= 4n;
    run("d9e8");
    expect(core.state.FOP).toBe(0x1e8);
    run("2ed803");
    expect(core.state.FOP).toBe(0x003);
  });

  it("FDP follows every memory operand of processors without FDP_EXCPTN_ONLY", () => {
    run("d903");
    expect(core.state.FDP).toBe(0n);
    start({ minus: ["FDP_EXCPTN_ONLY"] });
    run("d903", "d9e8");
    expect(core.state.FDP).toBe(BigInt(OPERAND));
    run("dd3b"); // FNSTSW m16
    expect(core.state.FDP).toBe(BigInt(OPERAND));
  });

  it("have selectors on processors that still save them", () => {
    start({ minus: ["FDP_EXCPTN_ONLY", "FCS_FDS_DEPRECATED"] });
    protectedMode(core);
    core.state.RBX = BigInt(OPERAND);
    run("d903", "d933");
    expect(core.read32(OPERAND + 12)).toBe(Number(CODE));
    expect(core.read32(OPERAND + 16)).toBe(core.state["CS.selector"]);
    expect(core.read32(OPERAND + 20)).toBe(OPERAND);
    expect(core.read32(OPERAND + 24) >>> 0).toBe((0xffff_0000 | core.state["DS.selector"]) >>> 0);
  });
});

describe("environments in memory", () => {
  const pointers = (): void => {
    const { state } = core;
    state.FIP = 0x1_2345n;
    state.FDP = 0x6_789an;
    state.FCS = 0x100;
    state.FDS = 0x200;
    state.FOP = 0x5a5;
    writeST(state, 0, 0n);
  };
  const words = (count: number): string[] =>
    Array.from({ length: count }, (_, n) => core.read16(core.state.RBX ? 0x3_0000 + 2 * n : 0).toString(16));

  it.each([
    ["real-address mode", () => realMode((core = new FakeCore()))],
    ["virtual-8086 mode", () => virtual8086(core, 3)],
  ])("hold linear addresses in %s", (_, enter) => {
    enter();
    run("dbe3");
    setSegment(core.state, "DS", { selector: 0x3000, base: 0x3_0000n, limit: 0xffff, access: 0xf3 });
    pointers();
    core.state.RBX = 0x40n;
    const read = (count: number): string[] =>
      Array.from({ length: count }, (_, n) => core.read16(0x3_0040 + 2 * n).toString(16));
    // FNSTENV [BX]: IP = 100H * 16 + 12345H, DP = 200H * 16 + 6789AH
    run("d937");
    expect(read(7)).toEqual(["37f", "0", "fffd", "3345", "15a5", "989a", "6000"]);
    run("66d937");
    expect(read(14)).toEqual([
      "37f",
      "ffff",
      "0",
      "ffff",
      "fffd",
      "ffff",
      "3345",
      "ffff",
      "15a5",
      "0",
      "989a",
      "ffff",
      "6000",
      "0",
    ]);
    run("d9ee", "66d927"); // FLDZ, FLDENV
    expect([core.state.FIP, core.state.FDP, core.state.FOP, core.state.FTW]).toEqual([
      0x1_3345n,
      0x6_989an,
      0x5a5,
      0xfffc,
    ]);
    run("d937", "d9ee", "d927");
    expect([core.state.FIP, core.state.FDP, core.state.FOP]).toEqual([0x1_3345n, 0x6_989an, 0x5a5]);
  });

  it("hold offsets and selectors in protected mode", () => {
    protectedMode(core);
    pointers();
    core.state.RBX = 0x3_0000n;
    run("66d933");
    expect(words(7)).toEqual(["37f", "0", "fffd", "2345", "100", "789a", "200"]);
    run("d933");
    expect(words(14)).toEqual([
      "37f",
      "ffff",
      "0",
      "ffff",
      "fffd",
      "ffff",
      "2345",
      "1",
      "100",
      "5a5",
      "789a",
      "6",
      "200",
      "ffff",
    ]);
  });

  it("give back all of the state by FRSTOR that FNSAVE took, and leave an initialised unit", () => {
    run("d9eb", "d9e8", "d9ee", "d9f6"); // FLDPI, FLD1, FLDZ, FDECSTP
    core.state.FCW = 0x27f;
    const registers = (): bigint[] => Array.from({ length: 8 }, (_, i) => readST(core.state, i));
    const before = [core.state.FCW, core.state.FSW, core.state.FTW, ...registers()];
    run("dd33");
    expect([core.state.FCW, core.state.FSW, core.state.FTW, core.state.FIP]).toEqual([0x37f, 0, 0xffff, 0n]);
    run("d9e8", "dd23");
    expect([core.state.FCW, core.state.FSW, core.state.FTW, ...registers()]).toEqual(before);
  });

  it("leave all exceptions masked after FNSTENV", () => {
    core.state.FCW = 0x340;
    run("d9e0", "d933");
    expect(core.read16(OPERAND + 4)).toBe(0x80c1);
    expect([core.state.FCW, core.state.FSW]).toEqual([0x37f, 0x41]);
  });

  it("fault as a whole: nothing is written beyond a limit", () => {
    realMode(core);
    setSegment(core.state, "DS", { selector: 0x3000, base: 0x3_0000n, limit: 0xffff, access: 0x93 });
    core.state.RBX = 0xfff8n;
    core.written.length = 0;
    expect(run("d937")).toBe("#GP(0)");
    expect(core.written).toEqual([]);
  });
});

describe("the register stack", () => {
  it("delivers the indefinite for an empty register, and reports a stack fault", () => {
    run("d9e8", "d8c1"); // FADD ST(0), ST(1)
    expect(readST(core.state, 0)).toBe(INDEFINITE);
    expect(core.state.FSW).toBe(0x3841);
  });

  it("overflows when eight registers are in use", () => {
    for (let n = 0; n < 9; n++) run("d9e8");
    expect(readST(core.state, 0)).toBe(INDEFINITE);
    expect(core.state.FSW).toBe(0x3a41);
  });

  it("keeps operands when an unmasked exception withholds the result", () => {
    run("d9e8");
    writeST(core.state, 1, SNAN);
    core.state.FCW = unmaskedIE;
    run("dec1"); // FADDP
    expect([readST(core.state, 0), readST(core.state, 1)]).toEqual([ONE, SNAN]);
    expect(core.state.FSW).toBe(0xb881);
  });

  it("computes with an operand in the given order, and pops", () => {
    run("d9e8");
    core.write16(OPERAND, 3);
    run("df03"); // FILD m16
    run("dee9"); // FSUBP ST(1), ST(0)
    expect(readST(core.state, 0)).toBe(TWO | (1n << 79n));
    expect(core.state.FTW).toBe(0x3fff);
  });

  it("advances past the instruction", () => {
    run("d9e8");
    expect(core.state.RIP).toBe(CODE + 2n);
    run("9b");
    expect(core.state.RIP).toBe(CODE + 1n);
  });
});
