import { describe, expect, it } from "vitest";
import { RFLAGS } from "../arch/flags.ts";
import { Fault } from "./core.ts";
import {
  instructionBreakpoint,
  noteDataAccess,
  noteSingleStep,
  takePendingDebug,
} from "./debug-registers.ts";
import { deliverFault } from "./exceptions.ts";
import { FakeCore, gate, idtBase, protectedMode, selector } from "./fake-core.fixture.ts";

const ready = () => {
  const core = protectedMode(new FakeCore());
  core.write64(idtBase + 8, gate(selector.code0, 0x1111, 0x8e));
  return core;
};

describe("instruction breakpoints", () => {
  it("are faults before the instruction, unless RF is set", () => {
    const { state } = ready();
    state.DR3 = 0x1_0000n;
    state.DR7 = 0x400n | 0x80n; // G3, execution
    expect(instructionBreakpoint(state, 0x1_0000n)).toMatchObject({ vector: 1, payload: 8n });
    expect(instructionBreakpoint(state, 0x1_0001n)).toBeUndefined();
    state.RFLAGS |= RFLAGS.RF;
    expect(instructionBreakpoint(state, 0x1_0000n)).toBeUndefined();
  });
});

describe("data breakpoints", () => {
  it("match any byte of an aligned range of 1, 2, 4 or 8", () => {
    for (const [len, bytes] of [
      [0, 1],
      [1, 2],
      [3, 4],
      [2, 8],
    ] as const)
      for (let at = 0x4ff0; at < 0x5010; at++) {
        const { state } = ready();
        state.DR0 = 0x5000n;
        state.DR7 = 0x401n | (BigInt(3 | (len << 2)) << 16n);
        noteDataAccess(state, BigInt(at), 4, false);
        expect(`${bytes} ${at} ${state.pendingDebug !== 0}`).toBe(
          `${bytes} ${at} ${at > 0x5000 - 4 && at < 0x5000 + bytes}`,
        );
      }
  });

  it("report disabled ones that match only beside an enabled one", () => {
    const { state } = ready();
    state.DR0 = state.DR1 = 0x5000n;
    state.DR7 = 0x404n | (0x11n << 16n);
    noteDataAccess(state, 0x5000n, 1, true);
    expect(state.pendingDebug).toBe(0x1003);
    state.pendingDebug = 0;
    state.DR7 = 0x400n | (0x11n << 16n);
    noteDataAccess(state, 0x5000n, 1, true);
    expect(state.pendingDebug).toBe(0);
  });
});

describe("single-stepping", () => {
  it("is held back one instruction by MOV SS, and stops at branches only with BTF", () => {
    const { state } = ready();
    noteSingleStep(state, false);
    state.interruptibility = 2;
    expect(takePendingDebug(state)).toBeUndefined();
    state.interruptibility = 0;
    expect(takePendingDebug(state)).toMatchObject({ vector: 1, payload: 0x4000n });
    state.IA32_DEBUGCTL = 2n;
    noteSingleStep(state, false);
    expect(takePendingDebug(state)).toBeUndefined();
    noteSingleStep(state, true);
    expect(takePendingDebug(state)).toBeDefined();
  });
});

describe("delivery of #DB", () => {
  it("replaces B0-B3, adds BS, clears GD and BTF, and pushes RF as it is", () => {
    const core = ready();
    const { state } = core;
    Object.assign(state, { DR6: 0xffff_0ff3n, DR7: 0x2400n, IA32_DEBUGCTL: 3n });
    deliverFault(core, new Fault(1, undefined, 0x4004n));
    expect([state.DR6, state.DR7, state.IA32_DEBUGCTL]).toEqual([0xffff_4ff4n, 0x400n, 0n]);
    expect(core.read32(Number(state.RSP) + 8)).toBe(0x202);
  });

  it("sets RF in the image for general detect", () => {
    const core = ready();
    deliverFault(core, new Fault(1, undefined, 0x2000n));
    expect(core.read32(Number(core.state.RSP) + 8)).toBe(0x1_0202);
  });
});
