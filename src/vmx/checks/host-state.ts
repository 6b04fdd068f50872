import { bitList, type Check, hex, respects } from "./check.ts";

/** SDM Vol. 3, "Checks on Host Control Registers, MSRs, and SSP" and the sections after it, in its order. */

const registers = "Checks on Host Control Registers, MSRs, and SSP";

export const hostState: readonly Check[] = [
  {
    id: "host-cr0-fixed-bits",
    sdm: registers,
    says: "Host CR0 must not set any bit to a value not supported in VMX operation",
    reads: ["host.cr0"],
    consults: [],
    holds: ({ vmcs, capability }) => respects(vmcs.host.cr0, capability.cr0),
    hint: ({ vmcs: { host }, capability: { cr0 } }) =>
      `change ${bitList((cr0.fixed0 & ~host.cr0) | (host.cr0 & ~cr0.fixed1))}: ${hex((host.cr0 | cr0.fixed0) & cr0.fixed1)} would do`,
    allowed: ({ capability: { cr0 } }) => ({
      field: "host.cr0",
      mustBe1: cr0.fixed0,
      mustBe0: BigInt.asUintN(64, ~cr0.fixed1),
      from: "IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1",
    }),
  },
];
