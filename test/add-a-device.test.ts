/** Walks docs/ADD-A-DEVICE.md: its pieces of code stand below word for word, and work, on a bench and in a guest's hands. */
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { machineCode } from "../src/asm/index.ts";
import type { Clock, Timer } from "../src/bus/clock.ts";
import type { InterruptLine } from "../src/bus/interrupt-line.ts";
import { byteWide } from "../src/bus/port-io.ts";
import { SteppedClock } from "../src/bus/stepped-clock.ts";
import { cpuModel } from "../src/cpu/cpu-model.ts";
import { PC_TESTDEV } from "../src/devices/pc-testdev.ts";
import { isRefusal } from "../src/machine/boot/load-plan.ts";
import { planMachine, powerOnMachine } from "../src/machine/boot-machine.ts";

/** Register offsets. */
const OFFSET = { SECONDS: 0, CSR: 1 } as const;
/** Control and Status Register. */
const CSR = { RUNG: 1 << 0, IE: 1 << 7 } as const;
const NS_PER_SECOND = 1_000_000_000;

interface EggTimer3State {
  /** CSR.IE. */
  IE: boolean;
  /** When the egg is done, in virtual time; undefined when the timer stands still. */
  doneNs: number | undefined;
}

const powerOn = (): EggTimer3State => ({ IE: false, doneNs: undefined });

/** The EGG-3: rings once, up to 255 seconds after it was set. One interrupt line. */
class EggTimer3 {
  state = powerOn();
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #bell: Timer;

  constructor(clock: Clock, irq: InterruptLine) {
    this.#clock = clock;
    this.#irq = irq;
    this.#bell = clock.timer("EGG-3", () => this.driveOutputs());
  }

  reset(): void {
    this.state = powerOn();
    this.driveOutputs();
  }

  read(offset: number): number {
    if (offset === OFFSET.SECONDS) return Math.ceil(this.#nsLeft() / NS_PER_SECOND);
    return (this.#rung() ? CSR.RUNG : 0) | (this.state.IE ? CSR.IE : 0);
  }

  write(offset: number, byte: number): void {
    if (offset === OFFSET.SECONDS) this.state.doneNs = this.#clock.nowNs + byte * NS_PER_SECOND;
    else {
      if (byte & CSR.RUNG && this.#rung()) this.state.doneNs = undefined;
      this.state.IE = (byte & CSR.IE) !== 0;
    }
    this.driveOutputs();
  }

  #nsLeft(): number {
    return Math.max(0, (this.state.doneNs ?? 0) - this.#clock.nowNs);
  }

  #rung(): boolean {
    return this.state.doneNs !== undefined && this.#nsLeft() === 0;
  }

  /** Line and timer as the state says; call it after setting `state` from a snapshot. */
  driveOutputs(): void {
    this.#irq.set(this.state.IE && this.#rung());
    if (this.state.doneNs !== undefined && !this.#rung()) this.#bell.arm(this.state.doneNs);
    else this.#bell.disarm();
  }
}

/** Sets the egg timer to 200 seconds, sleeps until its interrupt, IRQ 5, and then ends the machine with what CSR says. */
const EGG_GUEST = `
    bits 16
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov word [0x25 * 4], rang
    mov word [0x25 * 4 + 2], 0
    mov al, 0x11            ; the 8259: interrupts are vectors 0x20 to 0x27, only IRQ 5 is open
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xdf
    out 0x21, al
    mov dx, 0x2e8
    mov al, 200
    out dx, al
    inc dx
    mov al, 0x80
    out dx, al
    sti
  sleep:
    hlt
    jmp sleep
  rang:
    in al, dx
    out 0xf4, al`;

describe("docs/ADD-A-DEVICE.md", () => {
  let clock: SteppedClock;
  let asserted: boolean;
  let egg: EggTimer3;
  beforeEach(() => {
    clock = new SteppedClock();
    asserted = false;
    egg = new EggTimer3(clock, { set: (level) => void (asserted = level) });
  });

  it("rings when the time is over, until it is acknowledged", () => {
    egg.write(0, 3);
    egg.write(1, 0x80);
    clock.advance(2_999_999_999);
    expect([egg.read(0), egg.read(1), asserted]).toEqual([1, 0x80, false]);
    clock.advance(1);
    expect([egg.read(0), egg.read(1), asserted]).toEqual([0, 0x81, true]);
    egg.write(1, 0x81);
    expect([egg.read(1), asserted]).toEqual([0x80, false]);
  });

  it("holds at the ends of its range", () => {
    egg.write(1, 0x80);
    egg.write(0, 0);
    expect(asserted).toBe(true);
    egg.write(0, 255); // a start while it rings silences it
    egg.write(1, 0x81); // and cannot be acknowledged before its time
    clock.advance(254_999_999_999);
    expect([egg.read(0), asserted]).toEqual([1, false]);
    clock.advance(1);
    expect(asserted).toBe(true);
    egg.reset();
    expect([egg.read(0), egg.read(1), asserted]).toEqual([0, 0, false]);
  });

  it("goes on from a snapshot", () => {
    egg.write(1, 0x80);
    egg.write(0, 3);
    const saved = structuredClone(egg.state);
    egg.reset();
    egg.state = saved;
    egg.driveOutputs();
    clock.advance(3 * NS_PER_SECOND);
    expect(asserted).toBe(true);
  });

  it("wakes a guest that sleeps until it rings", () => {
    const image = { name: "egg", bytes: machineCode(EGG_GUEST, { codeSize: 16, origin: 0x7c00 }) };
    const board = { memoryBytes: 0x20_0000, processors: 1, model: cpuModel("default")!, disks: [], seed: 0n };
    const machine = planMachine(board, { image, commandLine: "", modules: [] }, { protocol: "flat" });
    if (isRefusal(machine)) throw new Error(machine.message);
    const pc = powerOnMachine(machine, { serial() {}, debugcon() {}, virtioConsole() {} });
    const { clock, portBus } = pc;
    // On the board already built, the way to interrupt n of the ISA bus is the test device that sets levels.
    const isa = (irq: number): InterruptLine => ({
      set: (level) => portBus.write(PC_TESTDEV.IRQ_LINE.start + irq, level ? 1 : 0, 1),
    });
    portBus.map(0x2e8, 2, byteWide(new EggTimer3(clock, isa(5))), "EGG-3");
    expect(pc.run(1000, true)).toEqual({ kind: "debug-exit", status: (0x81 << 1) | 1 });
    expect(Math.floor(clock.nowNs / NS_PER_SECOND)).toBe(200);
    expect(pc.retired).toBeLessThan(100);
  });

  it("is true to the document: every piece of code in it is in this file", () => {
    const lines = (text: string) =>
      text
        .split("\n")
        .map((line) => line.trim().replace(/^export /, ""))
        .filter((line) => line !== "");
    const document = readFileSync(new URL("../docs/ADD-A-DEVICE.md", import.meta.url), "utf8");
    const here = lines(readFileSync(new URL(import.meta.url), "utf8")).join("\n");
    const pieces = [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, piece]) =>
      lines(piece!).join("\n"),
    );
    expect(pieces).toHaveLength(3);
    for (const piece of pieces) expect(here).toContain(piece);
  });

  it("names files that exist", () => {
    const document = readFileSync(new URL("../docs/ADD-A-DEVICE.md", import.meta.url), "utf8");
    const paths = [...document.matchAll(/`(src\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths)
      expect(() => readFileSync(new URL(`../${path}`, import.meta.url))).not.toThrow();
  });
});
