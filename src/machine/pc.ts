import type { InterruptLine } from "../bus/interrupt-line.ts";
import { MmioBus } from "../bus/mmio.ts";
import { PortBus } from "../bus/port-io.ts";
import { ExecutionEngine, type Tier } from "../cpu/execution-engine.ts";
import { GuestMemory } from "../cpu/guest-memory.ts";
import type { LogicalProcessor } from "../cpu/logical-processor.ts";
import { ApicBus } from "../devices/apic-bus.ts";
import type { FwCfg } from "../devices/fw-cfg.ts";
import type { PciBus } from "../devices/pci.ts";
import type { Uart16550 } from "../devices/uart-16550.ts";
import type { VirtioConsole } from "../devices/virtio-console.ts";
import { allowVmx, setUpChipset } from "./board-setup.ts";
import { Chipset } from "./chipset.ts";
import type { PcConfiguration, PcOutputs, PcStop } from "./pc-doors.ts";
import { ProcessorSocket, type SocketSurroundings } from "./processor-socket.ts";
import { RandomBits } from "./random-bits.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** With several processors each runs this many instructions before the next takes its turn. */
const quantum = 10_000;
/** So often virtual time may jump in one `run` while no instruction retires: a guest may sleep for ever beside a timer that ticks. */
const jumpLimit = 100_000;
/** Virtual time that one access to a device's register takes, beyond its instruction. */
const deviceAccessNs = 500;

const activityShutdown = 2;

/** The whole PC: memory, chipset and processors, and the loop in which virtual time and the processors take turns. */
export class Pc {
  readonly configuration: PcConfiguration;
  readonly clock = new VirtualClock();
  readonly guest: GuestMemory;
  readonly engine: ExecutionEngine;
  readonly portBus = new PortBus();
  readonly mmio = new MmioBus();
  readonly chipset: Chipset;
  readonly #sockets: ProcessorSocket[] = [];
  #stop: PcStop | undefined;
  #turn = 0;
  /** Instructions left of the turn in progress. It goes on in the next `run`, so that how a run is cut is not visible to the guest. */
  #turnLeft = 0;
  /** Instructions retired by all processors since power-on. */
  retired = 0;
  /** The same with deliveries of events, which `run` counts, too; up to the last turn that is over. */
  spent = 0;

  constructor(configuration: PcConfiguration, outputs: PcOutputs) {
    this.configuration = configuration;
    const { model, memoryBytes, processors, romBytes, keptMemory } = configuration;
    const { clock, portBus, mmio } = this;
    this.guest = new GuestMemory(memoryBytes, romBytes, this.#deviceSpace(), keptMemory);
    this.engine = new ExecutionEngine(this.guest, model);
    clock.onEarlier = () => this.#interruptRun();
    this.#reportUnmapped(outputs);
    const apicBus = new ApicBus((address, value) =>
      outputs.unimplemented?.(`interrupt message ${hex(address)} <- ${hex(value)}`),
    );
    const around = this.#surroundings(apicBus, outputs);
    for (let index = 0; index < processors; index++) this.#sockets.push(new ProcessorSocket(index, around));
    const intr: InterruptLine = { set: (asserted) => this.#sockets[0]?.apic.lint0.set(asserted) };
    this.chipset = new Chipset({
      configuration,
      outputs,
      clock,
      guest: this.guest,
      portBus,
      mmio,
      apicBus,
      intr,
      remapped: () => this.engine.tlb.dropAll(),
      halt: (stop) => this.#halt(stop),
    });
    if (configuration.hasFirmware) return;
    setUpChipset(this.chipset);
    for (const { processor } of this.#sockets.toReversed()) {
      processor.select();
      allowVmx(processor);
    }
    this.#sockets[0]!.apic.virtualWire();
  }

  /** What lies behind RAM: each processor's own local APIC, then memory-mapped devices. */
  #deviceSpace(): ConstructorParameters<typeof GuestMemory>[2] {
    const { mmio } = this;
    return {
      read: (address, size) => {
        const apic = this.#localApicAt(address);
        if (apic) return apic.read(address & 0xfff, size);
        this.#spendTime(deviceAccessNs);
        return mmio.read(address, size);
      },
      write: (address, value, size) => {
        const apic = this.#localApicAt(address);
        if (apic) {
          apic.write(address & 0xfff, value, size);
          return;
        }
        this.#spendTime(deviceAccessNs);
        mmio.write(address, value, size);
      },
    };
  }

  #localApicAt(address: number): ProcessorSocket["apic"] | undefined {
    const { current } = this.engine;
    if (current === undefined) return undefined;
    const { apicPage, apic } = this.#sockets[current.index]!;
    return apicPage !== undefined && address - apicPage < 4096 && address >= apicPage ? apic : undefined;
  }

