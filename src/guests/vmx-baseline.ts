import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../arch/vmx-controls.ts";
import { guestSelector, guestTable, STACK_OFFSET, vmxMemory } from "./vmx-memory.ts";

/** The VMCS that every case starts from, and what it takes for guests in other modes. */

export type FieldValues = Partial<Record<VmcsFieldName, bigint | number>>;

const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const PAT = 0x0007_0406_0007_0406n;

const segment = (
  name: "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr",
  selector: number,
  base: number,
  limit: number,
  access: number,
): FieldValues => ({
  [`guest.${name}.selector`]: selector,
  [`guest.${name}.base`]: base,
  [`guest.${name}.limit`]: limit,
  [`guest.${name}.access`]: access,
});
const stackSegments = (selector: number, base: number, limit: number, access: number): FieldValues =>
  Object.assign(
    {},
    ...(["es", "ss", "ds", "fs", "gs"] as const).map((name) => segment(name, selector, base, limit, access)),
  );
const FLAT = 0xffff_ffff;

/** Access rights that the guests of the test kernel use (SDM Vol. 3, "Guest Register State"). */
export const access = {
  code64: 0xa09b,
  code32: 0xc09b,
  code16: 0x009b,
  stack: 0xc093,
  stack16: 0x0093,
  userCode32: 0xc0fb,
  userCode64: 0xa0fb,
  userStack: 0xc0f3,
  v86: 0x00f3,
  busyTss: 0x008b,
  busyTss16: 0x0083,
  ldt: 0x0082,
  unusable: 0x1_0000,
} as const;

const { guestTables } = vmxMemory;

/** A guest in 64-bit mode at the first byte of its code, with a stack, a GDT, an IDT and paging of its own. */
export const baselineFields: FieldValues = {
  "control.cr3TargetCount": 0,
  "control.msrBitmaps": vmxMemory.msrBitmap,
  "control.ioBitmapA": vmxMemory.ioBitmapA,
  "control.ioBitmapB": vmxMemory.ioBitmapB,
  "control.virtualApicAddress": vmxMemory.virtualApic,
  "control.apicAccessAddress": vmxMemory.apicAccess,
  "control.postedInterruptDescriptorAddress": vmxMemory.postedDescriptor,
  "control.eptPointer": vmxMemory.eptPml4 | 0x1e,
  "control.eptpListAddress": vmxMemory.eptpList,
  "control.virtualizationExceptionInformationAddress": vmxMemory.virtualizationException,
  "control.pmlAddress": vmxMemory.pageModificationLog,
  "control.vmreadBitmapAddress": vmxMemory.vmreadBitmap,
  "control.vmwriteBitmapAddress": vmxMemory.vmwriteBitmap,
  "control.entryMsrLoadAddress": vmxMemory.entryMsrLoad,
  "control.exitMsrStoreAddress": vmxMemory.exitMsrStore,
  "control.exitMsrLoadAddress": vmxMemory.exitMsrLoad,
  "control.vpid": 1,
  "control.tscMultiplier": 1n << 48n,
  "guest.vmxPreemptionTimer": 0x4000,
  "guest.vmcsLinkPointer": ALL_ONES,
  "guest.ia32Pat": PAT,
  "guest.ia32Efer": 0xd01,
  "guest.cr0": 0x8001_0031,
  "guest.cr3": vmxMemory.guestPml4,
  "guest.cr4": 0x2620,
  "guest.dr7": 0x400,
  "guest.rflags": 2,
  "guest.rip": vmxMemory.guestCode,
  "guest.rsp": vmxMemory.guestStack + STACK_OFFSET,
  ...stackSegments(guestSelector.stack, 0, FLAT, access.stack),
  ...segment("cs", guestSelector.code64, 0, FLAT, access.code64),
  ...segment("ldtr", 0, 0, 0, access.unusable),
  ...segment("tr", guestSelector.tss64, guestTables + guestTable.tss64, 0x67, access.busyTss),
  "guest.gdtr.base": guestTables,
  "guest.gdtr.limit": guestTable.gdtLimit,
  "guest.idtr.base": vmxMemory.guestIdt64,
  "guest.idtr.limit": 0xfff,
  "guest.pdpte0": (vmxMemory.guestDirectories + 0x0000) | 1,
  "guest.pdpte1": (vmxMemory.guestDirectories + 0x1000) | 1,
  "guest.pdpte2": (vmxMemory.guestDirectories + 0x2000) | 1,
  "guest.pdpte3": (vmxMemory.guestDirectories + 0x3000) | 1,
  "host.ia32Pat": PAT,
  "host.ia32Efer": 0xd01,
  "host.cs.selector": 8,
  "host.ss.selector": 0x10,
  "host.ds.selector": 0x10,
  "host.es.selector": 0x10,
  "host.tr.selector": 0x18,
  "host.rsp": vmxMemory.hostStackTop - 0x1000,
};

