import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Case, caseGroups, outcomeText, STATUS_FLAGS, type State } from "../../../test/sse/cases.ts";
import { flagBit } from "../../arch/flags.ts";
import { evaluator } from "../../ir/evaluate.ts";
import { formOf } from "../decode.ts";
import { effectsOf } from "../define.ts";
import type { DecodedOperand } from "../instruction.ts";

/** Outcomes recorded on an Intel processor by tools/sse-vectors/record.ts. */
const recorded = new Map(
  readFileSync(new URL("../../../test/vectors/sse/outcomes.txt", import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2).split("; ")] as const;
    }),
);

const general: readonly (keyof State | undefined)[] = ["RAX", "RCX", "RDX"];
const exceptionNames = new Map([
  [6, "UD"],
  [13, "GP"],
  [19, "XM"],
]);
const OSXMMEXCPT = 0x400n;

const fieldOf = (operand: DecodedOperand): keyof State => {
  if (operand.kind === "memory") return "memory";
  if (operand.kind !== "register") throw new Error(`no field for an ${operand.kind}`);
  if (operand.file === "general") return general[operand.number]!;
  return `${operand.file === "xmm" ? "XMM" : "MM"}${operand.number}` as keyof State;
};

/** The instruction's effects carried out on the state, as a reader of the graph must. */
const outcomeOf = ({ instruction, before }: Case): string => {
  const frame = effectsOf(instruction.row.semantics, formOf(instruction));
  const after: State = { ...before };
  const unit = instruction.row.unit;
  let tags = unit === "mmx" || unit === "sse+mmx" ? 0xff : undefined;
  const evaluate = evaluator({
    operand: (index, width) => {
      const operand = instruction.operands[index]!;
      return operand.kind === "immediate" ? operand.value : BigInt.asUintN(width, before[fieldOf(operand)]);
    },
    address: () => 0n,
    register: (name, width) =>
      name === "CR4" ? OSXMMEXCPT : BigInt.asUintN(width, before[name as keyof State]),
    flag: (name) => (before.RFLAGS >> BigInt(flagBit[name as keyof typeof flagBit])) & 1n,
    rflags: () => before.RFLAGS,
    nextRip: () => 0n,
    load: () => BigInt.asUintN(instruction.row.unit === "mmx" ? 64 : 128, before.memory),
  });
  const merge = (field: keyof State, value: bigint, width: number, zeroes: boolean): void => {
    after[field] = zeroes ? value : ((before[field] >> BigInt(width)) << BigInt(width)) | value;
  };
  for (const effect of frame.effects) {
    switch (effect.kind) {
      case "fault": {
        if (evaluate(effect.when) === 0n) break;
        const faulted: State = { ...before };
        if (effect.commit) faulted[effect.commit.name as keyof State] = evaluate(effect.commit.value);
        return outcomeText(before, faulted, exceptionNames.get(effect.vector), tags);
      }
      case "writeOperand": {
        const operand = instruction.operands[effect.index]!;
        const { width } = effect.value;
        const extends32 = operand.kind === "register" && operand.file === "general" && width === 32;
        merge(fieldOf(operand), evaluate(effect.value), width, extends32);
        break;
      }
      case "writeRegister":
        if (effect.name === "FTW") tags = evaluate(effect.value) === 0xffffn ? 0 : 0xff;
        else
          merge(
            effect.name as keyof State,
            evaluate(effect.value),
            effect.value.width,
            effect.value.width === 32,
          );
        break;
      case "load":
        break;
      case "store":
        merge("memory", evaluate(effect.value), effect.value.width, false);
        break;
      case "flags":
        for (const [name, value] of Object.entries(effect.flags)) {
          const bit = 1n << BigInt(flagBit[name as keyof typeof flagBit]);
          after.RFLAGS = evaluate(value) === 1n ? after.RFLAGS | bit : after.RFLAGS & ~bit & STATUS_FLAGS;
        }
        break;
      default:
        throw new Error(`unexpected effect ${effect.kind}`);
    }
  }
  return outcomeText(before, after, undefined, tags);
};

describe("SSE and MMX instructions answer as an Intel processor", () => {
  const groups = caseGroups();
  const families = new Map<string, typeof groups>();
  for (const group of groups) {
    const { map, opcode } = group.row;
    const family = `${map} ${(opcode >> 4).toString(16)}x`;
    families.set(family, [...(families.get(family) ?? []), group]);
  }
  it("has an outcome for every case", () => {
    expect(groups.map(({ name, cases }) => [name, cases.length])).toEqual(
      [...recorded].map(([name, outcomes]) => [name, outcomes.length]),
    );
  });
  for (const [family, members] of families)
    it(`opcodes ${family}`, () => {
      const differences: unknown[] = [];
      for (const { name, cases } of members)
        for (const [i, one] of cases.entries()) {
          const found = outcomeOf(one);
          const expected = recorded.get(name)?.[i];
          if (found !== expected)
            differences.push({
              name,
              found,
              expected,
              immediate: one.instruction.operands.at(-1),
              before: one.before,
            });
        }
      expect(differences).toEqual([]);
    });
});
