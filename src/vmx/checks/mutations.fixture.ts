import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { vmcsRevision } from "../capabilities.ts";
import { currentVmcs, Entry, type FieldValues, type ValidEntry } from "./valid-entry.fixture.ts";

/**
 * For every check of VM entry a smallest violation: a valid VMCS of some shape, and what to write to it. The values are
 * made from those that are there, so that the same violations serve another valid VMCS of the same shape.
 */
export interface Mutation extends ValidEntry {
  /** The check that it violates. */
  readonly id: string;
  readonly writes: (
    read: (name: VmcsFieldName) => bigint,
    cpu: { readonly physicalAddressBits: number },
  ) => FieldValues;
  /** 32-bit words of memory by address. */
  readonly memory?: Readonly<Record<number, number>>;
  /** Checks that no VMCS can violate this one without. */
  readonly also?: readonly string[];
}

type Shape = Omit<Mutation, "id" | "writes">;

const nothing = (): FieldValues => ({});
const flip = (id: string, field: VmcsFieldName, bit: number, shape: Shape = {}): Mutation => ({
  id,
  writes: (read) => ({ [field]: read(field) ^ (1n << BigInt(bit)) }),
  ...shape,
});
const put = (id: string, fields: FieldValues, shape: Shape = {}): Mutation => ({
  id,
  writes: () => fields,
  ...shape,
});
const without = (
  id: string,
  control: ControlKey,
  missing: ControlKey,
  also?: readonly string[],
): Mutation => ({
  id,
  writes: nothing,
  with: [control],
  without: [missing],
  ...(also ? { also } : {}),
});
/** Far beyond every physical-address width. */
const beyond = 60;
const address = (
  id: string,
  field: VmcsFieldName,
  control: ControlKey,
  more: FieldValues = {},
): Mutation[] => [
  { id: `${id}-aligned`, with: [control], writes: (read) => ({ ...more, [field]: read(field) ^ 1n }) },
  {
    id: `${id}-width`,
    with: [control],
    writes: (read) => ({ ...more, [field]: read(field) ^ (1n << BigInt(beyond)) }),
  },
];
const msrArea = (id: string, count: VmcsFieldName, field: VmcsFieldName): Mutation[] => [
  put(`${id}-aligned`, { [count]: 1n, [field]: 0x1008n }),
  put(`${id}-width`, { [count]: 1n, [field]: 1n << BigInt(beyond) }, { also: [`${id}-end-width`] }),
  {
    id: `${id}-end-width`,
    writes: (_read, { physicalAddressBits }) => ({
      [count]: 2n,
      [field]: (1n << BigInt(physicalAddressBits)) - 16n,
    }),
  },
];

const information = "control.entryInterruptionInformation";
/** Events as the VM-entry interruption information has them. */
const [externalInterrupt, NMI, generalProtection, softwareInterrupt] = [
  0x8000_0020n,
  0x8000_0202n,
  0x8000_0b0dn,
  0x8000_0421n,
];
const IF = 0x202n;

