/**
 * Random guests until they have retired so many instructions, in every mode; one line of JSON per mode and a watchdog's
 * line before each trial. `npm run hostile` runs what the README promises; hostile.test.ts a little of it.
 *
 * Arguments: seeds, instructions of each, how many guests a seed may use up (one that ends early is followed by another),
 * and optionally modes by number (0,1,2), the first seed, and the tier.
 */
import { cpuModel } from "../../src/cpu/cpu-model.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { Pc } from "../../src/machine/pc.ts";
import type { PcStop } from "../../src/machine/pc-doors.ts";
import { Dice } from "./dice.ts";
import { type HostileMode, hostileModes, hostileRamBytes, prepare } from "./hostile-guest.ts";

/** Seeds that share a machine, whose devices keep what the guests before did to them. */
const seedsPerMachine = 50;

export interface HostileSummary {
  readonly mode: HostileMode;
  readonly seeds: number;
  readonly instructions: number;
  readonly guests: number;
  readonly stops: Readonly<Record<string, number>>;
  readonly handlers: number;
  readonly heapMiB: number;
  /** The most there has been. */
  readonly residentMiB: number;
  readonly seconds: number;
  /** Nanoseconds of a host processor's time per instruction, preparing guests included. */
  readonly nsPerInstruction: number;
  readonly slowest: { readonly seed: number; readonly seconds: number };
}

const [seedsText, instructionsText, guestsText, modesText, firstText, tier] = process.argv.slice(2);
const seeds = Number(seedsText ?? 200);
const instructions = Number(instructionsText ?? 10_000_000);
const guestsPerSeed = Number(guestsText ?? 40);
const first = Number(firstText ?? 0);
const modes = modesText ? modesText.split(",").map((text) => hostileModes[Number(text)]!) : hostileModes;

const machine = (seed: number): Pc => {
  const processors = Math.floor(seed / seedsPerMachine) % 4 === 3 ? 2 : 1;
  const model = cpuModel("default", { processors })!;
  const pc = new Pc(
    { memoryBytes: hostileRamBytes, processors, model, disks: [], seed: BigInt(seed), romBytes: 0 },
    { serial: () => {}, debugcon: () => {}, virtioConsole: () => {} },
  );
  if (tier !== undefined) pc.tier = tier as Tier;
  const dice = new Dice(seed);
  for (let at = 0; at < 0xa_0000; at += 4) pc.guest.write(at, dice.next32(), 4);
  for (let at = 0x10_0000; at < hostileRamBytes; at += 4) pc.guest.write(at, dice.next32(), 4);
  return pc;
};

for (const mode of modes) {
  let pc: Pc | undefined;
  const stops: Record<string, number> = {};
  let retired = 0;
  let guests = 0;
  let handlers = 0;
  let slowest = { seed: 0, seconds: 0 };
  const started = performance.now();
  const usedBefore = process.cpuUsage();
  for (let seed = first; seed < first + seeds; seed++) {
    if (pc === undefined || seed % seedsPerMachine === 0) pc = machine(seed);
    const begin = performance.now();
    let left = instructions;
    for (let n = 0; n < guestsPerSeed && left > 0; n++) {
      const dice = new Dice((seed * 1000 + n) * 16 + hostileModes.indexOf(mode));
      const [processor] = pc.processors;
      processor!.select();
      const trial = prepare(pc.guest, processor!, mode, dice);
      process.stdout.write(`trial ${JSON.stringify({ ...trial, seed, n })}\n`);
      const before = pc.retired;
      const stop: PcStop = pc.run(
        guestsPerSeed === 1 ? left : Math.min(left, Math.ceil(instructions / 4)),
        true,
      );
      stops[stop.kind] = (stops[stop.kind] ?? 0) + 1;
      guests++;
      left -= Math.max(1, pc.retired - before);
      retired += pc.retired - before;
    }
    handlers = Math.max(handlers, pc.engine.module.handlerCount);
    const took = Math.round(performance.now() - begin) / 1000;
    if (took > slowest.seconds) slowest = { seed, seconds: took };
  }
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed } = process.memoryUsage();
  const { maxRSS } = process.resourceUsage();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(usedBefore);
  const summary: HostileSummary = {
    mode,
    seeds,
    instructions: retired,
    guests,
    stops,
    handlers,
    heapMiB: Math.round(heapUsed / 2 ** 20),
    residentMiB: Math.round(maxRSS / 2 ** 10),
    seconds: Math.round(seconds * 10) / 10,
    nsPerInstruction: Math.round(((user + system) * 1e3) / Math.max(1, retired)),
    slowest,
  };
  process.stdout.write(`summary ${JSON.stringify(summary)}\n`);
}
