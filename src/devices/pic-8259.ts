// The 8259A pair of a PC. Names and headings: Intel, "8259A Programmable Interrupt Controller", order number 231468;
// edge/level control registers (ports 0x4D0 and 0x4D1): Intel, "82371AB PCI-to-ISA/IDE Xcelerator (PIIX4)", "ELCR1", "ELCR2".
import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { byteWide } from "../bus/port-io.ts";

/** Initialization Command Words: bit 4 of a write to A0 = 0 tells ICW1 from OCW2 and OCW3. */
const ICW1 = { IC4: 1 << 0, SNGL: 1 << 1, LTIM: 1 << 3, ICW1: 1 << 4 } as const;
const ICW2_VECTOR = 0b1111_1000;
const ICW4 = { AEOI: 1 << 1, SFNM: 1 << 4 } as const;

/** Operation Command Word 2: bits 7-5 (R, SL, EOI) as one command, bits 2-0 a level. */
const OCW2 = {
  ROTATE_IN_AUTOMATIC_EOI_CLEAR: 0b000,
  NON_SPECIFIC_EOI: 0b001,
  NO_OPERATION: 0b010,
  SPECIFIC_EOI: 0b011,
  ROTATE_IN_AUTOMATIC_EOI_SET: 0b100,
  ROTATE_ON_NON_SPECIFIC_EOI: 0b101,
  SET_PRIORITY: 0b110,
  ROTATE_ON_SPECIFIC_EOI: 0b111,
} as const;

/** Operation Command Word 3. */
const OCW3 = { RIS: 1 << 0, RR: 1 << 1, P: 1 << 2, OCW3: 1 << 3, SMM: 1 << 5, ESMM: 1 << 6 } as const;
const POLL_INTERRUPT = 1 << 7;

/** The level that a chip names when nothing requests service any more: "DEFAULT IR7". */
const DEFAULT_IR = 7;
/** The master's input that the slave's INT drives. */
const CASCADE = 2;
/** Inputs that can be made level triggered: not the timer, keyboard, cascade, RTC and FPU error. */
const MASTER_LEVEL_CAPABLE = 0b1111_1000;
const SLAVE_LEVEL_CAPABLE = 0b1101_1110;

export interface Pic8259State {
  /** The IR pins as driven. */
  inputs: number;
  /** Rising edges that were not acknowledged; the edge-sense latch. */
  edges: number;
  ISR: number;
  IMR: number;
  ELCR: number;
  ICW1: number;
  ICW2: number;
  ICW4: number;
  /** Which ICW the next write to A0 = 1 is; 0 in normal operation. */
  expectedICW: 0 | 2 | 3 | 4;
  /** The level of lowest priority; 7 in the fully nested mode. */
  lowestPriority: number;
  rotateInAutomaticEOI: boolean;
  specialMask: boolean;
  /** OCW3's RIS: reads of A0 = 0 give ISR instead of IRR. */
  readISR: boolean;
  /** OCW3's P: the next read is a poll. */
  poll: boolean;
}

export interface Pic8259PairState {
  master: Pic8259State;
  slave: Pic8259State;
}

const powerOn = (): Pic8259State => ({
  inputs: 0,
  edges: 0,
  ISR: 0,
  // A pair that nobody initialized asks for nothing: firmware leaves every input masked.
  IMR: 0xff,
  ELCR: 0,
  ICW1: 0,
  ICW2: 0,
  ICW4: 0,
  expectedICW: 0,
  lowestPriority: 7,
  rotateInAutomaticEOI: false,
  specialMask: false,
  readISR: false,
  poll: false,
});

const levelTriggered = (chip: Pic8259State): number => ((chip.ICW1 & ICW1.LTIM) !== 0 ? 0xff : chip.ELCR);

/** Interrupt Request Register. An input must stay high until it is acknowledged, in both modes. */
const requests = (chip: Pic8259State): number => {
  const level = levelTriggered(chip);
  return chip.inputs & (level | chip.edges);
};

/** 0 for the level of highest priority, 7 for the lowest. */
const rank = (chip: Pic8259State, level: number): number => (level - chip.lowestPriority - 1) & 7;

const highest = (chip: Pic8259State, levels: number): number | undefined => {
  for (let step = 1; step <= 8; step++) {
    const level = (chip.lowestPriority + step) & 7;
    if ((levels >> level) & 1) return level;
  }
  return undefined;
};

/** In-service levels that hold others back: in special mask mode a masked level does not. */
const inhibiting = (chip: Pic8259State): number => (chip.specialMask ? chip.ISR & ~chip.IMR : chip.ISR);

