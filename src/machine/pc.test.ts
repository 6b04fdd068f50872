import { describe, expect, it } from "vitest";
import { machineCode } from "../asm/index.ts";
import { cpuModel } from "../cpu/cpu-model.ts";
import type { Tier } from "../cpu/execution-engine.ts";
import { isRefusal } from "./boot/load-plan.ts";
import { type BootableMachine, planMachine, powerOnMachine } from "./boot-machine.ts";
import type { Pc } from "./pc.ts";
import type { PcOutputs, PcStop } from "./pc-doors.ts";

const MiB = 2 ** 20;
const ORIGIN = 0x7c00;

interface Program {
  readonly codeSize?: 16 | 32;
  readonly processors?: number;
}

/** A machine that enters `source` at 0x7C00: in real mode, or in flat 32-bit mode. */
const machineOf = (
  source: string | Uint8Array,
  { codeSize = 16, processors = 1 }: Program = {},
): BootableMachine => {
  const bytes =
    typeof source === "string" ? machineCode(source, { codeSize, origin: BigInt(ORIGIN) }) : source;
  const board = {
    memoryBytes: 2 * MiB,
    processors,
    model: cpuModel("default", { processors })!,
    disks: [],
    seed: 1n,
  };
  const machine = planMachine(
    board,
    { image: { name: "program", bytes }, commandLine: "", modules: [] },
    { protocol: "flat", address: ORIGIN, mode: codeSize === 16 ? "real" : "protected32" },
  );
  if (isRefusal(machine)) throw new Error(machine.message);
  return machine;
};

const silent: PcOutputs = { serial: () => {}, debugcon: () => {}, virtioConsole: () => {} };

const pcOf = (source: string | Uint8Array, program?: Program): Pc =>
  powerOnMachine(machineOf(source, program), silent);

/** Runs in pieces of `piece` instructions until something else than the budget ends it. */
const runInPieces = (pc: Pc, piece: number): PcStop => {
  for (;;) {
    const stop = pc.run(piece, true);
    if (stop.kind !== "budget") return stop;
  }
};

const stateOf = (pc: Pc) => {
  const { state } = pc.processors[0]!;
  return { retired: pc.retired, now: pc.clock.nowNs, RBX: state.RBX, RCX: state.RCX, RIP: state.RIP };
};

/** The master 8259 with vectors from 8 on, and all inputs but IRQ0 masked. */
const onlyIrq0 = `
      mov al, 0x11
      out 0x20, al
      mov al, 8
      out 0x21, al
      mov al, 4
      out 0x21, al
      mov al, 1
      out 0x21, al
      mov al, 0xfe
      out 0x21, al
`;

/** Lets the 8254 interrupt every `clocks` of its input (1.193 MHz), counts in EBX from `start` on until it has done so twice. */
const ticking = (clocks: number, start = "count:") => `
      mov word ptr [0x20], tick
      mov word ptr [0x22], 0
${onlyIrq0}      mov al, 0x34
      out 0x43, al
      mov al, ${clocks & 0xff}
      out 0x40, al
      mov al, ${clocks >> 8}
      out 0x40, al
      xor ebx, ebx
      xor ecx, ecx
      sti
    ${start}
      inc ebx
      cmp ecx, 2
      jb count
      mov al, 7
      out 0xf4, al
    tick:
      inc ecx
      push ax
      mov al, 0x20
      out 0x20, al
      pop ax
      iret
`;

describe("running", () => {
  it("counts a budget beyond 32 bits exactly", () => {
    const pc = pcOf("mov ecx, 1000\n again: loop again\n cli\n hlt");
    expect(pc.run(2 ** 32 + 100, false).kind).toBe("idle");
    expect(pc.retired).toBe(1 + 1000 + 1 + 1);
  });

  it("ends after exactly the instructions asked for", () => {
    const pc = pcOf("again: inc ecx\n jmp again");
    for (const budget of [1, 2, 3, 63, 64, 65, 1001]) {
      const before = pc.retired;
      expect(pc.run(budget, true)).toEqual({ kind: "budget" });
      expect(pc.retired - before).toBe(budget);
    }
  });

  it("looks the same to the guest however it is cut, on both tiers", () => {
    const whole = pcOf(ticking(6));
    expect(whole.run(1e9, true)).toEqual({ kind: "debug-exit", status: 15 });
    expect(stateOf(whole).RCX).toBe(2n);
    for (const [piece, tier] of [
      [1e9, "evaluator"],
      [977, "interpreter"],
      [100, "interpreter"],
    ] as const) {
      const pc = pcOf(ticking(6));
      pc.tier = tier satisfies Tier;
      expect(runInPieces(pc, piece)).toEqual({ kind: "debug-exit", status: 15 });
      expect(stateOf(pc)).toEqual(stateOf(whole));
    }
  });
});

