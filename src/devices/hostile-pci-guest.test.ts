import { expect, it } from "vitest";
import type { RegisterBlock } from "../bus/address-range.ts";
import { MmioBus } from "../bus/mmio.ts";
import { PortBus } from "../bus/port-io.ts";
import { unconnected } from "../bus/shared-line.ts";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { AcpiPm } from "./acpi-pm.ts";
import { ApicBus } from "./apic-bus.ts";
import { Hpet } from "./hpet.ts";
import { Ich9Lpc } from "./ich9-lpc.ts";
import { IoApic } from "./io-apic.ts";
import { LocalApic } from "./local-apic.ts";
import { CONFIG_PORT, PciBus } from "./pci.ts";
import { Q35HostBridge } from "./q35-host-bridge.ts";
import { VirtioBlk } from "./virtio-blk.ts";
import { VirtioConsole } from "./virtio-console.ts";
import { TestMemory } from "./virtio-driver.fixture.ts";
import { VirtioEntropy } from "./virtio-entropy.ts";
import { VirtioPci } from "./virtio-pci.ts";

/** A seeded generator of 32-bit numbers (xorshift). */
const generator = (seed: number) => () => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed >>> 0;
};

const board = () => {
  const clock = new SteppedClock();
  const bus = new ApicBus();
  const apics = [0, 1].map(
    (id) =>
      new LocalApic({
        id,
        bootstrap: id === 0,
        clock,
        bus,
        pins: {
          interruptRequest() {},
          nmi() {},
          init() {},
          startup() {},
          smi() {},
          apicPage() {},
        },
        externalVector: () => 0x20,
        tsc: () => BigInt(clock.nowNs),
        nsUntilTsc: (tsc) => Math.max(0, Number(tsc - BigInt(clock.nowNs))),
      }),
  );
  const ioApic = new IoApic({ bus });
  const hpet = new Hpet({
    clock,
    line: (input) => ioApic.pin(input),
    legacyLines: [ioApic.pin(2), ioApic.pin(8)],
    legacyReplacement() {},
    message: bus,
  });
  const pm = new AcpiPm({ clock, sci: ioApic.pin(9), sleep() {} });
  const mmio = new MmioBus();
  const ports = new PortBus();
  const lpc = new Ich9Lpc({
    ports,
    powerManagement: pm,
    ioApicInput: (input) => ioApic.pin(input),
    isaIrq: () => unconnected,
  });
  const pci = new PciBus({ mmio, ports, pirq: lpc.pirq });
  const host = new Q35HostBridge({ mmio, ecam: pci.ecam });
  const memory = new TestMemory();
  const sectors = new Uint8Array(64 * 512);
  const storage = {
    sectors: 64,
    readOnly: false,
    read: (sector: number, count: number) => sectors.subarray(sector * 512, (sector + count) * 512),
    write: (sector: number, bytes: Uint8Array) => {
      sectors.set(bytes, sector * 512);
      return undefined;
    },
    flush: () => undefined,
  };
  const entropy = new VirtioEntropy(1);
  const terminal = new VirtioConsole(() => {});
  const virtio = [new VirtioBlk({ storage, clock }), terminal, entropy].map(
    (device) => new VirtioPci({ device, memory, message: bus }),
  );
  pci.add(0, 0, host.function);
  pci.add(31, 0, lpc.function);
  for (const [i, { function: fn }] of virtio.entries()) {
    pci.add(1 + i, 0, fn);
    fn.write(0x14, 0xe000_0000 + 0x1_0000 * i, 4);
    fn.write(0x20, 0xe000_4000 + 0x1_0000 * i, 4);
    fn.write(0x04, 6, 2);
  }
  ports.map(CONFIG_PORT, 8, pci.configurationPorts, "PCI configuration");
  return { clock, apics, ioApic, hpet, pm, mmio, ports, pci, host, lpc, memory, terminal, entropy, virtio };
};

