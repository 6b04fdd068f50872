import { machineCode } from "../../asm/index.ts";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { HostKernel } from "../host/host-kernel.ts";
import { UserContext } from "./context.ts";
import type { Core } from "./core.ts";
import { Akaros, type KernelEntry } from "./kernel.ts";
import { type AkarosMode, bugsOf, context, contextType, frameRegisters, hw, pageBytes, sw, syscall, userAddress, vcpd, vm } from "./layout.ts"; // biome-ignore format: one list
import type { Process, UserCore, UserLevel } from "./process.ts";
import { userSelector } from "./trap-table.ts";

/** A kernel with one process whose user level does as a test says. */

const MIB = 0x10_0000;
/** Where tests put programs of the process, a guest's code and stack, its page tables. */
export const program = 0x40_0000;
export const guestCode = 0x1000;
export const guestStack = 0x8000;
export const guestTables = 0x1_0000;
export const guestBytes = 2 * MIB;

export interface Seen {
  readonly entry: KernelEntry;
  readonly core: number;
  readonly frame: number;
  readonly rsp: bigint;
  readonly rbp: bigint;
}

export class Bench implements UserLevel {
  readonly akaros: Akaros;
  readonly process: Process;
  readonly seen: Seen[] = [];
  /** What user level has been called for, and what it does then. */
  readonly calls: string[] = [];
  onVcoreEntry: (core: UserCore) => void = (core) => this.halt(core);
  onReturned: (core: UserCore) => void = (core) => this.halt(core);
  pages: { descriptor: number; vapic: number; access: number } | undefined;

  constructor(
    options: {
      mode?: AkarosMode;
      processors?: number;
      minus?: readonly string[];
      changeStubs?: (text: string) => string;
    } = {},
  ) {
    const { mode = "fixed", processors = 1, minus = [], changeStubs } = options;
    const model = cpuModel("default", { processors, minus })!;
    this.akaros = new Akaros(new HostKernel({ memoryBytes: 32 * MIB, processors, model }), {
      bugs: bugsOf(mode),
      ...(changeStubs === undefined ? {} : { changeStubs }),
    });
    this.akaros.observer = (core, entry) => {
      const { state } = core.cpu;
      const frame = state.low32(entry === "syscall" ? "RDX" : "RDI");
      this.seen.push({ entry, core: core.index, frame, rsp: state.RSP, rbp: state.RBP });
    };
    this.process = this.akaros.createProcess(this);
    const host = this.akaros.allocateFrames(pageBytes);
    this.process.memory.mmap({ start: program, length: pageBytes, host });
    this.akaros.grant(this.core, this.process);
  }

  get core(): Core {
    return this.akaros.cores[0]!;
  }
  get memory() {
    return this.akaros.kernel.memory;
  }

  vcoreEntry(core: UserCore): void {
    this.calls.push(`vcore ${core.index}`);
    this.onVcoreEntry(core);
  }
  returned(core: UserCore): void {
    this.calls.push(`returned ${core.index}`);
    this.onReturned(core);
  }

  /** Make a system call from user level. */
  call(core: UserCore, number: number, ...args: number[]): void {
    const at = this.process.vcpd(core.index) + vcpd.syscall;
    this.memory.write(at, new Uint8Array(syscall.bytes));
    this.memory.write32(at, number);
    for (const [n, value] of args.entries()) this.memory.writeNumber(at + syscall.arguments + 8 * n, value);
    const { state } = core.cpu;
    state.RDI = BigInt(this.process.vcpdAddress(core.index) + vcpd.syscall);
    state.RSI = 1n;
    state.RIP = BigInt(this.akaros.userSymbols.get("callKernel")!);
  }
  result(core: UserCore): { error: number; result: number } {
    const at = this.process.vcpd(core.index) + vcpd.syscall;
    return { error: this.memory.read32(at + syscall.error), result: this.memory.read32(at + syscall.result) };
  }
  halt(core: UserCore): void {
    this.call(core, 39);
  }

  /** Assembly into the page of programs. */
  write(text: string, symbols: Readonly<Record<string, number>> = {}, at = program): void {
    const { bytes } = { bytes: machineCode(text, { codeSize: 64, origin: at, symbols }) };
    this.memory.write(this.process.memory.physical(at), bytes);
  }

  /** The core gets a hardware context: registers by name, the rest 0. */
  setHw(core: Core, registers: Readonly<Record<string, bigint>>): void {
    const own = core.context;
    this.akaros.finalize(core);
    this.memory.write(own.at, new Uint8Array(context.bytes));
    this.memory.write32(own.at, contextType.HW);
    for (const [name, value] of Object.entries(registers))
      this.memory.write64(own.frame + hw[name as keyof typeof hw], value);
    own.secure(this.akaros.bugs);
    this.process.setNotificationsDisabled(core.index, false);
    core.halted = false;
  }

