import { vmxAbortMeaning } from "../arch/vmx-aborts.ts";
import { Lockstep, type MakeRunner } from "../debug/lockstep/lockstep.ts";
import type { SwitchStep } from "../hypervisors/host/switch-trace.ts";
import type { ImageRunner } from "../hypervisors/host/virtual-machine.ts";
import { hypervisors } from "../hypervisors/index.ts";
import { Blake2b } from "../machine/blake2b.ts";
import type { BootProtocol } from "../machine/boot/load-plan.ts";
import { mebibytes } from "../machine/boot/memory-map.ts";
import { type BootableMachine, planMachine, powerOnMachine } from "../machine/boot-machine.ts";
import type { Pc } from "../machine/pc.ts";
import type { PcOutputs, PcStop } from "../machine/pc-doors.ts";
import { SerialWire } from "../machine/serial-wire.ts";
import { type Configuration, configurationOf, type MachineOptions } from "./configuration.ts";
import {
  bootFile,
  bootModule,
  type ImageSource,
  isRefusal,
  type ModuleSource,
  type Refusal,
} from "./files.ts";
import { nowMs, Sleep, TIMER_MS, yieldToHost } from "./host-time.ts";
import { type Input, type InputLog, InputRecorder } from "./input-log.ts";
import { Memory } from "./memory.ts";
import { OutputStream } from "./output-stream.ts";
import { Registers } from "./registers.ts";
import {
  type RunOptions,
  type RunResult,
  type Statistics,
  type StopReason,
  stopReasons,
  type VmxAbort,
} from "./run.ts";
import { TextMatch } from "./text-match.ts";
import { Vmx } from "./vmx.ts";

export interface BootOptions {
  /** The kernel: its bytes or, in Node, a file's name. Left out when `firmware` is booted. */
  readonly image?: ImageSource;
  /** An initial RAM disk, or several boot modules in order. Linux takes several as one, concatenated. */
  readonly initrd?: ModuleSource | readonly ModuleSource[];
  readonly commandLine?: string;
  /** Default: what the image's content allows, the first of linux-64, linux-32, multiboot, multiboot2 and pvh. */
  readonly protocol?: Exclude<BootProtocol, "firmware">;
  /** Flat binaries: where to load and enter it; default 0x7C00. */
  readonly address?: number;
  /** Flat binaries: the mode to enter it in; default "real". */
  readonly mode?: "real" | "protected32" | "long64";
  /** Multiboot: whether the command line begins with the image's name, as QEMU gives it; default true. */
  readonly withFileName?: boolean;
  /** A firmware ROM in place of an image: placed below 4 GiB and started at the reset vector. */
  readonly firmware?: ImageSource;
}

/** What `boot` came to: the protocol that was used, or why the image cannot be booted, in one sentence. */
export type BootOutcome = { readonly protocol: BootProtocol; readonly message?: undefined } | Refusal;

/** A line to the guest and back. */
export interface Line extends Pick<OutputStream, "on" | "off"> {
  /** Send text (as UTF-8) or bytes. Nothing is lost: what the guest has no room for yet waits. */
  write(input: string | Uint8Array): void;
  /** Bytes written that the guest has not taken yet. */
  readonly pending: number;
}

/** The host runs the guest this long before it looks at input, timers and limits. */
const SLICE_MS = 10;
const FIRST_SLICE = 50_000;
const LEAST_SLICE = 1_000;
const LARGEST_SLICE = 100_000_000;
/** A guest with interrupts off that does nothing for so long in real time is halted for good: no NMI will come. */
const DEAD_NS = 10_000_000_000;
/**
 * So often the machine may go through 100,000 jumps of virtual time without an instruction before it counts as halted for good: one
 * with interrupts on waits for something rare beside a timer that ticks unheard.
 */
const FRUITLESS_RUNS = { interruptsOff: 0, interruptsOn: 10 } as const;
const HASH_BYTES = 32;
const IF = 1 << 9;
const activityHlt = 1;

