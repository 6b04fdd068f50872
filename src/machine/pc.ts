import { variableMtrrs } from "../arch/msrs.ts";
import type { RegisterBlock } from "../bus/address-range.ts";
import type { DirectMemory } from "../bus/dma.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { MmioBus } from "../bus/mmio.ts";
import { byteWide, PortBus } from "../bus/port-io.ts";
import type { CpuModel } from "../cpu/core.ts";
import { ExecutionEngine, type Tier } from "../cpu/execution-engine.ts";
import { type DeviceSpace, fourGiB, GuestMemory, pciHoleStart } from "../cpu/guest-memory.ts";
import { LogicalProcessor } from "../cpu/logical-processor.ts";
import { writeMsr } from "../cpu/msrs.ts";
import { powerOn, takeInit, takeStartup } from "../cpu/reset.ts";
import { ACPI_ENABLE, AcpiPm, SLP_TYP_S5 } from "../devices/acpi-pm.ts";
import { ApicBus } from "../devices/apic-bus.ts";
import {
  DEBUG_EXIT_PORT,
  DEBUG_EXIT_PORTS,
  DEBUGCON_PORT,
  debugcon,
  debugExit,
  SHUTDOWN_PORT,
  ShutdownPort,
} from "../devices/debug-ports.ts";
import { FW_CFG, FW_CFG_PORT, FW_CFG_PORTS, FwCfg } from "../devices/fw-cfg.ts";
import { Hpet } from "../devices/hpet.ts";
import { I8042 } from "../devices/i8042.ts";
import { Ich9Lpc, LPC_DEVICE } from "../devices/ich9-lpc.ts";
import { IoApic } from "../devices/io-apic.ts";
import { LocalApic } from "../devices/local-apic.ts";
import { PC_TESTDEV, PcTestdev } from "../devices/pc-testdev.ts";
import { CONFIG_PORT, PciBus, pirqOf } from "../devices/pci.ts";
import { COMMAND, PCI, type PciFunction } from "../devices/pci-function.ts";
import { Pic8259Pair } from "../devices/pic-8259.ts";
import { Pit8254 } from "../devices/pit-8254.ts";
import { Ps2Keyboard } from "../devices/ps2-keyboard.ts";
import { Ps2Mouse } from "../devices/ps2-mouse.ts";
import { Q35HostBridge } from "../devices/q35-host-bridge.ts";
import { RtcMc146818 } from "../devices/rtc-mc146818.ts";
import { SystemControlPorts } from "../devices/system-control-ports.ts";
import { Uart16550 } from "../devices/uart-16550.ts";
import { type BlockStorage, VirtioBlk } from "../devices/virtio-blk.ts";
import { VirtioConsole } from "../devices/virtio-console.ts";
import { VirtioEntropy } from "../devices/virtio-entropy.ts";
import { VirtioPci } from "../devices/virtio-pci.ts";
import { RandomBits } from "./random-bits.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Where things are in the physical address space besides RAM; the ACPI tables and the loaders read it too. */
export const memoryMap = {
  /** Memory-mapped PCI configuration space, 256 MiB. */ ecam: pciHoleStart,
  /** PCI BARs are placed from here up to the I/O APIC. */ barsStart: 0xc000_0000,
  barsEnd: 0xfec0_0000,
  ioApic: 0xfec0_0000,
  hpet: 0xfed0_0000,
  localApic: 0xfee0_0000,
} as const;
export const ports = { com1: 0x3f8, com2: 0x2f8, acpiPm: 0x600, smiCommand: 0xb2 } as const;
export const isaInterrupts = { com1: 4, com2: 3, keyboard: 1, mouse: 12, rtc: 8, sci: 9 } as const;
/** Where PIRQA-PIRQH go for systems that use the 8259s. */
export const pirqIsaIrqs = [10, 10, 11, 11, 10, 10, 11, 11] as const;

export interface DiskConfiguration {
  readonly storage: BlockStorage;
  /** At most 20 ASCII characters; what the guest reads as the disk's serial number. */
  readonly serial?: string;
}

