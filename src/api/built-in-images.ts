import { monitorKernel } from "../guests/monitor-kernel.ts";
import { paravirtualKernel } from "../hypervisors/lguest/kernel/index.ts";

/** Kernels of our own, made when they are asked for, by the names that stand for them in place of a file's. */
export const builtInImages: Readonly<Record<string, () => Uint8Array>> = {
  /** A 64-bit kernel with commands for a look at the machine, for multiboot. */
  "builtin:monitor": monitorKernel,
  /** A paravirtual kernel: the guest of lguest. */
  "builtin:lguest": paravirtualKernel,
};
