import { describe, expect, it } from "vitest";
import { type Form, Frame } from "./frame.ts";
import { printEffects } from "./print.ts";
import { concat, constant, intrinsic, select } from "./value.ts";

const form = (width: 8 | 32 | 64): Form => ({
  operandSize: 32,
  addressSize: 64,
  stackSize: 64,
  codeSize: 64,
  operands: [
    { width, kind: "memory" },
    { width, kind: "register" },
  ],
});

const printed = (
  width: 8 | 32 | 64,
  build: (frame: Frame) => void,
  operands?: readonly string[],
): readonly string[] => {
  const frame = new Frame(form(width));
  build(frame);
  return printEffects(frame, operands ? { operands } : {});
};

describe("printEffects", () => {
  it("names what is used twice, and only that", () => {
    const lines = printed(32, (frame) => {
      const [dest, src] = frame.operands;
      const sum = dest!.add(src!);
      frame.write(dest!, sum);
      frame.flags({ CF: sum.below(src!), ZF: sum.isZero(), SF: sum.sign });
    });
    expect(lines).toEqual(["t0 = dest + src", "dest <- t0", "CF <- t0 <u src; ZF <- t0 = 0; SF <- t0[31]"]);
  });

  it("writes loads, faults, stores and jumps with their conditions", () => {
    const lines = printed(64, (frame) => {
      const value = frame.load("SS", frame.stackPointer().sub(8), 64);
      frame.fault(13, value.isZero(), 0);
      frame.store("ES", frame.register("RDI"), constant(255, 8));
      frame.set("RAX", value.truncate(32));
      frame.jump(frame.nextRip(64).add(5), frame.flag("ZF").not());
      frame.flags({ CF: frame.flag("CF").not() }, frame.flag("OF"));
      frame.interruptShadow();
    });
    expect(lines).toEqual([
      "loaded0 = SS:[RSP - 8] (64 bits)",
      "if loaded0 = 0: #GP(0)",
      "ES:[RDI] <- 0xff (8 bits)",
      "RAX[31:0] <- loaded0[31:0]",
      "if !ZF: RIP <- nextRIP + 5",
      "if OF: CF <- !CF",
      "interrupts wait for one more instruction",
    ]);
  });

  it("parenthesises by precedence", () => {
    const lines = printed(
      8,
      (frame) => {
        const [a, b] = frame.operands as [Frame["operands"][number], Frame["operands"][number]];
        frame.write(a, a.add(b).mul(3).and(b.shl(2).or(1)));
        frame.write(b, select(a.equal(b), a.sub(b.sub(1)), a.not().sar(1)));
        frame.set("RAX", concat(a, intrinsic("aes", 8, [b])).signExtend(64));
      },
      ["al", "bl"],
    );
    expect(lines).toEqual([
      "al <- (al + bl) * 3 & (bl << 2 | 1)",
      "bl <- al = bl ? al - (bl - 1) : sar(~al, 1)",
      "RAX <- sx64({al, aes(bl)})",
    ]);
  });
});