  #reportUnmapped({ unimplemented }: PcOutputs): void {
    if (unimplemented === undefined) return;
    const reportOf =
      (space: string) =>
      (address: number, size: number, written: number | undefined): void =>
        unimplemented(
          `${space} ${hex(address)} ${written === undefined ? "read" : `written with ${hex(written)}`} (${size} bytes)`,
        );
    this.portBus.onUnmapped = reportOf("port");
    this.mmio.onUnmapped = reportOf("memory");
  }

  #surroundings(apicBus: ApicBus, outputs: PcOutputs): SocketSurroundings {
    const { clock, portBus, engine } = this;
    const random = new RandomBits(this.configuration.seed);
    return {
      engine,
      model: this.configuration.model,
      clock,
      apicBus,
      portBus,
      externalVector: () => this.chipset.pic.acknowledge(),
      random: () => random.next64(),
      retire: (count) => {
        clock.nowNs += count;
        this.retired += count;
      },
      spendTime: (ns) => this.#spendTime(ns),
      // A register of a device is read or written: on a PC that takes far longer than an instruction, and software that polls
      // counts on it.
      deviceAccess: () => this.#spendTime(deviceAccessNs),
      interruptRun: () => this.#interruptRun(),
      reportUnimplemented: (what) => outputs.unimplemented?.(what),
    };
  }

  get serial(): readonly [Uart16550, Uart16550] {
    return this.chipset.serial;
  }

  get console(): VirtioConsole {
    return this.chipset.console;
  }

  get fwCfg(): FwCfg {
    return this.chipset.fwCfg;
  }

  get pci(): PciBus {
    return this.chipset.pci;
  }

  get processors(): readonly LogicalProcessor[] {
    return this.#sockets.map(({ processor }) => processor);
  }

  get tier(): Tier {
    return this.engine.tier;
  }

  set tier(tier: Tier) {
    this.engine.tier = tier;
  }

  /** End `run` at the next instruction boundary. */
  interrupt(): void {
    this.#halt({ kind: "interrupted" });
  }

  #spendTime(ns: number): void {
    this.clock.nowNs += ns;
    this.#interruptRun();
  }

  /** End the running processor's turn at the next instruction boundary. */
  #interruptRun(): void {
    const running = this.engine.current;
    if (running) running.stopRequested = true;
  }

  #halt(stop: PcStop): void {
    this.#stop ??= stop;
    this.#interruptRun();
  }

  /**
   * Run until something ends it, at most `maximum` instructions. `warp`: when every processor waits, let virtual time jump to the
   * next event; otherwise stop with "idle", and the caller may let real time pass (`skipTo`) and run on.
   */
  run(maximum: number, warp: boolean): PcStop {
    let left = maximum;
    let jumps = 0;
    const several = this.#sockets.length > 1;
    // Between two runs the state of the processor at hand may have been written from outside.
    const { current } = this.engine;
    if (current) this.#sockets[current.index]!.waiting = !current.runnable;
    while (left > 0) {
      this.clock.fireDue();
      if (this.#stop) break;
      const socket = this.#nextSocket();
      if (socket === undefined) {
        const next = this.clock.nextDeadlineNs;
        if (next === undefined) return { kind: "idle", untilNs: undefined };
        if (!warp || ++jumps > jumpLimit) return { kind: "idle", untilNs: next };
        this.clock.nowNs = Math.max(this.clock.nowNs, next);
        continue;
      }
      socket.beginTurn();
      const next = this.clock.nextDeadlineNs;
      let budget = next === undefined ? left : Math.min(left, Math.max(1, next - this.clock.nowNs));
      if (several) budget = Math.min(budget, this.#turnLeft);
      const { processor } = socket;
      const ran = processor.run(budget);
      if (ran > 0) jumps = 0;
      else if (++jumps > jumpLimit) return { kind: "idle", untilNs: next };
      left -= ran;
      this.spent += ran;
      this.#turnLeft -= ran;
      if (processor.state.activity === activityShutdown && !processor.vmx?.nonRoot) {
        this.#stop ??= shutdownOf(processor);
        break;
      }
      socket.endTurn();
      for (const other of this.#sockets) if (other !== socket) other.watchLine();
    }
    const stop = this.#stop ?? { kind: "budget" };
    this.#stop = undefined;
    return stop;
  }

  /** The processor whose turn it is, or none when all wait. */
  #nextSocket(): ProcessorSocket | undefined {
    const sockets = this.#sockets;
    if (this.#turnLeft > 0 && !sockets[this.#turn]!.waiting) return sockets[this.#turn];
    this.#turnLeft = quantum;
    for (let n = 0; n < sockets.length; n++) {
      this.#turn = (this.#turn + 1) % sockets.length;
      const socket = sockets[this.#turn]!;
      if (!socket.waiting) return socket;
    }
    return undefined;
  }

  /** Let virtual time go on to `ns` without instructions: while all processors wait and real time passes. */
  skipTo(ns: number): void {
    this.clock.nowNs = Math.max(this.clock.nowNs, Math.floor(ns));
  }
}

/** Why a processor is in shutdown. */
const shutdownOf = ({ index, vmx }: LogicalProcessor): PcStop => {
  const indicator = vmx?.abortIndicator ?? 0;
  return indicator === 0
    ? { kind: "triple-fault", processor: index }
    : { kind: "vmx-abort", processor: index, indicator };
};

const hex = (value: number): string => `0x${value.toString(16)}`;
