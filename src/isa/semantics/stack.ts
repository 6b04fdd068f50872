/** The stack: SDM Vol. 1, "Procedure Stack". */
import { Exception } from "../../arch/exceptions.ts";
import type { Flags } from "../../ir/effects.ts";
import { FALSE, select } from "../../ir/value.ts";
import { defineWith } from "../define.ts";
import { currentPrivilege, IOPL, isVirtual8086, virtualisesInterrupts } from "./privilege.ts";

/** PUSH: of rSP, the value before. */
export const PUSH = defineWith("PUSH", (frame, src) => {
  frame.push(src!);
  frame.commitStack();
});

/**
 * PUSH Sreg: 64 bits are the selector zero-extended; with a 32-bit operand size only 16 bits are stored, and what was
 * above them stays, as on recent Intel CPUs (SDM Vol. 2, PUSH).
 */
export const PUSH_SREG = defineWith("PUSH", (frame, src) => {
  if (frame.operandSize === 32) {
    frame.store("SS", frame.stackPointer().sub(4), src!);
    frame.commitStack(-4);
  } else {
    frame.push(src!.zeroExtend(frame.operandSize));
    frame.commitStack();
  }
});

/** POP: into rSP, the value popped wins. */
export const POP = defineWith("POP", (frame, dest) => {
  const value = frame.pop();
  frame.commitStack();
  frame.write(dest!, value);
});

/** In the order of PUSHA; POPA skips the stack pointer. */
const pushaOrder = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"] as const;

export const PUSHA = defineWith("PUSHA", (frame) => {
  for (const name of pushaOrder) frame.push(frame.register(name, frame.operandSize));
  frame.commitStack();
});

export const POPA = defineWith("POPA", (frame) => {
  const popped = pushaOrder.toReversed().map((name) => ({ name, value: frame.pop() }));
  frame.commitStack();
  for (const { name, value } of popped) if (name !== "RSP") frame.set(name, value);
});

/** LEAVE: rSP <- rBP (as wide as the stack), then POP rBP. */
export const LEAVE = defineWith("LEAVE", (frame) => {
  const base = frame.register("RBP", frame.stackSize);
  const saved = frame.load("SS", base, frame.operandSize);
  frame.set("RSP", base.add(frame.operandSize / 8));
  frame.set("RBP", saved);
});

/** The image of RFLAGS that PUSHF stores: VM and RF are clear in it. */
const pushfMask = 0x00fc_ffffn;

export const PUSHF = defineWith("PUSHF", (frame) => {
  const size = frame.operandSize;
  const image = frame.rflags().and(pushfMask).truncate(size);
  if (frame.long) {
    frame.push(image);
  } else {
    // Virtual-8086 mode with IOPL < 3: #GP(0), or with CR4.VME a 16-bit image with VIF in place of IF and IOPL 3.
    const isSensitive = isVirtual8086(frame).and(IOPL(frame).below(3));
    if (size === 16) {
      frame.fault(Exception.GP, isSensitive.and(virtualisesInterrupts(frame).not()), 0);
      const VIF = frame.flag("VIF").zeroExtend(16).shl(9);
      frame.push(select(isSensitive, image.and(~0x200n).or(VIF).or(0x3000), image));
    } else {
      frame.fault(Exception.GP, isSensitive, 0);
      frame.push(image);
    }
  }
  frame.commitStack();
});

/**
 * POPF: IOPL changes at CPL 0 only, IF only when CPL <= IOPL; VM, VIF and VIP never, RF is cleared. In virtual-8086 mode
 * with IOPL < 3: #GP(0), or with CR4.VME the 16-bit form, which writes VIF in place of IF.
 */
export const POPF = defineWith("POPF", (frame) => {
  const size = frame.operandSize;
  const image = frame.pop();
  const CPL = currentPrivilege(frame);
  const mayChangeIOPL = CPL.isZero();
  const mayChangeIF = CPL.below(IOPL(frame)).or(CPL.equal(IOPL(frame)));
  let virtual = FALSE;
  if (!frame.long) {
    const isSensitive = isVirtual8086(frame).and(IOPL(frame).below(3));
    if (size === 16) {
      const refuses = frame.flag("VIP").and(image.bit(9)).or(image.bit(8));
      frame.fault(Exception.GP, isSensitive.and(virtualisesInterrupts(frame).not().or(refuses)), 0);
      virtual = isSensitive;
    } else {
      frame.fault(Exception.GP, isSensitive, 0);
    }
  }
  const IF = select(mayChangeIF, image.bit(9), frame.flag("IF"));
  const flags: Flags = {
    CF: image.bit(0),
    PF: image.bit(2),
    AF: image.bit(4),
    ZF: image.bit(6),
    SF: image.bit(7),
    TF: image.bit(8),
    IF,
    DF: image.bit(10),
    OF: image.bit(11),
    IOPL0: select(mayChangeIOPL, image.bit(12), frame.flag("IOPL0")),
    IOPL1: select(mayChangeIOPL, image.bit(13), frame.flag("IOPL1")),
    NT: image.bit(14),
  };
  if (size === 16) {
    if (!frame.long) flags.VIF = select(virtual, image.bit(9), frame.flag("VIF"));
  } else {
    flags.RF = FALSE;
    flags.AC = image.bit(18);
    flags.ID = image.bit(21);
  }
  frame.commitStack();
  frame.flags(flags);
  frame.attention(image.bit(8).or(IF.and(frame.flag("IF").not())));
});
