import type { Clock } from "../bus/clock.ts";
import type { DirectMemory } from "../bus/dma.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import type { MmioBus } from "../bus/mmio.ts";
import { byteWide, type PortBus } from "../bus/port-io.ts";
import type { GuestMemory } from "../cpu/guest-memory.ts";
import { AcpiPm, SLP_TYP_S5 } from "../devices/acpi-pm.ts";
import type { ApicBus } from "../devices/apic-bus.ts";
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
import { PC_TESTDEV, PcTestdev } from "../devices/pc-testdev.ts";
import { CONFIG_PORT, PciBus } from "../devices/pci.ts";
import { Pic8259Pair } from "../devices/pic-8259.ts";
import { Pit8254 } from "../devices/pit-8254.ts";
import { Ps2Keyboard } from "../devices/ps2-keyboard.ts";
import { Ps2Mouse } from "../devices/ps2-mouse.ts";
import { Q35HostBridge, type ShadowSegment } from "../devices/q35-host-bridge.ts";
import { RtcMc146818 } from "../devices/rtc-mc146818.ts";
import { SystemControlPorts } from "../devices/system-control-ports.ts";
import { Uart16550 } from "../devices/uart-16550.ts";
import { VirtioBlk } from "../devices/virtio-blk.ts";
import { VirtioConsole } from "../devices/virtio-console.ts";
import { VirtioEntropy } from "../devices/virtio-entropy.ts";
import { VirtioPci } from "../devices/virtio-pci.ts";
import { isaInterrupts, memoryMap, ports } from "./board-map.ts";
import type { PcConfiguration, PcOutputs, PcStop } from "./pc-doors.ts";

/** Memory as the chips reach and remap it. */
export type BoardMemory = Pick<GuestMemory, "readBytes" | "writeBytes" | "lowBytes" | "shadow">;

/** The board around the chips. */
export interface ChipsetSurroundings {
  readonly configuration: PcConfiguration;
  readonly outputs: PcOutputs;
  readonly clock: Clock;
  readonly guest: BoardMemory;
  readonly portBus: PortBus;
  readonly mmio: MmioBus;
  readonly apicBus: ApicBus;
  /** Physical memory looks different from now on: translations are to be looked up afresh. */
  remapped(): void;
  /** INTR of the 8259s, at the bootstrap processor. */
  readonly intr: InterruptLine;
  /** End the run. */
  halt(stop: PcStop): void;
}

/** Everything on the board but processors and memory: the one place that knows which chip is wired to which. */
export class Chipset {
  readonly keyboard = new Ps2Keyboard();
  readonly mouse = new Ps2Mouse();
  readonly pic: Pic8259Pair;
  readonly ioApic: IoApic;
  readonly pit: Pit8254;
  readonly system: SystemControlPorts;
  readonly serial: readonly [Uart16550, Uart16550];
  readonly fwCfg: FwCfg;
  readonly acpiPm: AcpiPm;
  readonly lpc: Ich9Lpc;
  readonly pci: PciBus;
  readonly host: Q35HostBridge;
  readonly console: VirtioConsole;
  readonly #around: ChipsetSurroundings;
  readonly #memory: DirectMemory;

