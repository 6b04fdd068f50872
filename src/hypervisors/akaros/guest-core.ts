import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access, segmentType, systemType, TSS64 } from "../../arch/descriptors.ts";
import { postedInterruptDescriptor } from "../../arch/virtual-apic.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import type { HostKernel } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { ioBitmaps, msrBitmap } from "../host/permission-bitmaps.ts";
import { type ChosenControls, chooseControls } from "../host/vmx-controls.ts";
import { fieldSlot, type VmxDoor, vmInstruction } from "../host/vmx-door.ts";
import { type AkarosBugs, kernbase, pageBytes, selector, vector } from "./layout.ts";

/** Controls of every VMCS. What is not named is 0 where the processor lets it be. */
// biome-ignore format: one row per fact
const wanted: readonly ControlKey[] = [
  "externalInterruptExiting", "nmiExiting", "virtualNMIs", "processPostedInterrupts",
  "hltExiting", "useTPRShadow", "rdpmcExiting", "cr8LoadExiting", "cr8StoreExiting", "useMSRBitmaps", "useIOBitmaps", "activateSecondaryControls",
  "enableEPT", "virtualizeAPICAccesses", "apicRegisterVirtualization", "virtualInterruptDelivery", "wbinvdExiting",
  "acknowledgeInterruptOnExit", "saveEFER", "loadHostEFER", "hostAddressSpaceSize",
  "loadGuestEFER", "ia32eModeGuest",
];
/** An unmodified kernel turns paging off for a moment, uses what CPUID shows, and exits too often to lose all translations each time. */
const forUnmodifiedGuests: readonly ControlKey[] = [
  "unrestrictedGuest",
  "enableRDTSCP",
  "enableINVPCID",
  "enableXSAVES",
  "enableVPID",
];

/** The controls as this processor can have them; undefined: one that matters is missing. */
export const guestControls = (cpu: HostProcessor, bugs: AkarosBugs): ChosenControls | undefined =>
  chooseControls(cpu.vmx.capability, {
    required: wanted,
    optional: bugs.adaptedGuestsOnly ? [] : forUnmodifiedGuests,
  });

/** MSRs that the processor itself exchanges at entries and exits. */
export const autoloadMsrs = {
  KERNEL_GS_BASE: 0xc000_0102,
  LSTAR: 0xc000_0082,
  STAR: 0xc000_0081,
  SFMASK: 0xc000_0084,
} as const;
const autoload = Object.values(autoloadMsrs);
const entryBytes = 16;
/** Read and written without an exit, besides those. */
const passThroughMsrs = [0xc000_0100, 0xc000_0101, 0xc000_0080];
/** The only ports without an exit: the real-time clock of the host. */
const passThroughPorts = [0x70, 0x71];

const data = access.P | access.S | segmentType.writable | segmentType.accessed | access.DB | access.G;
const code =
  access.P | access.S | segmentType.code | segmentType.readable | segmentType.accessed | access.L | access.G;

/** Pages that the process gives for a guest core, host-physical. */
export interface GuestPages {
  readonly postedDescriptor: number;
  readonly virtualApic: number;
  readonly apicAccess: number;
}

/** Slots of the fields that are used again and again. */
export const slot = {
  rip: fieldSlot("guest.rip"),
  rsp: fieldSlot("guest.rsp"),
  rflags: fieldSlot("guest.rflags"),
  cr3: fieldSlot("guest.cr3"),
  interruptibility: fieldSlot("guest.interruptibility"),
  inject: fieldSlot("control.entryInterruptionInformation"),
  injectError: fieldSlot("control.entryExceptionErrorCode"),
  injectLength: fieldSlot("control.entryInstructionLength"),
  reason: fieldSlot("exit.reason"),
  qualification: fieldSlot("exit.qualification"),
  interruption: fieldSlot("exit.interruptionInformation"),
  vectoring: fieldSlot("exit.idtVectoringInformation"),
  vectoringError: fieldSlot("exit.idtVectoringErrorCode"),
  instructionLength: fieldSlot("exit.instructionLength"),
  linearAddress: fieldSlot("exit.guestLinearAddress"),
  physicalAddress: fieldSlot("exit.guestPhysicalAddress"),
  trBase: fieldSlot("host.tr.base"),
  gdtrBase: fieldSlot("host.gdtr.base"),
  hostRsp: fieldSlot("host.rsp"),
  hostGsBase: fieldSlot("host.gs.base"),
  hostCr3: fieldSlot("host.cr3"),
} as const;
const XCR0_X87 = 1n;

