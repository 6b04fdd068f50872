import { beforeEach, describe, expect, it } from "vitest";
import { FakeCore } from "./fake-core.fixture.ts";
import { hasSignal, signalWakes, takeSignals } from "./signals.ts";
import type { VmxSocket } from "./vmx-socket.ts";

const activity = { active: 0, HLT: 1, waitForSipi: 3 } as const;

let core: FakeCore;
let initialized: number;
/** A processor in its loop, with a local APIC that counts its resets. */
const running = (bootstrap: boolean): FakeCore => {
  initialized = 0;
  const made = new FakeCore();
  Object.assign(made.apic, { bootstrap, initialize: () => initialized++ });
  made.state.RIP = 0x1234n;
  return made;
};
const inVmxOperation = (of: FakeCore, value: boolean): void => {
  Object.assign(of, { vmx: value ? ({ inVmxOperation: true, nonRoot: false } as VmxSocket) : undefined });
};
beforeEach(() => {
  core = running(false);
});

describe("INIT", () => {
  it("starts the bootstrap processor at the reset vector and makes others wait", () => {
    core = running(true);
    core.initPending = true;
    takeSignals(core);
    expect([core.state.RIP, core.state.activity, initialized, hasSignal(core)]).toEqual([
      0xfff0n,
      0,
      1,
      false,
    ]);
    core = running(false);
    core.initPending = true;
    takeSignals(core);
    expect([core.state.activity, initialized]).toEqual([activity.waitForSipi, 1]);
  });
  it("wakes a halted processor, and one that waits for a start-up IPI", () => {
    for (const waiting of [activity.HLT, activity.waitForSipi]) {
      core.state.activity = waiting;
      expect(signalWakes(core)).toBe(false);
      core.initPending = true;
      expect(signalWakes(core)).toBe(true);
      core.initPending = false;
    }
  });
  it("stays latched in VMX root operation, and is taken after it", () => {
    core.initPending = true;
    core.state.activity = activity.HLT;
    inVmxOperation(core, true);
    expect(signalWakes(core)).toBe(false);
    takeSignals(core);
    expect([core.initPending, core.state.RIP, initialized]).toEqual([true, 0x1234n, 0]);
    inVmxOperation(core, false);
    expect(signalWakes(core)).toBe(true);
    takeSignals(core);
    expect([core.initPending, core.state.activity, initialized]).toEqual([false, activity.waitForSipi, 1]);
  });
});

describe("a start-up IPI", () => {
  it("starts a processor that waits for one", () => {
    core.state.activity = activity.waitForSipi;
    core.sipiVector = 0x9a;
    expect(signalWakes(core)).toBe(true);
    takeSignals(core);
    expect([core.state.activity, core.state["CS.base"], core.state.RIP]).toEqual([0, 0x9a000n, 0n]);
  });
  it("is taken after the INIT that came with it", () => {
    core.initPending = true;
    core.sipiVector = 8;
    takeSignals(core);
    expect([core.state.activity, core.state["CS.base"], initialized]).toEqual([0, 0x8000n, 1]);
  });
  it("is lost on any other processor, also while VMX root operation blocks INIT", () => {
    for (const vmx of [false, true]) {
      inVmxOperation(core, vmx);
      core.initPending = vmx;
      core.sipiVector = 8;
      core.state.activity = activity.HLT;
      expect(signalWakes(core)).toBe(false);
      takeSignals(core);
      expect([core.sipiVector, core.state.RIP, core.state.activity]).toEqual([
        undefined,
        0x1234n,
        activity.HLT,
      ]);
    }
  });
});
