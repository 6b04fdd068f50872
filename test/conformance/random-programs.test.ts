import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { Dice } from "../hostile/dice.ts";
import { type HostileMode, hostileModes, hostileRamBytes, prepare } from "../hostile/hostile-guest.ts";
import { type Bits, places } from "./program-places.ts";
import { placeProgram } from "./random-program.ts";
import { trial } from "./random-trial.ts";
import { TwoTiers } from "./two-tiers.ts";

/** A few of the programs; `npm run programs` takes five thousand. Others by hand: PROGRAMS=300 FIRST_PROGRAM=1000 npx vitest run random-programs. */
const programs = Number(process.env["PROGRAMS"] ?? 24);
const firstProgram = Number(process.env["FIRST_PROGRAM"] ?? 0);
const guestsPerMode = Math.ceil(programs / 6);
/** Of hostile guests: instructions, and lengths of the runs that they are cut into. */
const instructions = 500;
const slices = [65, 100, 333, 1000];

describe.each(["interpreter", "jit"] as const)(
  "A random program on the %s tier and on the evaluator",
  (tier) => {
    const two = new TwoTiers(places.ramBytes, tier);
    it.each<Bits>([32, 64])(
      "goes through the same states in %i-bit code, wherever the run is cut",
      (bits) => {
        let inRegions = 0;
        for (let seed = firstProgram; seed < firstProgram + programs; seed++) {
          const { difference, entries } = trial(two, seed, bits);
          if (difference !== undefined) expect.fail(difference);
          if (entries > 0) inRegions++;
        }
        if (tier === "jit") expect(inRegions).toBeGreaterThan(programs / 2);
        else expect(inRegions).toBe(0);
      },
    );

    it("visits faults, strings, interrupts and code that changes", () => {
      const met = new Set<number>();
      const { evaluator } = two;
      evaluator.engine.observer = { exception: ({ vector }) => met.add(vector) };
      let rewritten = 0;
      for (let seed = 0; seed < 12; seed++) {
        two.start((bare) => placeProgram(bare, seed, 64));
        const before = evaluator.guest.ram().slice(places.code, places.data);
        two.run(1000, 1000);
        if (Buffer.compare(before, evaluator.guest.ram().subarray(places.code, places.data)) !== 0)
          rewritten++;
      }
      evaluator.engine.observer = undefined;
      expect([0, 6, 13, 14].filter((vector) => !met.has(vector))).toEqual([]);
      expect(rewritten).toBeGreaterThan(3);
    });
  },
);

describe.each(["interpreter", "jit"] as const)(
  "A hostile guest on the %s tier and on the evaluator",
  (tier) => {
    const two = new TwoTiers(hostileRamBytes, tier);
    const ram = two.evaluator.guest.ram();
    const words = new Uint32Array(ram.buffer, ram.byteOffset, ram.length / 4);
    const dice = new Dice(77);
    for (let n = 0; n < words.length; n++)
      if (n < 0xa_0000 / 4 || n >= 0x10_0000 / 4) words[n] = dice.next32();
    const pristine = ram.slice();
    /** Page tables, but for what walks write into them. */
    const tables = (): number => {
      let sum = 0;
      for (let n = 0x1_0000 / 4; n < 0x3_2000 / 4; n++) sum = (Math.imul(sum, 31) + (words[n]! & ~0x60)) | 0;
      return sum;
    };

    it.each<HostileMode>(hostileModes)("goes through the same states in %s mode", (mode) => {
      for (let seed = firstProgram; seed < firstProgram + guestsPerMode; seed++) {
        const slice = slices[seed % slices.length]!;
        const place = (bare: Parameters<typeof placeProgram>[0]): void => {
          bare.guest.writeBytes(0, pristine);
          prepare(bare.guest, bare.processor, mode, new Dice(seed * 16 + hostileModes.indexOf(mode)));
        };
        two.start(place);
        const { state } = two.evaluator.processor;
        const { CR3 } = state;
        const sum = tables();
        // A guest that changes page tables in use may see old translations or new ones: then the tiers need not agree.
        const between = () =>
          state.CR0 >> 31n === 1n && (state.CR3 !== CR3 || tables() !== sum) ? "stop" : undefined;
        const at = two.run(instructions, slice, between);
        if (at !== undefined)
          expect.fail(
            `guest ${seed}: ${JSON.stringify(two.explain(place, at, slice, between), undefined, 1)}`,
          );
      }
    });
  },
);
