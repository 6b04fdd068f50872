import type { Timer } from "../bus/clock.ts";
import type { PortBus } from "../bus/port-io.ts";
import type { CpuModel } from "../cpu/core.ts";
import type { ExecutionEngine } from "../cpu/execution-engine.ts";
import { LogicalProcessor } from "../cpu/logical-processor.ts";
import { powerOn } from "../cpu/reset.ts";
import type { ApicBus } from "../devices/apic-bus.ts";
import { LocalApic } from "../devices/local-apic.ts";
import { VtX } from "../vmx/vt-x.ts";
import { memoryMap } from "./board-map.ts";
import { setMemoryTypes } from "./board-setup.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** Virtual time that RDTSC takes, beyond its instruction: delay loops read it again and again. */
const timeStampReadNs = 20;

/** The board around a processor. */
export interface SocketSurroundings {
  readonly engine: ExecutionEngine;
  readonly model: CpuModel;
  readonly clock: VirtualClock;
  readonly apicBus: ApicBus;
  readonly portBus: PortBus;
  /** The INTA cycle to the 8259s; returns their vector. */
  externalVector(): number;
  random(): bigint;
  /** Instructions have retired. */
  retire(count: number): void;
  /** Virtual time goes on, and the turn ends, because the next event is now nearer. */
  spendTime(ns: number): void;
  /** Virtual time that an access to a device's register takes goes on. */
  deviceAccess(): void;
  /** End the running processor's turn at the next instruction boundary. */
  interruptRun(): void;
  reportUnimplemented(what: string): void;
}

/** A processor on the board, with its local APIC, and what the machine knows of it while another one runs. */
export class ProcessorSocket {
  readonly processor: LogicalProcessor;
  readonly apic: LocalApic;
  /** Where this processor sees its local APIC's page, when it does. */
  apicPage: number | undefined = memoryMap.localApic;
  /** The processor would do nothing if run. Refreshed after each turn. */
  waiting = false;
  readonly #around: SocketSurroundings;
  /** The line that MWAIT waits for, and what it held when the wait began. */
  #monitored: { readonly line: Uint8Array; readonly before: Uint8Array } | undefined;
  #lineChanged = false;
  /** Ends the wait of a guest whose preemption timer runs. */
  readonly #guestTimer: Timer;

  constructor(index: number, around: SocketSurroundings) {
    this.#around = around;
    const bootstrap = index === 0;
    this.apic = this.#localApic(index, bootstrap);
    this.processor = this.#logicalProcessor(index);
    if (around.model.has("VMX")) this.processor.vmx = new VtX(this.processor, around.engine);
    this.#guestTimer = around.clock.timer(`VMX-preemption timer of processor ${index}`, () => {
      this.waiting = false;
    });
    this.processor.select();
    powerOn(this.processor, bootstrap);
    setMemoryTypes(this.processor);
  }

  #localApic(id: number, bootstrap: boolean): LocalApic {
    const { clock, apicBus, model, externalVector } = this.#around;
    return new LocalApic({
      id,
      bootstrap,
      clock,
      bus: apicBus,
      pins: {
        interruptRequest: () => {
          this.waiting = false;
        },
        nmi: () => {
          this.processor.nmiPending = true;
          this.#signal();
        },
        init: () => {
          this.processor.initPending = true;
          // A start-up IPI before it would have been followed by its reset.
          this.processor.sipiVector = undefined;
          this.#signal();
        },
        startup: (vector) => {
          // A second one finds the processor started.
          this.processor.sipiVector ??= vector;
          this.#signal();
        },
        smi: () => {},
        apicPage: (address) => {
          this.apicPage = address;
        },
      },
      externalVector,
      tsc: () => this.#timeStampCounter(),
      nsUntilTsc: (tsc) => Math.max(0, Number(tsc - this.#timeStampCounter())),
      physicalAddressBits: model.physicalAddressBits,
    });
  }

  #logicalProcessor(index: number): LogicalProcessor {
    const { engine, model, clock, portBus } = this.#around;
    const { deviceAccess, spendTime, random, retire, reportUnimplemented } = this.#around;
    return new LogicalProcessor(index, engine, {
      ports: {
        read: (port, size) => {
          deviceAccess();
          return portBus.read(port, size);
        },
        write: (port, value, size) => {
          deviceAccess();
          portBus.write(port, value, size);
        },
      },
      apic: this.apic,
      model,
      timeStamp: () => {
        const now = this.#timeStamp();
        spendTime(timeStampReadNs);
        return now;
      },
      clockNs: () => clock.nowNs,
      random,
      retire,
      elapse: (ns) => {
        clock.nowNs += ns;
      },
      reportUnimplemented,
    });
  }

  /** The virtual time-stamp counter: 1 GHz. */
  #timeStamp(): bigint {
    return BigInt(this.#around.clock.nowNs);
  }

  /** What RDTSC would give outside VMX non-root operation. */
  #timeStampCounter(): bigint {
    return BigInt.asUintN(64, this.#timeStamp() + this.processor.timeStampOffset);
  }

  /** A signal is latched: the processor shall look at it between two instructions. */
  #signal(): void {
    this.waiting = false;
    this.#around.interruptRun();
  }

  /** Another processor has run: one that waits by MWAIT goes on when the line has changed. */
  watchLine(): void {
    const monitored = this.#monitored;
    if (monitored === undefined || monitored.line.every((byte, n) => byte === monitored.before[n])) return;
    this.#monitored = undefined;
    this.#lineChanged = true;
    this.waiting = false;
  }

  /** Make this processor the running one, and serve what arrived since its last turn. */
  beginTurn(): void {
    const { processor } = this;
    processor.select();
    if (this.#lineChanged) processor.endMonitor();
    this.#lineChanged = false;
  }

  endTurn(): void {
    const { processor } = this;
    this.waiting = !processor.runnable;
    const wakeNs = this.waiting
      ? (processor.vmx?.wakeNs ?? Number.POSITIVE_INFINITY)
      : Number.POSITIVE_INFINITY;
    if (wakeNs < Number.POSITIVE_INFINITY) this.#guestTimer.arm(wakeNs);
    else if (this.#guestTimer.deadlineNs !== undefined) this.#guestTimer.disarm();
    const line = processor.monitoredLine();
    this.#monitored = line && { line, before: line.slice() };
  }
}
