import type { HostKernel } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { UserContext } from "./context.ts";
import type { GuestCore, LoadingCore } from "./guest-core.ts";
import {
  context,
  contextType,
  hw,
  KERNBASE,
  kernbase,
  kernbaseHigh,
  pageBytes,
  perCpu,
  sw,
  vector,
  vm,
} from "./layout.ts";
import type { Process } from "./process.ts";
import { gdtBytes, gdtWords, linear, tss } from "./trap-table.ts";

const stackBytes = 2 * pageBytes;
const idtLimit = 16 * 256 - 1;
const fullXcr0 = 3n;
/** More than any function of the kernel's assembly takes. */
const callBudget = 100_000;

/** What happened on a core, counted. */
export interface CoreCounters {
  traps: number;
  irqs: number;
  syscalls: number;
  vmExits: number;
  launches: number;
  resumes: number;
}

/** One core as the kernel has it: per-CPU area, stacks, descriptor tables, and whose context it runs. */
export class Core implements LoadingCore {
  readonly cpu: HostProcessor;
  readonly index: number;
  /** Linear addresses. */
  readonly area: bigint;
  readonly stackTop: bigint;
  readonly gdt: bigint;
  readonly tss: bigint;
  /** Physical. */
  readonly areaAt: number;
  /** The context the core runs or will run: in the per-CPU area. Of type none: none. */
  readonly context: UserContext;
  readonly counters: CoreCounters = {
    traps: 0,
    irqs: 0,
    syscalls: 0,
    vmExits: 0,
    launches: 0,
    resumes: 0,
  };
  process: Process | undefined;
  /** Loaded here. */
  guestCore: GuestCore | undefined;
  /** A store to the user gate has come; what it means is looked at when the core has stopped. */
  atUserGate = false;
  /** The process asked to wait for an event. */
  halted = false;
  readonly #kernel: HostKernel;

  constructor(kernel: HostKernel, cpu: HostProcessor) {
    const { memory } = kernel;
    this.#kernel = kernel;
    this.cpu = cpu;
    this.index = cpu.index;
    const stack = (name: string): number => {
      const start = memory.allocate(stackBytes);
      memory.label({
        // Stacks lie one behind the other: an empty one's pointer is where the next begins.
        start: start + 8,
        length: stackBytes - 8,
        name: `${name} of core ${cpu.index}`,
        owner: "host",
        isStack: true,
      });
      return start + stackBytes;
    };
    this.areaAt = memory.allocate(pageBytes);
    this.area = linear(this.areaAt);
    this.stackTop = linear(stack("Akaros kernel stack"));
    // Above the frame of an NMI lies whose core this is.
    const nmiTop = stack("Akaros NMI stack") - 16;
    memory.write64(nmiTop, this.area);
    const gdt = memory.allocate(gdtBytes, 64);
    const tssAt = memory.allocate(0x80, 128);
    this.gdt = linear(gdt);
    this.tss = linear(tssAt);
    gdtWords(this.tss).forEach((word, n) => {
      memory.write64(gdt + 8 * n, word);
    });
    memory.write(tssAt, tss(this.stackTop, linear(nmiTop), linear(stack("Akaros double-fault stack"))));
    memory.write64(this.areaAt + perCpu.stackTop, this.stackTop);
    this.context = new UserContext(memory, this.areaAt + perCpu.actualContext);
    this.#label();
  }

  /** Names for traces: what lies where in a frame depends on which it is. */
  #label(): void {
    const { memory } = this.#kernel;
    const { pc } = this.#kernel;
    const frames = [
      { type: contextType.HW, name: "hw_trapframe", fields: hw, from: "traps", to: "syscallEntry" },
      { type: contextType.SW, name: "sw_trapframe", fields: sw, from: "syscallEntry", to: "popSw" },
      { type: contextType.VM, name: "vm_trapframe", fields: vm, from: "vmExit", to: "popVm" },
    ];
    const top = this.physical(this.stackTop);
    memory.label({
      start: this.context.at, length: context.bytes, name: `the context of core ${this.index}`, owner: "host", isStack: true,
    }); // biome-ignore format: one record
    for (const { type, name, fields, from, to } of frames) {
      const owner = type === contextType.VM ? "guest" : "host";
      const isPushed = (): boolean => {
        const rip = pc.engine.state.low32("RIP");
        return rip > this.#kernel.symbol(from) && rip <= this.#kernel.symbol(to);
      };
      for (const [field, offset] of Object.entries(fields)) {
        if (field === "bytes") continue;
        const stack = `the ${name} on the stack of core ${this.index}: ${field}`;
        const own = `the ${name} of core ${this.index}: ${field}`;
        memory.label({
          start: top - fields.bytes + offset, length: 8, name: stack, owner,
          holds: isPushed,
        }); // biome-ignore format: one record
        memory.label({
          start: this.context.frame + offset, length: 8, name: own, owner, holds: () => this.context.type === type,
        }); // biome-ignore format: one record
      }
    }
  }

  /** Descriptor tables, GS, SYSCALL, local APIC, VMX operation. `lstar`: where SYSCALL goes. */
  boot(lstar: bigint): boolean {
    const { cpu } = this;
    const { memory, IDT } = this.#kernel;
    cpu.linearHigh = kernbaseHigh;
    cpu.select();
    cpu.state.RSP = this.stackTop;
    const pointers = this.areaAt + perCpu.scratch;
    memory.write32(pointers, ((gdtBytes - 1) | (Number(this.gdt & 0xffffn) << 16)) >>> 0);
    memory.write64(pointers + 2, this.gdt);
    memory.write32(pointers + 16, idtLimit);
    memory.write64(pointers + 18, linear(IDT));
    this.call("bootCore", linear(pointers), this.area, lstar);
    this.call("loadXcr0", 0n, fullXcr0);
    cpu.apic.enable(vector.timer, vector.spurious);
    return true;
  }

  /** A function of the kernel's assembly that comes right back; interrupts are off. */
  call(name: string, rdi = 0n, rsi = 0n, rdx = 0n): void {
    const { cpu } = this;
    const kernel = this.#kernel;
    cpu.begin(kernel.symbol(name));
    const { state } = cpu;
    state.RDI = rdi;
    state.RSI = rsi;
    state.RDX = rdx;
    if (!kernel.toReturn(cpu, callBudget))
      throw new Error(`${name} did not return: ${kernel.died?.says ?? cpu.unfinished}`);
  }

  /** NMIs: those that interrupted the host are counted by their entry, which is all that is done for them. */
  get nmis(): number {
    return this.#kernel.memory.read32(this.areaAt + perCpu.nmis);
  }
  countNmi(): void {
    this.#kernel.memory.write32(this.areaAt + perCpu.nmis, this.nmis + 1);
  }

  loadXcr0(value: bigint): void {
    this.call("loadXcr0", 0n, value);
  }

  /** Go on in the kernel's assembly, on an empty stack. */
  enter(name: string, rdi = 0): void {
    this.cpu.goOn(this.#kernel.symbol(name), this.physical(this.stackTop), rdi);
  }

  /** Return from the C part to the assembly that called it. */
  returnFromC(): void {
    const { cpu } = this;
    cpu.select();
    const rsp = cpu.state.low32("RSP");
    cpu.goOn(this.#kernel.memory.read32(rsp), rsp + 8);
  }

  /** Of a linear address of the kernel. */
  physical(address: bigint): number {
    return Number(address - kernbase);
  }
}
export const isKernelAddress = (address: bigint): boolean => address >= BigInt(KERNBASE);