/** A PC. Create it, boot an image on it, run it. All methods but `run` want it not running; `serial.write` and `pause` may come any time. */
export class Machine {
  readonly #configuration: Configuration;
  readonly #serialOutput = [new OutputStream(), new OutputStream()] as const;
  readonly #debugOutput = new OutputStream();
  readonly #consoleOutput = new OutputStream();
  readonly #outputStreams = [...this.#serialOutput, this.#debugOutput, this.#consoleOutput];
  readonly #outputs: PcOutputs;
  /** Inputs since the last look, in order. */
  #incoming: Input[] = [];
  readonly #log = new InputRecorder();
  #replayed = 0;
  readonly #sleep = new Sleep();
  /** How far virtual time is ahead of the sleeps it stands for, because they ended within a timer's resolution before an event. */
  #aheadNs = 0;
  #bootable: BootableMachine | undefined;
  #pc: ImageRunner | undefined;
  /** To the machine that runs, and to the one behind it. */
  #wires: readonly (readonly [SerialWire, SerialWire])[] = [];
  #ended: RunEnd | undefined;
  #running = false;
  #switchListener: ((step: SwitchStep) => void) | undefined;
  #pauseRequested = false;
  #expectInput: boolean;
  #sliceInstructions = FIRST_SLICE;
  /** Of the machine before its last reset. */
  #instructionsBefore = 0;
  #virtualNsBefore = 0;
  #resets = 0;
  #busyMs = 0;