/** Starts the other processors at 0x8000, where each counts itself in a word at 0x500, and waits until all have. */
const multiprocessor = (others: number): Uint8Array => {
  const bootstrap = machineCode(
    `
      mov esi, starter
      mov edi, 0x8000
      mov ecx, 64
      rep movsb
      mov ebx, 0xfee00300
      mov dword ptr [ebx], 0xc4500   ; INIT to all but self
      mov dword ptr [ebx], 0xc4608   ; start-up at 08000H
    wait:
      pause
      cmp dword ptr [0x500], ${others}
      jb wait
      mov al, 1
      out 0xf4, al
    starter:
  `,
    { codeSize: 32, origin: BigInt(ORIGIN) },
  );
  const others16 = machineCode("lock inc word ptr [0x500]\n halted: cli\n hlt\n jmp halted", {
    codeSize: 16,
    origin: 0x8000n,
  });
  return new Uint8Array([...bootstrap, ...others16, ...new Uint8Array(64)]);
};

describe("several processors", () => {
  it.each([2, 4, 8])("of %i, all but the first wait for the start-up interrupt", (processors) => {
    const pc = pcOf(multiprocessor(processors - 1), { codeSize: 32, processors });
    expect(pc.run(1e6, true)).toEqual({ kind: "debug-exit", status: 3 });
    expect(pc.guest.readBytes(0x500, 2)).toEqual(Uint8Array.of(processors - 1, 0));
  });

  it("an INIT stops a running one until the next start-up interrupt, which a running one ignores", () => {
    const icr = (command: number) => `mov dword ptr [ebx], ${command}`;
    const wait = (count: number) => `mov ecx, 30000\n pause${count}: loop pause${count}`;
    const bootstrap = machineCode(
      `
        mov esi, others
        mov edi, 0x8000
        mov ecx, 64
        rep movsb
        mov ebx, 0xfee00300
        ${icr(0xc4500)}
        ${icr(0xc4608)}
        ${wait(1)}
        ${icr(0xc4609)}   ; lost: it runs
        ${wait(2)}
        ${icr(0xc4500)}
        mov edx, dword ptr [0x500]
        ${wait(3)}
        cmp edx, dword ptr [0x500]   ; it stands still
        mov al, 1
        jne end
        ${icr(0xc4608)}
        ${wait(4)}
        cmp edx, dword ptr [0x500]   ; it counts from 1 again
        mov al, 2
        je end
        mov al, 3
      end: out 0xf4, al
      others:
      `,
      { codeSize: 32, origin: BigInt(ORIGIN) },
    );
    const counting = machineCode("mov dword ptr [0x500], 0\n again: inc dword ptr [0x500]\n jmp again", {
      codeSize: 16,
      origin: 0x8000n,
    });
    const image = new Uint8Array([...bootstrap, ...counting, ...new Uint8Array(64)]);
    const pc = pcOf(image, { codeSize: 32, processors: 2 });
    expect(pc.run(1e6, true)).toEqual({ kind: "debug-exit", status: (3 << 1) | 1 });
  });

  it("the order in which they run does not depend on how a run is cut", () => {
    const states = [1e6, 5003, 71].map((piece) => {
      const pc = pcOf(multiprocessor(3), { codeSize: 32, processors: 4 });
      expect(runInPieces(pc, piece).kind).toBe("debug-exit");
      return { ...stateOf(pc), retired: pc.retired };
    });
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
  });
});