const controls: readonly Mutation[] = [
  flip("pin-based-reserved", "control.pinBased", 1),
  flip("processor-based-reserved", "control.processorBased", 1),
  flip("secondary-reserved", "control.secondaryProcessorBased", 15, { with: ["activateSecondaryControls"] }),
  put(
    "tertiary-reserved",
    { "control.tertiaryProcessorBased": 1n },
    { with: ["activateTertiaryControls"], also: ["processor-based-reserved"] },
  ),
  put("cr3-target-count", { "control.cr3TargetCount": 5n }),
  ...address("io-bitmap-a", "control.ioBitmapA", "useIOBitmaps"),
  ...address("io-bitmap-b", "control.ioBitmapB", "useIOBitmaps"),
  ...address("msr-bitmaps", "control.msrBitmaps", "useMSRBitmaps"),
  ...address("virtual-apic", "control.virtualApicAddress", "useTPRShadow"),
  put("tpr-threshold-reserved", { "control.tprThreshold": 16n }, { with: ["useTPRShadow"] }),
  put("tpr-threshold-vtpr", { "control.tprThreshold": 1n }, { with: ["useTPRShadow"] }),
  without("virtual-nmis-need-nmi-exiting", "virtualNMIs", "nmiExiting"),
  without("nmi-window-needs-virtual-nmis", "nmiWindowExiting", "virtualNMIs"),
  ...address("apic-access", "control.apicAccessAddress", "virtualizeAPICAccesses"),
  without("x2apic-needs-tpr-shadow", "virtualizeX2APICMode", "useTPRShadow"),
  without("apic-registers-need-tpr-shadow", "apicRegisterVirtualization", "useTPRShadow"),
  without("delivery-needs-tpr-shadow", "virtualInterruptDelivery", "useTPRShadow"),
  {
    id: "x2apic-without-apic-accesses",
    writes: nothing,
    with: ["virtualizeX2APICMode", "virtualizeAPICAccesses"],
  },
  without(
    "delivery-needs-external-interrupt-exiting",
    "virtualInterruptDelivery",
    "externalInterruptExiting",
  ),
  without("posted-needs-delivery", "processPostedInterrupts", "virtualInterruptDelivery"),
  without("posted-needs-acknowledge", "processPostedInterrupts", "acknowledgeInterruptOnExit"),
  put(
    "posted-vector",
    { "control.postedInterruptNotificationVector": 0x100n },
    { with: ["processPostedInterrupts"] },
  ),
  ...address("posted-descriptor", "control.postedInterruptDescriptorAddress", "processPostedInterrupts"),
  put("vpid-not-zero", { "control.vpid": 0n }, { with: ["enableVPID"] }),
  {
    id: "eptp-memory-type",
    with: ["enableEPT"],
    writes: (read) => ({ "control.eptPointer": (read("control.eptPointer") & ~7n) | 1n }),
  },
  flip("eptp-walk-length", "control.eptPointer", 3, { with: ["enableEPT"] }),
  {
    id: "eptp-accessed-dirty",
    with: ["enableEPT"],
    model: { minus: ["eptAccessedDirty"] },
    writes: (read) => ({ "control.eptPointer": read("control.eptPointer") | 0x40n }),
  },
  flip("eptp-reserved", "control.eptPointer", 7, { with: ["enableEPT"] }),
  without("pml-needs-ept", "enablePML", "enableEPT"),
  ...address("pml", "control.pmlAddress", "enablePML"),
  without("unrestricted-needs-ept", "unrestrictedGuest", "enableEPT"),
  without("mode-based-execute-needs-ept", "modeBasedExecuteControl", "enableEPT"),
  without("sub-page-needs-ept", "subPageWritePermissions", "enableEPT", ["secondary-reserved"]),
  flip("vm-function-controls-reserved", "control.vmFunctionControls", 1, { with: ["enableVMFunctions"] }),
  put(
    "eptp-switching-needs-ept",
    { "control.vmFunctionControls": 1n },
    { with: ["enableVMFunctions"], without: ["enableEPT"] },
  ),
  ...address("eptp-list", "control.eptpListAddress", "enableVMFunctions", {
    "control.vmFunctionControls": 1n,
  }),
  ...address("vmread-bitmap", "control.vmreadBitmapAddress", "vmcsShadowing"),
  ...address("vmwrite-bitmap", "control.vmwriteBitmapAddress", "vmcsShadowing"),
  ...address("ve-information", "control.virtualizationExceptionInformationAddress", "eptViolationVE"),
  without("pt-guest-physical-needs-ept", "ptUsesGuestPhysicalAddresses", "enableEPT", ["secondary-reserved"]),
  put("tsc-multiplier-not-zero", { "control.tscMultiplier": 0n }, { with: ["useTSCScaling"] }),
  flip("exit-controls-reserved", "control.exitControls", 0),
  without("save-timer-needs-timer", "savePreemptionTimer", "activatePreemptionTimer"),
  ...msrArea("exit-msr-store", "control.exitMsrStoreCount", "control.exitMsrStoreAddress"),
  ...msrArea("exit-msr-load", "control.exitMsrLoadCount", "control.exitMsrLoadAddress"),
  flip("entry-controls-reserved", "control.entryControls", 0),
  put("injection-type", { [information]: 0x8000_0100n }),
  put("injection-vector", { [information]: 0x8000_0203n }),
  put("injection-deliver-error-code", {
    [information]: externalInterrupt | 0x800n,
    "guest.rflags": IF,
  }),
  put("injection-reserved", { [information]: externalInterrupt | 0x1000n, "guest.rflags": IF }),
  put("injection-error-code-reserved", {
    [information]: generalProtection,
    "control.entryExceptionErrorCode": 0x1_0000n,
  }),
  put("injection-length", { [information]: softwareInterrupt, "control.entryInstructionLength": 16n }),
  ...msrArea("entry-msr-load", "control.entryMsrLoadCount", "control.entryMsrLoadAddress"),
  {
    id: "smm-controls-outside-smm",
    writes: nothing,
    with: ["entryToSMM"],
    also: ["entry-controls-reserved", "guest-smi-blocking-entry-to-smm"],
  },
  {
    id: "smm-controls-not-both",
    writes: nothing,
    with: ["entryToSMM", "deactivateDualMonitor"],
    also: ["entry-controls-reserved", "smm-controls-outside-smm", "guest-smi-blocking-entry-to-smm"],
  },
];

