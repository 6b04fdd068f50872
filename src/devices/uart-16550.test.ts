import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { Uart16550 } from "./uart-16550.ts";

const [RBR, THR, DLL, IER, DLM, IIR, FCR, LCR, MCR, LSR, MSR, SCR] = [
  0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7,
] as const;
/** Four characters of ten bits at 115200 baud. */
const TIMEOUT_NS = Math.ceil((4 * 10 * 1e9) / 115_200);

let clock: SteppedClock;
let uart: Uart16550;
let sent: number[];
/** Every change of the interrupt line. */
let line: boolean[];
let level: boolean;
const irq = () => level;

/** 115200 baud, 8 data bits, OUT2 on; `fcr` 0 leaves the FIFOs off. */
const setUp = (fcr = 0, ier = 0) => {
  uart.write(LCR, 0x83);
  uart.write(DLL, 1);
  uart.write(DLM, 0);
  uart.write(LCR, 0x03);
  uart.write(FCR, fcr);
  uart.write(MCR, 0x0b);
  uart.write(IER, ier);
  line.length = 0;
};
const type = (...bytes: number[]) => {
  for (const byte of bytes) uart.receive(byte);
};

beforeEach(() => {
  clock = new SteppedClock();
  sent = [];
  line = [];
  level = false;
  const wire = {
    set(asserted: boolean) {
      if (asserted !== level) line.push((level = asserted));
    },
  };
  uart = new Uart16550(clock, wire, (byte) => sent.push(byte));
});

describe("16550 registers", () => {
  it("show the divisor latch at offsets 0 and 1 while DLAB is set", () => {
    uart.write(LCR, 0x80);
    uart.write(DLL, 0x34);
    uart.write(DLM, 0x12);
    expect([uart.read(DLL), uart.read(DLM)]).toEqual([0x34, 0x12]);
    uart.write(LCR, 0);
    expect([uart.read(RBR), uart.read(IER)]).toEqual([0, 0]);
    expect(sent).toEqual([]);
  });
  it("keep only the bits that exist in IER and MCR", () => {
    uart.write(IER, 0xff);
    uart.write(MCR, 0xff);
    expect([uart.read(IER), uart.read(MCR)]).toEqual([0x0f, 0x1f]);
  });
  it("give back the scratch register and ignore writes to LSR and MSR", () => {
    uart.write(SCR, 0xa5);
    uart.write(LSR, 0xff);
    uart.write(MSR, 0xff);
    expect([uart.read(SCR), uart.read(LSR), uart.read(MSR)]).toEqual([0xa5, 0x60, 0xb0]);
  });
  it("identify a 16550A and not a 16750 or a chip with more in IER", () => {
    uart.write(FCR, 0x01);
    expect(uart.read(IIR) >> 6).toBe(3);
    uart.write(LCR, 0x80);
    uart.write(FCR, 0x21);
    uart.write(LCR, 0);
    expect(uart.read(IIR) >> 5).toBe(6);
    uart.write(FCR, 0x00);
    expect(uart.read(IIR)).toBe(0x01);
  });
  it("do not program the trigger level unless FCR bit 0 is written as 1", () => {
    setUp(0x81, 0x01);
    uart.write(FCR, 0xc0);
    type(1);
    expect(irq()).toBe(true);
  });
});

describe("16550 transmitter", () => {
  it("sends at once and is always empty", () => {
    for (const byte of [0x48, 0x69]) uart.write(THR, byte);
    expect(sent).toEqual([0x48, 0x69]);
    expect(uart.read(LSR)).toBe(0x60);
  });
  it("interrupts when IER.THRE is switched on, again after being switched off and on (Linux's THRE test)", () => {
    setUp();
    uart.write(IER, 0x02);
    expect(irq()).toBe(true);
    expect(uart.read(IIR)).toBe(0x02);
    expect(irq()).toBe(false);
    expect(uart.read(IIR)).toBe(0x01);
    uart.write(IER, 0x00);
    uart.write(IER, 0x02);
    expect(uart.read(IIR)).toBe(0x02);
  });
  it("does not interrupt again when IER is written with THRE already on", () => {
    setUp(0, 0x02);
    uart.read(IIR);
    uart.write(IER, 0x03);
    expect(uart.read(IIR)).toBe(0x01);
  });
  it("makes a new edge for every character, whether or not the last was acknowledged", () => {
    setUp(0x01, 0x02);
    uart.write(THR, 1);
    expect(line).toEqual([false, true]);
    uart.read(IIR);
    uart.write(THR, 2);
    expect(line).toEqual([false, true, false, true]);
  });
});

