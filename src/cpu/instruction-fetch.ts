import { Exception } from "../arch/exceptions.ts";
import { decode } from "../isa/decode.ts";
import type { DecodeFault, DecodeIncomplete, DecodeMode, Instruction } from "../isa/instruction.ts";
import { type Core, Fault } from "./core.ts";
import { cpl, isCanonical } from "./mode.ts";
import { Access, type Translation, walk } from "./page-walk.ts";

const bytes = new Uint8Array(16);

/** Fetch and decode the instruction at CS:RIP, across pages if need be. */
export const fetchInstruction = (core: Core, mode: DecodeMode): Instruction | Fault => {
  const { state, model, physical } = core;
  const long = mode.codeSize === 64;
  const rip = state.RIP;
  const limit = long ? 15 : Math.min(15, state["CS.limit"] - Number(rip) + 1);
  if (limit <= 0 || (long && !isCanonical(rip, model.linearAddressBits))) return new Fault(Exception.GP, 0);
  let have = 0;
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
    const decoded: Instruction | DecodeFault | DecodeIncomplete = decode(bytes, 0, have, mode, (feature) =>
      model.has(feature),
    );
    if ("row" in decoded) return decoded;
    if (decoded.kind === "fault")
      return decoded.vector === Exception.UD ? new Fault(Exception.UD) : new Fault(Exception.GP, 0);
    if (have >= limit) return new Fault(Exception.GP, 0);
  }
};
