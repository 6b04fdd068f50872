import { describe, expect, it } from "vitest";
import { type Bits, placeProgram, places } from "./random-program.ts";
import { TwoTiers } from "./two-tiers.ts";

const two = new TwoTiers(places.ramBytes);
const start = (lines: readonly string[], bits: Bits = 64): void => {
  const text = [`org ${places.code}`, "start:", ...lines, "jmp $"].join("\n");
  two.start((bare) => placeProgram(bare, 1, bits, text));
  for (const { processor } of [two.interpreter, two.evaluator]) processor.state.RFLAGS = 0x202n;
};

/** Differences that random programs have found, each by itself. */
describe("Interpreter and evaluator agree", () => {
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
});