const nonCanonical = (field: VmcsFieldName, id: string): Mutation => flip(id, field, 62);
const badPat = (id: string, field: VmcsFieldName, control: ControlKey): Mutation => ({
  id,
  with: [control],
  writes: (read) => ({ [field]: (read(field) & ~0xffn) | 2n }),
});
const cet = (side: "host" | "guest"): Mutation => ({
  id: `${side}-cet-needs-wp`,
  also: [`${side}-cr4-fixed-bits`],
  writes: (read) => ({
    [`${side}.cr4`]: read(`${side}.cr4`) | (1n << 23n),
    [`${side}.cr0`]: read(`${side}.cr0`) & ~0x1_0000n,
  }),
});

const legacyHost = { legacyHost: true, guest: "PAE" } as const;
const hostState: readonly Mutation[] = [
  flip("host-cr0-fixed-bits", "host.cr0", 5),
  flip("host-cr4-fixed-bits", "host.cr4", 13),
  cet("host"),
  flip("host-cr3-width", "host.cr3", beyond),
  nonCanonical("host.ia32SysenterEsp", "host-ia32-sysenter-esp-canonical"),
  nonCanonical("host.ia32SysenterEip", "host-ia32-sysenter-eip-canonical"),
  flip("host-perf-global-ctrl", "host.ia32PerfGlobalCtrl", 63, { with: ["loadHostPerfGlobalCtrl"] }),
  badPat("host-pat", "host.ia32Pat", "loadHostPAT"),
  flip("host-efer-reserved", "host.ia32Efer", 1, { with: ["loadHostEFER"] }),
  flip("host-efer-address-space", "host.ia32Efer", 10, { with: ["loadHostEFER"] }),
  ...(["es", "cs", "ss", "ds", "fs", "gs", "tr"] as const).map((register) =>
    flip(`host-${register}-selector`, `host.${register}.selector`, 0),
  ),
  put("host-cs-not-null", { "host.cs.selector": 0n }),
  put("host-tr-not-null", { "host.tr.selector": 0n }),
  put("host-ss-not-null", { "host.ss.selector": 0n }, legacyHost),
  ...(["fs", "gs", "gdtr", "idtr", "tr"] as const).map((register) =>
    nonCanonical(`host.${register}.base`, `host-${register}-base-canonical`),
  ),
  { id: "legacy-host-ia32e-guest", legacyHost: true, writes: nothing, also: ["host32-ia32e-guest"] },
  {
    id: "host-address-space-size",
    guest: "PAE",
    without: ["hostAddressSpaceSize"],
    writes: nothing,
  },
  {
    id: "host32-ia32e-guest",
    without: ["hostAddressSpaceSize"],
    writes: nothing,
    also: ["host-address-space-size"],
  },
  flip("host32-pcide", "host.cr4", 17, legacyHost),
  flip("host32-rip", "host.rip", 32, legacyHost),
  flip("host64-pae", "host.cr4", 5),
  nonCanonical("host.rip", "host64-rip"),
];