/** The level for which this chip asserts INT. `cascade` is the input that a slave drives, if there is one. */
const requestedLevel = (chip: Pic8259State, cascade?: number): number | undefined => {
  const level = highest(chip, requests(chip) & ~chip.IMR);
  if (level === undefined) return undefined;
  const inService = highest(chip, inhibiting(chip));
  if (inService === undefined || rank(chip, level) < rank(chip, inService)) return level;
  // "When an interrupt request from a certain slave is in service this slave is not locked out from the master's
  // priority logic": the special fully nested mode.
  if ((chip.ICW4 & ICW4.SFNM) !== 0 && level === cascade && inService === cascade) return level;
  return undefined;
};

/** The INTA sequence at one chip: the request moves from IRR to ISR. */
const service = (chip: Pic8259State, level: number): void => {
  const bit = 1 << level;
  chip.edges &= ~bit;
  if ((chip.ICW4 & ICW4.AEOI) === 0) chip.ISR |= bit;
  else if (chip.rotateInAutomaticEOI) chip.lowestPriority = level;
};

const setInput = (chip: Pic8259State, level: number, asserted: boolean): void => {
  const bit = 1 << level;
  if (asserted) {
    chip.edges |= bit & ~chip.inputs;
    chip.inputs |= bit;
  } else {
    chip.edges &= ~bit;
    chip.inputs &= ~bit;
  }
};

/** "Initialization Command Words": what happens automatically when ICW1 is issued. */
const initialize = (chip: Pic8259State, byte: number): void => {
  chip.ICW1 = byte;
  chip.edges = 0;
  chip.ISR = 0;
  chip.IMR = 0;
  chip.lowestPriority = 7;
  chip.specialMask = false;
  chip.readISR = false;
  chip.poll = false;
  if ((byte & ICW1.IC4) === 0) chip.ICW4 = 0;
  chip.rotateInAutomaticEOI = false;
  chip.expectedICW = 2;
};

const writeOCW2 = (chip: Pic8259State, byte: number): void => {
  const command = byte >> 5;
  const named = byte & 7;
  const endOfInterrupt = (level: number | undefined, rotate: boolean): void => {
    if (level === undefined) return;
    chip.ISR &= ~(1 << level);
    if (rotate) chip.lowestPriority = level;
  };
  switch (command) {
    case OCW2.NON_SPECIFIC_EOI:
    case OCW2.ROTATE_ON_NON_SPECIFIC_EOI:
      // "An IS bit that is masked by an IMR bit will not be cleared by a non-specific EOI" in special mask mode.
      endOfInterrupt(highest(chip, inhibiting(chip)), command === OCW2.ROTATE_ON_NON_SPECIFIC_EOI);
      break;
    case OCW2.SPECIFIC_EOI:
    case OCW2.ROTATE_ON_SPECIFIC_EOI:
      endOfInterrupt(named, command === OCW2.ROTATE_ON_SPECIFIC_EOI);
      break;
    case OCW2.SET_PRIORITY:
      chip.lowestPriority = named;
      break;
    case OCW2.ROTATE_IN_AUTOMATIC_EOI_SET:
      chip.rotateInAutomaticEOI = true;
      break;
    case OCW2.ROTATE_IN_AUTOMATIC_EOI_CLEAR:
      chip.rotateInAutomaticEOI = false;
      break;
    default: // OCW2.NO_OPERATION
      break;
  }
};

const writeOCW3 = (chip: Pic8259State, byte: number): void => {
  if ((byte & OCW3.ESMM) !== 0) chip.specialMask = (byte & OCW3.SMM) !== 0;
  if ((byte & OCW3.P) !== 0) chip.poll = true;
  else if ((byte & OCW3.RR) !== 0) chip.readISR = (byte & OCW3.RIS) !== 0;
};

/** A write to A0 = 1: the ICW that is due, or OCW1, the mask. */
const writeA0High = (chip: Pic8259State, byte: number): void => {
  const afterICW3 = (chip.ICW1 & ICW1.IC4) !== 0 ? 4 : 0;
  switch (chip.expectedICW) {
    case 0:
      chip.IMR = byte;
      break;
    case 2:
      chip.ICW2 = byte & ICW2_VECTOR;
      chip.expectedICW = (chip.ICW1 & ICW1.SNGL) !== 0 ? afterICW3 : 3;
      break;
    case 3: // Where the slave is wired is a fact of the board.
      chip.expectedICW = afterICW3;
      break;
    case 4:
      chip.ICW4 = byte;
      chip.expectedICW = 0;
      break;
  }
};

