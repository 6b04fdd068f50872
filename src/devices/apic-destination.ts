import type { InterruptMessage } from "./apic-bus.ts";

/** What a local APIC answers to. */
export interface ApicAddress {
  readonly mode: "xAPIC" | "x2APIC";
  /** The x2APIC ID; its low 8 bits are the xAPIC ID. */
  readonly id: number;
  readonly LDR: number;
  readonly DFR: number;
}

/** Whether a message's destination names this local APIC: SDM Vol. 3, "Determining IPI Destination". */
export const isNamedBy = (
  { destination, destinationBits, logical }: InterruptMessage,
  { mode, id, LDR, DFR }: ApicAddress,
): boolean => {
  if (destination === (destinationBits === 8 ? 0xff : 0xffff_ffff)) return true;
  if (!logical) return destination === (mode === "x2APIC" ? id : id & 0xff);
  if (mode === "x2APIC") return destination >>> 16 === LDR >>> 16 && (destination & LDR & 0xffff) !== 0;
  const own = LDR >>> 24;
  const flat = DFR >>> 28 === 0xf;
  if (flat) return (destination & own & 0xff) !== 0;
  const cluster = (destination >>> 4) & 0xf;
  return (cluster === 0xf || cluster === own >>> 4) && (destination & own & 0xf) !== 0;
};
