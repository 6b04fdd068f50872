import { VirtualApic, virtualizedRegisters } from "../../arch/virtual-apic.ts";
import { ExitReason, exitReasonName } from "../../arch/vm-exit-reasons.ts";
import { VirtioConsole } from "../../devices/virtio-console.ts";
import { VirtioMmio } from "../../devices/virtio-mmio.ts";
import type { PcConfiguration, PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import type { GuestBoard } from "../host/guest-board.ts";
import type { GuestMemoryMap } from "../host/guest-memory-map.ts";
import { performMmio } from "../host/mmio-instruction.ts";
import { type StringIo, stringIo } from "../host/string-io.ts";
import { GuestThread, hasVirtualRequest } from "./guest-thread.ts";
import type { Akaros } from "./kernel.ts";
import { context, entryFailed, kernelExit, pageBytes, syscall, syscallNumber, trapInject, userAddress, vcpd, vector } from "./layout.ts"; // biome-ignore format: one list
import { type Process, type UserCore, type UserLevel, vmmFlag } from "./process.ts";

const video = { start: 0xa_0000, bytes: 0x2_0000 } as const;
const apicPage = 0xfee0_0000;
/** Of the virtio-mmio console: registers and I/O APIC input, one that no PCI device has. */
export const consoleDevice = { start: 0x1_0000_0000, bytes: 0x1000, input: 5 } as const;
const IA32_TSC_DEADLINE = 0x6e0;
/** Lengths of instructions whose exits the process answers. */
const length = { HLT: 1, MSR: 2, MWAIT: 3, VMCALL: 3, WBINVD: 2 } as const;
const RFLAGS_IF = 0x200n;
const RFLAGS_DF = 0x400n;
const APIC_EOI = 0xb0;
const APIC_ICR_HIGH = 0x310;
const APIC_ICR = 0x300;

export interface VmmSurroundings {
  readonly akaros: Akaros;
  readonly board: GuestBoard;
  readonly memory: GuestMemoryMap;
  readonly configuration: PcConfiguration;
  readonly outputs: PcOutputs;
  /** The process has its memory and its guest core: fill it and say where the guest begins. */
  readonly load: (vmm: Vmm, thread: GuestThread) => void;
  readonly mmioConsole: (bytes: Uint8Array) => void;
  /** The guest's machine has stopped. */
  readonly end: (stop: PcStop) => void;
}

type Call = readonly [number: number, ...args: number[]];

/**
 * The process of a virtual machine: a second-level scheduler with one guest thread and the controller that answers its exits. It
 * is TypeScript that user-mode code calls at its gates; whatever it wants of the kernel is a system call.
 */
export class Vmm implements UserLevel {
  readonly process: Process;
  readonly memory: GuestMemoryMap;
  readonly board: GuestBoard;
  readonly console: VirtioConsole;
  thread: GuestThread | undefined;
  /** The guest's machine has stopped: nothing is scheduled any more. */
  hasEnded = false;
  /** Why the guest was killed. */
  verdict: string | undefined;
  readonly #around: VmmSurroundings;
  readonly #setUp: Generator<Call, void, number>;
  #isSetUp = false;
  #pages = 0;

  constructor(around: VmmSurroundings) {
    this.#around = around;
    const { akaros, board, memory, outputs, mmioConsole } = around;
    this.process = akaros.createProcess(this);
    this.board = board;
    this.memory = memory;
    this.console = new VirtioConsole(mmioConsole);
    const dma = {
      read: (address: number, bytes: number) => memory.readBytes(address, bytes),
      write: (address: number, bytes: Uint8Array) => memory.writeBytes(address, bytes),
    };
    const mmio = new VirtioMmio(this.console, dma, board.chipset.ioApic.pin(consoleDevice.input));
    board.mmio.map(consoleDevice.start, consoleDevice.bytes, mmio, "virtio-mmio console");
    akaros.print = (byte) => outputs.debugcon(byte);
    this.#setUp = this.#main();
  }

  // --- the process: memory, guest core, then the scheduler

  *#main(): Generator<Call, void, number> {
    const { akaros, configuration, load } = this.#around;
    const { memoryBytes } = configuration;
    const { process } = this;
    const calls: readonly Call[] = [
      [syscallNumber.mmap, 0, memoryBytes],
      [syscallNumber.munmap, video.start, video.bytes],
      [syscallNumber.mmap, userAddress.pages, 2 * pageBytes],
      [syscallNumber.mmap, apicPage, pageBytes],
    ];
    for (const call of calls)
      if ((yield call) !== 0) return this.#kill(`the process could not map its memory: ${call.join(" ")}`);
    const { memory } = akaros.kernel;
    const table = userAddress.contexts + pageBytes;
    [userAddress.pages, userAddress.pages + pageBytes, apicPage].forEach((page, n) => {
      memory.writeNumber(process.memory.physical(table) + 8 * n, page);
    });
    this.#pages = process.memory.physical(userAddress.pages);
    if ((yield [syscallNumber.vmmSetup, 1, table, vmmFlag.VMCALL_PRINTF]) !== 1)
      return this.#kill("vmm_setup failed");
    this.memory.add({ guest: 0, host: process.memory.physical(0), length: memoryBytes });
    const address = userAddress.contexts;
    const thread = new GuestThread(memory, address, process.memory.physical(address), 0);
    for (const [first, last] of virtualizedRegisters)
      for (let offset = first; offset <= last; offset += 16) this.#showApicRegister(offset);
    load(this, thread);
    this.thread = thread;
  }

  vcoreEntry(core: UserCore): void {
    const { thread } = this;
    if (thread !== undefined) {
      const { memory } = this.#around.akaros.kernel;
      const from = this.process.vcpd(core.index) + vcpd.uthreadContext;
      for (let at = 0; at < context.bytes; at += 4) memory.write32(thread.at + at, memory.read32(from + at));
      this.#answer(core, thread);
      this.#schedule(core);
    } else this.#advanceMain(core, 0);
  }

  returned(core: UserCore): void {
    const { memory } = this.#around.akaros.kernel;
    if (this.#isSetUp) this.#schedule(core);
    else
      this.#advanceMain(
        core,
        memory.read32(this.process.vcpd(core.index) + vcpd.syscall + syscall.result) | 0,
      );
  }

  #advanceMain(core: UserCore, result: number): void {
    const step = this.#setUp.next(result);
    this.#isSetUp = step.done === true;
    if (step.done) this.#schedule(core);
    else this.#call(core, ...step.value);
  }

  /** Make a system call from user level, when the gate is left. */
  #call(core: UserCore, number: number, ...args: readonly number[]): void {
    const { akaros } = this.#around;
    const { memory } = akaros.kernel;
    const at = this.process.vcpd(core.index) + vcpd.syscall;
    memory.write32(at, number);
    memory.write32(at + syscall.flags, 0);
    for (const [n, value] of args.entries()) memory.writeNumber(at + syscall.arguments + 8 * n, value);
    core.cpu.select();
    const { state } = core.cpu;
    state.RDI = BigInt(this.process.vcpdAddress(core.index) + vcpd.syscall);
    state.RSI = 1n;
    state.RIP = BigInt(akaros.userSymbols.get("callKernel")!);
  }

  #schedule(core: UserCore): void {
    const { thread } = this;
    if (this.hasEnded || thread === undefined) {
      this.#around.akaros.kernel.stopping = true;
      this.#call(core, syscallNumber.destroy, 0);
    } else if (thread.waiting) this.#call(core, syscallNumber.haltCore);
    else {
      this.#injectExternal(thread);
      this.#call(core, syscallNumber.popContext, thread.address);
    }
  }

  /** The guest halts, and an interrupt would wake it. */
  get takesInterrupts(): boolean {
    return this.thread?.waiting === true && (this.thread.get64("rflags") & RFLAGS_IF) !== 0n;
  }

  #kill(says: string): void {
    this.verdict ??= says;
    this.#around.outputs.unimplemented?.(`guest killed: ${says}`);
    this.#around.end({ kind: "triple-fault", processor: 0 });
  }

  // --- interrupts: the local APIC's model takes them from the board, the processor's virtual APIC has them delivered

  /** What is pending in the board's local APIC goes to the guest core. */
  postPending(): void {
    const { akaros } = this.#around;
    const { thread } = this;
    const apic = this.board.apics[0];
    const guestCore = this.process.machine?.guestCores[0];
    if (thread === undefined || apic === undefined || guestCore === undefined) return;
    while (apic.hasInterrupt()) {
      if (apic.externalPending()) {
        thread.externalInterrupt = true;
        break;
      }
      guestCore.post(apic.acknowledge());
    }
    akaros.poke(this.process, 0);
    if (thread.waiting) {
      thread.waiting = false;
      akaros.notify(this.process, 0);
    }
  }

  /** Those of the 8259s do not go through the local APIC: they are injected when the guest can take them. */
  #injectExternal(thread: GuestThread): void {
    const apic = this.board.apics[0]!;
    if (!thread.externalInterrupt || thread.get("trapInject") & trapInject.valid) return;
    if (!apic.externalPending()) thread.externalInterrupt = false;
    else if ((thread.get64("rflags") & RFLAGS_IF) !== 0n && (thread.get("intrinfo1") & 3) === 0) {
      thread.externalInterrupt = false;
      thread.set("trapInject", trapInject.valid | trapInject.externalInterrupt | apic.acknowledge());
    }
  }

  /** Guests read the page without an exit: it shows what the model has. */
  #showApicRegister(offset: number): void {
    if (offset >= VirtualApic.VISR && offset < 0x280) return;
    const value = this.board.apics[0]!.read(offset, 4);
    this.#around.akaros.kernel.memory.write32(this.#pages + pageBytes + offset, value);
  }

  #apicWritten(offset: number): void {
    const apic = this.board.apics[0]!;
    const page = this.#pages + pageBytes;
    const { memory } = this.#around.akaros.kernel;
    if (offset === APIC_ICR) apic.write(APIC_ICR_HIGH, memory.read32(page + APIC_ICR_HIGH), 4);
    apic.write(offset, memory.read32(page + offset), 4);
    if (offset !== APIC_EOI) this.#showApicRegister(offset);
  }

  // --- the controller of the guest thread

  #answer(core: UserCore, thread: GuestThread): void {
    const reason = thread.get("exitReason");
    if (reason & entryFailed) {
      this.#entryFailed(reason & 0xffff, thread.get("exitQual"));
      return;
    }
    switch (reason) {
      case ExitReason.EPT_VIOLATION:
        this.#access(core, thread, Number(thread.get64("guestPa")));
        return;
      case ExitReason.APIC_ACCESS:
        this.#access(core, thread, apicPage + (thread.get("exitQual") & 0xfff));
        return;
      case ExitReason.APIC_WRITE:
        this.#apicWritten(thread.get("exitQual") & 0xfff);
        return;
      case ExitReason.VIRTUALIZED_EOI:
        this.board.apics[0]!.endOfInterrupt();
        return;
      case ExitReason.IO_INSTRUCTION:
        this.#port(core, thread);
        return;
      case ExitReason.RDMSR:
      case ExitReason.WRMSR:
        this.#msr(thread, reason === ExitReason.WRMSR);
        return;
      case ExitReason.HLT:
        thread.advance(length.HLT);
        thread.waiting = !this.#hasInterrupt(thread);
        return;
      case ExitReason.MWAIT:
        thread.advance(length.MWAIT);
        return;
      case ExitReason.WBINVD:
        thread.advance(length.WBINVD);
        return;
      case ExitReason.VMCALL:
        this.#around.outputs.debugcon(thread.get("rdi") & 0xff);
        thread.advance(length.VMCALL);
        return;
      case ExitReason.XSETBV:
      case ExitReason.RDPMC:
      case ExitReason.CR_ACCESS:
        this.#generalProtection(thread);
        return;
      default:
        this.#killAt(
          thread,
          `VM exit ${exitReasonName(reason)}, qualification 0x${thread.get("exitQual").toString(16)}`,
        );
    }
  }

  #entryFailed(reason: number, detail: number): void {
    if (reason === kernelExit.GUEST_IN_USE) this.#kill("its core runs elsewhere, or there is none");
    else if (reason === kernelExit.VMENTER_FAILED)
      this.#kill(`VM entry failed, VM-instruction error ${detail}`);
    else this.#kill(`VM entry failed: ${exitReasonName(reason)}, qualification ${detail}`);
  }

  #killAt(thread: GuestThread, says: string): void {
    this.#kill(`${says}, at RIP 0x${thread.get64("rip").toString(16)}`);
  }

  #hasInterrupt(thread: GuestThread): boolean {
    const guestCore = this.process.machine!.guestCores[0]!;
    const { memory } = this.#around.akaros.kernel;
    return (
      thread.externalInterrupt ||
      guestCore.hasOutstandingNotification ||
      hasVirtualRequest(memory, this.#pages + pageBytes)
    );
  }

  #generalProtection(thread: GuestThread): void {
    thread.set(
      "trapInject",
      trapInject.valid | trapInject.deliverErrorCode | trapInject.exception | vector.GP,
    );
  }

  /** An access to memory that is a device, or nothing: nothing reads as ones. */
  #access(core: UserCore, thread: GuestThread, address: number): void {
    const access = thread.access(this.memory, core.cpu.processor);
    if (access === undefined) {
      this.#killAt(thread, `an access to 0x${address.toString(16)} by an instruction that is not emulated`);
      return;
    }
    const { board } = this;
    const apic = board.apics[0]!;
    const isApic = address - (address % pageBytes) === apicPage;
    const isDone = performMmio(
      access,
      {
        general: (number) => thread.general(number),
        setGeneral: (number, value) => thread.setGeneral(number, value),
        flags: () => thread.get64("rflags"),
        setFlags: (value) => thread.set64("rflags", value),
        read: (at, size) => (isApic ? apic.read(at & 0xfff, size) : board.readMemory(at, size)),
        write: (at, value, size) => {
          if (isApic) apic.write(at & 0xfff, value, size);
          else board.writeMemory(at, value, size);
        },
      },
      address,
    );
    if (isDone) thread.advance(access.length);
  }

  /** Exit qualification: bits 2:0 size - 1, 3 IN, 4 string, 5 REP, 6 immediate, 31:16 port. The context has no length. */
  #port(core: UserCore, thread: GuestThread): void {
    const qualification = thread.get("exitQual");
    const size = ((qualification & 7) + 1) as 1 | 2 | 4;
    const port = qualification >>> 16;
    const string = stringIo(qualification, 0);
    if (string !== undefined) {
      this.#stringElement(core, thread, string);
      return;
    }
    const mask = size === 4 ? 0xffff_ffffn : (1n << BigInt(8 * size)) - 1n;
    const rax = thread.get64("rax");
    if (qualification & 8)
      thread.set64("rax", (size === 4 ? 0n : rax & ~mask) | BigInt(this.board.readPort(port, size)));
    else this.board.writePort(port, Number(rax & mask), size);
    thread.advance(1 + (qualification & 0x40 ? 1 : 0) + (size === 2 ? 1 : 0));
  }

  /**
   * INS and OUTS, one element: then the guest has the instruction again, until its count is 0. The context has the element's linear
   * address; address size and prefix are the instruction's.
   */
  #stringElement(core: UserCore, thread: GuestThread, { isIn, size, port }: StringIo): void {
    const instruction = thread.instruction(this.memory, core.cpu.processor);
    if (instruction === undefined) {
      this.#killAt(thread, `a string instruction on port 0x${port.toString(16)} that is not there any more`);
      return;
    }
    const linear = thread.get64("guestVa");
    const addresses: number[] = [];
    for (let n = 0n; n < size; n++) {
      const found = thread.data(this.memory, linear + n, isIn);
      if ("errorCode" in found) {
        this.#pageFault(thread, linear + n, found.errorCode);
        return;
      }
      addresses.push(found.address);
    }
    const { memory, board } = this;
    if (isIn) {
      const value = board.readPort(port, size);
      for (const [n, address] of addresses.entries())
        memory.writeBytes(address, Uint8Array.of((value >>> (8 * n)) & 0xff));
    } else {
      const byte = (address: number): number => memory.readBytes(address, 1)[0]!;
      board.writePort(
        port,
        addresses.reduce((sum, address, n) => sum + byte(address) * 2 ** (8 * n), 0),
        size,
      );
    }
    const { addressSize, rep, length: bytes } = instruction;
    const down = (thread.get64("rflags") & RFLAGS_DF) !== 0n;
    const change = (name: "rsi" | "rdi" | "rcx", by: number): bigint => {
      const whole = thread.get64(name);
      const part = BigInt.asUintN(addressSize, whole + BigInt(by));
      thread.set64(name, addressSize === 16 ? (whole & ~0xffffn) | part : part);
      return part;
    };
    change(isIn ? "rdi" : "rsi", down ? -size : size);
    if (rep === "none" || change("rcx", -1) === 0n) thread.advance(bytes);
  }

  #pageFault(thread: GuestThread, linear: bigint, errorCode: number): void {
    thread.set64("cr2", linear);
    const error = errorCode << trapInject.errorShift;
    thread.set(
      "trapInject",
      trapInject.valid | trapInject.deliverErrorCode | trapInject.exception | vector.PF | error,
    );
  }

  #msr(thread: GuestThread, isWrite: boolean): void {
    const msr = thread.get("rcx");
    const apic = this.board.apics[0]!;
    const { unimplemented } = this.#around.outputs;
    if (msr !== IA32_TSC_DEADLINE) {
      unimplemented?.(`${isWrite ? "WRMSR" : "RDMSR"} of 0x${msr.toString(16)} in the guest`);
      this.#generalProtection(thread);
      return;
    }
    if (isWrite) apic.writeMsr(msr, (BigInt(thread.get("rdx")) << 32n) | BigInt(thread.get("rax")));
    else {
      const value = apic.readMsr(msr) ?? 0n;
      thread.set64("rax", value & 0xffff_ffffn);
      thread.set64("rdx", value >> 32n);
    }
    thread.advance(length.MSR);
  }
}