export interface PcConfiguration {
  /** Bytes of RAM, a multiple of 4 KiB. */
  readonly memoryBytes: number;
  /** Logical processors, 1 to 8. */
  readonly processors: number;
  readonly model: CpuModel;
  readonly disks: readonly DiskConfiguration[];
  /** Seed of everything random in the machine: RDRAND and the virtio entropy device. */
  readonly seed: bigint;
  /** What the real-time clock shows at power-on, seconds since 1970. Default: a fixed date. */
  readonly startUnixSeconds?: number;
  /** Bytes of room for ROM images. */
  readonly romBytes: number;
  readonly debugconPort?: number;
  /** Kernel command line as firmware configuration shows it. */
  readonly commandLine?: string;
  /** A firmware ROM will set the board up: registers stay as a reset leaves them. */
  readonly hasFirmware?: boolean;
  /** Memory of the machine before a reset, of the same sizes: RAM keeps its contents. */
  readonly keptMemory?: WebAssembly.Memory;
}

/** What leaves the machine. */
export interface PcOutputs {
  serial(port: 1 | 2, byte: number): void;
  debugcon(byte: number): void;
  virtioConsole(bytes: Uint8Array): void;
  /** Something the machine does not have was used. Called only when it is set. */
  unimplemented?: (what: string) => void;
}

/** Why the machine stopped running. */
export type PcStop =
  | { readonly kind: "budget" }
  /** Every processor waits for an event, and none is on its way before `untilNs` (undefined: none at all). */
  | { readonly kind: "idle"; readonly untilNs: number | undefined }
  | { readonly kind: "power-off" }
  | { readonly kind: "debug-exit"; readonly status: number }
  /** A processor shut down after a triple fault. */
  | { readonly kind: "triple-fault"; readonly processor: number }
  | { readonly kind: "reset" }
  /** `interrupt` was called. */
  | { readonly kind: "interrupted" };

/** With several processors each runs this many instructions before the next takes its turn. */
const quantum = 10_000;
/** So often virtual time may jump in one `run` while no instruction retires: a guest may sleep for ever beside a timer that ticks. */
const jumpLimit = 100_000;

/** Virtual time that RDTSC takes, beyond its instruction: delay loops read it again and again. */
const timeStampReadNs = 20;
/** Virtual time that one access to a device's register takes, beyond its instruction. */
const deviceAccessNs = 500;

type ProcessorRequest = "init" | { readonly startup: number };

interface Socket {
  readonly processor: LogicalProcessor;
  readonly apic: LocalApic;
  apicPage: number | undefined;
  requests: ProcessorRequest[];
  /** The processor would do nothing if run. Refreshed after each turn. */
  waiting: boolean;
  /** The line that MWAIT waits for, and what it held when the wait began. */
  monitored: { readonly line: Uint8Array; readonly before: Uint8Array } | undefined;
  lineChanged: boolean;
}

/** A processor that waits by MWAIT goes on when the line has changed. */
const watchLine = (socket: Socket): void => {
  const { monitored } = socket;
  if (monitored === undefined || monitored.line.every((byte, n) => byte === monitored.before[n])) return;
  socket.monitored = undefined;
  socket.lineChanged = true;
  socket.waiting = false;
};

/** The whole PC: the one place that knows which chip is wired to which. */
export class Pc {
  readonly configuration: PcConfiguration;
  readonly clock = new VirtualClock();
  readonly guest: GuestMemory;
  readonly engine: ExecutionEngine;
  readonly portBus = new PortBus();
  readonly mmio = new MmioBus();
  readonly pci: PciBus;
  readonly serial: readonly [Uart16550, Uart16550];
  readonly keyboard = new Ps2Keyboard();
  readonly mouse = new Ps2Mouse();
  readonly fwCfg: FwCfg;
  readonly acpiPm: AcpiPm;
  readonly console: VirtioConsole;
  readonly #sockets: Socket[] = [];
  readonly #random: RandomBits;
  #stop: PcStop | undefined;
  #turn = 0;
  /** Instructions left of the turn in progress. It goes on in the next `run`, so that how a run is cut is not visible to the guest. */
  #turnLeft = 0;
  /** Instructions retired by all processors since power-on. */
  retired = 0;