const guestRegisters: readonly Mutation[] = [
  flip("guest-cr0-fixed-bits", "guest.cr0", 5),
  flip("guest-paging-needs-protection", "guest.cr0", 0, { with: ["unrestrictedGuest"] }),
  flip("guest-cr4-fixed-bits", "guest.cr4", 13),
  cet("guest"),
  flip("guest-debugctl", "guest.ia32Debugctl", 40, { with: ["loadDebugControls"] }),
  flip("ia32e-guest-paging", "guest.cr4", 5),
  flip("legacy-guest-pcide", "guest.cr4", 17, { guest: "PAE" }),
  flip("guest-cr3-width", "guest.cr3", beyond),
  flip("guest-dr7", "guest.dr7", 32, { with: ["loadDebugControls"] }),
  nonCanonical("guest.ia32SysenterEsp", "guest-ia32-sysenter-esp-canonical"),
  nonCanonical("guest.ia32SysenterEip", "guest-ia32-sysenter-eip-canonical"),
  flip("guest-perf-global-ctrl", "guest.ia32PerfGlobalCtrl", 63, { with: ["loadGuestPerfGlobalCtrl"] }),
  badPat("guest-pat", "guest.ia32Pat", "loadGuestPAT"),
  flip("guest-efer-reserved", "guest.ia32Efer", 1, { with: ["loadGuestEFER"] }),
  {
    id: "guest-efer-lma",
    with: ["loadGuestEFER"],
    writes: (read) => ({ "guest.ia32Efer": read("guest.ia32Efer") ^ 0x500n }),
  },
  flip("guest-efer-lme", "guest.ia32Efer", 8, { with: ["loadGuestEFER"] }),
];

type Register = "cs" | "ss" | "ds" | "es" | "fs" | "gs";
const codeOrData: readonly Register[] = ["cs", "ss", "ds", "es", "fs", "gs"];
const dataOnly = ["ds", "es", "fs", "gs"] as const;
const ofType =
  (register: Register, type: bigint, more = 0n) =>
  (read: (name: VmcsFieldName) => bigint): FieldValues => ({
    [`guest.${register}.access`]: (read(`guest.${register}.access`) & ~15n) | type | more,
  });
const virtual8086 = { guest: "virtual-8086" } as const;
/** LDTR in use, but for one thing. */
const ldtr = (id: string, fields: FieldValues): Mutation =>
  put(id, { "guest.ldtr.access": 0x82n, "guest.ldtr.limit": 0xfffn, ...fields });

const accessFlips: readonly (readonly [string, number])[] = [
  ["s", 4],
  ["p", 7],
  ["reserved-low", 8],
  ["reserved-high", 20],
];

