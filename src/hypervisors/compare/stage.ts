import { cpuModel } from "../../cpu/cpu-model.ts";
import { isRefusal } from "../../machine/boot/load-plan.ts";
import type { BootChoice } from "../../machine/boot/plan.ts";
import { type BootableMachine, planMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs } from "../../machine/pc-doors.ts";
import { guestBytes } from "./guests.ts";

/** What all subjects stand on. */

/** Of the host's device that interrupts a guest. */
export const hostVector = 0x90;

export interface Wires {
  readonly outputs: PcOutputs;
  /** The guest has reached a device. */
  device: () => void;
  /** What the hypervisor reports. */
  readonly said: string[];
  /** What its console shows. */
  text: string;
}

export const wiresOf = (): Wires => {
  const said: string[] = [];
  const made: Wires = {
    device: () => {},
    said,
    text: "",
    outputs: {
      serial: (_port, byte) => {
        made.text += String.fromCharCode(byte);
        made.device();
      },
      debugcon: () => made.device(),
      virtioConsole: () => {},
      unimplemented: (what) => said.push(what),
    },
  };
  return made;
};

/** The reason in the report that a guest was killed. */
export const killed = (said: readonly string[]): string | undefined =>
  said.find((what) => what.startsWith("guest killed: "))?.replace(/^guest killed: (vcpu \d+: )?/i, "");

export const bootable = (image: Uint8Array, choice: BootChoice): BootableMachine => {
  const model = cpuModel("default", { processors: 1 })!;
  const board = { memoryBytes: guestBytes, processors: 1, model, seed: 0n, disks: [] };
  const request = { image: { name: "the guest", bytes: image }, commandLine: "", modules: [] };
  const planned = planMachine(board, request, choice);
  if (isRefusal(planned)) throw new Error(planned.message);
  return planned;
};
