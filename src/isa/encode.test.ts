import { describe, expect, it } from "vitest";
import { decode, isInstruction } from "./decode.ts";
import { type Encodable, encode, isRefusal } from "./encode.ts";
import { rows } from "./maps/index.ts";
import { instancesOf, Random, type RowInstance } from "./row-instances.fixture.ts";

const random = new Random(20240917);
const instances: RowInstance[] = rows.flatMap((row) =>
  ([16, 32, 64] as const).flatMap((codeSize) => [...instancesOf(row, codeSize, random)]),
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** All that bytes say of an instruction. */
const text = ({ row, operandSize, addressSize, operands }: Encodable): string =>
  [
    rows.indexOf(row),
    row.semantics.mnemonic,
    operandSize,
    addressSize,
    ...operands.flatMap((x) => Object.values(x)),
  ].join(" ");

describe("encode", () => {
  it("reaches every row", () => {
    const reached = new Set(instances.map(({ row }) => row));
    const missed = rows.filter((row) => !reached.has(row));
    expect(missed.map((row) => `${row.semantics.mnemonic} ${row.map} ${row.opcode.toString(16)}`)).toEqual(
      [],
    );
  });

  it("gives bytes that decode reads back as the same instruction, and so the same bytes", () => {
    const differences: string[] = [];
    for (const wanted of instances) {
      const mode = { codeSize: wanted.codeSize, stackSize: wanted.codeSize, realLike: false };
      const read = decode(wanted.bytes, 0, wanted.bytes.length, mode, () => true);
      if (!isInstruction(read)) throw new Error(`${text(wanted)}: no instruction`);
      if (text(read) !== text(wanted)) differences.push(`${text(wanted)} is read as ${text(read)}`);
      const again = encode(read);
      if (isRefusal(again) || hex(again) !== hex(wanted.bytes))
        differences.push(`${text(wanted)} is ${hex(wanted.bytes)}`);
    }
    expect(differences).toEqual([]);
  });

  it("refuses what has no encoding", () => {
    const { row } = instances.find(({ row }) => row.semantics.mnemonic === "ADD")!;
    const none = encode({ row, codeSize: 64, operandSize: 32, addressSize: 16, operands: [] });
    expect(isRefusal(none) && none.reason).toBe("no 16-bit addresses in 64-bit code");
  });
});