/** Controls of the baseline beside those that must be 1: the capability MSR says which those are. */
// biome-ignore format: one row per fact
export const baselineControls: readonly (readonly [VmcsFieldName, capabilityMsr: number, readonly ControlKey[]])[] = [
  ["control.pinBased", 0x48d, ["activatePreemptionTimer"]],
  ["control.processorBased", 0x48e, ["activateSecondaryControls"]],
  ["control.secondaryProcessorBased", 0x48b, []],
  ["control.exitControls", 0x48f, ["hostAddressSpaceSize", "saveEFER", "loadHostEFER", "saveDebugControls"]],
  ["control.entryControls", 0x490, ["ia32eModeGuest", "loadGuestEFER", "loadDebugControls"]],
];

export const controlBits = (keys: readonly ControlKey[]): number =>
  keys.reduce((bits, key) => bits + 2 ** vmxControl(key).bit, 0);

/** What a guest's mode changes in the baseline. */
export interface GuestMode {
  readonly codeSize: 16 | 32 | 64;
  /** Where its code is put. */
  readonly codeAddress: number;
  readonly on: readonly ControlKey[];
  readonly off: readonly ControlKey[];
  readonly set: FieldValues;
}

const bits32 = {
  codeSize: 32,
  codeAddress: vmxMemory.guestCode,
  on: [],
  off: ["ia32eModeGuest"],
  set: {
    "guest.ia32Efer": 0,
    "guest.cr4": 0x2610,
    "guest.cr3": vmxMemory.guestDirectory32,
    ...segment("cs", guestSelector.code32, 0, FLAT, access.code32),
    ...segment("tr", guestSelector.tss32, guestTables + guestTable.tss32, 0x67, access.busyTss),
    "guest.idtr.base": vmxMemory.guestIdt32,
    "guest.idtr.limit": 0x7ff,
  },
} as const satisfies GuestMode;

const lowStack = { "guest.rsp": STACK_OFFSET, "guest.rip": 0 } as const;

export const guestModes = {
  "64-bit": { codeSize: 64, codeAddress: vmxMemory.guestCode, on: [], off: [], set: {} },
  compatibility: {
    codeSize: 32,
    codeAddress: vmxMemory.guestCode,
    on: [],
    off: [],
    set: segment("cs", guestSelector.code32, 0, FLAT, access.code32),
  },
  "32-bit": bits32,
  PAE: { ...bits32, set: { ...bits32.set, "guest.cr3": vmxMemory.guestPaePdpt, "guest.cr4": 0x2620 } },
  "32-bit user": {
    ...bits32,
    set: {
      ...bits32.set,
      ...stackSegments(guestSelector.userStack, 0, FLAT, access.userStack),
      ...segment("cs", guestSelector.userCode32, 0, FLAT, access.userCode32),
    },
  },
  "64-bit user": {
    codeSize: 64,
    codeAddress: vmxMemory.guestCode,
    on: [],
    off: [],
    set: {
      ...stackSegments(guestSelector.userStack, 0, FLAT, access.userStack),
      ...segment("cs", guestSelector.userCode64, 0, FLAT, access.userCode64),
    },
  },
  /** Protected mode without paging: unrestricted guest. */
  unpaged: {
    ...bits32,
    on: ["enableEPT", "unrestrictedGuest"],
    set: { ...bits32.set, "guest.cr0": 0x31, "guest.cr3": 0 },
  },
  /** Real-address mode: unrestricted guest. */
  real: {
    codeSize: 16,
    codeAddress: vmxMemory.lowCode,
    on: ["enableEPT", "unrestrictedGuest"],
    off: ["ia32eModeGuest"],
    set: {
      ...bits32.set,
      ...lowStack,
      "guest.cr0": 0x30,
      "guest.cr3": 0,
      "guest.cr4": 0x2600,
      ...stackSegments(vmxMemory.lowStack >> 4, vmxMemory.lowStack, 0xffff, access.stack16),
      ...segment("cs", vmxMemory.lowCode >> 4, vmxMemory.lowCode, 0xffff, access.code16),
      "guest.idtr.base": vmxMemory.lowVectors,
      "guest.idtr.limit": 0x3ff,
    },
  },
  "virtual-8086": {
    codeSize: 16,
    codeAddress: vmxMemory.lowCode,
    on: [],
    off: ["ia32eModeGuest"],
    set: {
      ...bits32.set,
      ...lowStack,
      "guest.rflags": 0x2_3002,
      ...stackSegments(vmxMemory.lowStack >> 4, vmxMemory.lowStack, 0xffff, access.v86),
      ...segment("cs", vmxMemory.lowCode >> 4, vmxMemory.lowCode, 0xffff, access.v86),
    },
  },
} as const satisfies Record<string, GuestMode>;

export type GuestModeName = keyof typeof guestModes;
