import { beforeAll, describe, expect, it } from "vitest";
import { places } from "./program-places.ts";
import { placeProgram } from "./random-program.ts";
import { TwoTiers } from "./two-tiers.ts";

/**
 * SSE floating point by native operations, where they are used and where they are given up: patterns at which the rules change, under
 * every rounding and with and without what makes an inexact result unobservable, gone through by a loop.
 */

/** What a round of the loop does with XMM0 (and [rdi]) and XMM1, leaving XMM0; and the bits of a lane. */
// biome-ignore format: one row per family
const bodies: readonly (readonly [code: string, lane: 32 | 64])[] = [
  ...(["add", "sub", "mul", "div", "min", "max"] as const).flatMap((name) => [
    [`${name}sd xmm0, xmm1`, 64], [`${name}pd xmm0, xmm1`, 64], [`${name}ss xmm0, xmm1`, 32], [`${name}ps xmm0, xmm1`, 32],
    [`${name}sd xmm0, [rdi+16]`, 64], [`${name}ps xmm0, [rdi+16]`, 32],
  ] as const),
  ...(["sd", "pd"] as const).map((form) => [`sqrt${form} xmm0, xmm1`, 64] as const), ...(["ss", "ps"] as const).map((form) => [`sqrt${form} xmm0, xmm1`, 32] as const),
  ["haddpd xmm0, xmm1", 64], ["hsubps xmm0, xmm1", 32], ["addsubpd xmm0, xmm1", 64], ["dppd xmm0, xmm1, 0x31", 64], ["dpps xmm0, xmm1, 0xff", 32],
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((predicate) => [[`cmppd xmm0, xmm1, ${predicate}`, 64], [`cmpss xmm0, xmm1, ${predicate}`, 32], [`cmpps xmm0, xmm1, ${predicate}`, 32]] as const),
  ...[0, 1, 2, 3, 4, 9, 12].flatMap((how) => [[`roundsd xmm0, xmm1, ${how}`, 64], [`roundps xmm0, xmm1, ${how}`, 32], [`roundpd xmm0, xmm1, ${how}`, 64]] as const),
  ...(["comisd", "ucomisd"] as const).flatMap((name) => [[`${name} xmm0, xmm1\n pushfq\n pop rax\n movq xmm0, rax`, 64], [`${name} xmm1, [rdi]\n setbe al\n seta ah\n setp dl\n movzx eax, ax\n shl eax, 8\n mov al, dl\n movq xmm0, rax`, 64]] as const),
  ["ucomiss xmm0, xmm1\n ja l1\n pxor xmm0, xmm0\nl1: jp l2\n paddb xmm0, xmm1\nl2: ucomiss xmm1, xmm0\n jb l3\n paddd xmm0, xmm1\nl3:", 32],
  ["cvttsd2si rax, xmm1\n movq xmm0, rax", 64], ["cvtsd2si eax, xmm1\n movq xmm0, rax", 64], ["cvttss2si eax, xmm1\n movq xmm0, rax", 32], ["cvtss2si rax, xmm1\n movq xmm0, rax", 32],
  ["cvtsi2sd xmm0, dword ptr [rdi+16]", 64], ["mov rax, [rdi]\n cvtsi2sd xmm0, rax", 64], ["mov rax, [rdi]\n cvtsi2ss xmm0, rax", 64], ["mov eax, [rdi]\n cvtsi2ss xmm0, eax", 32],
  ["cvtdq2ps xmm0, xmm1", 32], ["cvtdq2pd xmm0, xmm1", 32], ["cvtps2dq xmm0, xmm1", 32], ["cvttps2dq xmm0, xmm1", 32], ["cvttpd2dq xmm0, xmm1", 64], ["cvtpd2dq xmm0, xmm1", 64],
  ["cvtss2sd xmm0, xmm1", 32], ["cvtsd2ss xmm0, xmm1", 64], ["cvtps2pd xmm0, xmm1", 32], ["cvtpd2ps xmm0, xmm1", 64],
  ["movsd xmm2, xmm0\n mulsd xmm2, xmm1\n addsd xmm2, xmm0\n divsd xmm2, xmm1\n movapd xmm0, xmm2", 64],
  ["mulps xmm0, xmm1\n addps xmm0, xmm1\n movss xmm1, xmm0\n movhlps xmm0, xmm1", 32],
];

