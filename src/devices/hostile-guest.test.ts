import { describe, expect, it } from "vitest";
import type { RegisterBlock } from "../bus/address-range.ts";
import { byteWide } from "../bus/port-io.ts";
import { unconnected } from "../bus/shared-line.ts";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { FwCfg } from "./fw-cfg.ts";
import { I8042 } from "./i8042.ts";
import { PcTestdev } from "./pc-testdev.ts";
import { Pic8259Pair } from "./pic-8259.ts";
import { Pit8254 } from "./pit-8254.ts";
import { Ps2Keyboard } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";
import { RtcMc146818 } from "./rtc-mc146818.ts";
import { SystemControlPorts } from "./system-control-ports.ts";
import { Uart16550 } from "./uart-16550.ts";

/** A seeded generator of 32-bit numbers (xorshift). */
const generator = (seed: number) => () => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed >>> 0;
};

const board = () => {
  const clock = new SteppedClock();
  const pics = new Pic8259Pair(unconnected);
  const pit = new Pit8254(clock, pics.line(0));
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  const uart = new Uart16550(clock, pics.line(4), () => {});
  const rtc = new RtcMc146818(clock, pics.line(8), {
    memoryBelow4GiB: 2 ** 29,
    memoryAbove4GiB: 0,
    processors: 1,
  });
  const i8042 = new I8042({
    keyboardIrq: pics.line(1),
    auxIrq: pics.line(12),
    keyboard,
    aux: mouse,
    reset: () => {},
    a20: () => {},
  });
  const system = new SystemControlPorts({
    clock,
    timer2Gate: (gate) => pit.setGate(2, gate),
    timer2Out: () => pit.out(2),
    a20: () => {},
    reset: () => {},
  });
  const testdev = new PcTestdev((number) => pics.line(number & 15));
  // All of memory reads 0x0A: a DMA access that selects and reads a little.
  const fwCfg = new FwCfg({ read: (_address, length) => new Uint8Array(length).fill(0x0a), write: () => {} });
  const blocks: [RegisterBlock, number][] = [
    [byteWide(uart), 8],
    [pics.master, 2],
    [pics.slave, 2],
    [pics.edgeLevelControl, 2],
    [byteWide(pit), 4],
    [byteWide(rtc), 2],
    [i8042.dataPort, 1],
    [i8042.commandPort, 1],
    [system.portA, 1],
    [system.portB, 1],
    [system.resetControl, 1],
    [testdev.ioport, 4],
    [testdev.irqLine, 24],
    [fwCfg, 8],
  ];
  const devices = [uart, pics, pit, rtc, i8042, keyboard, mouse, system, fwCfg];
  return { clock, pics, keyboard, mouse, uart, blocks, devices };
};

/** 3000 random accesses, inputs and steps of time; the states at the end. */
const attack = (seed: number) => {
  const random = generator(seed);
  const { clock, pics, keyboard, mouse, uart, blocks, devices } = board();
  for (let step = 0; step < 3000; step++) {
    const [block, length] = blocks[random() % blocks.length]!;
    const offset = random() % length;
    const size = ([1, 1, 1, 2, 4] as const)[random() % 5]!;
    if (random() % 3 === 0) {
      const value = block.read(offset, size);
      if (!(Number.isInteger(value) && value >= 0 && value < 0x100 ** size)) expect(value).toBe("unsigned");
    } else block.write(offset, (size === 4 ? random() : random() % 0x100 ** size) >>> 0, size);
    switch (random() % 16) {
      case 0:
        clock.advance(random() % 50_000);
        break;
      case 1:
        uart.receive(random() & 0xff);
        break;
      case 2:
        keyboard.press("Pause");
        break;
      case 3:
        mouse.move((random() & 0x3ff) - 512, (random() & 0x3ff) - 512, random() & 7);
        break;
      case 4:
        if (pics.requesting) pics.acknowledge();
        break;
    }
  }
  return JSON.stringify(devices.map((device) => device.state));
};

describe("a hostile guest", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "with seed %i neither breaks nor bloats a device, and every run is the same",
    (seed) => {
      const states = attack(seed);
      expect(states.length).toBeLessThan(12_000);
      expect(states).not.toMatch(/NaN/);
      expect(attack(seed)).toBe(states);
    },
  );
});