const guestSegments: readonly Mutation[] = [
  flip("guest-tr-selector-ti", "guest.tr.selector", 2),
  ldtr("guest-ldtr-selector-ti", { "guest.ldtr.selector": 4n }),
  flip("guest-ss-rpl", "guest.cs.selector", 0),
  ...codeOrData.flatMap((register) => [
    flip(`guest-${register}-base-v86`, `guest.${register}.base`, 4, virtual8086),
    flip(`guest-${register}-limit-v86`, `guest.${register}.limit`, 0, virtual8086),
    flip(`guest-${register}-access-v86`, `guest.${register}.access`, 12, virtual8086),
    flip(`guest-${register}-g-large`, `guest.${register}.access`, 15),
    {
      id: `guest-${register}-g-fine`,
      writes: (read) => ({ [`guest.${register}.limit`]: read(`guest.${register}.limit`) & ~0xfffn }),
    } satisfies Mutation,
    ...accessFlips.map(([name, bit]) => flip(`guest-${register}-${name}`, `guest.${register}.access`, bit)),
  ]),
  ...(["tr", "fs", "gs"] as const).map((register) =>
    nonCanonical(`guest.${register}.base`, `guest-${register}-base-canonical`),
  ),
  ldtr("guest-ldtr-base-canonical", { "guest.ldtr.base": 1n << 62n }),
  ...(["cs", "ss", "ds", "es"] as const).map((register) =>
    flip(`guest-${register}-base-high`, `guest.${register}.base`, 32),
  ),
  flip("guest-cs-type", "guest.cs.access", 0),
  flip("guest-ss-type", "guest.ss.access", 1),
  ...dataOnly.flatMap((register) => [
    flip(`guest-${register}-accessed`, `guest.${register}.access`, 0),
    { id: `guest-${register}-readable`, writes: ofType(register, 9n) },
    put(`guest-${register}-dpl`, { [`guest.${register}.selector`]: 0x13n }),
  ]),
  { id: "guest-cs-dpl-data", with: ["unrestrictedGuest"], writes: ofType("cs", 3n, 0x60n) },
  flip("guest-cs-dpl-non-conforming", "guest.cs.access", 5),
  { id: "guest-cs-dpl-conforming", writes: ofType("cs", 15n, 0x20n) },
  {
    id: "guest-ss-dpl-rpl",
    writes: (read) => ({ ...ofType("cs", 15n)(read), ...ofType("ss", 3n, 0x20n)(read) }),
  },
  {
    id: "guest-ss-dpl-real",
    guest: "real",
    writes: (read) => ({ ...ofType("cs", 15n)(read), ...ofType("ss", 3n, 0x20n)(read) }),
  },
  flip("guest-cs-d-with-l", "guest.cs.access", 14),
  flip("guest-tr-type", "guest.tr.access", 1),
  ...accessFlips.map(([name, bit]) => flip(`guest-tr-${name}`, "guest.tr.access", bit)),
  flip("guest-tr-g-fine", "guest.tr.access", 15),
  flip("guest-tr-g-large", "guest.tr.limit", 20),
  flip("guest-tr-usable", "guest.tr.access", 16),
  ldtr("guest-ldtr-type", { "guest.ldtr.access": 0x83n }),
  ...accessFlips.map(([name, bit]) =>
    ldtr(`guest-ldtr-${name}`, { "guest.ldtr.access": 0x82n ^ (1n << BigInt(bit)) }),
  ),
  ldtr("guest-ldtr-g-fine", { "guest.ldtr.access": 0x8082n, "guest.ldtr.limit": 0x1000n }),
  ldtr("guest-ldtr-g-large", { "guest.ldtr.limit": 0x10_0fffn }),
];

/** The 64-bit guest at privilege level 3. */
const userMode = (read: (name: VmcsFieldName) => bigint): FieldValues => ({
  "guest.cs.selector": read("guest.cs.selector") | 3n,
  "guest.cs.access": read("guest.cs.access") | 0x60n,
  "guest.ss.selector": read("guest.ss.selector") | 3n,
  "guest.ss.access": read("guest.ss.access") | 0x60n,
});
const linked = 0x7000;

