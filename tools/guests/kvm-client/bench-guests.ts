import { longMode, longModePaging } from "./long-mode.ts";
import { guestCode, Scenario } from "./scenario.ts";

/** How much AL grows from one OUT to the next. */
const STRIDE = 7;
const LEAF = [0x1234_5601, 0x0234_5602, 0x0034_5603, 0x0004_5604] as const;

const guest = (name: string, text: string): Scenario => {
  const scenario = new Scenario(name);
  const code = guestCode(64, 0x1000, text);
  scenario.create();
  longModePaging(scenario);
  scenario.load(code);
  scenario.cpuid([{ leaf: 0x4000_0000, registers: LEAF }]);
  scenario.set({ rip: 0x1000n, rsp: 0x8000n }, longMode());
  return scenario;
};

/** 64-bit code that writes to a port for ever, other bytes each time. */
export const benchIo = (): Scenario =>
  guest("bench-io", `again: out 0x10, al\n add al, ${STRIDE}\n jmp again`);

/** 64-bit code that asks CPUID as often as R8 says, sums what it gets in R9, and halts. */
export const benchCpuid = (): Scenario =>
  guest(
    "bench-cpuid",
    `
again:  mov eax, 0x40000000
        xor ecx, ecx
        cpuid
        add r9, rax
        add r9, rbx
        add r9, rcx
        add r9, rdx
        dec r8
        jnz again
        hlt`,
  );

/** The checksum that `bench-io` prints: the sum of all bytes. */
export const ioChecksum = (count: number): bigint => {
  let sum = 0n;
  for (let i = 0; i < count; i++) sum += BigInt((i * STRIDE) & 0xff);
  return sum;
};

/** The checksum that `bench-cpuid` prints. */
export const cpuidChecksum = (count: number): bigint =>
  BigInt(count) * LEAF.reduce((sum, value) => sum + BigInt(value), 0n);