  step(core = this.core, budget?: number): string | undefined {
    return this.akaros.step(core, budget);
  }
  /** Let the core go on from where it is; what the C part is called for is done. */
  resume(core = this.core): void {
    const { cpu } = core;
    this.akaros.kernel.sliceLeft = 10_000;
    if (cpu.proceed()) this.akaros.enterC(core);
  }
  /** One instruction at a time, up to an address. */
  proceedTo(rip: bigint, core = this.core): void {
    for (let n = 0; n < 1000 && core.cpu.state.RIP !== rip; n++) core.cpu.processor.run(1);
  }
  /** Until the kernel has been entered that way. */
  until(entry: KernelEntry, core = this.core, most = 100): Seen | undefined {
    for (let n = 0; n < most; n++) {
      const before = this.seen.length;
      if (this.step(core) !== undefined) return undefined;
      const found = this.seen.slice(before).find((one) => one.entry === entry);
      if (found) return found;
    }
    return undefined;
  }

  hw(frame: number, name: keyof typeof hw): bigint {
    return this.memory.read64(frame + hw[name]);
  }
  sw(frame: number, name: keyof typeof sw): bigint {
    return this.memory.read64(frame + sw[name]);
  }
  vm(name: keyof typeof vm, core = this.core): number {
    return this.memory.read32(core.context.frame + vm[name]);
  }
  vm64(name: keyof typeof vm, core = this.core): bigint {
    return this.memory.read64(core.context.frame + vm[name]);
  }
  uthread(core = this.core): UserContext {
    return new UserContext(this.memory, this.process.vcpd(core.index) + vcpd.uthreadContext);
  }

  /** A virtual machine of `count` guest cores, its memory mapped but not present, paging on. The result of the system call. */
  setUpGuest(count = 1): { error: number; result: number } {
    const { akaros, process } = this;
    const { memory } = process;
    if (memory.physical(0) < 0) {
      memory.mmap({ start: 0, length: guestBytes, host: akaros.allocateFrames(guestBytes) });
      memory.mmap({
        start: userAddress.pages,
        length: 8 * 3 * pageBytes,
        host: akaros.allocateFrames(8 * 3 * pageBytes),
      });
      this.#guestPaging();
    }
    const page = (n: number): number => userAddress.pages + n * pageBytes;
    const table = memory.physical(userAddress.contexts + pageBytes);
    for (let id = 0; id < count; id++)
      for (let n = 0; n < 3; n++) this.memory.writeNumber(table + 24 * id + 8 * n, page(3 * id + n));
    this.pages = {
      descriptor: memory.physical(page(0)),
      vapic: memory.physical(page(1)),
      access: memory.physical(page(2)),
    };
    const ask = (core: UserCore): void => this.call(core, 34, count, userAddress.contexts + pageBytes, 1);
    this.onVcoreEntry = ask;
    this.onReturned = ask;
    this.until("syscall");
    this.onVcoreEntry = (core) => this.halt(core);
    this.onReturned = this.onVcoreEntry;
    return this.result(this.core);
  }

  /** 4 GiB in pages of 1 GiB. */
  #guestPaging(): void {
    const at = this.process.memory.physical(guestTables);
    this.memory.write64(at, BigInt(guestTables + pageBytes) | 7n);
    for (let n = 0; n < 4; n++) this.memory.write64(at + pageBytes + 8 * n, (BigInt(n) << 30n) | 0x87n);
  }

  writeGuest(text: string, at = guestCode): void {
    this.write(text, {}, at);
  }

  /** A thread of the guest as user level has it. */
  guestThread(registers: Readonly<Record<string, bigint>> = {}, id = 0, slot = id): number {
    const address = userAddress.contexts + 2 * pageBytes + 0x200 * slot;
    const at = this.process.memory.physical(address);
    this.memory.write(at, new Uint8Array(context.bytes));
    this.memory.write32(at, contextType.VM);
    const frame = at + context.frame;
    const all = {
      rip: BigInt(guestCode),
      rsp: BigInt(guestStack),
      cr3: BigInt(guestTables),
      rflags: 2n,
      ...registers,
    };
    for (const [name, value] of Object.entries(all))
      this.memory.write64(frame + vm[name as keyof typeof vm], value);
    this.memory.write32(frame + vm.guestPcoreId, id);
    return address;
  }

  /** The user-level scheduler of the core pops a context, which then runs. */
  pop(address: number, core = this.core): void {
    this.akaros.finalize(core);
    core.halted = false;
    this.akaros.runVcoreContext(core, this.process);
    this.onVcoreEntry = (on) => {
      this.onVcoreEntry = (again) => this.halt(again);
      this.call(on, 37, address);
    };
    this.until("syscall", core);
  }
}

/** A different value for each register. */
export const distinct = (seed: bigint): Record<(typeof frameRegisters)[number], bigint> =>
  Object.fromEntries(
    frameRegisters.map((name, n) => [name, seed * 0x0101_0101n + BigInt(n + 1) * 0x1_0000_0001n]),
  ) as Record<(typeof frameRegisters)[number], bigint>;
export { userSelector };