describe("16550 receiver", () => {
  it("delivers without FIFOs and overwrites on overrun", () => {
    setUp(0, 0x01);
    type(0x41);
    expect(uart.read(IIR)).toBe(0x04);
    expect(uart.canReceive).toBe(false);
    type(0x42);
    expect(uart.read(LSR)).toBe(0x63);
    expect(uart.read(LSR)).toBe(0x61);
    expect(uart.read(RBR)).toBe(0x42);
    expect(uart.read(LSR)).toBe(0x60);
    expect(irq()).toBe(false);
  });
  it("loses the newest character when the FIFO overruns, and says so once", () => {
    setUp(0x01);
    type(...Array.from({ length: 16 }, (_, i) => i));
    expect(uart.canReceive).toBe(false);
    type(99);
    expect([uart.read(LSR), uart.read(LSR)]).toEqual([0x63, 0x61]);
    expect(Array.from({ length: 16 }, () => uart.read(RBR))).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(uart.read(LSR)).toBe(0x60);
    expect(uart.canReceive).toBe(true);
  });
  it.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])("interrupts with FCR %i at %i characters and stops below", (fcr, trigger) => {
    setUp(fcr, 0x01);
    for (let i = 1; i < trigger; i++) type(i);
    expect(irq()).toBe(false);
    type(trigger);
    expect(uart.read(IIR)).toBe(0xc4);
    uart.read(RBR);
    expect(irq()).toBe(false);
  });
  it("reports a character timeout after four character times without activity", () => {
    setUp(0x81, 0x01);
    type(0x61);
    clock.advance(TIMEOUT_NS - 1);
    expect(irq()).toBe(false);
    type(0x62);
    clock.advance(TIMEOUT_NS - 1);
    expect(irq()).toBe(false);
    clock.advance(1);
    expect(irq()).toBe(true);
    expect(uart.read(IIR)).toBe(0xcc);
    expect(uart.read(RBR)).toBe(0x61);
    expect(irq()).toBe(false);
    clock.advance(TIMEOUT_NS);
    expect(uart.read(IIR)).toBe(0xcc);
    uart.read(RBR);
    expect(clock.advance(10 * TIMEOUT_NS)).toBe(0);
    expect(irq()).toBe(false);
  });
  it("has no character timeout without FIFOs", () => {
    setUp(0, 0x01);
    type(1);
    clock.advance(TIMEOUT_NS);
    expect(uart.read(IIR)).toBe(0x04);
  });
  it("empties the FIFO on command and when the FIFOs are switched off", () => {
    setUp(0x01);
    type(1, 2);
    uart.write(FCR, 0x03);
    expect(uart.read(LSR) & 1).toBe(0);
    type(3);
    uart.write(FCR, 0x00);
    expect(uart.read(LSR) & 1).toBe(0);
  });
  it("shows a break as a zero character whose error is at the top of the FIFO", () => {
    setUp(0x01, 0x04);
    type(0x41);
    uart.receiveBreak();
    expect(uart.read(LSR)).toBe(0xe1);
    expect(irq()).toBe(false);
    uart.read(RBR);
    expect(irq()).toBe(true);
    expect(uart.read(IIR)).toBe(0xc6);
    expect(uart.read(LSR)).toBe(0xf1);
    expect(uart.read(LSR)).toBe(0x61);
    expect(uart.read(RBR)).toBe(0);
  });
});

