import { Exception } from "../arch/exceptions.ts";
import { decode } from "../isa/decode.ts";
import type { DecodeFault, DecodeIncomplete, DecodeMode, Instruction } from "../isa/instruction.ts";
import { type Core, Fault } from "./core.ts";
import { cpl, isCanonical } from "./mode.ts";
import { Access, type Translation, walk } from "./page-walk.ts";

const bytes = new Uint8Array(16);

interface CutInstruction {
  readonly mode: DecodeMode;
  readonly bytes: Uint8Array;
  readonly instruction: Instruction;
}

/** Instructions that two pages have parts of, decoded before, by the low half of RIP: hot loops meet the same ones again and again. */
export class CutInstructions {
  readonly #known: (CutInstruction | undefined)[] = new Array(256).fill(undefined);

  /** The one there whose first bytes are those of `bytes`, and whose length is more than that. */
  begun(rip: number, mode: DecodeMode, have: number): CutInstruction | undefined {
    const known = this.#known[placeOf(rip)];
    if (known === undefined || known.mode !== mode || known.bytes.length <= have) return undefined;
    return agree(known.bytes, 0, have) ? known : undefined;
  }

  enter(rip: number, mode: DecodeMode, instruction: Instruction): void {
    this.#known[placeOf(rip)] = { mode, bytes: bytes.slice(0, instruction.length), instruction };
  }
}

/** They end on a page's last bytes: what tells them apart is the page. */
const placeOf = (rip: number): number => (rip >>> 12) & 0xff;

const agree = (known: Uint8Array, from: number, to: number): boolean => {
  for (let n = from; n < to; n++) if (known[n] !== bytes[n]) return false;
  return true;
};

/** Fetch and decode the instruction at CS:RIP, across pages if need be. */
export const fetchInstruction = (
  core: Core,
  mode: DecodeMode,
  cut?: CutInstructions,
): Instruction | Fault => {
  const { state, model, physical } = core;
  const long = mode.codeSize === 64;
  const rip = state.RIP;
  const limit = long ? 15 : Math.min(15, state["CS.limit"] - Number(rip) + 1);
  if (limit <= 0 || (long && !isCanonical(rip, model.linearAddressBits))) return new Fault(Exception.GP, 0);
  let have = 0;
  let begun: CutInstruction | undefined;
  for (;;) {
    const linear = long
      ? BigInt.asUintN(64, rip + BigInt(have))
      : (rip + state["CS.base"] + BigInt(have)) & 0xffff_ffffn;
    if (long && !isCanonical(linear, model.linearAddressBits)) return new Fault(Exception.GP, 0);
    const translation: Translation | Fault = walk(
      core,
      Number(linear >> 32n),
      Number(linear & 0xffff_ffffn),
      Access.FETCH | (cpl(state) === 3 ? Access.USER : 0),
    );
    if (translation instanceof Fault) return translation;
    const { address } = translation;
    if (translation.apicAccess) {
      const refused = core.vmx!.apicAccess(address % 4096, 1, Access.FETCH);
      if (refused instanceof Fault) return refused;
    }
    const count = Math.min(limit - have, 4096 - (address % 4096));
    for (let n = 0; n < count; n++) bytes[have + n] = physical.read(address + n, 1);
    have += count;
    if (cut !== undefined && have === count && have < limit) {
      begun = cut.begun(Number(rip & 0xffff_ffffn), mode, have);
      if (begun !== undefined) continue;
    } else if (begun !== undefined && begun.bytes.length <= have && agree(begun.bytes, 0, begun.bytes.length))
      return begun.instruction;
    const decoded: Instruction | DecodeFault | DecodeIncomplete = decode(bytes, 0, have, mode, (feature) =>
      model.has(feature),
    );
    if ("row" in decoded) {
      if (cut !== undefined && have > count) cut.enter(Number(rip & 0xffff_ffffn), mode, decoded);
      return decoded;
    }
    if (decoded.kind === "fault")
      return decoded.vector === Exception.UD ? new Fault(Exception.UD) : new Fault(Exception.GP, 0);
    if (have >= limit) return new Fault(Exception.GP, 0);
  }
};