const writeChip = (chip: Pic8259State, offset: number, byte: number): void => {
  if (offset === 1) writeA0High(chip, byte);
  else if (offset !== 0) return;
  else if ((byte & ICW1.ICW1) !== 0) initialize(chip, byte);
  else if ((byte & OCW3.OCW3) !== 0) writeOCW3(chip, byte);
  else writeOCW2(chip, byte);
};

const readChip = (chip: Pic8259State, offset: number, cascade?: number): number => {
  if (offset > 1) return 0xff;
  if (chip.poll) {
    chip.poll = false;
    const level = requestedLevel(chip, cascade);
    if (level === undefined) return 0;
    service(chip, level);
    return POLL_INTERRUPT | level;
  }
  if (offset === 1) return chip.IMR;
  return chip.readISR ? chip.ISR : requests(chip);
};

/**
 * The two cascaded 8259As of a PC: sixteen interrupt lines in (`line`), one line to the processor out (INTR), and the
 * processor's interrupt acknowledge (`acknowledge`).
 */
export class Pic8259Pair {
  state: Pic8259PairState = { master: powerOn(), slave: powerOn() };
  /** Ports 0x20-0x21. */
  readonly master: RegisterBlock;
  /** Ports 0xA0-0xA1. */
  readonly slave: RegisterBlock;
  /** Ports 0x4D0-0x4D1: ELCR1 and ELCR2, a bit set makes the input level triggered. */
  readonly edgeLevelControl: RegisterBlock;
  readonly #intr: InterruptLine;

  constructor(intr: InterruptLine) {
    this.#intr = intr;
    this.master = this.#ports(
      (offset) => readChip(this.state.master, offset, CASCADE),
      (offset, byte) => writeChip(this.state.master, offset, byte),
    );
    this.slave = this.#ports(
      (offset) => readChip(this.state.slave, offset),
      (offset, byte) => writeChip(this.state.slave, offset, byte),
    );
    this.edgeLevelControl = this.#ports(
      (offset) => (offset === 0 ? this.state.master.ELCR : offset === 1 ? this.state.slave.ELCR : 0xff),
      (offset, byte) => {
        if (offset === 0) this.state.master.ELCR = byte & MASTER_LEVEL_CAPABLE;
        else if (offset === 1) this.state.slave.ELCR = byte & SLAVE_LEVEL_CAPABLE;
      },
    );
  }

  /** The machine's reset: everything but the levels on the input pins, which belong to their drivers. */
  reset(): void {
    const { master, slave } = this.state;
    this.state = {
      master: { ...powerOn(), inputs: master.inputs },
      slave: { ...powerOn(), inputs: slave.inputs },
    };
    this.driveOutputs();
  }

  /** Input IRQ0-IRQ15. IRQ2 is the cascade: no device can drive it. */
  line(irq: number): InterruptLine {
    return {
      set: (asserted) => {
        const { master, slave } = this.state;
        if (irq === CASCADE) return;
        setInput(irq < 8 ? master : slave, irq & 7, asserted);
        this.driveOutputs();
      },
    };
  }

  /** What INTR shows: an unmasked request that the priorities let through. */
  get requesting(): boolean {
    return requestedLevel(this.state.master, CASCADE) !== undefined;
  }

  /** The processor's interrupt acknowledge cycle: the vector, 0-255. With no request left it is a spurious IRQ7 or IRQ15. */
  acknowledge(): number {
    const { master, slave } = this.state;
    const level = requestedLevel(master, CASCADE);
    if (level === undefined) return master.ICW2 | DEFAULT_IR;
    service(master, level);
    let vector = master.ICW2 | level;
    if (level === CASCADE) {
      const slaveLevel = requestedLevel(slave);
      if (slaveLevel !== undefined) service(slave, slaveLevel);
      vector = slave.ICW2 | (slaveLevel ?? DEFAULT_IR);
      // INT falls during the acknowledge, so that a further request of the slave is a new edge for the master.
      setInput(master, CASCADE, false);
    }
    this.driveOutputs();
    return vector;
  }

  /** Drives INTR from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    const { master, slave } = this.state;
    setInput(master, CASCADE, requestedLevel(slave) !== undefined);
    this.#intr.set(this.requesting);
  }

  #ports(read: (offset: number) => number, write: (offset: number, byte: number) => void): RegisterBlock {
    return byteWide({
      read: (offset) => {
        const value = read(offset);
        this.driveOutputs();
        return value;
      },
      write: (offset, byte) => {
        write(offset, byte);
        this.driveOutputs();
      },
    });
  }
}
