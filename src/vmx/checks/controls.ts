import type { Check } from "./check.ts";

/** SDM Vol. 3, "Checks on VMX Controls", in its order. */
export const controls: readonly Check[] = [];
