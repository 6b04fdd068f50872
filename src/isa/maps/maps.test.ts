import { describe, expect, it } from "vitest";
import type { Effect } from "../../ir/effects.ts";
import type { Form, OperandKind } from "../../ir/frame.ts";
import type { Value, Width } from "../../ir/value.ts";
import { operandBits } from "../decode.ts";
import { effectsOf } from "../define.ts";
import type { Operand } from "../operands.ts";
import type { Row } from "../row.ts";
import { rows as integer3a } from "./integer-3a.ts";
import { rows as integer38 } from "./integer-38.ts";
import { rows as oneByte } from "./one-byte.ts";
import { rows as twoByte } from "./two-byte.ts";

const rows: readonly Row[] = [...oneByte, ...twoByte, ...integer38, ...integer3a];

const nameOf = (row: Row): string =>
  `${row.map} ${row.opcode.toString(16)}${row.digit === undefined ? "" : `/${row.digit}`} ${row.semantics.mnemonic}`;

/** The ModRM.mod class that a row asks for, by option or by operand letter. */
const modOf = (row: Row): string | undefined => {
  const letters = row.operands.map(({ addressing }) => addressing);
  if (letters.includes("C") || letters.includes("D")) return undefined;
  if (letters.includes("M")) return "memory";
  return letters.includes("R") ? "register" : row.mod;
};

/** Prefixes that a row accepts. */
const prefixesOf = ({ prefix }: Row): readonly string[] => {
  if (prefix === undefined) return ["", "66", "f2", "f3"];
  if (prefix === "none") return [""];
  return prefix === "sized" ? ["", "66"] : [prefix.toString(16)];
};

/** True when decode, having tried `earlier`, can never come to `later`. */
const shadows = (earlier: Row, later: Row): boolean => {
  const allows = <T>(asked: T | undefined, given: T | undefined): boolean =>
    asked === undefined || asked === given;
  return (
    earlier.map === later.map &&
    earlier.opcode === later.opcode &&
    earlier.vex === later.vex &&
    allows(earlier.digit, later.digit) &&
    allows(modOf(earlier), modOf(later)) &&
    allows(earlier.rm, later.rm) &&
    allows(earlier.rexW, later.rexW) &&
    allows(earlier.rexB, later.rexB) &&
    allows(earlier.i64, later.i64) &&
    allows(earlier.o64, later.o64) &&
    allows(earlier.protectedOnly, later.protectedOnly) &&
    allows(earlier.feature, later.feature) &&
    prefixesOf(later).every((prefix) => prefixesOf(earlier).includes(prefix))
  );
};

const kindsOf = (operand: Operand, mod: string | undefined): readonly OperandKind[] => {
  switch (operand.addressing) {
    case "E": return mod === undefined ? ["register", "memory"] : [mod as OperandKind];
    case "M": case "O": case "X": case "Y": return ["memory"];
    case "I": case "J": return ["immediate"];
    default: return operand.fixed === "one" ? ["immediate"] : ["register"];
  }
}; // biome-ignore format: one row per fact

/** Every form in which a row can be decoded. */
const formsOf = (row: Row): Form[] => {
  const forms: Form[] = [];
  const kinds = row.operands.map((operand) => kindsOf(operand, modOf(row)));
  for (const codeSize of [16, 32, 64] as const) {
    if (codeSize === 64 ? row.i64 : row.o64) continue;
    let sizes: readonly (16 | 32 | 64)[] = codeSize === 64 ? [16, 32, 64] : [16, 32];
    if (row.ignore66 || row.vex) sizes = codeSize === 64 ? [32, 64] : [32];
    if (codeSize === 64 && row.f64) sizes = [64];
    if (codeSize === 64 && row.d64) sizes = [16, 64];
    for (const operandSize of sizes)
      for (const memory of [false, true]) {
        if (memory && kinds.every((list) => list.length < 2)) continue;
        const operands = row.operands.map((operand, index) => {
          const kind = kinds[index]!.length === 2 ? (memory ? "memory" : "register") : kinds[index]![0]!;
          const bits = operandBits(operand, operandSize, kind === "register");
          const extended = operand.addressing === "J" || operand.signExtended;
          return { kind, width: (extended ? operandSize : bits) as Width };
        });
        forms.push({ operandSize, addressSize: codeSize, stackSize: codeSize, codeSize, operands });
      }
  }
  return forms;
};

