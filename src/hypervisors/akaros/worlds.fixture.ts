import { decode } from "../../isa/decode.ts";
import { Bench, guestCode, program } from "./akaros.fixture.ts";
import type { KernelEntry } from "./kernel.ts";
import { context, frameRegisters, hw, kernbase, registerNumbers, sw, vm } from "./layout.ts";

/**
 * The property that every world switch has: each register of both worlds has a value of its own, something happens, and afterwards
 * every value is where it was, in memory as the frames say and in the registers as each world itself finds them.
 */

// biome-ignore format: one list
export const scenarios = ["exit", "VMfail", "failed entry", "abandoned entry", "interrupt", "NMI", "kernel interrupted"] as const;
export type Scenario = (typeof scenarios)[number];

const guestValue = (n: number): bigint => 0x0e57_0000_0000n + BigInt(n + 1) * 0x1_0001_0101n;
const hostValue = (n: number): bigint => 0x0a57_0000_0000n + BigInt(n + 1) * 0x1_0001_0101n;
const guestCr2 = 0x0e57_cccc_0000n;
const kept = ["rbx", "rbp", "r12", "r13", "r14", "r15"] as const;
const found = 0x6000;
const hostFound = program + 0x800;
const userStack = program + 0x700;

const store = (at: number): string =>
  registerNumbers.map((name, n) => `mov [${at + 8 * n}], ${name}`).join("\n");
const step = registerNumbers.map((name, n) => `lea ${name}, [${name} + ${n + 1}]`).join("\n");
/** Twice the guest writes down what it finds and changes it; in between it exits to the kernel, at the end to user level. */
const guestProgram = (wait: string): string => `
        ${store(found)}
        mov rax, cr2
        mov [${found + 0x80}], rax
        inc rax
        mov cr2, rax
        mov rax, [${found}]
        ${step}
        ${wait}
        vmcall
        ${store(found + 0x100)}
        ${step}
        hlt`;
/** A thread of the process that is put aside at INT 48, and at a system call. */
const hostProgram = `
        int 48
        ${store(hostFound)}
        mov rdi, ${program + 0x700}
        mov rdx, rsp
        xor esi, esi
        syscall
        ${store(hostFound + 0x80)}
        again: int 48
        jmp again`;

const systemRegisters = [
  "CR0", "CR3", "CR4", "IA32_EFER", "GDTR.base", "IDTR.base", "TR.base", "GS.base", "IA32_LSTAR", "IA32_STAR", "IA32_FMASK", "IA32_KERNEL_GS_BASE", "XCR0",
] as const; // biome-ignore format: one list

export interface Experiment {
  readonly scenario: Scenario;
  readonly mode?: "historic" | "fixed";
  /** Change the kernel's code. */
  readonly change?: (bench: Bench) => void;
  /** An NMI before the instruction of this number in the kernel's assembly, counted from the first pop of the guest. */
  readonly nmiAt?: number;
}

/** What was not where it belongs, one sentence each. */
export const mixed = (experiment: Experiment): string[] => {
  const says: string[] = [];
  try {
    new Round(experiment, says).run();
  } catch (problem) {
    says.push(problem instanceof Error ? problem.message : String(problem));
  }
  return says;
};

class Round {
  readonly #bench: Bench;
  readonly #says: string[];
  readonly #scenario: Scenario;
  readonly #nmiAt: number | undefined;
  /** Instructions of the kernel's assembly since the guest was popped. */
  instructions = 0;

  constructor({ scenario, mode = "fixed", change, nmiAt }: Experiment, says: string[]) {
    this.#bench = new Bench({ mode });
    this.#says = says;
    this.#scenario = scenario;
    this.#nmiAt = nmiAt;
    this.#bench.setUpGuest();
    this.#bench.process.memory.fault(0, { write: true, execute: true });
    this.#bench.process.memory.fault(program, { write: true, execute: true });
    change?.(this.#bench);
  }

  #same(what: string, is: bigint, was: bigint): void {
    if (is !== was) this.#says.push(`${what} is 0x${is.toString(16)}, was 0x${was.toString(16)}`);
  }

