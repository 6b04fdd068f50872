import { describe, expect, it } from "vitest";
import { access } from "../../src/arch/descriptors.ts";
import { machineCode } from "../../src/asm/index.ts";
import type { Fault } from "../../src/cpu/core.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { readST } from "../../src/cpu/x87-stack.ts";
import { bareProcessor } from "../conformance/bare-processor.ts";

/** Programs of x87 and MMX instructions on a whole processor: 32-bit protected mode, flat, without paging. */

const START = 0x1000;
const DATA = 0x4000;
const MF = 16;
const UD = 6;

/** Runs a program that ends in UD2; the exceptions it raised before the processor shut down, and the state. */
const run = (tier: Tier, source: string) => {
  const { guest, engine, processor } = bareProcessor(0x1_0000);
  const { state } = processor;
  const raised: { vector: number; rip: bigint }[] = [];
  engine.tier = tier;
  engine.observer = { exception: (fault: Fault) => raised.push({ vector: fault.vector, rip: state.RIP }) };
  state.CR0 = 0x33n; // NE, ET, MP, PE
  state.CR4 = 0x600n;
  state.RFLAGS = 2n;
  for (const name of ["CS", "DS", "ES", "SS"] as const) {
    state[`${name}.limit`] = 0xffff_ffff;
    state[`${name}.access`] = access.P | access.S | access.DB | access.G | (name === "CS" ? 11 : 3);
  }
  const code = machineCode(source, { codeSize: 32, origin: BigInt(START) });
  guest.writeBytes(START, code);
  state.RIP = BigInt(START);
  processor.run(100_000);
  return { state, guest, first: raised[0], code };
};

describe.each(["interpreter", "evaluator"] as const)("on the %s tier", (tier) => {
  it("a loop sums reciprocals", () => {
    const { state, guest, first } = run(
      tier,
      `
        fninit
        fldz
        mov ecx, 100
      next:
        mov [${DATA}], ecx
        fld1
        fidiv dword ptr [${DATA}]
        faddp st(1), st
        loop next
        fst qword ptr [${DATA + 8}]
        ud2
      `,
    );
    expect(first?.vector).toBe(UD);
    let sum = 0;
    for (let n = 100; n > 0; n--) sum += 1 / n;
    expect(guest.view.getFloat64(guest.offsetOf(DATA) + 8, true)).toBeCloseTo(sum, 14);
    expect(state.FSW & 0x3800).toBe(7 << 11);
  });

  it.each(["fwait", "fld1", "paddb mm0, mm1", "emms", "fldcw [0x4000]"])(
    "a pending exception is raised by %s",
    (waiting) => {
      const { first, code } = run(
        tier,
        `
        fninit
        mov word ptr [${DATA}], 0x37e
        fldcw [${DATA}]
        fchs
        fnstsw ax
        ${waiting}
        ud2
      `,
      );
      expect(first?.vector).toBe(MF);
      // After FNINIT, MOV, FLDCW, FCHS and FNSTSW.
      expect(Number(first!.rip) - START).toBe(2 + 9 + 6 + 2 + 2);
      expect(code.length).toBeGreaterThan(21);
    },
  );

  it("MMX registers are x87 registers", () => {
    const { state, first } = run(
      tier,
      `
        fninit
        fld1
        fldpi
        mov eax, 0x12345678
        movd mm2, eax
        fnstenv [${DATA}]
        ud2
      `,
    );
    expect(first?.vector).toBe(UD);
    expect(readST(state, 2)).toBe(0xffff_0000_0000_1234_5678n);
    expect(state.FTW).toBe(0);
    expect(state.FSW & 0x3800).toBe(0);
  });
});
