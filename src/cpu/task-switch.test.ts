import { describe, expect, it } from "vitest";
import { CR0 } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import { Fault } from "./core.ts";
import { takePendingDebug } from "./debug-registers.ts";
import { deliver, deliverFault } from "./exceptions.ts";
import {
  descriptor, FakeCore, gate, gdtBase, idtBase, protectedMode, selector, setDescriptor, snapshot, tssBase,
} from "./fake-core.fixture.ts"; // biome-ignore format: one list

const other = 0x80;
const otherTss = 0x4000;

/** A second task, TSS at 0x4000, running flat at CPL 0 from 0x2_0000. */
const twoTasks = () => {
  const core = protectedMode(new FakeCore());
  setDescriptor(core, other, descriptor(otherTss, 0x67, 0x89, 0));
  const set = (at: number, value: number): void => core.write32(otherTss + at, value);
  set(28, 0x10_0000); // CR3
  set(32, 0x2_0000); // EIP
  set(36, 0x202); // EFLAGS
  for (let n = 0; n < 8; n++) set(40 + 4 * n, 0x1111_1111 * (n + 1));
  for (const [n, sel] of [0x10, 0x08, 0x10, 0x10, 0, 0].entries()) set(72 + 4 * n, sel);
  return { core, state: core.state, set };
};
const busy = (core: FakeCore, sel: number): boolean => (core.memory.getUint8(gdtBase + sel + 5) & 2) !== 0;
const jmp = "ea 00 00 00 00 80 00";
const call = "9a 00 00 00 00 80 00";

describe("a task switch by JMP", () => {
  it("saves the old task, loads the new one and moves the busy bit", () => {
    const { core, state } = twoTasks();
    state.RCX = 0x1234n;
    expect(core.execute(jmp)).toBeUndefined();
    expect([state.RIP, state.RFLAGS, state.RAX, state.RDI]).toEqual([
      0x2_0000n,
      0x202n,
      0x1111_1111n,
      0x8888_8888n,
    ]);
    expect([state["TR.selector"], state["TR.base"], state["TR.access"] & 0xf]).toEqual([
      other,
      BigInt(otherTss),
      11,
    ]);
    expect([busy(core, selector.tss), busy(core, other)]).toEqual([false, true]);
    expect([core.read32(tssBase + 32), core.read32(tssBase + 36), core.read32(tssBase + 44)]).toEqual([
      0x1_0007, 0x202, 0x1234,
    ]);
    expect([72, 76, 80].map((at) => core.read32(tssBase + at))).toEqual([0x10, 8, 0x10]);
    expect(state.CR0 & CR0.TS).toBe(CR0.TS);
    expect(state["FS.access"]).toBe(0x1_0000);
  });

  it("loads CR3 only with paging", () => {
    const { core, state } = twoTasks();
    core.execute(jmp);
    expect(state.CR3).toBe(0n);
  });

  it("clears the local breakpoint enables", () => {
    const { core, state } = twoTasks();
    state.DR7 = 0x7ffn;
    core.execute(jmp);
    expect(state.DR7).toBe(0x6aan);
  });

  it("traps after the switch when the new TSS has T", () => {
    const { core, state, set } = twoTasks();
    set(100, 1);
    expect(core.execute(jmp)).toBeUndefined();
    expect(takePendingDebug(state)).toMatchObject({ vector: 1, payload: 0x8000n });
    expect(takePendingDebug(state)).toBeUndefined();
  });

  // biome-ignore format: one row per fact
  const early: [string, (t: ReturnType<typeof twoTasks>) => void, string][] = [
    ["a TSS that is not present", ({ core }) => setDescriptor(core, other, descriptor(otherTss, 0x67, 0x09, 0)), "#NP(80)"],
    ["a TSS that is busy",        ({ core }) => setDescriptor(core, other, descriptor(otherTss, 0x67, 0x8b, 0)), "#GP(80)"],
    ["a TSS that is too small",   ({ core }) => setDescriptor(core, other, descriptor(otherTss, 0x66, 0x89, 0)), "#TS(80)"],
    ["a 16-bit TSS too small",    ({ core }) => setDescriptor(core, other, descriptor(otherTss, 0x2a, 0x81, 0)), "#TS(80)"],
  ];
  for (const [what, set, expected] of early)
    it(`to ${what}: ${expected}, in the old task`, () => {
      const tasks = twoTasks();
      set(tasks);
      const before = snapshot(tasks.core);
      expect(tasks.core.execute(jmp)).toBe(expected);
      expect(snapshot(tasks.core)).toEqual(before);
      expect(busy(tasks.core, selector.tss)).toBe(true);
    });

  // biome-ignore format: one row per fact
  const late: [string, (t: ReturnType<typeof twoTasks>) => void, string][] = [
    ["an LDT selector with TI",     ({ set }) => set(96, 0x0c), "#TS(c)"],
    ["an LDT selector of data",     ({ set }) => set(96, 0x10), "#TS(10)"],
    ["a null SS",                   ({ set }) => set(80, 0), "#TS(0)"],
    ["SS beyond the table",         ({ set }) => set(80, 0x100), "#TS(100)"],
    ["SS of the wrong level",       ({ set }) => set(80, 0x23), "#TS(20)"],
    ["SS that is not present",      ({ core, set }) => { setDescriptor(core, 0x88, descriptor(0, 0xf_ffff, 0x12, 0xc)); set(80, 0x88); }, "#SS(88)"],
    ["CS of data",                  ({ set }) => set(76, 0x10), "#TS(10)"],
    ["CS that is not present",      ({ core, set }) => { setDescriptor(core, 0x88, descriptor(0, 0xf_ffff, 0x1a, 0xc)); set(76, 0x88); }, "#NP(88)"],
    ["DS of a system segment",      ({ set }) => set(84, selector.tss), "#TS(28)"],
    ["ES that is not present",      ({ core, set }) => { setDescriptor(core, 0x88, descriptor(0, 0xf_ffff, 0x12, 0xc)); set(72, 0x88); }, "#NP(88)"],
    ["EIP beyond the limit of CS",  ({ set }) => { set(76, selector.code16); }, "#GP(0)"],
  ];
  for (const [what, set, expected] of late)
    it(`with ${what}: ${expected}, in the new task`, () => {
      const tasks = twoTasks();
      set(tasks);
      expect(tasks.core.execute(jmp)).toBe(expected);
      expect([tasks.state["TR.selector"], tasks.state.RIP]).toEqual([other, 0x2_0000n]);
    });
});

