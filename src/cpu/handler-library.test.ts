import { describe, expect, it } from "vitest";
import type { HandlerSpec } from "../codegen/handler-spec.ts";
import { firstHandler, fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { decode, isInstruction } from "../isa/decode.ts";
import { CodeModes } from "./code-mode.ts";
import { FakeCore, longMode } from "./fake-core.fixture.ts";
import { HandlerLibrary, type Variant } from "./handler-library.ts";

/** Asked for handlers, and to compile them. */
class CountingModule {
  readonly asked: HandlerSpec[] = [];
  modules = 0;
  add(spec: HandlerSpec): number {
    return firstHandler + this.asked.push(spec);
  }
  materialise(): void {
    this.modules++;
  }
}

const mode = new CodeModes().current(longMode(new FakeCore()).state);
const start = () => {
  const module = new CountingModule();
  const library = new HandlerLibrary(module as unknown as InterpreterModule);
  const variant = (...bytes: number[]): Variant => {
    const decoded = decode(Uint8Array.from(bytes), 0, bytes.length, mode, () => true);
    if (!isInstruction(decoded)) throw new Error("not an instruction");
    return library.variant(decoded, mode, false);
  };
  const meet = (...bytes: number[]): number => library.meet(variant(...bytes), mode);
  return { module, library, variant, meet };
};
const addEaxEbx = [0x01, 0xd8];
const addEcxEdx = [0x01, 0xd1];
const subEaxEbx = [0x29, 0xd8];
const incEax = [0xff, 0xc0];
const repStosb = [0xf3, 0xaa];

describe("The handlers of instructions", () => {
  it("are not made for those that are met once", () => {
    const { module, meet, library, variant } = start();
    expect(library.handler(variant(...addEaxEbx), mode)).toBe(fixedHandlers.cold);
    for (const bytes of [addEaxEbx, subEaxEbx, incEax]) expect(meet(...bytes)).toBe(fixedHandlers.cold);
    expect(module.asked).toEqual([]);
  });

  it("are made in one module for all that have been met again, once that has cost as much as a module", () => {
    const { module, meet } = start();
    meet(...incEax);
    meet(...subEaxEbx);
    meet(...subEaxEbx);
    let evaluations = 0;
    while (meet(...addEaxEbx) === fixedHandlers.cold) evaluations++;
    expect(evaluations).toBeGreaterThan(50);
    expect(evaluations).toBeLessThan(500);
    expect(module.asked.map(({ row }) => row.semantics.mnemonic).sort()).toEqual(["ADD", "SUB"]);
    expect(module.modules).toBe(1);
    expect(meet(...subEaxEbx)).not.toBe(fixedHandlers.cold);
  });

  it("are those of a form, whatever its registers", () => {
    const { module, library, variant } = start();
    const made = library.demand(variant(...addEaxEbx), mode);
    expect(library.demand(variant(...addEcxEdx), mode)).toBe(made);
    expect(library.handler(variant(...addEcxEdx), mode)).toBe(made);
    expect(module.modules).toBe(1);
  });

  it("are made at once for repeated string instructions: one of them is thousands of evaluations", () => {
    const { meet, library, variant } = start();
    expect(library.handler(variant(...repStosb), mode)).not.toBe(fixedHandlers.cold);
    expect(meet(...repStosb)).not.toBe(fixedHandlers.cold);
  });
});