describe("16550 interrupts", () => {
  it("come in the datasheet's order of priority, each acknowledged in its own way", () => {
    setUp(0x01, 0x0f);
    uart.write(THR, 0);
    uart.setModemInputs(0);
    for (let i = 0; i < 17; i++) type(i);
    expect(uart.read(IIR)).toBe(0xc6);
    uart.read(LSR);
    expect(uart.read(IIR)).toBe(0xc4);
    for (let i = 0; i < 16; i++) uart.read(RBR);
    expect(uart.read(IIR)).toBe(0xc2);
    expect(uart.read(IIR)).toBe(0xc0);
    expect(uart.read(MSR)).toBe(0x0b);
    expect(uart.read(IIR)).toBe(0xc1);
    expect(irq()).toBe(false);
  });
  it("reading IIR acknowledges THRE but not received data", () => {
    setUp(0x01, 0x03);
    type(0x41);
    expect([uart.read(IIR), uart.read(IIR)]).toEqual([0xc4, 0xc4]);
    uart.read(RBR);
    expect([uart.read(IIR), uart.read(IIR)]).toEqual([0xc2, 0xc1]);
  });
  it("reach the bus only while OUT2 is on, and are shown in IIR all the same", () => {
    setUp(0x01, 0x01);
    uart.write(MCR, 0x03);
    type(1);
    expect(irq()).toBe(false);
    expect(uart.read(IIR)).toBe(0xc4);
    uart.write(MCR, 0x0b);
    expect(irq()).toBe(true);
  });
});

describe("16550 modem", () => {
  it("reports only the trailing edge of the ring indicator", () => {
    uart.setModemInputs(0xf0);
    expect(uart.read(MSR)).toBe(0xf0);
    uart.setModemInputs(0xb0);
    expect(uart.read(MSR)).toBe(0xb4);
    expect(uart.read(MSR)).toBe(0xb0);
  });
  it("answers the loopback test of the 8250 drivers", () => {
    uart.write(MCR, 0x1a);
    expect(uart.read(MSR) & 0xf0).toBe(0x90);
    uart.write(MCR, 0x15);
    expect(uart.read(MSR) & 0xf0).toBe(0x60);
  });
  it("in loopback sends to itself, hears nobody else and is off the bus", () => {
    setUp(0x01, 0x01);
    uart.write(MCR, 0x1b);
    expect(uart.canReceive).toBe(false);
    uart.receive(0x99);
    uart.write(THR, 0x42);
    expect([uart.read(RBR), sent, irq()]).toEqual([0x42, [], false]);
  });
  it("tells FreeBSD's probe that its FIFO holds sixteen characters", () => {
    setUp(0x01);
    uart.write(MCR, 0x1b);
    let count = 0;
    do uart.write(THR, 0);
    while (++count < 260 && (uart.read(LSR) & 0x02) === 0);
    expect(count - 1).toBe(16);
  });
});

describe("16550 snapshot", () => {
  it("is its state record: outputs and the pending timeout follow from it", () => {
    setUp(0x81, 0x01);
    type(0x61);
    const snapshot = structuredClone(uart.state);
    uart.reset();
    expect(clock.advance(2 * TIMEOUT_NS)).toBe(0);
    uart.state = snapshot;
    uart.driveOutputs();
    expect(irq()).toBe(true);
    expect(uart.read(RBR)).toBe(0x61);
  });
});

describe("16550 as a patient sender sees it", () => {
  it("does not listen after power-on, nor in loopback", () => {
    expect(uart.isListening).toBe(false);
    uart.write(MCR, 0x12);
    expect(uart.isListening).toBe(false);
  });
  it("listens once RTS is raised or the receive interrupt is on", () => {
    uart.write(MCR, 0x02);
    expect(uart.isListening).toBe(true);
    uart.write(MCR, 0x01);
    expect(uart.isListening).toBe(false);
    uart.write(IER, 0x01);
    expect(uart.isListening).toBe(true);
  });
  it("listens to a program that polls, not to one that waits to send", () => {
    for (const letter of "console output") {
      uart.read(LSR);
      uart.read(LSR);
      uart.write(THR, letter.charCodeAt(0));
    }
    expect(uart.isListening).toBe(false);
    for (let n = 0; n < 16; n++) uart.read(LSR);
    expect(uart.isListening).toBe(true);
    type(1);
    uart.read(LSR);
    uart.read(RBR);
    uart.write(THR, 1);
    expect(uart.isListening).toBe(true);
    uart.write(FCR, 0x07);
    expect(uart.isListening).toBe(false);
  });
});
