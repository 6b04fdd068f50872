import { describe, expect, it } from "vitest";
import { Fault } from "./core.ts";
import { FakeCore, longMode, protectedMode } from "./fake-core.fixture.ts";
import { currentStack, Frame } from "./stack.ts";

const frameOf = (...values: bigint[]): Frame => {
  const frame = new Frame();
  for (const value of values) frame.addValue(value);
  return frame;
};
const at = (pointer: bigint, core = longMode(new FakeCore())): FakeCore => {
  core.state.RSP = pointer;
  return core;
};

describe("A stack", () => {
  it("takes a frame in the order of pushes and gives it back in that of pops", () => {
    const core = at(0x6000n);
    const stack = currentStack(core);
    expect(stack.pushFrame(frameOf(1n, 0xffff_8000_1234_5678n, 3n), 8)).toBeUndefined();
    expect(stack.pointer).toBe(0x6000n - 24n);
    expect(core.memory.getBigUint64(0x6000 - 16, true)).toBe(0xffff_8000_1234_5678n);
    const popped = new Frame();
    expect(stack.popFrame(popped, 3, 8)).toBeUndefined();
    expect([0, 1, 2].map((n) => popped.value(n))).toEqual([3n, 0xffff_8000_1234_5678n, 1n]);
    expect(core.state.RSP).toBe(0x6000n);
    stack.advance(-8);
    stack.commit(core.state);
    expect(core.state.RSP).toBe(0x5ff8n);
  });

  it("takes a frame that lies on two pages", () => {
    const core = at(0x6008n);
    const stack = currentStack(core);
    expect(stack.pushFrame(frameOf(1n, 2n, 3n), 8)).toBeUndefined();
    expect([0x6000, 0x5ff8, 0x5ff0].map((address) => core.memory.getBigUint64(address, true))).toEqual([
      1n,
      2n,
      3n,
    ]);
    const popped = new Frame().add(7);
    expect(stack.popFrame(popped, 3, 8)).toBeUndefined();
    expect([0, 1, 2, 3].map((n) => popped.value(n))).toEqual([7n, 3n, 2n, 1n]);
  });

  it("wraps at the width of the stack pointer, whose other bits stay", () => {
    const core = protectedMode(new FakeCore());
    core.state["SS.access"] &= ~0x4000;
    core.state["SS.limit"] = 0xffff;
    core.state.RSP = 0xabcd_0002n;
    const stack = currentStack(core);
    expect(stack.pushFrame(frameOf(0x1111n, 0x2222n), 2)).toBeUndefined();
    expect(stack.pointer).toBe(0xabcd_fffen);
    expect(core.memory.getUint16(0, true)).toBe(0x1111);
    expect(core.memory.getUint16(0xfffe, true)).toBe(0x2222);
    expect([stack.pop(2), stack.pop(2)]).toEqual([0x2222n, 0x1111n]);
    expect(stack.pointer).toBe(0xabcd_0002n);
  });

  it("is refused where it is not canonical, by the fault of the caller's choice", () => {
    const refusal = new Fault(12, 0x18);
    const stack = currentStack(at(0x8000_0000_0004n), refusal);
    expect(stack.pushFrame(frameOf(1n), 8)).toBe(refusal);
    expect(currentStack(at(0xffff_7fff_ffff_fff8n)).pop(8)).toEqual(new Fault(12, 0));
  });

  it("moves across 4 GiB", () => {
    const stack = currentStack(at(0x1_0000_0004n));
    stack.advance(-8);
    expect(stack.pointer).toBe(0xffff_fffcn);
    stack.advance(16);
    expect(stack.pointer).toBe(0x1_0000_000cn);
  });
});
