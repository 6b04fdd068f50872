import { describe, expect, it } from "vitest";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import type { Core } from "../../cpu/core.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import { CpuState } from "../../state/cpu-state.ts";
import { stateBytes } from "../../state/layout.ts";
import { type ExitRecord, ExitWatch } from "./exit-watch.ts";

/** What the watch sees of a processor: its state and number. */
const processor = (index: number): Core => {
  const state = new CpuState(new ArrayBuffer(stateBytes));
  return { index, state, vmx: undefined } as unknown as Core;
};

/** A processor that goes in and out of guests. */
const on = (watch: ExitWatch, core: Core) => {
  const at = (vmcs: bigint, retired: number): void => {
    core.state["vmx.currentVmcs"] = vmcs;
    core.state.retired = BigInt(retired);
  };
  return {
    enter: (vmcs: bigint, retired: number): void => {
      at(vmcs, retired);
      watch.vmEntry(core);
    },
    exit: (vmcs: bigint, retired: number, exit = new VmExit(ExitReason.CPUID)): void => {
      at(vmcs, retired);
      watch.vmExit(exit, core);
    },
  };
};

describe("VM exits", () => {
  it("are counted by reason, the most frequent first, with their handlers' instructions", () => {
    const watch = new ExitWatch();
    const { enter, exit } = on(watch, processor(0));
    enter(0x1000n, 10);
    exit(0x1000n, 20);
    enter(0x1000n, 24);
    exit(0x1000n, 30, new VmExit(ExitReason.HLT));
    enter(0x1000n, 130);
    exit(0x1000n, 140);
    enter(0x1000n, 148);
    exit(0x1000n, 150);
    expect(watch.count).toBe(4);
    expect(watch.summary()).toEqual([
      {
        reason: 10,
        name: "CPUID",
        count: 3,
        share: 0.75,
        meanHandlerInstructions: 7,
        longestHandlerInstructions: 9,
      },
      {
        reason: 12,
        name: "HLT",
        count: 1,
        share: 0.25,
        meanHandlerInstructions: 101,
        longestHandlerInstructions: 101,
      },
    ]);
  });

  it("belong to a VMCS: entering another one ends no handler", () => {
    const watch = new ExitWatch();
    const { enter, exit } = on(watch, processor(0));
    exit(0x1000n, 20);
    enter(0x2000n, 30);
    exit(0x2000n, 40);
    enter(0x1000n, 119);
    expect(watch.summary()).toMatchObject([
      { count: 2, meanHandlerInstructions: 100, longestHandlerInstructions: 100 },
    ]);
  });

  it("whose VMCS moved to another processor are not timed", () => {
    const watch = new ExitWatch();
    on(watch, processor(0)).exit(0x1000n, 5000);
    on(watch, processor(1)).enter(0x1000n, 10);
    expect(watch.summary()).toMatchObject([{ count: 1, meanHandlerInstructions: undefined }]);
  });

  it("start anew with an image, and are not timed across a reset", () => {
    const watch = new ExitWatch();
    const { enter, exit } = on(watch, processor(0));
    exit(0x1000n, 5000);
    watch.begin(false);
    enter(0x1000n, 10);
    expect(watch.summary()).toMatchObject([{ count: 1, meanHandlerInstructions: undefined }]);
    watch.begin(true);
    expect([watch.count, watch.summary()]).toEqual([0, []]);
  });

  it("of more VMCSs than any machine has do not fill the host's memory", () => {
    const watch = new ExitWatch();
    const { exit } = on(watch, processor(0));
    for (let vmcs = 0n; vmcs < 10_000n; vmcs++) exit(vmcs << 12n, 1);
    expect(watch.count).toBe(10_000);
  });
});

describe("a record of a VM exit", () => {
  const recordOf = (exit: VmExit, prepare: (core: Core) => void = () => {}): ExitRecord => {
    const watch = new ExitWatch();
    const records: ExitRecord[] = [];
    watch.listener = (record) => records.push(record);
    const core = processor(1);
    prepare(core);
    const { enter, exit: leave } = on(watch, core);
    enter(0x1000n, 90);
    leave(0x1000n, 100, exit);
    return records[0]!;
  };

  it("has what the processor reports, decoded", () => {
    const exit = new VmExit(ExitReason.IO_INSTRUCTION, 0x03f8_0040n, { instructionLength: 2 });
    expect(
      recordOf(exit, ({ state }) => {
        state.RIP = 0x1_0042n;
        state["CS.base"] = 0xf_fff0n;
        state["CS.selector"] = 0xffff;
      }),
    ).toEqual({
      n: 1,
      cpu: 1,
      instruction: 100,
      entryInstruction: 90,
      reason: 30,
      name: "IO_INSTRUCTION",
      qualification: "0x3f80040",
      decoded: { port: "0x3f8", direction: "OUT", size: 1, string: false, REP: false, operand: "immediate" },
      rip: "0x10042",
      linearRip: "0x110032",
      cs: { selector: "0xffff", base: "0xffff0" },
      instructionLength: 2,
    });
  });

  it("has addresses and events where there are any", () => {
    const violation = new VmExit(ExitReason.EPT_VIOLATION, 0x181n, {
      guestPhysicalAddress: 0x1_0000_1234,
      guestLinearAddress: 0xffff_8000_0000_0234n,
    });
    expect(recordOf(violation)).toMatchObject({
      guestPhysicalAddress: "0x100001234",
      guestLinearAddress: "0xffff800000000234",
      decoded: { read: true, write: false, of: "translated address" },
    });
    const fault = new VmExit(ExitReason.EXCEPTION_OR_NMI, 0x5000n, {
      interruptionInformation: 0x8000_0b0e,
      interruptionErrorCode: 6,
    });
    expect(recordOf(fault)).toMatchObject({
      interruption: { type: "hardware exception", vector: 14, errorCode: "0x6" },
      decoded: { linearAddress: "0x5000" },
    });
  });

  it("is made only while somebody listens", () => {
    const watch = new ExitWatch();
    on(watch, processor(0)).exit(0x1000n, 5);
    const records: ExitRecord[] = [];
    watch.listener = (record) => records.push(record);
    on(watch, processor(0)).exit(0x1000n, 5);
    expect(records.map(({ n }) => n)).toEqual([2]);
    expect(records[0]).not.toHaveProperty("entryInstruction");
  });
});
