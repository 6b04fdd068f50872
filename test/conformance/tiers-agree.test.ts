import { beforeAll, describe, expect, it } from "vitest";
import { type Bits, places } from "./program-places.ts";
import { placeProgram } from "./random-program.ts";
import { TwoTiers } from "./two-tiers.ts";

let two: TwoTiers;
const start = (lines: readonly string[], bits: Bits = 64): void => {
  const text = [`org ${places.code}`, "start:", ...lines, "jmp $"].join("\n");
  two.start((bare) => placeProgram(bare, 1, bits, text));
  for (const { processor } of [two.interpreter, two.evaluator]) processor.state.RFLAGS = 0x202n;
};

/** Differences that random programs have found, each by itself. */
describe.each(["interpreter", "jit"] as const)("The %s tier and the evaluator agree", (tier) => {
  beforeAll(() => {
    two = new TwoTiers(places.ramBytes, tier);
  });

  it("where a step of REP MOVS ends: at the page's end, whether its elements went one by one or at once", () => {
    const copy = (from: number, count: number): string[] => [
      `mov rsi, ${from}`,
      `mov rdi, ${places.data + 0x2000}`,
      `mov rcx, ${count}`,
      "rep movsq",
    ];
    // The first copy fills the TLB, so that the second goes in bulk; it ends on the last element before the absent page.
    start([...copy(places.readOnly + 0xfc0, 2), ...copy(places.readOnly + 0xfd8, 60)]);
    expect(two.run(60, 1)).toBeUndefined();
    start([...copy(places.readOnly + 0xfc0, 2), ...copy(places.readOnly + 0xfd8, 60)]);
    expect(two.run(60, 8)).toBeUndefined();
    expect(two.evaluator.processor.state.CR2).toBe(BigInt(places.absent));
  });

  it("that STI casts a shadow when IF was 0, also when the run ends behind it, and none when IF was 1", () => {
    for (const slice of [1, 2, 3, 5]) {
      start([
        "cli",
        "sti",
        "nop",
        "sti",
        "nop",
        "cli",
        "mov ecx, 3",
        "sti",
        `mov rsi, ${places.data}`,
        "rep lodsb",
      ]);
      expect(two.run(11, slice, () => void two.interrupt(0x30))).toBeUndefined();
    }
  });

  it("that RF is set in the flags that an interrupt pushes between two steps of a REP, and in no others", () => {
    for (const slice of [4, 5, 6, 7]) {
      start([`mov rdi, ${places.data}`, "mov al, 1", "mov rcx, 0x2000", "rep stosb", "nop"]);
      expect(two.run(12, slice, () => void two.interrupt(0x31))).toBeUndefined();
    }
  });

  it("that an instruction cut off by the limit of CS faults, and that beyond it nothing is fetched", () => {
    const atLimit = (limit: number): void => {
      start(["inc eax", "inc ecx", "add ebx, 5", "nop"], 32);
      const { processor } = two.evaluator;
      for (const { state } of [processor, two.interpreter.processor])
        state["CS.limit"] = Number(state.RIP) + limit;
    };
    // Behind two instructions of one byte each: the third whole, cut off after one or two of its bytes, or not there at all.
    for (const limit of [4, 3, 2, 1]) {
      atLimit(limit);
      expect(two.run(12, 3)).toBeUndefined();
      atLimit(limit);
      expect(two.run(80, 80)).toBeUndefined();
    }
  });

  it("about programs in 32-bit code that wrap at 4 GiB", () => {
    start(["mov eax, [0xfffffffe]", "mov ebx, 0x12345678", "mov [0xfffffffd], ebx"], 32);
    expect(two.run(20, 1)).toBeUndefined();
  });

  it("about breakpoints on execution, in the page that runs, in the next one and in none", () => {
    const program = [
      "mov rcx, 3",
      "again: lea rax, [far]",
      "call rax",
      "mov qword ptr [flag], rcx",
      "dec rcx",
      "jnz again",
      "jmp $",
      "align 4096",
      "flag: dq 0",
      "far: add rbx, rcx",
      "add rbx, 2",
      "ret",
    ];
    for (const [at, hits] of [
      ["inner", 3],
      ["far", 3],
      ["none", 0],
    ] as const)
      for (const slice of [1, 3, 100]) {
        start(program);
        const first = two.evaluator.processor.state.RIP;
        const far = (first & ~0xfffn) + 0x1008n;
        const address = at === "inner" ? first + 7n : at === "far" ? far + 3n : first + 0x20_0000n;
        for (const { processor } of [two.interpreter, two.evaluator]) {
          processor.state.DR0 = address;
          processor.state.DR7 = 0x401n;
        }
        let met = 0;
        two.evaluator.engine.observer = { exception: ({ vector }) => void (met += vector === 1 ? 1 : 0) };
        expect(two.run(60, slice), `${at}, ${slice}`).toBeUndefined();
        expect(met > 0, at).toBe(hits > 0);
        two.evaluator.engine.observer = undefined;
      }
  });

  it("about breakpoints on data that are set and taken away while code runs, next to other data of the page", () => {
    const program = [
      `mov rsi, ${places.data}`,
      "mov rcx, 4",
      "warm: mov [rsi + 8], rcx",
      "add [rsi + 64], rcx",
      "loop warm",
      `mov rax, ${places.data + 64}`,
      "mov dr1, rax",
      "mov rax, 0xd0040c",
      "mov dr7, rax",
      "mov [rsi + 8], rcx",
      "mov rbx, [rsi + 60]",
      "mov [rsi + 62], ebx",
      "mov rcx, 9",
      "mov rdi, rsi",
      "rep stosq",
      `mov rdi, ${places.data + 0xffc}`,
      "mov [rdi], rax",
      "xor eax, eax",
      "mov dr7, rax",
      "mov [rsi + 64], rcx",
      "jmp $",
    ];
    for (const slice of [1, 2, 7, 100]) {
      start(program);
      let met = 0;
      two.evaluator.engine.observer = { exception: ({ vector }) => void (met += vector === 1 ? 1 : 0) };
      expect(two.run(80, slice)).toBeUndefined();
      two.evaluator.engine.observer = undefined;
      expect(met).toBeGreaterThan(0);
    }
  });
});