/** What the core that loads has: linear addresses. */
export interface LoadingCore {
  readonly index: number;
  readonly cpu: HostProcessor;
  readonly area: bigint;
  readonly stackTop: bigint;
  readonly gdt: bigint;
  readonly tss: bigint;
  /** Execute XSETBV. */
  loadXcr0(value: bigint): void;
}

/** A guest_pcore: a virtual core of a process's virtual machine. It is loaded on at most one core. */
export class GuestCore {
  readonly id: number;
  readonly vmcs: number;
  readonly pages: GuestPages;
  /** Index of the core it is loaded on, or -1. */
  cpu = -1;
  xcr0 = XCR0_X87;
  #hostXcr0 = XCR0_X87;
  readonly #kernel: HostKernel;
  readonly #door: VmxDoor;
  readonly #guestMsrs: number;
  readonly #hostMsrs: number;
  readonly #eptPointer: number;

  constructor(
    id: number,
    around: { kernel: HostKernel; door: VmxDoor; core: LoadingCore; bugs: AkarosBugs; exitRip: bigint },
    pages: GuestPages,
    addressSpace: { root: number; eptPointer: number },
    controls: ChosenControls,
  ) {
    const { kernel, door, core } = around;
    this.id = id;
    this.#kernel = kernel;
    this.#door = door;
    this.pages = pages;
    this.#eptPointer = addressSpace.eptPointer;
    this.vmcs = door.newRegion(core.cpu);
    const areas = kernel.memory.allocate(pageBytes);
    this.#guestMsrs = areas;
    this.#hostMsrs = areas + 0x100;
    const { state } = core.cpu;
    const values = [0n, state.IA32_LSTAR, state.IA32_STAR, state.IA32_FMASK];
    autoload.forEach((msr, n) => {
      this.#setAutoload(this.#guestMsrs, n, msr, 0n);
      this.#setAutoload(this.#hostMsrs, n, msr, values[n]!);
    });
    door.vmclear(core.cpu, this.vmcs);
    door.vmptrld(core.cpu, this.vmcs);
    for (const [name, value] of this.#fields(around, addressSpace.root, controls))
      door.write64(core.cpu, fieldSlot(name), BigInt(value));
    door.vmclear(core.cpu, this.vmcs);
  }

  #setAutoload(list: number, n: number, msr: number, value: bigint): void {
    this.#kernel.memory.write32(list + entryBytes * n, msr);
    this.#kernel.memory.write64(list + entryBytes * n + 8, value);
  }

