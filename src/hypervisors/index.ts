import { AkarosMachine } from "./akaros/akaros-machine.ts";
import { BhyveMachine } from "./bhyve/bhyve-machine.ts";
import type { Hypervisor } from "./host/virtual-machine.ts";
import { KvmMachine } from "./kvm/kvm-machine.ts";
import { LguestMachine } from "./lguest/lguest-machine.ts";

/** The hypervisors that an image can be the guest of, by name. */
export const hypervisors = {
  bhyve: (bootable, outputs, kept) => BhyveMachine.create(bootable, outputs, kept),
  kvm: (bootable, outputs, kept) => KvmMachine.create(bootable, outputs, kept),
  lguest: (bootable, outputs) => LguestMachine.create(bootable, outputs),
  akaros: (bootable, outputs, kept) => AkarosMachine.create(bootable, outputs, kept),
} as const satisfies Readonly<Record<string, Hypervisor>>;

export type HypervisorName = keyof typeof hypervisors;

export const hypervisorNames = Object.keys(hypervisors) as readonly HypervisorName[];
