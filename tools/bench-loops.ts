/**
 * `npm run bench:loops`: how fast the interpreter tier runs small loops, without a guest operating system. Every loop ends with a
 * checksum in RAX that must be the expected one: a wrong engine can be fast.
 */
import { assemble, Machine } from "worldswitch";

interface Work {
  readonly name: string;
  readonly iterations: number;
  /** 64-bit code; RCX is the number of iterations; the result is left in RAX. */
  readonly code: string;
  readonly expected: (iterations: number) => bigint;
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

const works: readonly Work[] = [
  {
    name: "register loop",
    iterations: 20_000_000,
    code: "again: add rax, rcx\n xor rax, rbx\n lea rbx, [rbx + rax]\n dec rcx\n jnz again",
    expected: (n) => {
      let [rax, rbx] = [0n, 0n];
      for (let rcx = BigInt(n); rcx > 0n; rcx--) {
        rax = u64(rax + rcx) ^ rbx;
        rbx = u64(rbx + rax);
      }
      return rax;
    },
  },
  {
    name: "memory loop",
    iterations: 20_000_000,
    code: "mov rsi, 0x200000\nagain: mov rdx, [rsi]\n add rdx, rcx\n mov [rsi], rdx\n add rax, rdx\n dec rcx\n jnz again",
    expected: (n) => {
      let [rax, cell] = [0n, 0n];
      for (let rcx = BigInt(n); rcx > 0n; rcx--) {
        cell = u64(cell + rcx);
        rax = u64(rax + cell);
      }
      return rax;
    },
  },
  {
    name: "call and return",
    iterations: 15_000_000,
    code: "mov rsp, 0x300000\nagain: call step\n dec rcx\n jnz again\n jmp done\nstep: add rax, rcx\n ret\ndone: nop",
    expected: (n) => u64((BigInt(n) * BigInt(n + 1)) / 2n),
  },
];

const runs = Number(process.argv[2] ?? 3);
const rows: { work: string; instructions: number; "million/s": string; checksum: string }[] = [];
for (const { name, iterations, code, expected } of works) {
  const program = assemble(`mov rcx, ${iterations}\n xor eax, eax\n xor ebx, ebx\n${code}\nhlt`, {
    codeSize: 64,
    origin: 0x100000,
  });
  if (program.kind === "errors") throw new Error(program.errors[0]?.message);
  const rates: number[] = [];
  let instructions = 0;
  let checksum = 0n;
  for (let run = 0; run < runs; run++) {
    const machine = await Machine.create({ memoryMiB: 16 });
    const booted = await machine.boot({
      image: program.bytes,
      protocol: "flat",
      address: 0x100000,
      mode: "long64",
    });
    if (booted.message !== undefined) throw new Error(booted.message);
    const started = performance.now();
    const result = await machine.run({ timeout: 60 });
    rates.push(result.instructions / (performance.now() - started) / 1000);
    instructions = result.instructions;
    checksum = machine.registers.get("RAX");
  }
  const right = checksum === expected(iterations);
  rows.push({
    work: name,
    instructions,
    "million/s": Math.max(...rates).toFixed(0),
    checksum: right ? "right" : `WRONG: ${checksum}`,
  });
  if (!right) process.exitCode = 1;
  console.error(
    `${name}: ${rates.map((rate) => rate.toFixed(0)).join(", ")} million instructions per second`,
  );
}
console.table(rows);
