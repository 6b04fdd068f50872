import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import type { DecodeMode, Instruction } from "../../isa/instruction.ts";
import { type GuestPaging, guestPhysical, type PagedMemory } from "./guest-paging.ts";

/** Guest-physical memory, by doublewords and by bytes. */
export interface InstructionMemory extends PagedMemory {
  readBytes(address: number, length: number): Uint8Array;
}

/** The instruction at a linear address of the guest, as far as its bytes are mapped; undefined: there is none. */
export const guestInstruction = (
  memory: InstructionMemory,
  paging: GuestPaging,
  linear: bigint,
  mode: DecodeMode,
  model: { has(feature: string): boolean },
): Instruction | undefined => {
  const bytes = new Uint8Array(MAXIMUM_LENGTH);
  let have = 0;
  while (have < MAXIMUM_LENGTH) {
    const address = guestPhysical(memory, paging, linear + BigInt(have));
    if (address === undefined) break;
    const count = Math.min(MAXIMUM_LENGTH - have, 4096 - (address % 4096));
    bytes.set(memory.readBytes(address, count), have);
    have += count;
  }
  const decoded = decode(bytes, 0, have, mode, (feature) => model.has(feature));
  return "row" in decoded ? decoded : undefined;
};
