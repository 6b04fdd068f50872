import { describe, expect, it } from "vitest";
import { CR0 } from "../arch/control-registers.ts";
import { FakeCore, longMode } from "./fake-core.fixture.ts";
import { powerOn, takeInit, takeStartup } from "./reset.ts";
import { getSegment } from "./segmentation.ts";

describe("power-on", () => {
  it("starts at the reset vector in real mode", () => {
    const { state } = new FakeCore();
    expect([state.RIP, state["CS.base"], state["CS.selector"], state.RFLAGS]).toEqual([
      0xfff0n,
      0xffff_0000n,
      0xf000,
      2n,
    ]);
    expect([state.CR0, state.RDX, state.DR6, state.DR7]).toEqual([
      0x6000_0010n,
      0x806f8n,
      0xffff_0ff0n,
      0x400n,
    ]);
    expect([state.FCW, state.FTW, state.MXCSR, state.XCR0]).toEqual([0x40, 0x5555, 0x1f80, 1n]);
    expect([state["IDTR.limit"], state["GDTR.limit"]]).toEqual([0xffff, 0xffff]);
    expect(getSegment(state, "TR")).toEqual({ selector: 0, base: 0n, limit: 0xffff, access: 0x8b });
    expect(state.activity).toBe(0);
  });

  it("restarts the time-stamp counter, not the count of retired instructions", () => {
    const core = new FakeCore();
    core.ticks = 77n;
    core.state.retired = 5n;
    powerOn(core, true);
    expect([core.state.retired, BigInt.asUintN(64, core.ticks + core.state.tscOffset)]).toEqual([5n, 0n]);
  });
});

describe("INIT", () => {
  it("keeps MSRs, FPU and vector registers, and the cache bits of CR0", () => {
    const core = longMode(new FakeCore());
    const { state } = core;
    Object.assign(state, { IA32_LSTAR: 0x1234n, FCW: 0x37f, CR0: state.CR0 | CR0.CD, RAX: 5n });
    state.bytes("XMM0")[0] = 9;
    takeInit(core, true);
    expect([state.IA32_LSTAR, state.FCW, state.bytes("XMM0")[0]]).toEqual([0x1234n, 0x37f, 9]);
    expect([state.CR0, state.IA32_EFER, state.RAX, state.RIP, state.activity]).toEqual([
      CR0.ET | CR0.CD,
      0n,
      0n,
      0xfff0n,
      0,
    ]);
    expect(core.invalidations.at(-1)).toEqual({ kind: "all" });
  });

  it("makes other processors wait for a start-up IPI, which only a waiting one heeds", () => {
    const core = new FakeCore();
    takeStartup(core, 0x55);
    expect(core.state.RIP).toBe(0xfff0n);
    takeInit(core, false);
    expect(core.state.activity).toBe(3);
    takeStartup(core, 0x9a);
    expect([core.state.activity, core.state.RIP, core.state["CS.selector"], core.state["CS.base"]]).toEqual([
      0,
      0n,
      0x9a00,
      0x9_a000n,
    ]);
  });
});
