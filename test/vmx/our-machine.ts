import { Machine, type MachineOptions, type VmxFailure } from "../../src/api/index.ts";

/** What the test kernel printed on our machine, and how that ended. */
export interface OurRun {
  readonly serial: string;
  readonly reason: string;
}

export interface OurOptions extends MachineOptions {
  readonly onFailure?: (failure: VmxFailure) => void;
}

/** Boots a kernel and runs it to its end. */
export const runOnOurs = async (
  kernel: Uint8Array,
  { onFailure, ...options }: OurOptions = {},
  maxInstructions = 2_000_000_000,
): Promise<OurRun> => {
  const machine = await Machine.create({ memoryMiB: 64, realTime: false, ...options });
  if (onFailure) machine.vmx.on("failure", onFailure);
  const chunks: Uint8Array[] = [];
  machine.serial.on("data", (bytes) => chunks.push(bytes.slice()));
  const { message } = await machine.boot({ image: kernel, withFileName: false });
  if (message !== undefined) throw new Error(message);
  const { reason } = await machine.run({ maxInstructions });
  return { serial: Buffer.concat(chunks).toString("latin1"), reason };
};