  constructor(configuration: PcConfiguration, outputs: PcOutputs) {
    this.configuration = configuration;
    const { model, memoryBytes, processors } = configuration;
    const { clock, portBus, mmio } = this;
    this.#random = new RandomBits(configuration.seed);
    const deviceSpace: DeviceSpace = {
      read: (address, size) => {
        const apic = this.#apicPage(address);
        if (apic) return apic.read(address & 0xfff, size);
        this.#deviceAccess();
        return mmio.read(address, size);
      },
      write: (address, value, size) => {
        const apic = this.#apicPage(address);
        if (apic) {
          apic.write(address & 0xfff, value, size);
          return;
        }
        this.#deviceAccess();
        mmio.write(address, value, size);
      },
    };
    this.guest = new GuestMemory(memoryBytes, configuration.romBytes, deviceSpace, configuration.keptMemory);
    this.engine = new ExecutionEngine(this.guest, model);
    clock.onEarlier = () => this.#interruptRun();
    if (outputs.unimplemented) {
      const report = outputs.unimplemented;
      portBus.onUnmapped = (port, size, written) =>
        report(
          `port ${hex(port)} ${written === undefined ? "read" : `written with ${hex(written)}`} (${size} bytes)`,
        );
      mmio.onUnmapped = (address, size, written) =>
        report(
          `memory ${hex(address)} ${written === undefined ? "read" : `written with ${hex(written)}`} (${size} bytes)`,
        );
    }
    const memory: DirectMemory = {
      read: (address, length) => this.guest.readBytes(address, length),
      write: (address, bytes) => this.guest.writeBytes(address, bytes),
    };

    // Interrupt controllers.
    const apicBus = new ApicBus((address, value) =>
      outputs.unimplemented?.(`interrupt message ${hex(address)} <- ${hex(value)}`),
    );
    const extInt: InterruptLine = { set: (asserted) => this.#sockets[0]?.apic.lint0.set(asserted) };
    const pic = new Pic8259Pair(extInt);
    for (let index = 0; index < processors; index++) this.#addProcessor(index, apicBus, pic, outputs);
    const ioApic = new IoApic({ bus: apicBus });
    /** An ISA interrupt reaches the 8259s and the I/O APIC; IRQ0 is input 2 there. */
    const isa = (irq: number): InterruptLine => {
      const legacy = pic.line(irq);
      const pin = ioApic.pin(irq === 0 ? 2 : irq);
      return {
        set: (asserted) => {
          legacy.set(asserted);
          pin.set(asserted);
        },
      };
    };
    portBus.map(0x20, 2, pic.master, "8259 master");
    portBus.map(0xa0, 2, pic.slave, "8259 slave");
    portBus.map(0x4d0, 2, pic.edgeLevelControl, "8259 edge/level control");
    mmio.map(memoryMap.ioApic, 0x1000, ioApic, "I/O APIC");

    // Timers. While the HPET replaces them, the 8254 and the RTC are cut off from their lines.
    const [irq0, irq8] = [isa(0), isa(isaInterrupts.rtc)];
    let legacyReplaced = false;
    const unlessReplaced = (line: InterruptLine): InterruptLine => ({
      set: (asserted) => {
        if (!legacyReplaced) line.set(asserted);
      },
    });
    const pit = new Pit8254(clock, unlessReplaced(irq0));
    portBus.map(0x40, 4, byteWide(pit), "8254");
    const aboveFourGiB = memoryBytes - this.guest.lowBytes;
    const rtc = new RtcMc146818(clock, unlessReplaced(irq8), {
      ...(configuration.startUnixSeconds === undefined
        ? {}
        : { startUnixSeconds: configuration.startUnixSeconds }),
      memoryBelow4GiB: this.guest.lowBytes,
      memoryAbove4GiB: aboveFourGiB,
      processors,
    });
    portBus.map(0x70, 2, byteWide(rtc), "MC146818");
    const hpet = new Hpet({
      clock,
      line: (input) => ioApic.pin(input),
      legacyLines: [irq0, irq8],
      legacyReplacement: (enabled) => {
        legacyReplaced = enabled;
      },
      message: apicBus,
    });
    mmio.map(memoryMap.hpet, 0x400, hpet, "HPET");

    // Serial ports.
    this.serial = [
      new Uart16550(clock, isa(isaInterrupts.com1), (byte) => outputs.serial(1, byte)),
      new Uart16550(clock, isa(isaInterrupts.com2), (byte) => outputs.serial(2, byte)),
    ];
    portBus.map(ports.com1, 8, byteWide(this.serial[0]), "16550 COM1");
    portBus.map(ports.com2, 8, byteWide(this.serial[1]), "16550 COM2");

    // Keyboard controller and the odd ports.
    const reset = (): void => this.#halt({ kind: "reset" });
    const a20 = (): void => {}; // always open: docs/QUIRKS.md
    const i8042 = new I8042({
      keyboardIrq: isa(isaInterrupts.keyboard),
      auxIrq: isa(isaInterrupts.mouse),
      keyboard: this.keyboard,
      aux: this.mouse,
      reset,
      a20,
    });
    portBus.map(0x60, 1, i8042.dataPort, "8042 data");
    portBus.map(0x64, 1, i8042.commandPort, "8042 command");
    const system = new SystemControlPorts({
      clock,
      timer2Gate: (gate) => pit.setGate(2, gate),
      timer2Out: () => pit.out(2),
      a20,
      reset,
    });
    portBus.map(0x61, 1, system.portB, "system control port B");
    portBus.map(0x92, 1, system.portA, "system control port A");
    portBus.map(0x80, 1, system.post, "POST code");
    portBus.map(0xed, 1, system.delay, "delay port");

    // Debugging and test devices.
    const testdev = new PcTestdev((irq) => isa(irq));
    const { IOPORT, FLUSH_PAGE, IOPORT_BYTE, IRQ_LINE, IOMEM } = PC_TESTDEV;
    portBus.map(IOPORT.start, IOPORT.length, testdev.ioport, "pc-testdev ioport");
    portBus.map(FLUSH_PAGE.start, FLUSH_PAGE.length, testdev.flushPage, "pc-testdev flush page");
    portBus.map(IOPORT_BYTE.start, IOPORT_BYTE.length, testdev.ioportByte, "pc-testdev ioport");
    portBus.map(IRQ_LINE.start, IRQ_LINE.length, testdev.irqLine, "pc-testdev irq lines");
    mmio.map(IOMEM.start, IOMEM.length, testdev.iomem, "pc-testdev iomem");
    portBus.map(
      configuration.debugconPort ?? DEBUGCON_PORT,
      1,
      debugcon((byte) => outputs.debugcon(byte)),
      "debugcon",
    );
    if (configuration.debugconPort !== undefined && configuration.debugconPort !== DEBUGCON_PORT)
      portBus.map(
        DEBUGCON_PORT,
        1,
        debugcon((byte) => outputs.debugcon(byte)),
        "debugcon",
      );
    portBus.map(
      DEBUG_EXIT_PORT,
      DEBUG_EXIT_PORTS,
      debugExit((status) => this.#halt({ kind: "debug-exit", status })),
      "isa-debug-exit",
    );
    portBus.map(
      SHUTDOWN_PORT,
      1,
      new ShutdownPort(() => this.#halt({ kind: "power-off" })).registers,
      "Bochs shutdown port",
    );

    // Firmware configuration.
    this.fwCfg = new FwCfg(memory);
    portBus.map(FW_CFG_PORT, FW_CFG_PORTS, this.fwCfg, "fw_cfg");
    this.fwCfg.setNumber(FW_CFG.RAM_SIZE, memoryBytes, 8);
    this.fwCfg.setNumber(FW_CFG.NB_CPUS, processors, 2);
    this.fwCfg.setNumber(FW_CFG.MAX_CPUS, processors, 2);
    this.fwCfg.setNumber(FW_CFG.NOGRAPHIC, 1, 2);
    this.fwCfg.setNumber(FW_CFG.IRQ0_OVERRIDE, 1, 4);
    if (configuration.commandLine !== undefined)
      this.fwCfg.setText(FW_CFG.KERNEL_CMDLINE, configuration.commandLine);

    // Power management and PCI.
    this.acpiPm = new AcpiPm({
      clock,
      sci: isa(isaInterrupts.sci),
      sleep: (type) => {
        if (type === SLP_TYP_S5) this.#halt({ kind: "power-off" });
      },
    });
    portBus.map(ports.smiCommand, 2, this.acpiPm.smiCommand, "SMI command");
    const lpc = new Ich9Lpc({
      ports: portBus,
      powerManagement: this.acpiPm,
      ioApicInput: (input) => ioApic.pin(input),
      isaIrq: isa,
    });
    this.pci = new PciBus({ mmio, ports: portBus, pirq: lpc.pirq });
    portBus.map(CONFIG_PORT, 8, this.pci.configurationPorts, "PCI configuration");
    portBus.map(0xcf9, 1, system.resetControl, "reset control");
    const host = new Q35HostBridge({ mmio, ecam: this.pci.ecam });
    this.pci.add(0, 0, host.function);
    this.pci.add(LPC_DEVICE, 0, lpc.function);
    const entropy = new VirtioEntropy(Number(BigInt.asUintN(52, configuration.seed)));
    this.console = new VirtioConsole((bytes) => outputs.virtioConsole(bytes));
    let slot = 1;
    const report = (reason: string): void => outputs.unimplemented?.(reason);
    for (const disk of configuration.disks) {
      const device = new VirtioBlk({ ...disk, clock, report });
      this.pci.add(slot++, 0, new VirtioPci({ device, memory, message: apicBus, report }).function);
    }
    for (const device of [this.console, entropy])
      this.pci.add(slot++, 0, new VirtioPci({ device, memory, message: apicBus, report }).function);

    if (configuration.hasFirmware) return;
    // What firmware leaves behind.
    host.placeEcam(memoryMap.ecam);
    host.shadowAll();
    lpc.placePowerManagement(ports.acpiPm);
    for (const [pirq, irq] of pirqIsaIrqs.entries()) lpc.routePirq(pirq, irq);
    const levelTriggered = [isaInterrupts.sci, ...pirqIsaIrqs].reduce((bits, irq) => bits | (1 << irq), 0);
    pic.edgeLevelControl.write(1, levelTriggered >> 8, 1);
    this.acpiPm.smiCommand.write(0, ACPI_ENABLE, 1);
    this.#placeBars();
    this.#sockets[0]!.apic.virtualWire();
  }

  #addProcessor(index: number, bus: ApicBus, pic: Pic8259Pair, outputs: PcOutputs): void {
    const { model } = this.configuration;
    const socket: { -readonly [K in keyof Socket]?: Socket[K] } = {
      apicPage: memoryMap.localApic,
      requests: [],
      waiting: false,
      monitored: undefined,
      lineChanged: false,
    };
    const apic = new LocalApic({
      id: index,
      bootstrap: index === 0,
      clock: this.clock,
      bus,
      pins: {
        interruptRequest: () => {
          socket.waiting = false;
        },
        nmi: () => {
          socket.processor!.nmiPending = true;
          socket.waiting = false;
          this.#interruptRun();
        },
        init: () => this.#request(socket as Socket, "init"),
        startup: (vector) => this.#request(socket as Socket, { startup: vector }),
        smi: () => {},
        apicPage: (address) => {
          socket.apicPage = address;
        },
      },
      externalVector: () => pic.acknowledge(),
      tsc: () => this.#timeStamp(),
      nsUntilTsc: (tsc) => Math.max(0, Number(tsc - this.#timeStamp())),
      physicalAddressBits: model.physicalAddressBits,
    });
    const processor = new LogicalProcessor(index, this.engine, {
      ports: {
        read: (port, size) => {
          this.#deviceAccess();
          return this.portBus.read(port, size);
        },
        write: (port, value, size) => {
          this.#deviceAccess();
          this.portBus.write(port, value, size);
        },
      },
      apic,
      model,
      timeStamp: () => {
        const now = this.#timeStamp();
        this.#spendTime(timeStampReadNs);
        return now;
      },
      random: () => this.#random.next64(),
      retire: (count) => {
        this.clock.nowNs += count;
        this.retired += count;
      },
      elapse: (ns) => {
        this.clock.nowNs += ns;
      },
      reportUnimplemented: (what) => outputs.unimplemented?.(what),
    });
    socket.processor = processor;
    socket.apic = apic;
    this.#sockets.push(socket as Socket);
    processor.select();
    powerOn(processor, index === 0);
    this.#setMemoryTypes(processor);
    if (index !== 0) processor.state.activity = 3;
  }

  /** What firmware leaves in the MTRRs: memory is write-back but for the PCI hole, which is uncacheable. */
  #setMemoryTypes(processor: LogicalProcessor): void {
    const writeBackEnabled = 0xc06n;
    const valid = 0x800n;
    const addressMask = (1n << BigInt(this.configuration.model.physicalAddressBits)) - 1n;
    const uncacheable = [
      [memoryMap.ecam, memoryMap.barsStart - memoryMap.ecam],
      [memoryMap.barsStart, fourGiB - memoryMap.barsStart],
    ] as const;
    for (const [pair, [start, length]] of uncacheable.entries()) {
      writeMsr(processor, variableMtrrs.first + 2 * pair, BigInt(start));
      writeMsr(processor, variableMtrrs.first + 2 * pair + 1, (addressMask & ~BigInt(length - 1)) | valid);
    }
    processor.state.IA32_MTRR_DEF_TYPE = writeBackEnabled;
  }

  /** The virtual time-stamp counter: 1 GHz. */
  #timeStamp(): bigint {
    return BigInt(this.clock.nowNs);
  }

  #request(socket: Socket, request: ProcessorRequest): void {
    socket.requests.push(request);
    socket.waiting = false;
    this.#interruptRun();
  }

  /** End `run` at the next instruction boundary. */
  interrupt(): void {
    this.#halt({ kind: "interrupted" });
  }

  /**
   * A register of a device is read or written: on a PC that takes far longer than an instruction, and software that polls
   * counts on it. Virtual time goes on by as much; the processor's turn ends, because its next event is now nearer.
   */
  #deviceAccess(): void {
    this.#spendTime(deviceAccessNs);
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

  #apicPage(address: number): RegisterBlock | undefined {
    const { current } = this.engine;
    if (current === undefined) return undefined;
    const { apicPage, apic } = this.#sockets[current.index]!;
    return apicPage !== undefined && address - apicPage < 4096 && address >= apicPage ? apic : undefined;
  }

