import { describe, expect, it } from "vitest";
import { Machine } from "../../src/api/index.ts";
import { monitorKernel } from "../../src/guests/monitor-kernel.ts";

/** Boots the monitor with commands on its command line, and types more; what it printed, and how it ended. */
const session = async (commandLine: string, typed = "", options = {}) => {
  const machine = await Machine.create({ memoryMiB: 16, ...options });
  let output = "";
  machine.serial.on("data", (bytes) => {
    output += new TextDecoder().decode(bytes);
  });
  const { message } = await machine.boot({ image: monitorKernel(), commandLine, withFileName: false });
  if (message !== undefined) throw new Error(message);
  machine.serial.write(typed);
  const result = await machine.run({ timeout: 60 });
  return { output: output.replaceAll("\r\n", "\n"), result, machine };
};

describe("the monitor kernel", () => {
  it("comes up in 64-bit mode, answers and switches off", async () => {
    const { output, result } = await session("cpu; regs; map; off");
    expect(result).toMatchObject({ reason: "power-off", exitStatus: 0 });
    expect(output).toContain("> cpu\nGenuineIntel\n");
    expect(output).toMatch(/CR0 {4}0000000080010011\n.*\n.*\nEFER {3}0000000000000500\n/);
    expect(output).toContain("0000000000100000 to 0000000000ffffff RAM\n");
  });

  it("takes typed commands, with corrections, by interrupt", async () => {
    const { output, result } = await session(
      "",
      "xhelp\x7f\x7f\x7f\x7f\x7fmem 100000\rtickz\b \bs\rofff\x7f\r",
    );
    expect(result.reason).toBe("power-off");
    expect(output).toContain("0000000000100000: 02 b0 ad 1b ");
  });

  it("counts timer interrupts: 100 in a second", async () => {
    const machine = await Machine.create({ memoryMiB: 16, realTime: false });
    let output = "";
    machine.serial.on("data", (bytes) => {
      output += new TextDecoder().decode(bytes);
    });
    await machine.boot({ image: monitorKernel(), withFileName: false });
    machine.expectInput = true;
    while (machine.stats().virtualSeconds < 2) await machine.run({ maxInstructions: 1000 });
    machine.serial.write("ticks\roff\r");
    expect((await machine.run({ timeout: 60 })).reason).toBe("power-off");
    const seconds = machine.stats().virtualSeconds;
    const ticks = Number(/(\d+) timer interrupts/.exec(output)?.[1]);
    expect(Math.abs(ticks - 100 * seconds)).toBeLessThan(5);
  });

  it("survives exceptions", async () => {
    const { output, result } = await session("fault; mem ffffffffffff0000; mem 8000000000000000; off");
    expect(result.reason).toBe("power-off");
    expect(output.match(/exception \d+, error code [0-9a-f]+/g)).toEqual([
      "exception 6, error code 00000000",
      "exception 14, error code 00000000",
      "exception 13, error code 00000000",
    ]);
  });

  it("starts again after a reset", async () => {
    const machine = await Machine.create({ memoryMiB: 16 });
    await machine.boot({ image: monitorKernel(), withFileName: false });
    machine.serial.write("reset\r");
    const banner = { until: "Worldswitch monitor", timeout: 60 };
    expect((await machine.run(banner)).reason).toBe("until");
    expect((await machine.run(banner)).reason).toBe("until");
    machine.serial.write("off\r");
    expect((await machine.run({ timeout: 60 })).reason).toBe("power-off");
    expect(machine.stats().resets).toBe(1);
  });

  it("behaves the same on both tiers", async () => {
    const words = "cpu; regs; fault; ticks; off";
    const first = await session(words);
    const second = await session(words, "", { tier: "evaluator" });
    expect(second.output).toBe(first.output);
    expect(second.machine.hash()).toBe(first.machine.hash());
  });
});
