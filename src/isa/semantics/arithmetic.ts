/** Binary arithmetic: SDM Vol. 1, "Binary Arithmetic Instructions". */
import type { Flags } from "../../ir/effects.ts";
import { concat, FALSE, select, type Value } from "../../ir/value.ts";
import { define, defineWith } from "../define.ts";
import { asNumber, statusOf } from "./status.ts";

/** Flags of `sum` = DEST + SRC, carry out given. */
export const flagsOfSum = (dest: Value, src: Value, sum: Value, CF: Value): Flags => ({
  ...statusOf(sum),
  CF,
  AF: dest.xor(src).xor(sum).bit(4),
  OF: dest.xor(sum).and(src.xor(sum)).sign,
});

/** Flags of `difference` = DEST - SRC, borrow given. */
const flagsOfDifference = (dest: Value, src: Value, difference: Value, CF: Value): Flags => ({
  ...statusOf(difference),
  CF,
  AF: dest.xor(src).xor(difference).bit(4),
  OF: dest.xor(src).and(dest.xor(difference)).sign,
});

/** ADD: DEST <- DEST + SRC. All six status flags follow the result. */
export const ADD = define("ADD", (dest, src) => {
  const sum = dest.add(src!);
  return { dest: sum, flags: flagsOfSum(dest, src!, sum, sum.below(src!)) };
});

/** ADC: DEST <- DEST + SRC + CF. */
export const ADC = defineWith("ADC", (frame, dest, src) => {
  const sum = dest!.add(src!).add(asNumber(frame.flag("CF"), dest!.width));
  const carry = dest!.and(src!).or(dest!.or(src!).and(sum.not())).sign;
  frame.write(dest!, sum);
  frame.flags(flagsOfSum(dest!, src!, sum, carry));
});

/** SUB: DEST <- DEST - SRC. */
export const SUB = define("SUB", (dest, src) => {
  const difference = dest.sub(src!);
  return { dest: difference, flags: flagsOfDifference(dest, src!, difference, dest.below(src!)) };
});

/** SBB: DEST <- DEST - (SRC + CF). */
export const SBB = defineWith("SBB", (frame, dest, src) => {
  const difference = dest!.sub(src!).sub(asNumber(frame.flag("CF"), dest!.width));
  const borrow = dest!.not().and(src!).or(dest!.not().or(src!).and(difference)).sign;
  frame.write(dest!, difference);
  frame.flags(flagsOfDifference(dest!, src!, difference, borrow));
});

/** CMP: the flags of SRC1 - SRC2. */
export const CMP = define("CMP", (first, second) => {
  const difference = first.sub(second!);
  return { flags: flagsOfDifference(first, second!, difference, first.below(second!)) };
});

/** Flags of the comparison that CMPS, SCAS and CMPXCHG make. */
export const comparisonFlags = (first: Value, second: Value): Flags =>
  flagsOfDifference(first, second, first.sub(second), first.below(second));

/** INC: CF keeps its value. */
export const INC = define("INC", (dest) => {
  const { CF: _, ...flags } = flagsOfSum(dest, dest.from(1), dest.add(1), FALSE);
  return { dest: dest.add(1), flags };
});

/** DEC: CF keeps its value. */
export const DEC = define("DEC", (dest) => {
  const { CF: _, ...flags } = flagsOfDifference(dest, dest.from(1), dest.sub(1), FALSE);
  return { dest: dest.sub(1), flags };
});

/** NEG: DEST <- 0 - DEST. */
export const NEG = define("NEG", (dest) => {
  const result = dest.neg();
  return {
    dest: result,
    flags: {
      ...statusOf(result),
      CF: dest.isZero().not(),
      AF: dest.xor(result).bit(4),
      OF: dest.and(result).sign,
    },
  };
});

/** XADD: SRC <- DEST, DEST <- the sum. Of two names for one register, DEST wins. */
export const XADD = define("XADD", (dest, src) => {
  const sum = dest.add(src!);
  return { dest: sum, src: dest, flags: flagsOfSum(dest, src!, sum, sum.below(src!)) };
});

/** ADCX: add with carry through CF alone. */
export const ADCX = defineWith("ADCX", (frame, dest, src) => {
  const sum = dest!.add(src!).add(asNumber(frame.flag("CF"), dest!.width));
  frame.write(dest!, sum);
  frame.flags({ CF: dest!.and(src!).or(dest!.or(src!).and(sum.not())).sign });
});

/** ADOX: add with carry through OF alone. */
export const ADOX = defineWith("ADOX", (frame, dest, src) => {
  const sum = dest!.add(src!).add(asNumber(frame.flag("OF"), dest!.width));
  frame.write(dest!, sum);
  frame.flags({ OF: dest!.and(src!).or(dest!.or(src!).and(sum.not())).sign });
});

/** CMPXCHG: equal to the accumulator: DEST <- SRC; else accumulator <- DEST. A memory DEST is written either way. */
export const CMPXCHG = defineWith("CMPXCHG", (frame, dest, src) => {
  const width = dest!.width;
  const accumulator = frame.register("RAX", width);
  const isEqual = accumulator.equal(dest!);
  // A 32-bit register that keeps its value keeps bits 63:32 too.
  const chosen = (when: Value, value: Value, whole: Value): Value =>
    select(when, value.zeroExtend(64), whole);
  if (width === 32) frame.set("RAX", chosen(isEqual.not(), dest!, frame.register("RAX")));
  else frame.set("RAX", select(isEqual, accumulator, dest!));
  if (width === 32 && !frame.isMemory(dest!))
    frame.writeWhole(dest!, chosen(isEqual, src!, frame.whole(dest!)));
  else frame.write(dest!, select(isEqual, src!, dest!));
  frame.flags(comparisonFlags(accumulator, dest!));
});

/** CMPXCHG8B: EDX:EAX against m64, ECX:EBX replaces it. CMPXCHG16B: the same with the 64-bit registers. */
const compareExchangePair = (mnemonic: string, half: 32 | 64) =>
  defineWith(mnemonic, (frame, dest) => {
    const low = dest!.extract(0, half);
    const high = dest!.extract(half, half);
    const isEqual = low.equal(frame.register("RAX", half)).and(high.equal(frame.register("RDX", half)));
    const replacement = (name: string, old: Value): Value => select(isEqual, frame.register(name, half), old);
    frame.write(dest!, concat(replacement("RCX", high), replacement("RBX", low)));
    frame.set("RAX", select(isEqual, frame.register("RAX"), low.zeroExtend(64)));
    frame.set("RDX", select(isEqual, frame.register("RDX"), high.zeroExtend(64)));
    frame.flags({ ZF: isEqual });
  });
export const CMPXCHG8B = compareExchangePair("CMPXCHG8B", 32);
export const CMPXCHG16B = compareExchangePair("CMPXCHG16B", 64);
