import type { HostKernel } from "../host/host-kernel.ts";
import type { ChosenControls } from "../host/vmx-controls.ts";
import type { VmxDoor } from "../host/vmx-door.ts";
import type { Core } from "./core.ts";
import { GuestCore } from "./guest-core.ts";
import { type AkarosBugs, context, errno, syscall, syscallNumber, vcpd } from "./layout.ts";
import type { Process } from "./process.ts";
import { linear } from "./trap-table.ts";

/** The kernel, as system calls need it. */
export interface CallKernel {
  readonly kernel: HostKernel;
  readonly door: VmxDoor;
  readonly bugs: AkarosBugs;
  readonly controls: ChosenControls | undefined;
  allocateFrames(bytes: number): number;
  finalize(core: Core): void;
  poke(process: Process, id: number): void;
  destroy(core: Core, status: number, says: string): void;
}

/** At once, at most. */
const mostCalls = 64;
const mostGuestCores = 64;
const exitCounters = 72;

/** A result, or an error number negated. */
type SystemCall = (
  akaros: CallKernel,
  core: Core,
  process: Process,
  args: readonly [number, number, number],
) => number;

const mmap: SystemCall = (akaros, _core, { memory }, [start, length]) => {
  const host = length > 0 ? akaros.allocateFrames(length) : -1;
  return host >= 0 && memory.mmap({ start, length, host }) ? 0 : -errno.EINVAL;
};

/** `table`: for each guest core the addresses of posted-interrupt descriptor, virtual-APIC page and APIC-access page. */
const vmmSetup: SystemCall = (akaros, core, process, [count, table, flags]) => {
  const { kernel, door, bugs, controls } = akaros;
  if (controls === undefined) return -errno.ENODEV;
  if (process.machine !== undefined || count < 1 || count > mostGuestCores) return -errno.EINVAL;
  const around = { kernel, door, core, bugs, exitRip: linear(kernel.symbol("vmExit")) };
  const guestCores: GuestCore[] = [];
  for (let id = 0; id < count; id++) {
    const row = process.memory.physical(table + 24 * id);
    if (row < 0) return -errno.EFAULT;
    const pages = [0, 8, 16].map((at) => process.memory.physical(kernel.memory.readNumber(row + at)));
    const [postedDescriptor, virtualApic, apicAccess] = pages as [number, number, number];
    if (pages.some((page) => page < 0)) return -errno.EFAULT;
    const given = { postedDescriptor, virtualApic, apicAccess };
    guestCores.push(new GuestCore(id, around, given, process.memory, controls));
  }
  const exits = new Array<number>(exitCounters).fill(0);
  process.machine = { guestCores, exits, writtenMsrs: new Map(), flags };
  return count;
};

/** From the virtual core's context into another, which user level gives. */
const popContext: SystemCall = (akaros, core, process, [address]) => {
  const from = process.memory.physical(address);
  if (from < 0 || from + context.bytes > akaros.kernel.pc.guest.lowBytes) return -errno.EFAULT;
  if (!process.notificationsDisabled(core.index)) return -errno.EINVAL;
  akaros.finalize(core);
  core.context.copyFrom(from);
  if (core.context.secure(akaros.bugs)) process.setNotificationsDisabled(core.index, false);
  else akaros.destroy(core, 1, "a context of no type");
  return 0;
};

/** Until something has happened, unless it has already. */
const haltCore: SystemCall = ({ kernel }, core, process) => {
  const pending = process.vcpd(core.index) + vcpd.notifPending;
  if (kernel.memory.read32(pending) === 0) core.halted = true;
  else kernel.memory.write32(pending, 0);
  return 0;
};

const calls = new Map<number, SystemCall>([
  [syscallNumber.null, () => 0],
  [syscallNumber.mmap, mmap],
  [
    syscallNumber.munmap,
    (_akaros, _core, { memory }, [start, length]) => (memory.munmap(start, length) ? 0 : -errno.EINVAL),
  ],
  [syscallNumber.vmmSetup, vmmSetup],
  [syscallNumber.popContext, popContext],
  [syscallNumber.haltCore, haltCore],
]);

/** The array of system calls at an address of the process, one after the other. */
export const runSystemCalls = (akaros: CallKernel, core: Core, array: number, count: number): void => {
  const { process } = core;
  const { memory, pc } = akaros.kernel;
  for (let n = 0; n < Math.min(count, mostCalls) && process !== undefined; n++) {
    const address = array + n * syscall.bytes;
    const at = process.memory.physical(address);
    if (at < 0 || address % 8 !== 0 || at + syscall.bytes > pc.guest.lowBytes) {
      akaros.destroy(core, 1, "a system call outside the process");
      return;
    }
    const number = memory.read32(at);
    const [first, second, third] = [0, 1, 2].map((k) => memory.readNumber(at + syscall.arguments + 8 * k));
    const args = [first!, second!, third!] as const;
    let result = 0;
    if (number === syscallNumber.destroy) akaros.destroy(core, args[0], "it ended itself");
    else if (number === syscallNumber.pokeGuest) akaros.poke(process, args[0]);
    else result = calls.get(number)?.(akaros, core, process, args) ?? -errno.ENOSYS;
    memory.write32(at + syscall.error, result < 0 ? -result : 0);
    memory.write64(at + syscall.result, BigInt(result < 0 ? -1 : result));
    memory.write32(at + syscall.flags, syscall.done);
    if (process.ended !== undefined) return;
  }
};