const guestRest: readonly Mutation[] = [
  nonCanonical("guest.gdtr.base", "guest-gdtr-base-canonical"),
  nonCanonical("guest.idtr.base", "guest-idtr-base-canonical"),
  flip("guest-gdtr-limit", "guest.gdtr.limit", 16),
  flip("guest-idtr-limit", "guest.idtr.limit", 16),
  flip("guest-rip-32", "guest.rip", 32, { guest: "PAE" }),
  flip("guest-rip-64", "guest.rip", 50),
  flip("guest-rflags-reserved", "guest.rflags", 3),
  {
    id: "guest-rflags-vm",
    guest: "virtual-8086",
    with: ["unrestrictedGuest"],
    writes: (read) => ({ "guest.cr0": read("guest.cr0") & ~0x8000_0001n }),
  },
  put("guest-rflags-if", { [information]: externalInterrupt, "guest.rflags": 2n }),
  put("guest-activity", { "guest.activity": 4n }),
  {
    id: "guest-activity-hlt-dpl",
    writes: (read) => ({ ...userMode(read), "guest.activity": 1n }),
  },
  put("guest-activity-blocking", { "guest.activity": 1n, "guest.interruptibility": 2n }),
  put("guest-activity-injection", { "guest.activity": 3n, [information]: NMI }),
  put(
    "guest-activity-smm",
    { "guest.activity": 3n },
    {
      with: ["entryToSMM"],
      also: ["entry-controls-reserved", "smm-controls-outside-smm", "guest-smi-blocking-entry-to-smm"],
    },
  ),
  flip("guest-interruptibility-reserved", "guest.interruptibility", 5),
  put("guest-interruptibility-both", { "guest.interruptibility": 3n, "guest.rflags": IF }),
  put("guest-sti-blocking-if", { "guest.interruptibility": 1n, "guest.rflags": 2n }),
  put("guest-blocking-external-interrupt", {
    "guest.interruptibility": 2n,
    "guest.rflags": IF,
    [information]: externalInterrupt,
  }),
  put("guest-mov-ss-blocking-nmi", { "guest.interruptibility": 2n, [information]: NMI }),
  put("guest-smi-blocking-outside-smm", { "guest.interruptibility": 4n }),
  {
    id: "guest-smi-blocking-entry-to-smm",
    writes: nothing,
    with: ["entryToSMM"],
    also: ["entry-controls-reserved", "smm-controls-outside-smm"],
  },
  put("guest-sti-blocking-nmi", { "guest.interruptibility": 1n, "guest.rflags": IF, [information]: NMI }),
  put(
    "guest-nmi-blocking-nmi",
    { "guest.interruptibility": 8n, [information]: NMI },
    { with: ["virtualNMIs"] },
  ),
  put("guest-enclave-interruption", { "guest.interruptibility": 0x10n }),
  flip("guest-pending-debug-reserved", "guest.pendingDebugExceptions", 4),
  put("guest-pending-bs-set", { "guest.interruptibility": 2n, "guest.rflags": 0x102n }),
  put("guest-pending-bs-clear", {
    "guest.interruptibility": 2n,
    "guest.pendingDebugExceptions": 0x4000n,
  }),
  put("guest-pending-rtm", { "guest.pendingDebugExceptions": 0x1_1000n }),
  put("link-pointer-aligned", { "guest.vmcsLinkPointer": 0x7001n }),
  put("link-pointer-width", { "guest.vmcsLinkPointer": 1n << BigInt(beyond) }),
  put(
    "link-pointer-revision",
    { "guest.vmcsLinkPointer": BigInt(linked) },
    { memory: { [linked]: vmcsRevision + 1 } },
  ),
  put(
    "link-pointer-shadow",
    { "guest.vmcsLinkPointer": BigInt(linked) },
    { memory: { [linked]: (vmcsRevision | 0x8000_0000) >>> 0 } },
  ),
  put(
    "link-pointer-current",
    { "guest.vmcsLinkPointer": currentVmcs },
    { memory: { [Number(currentVmcs)]: vmcsRevision } },
  ),
  ...([0, 1, 2, 3] as const).map((n) =>
    put(`guest-pdpte${n}`, { [`guest.pdpte${n}`]: 3n }, { guest: "PAE", with: ["enableEPT"] }),
  ),
];

export const mutations: readonly Mutation[] = [
  ...controls,
  ...hostState,
  ...guestRegisters,
  ...guestSegments,
  ...guestRest,
];

/** The valid VMCS of a mutation's shape, with the mutation done. */
export const mutated = (mutation: Mutation): Entry => {
  const entry = new Entry(mutation);
  for (const [at, word] of Object.entries(mutation.memory ?? {})) entry.memory.set(BigInt(at), word);
  entry.set(mutation.writes((name) => entry.read(name), entry.model));
  return entry;
};
