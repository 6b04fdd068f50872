/** Guests that do anything at all: each comes to a clear end or runs on, and the host is as it was. */
import { describe, expect, it } from "vitest";
import { machineCodeOf } from "../../src/hypervisors/host32/host.ts";
import { entryMark, selector } from "../../src/hypervisors/lguest/abi.ts";
import {
  call,
  hostFingerprint,
  hostRegisters,
  init,
  openToPrograms,
  origin,
  setGate,
  testHost,
  toProgram,
} from "../../src/hypervisors/lguest/guest.fixture.ts";

/** Mulberry32. */
const randomOf = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
};

const edges = [
  0, 1, 0x1f, 0x30, 0x61, 0x69, 0x80, 4096, 0x10_0000, 0x3f_f000, 0x40_0000, 0xc010_0000, 0xffbf_fffc,
  0xffc0_0000, 0xffff_ffff,
];

const seeds = 200;
const prologue = `
        bits 32
V       equ ${0xc000_0000}
kernelStack equ ${origin} + 0x8000
programStack equ ${origin} + 0x9000
shared  equ ${origin} + 0xa000
gdt     equ ${origin} + 0xb000
        db "${entryMark}"
        mov esp, kernelStack
        mov dword [shared + 12], -1
${init}
        mov esi, table
        mov edi, gdt
        mov ecx, 64
        rep movsd
${call("LOAD_GDT", "gdt - V", 32)}
${call("SET_STACK", selector.KERNEL_DS + 1, "kernelStack", 1)}
`;
const table = `
table:  times 12 dq 0
        dq 0x00cfbb000000ffff, 0x00cfb3000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        times 16 dq 0
`;
/** Its traps are handled by more of the same. */
const gates = [0, 6, 11, 13, 14]
  .map((vector) => setGate(vector, "after + 64", vector === 6 ? 15 : 14))
  .join("\n");
const inKernel = `${prologue}${gates}\n jmp after\n${table}after:\n`;
const inProgram = `${prologue}${gates}\n mov eax, ${selector.USER_DS}\n mov ds, eax\n mov es, eax\n${toProgram("after")}\n${table}after:\n`;

/** Random bytes as code; or hypercalls with random arguments; or loads of segments, stacks and tables made of random words. */
const guestOf = (seed: number): Uint8Array => {
  const next = randomOf(seed);
  const word = (): number => (next() & 1 ? edges[next() % edges.length]! : next());
  const start = machineCodeOf(seed % 4 === 1 ? inProgram : inKernel, origin).bytes;
  const image = new Uint8Array(0x8000);
  image.set(start);
  const view = new DataView(image.buffer);
  let at = start.length;
  const byte = (...bytes: number[]): void => {
    for (const value of bytes) image[at++] = value;
  };
  const load = (register: number, value: number): void => {
    byte(0xb8 + register);
    view.setUint32(at, value, true);
    at += 4;
  };
  if (seed % 4 < 2) while (at < 0x7000) byte(next() & 0xff);
  else
    while (at < 0x7000) {
      if ((seed % 4 === 2 && next() % 8) || next() % 16 === 0) {
        // Everything but CRASH, which is no feat.
        load(0, [0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16][next() % 13]!);
        for (const register of [2, 3, 1]) load(register, word());
        byte(0xcd, 0x1f);
      } else {
        load(0, next() & 1 ? next() % 0x110 : word());
        byte(
          ...[
            [0x8e, 0xe0],
            [0x8e, 0xe8],
            [0x8e, 0xc0],
            [0x8e, 0xd8],
            [0x89, 0xc4],
            [0x50, 0x9d],
            [0xa3, 0, 0xa0, 0x10, 0xc0],
            [0xcd, next() & 0xff],
          ][next() % 8]!,
        );
      }
    }
  return image;
};

describe("a guest that does anything at all", () => {
  it(`ends with a sentence or runs on, and leaves the host as it was: ${seeds} seeds`, () => {
    const made = testHost();
    const { host, module } = made;
    const registers = hostRegisters(made);
    const free = module.frames.free;
    const ends = new Map<string, number>();
    let fingerprint: string | undefined;
    for (let seed = 0; seed < seeds; seed++) {
      const test = made.add(guestOf(seed));
      openToPrograms(test);
      let outcome = test.read(8_000);
      for (let reads = 0; reads < 6 && typeof outcome === "number" && outcome >= 0; reads++)
        outcome = test.read(8_000);
      if (outcome === "budget") {
        test.file.write({}, [3, 1]);
        for (let reads = 0; reads < 6 && outcome === "budget"; reads++) outcome = test.read(8_000);
      }
      if (outcome === -2) outcome = test.read();
      expect(`${seed}: ${outcome} ${host.died ?? ""}`).not.toMatch(/host|undefined|NaN/);
      expect(String(outcome)).not.toBe("budget");
      expect({ seed, ...hostRegisters(made) }).toEqual({ seed, ...registers });
      test.file.close();
      // The Switcher's window is the host's from the first guest on.
      fingerprint ??= hostFingerprint(made);
      expect(hostFingerprint(made)).toBe(fingerprint);
      expect(module.frames.free).toBe(free);
      const end = String(outcome)
        .replace(/0x[0-9a-f]+|\d+/g, "#")
        .slice(0, 40);
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    if (process.env["WORLDSWITCH_SHOW_ENDS"]) console.log(ends);
    expect(ends.size).toBeGreaterThan(8);
  }, 60_000);
});