const valuesOf = (effect: Effect): Value[] => {
  switch (effect.kind) {
    case "load": return [effect.address];
    case "store": return [effect.address, effect.value];
    case "fault": return [effect.when];
    case "writeOperand": case "writeRegister": return [effect.value];
    case "flags": return [...Object.values(effect.flags), ...(effect.when ? [effect.when] : [])];
    case "jump": return [effect.target, ...(effect.when ? [effect.when] : [])];
    default: return [];
  }
}; // biome-ignore format: one row per fact

const operandsRead = (effects: readonly Effect[]): Set<number> => {
  const read = new Set<number>();
  const seen = new Set<Value>();
  const visit = (value: Value): void => {
    if (seen.has(value)) return;
    seen.add(value);
    if (value.op === "operand") read.add(value.attr as number);
    for (const arg of value.args) visit(arg);
  };
  for (const effect of effects) for (const value of valuesOf(effect)) visit(value);
  return read;
};

describe("rows of the general-purpose instruction set", () => {
  it("have upper-case mnemonics", () => {
    for (const row of rows) expect(row.semantics.mnemonic).toMatch(/^[A-Z][A-Z0-9_]*$/);
  });

  it("are all within reach of decode: none lies behind a row that accepts at least as much", () => {
    const unreachable = rows.flatMap((later, index) =>
      rows
        .slice(0, index)
        .filter((earlier) => shadows(earlier, later))
        .map((earlier) => `${nameOf(later)} behind ${nameOf(earlier)}`),
    );
    expect(unreachable).toEqual([]);
  });

  it("notices a row behind another", () => {
    const [row] = rows as [Row];
    expect(shadows(row, { ...row, rexW: 1 })).toBe(true);
    expect(shadows({ ...row, rexW: 1 }, row)).toBe(false);
    expect(shadows({ ...row, prefix: "sized" }, { ...row, prefix: 0xf3 })).toBe(false);
  });

  it("say how each operand is accessed as their semantics do, in every form", () => {
    const wrong: string[] = [];
    for (const row of rows) {
      if (!row.semantics.build) continue;
      for (const form of formsOf(row)) {
        const { effects } = effectsOf(row.semantics, form);
        const read = operandsRead(effects);
        const written = new Set(
          effects.flatMap((effect) => (effect.kind === "writeOperand" ? [effect.index] : [])),
        );
        row.operands.forEach(({ access }, index) => {
          const { kind } = form.operands[index]!;
          if (access === "r" && written.has(index)) wrong.push(`${nameOf(row)}: operand ${index} is written`);
          if (access === "w" && read.has(index)) wrong.push(`${nameOf(row)}: operand ${index} is read`);
          // BTS and its like with a register bit offset store elsewhere.
          const elsewhere =
            kind === "memory" &&
            effects.some((effect) => effect.kind === "store" && effect.segment === index);
          if (access !== "r" && !written.has(index) && !elsewhere)
            wrong.push(`${nameOf(row)}: operand ${index} is not written`);
          if (access === "rw" && kind === "memory" && !read.has(index))
            wrong.push(`${nameOf(row)}: operand ${index} is not read`);
        });
      }
    }
    expect([...new Set(wrong)]).toEqual([]);
  });

  it("cover every opcode of the one-byte map that is no prefix and no escape", () => {
    const present = new Set(oneByte.map(({ opcode }) => opcode));
    // biome-ignore format: one list
    const elsewhere = [0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xf0, 0xf2, 0xf3];
    const absent = Array.from({ length: 256 }, (_, opcode) => opcode).filter(
      (opcode) => !present.has(opcode),
    );
    expect(absent).toEqual(elsewhere);
  });
});
