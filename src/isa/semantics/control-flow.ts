/** Near transfers of control: SDM Vol. 1, "Control Transfer Instructions". Far ones are procedures. */
import { Exception } from "../../arch/exceptions.ts";
import type { Frame } from "../../ir/frame.ts";
import { TRUE, type Value } from "../../ir/value.ts";
import { define, defineWith, type Semantics } from "../define.ts";
import { conditions } from "./conditions.ts";
import { signResize } from "./status.ts";

/** Continue at `target`: in 64-bit mode #GP(0) when it is not canonical; else the frame checks it against CS.limit. */
const transfer = (frame: Frame, target: Value, when: Value = TRUE): void => {
  if (frame.long) {
    const isCanonical = target.shl(16).sar(16).equal(target);
    frame.fault(Exception.GP, when.and(isCanonical.not()), 0);
  }
  if (when === TRUE) frame.jump(target);
  else frame.jump(target, when);
};

const relativeTarget = (frame: Frame, displacement: Value): Value =>
  frame.nextRip().add(signResize(displacement, frame.operandSize));

/** JMP and CALL by a displacement, and by an offset in a register or memory. */
export const JMP = defineWith("JMP", (frame, displacement) => {
  transfer(frame, relativeTarget(frame, displacement!));
});
export const JMP_INDIRECT = defineWith("JMP", (frame, target) => transfer(frame, target!));

const call = (frame: Frame, target: Value): void => {
  transfer(frame, target);
  frame.push(frame.nextRip());
  frame.commitStack();
};
export const CALL = defineWith("CALL", (frame, displacement) =>
  call(frame, relativeTarget(frame, displacement!)),
);
export const CALL_INDIRECT = defineWith("CALL", (frame, target) => call(frame, target!));

/** RET, and RET imm16, which also releases that many bytes of parameters. */
export const RET = defineWith("RET", (frame, parameterBytes) => {
  const target = frame.pop();
  transfer(frame, target);
  frame.commitStack(parameterBytes ? parameterBytes.resize(frame.stackSize) : 0);
});

export const Jcc: readonly Semantics[] = conditions.map(({ suffix, holds }) =>
  defineWith(`J${suffix}`, (frame, displacement) => {
    transfer(frame, relativeTarget(frame, displacement!), holds(frame));
  }),
);

/** JCXZ, JECXZ, JRCXZ: the address size chooses the counter. */
export const JCXZ = defineWith("JCXZ", (frame, displacement) => {
  transfer(frame, relativeTarget(frame, displacement!), frame.register("RCX", frame.addressSize).isZero());
});

const loop = (mnemonic: string, goesOn: (frame: Frame) => Value) =>
  defineWith(mnemonic, (frame, displacement) => {
    const count = frame.register("RCX", frame.addressSize).sub(1);
    transfer(frame, relativeTarget(frame, displacement!), count.isZero().not().and(goesOn(frame)));
    frame.set("RCX", count);
  });
export const LOOP = loop("LOOP", () => TRUE);
export const LOOPE = loop("LOOPE", (frame) => frame.flag("ZF"));
export const LOOPNE = loop("LOOPNE", (frame) => frame.flag("ZF").not());

/** BOUND: #BR unless lower <= index <= upper, all signed. */
export const BOUND = defineWith("BOUND", (frame, index, bounds) => {
  const width = index!.width;
  const lower = bounds!.extract(0, width);
  const upper = bounds!.extract(width, width);
  frame.fault(Exception.BR, index!.less(lower).or(upper.less(index!)));
});

export const NOP = define("NOP", () => ({}));
export const PAUSE = define("PAUSE", () => ({}));
export const ENDBR64 = define("ENDBR64", () => ({}));
export const ENDBR32 = define("ENDBR32", () => ({}));
/** RDSSP: a NOP while shadow stacks are off, which they are: CR4.CET cannot be set. */
export const RDSSP = define("RDSSP", () => ({}));

/** UD0, UD1, UD2 and opcodes that are #UD by being disabled. */
export const invalidOpcode = (mnemonic: string): Semantics =>
  defineWith(mnemonic, (frame) => frame.fault(Exception.UD, TRUE));
