import { CR4, IA32_EFER } from "../../arch/control-registers.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { type Check, hex, isCanonicalHere, lowOf } from "./check.ts";
import {
  canonicalRow, cetRow, cr3Row, definedEfer, fixedBitsRow, msrReservedRow, patRow,
} from "./register-rows.ts"; // biome-ignore format: one list

/** SDM Vol. 3, the checks on the host-state area, in its order; those on address-space size come last, as in the manual. */

const registers = "Checks on Host Control Registers, MSRs, and SSP";
const segments = "Checks on Host Segment and Descriptor-Table Registers";
const addressSpace = "Checks Related to Address-Space Size";

const nothingIgnored = { bits: () => 0n, consults: [] } as const;

const controlRegisters: readonly Check[] = [
  fixedBitsRow("host.cr0", registers, nothingIgnored),
  fixedBitsRow("host.cr4", registers, nothingIgnored),
  cetRow("host", registers),
  cr3Row("host", registers),
  canonicalRow("host.ia32SysenterEsp", registers, "Host IA32_SYSENTER_ESP"),
  canonicalRow("host.ia32SysenterEip", registers, "Host IA32_SYSENTER_EIP"),
  msrReservedRow(
    "host-perf-global-ctrl",
    "host.ia32PerfGlobalCtrl",
    registers,
    "IA32_PERF_GLOBAL_CTRL",
    "loadHostPerfGlobalCtrl",
    ({ cpu }) => cpu.perfGlobalCtrl,
  ),
  patRow("host", registers, "loadHostPAT"),
  msrReservedRow("host-efer-reserved", "host.ia32Efer", registers, "IA32_EFER", "loadHostEFER", definedEfer),
  {
    id: "host-efer-address-space",
    sdm: registers,
    says: 'LMA and LME of host IA32_EFER must each equal "host address-space size" if "load IA32_EFER" is 1',
    reads: ["host.ia32Efer", "control.exitControls"],
    consults: ["loadHostEFER", "hostAddressSpaceSize"],
    holds: ({ controls, vmcs }) => {
      if (!controls.loadHostEFER) return true;
      const wanted = controls.hostAddressSpaceSize ? IA32_EFER.LMA | IA32_EFER.LME : 0n;
      return (vmcs.host.ia32Efer & (IA32_EFER.LMA | IA32_EFER.LME)) === wanted;
    },
    hint: ({ controls }) =>
      controls.hostAddressSpaceSize ? "set bits 8 (LME) and 10 (LMA)" : "clear bits 8 (LME) and 10 (LMA)",
  },
];

const selectors = ["es", "cs", "ss", "ds", "fs", "gs", "tr"] as const;
const selectorField = (register: (typeof selectors)[number]): VmcsFieldName => `host.${register}.selector`;