  constructor(around: ChipsetSurroundings) {
    this.#around = around;
    const { guest } = around;
    this.#memory = {
      read: (address, length) => guest.readBytes(address, length),
      write: (address, bytes) => guest.writeBytes(address, bytes),
    };
    this.pic = new Pic8259Pair(around.intr);
    this.ioApic = new IoApic({ bus: around.apicBus });
    this.#mapInterruptControllers();
    this.pit = this.#timers();
    this.serial = this.#serialPorts();
    this.system = this.#keyboardController();
    this.#testDevices();
    this.#debugPorts();
    this.fwCfg = this.#firmwareConfiguration();
    this.acpiPm = this.#powerManagement();
    this.lpc = new Ich9Lpc({
      ports: around.portBus,
      powerManagement: this.acpiPm,
      ioApicInput: (input) => this.ioApic.pin(input),
      isaIrq: (irq) => this.#isa(irq),
    });
    this.pci = new PciBus({ mmio: around.mmio, ports: around.portBus, pirq: this.lpc.pirq });
    const shadow = (segments: readonly ShadowSegment[]): void => {
      for (const { start, length, reads, writes } of segments) guest.shadow(start, length, reads, writes);
      around.remapped();
    };
    this.host = new Q35HostBridge({ mmio: around.mmio, ecam: this.pci.ecam, shadow });
    shadow(this.host.segments());
    this.console = new VirtioConsole((bytes) => around.outputs.virtioConsole(bytes));
    this.#pciFunctions();
  }

  /** An ISA interrupt reaches the 8259s and the I/O APIC; IRQ0 is input 2 there. */
  #isa(irq: number): InterruptLine {
    const legacy = this.pic.line(irq);
    const pin = this.ioApic.pin(irq === 0 ? 2 : irq);
    return {
      set: (asserted) => {
        legacy.set(asserted);
        pin.set(asserted);
      },
    };
  }

  #mapInterruptControllers(): void {
    const { portBus, mmio } = this.#around;
    portBus.map(0x20, 2, this.pic.master, "8259 master");
    portBus.map(0xa0, 2, this.pic.slave, "8259 slave");
    portBus.map(0x4d0, 2, this.pic.edgeLevelControl, "8259 edge/level control");
    mmio.map(memoryMap.ioApic, 0x1000, this.ioApic, "I/O APIC");
  }

  /** 8254, RTC and HPET. While the HPET replaces them, the 8254 and the RTC are cut off from their lines. */
  #timers(): Pit8254 {
    const { clock, configuration, guest, portBus, mmio, apicBus } = this.#around;
    const { startUnixSeconds, memoryBytes, processors } = configuration;
    const [irq0, irq8] = [this.#isa(0), this.#isa(isaInterrupts.rtc)];
    let legacyReplaced = false;
    const unlessReplaced = (line: InterruptLine): InterruptLine => ({
      set: (asserted) => {
        if (!legacyReplaced) line.set(asserted);
      },
    });
    const pit = new Pit8254(clock, unlessReplaced(irq0));
    portBus.map(0x40, 4, byteWide(pit), "8254");
    const rtc = new RtcMc146818(clock, unlessReplaced(irq8), {
      ...(startUnixSeconds === undefined ? {} : { startUnixSeconds }),
      memoryBelow4GiB: guest.lowBytes,
      memoryAbove4GiB: memoryBytes - guest.lowBytes,
      processors,
    });
    portBus.map(0x70, 2, byteWide(rtc), "MC146818");
    const hpet = new Hpet({
      clock,
      line: (input) => this.ioApic.pin(input),
      legacyLines: [irq0, irq8],
      legacyReplacement: (enabled) => {
        legacyReplaced = enabled;
      },
      message: apicBus,
    });
    mmio.map(memoryMap.hpet, 0x400, hpet, "HPET");
    return pit;
  }

  #serialPorts(): readonly [Uart16550, Uart16550] {
    const { clock, outputs, portBus } = this.#around;
    const com1 = new Uart16550(clock, this.#isa(isaInterrupts.com1), (byte) => outputs.serial(1, byte));
    const com2 = new Uart16550(clock, this.#isa(isaInterrupts.com2), (byte) => outputs.serial(2, byte));
    portBus.map(ports.com1, 8, byteWide(com1), "16550 COM1");
    portBus.map(ports.com2, 8, byteWide(com2), "16550 COM2");
    return [com1, com2];
  }

  /** The 8042, and the odd ports around it. */
  #keyboardController(): SystemControlPorts {
    const { clock, portBus, halt } = this.#around;
    const { keyboard, pit } = this;
    const reset = (): void => halt({ kind: "reset" });
    const a20 = (): void => {}; // always open: docs/QUIRKS.md
    const i8042 = new I8042({
      keyboardIrq: this.#isa(isaInterrupts.keyboard),
      auxIrq: this.#isa(isaInterrupts.mouse),
      keyboard,
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
    return system;
  }

  #testDevices(): void {
    const { portBus, mmio, remapped } = this.#around;
    const testdev = new PcTestdev((irq) => this.#isa(irq), remapped);
    const { IOPORT, FLUSH_PAGE, IOPORT_BYTE, IRQ_LINE, IOMEM } = PC_TESTDEV;
    portBus.map(IOPORT.start, IOPORT.length, testdev.ioport, "pc-testdev ioport");
    portBus.map(FLUSH_PAGE.start, FLUSH_PAGE.length, testdev.flushPage, "pc-testdev flush page");
    portBus.map(IOPORT_BYTE.start, IOPORT_BYTE.length, testdev.ioportByte, "pc-testdev ioport");
    portBus.map(IRQ_LINE.start, IRQ_LINE.length, testdev.irqLine, "pc-testdev irq lines");
    mmio.map(IOMEM.start, IOMEM.length, testdev.iomem, "pc-testdev iomem");
  }

  #debugPorts(): void {
    const { configuration, outputs, portBus, halt } = this.#around;
    const console = debugcon((byte) => outputs.debugcon(byte));
    for (const port of new Set([configuration.debugconPort ?? DEBUGCON_PORT, DEBUGCON_PORT]))
      portBus.map(port, 1, console, "debugcon");
    const exit = debugExit((status) => halt({ kind: "debug-exit", status }));
    portBus.map(DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, exit, "isa-debug-exit");
    const shutdown = new ShutdownPort(() => halt({ kind: "power-off" }));
    portBus.map(SHUTDOWN_PORT, 1, shutdown.registers, "Bochs shutdown port");
  }

  #firmwareConfiguration(): FwCfg {
    const { memoryBytes, processors, commandLine } = this.#around.configuration;
    const fwCfg = new FwCfg(this.#memory);
    this.#around.portBus.map(FW_CFG_PORT, FW_CFG_PORTS, fwCfg, "fw_cfg");
    fwCfg.setNumber(FW_CFG.RAM_SIZE, memoryBytes, 8);
    fwCfg.setNumber(FW_CFG.NB_CPUS, processors, 2);
    fwCfg.setNumber(FW_CFG.MAX_CPUS, processors, 2);
    fwCfg.setNumber(FW_CFG.NOGRAPHIC, 1, 2);
    fwCfg.setNumber(FW_CFG.IRQ0_OVERRIDE, 1, 4);
    if (commandLine !== undefined) fwCfg.setText(FW_CFG.KERNEL_CMDLINE, commandLine);
    return fwCfg;
  }

  #powerManagement(): AcpiPm {
    const { clock, portBus, halt } = this.#around;
    const acpiPm = new AcpiPm({
      clock,
      sci: this.#isa(isaInterrupts.sci),
      sleep: (type) => {
        if (type === SLP_TYP_S5) halt({ kind: "power-off" });
      },
    });
    portBus.map(ports.smiCommand, 2, acpiPm.smiCommand, "SMI command");
    return acpiPm;
  }

  #pciFunctions(): void {
    const { configuration, outputs, clock, portBus, apicBus } = this.#around;
    const { pci } = this;
    // The reset control register lies within these ports.
    portBus.map(CONFIG_PORT, 8, pci.configurationPorts, "PCI configuration");
    portBus.map(0xcf9, 1, this.system.resetControl, "reset control");
    pci.add(0, 0, this.host.function);
    pci.add(LPC_DEVICE, 0, this.lpc.function);
    const report = (reason: string): void => outputs.unimplemented?.(reason);
    const virtio = [
      ...configuration.disks.map((disk) => new VirtioBlk({ ...disk, clock, report })),
      ...(configuration.lacksPciConsole ? [] : [this.console]),
      new VirtioEntropy(Number(BigInt.asUintN(52, configuration.seed))),
    ];
    virtio.forEach((device, index) => {
      const transport = new VirtioPci({ device, memory: this.#memory, message: apicBus, report });
      pci.add(1 + index, 0, transport.function);
    });
  }
}
