import { DELIVERY_MODE, deliveryModeOf, type InterruptMessage } from "./apic-bus.ts";
import { ICR, SHORTHAND } from "./local-apic-registers.ts";

/** What a write to the interrupt command register asks for. */
export type IpiCommand =
  | { readonly to: "destination" | "self" | "all" | "others"; readonly message: InterruptMessage }
  | { readonly to: "illegal vector" }
  | { readonly to: "nobody" };

const targets = {
  [SHORTHAND.NONE]: "destination",
  [SHORTHAND.SELF]: "self",
  [SHORTHAND.ALL]: "all",
  [SHORTHAND.OTHERS]: "others",
} as const;

/** SDM Vol. 3, "Interrupt Command Register (ICR)": `low` is bits 31:0, `destination` the field above them. */
export const ipiOf = (low: number, destination: number, destinationBits: 8 | 32): IpiCommand => {
  const deliveryMode = deliveryModeOf(low);
  const vector = low & 0xff;
  if (deliveryMode === 3 || deliveryMode === DELIVERY_MODE.EXTINT) return { to: "nobody" }; // reserved in the ICR
  const usesVector = deliveryMode === DELIVERY_MODE.FIXED || deliveryMode === DELIVERY_MODE.LOWEST_PRIORITY;
  if (usesVector && vector < 16) return { to: "illegal vector" };
  // INIT level de-assert is a leftover of the APIC bus: it does nothing since the Pentium 4.
  if (deliveryMode === DELIVERY_MODE.INIT && (low & (ICR.LEVEL | ICR.ASSERT)) === ICR.LEVEL)
    return { to: "nobody" };
  return {
    to: targets[((low >>> ICR.SHORTHAND_SHIFT) & 3) as keyof typeof targets],
    message: {
      destination,
      destinationBits,
      logical: (low & ICR.LOGICAL) !== 0,
      deliveryMode,
      vector,
      levelTriggered: false, // the trigger mode is for INIT level de-assert alone
    },
  };
};
