import { describe, expect, it } from "vitest";
import { CR4 } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import {
  atLevel,
  FakeCore,
  longMode,
  protectedMode,
  realMode,
  snapshot,
  tssBase,
  virtual8086,
} from "./fake-core.fixture.ts";

/** The port of OUT DX, AL; I/O map at 0x68 of the TSS. */
const map = tssBase + 104;

describe("IN and OUT", () => {
  it("transfer 1, 2 and 4 bytes; IN EAX clears the upper half", () => {
    const core = longMode(new FakeCore());
    core.portValue = 0x8765_4321;
    core.state.RAX = 0xffff_ffff_ffff_ffffn;
    core.state.RDX = 0xffff_1234n;
    core.execute("ed");
    expect(core.state.RAX).toBe(0x8765_4321n);
    core.portValue = 0x11;
    core.execute("e4 80");
    expect(core.state.RAX).toBe(0x8765_4311n);
    core.execute("66 ef");
    expect(core.portLog).toEqual(["in 1234.4", "in 80.1", "out 1234.2 4311"]);
  });

  it("are free in real mode and up to IOPL", () => {
    const core = realMode(new FakeCore());
    expect(core.execute("ee")).toBeUndefined();
    protectedMode(core);
    expect(core.execute("ee")).toBeUndefined();
    atLevel(core, 3);
    core.state.RFLAGS |= RFLAGS.IOPL;
    expect(core.execute("ee")).toBeUndefined();
  });

  it("above IOPL need clear bits for every byte in the map", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    core.state.RDX = 0x17n;
    const out = (hex: string) => core.execute(hex);
    core.memory.setUint8(map + 2, 0x7f); // port 17H free
    core.memory.setUint8(map + 3, 0x00);
    expect(out("ee")).toBeUndefined();
    expect(out("ef")).toBeUndefined();
    core.memory.setUint8(map + 3, 0x04); // 1AH is not
    expect(out("66 ef")).toBeUndefined();
    expect(out("ef")).toBe("#GP(0)");
    expect(core.portLog).toEqual(["out 17.1 0", "out 17.4 0", "out 17.2 0"]);
  });

  it("read two bytes of the map, which must lie within the TSS", () => {
    const core = protectedMode(new FakeCore());
    atLevel(core, 3);
    core.state.RDX = 7n;
    core.state["TR.limit"] = 105;
    expect(core.execute("ee")).toBeUndefined();
    core.state["TR.limit"] = 104;
    expect(core.execute("ee")).toBe("#GP(0)");
    core.state["TR.limit"] = 0x2ff;
    core.state["TR.access"] = 0x83;
    expect(core.execute("ee")).toBe("#GP(0)"); // a 16-bit TSS has no map
  });

  it("always look at the map in virtual-8086 mode", () => {
    const core = virtual8086(new FakeCore(), 3);
    core.state.RDX = 0n;
    expect(core.execute("ee")).toBeUndefined();
    core.memory.setUint8(map, 1);
    expect(core.execute("ee")).toBe("#GP(0)");
  });
});

describe("INS and OUTS", () => {
  it("move the pointer by DF and stay at their RIP until the count is 0", () => {
    const core = protectedMode(new FakeCore());
    const { state } = core;
    Object.assign(state, { RCX: 2n, RDI: 0x5000n, RDX: 0x1f0n });
    core.portValue = 0xbeef;
    core.execute("f3 66 6d");
    expect([state.RCX, state.RDI, state.RIP, core.read16(0x5000)]).toEqual([1n, 0x5002n, 0x1_0000n, 0xbeef]);
    core.execute("f3 66 6d");
    expect([state.RCX, state.RDI, state.RIP]).toEqual([0n, 0x5004n, 0x1_0003n]);
    state.RIP = 0x1_0000n;
    core.execute("f3 66 6d");
    expect([state.RIP, core.portLog.length]).toEqual([0x1_0003n, 2]);
    Object.assign(state, { RSI: 0x5000n, RIP: 0x1_0000n, RFLAGS: state.RFLAGS | RFLAGS.DF });
    core.execute("6e");
    expect([state.RSI, state.RIP, core.portLog.at(-1)]).toEqual([0x4fffn, 0x1_0001n, "out 1f0.1 ef"]);
  });

  it("count and point with the address size", () => {
    const core = realMode(new FakeCore());
    Object.assign(core.state, { RCX: 0x1_0001n, RDI: 0x1_ffffn });
    core.execute("f3 6c");
    expect([core.state.RCX, core.state.RDI, core.state.RIP]).toEqual([0x1_0000n, 0x1_0000n, 2n]);
  });

  it("INS does not read the port when the write would fault", () => {
    const core = longMode(new FakeCore());
    core.state.RDI = 0x20_0000n;
    const before = snapshot(core);
    expect(core.execute("6c")).toBe("#PF(2)");
    expect(core.portLog).toEqual([]);
    expect(snapshot(core)).toEqual(before);
  });

  it("I/O breakpoints trap with CR4.DE", () => {
    const core = protectedMode(new FakeCore());
    core.state.DR2 = 0x60n;
    core.state.DR7 = 0x400n | 0x10n | (2n << 24n);
    core.execute("e4 60");
    expect(core.state.pendingDebug).toBe(0);
    core.state.CR4 = CR4.DE;
    core.execute("e4 61");
    expect(core.state.pendingDebug).toBe(0);
    core.execute("e4 60");
    expect(core.state.pendingDebug).toBe(0x1004);
  });
});
