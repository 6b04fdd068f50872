import { BhyveMachine } from "./bhyve/bhyve-machine.ts";
import type { Hypervisor } from "./host/virtual-machine.ts";

/** The hypervisors that an image can be the guest of, by name. */
export const hypervisors = {
  bhyve: (bootable, outputs, kept) => BhyveMachine.create(bootable, outputs, kept),
} as const satisfies Readonly<Record<string, Hypervisor>>;

export type HypervisorName = keyof typeof hypervisors;

export const hypervisorNames = Object.keys(hypervisors) as readonly HypervisorName[];
