import { statSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { decode, isInstruction } from "../../src/isa/decode.ts";
import { rows } from "../../src/isa/maps/index.ts";
import { recordedRows, rowKey } from "../../tools/vectors/forms.ts";
import { excluded } from "./excluded.ts";
import { START } from "./state.ts";
import { type FormHeader, recordedForms, vectorFiles, vectors } from "./vectors.ts";

describe("native vectors", () => {
  let recorded: readonly (FormHeader & { readonly cases: number })[] = [];
  beforeAll(() => {
    recorded = recordedForms();
  });

  it("cover every row that is not excluded", () => {
    const missing = recordedRows()
      .map(([row]) => rowKey(row!))
      .filter((key) => !recorded.some((form) => form.key.startsWith(`${key} `)));
    expect(missing).toEqual([]);
  });

  it("have at least 300 cases for every operand form", () => {
    expect(recorded.filter(({ cases }) => cases < 300).map(({ key }) => key)).toEqual([]);
    expect(new Set(recorded.map(({ key }) => key)).size).toBe(recorded.length);
  });

  it("exclude only mnemonics that rows have", () => {
    const mnemonics = new Set(rows.map(({ semantics }) => semantics.mnemonic));
    expect([...excluded.keys()].filter((name) => !mnemonics.has(name) && !later.has(name))).toEqual([]);
  });

  it("take less than 8 MB", () => {
    const directory = new URL("../vectors/native/", import.meta.url);
    const bytes = vectorFiles().reduce((sum, name) => sum + statSync(new URL(name, directory)).size, 0);
    expect(bytes).toBeLessThan(8_000_000);
  });

  it("hold what the processor did: additions", () => {
    let cases = 0;
    for (const { input, expected, code, exception, definedFlags } of vectors({
      files: ["integer"],
      wants: ({ key }) => key === "ADD 01 E.v,G.v 64 register",
    })) {
      const [rex, , modrm] = code.slice(-3) as unknown as [number, number, number];
      const dest = (modrm & 7) | ((rex & 1) << 3);
      const src = ((modrm >> 3) & 7) | ((rex & 4) << 1);
      const sum = input.gpr(dest) + input.gpr(src);
      expect(exception).toBeUndefined();
      expect(expected.gpr(dest)).toBe(BigInt.asUintN(64, sum));
      expect(expected.rflags & 1n).toBe(sum >> 64n);
      expect(definedFlags & 0x8d5n).toBe(0x8d5n);
      expect(expected.rip).toBe(BigInt(START + code.length));
      cases++;
    }
    expect(cases).toBeGreaterThanOrEqual(300);
  });

  it("hold faults: a store to a read-only page leaves everything as it was", () => {
    let faults = 0;
    for (const { input, expected, exception, memory } of vectors({
      files: ["integer"],
      wants: ({ key }) => key === "MOV 89 E.v,G.v 32 memory",
    })) {
      if (exception?.vector !== 14) continue;
      faults++;
      expect(expected.bytes).toEqual(input.bytes);
      expect(memory).toEqual([]);
      expect(exception.errorCode! & 6).toBe(6);
    }
    expect(faults).toBeGreaterThan(0);
  });

  it("are code that decode reads in their mode", () => {
    const has = (): boolean => true;
    const wrong = new Set<string>();
    for (const { key, code, mode, mnemonic } of vectors({ every: 16 })) {
      const decoded = decode(code, 0, code.length, { codeSize: mode, stackSize: mode, realLike: false }, has);
      if (
        !isInstruction(decoded) ||
        decoded.length !== code.length ||
        decoded.row.semantics.mnemonic !== mnemonic
      )
        wrong.add(key);
    }
    expect([...wrong]).toEqual([]);
  });
});

/** Excluded before their rows exist. */
const later: ReadonlySet<string> = new Set(["UMWAIT", "UMONITOR", "TPAUSE"]);