  run(): void {
    const bench = this.#bench;
    const { core } = bench;
    if (this.#scenario === "kernel interrupted") {
      this.#kernelInterrupted();
      return;
    }
    bench.write(hostProgram);
    const values = Object.fromEntries(registerNumbers.map((name, n) => [name, hostValue(n)]));
    bench.setHw(core, {
      ...values,
      rsp: BigInt(userStack),
      rsi: 0n,
      rip: BigInt(program),
      gsbase: hostValue(20),
      fsbase: hostValue(21),
    });
    this.#step();
    bench.akaros.finalize(core);
    const aside = bench.memory.read(core.context.at, context.bytes);
    const { frame } = core.context;
    for (const [n, name] of registerNumbers.entries())
      if (name !== "rsi" && name !== "rsp")
        this.#same(`host thread's ${name} in its frame`, bench.hw(frame, name), hostValue(n));
    this.#same("host thread's RSP in its frame", bench.hw(frame, "rsp"), BigInt(userStack));
    const { state } = core.cpu;
    const before = systemRegisters.map((name) => state[name]);
    this.#guest();
    bench.akaros.finalize(core);
    core.cpu.select();
    systemRegisters.forEach((name, n) => {
      this.#same(`host ${name}`, state[name], before[n]!);
    });
    bench.memory.write(core.context.at, aside);
    bench.process.setNotificationsDisabled(0, false);
    core.halted = false;
    this.#until("syscall");
    // Popped in full.
    bench.akaros.finalize(core);
    this.#until("trap");
    this.#hostThread();
    this.#frames();
  }

