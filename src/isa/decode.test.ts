import { describe, expect, it } from "vitest";
import { type Decoded, decodeWith, formKey, formOf, indexRows, isInstruction } from "./decode.ts";
import { procedure } from "./define.ts";
import type { DecodeMode, Instruction } from "./instruction.ts";
import * as o from "./operands.ts";
import { type Feature, mapBuilder } from "./row.ts";

const { op, group, registers } = mapBuilder("one-byte");
const two = mapBuilder("0F");
const three = mapBuilder("0F38");
const s = procedure;
const { E, G, I, M, rw, w } = o;

// biome-ignore format: one row per fact
const index = indexRows([
  op(0x00, s("ADD"), [rw(E.b), G.b], { lock: true }),
  op(0x01, s("ADD"), [rw(E.v), G.v], { lock: true }),
  op(0x03, s("ADD"), [rw(G.v), E.v]),
  ...registers(0x40, s("INC"), [rw(o.Z.v)], { i64: true }),
  ...registers(0x50, s("PUSH"), [o.Z.v], { d64: true }),
  op(0x62, s("BOUND"), [G.v, M.a], { i64: true }),
  op(0x63, s("MOVSXD"), [w(G.v), E.d], { o64: true }),
  op(0x63, s("ARPL"), [rw(E.w), G.w], { i64: true, protectedOnly: true }),
  op(0x68, s("PUSH"), [I.z], { d64: true }),
  op(0x6b, s("IMUL"), [w(G.v), E.v, I.bs]),
  op(0x74, s("JZ"), [o.J.b], { f64: true }),
  op(0x8d, s("LEA"), [w(G.v), M.any]),
  op(0x8e, s("MOV"), [w(o.S.w), E.w]),
  op(0x9a, s("CALL"), [o.A.p], { i64: true }),
  op(0xa1, s("MOV"), [w(o.rAX), o.O.v]),
  op(0xa4, s("MOVSB"), [w(o.Y.b), o.X.b], { repeat: "rep" }),
  ...registers(0xb8, s("MOV"), [w(o.Z.v), I.v]),
  op(0xc4, s("LES"), [w(G.v), M.p], { i64: true }),
  op(0xc8, s("ENTER"), [I.w, I.b]),
  op(0xd1, s("ROL"), [rw(E.v), o.ONE]),
  op(0xe9, s("JMP"), [o.J.z], { f64: true }),
  ...group(0xf7, [s("TEST"), undefined, s("NOT")], [rw(E.v)], { lock: true }),
  op(0x90, s("PAUSE"), [], { prefix: 0xf3 }),
  op(0x90, s("NOP"), []),
  two.op(0x10, s("MOVUPS"), [w(o.V.dq), o.W.dq], { prefix: "none" }),
  two.op(0x10, s("MOVUPD"), [w(o.V.dq), o.W.dq], { prefix: 0x66 }),
  two.op(0x10, s("MOVSS"), [w(o.V.d), o.W.d], { prefix: 0xf3 }),
  two.op(0x22, s("MOV"), [w(o.C.y), o.R.y], { f64: true}),
  two.op(0xbd, s("LZCNT"), [w(G.v), E.v], { prefix: 0xf3, feature: "LZCNT" }),
  two.op(0xbd, s("BSR"), [w(G.v), E.v]),
  three.op(0xf2, s("ANDN"), [w(G.y), o.B.y, E.y], { vex: true, prefix: "none", protectedOnly: true }),
]);

const bits64: DecodeMode = { codeSize: 64, stackSize: 64, realLike: false };
const bits32: DecodeMode = { codeSize: 32, stackSize: 32, realLike: false };
const bits16: DecodeMode = { codeSize: 16, stackSize: 16, realLike: true };

const raw = (hex: string, mode = bits64, has: (feature: Feature) => boolean = () => true): Decoded => {
  const bytes = Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16));
  return decodeWith(index, bytes, 0, bytes.length, mode, has);
};
const decoded = (hex: string, mode = bits64, has?: (feature: Feature) => boolean): Instruction => {
  const result = raw(hex, mode, has);
  if (!isInstruction(result)) throw new Error(`${hex}: ${JSON.stringify(result)}`);
  return result;
};
/** Mnemonic and operands in a shorthand of this test. */
const text = (hex: string, mode = bits64, has?: (feature: Feature) => boolean): string => {
  const { row, operands, length } = decoded(hex, mode, has);
  const parts = operands.map((x) => {
    if (x.kind === "register") return `${x.file}${x.number}${x.high ? "h" : ""}.${x.width}`;
    if (x.kind === "immediate") return `${x.value.toString(16)}.${x.width}`;
    if (x.kind === "far") return `${x.selector.toString(16)}:${x.offset.toString(16)}`;
    return `${x.segment}[${x.base}+${x.index}*${x.scale}+${x.displacement}].${x.width}`;
  });
  return `${row.semantics.mnemonic} ${parts.join(" ")} (${length})`;
};

