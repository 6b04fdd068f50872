import type { Check } from "./check.ts";

/** SDM Vol. 3, "Checks on the Guest State Area", in its order. */
export const guestState: readonly Check[] = [];