  /** Frames end at the stack's top, and calls of the C part find it aligned. */
  #frames(): void {
    const { seen, core } = this.#bench;
    const bytes: Partial<Record<KernelEntry, number>> = {
      trap: hw.bytes,
      syscall: sw.bytes,
      vmexit: vm.bytes,
    };
    for (const { entry, frame, rsp } of seen) {
      const size = bytes[entry];
      if (size !== undefined)
        this.#same(`end of a ${entry} frame`, kernbase + BigInt(frame + size), core.stackTop);
      this.#same(`alignment at a ${entry}`, (rsp + 8n) % 16n, entry === "syscall" ? 8n : 0n);
    }
  }

  #hostThread(): void {
    const { memory, process, core } = this.#bench;
    const at = process.memory.physical(hostFound);
    registerNumbers.forEach((name, n) => {
      const was = name === "rsp" ? BigInt(userStack) : name === "rsi" ? 0n : hostValue(n);
      this.#same(`host thread's ${name} after a trap`, memory.read64(at + 8 * n), was);
      if ((kept as readonly string[]).includes(name) || name === "rsp")
        this.#same(`host thread's ${name} after a system call`, memory.read64(at + 0x80 + 8 * n), was);
    });
    for (const n of [0, 2, 6, 7, 8, 9, 10])
      this.#same(`leak in register ${n}`, memory.read64(at + 0x80 + 8 * n), 0n);
    this.#same("R11 after a system call", memory.read64(at + 0x80 + 8 * 11), 0x200n);
    this.#same("host thread's GS.base", core.cpu.state.IA32_KERNEL_GS_BASE, hostValue(20));
    this.#same("host thread's FS.base", core.cpu.state["FS.base"], hostValue(21));
  }

  #guest(): void {
    const bench = this.#bench;
    const { core, akaros } = bench;
    const waits = this.#scenario === "interrupt" || this.#scenario === "NMI";
    bench.writeGuest(guestProgram(waits ? "wait: jmp wait" : "wait: jmp next\n next:"));
    const values = Object.fromEntries(registerNumbers.map((name, n) => [name, guestValue(n)]));
    const start = { ...values, rip: BigInt(guestCode), cr2: guestCr2 };
    const damage: Record<string, bigint> =
      this.#scenario === "VMfail"
        ? { trapInject: 0x8000_0120n }
        : this.#scenario === "abandoned entry"
          ? { guestPcoreId: 7n }
          : {};
    const thread = bench.guestThread(
      { ...start, ...damage },
      this.#scenario === "abandoned entry" ? 7 : 0,
      0,
    );
    bench.pop(thread);
    if (this.#scenario === "failed entry") bench.memory.write64(core.context.frame + vm.rflags, 0n);
    if (
      this.#scenario === "VMfail" ||
      this.#scenario === "failed entry" ||
      this.#scenario === "abandoned entry"
    ) {
      this.#until("syscall");
      const { frame } = bench.uthread();
      for (const name of frameRegisters)
        this.#same(
          `guest ${name} after it was not entered`,
          bench.memory.read64(frame + vm[name]),
          values[name]!,
        );
      bench.pop(bench.guestThread(start));
    }
    if (waits) {
      if (this.#step(3000) !== "slice") this.#says.push("the guest did not wait");
      akaros.kernel.sliceLeft = 20_000;
      if (this.#scenario === "NMI") core.cpu.apic.sendNmi(0);
      else core.cpu.apic.sendInterrupt(0, 100);
      // The jump to itself becomes one to the next instruction.
      const at = bench.process.memory.physical(guestCode);
      const bytes = bench.memory.read(at, 0x200);
      const jump = bytes.findIndex((byte, n) => byte === 0xeb && bytes[n + 1] === 0xfe);
      bench.memory.write(at + jump + 1, new Uint8Array([0]));
      if (core.cpu.proceed()) akaros.enterC(core);
    }
    this.#until("syscall");
    this.#checkGuest();
  }

  #checkGuest(): void {
    const { memory, process } = this.#bench;
    const { frame } = this.#bench.uthread();
    const at = process.memory.physical(found);
    registerNumbers.forEach((name, n) => {
      const change = BigInt(n + 1);
      this.#same(`guest ${name} as it found it`, memory.read64(at + 8 * n), guestValue(n));
      this.#same(`guest ${name} after an exit`, memory.read64(at + 0x100 + 8 * n), guestValue(n) + change);
      this.#same(
        `guest ${name} in the context`,
        memory.read64(frame + vm[name]),
        guestValue(n) + 2n * change,
      );
    });
    this.#same("guest CR2 as it found it", memory.read64(at + 0x80), guestCr2);
    this.#same("guest CR2 in the context", memory.read64(frame + vm.cr2), guestCr2 + 1n);
    this.#same("exit reason", BigInt(memory.read32(frame + vm.exitReason)), 12n);
  }

  /** The kernel's own registers across an interrupt. */
  #kernelInterrupted(): void {
    const bench = this.#bench;
    const { core, akaros } = bench;
    akaros.finalize(core);
    core.cpu.select();
    const { state } = core.cpu;
    const rip = kernbase + BigInt(akaros.kernel.symbol("spin"));
    for (const [n, name] of registerNumbers.entries())
      if (name !== "rsp") state[name.toUpperCase() as "RAX"] = hostValue(n);
    state.RIP = rip;
    state.RSP = core.stackTop - 0x100n;
    state.RFLAGS = 0x202n;
    core.cpu.apic.sendInterrupt(0, 100);
    this.#resume();
    for (let n = 0; n < 200 && state.RSP !== core.stackTop - 0x100n; n++) core.cpu.processor.run(1);
    for (const [n, name] of registerNumbers.entries())
      if (name !== "rsp") this.#same(`kernel ${name}`, state[name.toUpperCase() as "RAX"], hostValue(n));
    this.#same("kernel RSP", state.RSP, core.stackTop - 0x100n);
  }

  #resume(): void {
    this.#bench.akaros.kernel.sliceLeft = 20_000;
    const { core, akaros } = this.#bench;
    if (!core.cpu.proceed()) throw new Error(`the kernel was not called: ${core.cpu.unfinished}`);
    akaros.enterC(core);
  }

  #step(budget = 20_000): string | undefined {
    const { core, akaros } = this.#bench;
    if (this.#nmiAt !== undefined) this.#arm();
    const why = akaros.step(core, budget);
    if (akaros.kernel.died !== undefined) throw new Error(akaros.kernel.died.says);
    return why;
  }

  /** Count the kernel's instructions, and have an NMI come before one of them. */
  #arm(): void {
    const { kernel } = this.#bench.akaros;
    kernel.trace ??= {
      run: (cpu, budget) => {
        if (cpu.state["vmx.operation"] === 2) return cpu.processor.run(Math.min(budget, 100));
        if (cpu.state.RIP >= kernbase && this.instructions++ === this.#nmiAt) cpu.apic.sendNmi(0);
        return Math.max(1, cpu.processor.run(1));
      },
    };
  }

  #until(entry: KernelEntry): void {
    const { seen, process } = this.#bench;
    for (let n = 0; n < 40; n++) {
      const before = seen.length;
      const why = this.#step();
      if (process.ended !== undefined) throw new Error(`the process ended: ${process.ended.says}`);
      if (seen.slice(before).some((one) => one.entry === entry)) return;
      if (why !== undefined) throw new Error(`no ${entry}: ${why}`);
    }
    throw new Error(`no ${entry}`);
  }
}

