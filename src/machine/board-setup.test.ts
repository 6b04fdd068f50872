import { describe, expect, it } from "vitest";
import { cpuModel } from "../cpu/cpu-model.ts";
import { readMsr } from "../cpu/msrs.ts";
import { isRefusal } from "./boot/load-plan.ts";
import { planMachine, powerOnMachine } from "./boot-machine.ts";
import type { Pc } from "./pc.ts";

const poweredOn = (protocol: "flat" | "firmware", minus: readonly string[] = []): Pc => {
  const board = {
    memoryBytes: 2 ** 21,
    processors: 2,
    model: cpuModel("default", { processors: 2, minus })!,
    disks: [],
    seed: 1n,
  };
  const image = { name: "program", bytes: new Uint8Array(4096).fill(0xf4) };
  const machine = planMachine(board, { image, commandLine: "", modules: [] }, { protocol });
  if (isRefusal(machine)) throw new Error(machine.message);
  return powerOnMachine(machine, { serial: () => {}, debugcon: () => {}, virtioConsole: () => {} });
};

const FW_CFG_FILE_DIRECTORY = 0x19;
const featureControls = (pc: Pc): (bigint | undefined)[] =>
  pc.processors.map((processor) => {
    processor.select();
    return readMsr(processor, 0x3a);
  });

describe("VT-x after power-on", () => {
  it("is allowed and locked on every processor of a machine without firmware", () => {
    const values = featureControls(poweredOn("flat"));
    expect(values).toEqual([5n, 5n]);
  });

  it("is left to firmware, which learns what to write from fw_cfg", () => {
    const pc = poweredOn("firmware");
    expect(featureControls(pc)).toEqual([0n, 0n]);
    pc.fwCfg.write(0, FW_CFG_FILE_DIRECTORY, 2);
    const directory = String.fromCharCode(...Array.from({ length: 1024 }, () => pc.fwCfg.read(1, 1)));
    expect(directory).toContain("etc/msr_feature_control");
  });

  it("has its capability MSRs; without VMX there are neither", () => {
    const [processor] = poweredOn("flat").processors;
    expect(readMsr(processor!, 0x480)! >> 32n).toBe(0x1d8_1000n);
    expect(readMsr(processor!, 0x492)).toBeUndefined();
    const [plain] = poweredOn("flat", ["VMX"]).processors;
    expect([readMsr(plain!, 0x480), readMsr(plain!, 0x3a)]).toEqual([undefined, undefined]);
  });
});