describe("the end of a run", () => {
  it.each([
    ["sleep state S5", "mov dx, 0x604\n mov ax, 0x3c00\n out dx, ax", { kind: "power-off" }],
    ["the reset control register", "mov dx, 0xcf9\n mov al, 6\n out dx, al", { kind: "reset" }],
    ["the keyboard controller's pulse", "mov al, 0xfe\n out 0x64, al", { kind: "reset" }],
    ["port 92H", "mov al, 1\n out 0x92, al", { kind: "reset" }],
    ["a shutdown", "lidt [nothing]\n int3\n nothing: dw 0, 0, 0", { kind: "triple-fault", processor: 0 }],
  ])("%s", (_name, source, stop) => {
    const pc = pcOf(`${source}\n again: jmp again`);
    expect(pc.run(100_000, true)).toEqual(stop);
  });

  it("is the wait for an event, which real time may bring nearer", () => {
    const pc = pcOf(ticking(1000, "count: hlt"));
    expect(pc.run(1e6, false).kind).toBe("idle");
    const before = stateOf(pc);
    for (let events = 0; events < 10 && pc.retired === before.retired; events++) {
      const stop = pc.run(1e6, false);
      if (stop.kind !== "idle") continue;
      expect(stop.untilNs).toBeGreaterThan(pc.clock.nowNs);
      pc.skipTo(stop.untilNs!);
    }
    const { now, RCX } = stateOf(pc);
    expect(RCX).toBe(before.RCX + 1n);
    // A period is 838 microseconds.
    expect(now - before.now).toBeGreaterThan(800_000);
    expect(now - before.now).toBeLessThan(850_000);
  });

  it("leaves memory to the machine after a reset", () => {
    const machine = machineOf(`
        cmp byte ptr [0x600], 0x55
        je again
        mov byte ptr [0x600], 0x55
        mov al, 0xfe
        out 0x64, al
      hang: jmp hang
      again:
        mov al, 2
        out 0xf4, al
    `);
    const before = powerOnMachine(machine, silent);
    expect(before.run(1000, true)).toEqual({ kind: "reset" });
    const after = powerOnMachine(machine, silent, before);
    expect(after.run(1000, true)).toEqual({ kind: "debug-exit", status: 5 });
  });
});

describe("IA32_TSC_DEADLINE", () => {
  /** Enables the local APIC's timer in TSC-deadline mode, vector 0x40, and asks for `source`; then waits for its request and exits. */
  const timed = (source: string) =>
    pcOf(
      `
        mov ebx, 0xfee00000
        mov dword ptr [ebx + 0xf0], 0x1ff
        mov dword ptr [ebx + 0x320], 0x40040
        ${source}
      wait:
        test dword ptr [ebx + 0x220], 1
        jz wait
        rdtsc
        out 0xf4, al
      `,
      { codeSize: 32 },
    );
  const wrmsr = (index: number, high: number, low: string) =>
    `mov ecx, ${index}\n mov edx, ${high}\n mov eax, ${low}\n wrmsr\n`;
  const [IA32_TIME_STAMP_COUNTER, IA32_TSC_ADJUST, IA32_TSC_DEADLINE] = [0x10, 0x3b, 0x6e0];

  it.each([
    [
      "what software has added to the time-stamp counter",
      wrmsr(IA32_TSC_ADJUST, 1, "0") + wrmsr(IA32_TSC_DEADLINE, 1, "9000"),
    ],
    [
      "the time-stamp counter that it has written",
      wrmsr(IA32_TIME_STAMP_COUNTER, 5, "0") + wrmsr(IA32_TSC_DEADLINE, 5, "9000"),
    ],
    [
      "what it is changed to after the deadline was set",
      wrmsr(IA32_TSC_DEADLINE, 1, "9000") + wrmsr(IA32_TSC_ADJUST, 1, "0"),
    ],
  ])("is compared with %s", (_what, source) => {
    const pc = timed(source);
    expect(pc.run(1e6, false).kind).toBe("debug-exit");
    expect(pc.clock.nowNs).toBeGreaterThan(8900);
    expect(pc.clock.nowNs).toBeLessThan(9700);
  });

  it("is put off when the counter is set back", () => {
    const pc = timed(
      wrmsr(IA32_TSC_ADJUST, 1, "0") +
        wrmsr(IA32_TSC_DEADLINE, 1, "9000") +
        wrmsr(IA32_TSC_ADJUST, 0, "0xffff3cb0"), // 50,000 less
    );
    expect(pc.run(1e6, false).kind).toBe("debug-exit");
    expect(pc.clock.nowNs).toBeGreaterThan(58_900);
    expect(pc.clock.nowNs).toBeLessThan(59_700);
  });

  it("holds for a processor while another one runs", () => {
    const pc = timed(wrmsr(IA32_TSC_ADJUST, 1, "0") + wrmsr(IA32_TSC_DEADLINE, 1, "9000"));
    const [processor] = pc.processors;
    pc.run(20, false);
    const offset = processor!.timeStampOffset;
    expect(offset).toBe(processor!.state.tscOffset);
    processor!.park();
    pc.engine.current = undefined;
    expect(processor!.timeStampOffset).toBe(offset);
  });
});

