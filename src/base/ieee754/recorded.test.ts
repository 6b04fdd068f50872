import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { agrees, isTranscendental, nearlyAgrees, replay } from "./recorded.fixture.ts";

const recorded = new URL("../../../test/vectors/ieee754/executions.br", import.meta.url);

const byMnemonic = new Map<string, string[]>();
for (const line of brotliDecompressSync(readFileSync(recorded)).toString().trimEnd().split("\n")) {
  const mnemonic = line.slice(0, line.indexOf(" "));
  const lines = byMnemonic.get(mnemonic);
  if (lines) lines.push(line);
  else byMnemonic.set(mnemonic, [line]);
}
const mnemonics = [...byMnemonic.keys()];
const disagreements = (mnemonic: string, holds: typeof agrees): string[] =>
  byMnemonic.get(mnemonic)!.filter((line) => {
    const replayed = replay(line);
    return replayed === undefined || !holds(replayed);
  });

describe("what an Intel processor computed", () => {
  it("is recorded, with 300 executions per mnemonic", () => {
    expect(mnemonics.length).toBeGreaterThan(100);
    for (const lines of byMnemonic.values()) expect(lines).toHaveLength(300);
  });

  it.each(mnemonics.filter((mnemonic) => !isTranscendental(mnemonic)))("is computed here: %s", (mnemonic) => {
    expect(disagreements(mnemonic, agrees)).toEqual([]);
  });

  it.each(mnemonics.filter(isTranscendental))("is computed here to the last place: %s", (mnemonic) => {
    expect(disagreements(mnemonic, nearlyAgrees)).toEqual([]);
    expect(disagreements(mnemonic, agrees).length).toBeLessThanOrEqual(3); // 1 in 100
  });

  it("is not what a broken line says", () => {
    const [line] = byMnemonic.get("addsd")!;
    const [mnemonic, control, operands, result, status] = line!.split(" ");
    const flipped = (BigInt(`0x${result}`) ^ 1n).toString(16).padStart(16, "0");
    expect(agrees(replay(`${mnemonic} ${control} ${operands} ${flipped} ${status}`)!)).toBe(false);
    expect(agrees(replay(line!)!)).toBe(true);
  });
});
