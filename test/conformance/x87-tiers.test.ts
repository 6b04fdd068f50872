import { beforeAll, describe, expect, it } from "vitest";
import { places } from "./program-places.ts";
import { placeProgram } from "./random-program.ts";
import { TwoTiers } from "./two-tiers.ts";

/**
 * The usual forms of x87 instructions beside their procedures, which is what the evaluator runs: operands at which the rules change,
 * under several control words, gone through by a loop that stores what became of registers, status, tags and flags.
 */

const arithmetic = ["fadd", "fsub", "fsubr", "fmul", "fdiv", "fdivr"];
const moves = ["fcmovb", "fcmovnb", "fcmove", "fcmovne", "fcmovbe", "fcmovnbe"];
// biome-ignore format: one row per family
const bodies: readonly string[] = [
  ...arithmetic.flatMap((name) => [`${name} st0, st1`, `${name} st1, st0`, `${name}p st1, st0`, `${name} qword ptr [rdi+16]`, `${name} dword ptr [rdi+24]`, `fi${name.slice(1)} dword ptr [rdi+28]`, `fi${name.slice(1)} word ptr [rdi+30]`]),
  "fld st1", "fld qword ptr [rdi+16]", "fld dword ptr [rdi+24]", "fild word ptr [rdi+16]", "fild dword ptr [rdi+16]", "fild qword ptr [rdi+16]", "fld1\n fldz", "fxch st1", "fxch st5", "fchs", "fabs",
  "fst qword ptr [rdi+64]", "fstp qword ptr [rdi+64]", "fst dword ptr [rdi+64]", "fstp dword ptr [rdi+64]", "fst st3", "fstp st1", "fstp st0",
  "fist word ptr [rdi+64]", "fist dword ptr [rdi+64]", "fistp dword ptr [rdi+64]", "fistp qword ptr [rdi+64]", "fisttp dword ptr [rdi+64]", "fisttp qword ptr [rdi+64]", "fistp word ptr [rdi+64]",
  "fcom st1\n fnstsw ax\n mov [rdi+64], ax", "fcomp qword ptr [rdi+16]", "fcompp", "fucom st1", "fucomp st1", "fucompp", "ftst\n fnstsw word ptr [rdi+64]", "ficom dword ptr [rdi+24]", "ficomp word ptr [rdi+24]",
  ...["fcomi", "fcomip", "fucomi", "fucomip"].map((name) => `${name} st0, st1\n pushfq\n pop rax\n mov [rdi+64], rax\n jbe skip\n fld1\nskip:`),
  ...moves.map((name) => `${name} st0, st1`), "fadd st0, st4", "fxch st4", "fld st6\n fld st6\n fld st6\n fld st6\n fld st6\n fld st6", "fldcw [rdi+42]\n fnstcw [rdi+64]\n fistp qword ptr [rdi+72]",
  "fmul st0, st0\n fadd st0, st1\n fdiv st0, st1\n fsubrp st1, st0\n fmul qword ptr [rdi+16]\n fstp qword ptr [rdi+64]\n fld qword ptr [rdi+64]",
];

const rounds = 24;
const roundBytes = 128;

let seed = 1n;
const random = (): bigint => {
  seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
  return seed ^ (seed >> 29n);
};

const fractionOf = (bits: bigint): bigint => {
  const mask = (1n << bits) - 1n;
  const kind = random() % 5n;
  return kind === 0n ? 0n
    : kind === 1n ? random() & mask & (~0n << (bits - 9n))
    : kind === 2n ? mask
    : kind === 3n ? random() & 0xfffn & mask
    : random() & mask; // biome-ignore format: one row per kind
};

/** An exponent: mostly near the others'. */
const exponentOf = (bias: bigint): bigint => {
  const kind = random() % 16n;
  const edges = [0n, 1n, 2n, bias * 2n + 1n, bias * 2n, bias + 63n, bias - 1n];
  if (kind === 0n) return edges[Number(random() % 7n)]!;
  return kind < 3n
    ? bias + (random() % 140n) - 70n
    : kind < 5n
      ? bias + (random() % 70n)
      : bias + (random() % 6n) - 3n;
};

/** 80 bits: normal, or whatever else there is. */
const extended = (): bigint => {
  const sign = (random() & 1n) << 79n;
  const kind = random() % 20n;
  if (kind === 0n) return sign;
  const exponent = exponentOf(16383n);
  const integer = exponent === 0n || kind === 1n ? random() & 1n : 1n;
  return sign | (exponent << 64n) | (integer << 63n) | fractionOf(63n);
};
const float = (bits: 32 | 64): bigint => {
  const sign = (random() & 1n) << BigInt(bits - 1);
  if (random() % 12n === 0n) return sign;
  return bits === 32
    ? sign | (exponentOf(127n) << 23n) | fractionOf(23n)
    : sign | (exponentOf(1023n) << 52n) | fractionOf(52n);
};

// Exceptions are masked but for the last ones, whose programs go to a handler or go on. PC and RC differ.
const controls = [0x37f, 0x37f, 0x37f, 0x37f, 0xf7f, 0x77f, 0xb7f, 0x27f, 0x07f, 0x35f];

describe.each(["interpreter", "jit"] as const)(
  "x87 instructions on the %s tier and their procedures",
  (tier) => {
    let two: TwoTiers;
    beforeAll(() => {
      two = new TwoTiers(places.ramBytes, tier);
    });

    it.each(bodies)("agree about %s", (body) => {
      const text = [
        `org ${places.code}`,
        `mov rdi, ${places.data}\n mov ecx, ${rounds}`,
        "again: fninit\n fldcw [rdi+40]\n fld xmmword ptr [rdi]".replace("xmmword", "tbyte"),
        "fld tbyte ptr [rdi+48]\n bt ecx, 2\n sbb eax, eax",
        body,
        "fnstsw ax\n mov [rdi+80], ax\n fnstenv [rdi+84]\n fldenv [rdi+84]\n fnclex\n fstp tbyte ptr [rdi]\n fnclex\n fstp tbyte ptr [rdi+48]",
        `add rdi, ${roundBytes}\n sub ecx, 1\n jnz again`,
        "jmp $",
      ].join("\n");
      seed = BigInt(body.length * 977 + body.charCodeAt(1));
      two.start((bare) => {
        placeProgram(bare, 1, 64, text);
        bare.processor.state.CR0 = (bare.processor.state.CR0 & ~0xcn) | 0x20n;
        const table = new DataView(new ArrayBuffer(rounds * roundBytes));
        for (let round = 0; round < rounds; round++) {
          const at = round * roundBytes;
          for (const place of [0, 48]) {
            const bits = extended();
            table.setBigUint64(at + place, BigInt.asUintN(64, bits), true);
            table.setUint16(at + place + 8, Number(bits >> 64n), true);
          }
          table.setBigUint64(at + 16, random() % 4n === 0n ? random() >> (random() % 64n) : float(64), true);
          table.setUint32(at + 24, Number(float(32)), true);
          table.setUint32(at + 28, Number(BigInt.asUintN(32, random() >> (random() % 60n))), true);
          table.setUint16(at + 40, controls[Number(random() % 10n)]!, true);
          table.setUint16(at + 42, [0x37f, 0xf7f, 0xc7f, 0x340][Number(random() % 4n)]!, true);
        }
        bare.guest.writeBytes(places.data, new Uint8Array(table.buffer));
      });
      if (two.run(900, 450) !== undefined) expect.fail(two.difference() ?? "counts of instructions differ");
    });
  },
);