describe("decode", () => {
  it("takes operand size from mode, 66 and REX.W", () => {
    expect(text("01 c8")).toBe("ADD general0.32 general1.32 (2)");
    expect(text("66 01 c8")).toBe("ADD general0.16 general1.16 (3)");
    expect(text("48 01 c8")).toBe("ADD general0.64 general1.64 (3)");
    expect(text("66 48 01 c8")).toBe("ADD general0.64 general1.64 (4)");
    expect(text("01 c8", bits32)).toBe("ADD general0.32 general1.32 (2)");
    expect(text("01 c8", bits16)).toBe("ADD general0.16 general1.16 (2)");
    expect(text("66 01 c8", bits16)).toBe("ADD general0.32 general1.32 (3)");
    expect(text("50")).toBe("PUSH general0.64 (1)");
    expect(text("66 50")).toBe("PUSH general0.16 (2)");
    expect(text("66 74 fe")).toBe("JZ fffffffffffffffe.64 (3)");
    expect(text("66 e9 00 00 00 80")).toBe("JMP ffffffff80000000.64 (6)");
  });

  it("takes REX only directly before the opcode", () => {
    expect(text("48 66 01 c8")).toBe("ADD general0.16 general1.16 (4)");
    expect(text("41 48 01 c8")).toBe("ADD general0.64 general1.64 (4)");
    expect(text("45 01 c8")).toBe("ADD general8.32 general9.32 (3)");
    expect(text("41 50")).toBe("PUSH general8.64 (2)");
    expect(text("40", bits32)).toBe("INC general0.32 (1)");
  });

  it("names AH, CH, DH, BH unless there is a REX prefix", () => {
    expect(text("00 e5")).toBe("ADD general1h.8 general0h.8 (2)");
    expect(text("40 00 e5")).toBe("ADD general5.8 general4.8 (3)");
  });

  it("decodes every addressing form", () => {
    expect(text("03 00")).toBe("ADD general0.32 DS[0+undefined*1+0].32 (2)");
    expect(text("03 45 80")).toBe("ADD general0.32 SS[5+undefined*1+-128].32 (3)");
    expect(text("03 04 24")).toBe("ADD general0.32 SS[4+undefined*1+0].32 (3)");
    expect(text("41 03 04 24")).toBe("ADD general0.32 DS[12+undefined*1+0].32 (4)");
    expect(text("42 03 04 e0")).toBe("ADD general0.32 DS[0+12*8+0].32 (4)");
    expect(text("03 04 25 78 56 34 92")).toBe("ADD general0.32 DS[undefined+undefined*1+-1842063752].32 (7)");
    expect(text("03 05 10 00 00 00")).toBe("ADD general0.32 DS[RIP+undefined*1+16].32 (6)");
    expect(text("03 05 10 00 00 00", bits32)).toBe("ADD general0.32 DS[undefined+undefined*1+16].32 (6)");
    expect(text("03 02", bits16)).toBe("ADD general0.16 SS[5+6*1+0].16 (2)");
    expect(text("03 06 34 12", bits16)).toBe("ADD general0.16 DS[undefined+undefined*1+4660].16 (4)");
    expect(text("64 03 00")).toBe("ADD general0.32 FS[0+undefined*1+0].32 (3)");
    expect(text("64 3e 03 00")).toBe("ADD general0.32 FS[0+undefined*1+0].32 (4)");
    expect(text("64 3e 03 00", bits32)).toBe("ADD general0.32 DS[0+undefined*1+0].32 (4)");
    expect(text("a1 88 77 66 55 44 33 22 91")).toBe(
      `MOV general0.32 DS[undefined+undefined*1+${0x9122334455667788n}].32 (9)`,
    );
    expect(text("67 a1 ff ff ff ff")).toBe("MOV general0.32 DS[undefined+undefined*1+4294967295].32 (6)");
    expect(text("26 a4", bits32)).toBe("MOVSB ES[7+undefined*1+0].8 ES[6+undefined*1+0].8 (2)");
    expect(decoded("67 a4").addressSize).toBe(32);
  });

  it("extends immediates as their letters say", () => {
    expect(text("6b c1 ff")).toBe("IMUL general0.32 general1.32 ffffffff.32 (3)");
    expect(text("48 b8 88 77 66 55 44 33 22 91")).toBe("MOV general0.64 9122334455667788.64 (10)");
    expect(text("68 00 00 00 80")).toBe("PUSH ffffffff80000000.64 (5)");
    expect(text("c8 34 92 ff")).toBe("ENTER 9234.16 ff.8 (4)");
    expect(text("d1 c0")).toBe("ROL general0.32 1.8 (2)");
    expect(text("9a 78 56 34 92 cd ab", bits32)).toBe("CALL abcd:92345678 (7)");
    expect(text("9a 78 56 cd ab", bits16)).toBe("CALL abcd:5678 (5)");
  });

  it("separates mandatory prefixes from repeat and operand size", () => {
    expect(text("0f 10 c1")).toBe("MOVUPS xmm0.128 xmm1.128 (3)");
    expect(text("66 0f 10 c1")).toBe("MOVUPD xmm0.128 xmm1.128 (4)");
    expect(text("66 f3 0f 10 c1")).toBe("MOVSS xmm0.32 xmm1.32 (5)");
    expect(raw("f2 0f 10 c1")).toMatchObject({ kind: "fault", vector: 6 });
    expect(decoded("f3 a4").rep).toBe("repz");
    expect(decoded("f3 f2 a4").rep).toBe("repnz");
    expect(decoded("f3 90")).toMatchObject({ rep: "none", row: { semantics: { mnemonic: "PAUSE" } } });
    expect(text("f3 0f bd c1")).toBe("LZCNT general0.32 general1.32 (4)");
    expect(text("f3 0f bd c1", bits64, () => false)).toBe("BSR general0.32 general1.32 (4)");
  });

  it("allows LOCK only for lockable rows with a memory destination", () => {
    expect(decoded("f0 01 08").lock).toBe(true);
    expect(raw("f0 01 c8")).toEqual({ kind: "fault", vector: 6, length: 3 });
    expect(raw("f0 03 08")).toMatchObject({ vector: 6 });
  });

  it("obeys validity by mode", () => {
    expect(text("63 c8")).toBe("MOVSXD general1.32 general0.32 (2)");
    expect(text("63 c8", bits32)).toBe("ARPL general0.16 general1.16 (2)");
    expect(raw("63 c8", bits16)).toMatchObject({ vector: 6 });
    expect(raw("9a 00 00 00 00 00 00")).toMatchObject({ kind: "fault", vector: 6, length: 1 });
    expect(raw("f7 c8")).toMatchObject({ kind: "fault", vector: 6, length: 2 });
  });

  it("refuses registers that do not exist and MOV to CS", () => {
    expect(text("8e d8")).toBe("MOV segment3.16 general0.16 (2)");
    expect(text("44 8e d8")).toBe("MOV segment3.16 general0.16 (3)");
    expect(raw("8e c8")).toMatchObject({ vector: 6 });
    expect(raw("8e f0")).toMatchObject({ vector: 6 });
    expect(text("0f 22 18")).toBe("MOV control3.64 general0.64 (3)");
    expect(text("44 0f 22 c0")).toBe("MOV control8.64 general0.64 (4)");
    expect(raw("0f 22 c8")).toMatchObject({ vector: 6 });
    expect(raw("44 0f 22 c8")).toMatchObject({ vector: 6 });
  });

  it("reads VEX where it is one", () => {
    expect(text("c4 e2 70 f2 c2")).toBe("ANDN general0.32 general1.32 general2.32 (5)");
    expect(text("c4 42 b0 f2 c2")).toBe("ANDN general8.64 general9.64 general10.64 (5)");
    expect(text("c4 e2 f0 f2 c2", bits32)).toBe("ANDN general0.32 general1.32 general2.32 (5)");
    expect(text("c4 06 34 12", bits16)).toBe("LES general0.16 DS[undefined+undefined*1+4660].32 (4)");
    expect(raw("c4 e2 70 f2 c2", bits16)).toMatchObject({ vector: 6 });
    expect(raw("c4 e2 74 f2 c2")).toMatchObject({ vector: 6 });
    expect(raw("66 c4 e2 70 f2 c2")).toMatchObject({ vector: 6 });
    expect(raw("48 c4 e2 70 f2 c2")).toMatchObject({ vector: 6 });
    expect(raw("c5 f8 77")).toMatchObject({ vector: 6 });
    expect(raw("62 f1 7c 48 10 c0")).toMatchObject({ vector: 6 });
  });

  it("asks for more bytes only when the instruction goes on", () => {
    const whole = "48 b8 88 77 66 55 44 33 22 91".split(" ");
    for (let n = 1; n < whole.length; n++)
      expect(raw(whole.slice(0, n).join(" "))).toEqual({ kind: "incomplete" });
    expect(raw("0f")).toEqual({ kind: "incomplete" });
    expect(raw("0f 04")).toMatchObject({ kind: "fault", vector: 6, length: 2 });
  });

  it("raises #GP above 15 bytes", () => {
    const prefixes = (n: number): string => Array(n).fill("66").join(" ");
    expect(decoded(`${prefixes(13)} 01 c8`).length).toBe(15);
    expect(raw(`${prefixes(14)} 01 c8`)).toEqual({ kind: "fault", vector: 13, length: 15 });
    expect(raw(prefixes(15))).toEqual({ kind: "fault", vector: 13, length: 15 });
    expect(raw(prefixes(14))).toEqual({ kind: "incomplete" });
  });

  it("gives equal form keys exactly for equal forms", () => {
    const samples = ["01 c8", "01 08", "01 d9", "66 01 c8", "48 01 c8", "67 01 08", "41 01 c8"].map((hex) =>
      decoded(hex),
    );
    for (const a of samples)
      for (const b of samples)
        expect(formKey(a) === formKey(b)).toBe(JSON.stringify(formOf(a)) === JSON.stringify(formOf(b)));
  });
});
