import { msrs } from "../arch/msrs.ts";
import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import {
  type ApicAgent,
  type ArrivingInterrupt,
  DELIVERY_MODE,
  deliveryModeOf,
  type InterruptMessage,
} from "./apic-bus.ts";
import { isNamedBy } from "./apic-destination.ts";
import { ipiOf } from "./apic-ipi.ts";
import { LocalSources } from "./apic-local-sources.ts";
import { arbitrationPriority, deliverableVector, processorPriority } from "./apic-priorities.ts";
import { ApicRegisterAccess } from "./apic-register-access.ts";
import { ApicTimer } from "./apic-timer.ts";
import type { LocalApicOptions } from "./local-apic-doors.ts";
import {
  APIC_BASE,
  APIC_VERSION,
  type ApicRegister,
  ESR,
  ICR,
  LVT,
  LVT_NAMES,
  type LvtName,
  SHORTHAND,
  SVR,
} from "./local-apic-registers.ts";
import { type ApicMode, apicBaseMode, type LocalApicState, modeOf, powerOn } from "./local-apic-state.ts";
import { clear, has, highest, set } from "./vector-set.ts";

const msrIndex = (name: string): number => msrs.find((row) => row.name === name)!.index;
const IA32_APIC_BASE = msrIndex("IA32_APIC_BASE");
const IA32_TSC_DEADLINE = msrIndex("IA32_TSC_DEADLINE");

/**
 * The local APIC of one logical processor, in xAPIC and x2APIC mode (SDM Vol. 3, "Advanced Programmable Interrupt
 * Controller (APIC)"). As a register block it is the 4 KiB xAPIC page. Pin polarity bits are kept but mean nothing:
 * "asserted" on a LINT pin is asserted.
 */
export class LocalApic implements ApicAgent, RegisterBlock {
  readonly #options: LocalApicOptions;
  readonly #timer: ApicTimer;
  readonly #sources: LocalSources;
  readonly #access: ApicRegisterAccess;
  #registers: Omit<LocalApicState, "timer">;
  /** What INTR was last driven to. */
  #intrCache = false;
  #pageCache: number | undefined;