/** Ways to break a stretch of the kernel's assembly between two labels. */
export interface Mutation {
  readonly name: string;
  readonly change: (bench: Bench) => void;
}

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly kind: string;
  readonly moves: boolean;
}

const piecesOf = (bench: Bench, from: string, to: string): Piece[] => {
  const { kernel } = bench.akaros;
  const end = kernel.symbol(to);
  const pieces: Piece[] = [];
  for (let at = kernel.symbol(from); at < end; ) {
    const bytes = bench.memory.read(at, 15);
    const one = decode(bytes, 0, 15, { codeSize: 64, stackSize: 64, realLike: false }, () => true);
    if (!("row" in one)) throw new Error(`no instruction at ${at.toString(16)}`);
    const { mnemonic } = one.row.semantics;
    pieces.push({
      at,
      bytes: bytes.slice(0, one.length),
      kind: mnemonic,
      moves: ["PUSH", "POP", "MOV"].includes(mnemonic),
    });
    at += one.length;
  }
  return pieces;
};

/** Two neighbours with their registers exchanged; undefined where that changes nothing. */
const exchanged = (one: Piece, two: Piece): Uint8Array | undefined => {
  if (one.kind !== two.kind || one.bytes.join() === two.bytes.join()) return undefined;
  if (one.kind !== "MOV") return new Uint8Array([...two.bytes, ...one.bytes]);
  // Loads through one pointer, with displacements of one byte.
  const [a, b] = [one.bytes, two.bytes];
  const isLoad = (bytes: Uint8Array): boolean =>
    bytes.length === 4 && bytes[1] === 0x8b && bytes[2]! >>> 6 === 1;
  if (!isLoad(a) || !isLoad(b) || (a[2]! & 7) !== (b[2]! & 7)) return undefined;
  return new Uint8Array([...a.subarray(0, 3), b[3]!, ...b.subarray(0, 3), a[3]!]);
};

/** Each move of a register left out, and each two neighbours with their registers exchanged. */
export const mutationsOf = (bench: Bench, from: string, to: string): Mutation[] => {
  const pieces = piecesOf(bench, from, to);
  return pieces.flatMap((piece, n) => {
    if (!piece.moves) return [];
    const dropped: Mutation = {
      name: `${from}: instruction ${n} left out`,
      change: (changed) => changed.memory.write(piece.at, new Uint8Array(piece.bytes.length).fill(0x90)),
    };
    const next = pieces[n + 1];
    const bytes = next === undefined ? undefined : exchanged(piece, next);
    if (bytes === undefined) return [dropped];
    const swapped: Mutation = {
      name: `${from}: registers of instructions ${n} and ${n + 1} exchanged`,
      change: (changed) => changed.memory.write(piece.at, bytes),
    };
    return [dropped, swapped];
  });
};

/** Move an instruction to behind others. */
export const moved = (from: string, to: string, which: number, behind: number): Mutation => ({
  name: `${from}: instruction ${which} moved behind ${behind}`,
  change: (bench) => {
    const pieces = piecesOf(bench, from, to);
    const order = [...pieces.slice(which + 1, behind + 1), pieces[which]!];
    bench.memory.write(pieces[which]!.at, new Uint8Array(order.flatMap(({ bytes }) => [...bytes])));
  },
});