describe("nested tasks", () => {
  it("CALL links the tasks, IRET goes back", () => {
    const { core, state } = twoTasks();
    expect(core.execute(call)).toBeUndefined();
    expect(state.RFLAGS & RFLAGS.NT).toBe(RFLAGS.NT);
    expect(core.read16(otherTss)).toBe(selector.tss);
    expect([busy(core, selector.tss), busy(core, other)]).toEqual([true, true]);
    expect(core.execute("cf")).toBeUndefined();
    expect([state["TR.selector"], state.RIP, state.RFLAGS & RFLAGS.NT]).toEqual([
      selector.tss,
      0x1_0007n,
      0n,
    ]);
    expect([busy(core, selector.tss), busy(core, other)]).toEqual([true, false]);
    expect([core.read32(otherTss + 32), core.read32(otherTss + 36)]).toEqual([0x2_0001, 0x202]);
  });

  it("IRET refuses a link that is no busy TSS", () => {
    const { core, state } = twoTasks();
    core.execute(call);
    core.write16(otherTss, other | 4);
    expect(core.execute("cf")).toBe("#TS(84)");
    core.write16(otherTss, 0x10);
    expect(core.execute("cf")).toBe("#TS(10)");
    setDescriptor(core, 0x88, descriptor(tssBase, 0x67, 0x89, 0));
    core.write16(otherTss, 0x88);
    expect(core.execute("cf")).toBe("#TS(88)");
    expect(state["TR.selector"]).toBe(other);
  });

  it("a task gate for an exception pushes the error code on the new stack", () => {
    const { core, state } = twoTasks();
    core.write64(idtBase + 8 * 10, gate(other, 0, 0x85));
    core.write32(otherTss + 56, 0x7000); // ESP
    deliverFault(core, new Fault(10, 0x28));
    expect([state.RIP, state.RSP, core.read32(0x6ffc)]).toEqual([0x2_0000n, 0x6ffcn, 0x28]);
    expect([core.read32(tssBase + 32), core.read32(tssBase + 36)]).toEqual([0x1_0000, 0x1_0202]); // RF: it was a fault
  });

  it("a fault in the new task names EXT when an interrupt caused the switch", () => {
    const { core, state, set } = twoTasks();
    core.write64(idtBase + 8 * 0x40, gate(other, 0, 0x85));
    core.write64(idtBase + 8 * 10, gate(selector.code0, 0xaaaa, 0x8e));
    set(56, 0x7000);
    set(84, selector.tss);
    deliver(core, { type: "external interrupt", vector: 0x40 });
    expect([state["TR.selector"], state.RIP, core.read32(Number(state.RSP))]).toEqual([other, 0xaaaan, 0x29]);
  });
});

describe("16-bit tasks", () => {
  it("are loaded with 16-bit registers and without FS and GS", () => {
    const { core, state } = twoTasks();
    setDescriptor(core, other, descriptor(otherTss, 0x2b, 0x81, 0));
    const words = [0x20, 0x202, 1, 2, 3, 4, 0x500, 6, 7, 8, 0x58, selector.code16, 0x58, 0x58, 0];
    for (const [n, value] of words.entries()) core.write16(otherTss + 14 + 2 * n, value);
    expect(core.execute(jmp)).toBeUndefined();
    expect([state.RIP, state.RAX, state.RSP, state["SS.selector"], state["FS.access"]]).toEqual([
      0x20n,
      1n,
      0x500n,
      0x58,
      0x1_0000,
    ]);
    expect(state["TR.access"] & 0xf).toBe(3);
  });
});

describe("a switch to a virtual-8086 task", () => {
  it("loads paragraphs", () => {
    const { core, state, set } = twoTasks();
    set(36, 0x2_3202);
    set(32, 0x100);
    for (let n = 0; n < 6; n++) set(72 + 4 * n, 0x1000 * (n + 1));
    expect(core.execute(jmp)).toBeUndefined();
    expect([state["CS.base"], state["SS.base"], state["GS.base"], state["SS.access"]]).toEqual([
      0x2_0000n,
      0x3_0000n,
      0x6_0000n,
      0xf3,
    ]);
  });
});