  readonly lint0: InterruptLine = { set: (asserted) => this.#setLint("LINT0", asserted) };
  readonly lint1: InterruptLine = { set: (asserted) => this.#setLint("LINT1", asserted) };

  constructor(options: LocalApicOptions) {
    this.#options = options;
    this.#registers = powerOn(options.bootstrap);
    this.#timer = new ApicTimer({
      clock: options.clock,
      busHz: options.busHz ?? 1_000_000_000,
      tsc: options.tsc,
      nsUntilTsc: options.nsUntilTsc,
      lvt: () => this.#registers.lvt.LVT_TIMER,
      expired: () => this.#sources.deliver("LVT_TIMER"),
    });
    this.#sources = new LocalSources({
      state: () => this.#registers,
      enabled: () => this.acceptsVectors,
      tscDeadline: options.tscDeadline !== false,
      accept: (message) => this.accept(message),
      timerEntryChanged: (before) => this.#timer.lvtChanged(before),
    });
    this.#access = new ApicRegisterAccess({
      mode: () => this.mode,
      read: (register) => this.#readRegister(register),
      write: (register, value) => this.#writeRegister(register, value),
      readIcrHigh: () => this.#registers.ICR_HIGH,
      writeIcrHigh: (value) => {
        this.#registers.ICR_HIGH = value;
      },
      illegalRegister: () => this.#error(ESR.ILLEGAL_REGISTER),
    });
    options.bus.attach(this);
    this.#drivePage(true);
  }

  get state(): LocalApicState {
    return { ...this.#registers, timer: this.#timer.state };
  }

  set state({ timer, ...registers }: LocalApicState) {
    this.#registers = registers;
    this.#timer.state = timer;
    this.driveOutputs();
  }

  /** Re-derive the timer and all outputs. */
  driveOutputs(): void {
    this.#timer.driveOutputs();
    this.#drivePage(true);
    this.#driveIntr(true);
  }

  timeStampChanged(): void {
    this.#timer.driveOutputs();
  }

  /** Power-up or RESET. Levels on the pins stay. */
  reset(): void {
    const { LINT0, LINT1 } = this.#registers;
    this.#registers = { ...powerOn(this.#options.bootstrap), LINT0, LINT1 };
    this.#timer.reset();
    this.driveOutputs();
  }

  /** INIT: registers as after power-up, but IA32_APIC_BASE (mode and place) and the APIC ID stay. */
  initialize(): void {
    this.#resetRegisters();
    this.#driveIntr();
  }

  /**
   * What firmware does for a kernel that still uses the 8259: software-enable, LINT0 = ExtINT, LINT1 = NMI
   * (MultiProcessor Specification 1.4, "Virtual Wire Mode").
   */
  virtualWire(): void {
    const s = this.#registers;
    s.SVR = SVR.ENABLE | SVR.VECTOR;
    s.lvt.LVT_LINT0 = DELIVERY_MODE.EXTINT << LVT.DELIVERY_MODE_SHIFT;
    s.lvt.LVT_LINT1 = DELIVERY_MODE.NMI << LVT.DELIVERY_MODE_SHIFT;
    this.#driveIntr();
  }

  // --- the processor's side

  /** IA32_APIC_BASE.BSP. */
  get bootstrap(): boolean {
    return (this.#registers.apicBase & APIC_BASE.BSP) !== 0;
  }

  get mode(): ApicMode {
    return modeOf(this.#registers.apicBase) as ApicMode;
  }

  /** The xAPIC page's address, when there is one. */
  get page(): number | undefined {
    const { apicBase } = this.#registers;
    return this.mode === "xAPIC" ? apicBase - (apicBase % 4096) : undefined;
  }

  /** CR8 = TPR bits 7:4 (SDM Vol. 3, "Interaction of Task Priorities between CR8 and APIC"). */
  get taskPriorityClass(): number {
    return this.#registers.TPR >>> 4;
  }

  set taskPriorityClass(value: number) {
    this.#registers.TPR = (value & 0xf) << 4;
    this.#driveIntr();
  }

  /** The processor priority register. */
  get PPR(): number {
    return processorPriority(this.#registers);
  }

  /** The highest vector whose priority class is above the processor's; none while software-disabled. */
  pendingVector(): number | undefined {
    return this.acceptsVectors ? deliverableVector(this.#registers) : undefined;
  }

  /** An interrupt of the external (8259) controller waits: through LINT0, or by an ExtINT message. */
  externalPending(): boolean {
    const s = this.#registers;
    if (this.mode === "disabled") return s.LINT0;
    const { LVT_LINT0 } = s.lvt;
    const passes = (LVT_LINT0 & LVT.MASKED) === 0 && deliveryModeOf(LVT_LINT0) === DELIVERY_MODE.EXTINT;
    return s.extInt || (s.LINT0 && passes);
  }

  /** INTR: whether `acknowledge` would find something. Asked between any two instructions: what INTR was last driven to. */
  hasInterrupt(): boolean {
    return this.#intrCache;
  }

  /** The processor takes the interrupt: its vector. ExtINT comes first; a request that has vanished gives the spurious vector. */
  acknowledge(): number {
    const s = this.#registers;
    if (this.externalPending()) {
      s.extInt = false;
      const vector = this.#options.externalVector();
      this.#driveIntr();
      return vector;
    }
    const vector = this.pendingVector();
    if (vector === undefined) return s.SVR & SVR.VECTOR;
    clear(s.IRR, vector);
    set(s.ISR, vector);
    this.#driveIntr();
    return vector;
  }

  /** A local source asks for its LVT interrupt. */
  raise(source: "CMCI" | "THERMAL" | "PERFMON"): void {
    this.#sources.deliver(`LVT_${source}`);
  }

  // --- the xAPIC page

  read(offset: number, size: 1 | 2 | 4): number {
    return this.#access.read(offset, size);
  }

  write(offset: number, value: number, size: 1 | 2 | 4): void {
    this.#access.write(offset, value, size);
  }

  // --- MSRs

  /** IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC MSRs 0x800-0x83F; undefined means #GP. */
  readMsr(index: number): bigint | undefined {
    if (index === IA32_APIC_BASE) return BigInt(this.#registers.apicBase);
    if (index === IA32_TSC_DEADLINE)
      return this.#options.tscDeadline === false ? undefined : this.#timer.state.tscDeadline;
    return this.#access.readMsr(index);
  }

  /** The same for WRMSR; false means #GP, and nothing has changed. */
  writeMsr(index: number, value: bigint): boolean {
    if (index === IA32_APIC_BASE) return this.#writeApicBase(value);
    if (index === IA32_TSC_DEADLINE) {
      if (this.#options.tscDeadline === false) return false;
      this.#timer.writeTscDeadline(value);
      return true;
    }
    return this.#access.writeMsr(index, value);
  }

  #writeApicBase(value: bigint): boolean {
    const before = this.mode;
    const after = apicBaseMode(value, before, this.#options);
    if (after === undefined) return false;
    this.#registers.apicBase = Number(value);
    if (after === "disabled" && before !== "disabled") this.#resetRegisters();
    if (after === "x2APIC" && before !== "x2APIC") this.#registers.ICR_HIGH = 0;
    this.#drivePage();
    this.#driveIntr();
    return true;
  }

  #resetRegisters(): void {
    const { apicBase, LINT0, LINT1 } = this.#registers;
    this.#registers = { ...powerOn(false), apicBase, LINT0, LINT1 };
    this.#timer.reset();
  }

  // --- registers, the same for both modes

  #readRegister({ name, offset }: ApicRegister): number {
    const s = this.#registers;
    if (offset >= 0x100 && offset < 0x280) {
      const word = (offset >>> 4) & 7;
      return (offset < 0x180 ? s.ISR : offset < 0x200 ? s.TMR : s.IRR)[word]!;
    }
    switch (name) {
      case "ID":
        return this.mode === "x2APIC" ? this.#options.id : ((this.#options.id & 0xff) << 24) >>> 0;
      case "VERSION":
        return APIC_VERSION;
      case "APR":
        return this.arbitrationPriority;
      case "PPR":
        return this.PPR;
      case "LDR":
        return this.#LDR;
      case "INITIAL_COUNT":
        return this.#timer.state.initialCount;
      case "CURRENT_COUNT":
        return this.#timer.currentCount;
      case "DCR":
        return this.#timer.state.DCR;
      case "RRD": // remote reads ended with the P6 family
        return 0;
      case "DFR":
        return (s.DFR | 0x0fff_ffff) >>> 0;
      case "TPR":
      case "SVR":
      case "ESR":
      case "ICR":
      case "ICR_HIGH":
        return s[name];
      default:
        return s.lvt[name as LvtName];
    }
  }

  /** `value` has only writable bits. */
  #writeRegister({ name }: ApicRegister, value: number): void {
    const s = this.#registers;
    switch (name) {
      case "EOI":
        this.endOfInterrupt();
        return;
      case "ESR":
        s.ESR = s.errors;
        s.errors = 0;
        return;
      case "SVR":
        s.SVR = value;
        if (!this.acceptsVectors)
          for (const entry of LVT_NAMES) this.#sources.writeEntry(entry, s.lvt[entry]);
        break;
      case "ICR":
        s.ICR = value;
        if (this.mode === "x2APIC") this.#sendIpi(value, s.ICR_HIGH, 32);
        else this.#sendIpi(value, s.ICR_HIGH >>> 24, 8);
        return;
      case "SELF_IPI":
        this.#sendIpi((SHORTHAND.SELF << ICR.SHORTHAND_SHIFT) | value, 0, 32);
        return;
      case "INITIAL_COUNT":
        this.#timer.writeInitialCount(value);
        return;
      case "DCR":
        this.#timer.writeDCR(value);
        return;
      case "TPR":
      case "LDR":
      case "DFR":
      case "ICR_HIGH":
        s[name] = value;
        break;
      default:
        this.#sources.writeEntry(name as LvtName, value);
    }
    this.#driveIntr();
  }

  // --- addressing and arbitration

  get #LDR(): number {
    const { id } = this.#options;
    return this.mode === "x2APIC" ? (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0 : this.#registers.LDR;
  }

  isDestinationOf(message: InterruptMessage): boolean {
    const { mode } = this;
    if (mode === "disabled") return false;
    return isNamedBy(message, { mode, id: this.#options.id, LDR: this.#LDR, DFR: this.#registers.DFR });
  }

  get acceptsVectors(): boolean {
    return this.mode !== "disabled" && (this.#registers.SVR & SVR.ENABLE) !== 0;
  }

  get arbitrationPriority(): number {
    return arbitrationPriority(this.#registers);
  }

  #sendIpi(low: number, destination: number, destinationBits: 8 | 32): void {
    const ipi = ipiOf(low, destination, destinationBits);
    const { bus } = this.#options;
    switch (ipi.to) {
      case "nobody":
        return;
      case "illegal vector":
        this.#error(ESR.SEND_ILLEGAL_VECTOR);
        return;
      case "destination":
        bus.deliver(ipi.message);
        return;
      case "self":
        this.accept(ipi.message);
        return;
      default:
        bus.broadcast(ipi.message, ipi.to === "others" ? this : undefined);
    }
  }

  // --- accepting interrupts

  accept({ deliveryMode, vector, levelTriggered }: ArrivingInterrupt): boolean {
    const { pins } = this.#options;
    switch (deliveryMode) {
      case DELIVERY_MODE.FIXED:
      case DELIVERY_MODE.LOWEST_PRIORITY:
        return this.#acceptVector(vector, levelTriggered);
      case DELIVERY_MODE.SMI:
        pins.smi();
        return true;
      case DELIVERY_MODE.NMI:
        pins.nmi();
        return true;
      case DELIVERY_MODE.INIT:
        pins.init();
        return true;
      case DELIVERY_MODE.STARTUP:
        pins.startup(vector);
        return true;
      case DELIVERY_MODE.EXTINT:
        this.#registers.extInt = true;
        this.#driveIntr();
        return true;
      default:
        return false;
    }
  }

  #acceptVector(vector: number, levelTriggered: boolean): boolean {
    if (!this.acceptsVectors) return false;
    if (vector < 16) {
      this.#error(ESR.RECEIVED_ILLEGAL_VECTOR);
      return true;
    }
    const { IRR, TMR } = this.#registers;
    set(IRR, vector);
    (levelTriggered ? set : clear)(TMR, vector);
    this.#driveIntr();
    return true;
  }

  endOfInterrupt(): void {
    const s = this.#registers;
    const vector = highest(s.ISR);
    if (vector === 0) return;
    clear(s.ISR, vector);
    if (has(s.TMR, vector)) {
      this.#sources.endOfInterrupt(vector);
      if ((s.SVR & SVR.SUPPRESS_EOI_BROADCAST) === 0) this.#options.bus.endOfInterrupt(vector);
    }
    this.#driveIntr();
  }

  // --- local sources

  #setLint(pin: "LINT0" | "LINT1", asserted: boolean): void {
    const s = this.#registers;
    const rising = asserted && !s[pin];
    s[pin] = asserted;
    if (this.mode === "disabled") {
      // The pins are INTR and NMI, as on a processor without a local APIC.
      if (pin === "LINT1" && rising) this.#options.pins.nmi();
    } else this.#sources.pinChanged(pin, rising);
    this.#driveIntr();
  }

  /** The error interrupt is armed again by a write to ESR. */
  #error(bit: number): void {
    const s = this.#registers;
    const armed = s.errors === 0;
    s.errors |= bit;
    if (armed) this.#sources.deliver("LVT_ERROR");
  }

  // --- outputs

  #driveIntr(force = false): void {
    const pending = this.externalPending() || this.pendingVector() !== undefined;
    if (pending === this.#intrCache && !force) return;
    this.#intrCache = pending;
    this.#options.pins.interruptRequest(pending);
  }

  #drivePage(force = false): void {
    const { page } = this;
    if (page === this.#pageCache && !force) return;
    this.#pageCache = page;
    this.#options.pins.apicPage(page);
  }
}
