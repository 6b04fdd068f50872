/**
 * `npm run memory [-- BOOTS]`: a small kernel is booted again and again in one process, each time on a new machine; what the process holds is
 * printed, and must not grow from the first quarter of the boots to the last. Exit status 1 if it does.
 */
import { assemble, Machine } from "../../src/api/index.ts";

const boots = Number(process.argv[2] ?? 100);
/** Each boot makes and drops a machine of this size: what is kept of one would show at once. */
const memoryMiB = 16;
/** Growth that is not ours: V8's own caches. */
const allowedMiB = 12;

const collect = (globalThis as { gc?: () => void }).gc;
if (collect === undefined) throw new Error("run with node --expose-gc");

/** Two million instructions of loops, calls and stores, hot enough for regions, which print a line and power off by the debug exit. */
const source = `
        mov rsp, 0x9000
        mov rax, cr4
        or eax, 0x600
        mov cr4, rax
        mov ecx, 120000
again:  add rax, 13
        imul rbx, rax, 31
        xor rdx, rbx
        mov [0xa000 + rcx], rdx
        mov esi, [0xa004 + rcx]
        call mix
        cmp rsi, rbx
        adc rdi, 0
        dec ecx
        jnz again
        mov dx, 0x3f8
        mov al, 'K'
        out dx, al
        mov al, 0
        out 0xf4, al
        hlt
mix:    push rax
        rol rdx, 7
        movq xmm0, rdx
        paddq xmm1, xmm0
        pop rax
        ret`;

const assembly = assemble(source, { codeSize: 64, origin: 0x7c00 });
if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
const image = assembly.bytes;

const boot = async (): Promise<string> => {
  const machine = await Machine.create({ memoryMiB });
  const booted = await machine.boot({ image, protocol: "flat", mode: "long64" });
  if (booted.message !== undefined) throw new Error(booted.message);
  const { reason } = await machine.run();
  if (reason !== "debug-exit") throw new Error(`the kernel ended with ${reason}`);
  return machine.hash();
};

const settle = async (): Promise<void> => {
  // What a finalizer lets go of is collected by the next one.
  for (let n = 0; n < 3; n++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
};
const MIB = 2 ** 20;
interface Held {
  readonly heap: number;
  readonly external: number;
  readonly resident: number;
}
const held = (): Held => {
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed / MIB, external: external / MIB, resident: rss / MIB };
};

const samples: Held[] = [];
let hash: string | undefined;
process.stdout.write("boot   heap MiB   external MiB   resident MiB\n");
for (let n = 1; n <= boots; n++) {
  const now = await boot();
  hash ??= now;
  if (now !== hash) throw new Error("two boots of one kernel are not the same");
  await settle();
  const sample = held();
  samples.push(sample);
  if (n % Math.max(1, Math.floor(boots / 10)) === 0)
    process.stdout.write(
      `${String(n).padStart(4)}${[sample.heap, sample.external, sample.resident].map((value) => value.toFixed(1).padStart(13)).join("")}\n`,
    );
}

/** The least of a part of the boots: what remains when all that can be collected has been. */
const least = (part: readonly Held[], of: keyof Held): number =>
  Math.min(...part.map((sample) => sample[of]));
const quarter = Math.max(1, Math.floor(boots / 4));
const grown = (["heap", "external", "resident"] as const).map((of) => ({
  of,
  by: least(samples.slice(-quarter), of) - least(samples.slice(0, quarter), of),
}));
for (const { of, by } of grown) process.stdout.write(`${of}: ${by >= 0 ? "+" : ""}${by.toFixed(1)} MiB\n`);
process.exitCode = grown.some(({ by }) => by > allowedMiB) ? 1 : 0;
