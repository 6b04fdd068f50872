/** Flag control: SDM Vol. 1, "Flag Control (EFLAG) Instructions". */
import { Exception } from "../../arch/exceptions.ts";
import { concat, FALSE, TRUE, type Value } from "../../ir/value.ts";
import { defineWith } from "../define.ts";
import { actsOnVIF, currentPrivilege, IOPL } from "./privilege.ts";

export const CLC = defineWith("CLC", (frame) => frame.flags({ CF: FALSE }));
export const STC = defineWith("STC", (frame) => frame.flags({ CF: TRUE }));
export const CMC = defineWith("CMC", (frame) => frame.flags({ CF: frame.flag("CF").not() }));
export const CLD = defineWith("CLD", (frame) => frame.flags({ DF: FALSE }));
export const STD = defineWith("STD", (frame) => frame.flags({ DF: TRUE }));

/** CLI: with CPL <= IOPL clears IF; else VIF where interrupts are virtualised; else #GP(0). */
export const CLI = defineWith("CLI", (frame) => {
  const allowed = IOPL(frame).below(currentPrivilege(frame)).not();
  frame.fault(Exception.GP, allowed.or(actsOnVIF(frame)).not(), 0);
  frame.flags({ IF: frame.flag("IF").and(allowed.not()), VIF: frame.flag("VIF").and(allowed) });
});

/** STI: the counterpart of CLI; #GP(0) when VIF would be set with VIP pending. Interrupts wait for one more instruction. */
export const STI = defineWith("STI", (frame) => {
  const allowed = IOPL(frame).below(currentPrivilege(frame)).not();
  frame.fault(Exception.GP, allowed.or(actsOnVIF(frame).and(frame.flag("VIP").not())).not(), 0);
  frame.flags({ IF: frame.flag("IF").or(allowed), VIF: frame.flag("VIF").or(allowed.not()) });
  const enables = allowed.and(frame.flag("IF").not());
  frame.interruptShadow(enables);
  frame.attention(enables);
});

/** CLAC and STAC: #UD outside CPL 0. */
const alignmentCheckFlag = (mnemonic: string, AC: Value) =>
  defineWith(mnemonic, (frame) => {
    frame.fault(Exception.UD, currentPrivilege(frame).isZero().not());
    frame.flags({ AC });
  });
export const CLAC = alignmentCheckFlag("CLAC", FALSE);
export const STAC = alignmentCheckFlag("STAC", TRUE);

/** LAHF: AH <- SF:ZF:0:AF:0:PF:1:CF. */
export const LAHF = defineWith("LAHF", (frame) =>
  frame.set("RAX", concat(frame.rflags().truncate(8), frame.register("RAX", 8))),
);

export const SAHF = defineWith("SAHF", (frame) => {
  const AH = frame.register("RAX", 16).extract(8, 8);
  frame.flags({ SF: AH.bit(7), ZF: AH.bit(6), AF: AH.bit(4), PF: AH.bit(2), CF: AH.bit(0) });
});