const selectorRows: readonly Check[] = [
  ...selectors.map((register): Check => {
    const selector = lowOf(selectorField(register));
    return {
      id: `host-${register}-selector`,
      sdm: segments,
      says: `RPL and TI flag (bits 2:0) of the host ${register.toUpperCase()} selector must be 0`,
      reads: [selectorField(register)],
      consults: [],
      holds: (facts) => (selector(facts) & 7) === 0,
      hint: (facts) => `use ${hex(selector(facts) & 0xfff8)}: a selector of the GDT with RPL 0`,
      allowed: () => ({
        field: selectorField(register),
        mustBe1: 0n,
        mustBe0: 7n,
        from: "RPL and TI of a selector",
      }),
    };
  }),
  ...(["cs", "tr"] as const).map((register): Check => {
    const selector = lowOf(selectorField(register));
    return {
      id: `host-${register}-not-null`,
      sdm: segments,
      says: `The host ${register.toUpperCase()} selector must not be 0000H`,
      reads: [selectorField(register)],
      consults: [],
      holds: (facts) => selector(facts) !== 0,
      hint: () =>
        register === "cs"
          ? "write the selector that the VMM runs with"
          : "load TR with LTR, then write STR's value",
    };
  }),
  {
    id: "host-ss-not-null",
    sdm: segments,
    says: 'The host SS selector must not be 0000H if "host address-space size" is 0',
    reads: ["host.ss.selector", "control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: ({ controls, vmcs }) => controls.hostAddressSpaceSize || vmcs.host.ss.selector !== 0n,
    hint: () => "write the selector that the VMM runs with",
  },
];

const bases: readonly Check[] = [
  canonicalRow("host.fs.base", segments, "Host FS base"),
  canonicalRow("host.gs.base", segments, "Host GS base"),
  canonicalRow("host.gdtr.base", segments, "Host GDTR base"),
  canonicalRow("host.idtr.base", segments, "Host IDTR base"),
  canonicalRow("host.tr.base", segments, "Host TR base"),
];

const addressSpaceSize: readonly Check[] = [
  {
    id: "legacy-host-ia32e-guest",
    sdm: addressSpace,
    says: 'Outside IA-32e mode (IA32_EFER.LMA is 0 at VM entry), "IA-32e mode guest" must be 0',
    reads: ["control.entryControls"],
    consults: ["ia32eModeGuest"],
    holds: (facts) => !facts.controls.ia32eModeGuest || facts.inIa32eMode,
    hint: () => "a VMM outside IA-32e mode cannot run a 64-bit guest: clear bit 9 of the VM-entry controls",
  },
  {
    id: "host-address-space-size",
    sdm: addressSpace,
    says: '"Host address-space size" must equal IA32_EFER.LMA at VM entry',
    reads: ["control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: (facts) => facts.controls.hostAddressSpaceSize === facts.inIa32eMode,
    hint: (facts) =>
      facts.inIa32eMode
        ? "the VMM is in IA-32e mode: set bit 9 of the VM-exit controls"
        : "the VMM is not in IA-32e mode: clear bit 9 of the VM-exit controls",
  },
  {
    id: "host32-ia32e-guest",
    sdm: addressSpace,
    says: 'If "host address-space size" is 0, "IA-32e mode guest" must be 0',
    reads: ["control.exitControls", "control.entryControls"],
    consults: ["hostAddressSpaceSize", "ia32eModeGuest"],
    holds: ({ controls }) => controls.hostAddressSpaceSize || !controls.ia32eModeGuest,
    hint: () => "set bit 9 of the VM-exit controls, or clear bit 9 of the VM-entry controls",
  },
  {
    id: "host32-pcide",
    sdm: addressSpace,
    says: 'If "host address-space size" is 0, host CR4.PCIDE must be 0',
    reads: ["host.cr4", "control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: ({ controls, vmcs }) => controls.hostAddressSpaceSize || (vmcs.host.cr4 & CR4.PCIDE) === 0n,
    hint: () => "clear bit 17 of host CR4",
  },
  {
    id: "host32-rip",
    sdm: addressSpace,
    says: 'If "host address-space size" is 0, bits 63:32 of host RIP must be 0',
    reads: ["host.rip", "control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: ({ controls, vmcs }) => controls.hostAddressSpaceSize || vmcs.host.rip >> 32n === 0n,
    hint: () => 'give a 32-bit address, or set "host address-space size"',
  },
  {
    id: "host64-pae",
    sdm: addressSpace,
    says: 'If "host address-space size" is 1, host CR4.PAE must be 1',
    reads: ["host.cr4", "control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: ({ controls, vmcs }) => !controls.hostAddressSpaceSize || (vmcs.host.cr4 & CR4.PAE) !== 0n,
    hint: () => "set bit 5 of host CR4",
  },
  {
    id: "host64-rip",
    sdm: addressSpace,
    says: 'If "host address-space size" is 1, host RIP must be a canonical address',
    reads: ["host.rip", "control.exitControls"],
    consults: ["hostAddressSpaceSize"],
    holds: (facts) => !facts.controls.hostAddressSpaceSize || isCanonicalHere(facts, facts.vmcs.host.rip),
    hint: () => "give the linear address of the VM-exit entry point",
  },
];

export const hostState: readonly Check[] = [
  ...controlRegisters,
  ...selectorRows,
  ...bases,
  ...addressSpaceSize,
];