  /** Serial port 1 (COM1). */
  readonly serial: Line = this.#line(this.#serialOutput[0], (bytes) => ({ kind: "serial", port: 1, bytes }));
  /** Serial port 2 (COM2). */
  readonly serial2: Line = this.#line(this.#serialOutput[1], (bytes) => ({ kind: "serial", port: 2, bytes }));
  /** The virtio console. */
  readonly console: Line = this.#line(this.#consoleOutput, (bytes) => ({ kind: "console", bytes }));
  /** The debug console: bytes written to port 0xE9, and to the one that `debugconPort` names. */
  readonly debugcon: Pick<OutputStream, "on" | "off"> = this.#debugOutput;
  /** Guest-physical memory. */
  readonly memory = new Memory(() => this.#booted().guest);
  /** VM exits and failures of VT-x, for whoever looks on. */
  readonly vmx = new Vmx();
  /** Registers of each logical processor; the first is the bootstrap processor. */
  readonly processors: readonly Registers[];

  private constructor(configuration: Configuration, unimplemented: ((what: string) => void) | undefined) {
    this.#configuration = configuration;
    this.#expectInput = configuration.realTime;
    this.processors = Array.from(
      { length: configuration.board.processors },
      (_, index) => new Registers(() => this.#booted().processors[index]!),
    );
    this.#outputs = {
      serial: (port, byte) => this.#serialOutput[port - 1]!.put(byte),
      debugcon: (byte) => this.#debugOutput.put(byte),
      virtioConsole: (bytes) => {
        for (const byte of bytes) this.#consoleOutput.put(byte);
      },
      ...(unimplemented === undefined ? {} : { unimplemented }),
    };
  }

  /** A machine without an image. Rejects with a `ConfigurationError` when an option has a value it cannot have. */
  static async create(options: MachineOptions = {}): Promise<Machine> {
    return new Machine(configurationOf(options), options.unimplemented);
  }

  /** Registers of the bootstrap processor. */
  get registers(): Registers {
    return this.processors[0]!;
  }

  /** Put an image into the machine and power it on; whatever ran before is gone. Nothing executes until `run`. */
  async boot(options: BootOptions): Promise<BootOutcome> {
    if (this.#running) throw new Error("the machine is running: pause it before it boots something else");
    const { board } = this.#configuration;
    const limit = board.memoryBytes;
    const { initrd = [], commandLine = "", image, firmware } = options;
    if ((image === undefined) === (firmware === undefined))
      throw new Error("boot takes either an image or a firmware ROM");
    const source = firmware ?? image!;
    const what =
      firmware === undefined
        ? { name: "kernel", expected: "a kernel image" }
        : { name: "firmware", expected: "a firmware ROM" };
    const file = await bootFile(source, what, limit);
    if (isRefusal(file)) return file;
    const modules = [];
    for (const module of isList(initrd) ? initrd : [initrd]) {
      const loaded = await bootModule(module, limit);
      if (isRefusal(loaded)) return loaded;
      modules.push(loaded);
    }
    const choice = { ...options, ...(firmware === undefined ? {} : { protocol: "firmware" as const }) };
    const bootable = planMachine(board, { image: file, commandLine, modules }, choice);
    if (isRefusal(bootable)) return bootable;
    this.#pc = undefined;
    try {
      const runner = this.#powerOn(bootable);
      if (isRefusal(runner)) return runner;
      this.#pc = runner;
    } catch (error) {
      // The one thing that can fail here, by the host's doing.
      if (error instanceof RangeError && /memory/i.test(error.message))
        return { message: `the host has no room for ${mebibytes(limit)} of guest memory` };
      throw error;
    }
    this.#pc.engine.observer = this.vmx.observerOf(true);
    if (this.#switchListener) this.#pc.traceSwitch?.(this.#switchListener);
    this.#bootable = bootable;
    this.#wires = runnersOf(this.#pc).map(wiresOf);
    this.#ended = undefined;
    this.#log.clear();
    this.#replayed = this.#instructionsBefore = this.#virtualNsBefore = this.#resets = this.#busyMs = 0;
    this.#aheadNs = 0;
    return { protocol: bootable.plan.protocol };
  }

  /** Run until something ends it. After a power-off or a triple fault the machine stays off until the next `boot`. */
  async run(options: RunOptions = {}): Promise<RunResult> {
    this.#booted();
    if (this.#running) throw new Error("the machine is running already");
    const before = this.#instructions;
    const started = nowMs();
    this.#running = true;
    this.#pauseRequested = false;
    if (this.#pc instanceof Lockstep) this.#pc.adopt();
    let isFound = false;
    const streams = [this.#serialOutput[0], this.#debugOutput];
    for (const stream of options.until ? streams : []) {
      const match = new TextMatch(options.until!);
      stream.watch = (byte) => {
        if (!match.next(byte)) return;
        isFound = true;
        this.#pc!.interrupt();
      };
    }
    try {
      const reached = this.#ended ?? (await this.#slices(options, started, before, () => isFound));
      const end = this.#differing(true) ?? reached;
      await this.#flush();
      return { ...end, instructions: this.#instructions - before, seconds: (nowMs() - started) / 1000 };
    } finally {
      this.#running = false;
      for (const stream of streams) stream.watch = undefined;
    }
  }

  /** End `run` soon, with "paused". */
  pause(): void {
    this.#pauseRequested = true;
    this.#sleep.wake();
  }

  /**
   * Whether somebody may still write to the machine: then a guest that only input can wake is waited for, else it counts as halted
   * for good. Default: as `realTime`.
   */
  get expectInput(): boolean {
    return this.#expectInput;
  }

  set expectInput(expected: boolean) {
    this.#expectInput = expected;
    this.#sleep.wake();
  }

  /**
   * Told of each instruction of the hypervisor's world switch, and of what the processor does by itself there, where the image is the
   * guest of a hypervisor; undefined: no longer. It changes how long the run takes, and nothing in it.
   */
  traceSwitch(listener: ((step: SwitchStep) => void) | undefined): void {
    this.#switchListener = listener;
    this.#pc?.traceSwitch?.(listener);
  }

  /** Tell the virtio console its size in characters. */
  resizeConsole(columns: number, rows: number): void {
    for (const { console } of runnersOf(this.#booted())) console.resize(columns, rows);
  }

  /** Inputs so far, for `replay`. */
  get inputLog(): InputLog {
    return { realTime: this.#configuration.realTime, inputs: this.#log.inputs() };
  }

  /**
   * A hash of all RAM and of the architectural state of every processor: BLAKE2b with 32 bytes, in hexadecimal. Equal for equal
   * runs, on every tier and host.
   */
  hash(): string {
    const pc = this.#booted();
    const hash = new Blake2b(HASH_BYTES).update(pc.guest.ram());
    for (const processor of pc.processors) {
      processor.select();
      hash.update(processor.state.architectural());
    }
    return hash.digest();
  }

  stats(): Statistics {
    const seconds = this.#busyMs / 1000;
    const instructions = this.#instructions;
    return {
      instructions,
      seconds,
      mips: seconds === 0 ? 0 : instructions / seconds / 1e6,
      virtualSeconds: (this.#virtualNsBefore + (this.#pc?.clock.nowNs ?? 0)) / 1e9,
      resets: this.#resets,
    };
  }

  #line(output: OutputStream, input: (bytes: Uint8Array) => Input): Line {
    const here = input(new Uint8Array(0));
    const isHere = (other: Input): boolean =>
      other.kind === here.kind &&
      (other.kind !== "serial" || here.kind !== "serial" || other.port === here.port);
    const waiting = (): number =>
      this.#incoming.reduce(
        (sum, other) => sum + (isHere(other) && other.kind !== "time" ? other.bytes.length : 0),
        0,
      );
    const handedOver = (): number =>
      here.kind === "serial"
        ? (this.#wires[0]?.[here.port - 1]?.pending ?? 0)
        : (this.#pc?.console.state.input.length ?? 0);
    return {
      get pending() {
        return waiting() + handedOver();
      },
      on(event, listener) {
        return output.on(event, listener);
      },
      off(event, listener) {
        return output.off(event, listener);
      },
      write: (text) => {
        const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text.slice();
        this.#incoming.push(input(bytes));
        this.#sleep.wake();
      },
    };
  }

  #booted(): ImageRunner {
    if (this.#pc === undefined) throw new Error("nothing is booted: call boot first");
    return this.#pc;
  }

  get #instructions(): number {
    return this.#instructionsBefore + (this.#pc?.retired ?? 0);
  }

  /** Slice after slice, with a look at the outside world between them. */
  async #slices(
    options: RunOptions,
    started: number,
    before: number,
    isFound: () => boolean,
  ): Promise<{ reason: StopReason; exitStatus: number }> {
    const lastInstruction = before + (options.maxInstructions ?? Number.POSITIVE_INFINITY);
    const deadline = started + 1000 * (options.timeout ?? Number.POSITIVE_INFINITY);
    let fruitless = 0;
    let idleSinceNs: number | undefined;
    let lastYield = nowMs();
    const { realTime, replay } = this.#configuration;
    for (;;) {
      this.#giveInput(false);
      const budget = Math.min(
        this.#sliceInstructions,
        lastInstruction - this.#instructions,
        this.#untilReplayed(),
      );
      const sliceStarted = nowMs();
      const at = this.#instructions;
      const stop = this.#pc!.run(budget, !realTime);
      const sliceEnded = nowMs();
      this.#busyMs += sliceEnded - sliceStarted;
      const ran = this.#instructions - at;
      this.#measure(ran, sliceEnded - sliceStarted);
      if (ran > 0) {
        fruitless = 0;
        idleSinceNs = undefined;
      }
      const end = this.#endOf(stop, isFound());
      if (end !== undefined) return end;
      if (this.#instructions >= lastInstruction) return ended("instruction-limit");
      const isIdle = stop.kind === "idle";
      // Whoever sleeps gives the host its turn by that.
      const sleeps = isIdle && replay === undefined && (stop.untilNs === undefined || realTime);
      if (isIdle || sliceEnded - lastYield >= SLICE_MS) {
        const flushed = this.#flush();
        if (flushed !== undefined) await flushed;
        if (!sleeps || sliceEnded - lastYield >= SLICE_MS) {
          await yieldToHost();
          lastYield = nowMs();
        }
      }
      if (this.#pauseRequested) return ended("paused");
      if (nowMs() >= deadline) return ended("time-out");
      if (!isIdle || this.#giveInput(true)) continue;
      const { nowNs } = this.#pc!.clock;
      idleSinceNs ??= nowNs;
      const isHopeless =
        stop.untilNs === undefined
          ? !this.#mayWake
          : realTime
            ? nowNs - idleSinceNs > DEAD_NS && !this.#takesInterrupts()
            : ++fruitless > FRUITLESS_RUNS[this.#takesInterrupts() ? "interruptsOn" : "interruptsOff"] &&
              !this.#mayWake;
      if (isHopeless) return ended("halted");
      if (sleeps) {
        await this.#idle(stop.untilNs, deadline);
        lastYield = nowMs();
      } else if (stop.untilNs !== undefined && realTime) {
        // The replayed log is at its end: jump, as nothing else will come.
        this.#pc!.skipTo(stop.untilNs);
      }
    }
  }

  /** The end of a run in which the JIT and the interpreter differ. `whole`: look at all of memory, too. */
  #differing(whole: boolean): RunEnd | undefined {
    const pc = this.#pc;
    if (!(pc instanceof Lockstep)) return undefined;
    if (whole) pc.compareMemory();
    const { difference } = pc;
    if (difference === undefined) return undefined;
    return (this.#ended = { ...ended("tiers-differ"), difference });
  }

  /** What a stop of the machine means for the run; undefined: it goes on. */
  #endOf(stop: PcStop, isFound: boolean): RunEnd | undefined {
    const differing = this.#differing(false);
    if (differing !== undefined) return differing;
    switch (stop.kind) {
      case "power-off":
        return (this.#ended = ended("power-off"));
      case "triple-fault":
        return (this.#ended = ended("triple-fault"));
      case "vmx-abort":
        return (this.#ended = { ...ended("vmx-abort"), vmxAbort: vmxAbortOf(stop) });
      case "debug-exit":
        return { reason: "debug-exit", exitStatus: stop.status };
      case "reset":
        this.#restart();
        return this.#configuration.onReset === "stop" ? ended("reset") : undefined;
      default:
        return isFound ? ended("until") : undefined;
    }
  }

  /** The machine with its image, or with a hypervisor that has it as its guest. `before`: the same before a reset. */
  #powerOn(bootable: BootableMachine, before?: ImageRunner): ImageRunner | Refusal {
    const { hypervisor, tier } = this.#configuration;
    const make: MakeRunner = (image, outputs, old) =>
      hypervisor === undefined
        ? powerOnMachine(image, outputs, old as Pc | undefined)
        : hypervisors[hypervisor](image, outputs, old?.guest.memory);
    if (tier === "both")
      return Lockstep.create(bootable, this.#outputs, before as Lockstep | undefined, make);
    const runner = make(bootable, this.#outputs, before);
    if (tier !== undefined && !isRefusal(runner)) runner.tier = tier;
    return runner;
  }

  /** The same image from the start, on new chips, in the same memory. */
  #restart(): void {
    const pc = this.#pc!;
    this.#resets++;
    this.#instructionsBefore += pc.retired;
    this.#virtualNsBefore += pc.clock.nowNs;
    const { configuration, ...rest } = this.#bootable!;
    const { startUnixSeconds } = this.#configuration.board;
    const elapsed = Math.floor(this.#virtualNsBefore / 1e9);
    const clockOn = startUnixSeconds === undefined ? {} : { startUnixSeconds: startUnixSeconds + elapsed };
    const next = this.#powerOn({ configuration: { ...configuration, ...clockOn }, ...rest }, pc);
    if (isRefusal(next)) throw new Error(`what was booted once cannot be booted again: ${next.message}`);
    this.#pc = next;
    next.engine.observer = this.vmx.observerOf(false);
    if (this.#switchListener) next.traceSwitch?.(this.#switchListener);
    for (const [n, runner] of runnersOf(next).entries())
      this.#wires[n]!.forEach((wire, index) => {
        wire.connect(runner.clock, runner.serial[index]!);
      });
  }

  /** Adapt the slice to the host's speed. */
  #measure(ran: number, ms: number): void {
    if (ms < 1 && ran >= this.#sliceInstructions) this.#sliceInstructions *= 4;
    else if (ms >= 1) this.#sliceInstructions = Math.ceil((ran / ms) * SLICE_MS);
    this.#sliceInstructions = Math.min(Math.max(this.#sliceInstructions, LEAST_SLICE), LARGEST_SLICE);
  }

  /** Give what came from outside, or what the replayed log has for this moment. True when there was something. */
  #giveInput(idle: boolean): boolean {
    const { replay } = this.#configuration;
    if (replay !== undefined) return this.#giveReplayed(replay, idle);
    const inputs = this.#incoming;
    this.#incoming = [];
    let isGiven = false;
    for (const input of inputs) if (this.#give(input, idle)) isGiven = true;
    return isGiven;
  }

  #giveReplayed({ inputs }: InputLog, idle: boolean): boolean {
    if (this.#incoming.length > 0) throw new Error("a machine that replays a log takes no other input");
    let isGiven = false;
    for (;;) {
      const next = inputs[this.#replayed];
      if (next === undefined || next.instruction > this.#instructions || (next.idle && !idle)) return isGiven;
      // With time that jumps, several moments may lie at one instruction.
      if (next.virtualNs > this.#pc!.clock.nowNs) return isGiven;
      this.#replayed++;
      this.#give(next.input, next.idle);
      isGiven = true;
      // Time that has passed may have woken a processor.
      if (next.input.kind === "time") return true;
    }
  }

  get #hasReplayLeft(): boolean {
    return this.#replayed < (this.#configuration.replay?.inputs.length ?? 0);
  }

  /** Instructions until the replayed log has something. */
  #untilReplayed(): number {
    const next = this.#configuration.replay?.inputs[this.#replayed];
    return next === undefined ? Number.POSITIVE_INFINITY : Math.max(1, next.instruction - this.#instructions);
  }

  /** False when the machine could not take any of it. */
  #give(input: Input, idle: boolean): boolean {
    const pc = this.#pc!;
    const instruction = this.#instructions;
    const virtualNs = pc.clock.nowNs;
    let given = input;
    if (input.kind === "serial") for (const wires of this.#wires) wires[input.port - 1]!.send(input.bytes);
    else if (input.kind === "time") pc.skipTo(input.ns);
    else {
      const { bytes } = input;
      const [taken = 0] = runnersOf(pc).map(({ console }) => console.receive(bytes));
      if (taken < bytes.length) this.#incoming.push({ kind: "console", bytes: bytes.subarray(taken) });
      if (taken === 0) return false;
      given = { kind: "console", bytes: bytes.subarray(0, taken) };
    }
    this.#log.add(instruction, virtualNs, idle, given);
    return true;
  }

  /** May something still come that wakes a processor? */
  get #mayWake(): boolean {
    return this.#takesInterrupts() && (this.#expectInput || this.#hasReplayLeft);
  }

  /** Would a device interrupt wake a processor? */
  #takesInterrupts(): boolean {
    const own = this.#pc!.takesInterrupts?.();
    if (own !== undefined) return own;
    return this.#pc!.processors.some((processor) => {
      processor.select();
      const { state } = processor;
      return state.activity === activityHlt && (state.low32("RFLAGS") & IF) !== 0;
    });
  }

  /**
   * Sleep until the next event of the halted machine, or input; then let as much virtual time pass as real time did. A timer of the
   * host comes up to its resolution too early: then virtual time goes on to the event, and the next sleep is that much longer.
   */
  async #idle(untilNs: number | undefined, deadline: number): Promise<void> {
    const { clock } = this.#pc!;
    const fromNs = clock.nowNs - this.#aheadNs;
    const from = nowMs();
    const wanted = untilNs === undefined ? Number.POSITIVE_INFINITY : (untilNs - fromNs) / 1e6;
    await this.#sleep.for(Math.min(wanted, deadline - from));
    if (!this.#configuration.realTime) return;
    const realNs = fromNs + Math.floor((nowMs() - from) * 1e6);
    const isNear = untilNs !== undefined && untilNs - realNs < TIMER_MS * 1e6;
    const ns = Math.max(realNs, isNear ? untilNs : clock.nowNs);
    this.#aheadNs = ns - realNs;
    this.#give({ kind: "time", ns }, true);
  }

  /** Hand over what came out. A promise where a listener wants to be waited for. */
  #flush(): Promise<unknown> | undefined {
    let waits: Promise<unknown>[] | undefined;
    for (const stream of this.#outputStreams) {
      const wait = stream.flush();
      if (wait !== undefined) (waits ??= []).push(wait);
    }
    return waits && Promise.all(waits);
  }
}

const isList = (initrd: ModuleSource | readonly ModuleSource[]): initrd is readonly ModuleSource[] =>
  Array.isArray(initrd);

/** The machine that runs, and the one that runs behind it. */
const runnersOf = (pc: ImageRunner): readonly ImageRunner[] =>
  pc.second === undefined ? [pc] : [pc, pc.second];

const wiresOf = (pc: ImageRunner): readonly [SerialWire, SerialWire] => [
  new SerialWire(pc.clock, pc.serial[0]),
  new SerialWire(pc.clock, pc.serial[1]),
];

/** How a run ends, as `RunResult` says it. */
type RunEnd = Pick<RunResult, "reason" | "exitStatus" | "vmxAbort" | "difference">;

const vmxAbortOf = ({ processor, indicator }: Extract<PcStop, { kind: "vmx-abort" }>): VmxAbort => ({
  cpu: processor,
  indicator,
  says: vmxAbortMeaning(indicator) ?? "",
});

const ended = (reason: Exclude<StopReason, "debug-exit">): RunEnd => ({
  reason,
  exitStatus: stopReasons[reason].exitStatus,
});