  #fields(
    { core, bugs, exitRip }: { core: LoadingCore; bugs: AkarosBugs; exitRip: bigint },
    root: number,
    controls: ChosenControls,
  ): readonly (readonly [VmcsFieldName, bigint | number])[] {
    const { state, vmx } = core.cpu;
    const { memory } = this.#kernel;
    const io = ioBitmaps(memory, passThroughPorts);
    const msr = msrBitmap(memory, [...autoload, ...passThroughMsrs]);
    const segments = (["es", "ss", "ds", "fs", "gs"] as const).flatMap(
      (name) =>
        [
          [`guest.${name}.selector`, 0x10],
          [`guest.${name}.limit`, 0xffff_ffff],
          [`guest.${name}.access`, data],
        ] as const,
    );
    const hostSegments = (["es", "ss", "ds", "fs", "gs"] as const).map(
      (name) => [`host.${name}.selector`, name === "fs" || name === "gs" ? 0 : selector.kernelData] as const,
    );
    // biome-ignore format: one row per fact
    return [
      ...controls.words,
      ["control.ioBitmapA", io], ["control.ioBitmapB", io + pageBytes], ["control.msrBitmaps", msr],
      ["control.exitMsrStoreAddress", this.#guestMsrs], ["control.exitMsrStoreCount", autoload.length],
      ["control.entryMsrLoadAddress", this.#guestMsrs], ["control.entryMsrLoadCount", autoload.length],
      ["control.exitMsrLoadAddress", this.#hostMsrs], ["control.exitMsrLoadCount", autoload.length],
      ["control.eptPointer", this.#eptPointer],
      // Of another process's guest cores the EPT pointer tells it.
      ...(controls.has("enableVPID") ? ([["control.vpid", this.id + 1]] as const) : []),
      ["control.postedInterruptNotificationVector", bugs.sharedNotification ? vector.POKE_CORE : vector.POSTED],
      ["control.postedInterruptDescriptorAddress", this.pages.postedDescriptor],
      ["control.virtualApicAddress", this.pages.virtualApic], ["control.apicAccessAddress", this.pages.apicAccess],
      ["control.cr0GuestHostMask", bugs.adaptedGuestsOnly ? 0n : CR0.NE], ["control.cr0ReadShadow", CR0.NE],
      ["control.cr4GuestHostMask", bugs.adaptedGuestsOnly ? 0n : CR4.VMXE], ["control.cr4ReadShadow", 0],
      // Every EOI is told to the process, whose I/O APIC waits for those of level-triggered interrupts.
      ...(["control.eoiExitBitmap0", "control.eoiExitBitmap1", "control.eoiExitBitmap2", "control.eoiExitBitmap3"] as const).map(
        (name) => [name, bugs.adaptedGuestsOnly ? 0n : 0xffff_ffff_ffff_ffffn] as const,
      ),
      ["guest.vmcsLinkPointer", 0xffff_ffff_ffff_ffffn],
      ["guest.cr0", CR0.PG | CR0.PE | CR0.WP | CR0.MP | CR0.ET | CR0.NE],
      ["guest.cr4", (CR4.PAE | vmx.capability.cr4.fixed0) & vmx.capability.cr4.fixed1],
      ["guest.ia32Efer", IA32_EFER.LME | IA32_EFER.LMA], ["guest.dr7", 0x400], ["guest.rflags", 2],
      ...segments, ["guest.cs.selector", 0x08], ["guest.cs.limit", 0xffff_ffff], ["guest.cs.access", code],
      ["guest.ldtr.access", access.unusable],
      ["guest.tr.selector", 0x18], ["guest.tr.limit", TSS64.bytes - 1], ["guest.tr.access", access.P | systemType.busyTSS32],
      ["host.cr0", state.CR0], ["host.cr3", root], ["host.cr4", state.CR4], ["host.ia32Efer", state.IA32_EFER],
      ["host.cs.selector", selector.kernelCode], ["host.tr.selector", selector.TSS], ...hostSegments,
      ["host.idtr.base", kernbase + BigInt(this.#kernel.IDT)], ["host.rip", exitRip],
    ];
  }

  /** This guest core onto that core: VMCS, what of the host differs from core to core, MSRs, XCR0. */
  load(core: LoadingCore): void {
    const { cpu } = core;
    this.cpu = core.index;
    if (this.#door.vmptrld(cpu, this.vmcs) !== vmInstruction.succeeded)
      throw new Error("VMPTRLD of the kernel's own VMCS failed");
    this.#door.write64(cpu, slot.trBase, core.tss);
    this.#door.write64(cpu, slot.gdtrBase, core.gdt);
    this.#door.write64(cpu, slot.hostRsp, core.stackTop);
    this.#door.write64(cpu, slot.hostGsBase, core.area);
    this.#setAutoload(this.#hostMsrs, 0, autoload[0]!, core.area);
    this.#door.invept(cpu, 1, this.#eptPointer);
    this.#hostXcr0 = cpu.state.XCR0;
    if (this.xcr0 !== this.#hostXcr0) core.loadXcr0(this.xcr0);
  }

  /** Its state back to memory, whatever became of the entry: the next one is a VMLAUNCH, on any core. */
  unload(core: LoadingCore): void {
    const { cpu } = core;
    this.#door.invept(cpu, 1, this.#eptPointer);
    this.#door.vmclear(cpu, this.vmcs);
    this.cpu = -1;
    if (cpu.state.XCR0 !== this.#hostXcr0) core.loadXcr0(this.#hostXcr0);
  }

  get hostXcr0(): bigint {
    return this.#hostXcr0;
  }

  /** An interrupt for the guest: its vector's bit, then the outstanding notification. */
  post(vectorNumber: number): void {
    const { memory } = this.#kernel;
    const { requests, control, outstanding } = postedInterruptDescriptor;
    const word = this.pages.postedDescriptor + requests + 4 * (vectorNumber >>> 5);
    memory.write32(word, (memory.read32(word) | (1 << (vectorNumber & 31))) >>> 0);
    const flags = this.pages.postedDescriptor + control;
    memory.write32(flags, (memory.read32(flags) | outstanding) >>> 0);
  }

  get hasOutstandingNotification(): boolean {
    const { control, outstanding } = postedInterruptDescriptor;
    return (this.#kernel.memory.read32(this.pages.postedDescriptor + control) & outstanding) !== 0;
  }
}
