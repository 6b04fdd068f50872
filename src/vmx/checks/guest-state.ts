import type { Check } from "./check.ts";
import { guestNonRegisterState } from "./guest-non-register.ts";
import { pageDirectoryPointers } from "./guest-pdptes.ts";
import { guestControlRegisters, guestDescriptorTables, guestRipAndFlags } from "./guest-registers.ts";
import { guestSegments } from "./guest-segments.ts";

/** SDM Vol. 3, "Checks on the Guest State Area", in its order. */
export const guestState: readonly Check[] = [
  ...guestControlRegisters,
  ...guestSegments,
  ...guestDescriptorTables,
  ...guestRipAndFlags,
  ...guestNonRegisterState,
  ...pageDirectoryPointers,
];