  /** Assign PCI BARs and interrupts, as firmware does: memory from `barsStart` upwards, ports from 0xC000. */
  #placeBars(): void {
    let memory: number = memoryMap.barsStart;
    let port = 0xc000;
    for (const { device, found } of this.pci.functions()) {
      const pin = found.interruptPin;
      if (pin !== 0) found.write(PCI.INTERRUPT_LINE, pirqIsaIrqs[pirqOf(device, pin)]!, 1);
      for (const bar of found.bars) {
        const align = (at: number): number => Math.ceil(at / bar.length) * bar.length;
        if (bar.space === "io") {
          port = align(port);
          found.write(0x10 + 4 * bar.index, port, 4);
          port += bar.length;
        } else {
          memory = align(memory);
          found.write(0x10 + 4 * bar.index, memory, 4);
          memory += bar.length;
        }
      }
      enableDecoding(found);
    }
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
      const { processor } = socket;
      processor.select();
      if (socket.lineChanged) processor.endMonitor();
      socket.lineChanged = false;
      this.#serve(socket);
      const next = this.clock.nextDeadlineNs;
      let budget = next === undefined ? left : Math.min(left, Math.max(1, next - this.clock.nowNs));
      if (several) budget = Math.min(budget, this.#turnLeft);
      const ran = processor.run(budget);
      if (ran > 0) jumps = 0;
      left -= ran;
      this.#turnLeft -= ran;
      const { activity } = processor.state;
      if (activity === 2) {
        this.#stop ??= { kind: "triple-fault", processor: processor.index };
        break;
      }
      socket.waiting = !processor.runnable;
      for (const other of this.#sockets) if (other !== socket) watchLine(other);
      const line = processor.monitoredLine();
      socket.monitored = line && { line, before: line.slice() };
    }
    const stop = this.#stop ?? { kind: "budget" };
    this.#stop = undefined;
    return stop;
  }

  /** The processor whose turn it is, or none when all wait. */
  #nextSocket(): Socket | undefined {
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

  /** INIT and start-up IPIs that arrived since the processor's last turn. */
  #serve(socket: Socket): void {
    const { processor, apic } = socket;
    for (const request of socket.requests.splice(0)) {
      if (request === "init") {
        takeInit(processor, processor.index === 0);
        apic.initialize();
        if (processor.index !== 0) processor.state.activity = 3;
      } else if (processor.state.activity === 3) takeStartup(processor, request.startup);
    }
  }

  /** Let virtual time go on to `ns` without instructions: while all processors wait and real time passes. */
  skipTo(ns: number): void {
    this.clock.nowNs = Math.max(this.clock.nowNs, Math.floor(ns));
  }
}

const enableDecoding = (found: PciFunction): void => {
  const command = found.register(0x04, 2);
  found.write(0x04, command | COMMAND.IO | COMMAND.MEMORY | COMMAND.BUS_MASTER, 2);
};

const hex = (value: number): string => `0x${value.toString(16)}`;
