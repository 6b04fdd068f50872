/** Decimal arithmetic: SDM Vol. 1, "Decimal Arithmetic Instructions". Not valid in 64-bit mode. */
import { Exception } from "../../arch/exceptions.ts";
import { concat, FALSE, select, type Value } from "../../ir/value.ts";
import { defineWith, undefinedFlag } from "../define.ts";
import { flagsOfSum } from "./arithmetic.ts";
import { statusOf } from "./status.ts";

const lowDigitOver9 = (AL: Value): Value => AL.from(9).below(AL.and(0x0f));

/** DAA, DAS: correct AL after adding or subtracting packed BCD. */
const decimalAdjust = (
  mnemonic: string,
  correct: (AL: Value, by: Value) => Value,
  carries: (AL: Value, by6: Value) => Value,
) =>
  defineWith(mnemonic, (frame) => {
    const AL = frame.register("RAX", 8);
    const low = lowDigitOver9(AL).or(frame.flag("AF"));
    const high = AL.from(0x99).below(AL).or(frame.flag("CF"));
    const by = select(low, AL.from(6), AL.from(0)).add(select(high, AL.from(0x60), AL.from(0)));
    const result = correct(AL, by);
    frame.set("RAX", result);
    frame.flags({ ...statusOf(result), AF: low, CF: high.or(carries(AL, low)), OF: undefinedFlag });
  });
export const DAA = decimalAdjust(
  "DAA",
  (AL, by) => AL.add(by),
  () => FALSE,
);
export const DAS = decimalAdjust(
  "DAS",
  (AL, by) => AL.sub(by),
  (AL, low) => low.and(AL.below(6)),
);

/** AAA, AAS: correct AX after adding or subtracting unpacked BCD. OF, SF, ZF and PF are undefined; they follow AL. */
const asciiAdjust = (mnemonic: string, correct: (AX: Value) => Value) =>
  defineWith(mnemonic, (frame) => {
    const AX = frame.register("RAX", 16);
    const adjust = lowDigitOver9(AX.truncate(8)).or(frame.flag("AF"));
    const result = select(adjust, correct(AX), AX).and(0xff0f);
    frame.set("RAX", result);
    frame.flags({ ...statusOf(result.truncate(8)), AF: adjust, CF: adjust, OF: undefinedFlag });
  });
export const AAA = asciiAdjust("AAA", (AX) => AX.add(0x106));
export const AAS = asciiAdjust("AAS", (AX) => AX.sub(0x106));

/** AAM: AH <- AL / imm8, AL <- AL mod imm8. #DE when imm8 is 0. OF, AF and CF are undefined; cleared. */
export const AAM = defineWith("AAM", (frame, base) => {
  const AL = frame.register("RAX", 8);
  frame.fault(Exception.DE, base!.isZero());
  const result = AL.remUnsigned(base!);
  frame.set("RAX", concat(AL.divUnsigned(base!), result));
  frame.flags({ ...statusOf(result), OF: undefinedFlag, AF: undefinedFlag, CF: undefinedFlag });
});

/** AAD: AL <- AL + AH * imm8, AH <- 0. OF, AF and CF are undefined; they are those of the addition. */
export const AAD = defineWith("AAD", (frame, base) => {
  const AX = frame.register("RAX", 16);
  const AL = AX.extract(0, 8);
  const tens = AX.extract(8, 8).mul(base!);
  const result = AL.add(tens);
  frame.set("RAX", result.zeroExtend(16));
  frame.flags(flagsOfSum(AL, tens, result, result.below(tens)));
});

/** SALC: AL <- CF ? FFH : 0. Not in the opcode map of the SDM; every Intel CPU has it. */
export const SALC = defineWith("SALC", (frame) => frame.set("RAX", frame.flag("CF").signExtend(8)));
