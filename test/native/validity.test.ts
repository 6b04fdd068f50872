import { expect, it } from "vitest";
import { decode, isInstruction } from "../../src/isa/decode.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import { validityCases } from "./validity.ts";

/** Rows that are #UD by what they do, or (RDPKRU) in a system without protection keys. */
const undefinedByName: ReadonlySet<string> = new Set(["UD0", "UD1", "UD2", "GETSEC", "RSM", "RDPKRU"]);

it("decode takes for instructions what a processor does, and nothing else", () => {
  const differences: string[] = [];
  const has = (): boolean => true;
  const counts = { instruction: 0, "#UD": 0, skipped: 0 };
  for (const { mode, bytes, outcome } of validityCases()) {
    counts[outcome]++;
    if (outcome === "skipped") continue;
    const decoded = decode(bytes, 0, bytes.length, { codeSize: mode, stackSize: mode, realLike: false }, has);
    const isValid = isInstruction(decoded) && !undefinedByName.has(decoded.row.semantics.mnemonic);
    if (isValid !== (outcome === "instruction"))
      differences.push(
        `${mode}-bit ${Buffer.from(bytes).toString("hex")} ${isInstruction(decoded) ? disassemble(decoded) : "#UD"}`,
      );
  }
  expect(differences).toEqual([]);
  expect(counts.instruction).toBeGreaterThan(20_000);
  expect(counts["#UD"]).toBeGreaterThan(20_000);
});