describe("the board", () => {
  it("lets firmware copy itself from ROM into the RAM beneath it, and closes that again", () => {
    const pam0 = (attributes: number) => `
      mov eax, 0x80000090
      mov dx, 0xcf8
      out dx, eax
      mov al, ${attributes}
      mov dx, 0xcfc
      out dx, al`;
    const check = (expected: number, failure: number) => `
      cmp byte ptr [variable], ${expected}
      mov al, ${failure}
      jne end`;
    const code = machineCode(
      `
        mov ax, 0xf000
        mov ds, ax
        mov es, ax
        mov byte ptr [variable], 1   ; ROM
        ${check(0x77, 1)}
        ${pam0(0x20)}                ; reads from ROM, writes to RAM
        xor si, si
        xor di, di
        mov cx, 0x8000
        rep movsw
        mov byte ptr [variable], 2
        ${check(0x77, 2)}
        ${pam0(0x30)}                ; RAM
        ${check(2, 3)}
        mov byte ptr [variable], 3
        ${check(3, 4)}
        ${pam0(0x10)}                ; RAM that cannot be written
        mov byte ptr [variable], 4
        ${check(3, 5)}
        ${pam0(0)}
        ${check(0x77, 6)}
        mov al, 0
      end: out 0xf4, al
      variable: db 0x77
      `,
      { codeSize: 16, origin: 0n },
    );
    const bytes = new Uint8Array(0x1_0000);
    bytes.set(code);
    bytes.set(machineCode("jmp 0xf000:0", { codeSize: 16, origin: 0xfff0n }), 0xfff0);
    const board = { memoryBytes: 2 * MiB, processors: 1, model: cpuModel("default")!, disks: [], seed: 1n };
    const request = { image: { name: "rom", bytes }, commandLine: "", modules: [] };
    const machine = planMachine(board, request, { protocol: "firmware" });
    if (isRefusal(machine)) throw new Error(machine.message);
    for (const tier of ["interpreter", "evaluator"] as const) {
      const pc = powerOnMachine(machine, silent);
      pc.tier = tier;
      expect(pc.run(1e6, true)).toEqual({ kind: "debug-exit", status: 1 });
    }
  });

  it("lets the HPET's edge on IRQ0 wait at the 8259 until it is acknowledged", () => {
    const pc = pcOf(
      `
${onlyIrq0}        mov ebx, 0xfed00000
        mov dword ptr [ebx + 0x100], 0x104   ; timer 0: 32 bits, interrupt enabled, edge
        mov dword ptr [ebx + 0x108], 1000    ; 10 microseconds
        mov dword ptr [ebx + 0x10], 3        ; legacy replacement, enabled
        mov ecx, 20000
      again:
        loop again
        mov al, 0x0c                         ; poll
        out 0x20, al
        in al, 0x20
        out 0xf4, al
      `,
      { codeSize: 32 },
    );
    expect(pc.run(1e6, true)).toEqual({ kind: "debug-exit", status: (0x80 << 1) | 1 });
  });

  it("tells each PCI function which 8259 input its interrupt goes to", () => {
    const lines = pcOf("hlt")
      .pci.functions()
      .map(({ found }) => [found.interruptPin, found.read(0x3c, 1)]);
    expect(lines).toEqual([
      [0, 0],
      [1, 10],
      [1, 11],
      [0, 0],
    ]);
  });
});
