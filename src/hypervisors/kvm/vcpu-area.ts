import { generalRegisters } from "../../state/layout.ts";
import type { HostMemory } from "../host/host-memory.ts";

/** The part of a vcpu_vmx that machine code reads and writes: one page of host memory. */

/** Register numbers are those of the encodings; RIP follows. */
export const RSP = 4;
export const RIP = 16;

/** Offsets. `regs` has 17 quadwords: RAX RCX RDX RBX RSP RBP RSI RDI R8-R15 RIP. */
// biome-ignore format: one row per group of facts
export const area = {
  regs: 0x000, cr2: 0x088,
  /** What the HOST_RSP field holds. */ hostRsp: 0x090,
  /** VMRESUME is the one to use. */ launched: 0x098, /** One byte: VMLAUNCH or VMRESUME itself failed. */ fail: 0x09c,
  hostFs: 0x0a0, hostGs: 0x0a4, hostLdt: 0x0a8, /** Bit 0: FS, 1: GS, 2: LDT must be loaded again. */ reload: 0x0ac, hostDs: 0x0f8, hostEs: 0x0fc,
  hostFsBase: 0x0b0, hostGsBase: 0x0b8, hostKernelGsBase: 0x0c0, guestKernelGsBase: 0x0c8,
  /** Pseudo-descriptor of the host's GDT, and the address of the descriptor of its TSS. */ hostGdtr: 0x0d0, hostTss: 0x0e0,
  hostXcr0: 0x0e8, guestXcr0: 0x0f0,
  /** Values of DR0-DR3. */ debug: 0x100,
  /** Entries of 16 bytes, index and value: the shared MSRs of the guest, and those of the host. */ guestMsrs: 0x200, hostMsrs: 0x280,
  /** MSR areas of VM entry and VM exit. */ autoloadGuest: 0x300, autoloadHost: 0x380,
  guestFpu: 0x400, hostFpu: 0xa00,
} as const;
export const areaBytes = 0x1000;
/** Bytes of an XSAVE or FXSAVE area here. */
export const fpuBytes = 0x600;

/** Where a general register, by its number, or RIP is kept. */
export const regOffset = (number: number): number => area.regs + 8 * number;

/** Give the values of a vcpu_vmx names, for traces. */
export const labelArea = (memory: HostMemory, at: number, name: string): void => {
  const label = (offset: number, length: number, what: string, owner: "host" | "guest"): void =>
    memory.label({ start: at + offset, length, name: `${what} of ${name}`, owner });
  generalRegisters.forEach((register, number) => {
    label(regOffset(number), 8, register, "guest");
  });
  label(regOffset(RIP), 8, "RIP", "guest");
  label(area.cr2, 8, "CR2", "guest");
  label(area.hostRsp, 8, "host_rsp", "host");
  label(area.launched, 4, "launched", "host");
  label(area.fail, 1, "fail", "host");
  const msrBytes = 0x80;
  // biome-ignore format: one row per fact
  for (const [offset, length, what] of [
    [area.hostFs, 4, "FS"], [area.hostGs, 4, "GS"], [area.hostLdt, 4, "LDTR"], [area.hostDs, 4, "DS"], [area.hostEs, 4, "ES"],
    [area.hostFsBase, 8, "FS.base"], [area.hostGsBase, 8, "GS.base"], [area.hostKernelGsBase, 8, "KernelGSBase"],
    [area.hostGdtr, 10, "GDTR"], [area.hostTss, 8, "TSS descriptor"], [area.hostXcr0, 8, "XCR0"], [area.hostMsrs, msrBytes, "shared MSRs"],
    [area.autoloadHost, msrBytes, "VM-exit MSR-load area"],
  ] as const) label(offset, length, `the host's ${what}`, "host");
  // biome-ignore format: one row per fact
  for (const [offset, length, what] of [
    [area.guestKernelGsBase, 8, "KernelGSBase"], [area.guestXcr0, 8, "XCR0"], [area.debug, 32, "DR0 to DR3"],
    [area.guestMsrs, msrBytes, "shared MSRs"], [area.autoloadGuest, msrBytes, "VM-entry MSR-load area"],
  ] as const) label(offset, length, `the guest's ${what}`, "guest");
  label(area.guestFpu, fpuBytes, "FPU state", "guest");
  label(area.hostFpu, areaBytes - area.hostFpu, "FPU state", "host");
};