/** Random accesses to every register there is, of random sizes and values; the board's state at the end. */
const attack = (seed: number) => {
  const random = generator(seed);
  const made = board();
  const { clock, apics, ioApic, hpet, pm, mmio, ports, pci, memory, terminal, virtio } = made;
  for (let i = 0; i < memory.bytes.length; i += 61) memory.bytes[i] = random();
  const configuration: RegisterBlock = {
    read: (offset, size) => pci.ecam.read(((offset & 0xff) % 5) * 0x8000 + (offset >>> 8), size),
    write: (offset, value, size) =>
      pci.ecam.write(((offset & 0xff) % 5) * 0x8000 + (offset >>> 8), value, size),
  };
  const bars = (index: number): RegisterBlock => ({
    read: (offset, size) => mmio.read(0xe000_0000 + 0x1_0000 * index + offset, size),
    write: (offset, value, size) => mmio.write(0xe000_0000 + 0x1_0000 * index + offset, value, size),
  });
  const blocks: [RegisterBlock, number][] = [
    [apics[0]!, 0x400],
    [apics[1]!, 0x400],
    [ioApic, 0x44],
    [hpet, 0x160],
    [pm, 0x80],
    [pm.smiCommand, 2],
    [pci.configurationPorts, 8],
    [configuration, 0x1_0000],
    [bars(0), 0x7080],
    [bars(1), 0x7080],
    [bars(2), 0x7080],
  ];
  // The structures of a virtio device start on these pages; most of what lies between is empty.
  const dense = (offset: number): number => (offset & 0x7000) | (offset & 0x7f);
  const misfits: string[] = [];
  for (let step = 0; step < 3000; step++) {
    const [block, length] = blocks[random() % blocks.length]!;
    const size = ([1, 2, 4, 4] as const)[random() & 3]!;
    const raw = random() % length;
    const sparse = length > 0x1000 && length < 0x1_0000 ? dense(raw) : raw;
    const offset = (random() & 3) === 0 ? sparse : sparse - (sparse % size);
    const value = [random(), random() & 0x1ff, 0xffff_ffff, 1 << (random() & 31)][random() & 3]!;
    if ((random() & 1) === 0)
      block.write(offset, (size === 4 ? value : value & (2 ** (8 * size) - 1)) >>> 0, size);
    else {
      const read = block.read(offset, size);
      if (!Number.isInteger(read) || read < 0 || read >= 2 ** (8 * size))
        misfits.push(
          `block ${blocks.findIndex(([own]) => own === block)} + ${offset}, ${size} bytes: ${read}`,
        );
    }
    if (step % 16 === 0) {
      const apic = apics[random() & 1]!;
      const msr = [0x1b, 0x6e0, 0x800 + (random() & 0x3f)][random() % 3]!;
      const wide = (BigInt(random()) << 32n) | BigInt(random());
      apic.writeMsr(msr, [wide, wide & 0xffffn, 0xfee0_0000n | (wide & 0xd00n)][random() % 3]!);
      apic.readMsr(msr);
      if (apic.hasInterrupt()) expect(apic.acknowledge()).toBeLessThan(256);
    }
    // From time to time a virtio driver that gets everything right but its rings.
    if (step % 200 === 0) {
      const { function: fn } = virtio[random() % virtio.length]!;
      fn.write(0x20, 0xe000_4000, 4);
      fn.write(0x24, 0, 4);
      fn.write(0x04, 6, 2);
      const set = (offset: number, written: number, size: 1 | 2 | 4) =>
        fn.bars[1]!.block.write(offset, written, size);
      for (const status of [0, 3]) set(20, status, 1);
      for (const select of [1, 0]) {
        set(8, select, 4);
        set(12, select === 1 ? 1 : random() & 0x3000_0000, 4);
      }
      set(20, 11, 1);
      set(22, 0, 2);
      set(24, 16, 2);
      const [table, available, used] = [0, 1, 2].map(() => random() & 0xf_fff0) as [number, number, number];
      for (const [n, area] of [table, available, used].entries()) set(32 + 8 * n, area, 4);
      // Chains that may make sense: small buffers in RAM for the most part.
      const view = new DataView(memory.bytes.buffer);
      for (let n = 0; n < 16 && table + 256 < memory.bytes.length; n++) {
        view.setBigUint64(table + 16 * n, BigInt(random()) << (random() % 20 === 0 ? 20n : 0n), true);
        view.setUint32(table + 16 * n + 8, random() % 10 === 0 ? random() : random() & 0x3ff, true);
        view.setUint16(table + 16 * n + 12, [0, 1, 1, 3, 2, 2, 4, 7][random() & 7]!, true);
        view.setUint16(table + 16 * n + 14, random() % 17, true);
      }
      if (available + 40 < memory.bytes.length) view.setUint16(available + 2, random() % 18, true);
      set(28, 1, 2);
      set(20, 15, 1);
      set(0x3000, 0, 2);
    }
    if (random() % 10 === 0) clock.advance(random() % 3000);
    if (random() % 50 === 0) terminal.receive(Uint8Array.of(random()));
    if (random() % 50 === 0) ioApic.pin(random() % 24).set((random() & 1) === 0);
  }
  ports.read(0xcfc, 4);
  return structuredClone({
    apics: apics.map((apic) => apic.state),
    ioApic: ioApic.state,
    hpet: hpet.state,
    pm: pm.state,
    host: made.host.function.state,
    lpc: made.lpc.function.state,
    virtio: virtio.map((device) => device.state),
    terminal: terminal.state,
    entropy: made.entropy.state,
    largest: memory.largest,
    misfits,
  });
};

it("no access of a hostile guest makes the interrupt, timer, PCI and virtio chips throw, or grow", () => {
  let served = 0;
  for (let seed = 1; seed <= 6; seed++) {
    const { largest, terminal, misfits, virtio } = attack(seed * 0x9e37_79b9);
    served += virtio.filter(({ queues }) => queues[0]!.usedIndex > 0).length;
    expect(misfits).toEqual([]);
    expect(largest).toBeLessThanOrEqual(65_536);
    expect(terminal.input.length).toBeLessThan(200);
  }
  expect(served).toBeGreaterThan(0); // some of the rings were good enough to be used
});

it("the same accesses leave the same state", () => {
  expect(attack(7)).toEqual(attack(7));
});