const rounds = 60;
const roundBytes = 48;

let seed = 1n;
const random = (): bigint => {
  seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
  return seed ^ (seed >> 29n);
};

/** Patterns where the rules change, and ordinary ones near each other. */
const pattern = (bits: 32 | 64): bigint => {
  const fraction = bits === 32 ? 23n : 52n;
  const largest = bits === 32 ? 255n : 2047n;
  const bias = largest / 2n;
  const sign = (random() & 1n) << BigInt(bits - 1);
  const near = random() % 8n;
  const exponent =
    near === 0n ? random() % (largest + 1n)
    : near === 1n ? [0n, 0n, 1n, 2n, largest, largest - 1n, largest - 2n][Number(random() % 7n)]!
    : near === 2n ? bias + fraction + (random() % 16n) - 8n
    : bias + (random() % 20n) - 10n; // biome-ignore format: one row per kind
  const mask = (1n << fraction) - 1n;
  const kind = random() % 4n;
  const low =
    kind === 0n ? 0n
    : kind === 1n ? random() & mask & (~0n << (fraction - 8n))
    : kind === 2n ? (near === 1n ? 0n : mask)
    : random() & mask; // biome-ignore format: one row per kind
  return sign | (exponent << fraction) | (low & mask);
};

// Exceptions are masked: nobody is there to take them. RC, DAZ, FTZ and the flags differ.
const controls = [0x1f80, 0x1fa0, 0x1fa0, 0x1fbf, 0x3fa0, 0x5fa0, 0x7fa0, 0x7f80, 0x9fe0, 0x9fa0, 0x1fe0];

describe.each(["interpreter", "jit"] as const)(
  "SSE floating point on the %s tier and the evaluator",
  (tier) => {
    let two: TwoTiers;
    beforeAll(() => {
      two = new TwoTiers(places.ramBytes, tier);
    });

    it.each(bodies)("agree about %s", (body, lane) => {
      const text = [
        `org ${places.code}`,
        `mov rdi, ${places.data}\n mov ecx, ${rounds}`,
        "again: ldmxcsr [rdi+32]\n movups xmm0, [rdi]\n movups xmm1, [rdi+16]",
        body,
        `stmxcsr [rdi+36]\n movups [rdi], xmm0\n movups [rdi+16], xmm1\n add rdi, ${roundBytes}\n sub ecx, 1\n jnz again`,
        "jmp $",
      ].join("\n");
      seed = BigInt(body.length * 977 + lane);
      two.start((bare) => {
        placeProgram(bare, 1, 64, text);
        bare.processor.state.CR0 &= ~0xcn;
        bare.processor.state.CR4 |= 0x600n;
        const table = new DataView(new ArrayBuffer(rounds * roundBytes));
        for (let round = 0; round < rounds; round++) {
          const simple = random() % 3n === 0n;
          for (let at = 0; at < 32; at += lane / 8) {
            const bits = simple && at >= 16 ? 0n : pattern(lane);
            if (lane === 32) table.setUint32(round * roundBytes + at, Number(bits), true);
            else table.setBigUint64(round * roundBytes + at, bits, true);
          }
          table.setUint32(round * roundBytes + 32, controls[Number(random() % 11n)]!, true);
        }
        bare.guest.writeBytes(places.data, new Uint8Array(table.buffer));
      });
      const total = 1500;
      if (two.run(total, 1000) !== undefined)
        expect.fail(two.difference() ?? "counts of instructions differ");
      expect(two.evaluator.processor.state.RCX).toBe(0n);
    });
  },
);
