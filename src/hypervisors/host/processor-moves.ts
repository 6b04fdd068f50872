import { msrName } from "../../arch/msrs.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import type { Vmcs } from "../../vmx/vmcs.ts";
import type { HostMemory } from "./host-memory.ts";
import { type MovedRegister, systemRegisterNames, systemValues } from "./register-moves.ts";

/** What VM entries and VM exits move by themselves, read off the processor and the VMCS. */

/** Registers by name. */
export type Values = Readonly<Record<string, bigint>>;

/** Everything that the processor switches between worlds. */
export const worldValues = (state: CpuState): Values => ({
  RIP: state.RIP,
  RSP: state.RSP,
  RFLAGS: state.RFLAGS,
  ...Object.fromEntries(systemValues(state).map((value, n) => [systemRegisterNames[n]!, value])),
});

/** Fields of the guest-state area: SDM Vol. 3, "Guest-State Area". */
// biome-ignore format: one row per fact
const guestFields: readonly (readonly [register: string, field: VmcsFieldName])[] = [
  ["RIP", "guest.rip"], ["RSP", "guest.rsp"], ["RFLAGS", "guest.rflags"], ["CR0", "guest.cr0"], ["CR3", "guest.cr3"], ["CR4", "guest.cr4"],
  ["DR7", "guest.dr7"], ["ES", "guest.es.selector"], ["CS", "guest.cs.selector"], ["SS", "guest.ss.selector"], ["DS", "guest.ds.selector"],
  ["FS", "guest.fs.selector"], ["GS", "guest.gs.selector"], ["FS.base", "guest.fs.base"], ["GS.base", "guest.gs.base"],
  ["GDTR.base", "guest.gdtr.base"], ["GDTR.limit", "guest.gdtr.limit"], ["IDTR.base", "guest.idtr.base"], ["IDTR.limit", "guest.idtr.limit"],
  ["TR.base", "guest.tr.base"], ["TR.limit", "guest.tr.limit"],
  ["IA32_SYSENTER_CS", "guest.ia32SysenterCs"], ["IA32_SYSENTER_ESP", "guest.ia32SysenterEsp"], ["IA32_SYSENTER_EIP", "guest.ia32SysenterEip"],
  ["IA32_EFER", "guest.ia32Efer"], ["IA32_PAT", "guest.ia32Pat"],
];
/** What a VM exit gives values of the processor's own: SDM Vol. 3, "Loading Host State". */
const ownAtExit = new Set(["RFLAGS", "DR7", "GDTR.limit", "IDTR.limit", "TR.limit"]);
const hostMsrs = new Set(["IA32_STAR", "IA32_LSTAR", "IA32_FMASK", "IA32_KERNEL_GS_BASE"]);
const alwaysTold = new Set(["RIP", "RSP", "RFLAGS"]);
/** General registers, and CR2, are nobody's business but software's. */
const notSwitched = new Set(["CR2", "XCR0", "DR0", "DR1", "DR2", "DR3"]);

/** Entries of an MSR area that are told of, at most. */
const mostMsrs = 64;

/** MSRs of a VM-entry or VM-exit MSR area. */
const msrArea = (vmcs: Vmcs, memory: HostMemory, address: VmcsFieldName, count: VmcsFieldName): string[] => {
  const [at, length] = [Number(vmcs.read(address)), Number(vmcs.read(count))];
  return Array.from({ length: Math.min(length, mostMsrs) }, (_, n) => msrName(memory.read32(at + 16 * n)));
};

/** Before VMLAUNCH or VMRESUME, and when the guest's state was loaded: what came from where. */
export const entryMoves = (
  before: Values,
  after: Values,
  vmcs: Vmcs,
  memory: HostMemory,
): MovedRegister[] => {
  const moved: MovedRegister[] = [];
  const add = (register: string, place: string): void => {
    const [was, is] = [before[register] ?? 0n, after[register] ?? 0n];
    moved.push({ register, before: was, after: is, place, owner: "guest", direction: "loaded" });
  };
  // EFER and PAT only where a control says so: what differs afterwards has been loaded.
  for (const [register, field] of guestFields)
    if (after[register] === vmcs.read(field) || before[register] !== after[register])
      add(register, "the guest-state area");
  for (const register of msrArea(vmcs, memory, "control.entryMsrLoadAddress", "control.entryMsrLoadCount"))
    add(register, "the VM-entry MSR-load area");
  return moved;
};

/** What the processor does at a VM entry beside moving registers. */
export const entrySteps = (vmcs: Vmcs, isLaunch: boolean): string[] => {
  const event = Number(vmcs.read("control.entryInterruptionInformation"));
  return [
    "checks the controls, the host-state area and the guest-state area; no general register is touched",
    ...(event >>> 31 ? [`injects the event with vector ${event & 0xff}`] : []),
    ...(isLaunch ? ["notes in the VMCS that it is launched"] : []),
  ];
};

/** What a VM exit has saved of the guest. */
export const exitSaves = (left: Values, vmcs: Vmcs, memory: HostMemory): MovedRegister[] => {
  const saved = guestFields.flatMap(([register, field]): MovedRegister[] => {
    const value = vmcs.read(field);
    // A field that the exit does not save holds what the entry loaded, or nothing.
    if (value !== left[register]) return [];
    return [
      {
        register,
        before: value,
        after: value,
        place: "the guest-state area",
        owner: "guest",
        direction: "stored",
      },
    ];
  });
  const [at, stores] = [
    Number(vmcs.read("control.exitMsrStoreAddress")),
    Number(vmcs.read("control.exitMsrStoreCount")),
  ];
  for (let n = 0; n < Math.min(stores, mostMsrs); n++) {
    const value = memory.read64(at + 16 * n + 8);
    const register = msrName(memory.read32(at + 16 * n));
    saved.push({
      register,
      before: value,
      after: value,
      place: "the VM-exit MSR-store area",
      owner: "guest",
      direction: "stored",
    });
  }
  return saved;
};

/** From what the guest left to what the host finds. */
export const exitLoads = (left: Values, after: Values): MovedRegister[] =>
  Object.entries(after).flatMap(([register, value]): MovedRegister[] => {
    const before = left[register]!;
    if ((before === value && !alwaysTold.has(register)) || notSwitched.has(register)) return [];
    const isOwn = ownAtExit.has(register);
    const place = isOwn
      ? undefined
      : hostMsrs.has(register)
        ? "the VM-exit MSR-load area"
        : "the host-state area";
    return [
      { register, before, after: value, place, owner: isOwn ? "hardware" : "host", direction: "loaded" },
    ];
  });
