/** What the flag instructions ask about the mode: derived from state, as values. */
import type { Frame } from "../../ir/frame.ts";
import { constant, FALSE, select, type Value } from "../../ir/value.ts";

/** CPL: the DPL of SS (SDM Vol. 3, "Guest Register State": SS.DPL is the CPL in every mode). Eight bits wide. */
export const currentPrivilege = (frame: Frame): Value => frame.register("SS.access", 8).shr(5).and(3);

/** RFLAGS.VM. */
export const isVirtual8086 = (frame: Frame): Value =>
  frame.long ? FALSE : frame.register("RFLAGS", 32).bit(17);

/** IOPL. Eight bits wide. */
export const IOPL = (frame: Frame): Value =>
  select(frame.flag("IOPL1"), constant(2, 8), constant(0, 8)).or(frame.flag("IOPL0").zeroExtend(8));

/** CR4.VME. */
export const virtualisesInterrupts = (frame: Frame): Value => frame.register("CR4", 32).bit(0);

/**
 * CLI and STI act on VIF in place of IF: CPL 3 with CR4.VME in virtual-8086 mode, with CR4.PVI in protected mode (SDM
 * Vol. 3, "Protected-Mode Virtual Interrupts"). Meaningful where CPL > IOPL.
 */
export const actsOnVIF = (frame: Frame): Value => {
  const CR4 = frame.register("CR4", 32);
  return currentPrivilege(frame)
    .equal(3)
    .and(select(isVirtual8086(frame), CR4.bit(0), CR4.bit(1)));
};
