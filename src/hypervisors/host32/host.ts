import { CR0, CR4 } from "../../arch/control-registers.ts";
import { access, segmentType, systemType, TSS32 } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { entry } from "../../arch/paging-entries.ts";
import { assemble } from "../../asm/index.ts";
import type { CpuModel } from "../../cpu/core.ts";
import { Fault } from "../../cpu/fault.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { Access, walkLinear } from "../../cpu/page-walk.ts";
import { Pc } from "../../machine/pc.ts";
import type { PcOutputs } from "../../machine/pc-doors.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import { generalRegisters, offsetOf, segmentRegisters } from "../../state/layout.ts";
import { Callouts } from "../host/callouts.ts";
import { HostApic } from "../host/host-apic.ts";
import { HostMemory } from "../host/host-memory.ts";
import { gdtBytes, idtBytes, linuxGdt, linuxSelector as selector } from "./linux-gdt.ts";

/** The host's own part of the address space begins here: all of RAM below 896 MiB is mapped from this address on. */
export const pageOffset = 0xc000_0000;
/** Vectors of the host: the 8259s' sixteen, the local APIC's. */
export const hostVector = { irq0: 32, serial: 36, timer: 0xef, reschedule: 0xfc, spurious: 0xff } as const;

const largePage = 0x40_0000;
const mappedBytes = 896 * 1024 * 1024;
/** Of a processor's kernel stack. */
export const stackBytes = 0x2000;
const pushesErrorCode = new Set([8, 10, 11, 12, 13, 14, 17]);
const at = Object.fromEntries(
  [...generalRegisters, "RIP", "RFLAGS", "activity"].map((name) => [name, offsetOf(name)]),
) as Readonly<Record<(typeof generalRegisters)[number] | "RIP" | "RFLAGS" | "activity", number>>;
const activity = { active: 0, HLT: 1 } as const;

const { code, readable, writable, accessed } = segmentType;
const flat = (rights: number): bigint => 0x000f_0000_0000_ffffn | (BigInt(rights) << 40n);
const segmentRights = access.P | access.S | access.G | access.DB | accessed;
/** Descriptors of flat segments for a privilege level. */
export const flatCode = (level: number): bigint => flat(segmentRights | code | readable | (level << 5));
export const flatData = (level: number): bigint => flat(segmentRights | writable | (level << 5));
/** The descriptor of a 32-bit TSS that is not busy. */
export const tssDescriptor = (base: number): bigint =>
  BigInt(TSS32.bytes - 1) |
  (BigInt(base & 0xff_ffff) << 16n) |
  (BigInt(access.P | systemType.TSS32) << 40n) |
  (BigInt(base >>> 24) << 56n);
/** A gate's two words. */
export const gate = (
  codeSelector: number,
  offset: number,
  type: number,
  level = 0,
): readonly [number, number] => [
  ((codeSelector << 16) | (offset & 0xffff)) >>> 0,
  ((offset & 0xffff_0000) | ((access.P | (level << 5) | type) << 8)) >>> 0,
];

/** Where machine code hands over to the C part, by HLT: at returnGate when a stub has returned, at trapGate with ESP at a trap's frame. */
const hostSource = `
        bits 32
trapEntries:
${Array.from({ length: 256 }, (_, n) => ` align 16\n ${pushesErrorCode.has(n) ? "" : "push dword 0\n"} push dword ${n}\n jmp trap`).join("\n")}
        align 16
trap:   pushad                          ; no segment registers: an NMI may have found the guest's in them
trapGate:
        hlt
        jmp trapGate
trapDone:
        popad
        add esp, 8
        iretd

returnGate:
        hlt
        jmp returnGate

; Waits for an interrupt: STI holds it back until the processor has halted.
idle:   sti
        hlt
        ret
enableInterrupts:
        sti
        nop
        ret
disableInterrupts:
        cli
        ret
; EAX = 512 bytes at a multiple of 16
saveFpu:
        clts
        fxsave [eax]
        mov ecx, cr0
        or ecx, 8
        mov cr0, ecx
        ret
`;
/** Offsets from ESP at the trap gate. */
export const trapFrame = { vector: 32, errorCode: 36, eip: 40, cs: 44, eflags: 48 } as const;

export interface Placed {
  readonly name: string;
  /** Linear. */
  readonly start: number;
  readonly end: number;
  readonly symbols: ReadonlyMap<string, number>;
}

/** Why a stub is not back: the budget is used up, the host waits for an interrupt, or it has failed. */
export type Unfinished = "slice" | "waiting" | "died";
/** A thread of the host kernel: TypeScript that calls stubs, and yields while they are not back. */
export type Thread<Result> = Generator<Unfinished, Result, void>;

/** What `drive` came to. */
export type Driven<Result> =
  | { readonly kind: "done"; readonly result: Result }
  | { readonly kind: "budget" }
  | { readonly kind: "died" }
  /** Nothing to do before `untilNs` (undefined: at all). */
  | { readonly kind: "idle"; readonly untilNs: number | undefined };

interface Assembled {
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, number>;
}
const assembledCache = new Map<string, Assembled>();
/** Machine code of ours: text that does not assemble is a bug of ours. */
export const machineCodeOf = (text: string, origin: number): Assembled => {
  const key = `${origin}\n${text}`;
  const cached = assembledCache.get(key);
  if (cached) return cached;
  const outcome = assemble(text, { codeSize: 32, origin });
  if (outcome.kind === "errors")
    throw new Error(outcome.errors.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  const symbols = new Map([...outcome.symbols].map(([name, value]) => [name, Number(value)]));
  const made = { bytes: outcome.bytes, symbols };
  assembledCache.set(key, made);
  return made;
};

/** One processor of the host. Addresses are linear. */
export interface HostCpu {
  readonly index: number;
  readonly processor: LogicalProcessor;
  readonly apic: HostApic;
  readonly GDT: number;
  readonly TSS: number;
  /** Where its kernel stack begins, growing down. */
  readonly stackTop: number;
}

export interface HostOptions {
  readonly memoryBytes: number;
  /** RAM below this is the host's own. */
  readonly hostBytes: number;
  readonly processors?: number;
  readonly model: CpuModel;
  readonly seed?: bigint;
  readonly startUnixSeconds?: number;
  readonly unimplemented?: (what: string) => void;
  /** What the host's serial port sends. */
  readonly serial?: (byte: number) => void;
}

/**
 * A 32-bit kernel on a bare PC: paging without PAE, its own part of the address space from 3 GiB on, descriptor tables, stacks and
 * entries for 256 vectors. Its assembly runs on the emulated processor; its C part is the TypeScript around it, which calls stubs
 * and gets control back when they return, and at exceptions and interrupts.
 */
export class Host {
  readonly pc: Pc;
  readonly memory: HostMemory;
  readonly state: CpuState;
  readonly cpus: readonly HostCpu[];
  /** Physical address of the page directory. */
  readonly directory: number;
  /** Linear. */
  readonly IDT: number;
  readonly callouts: Callouts;
  readonly code: Placed[] = [];
  readonly stubs: ReadonlyMap<string, number>;
  readonly startUnixSeconds: number;
  /** The run is to end soon. */
  stopping = false;
  /** Why the host itself has come to its end. */
  died: string | undefined;
  /** Interrupts that its handlers have served, by vector. */
  readonly served = new Uint32Array(256);
  /** Told of every trap before its handler runs: vector, physical address of the frame. */
  onTrap: ((vector: number, frame: number) => void) | undefined;
  /** Runs the processor in place of its own loop, for traces. */
  run: ((processor: LogicalProcessor, budget: number) => number) | undefined;
  readonly #handlers = new Map<number, () => void>();
  readonly #view: DataView;
  readonly #callee = new Uint32Array(5);
  #returnGate: number;
  #trapGate: number;
  #slice = 0;
  #current: HostCpu;

  constructor(options: HostOptions) {
    const { memoryBytes, hostBytes, processors = 1, model, seed = 0n, unimplemented, serial } = options;
    this.startUnixSeconds = options.startUnixSeconds ?? 1_735_689_600;
    const outputs: PcOutputs = {
      serial: (port, byte) => port === 1 && serial?.(byte),
      debugcon() {},
      virtioConsole() {},
      ...(unimplemented === undefined ? {} : { unimplemented }),
    };
    const { startUnixSeconds } = this;
    this.pc = new Pc(
      { memoryBytes, processors, model, seed, startUnixSeconds, disks: [], romBytes: 0 },
      outputs,
    );
    this.memory = new HostMemory(this.pc.guest, hostBytes);
    this.state = this.pc.engine.state;
    this.#view = this.state.view;
    this.directory = this.memory.allocate(4096);
    this.#mapMemory(memoryBytes);
    this.stubs = this.place("host kernel", hostSource);
    this.#returnGate = this.stubs.get("returnGate")!;
    this.#trapGate = this.stubs.get("trapGate")!;
    this.IDT = pageOffset + this.memory.allocate(idtBytes);
    for (let n = 0; n < 256; n++) {
      const [low, high] = gate(
        selector.KERNEL_CS,
        this.stubs.get("trapEntries")! + 16 * n,
        systemType.interruptGate32,
      );
      this.write32(this.IDT + 8 * n, low);
      this.write32(this.IDT + 8 * n + 4, high);
    }
    this.cpus = this.pc.processors.map((processor) => this.#start(processor));
    this.#current = this.cpus[0]!;
    this.#startDevices();
    this.callouts = new Callouts(this.pc.clock, this.cpus[0]!.apic);
    this.onVector(hostVector.timer, () => this.callouts.interrupted());
    this.onVector(hostVector.reschedule, () => {});
  }

  #mapMemory(memoryBytes: number): void {
    const rights = entry.P | entry.RW | entry.A | entry.D | entry.PS;
    for (let at = 0; at < Math.min(memoryBytes, mappedBytes); at += largePage)
      this.memory.write32(this.directory + 4 * ((pageOffset + at) >>> 22), at | rights);
  }

  /** A processor as its boot loader and the kernel's own beginning would have brought it: in its idle loop, interrupts off. */
  #start(processor: LogicalProcessor): HostCpu {
    const { memory, state } = this;
    const GDT = pageOffset + memory.allocate(gdtBytes, 256);
    const TSS = pageOffset + memory.allocate(TSS32.bytes, 128);
    const stackTop = pageOffset + memory.allocate(stackBytes) + stackBytes;
    const put = (number: number, descriptor: bigint): void =>
      memory.write64(GDT - pageOffset + 8 * number, descriptor);
    put(linuxGdt.KERNEL_CS, flatCode(0));
    put(linuxGdt.KERNEL_DS, flatData(0));
    put(linuxGdt.USER_CS, flatCode(3));
    put(linuxGdt.USER_DS, flatData(3));
    put(linuxGdt.TSS, tssDescriptor(TSS) | (BigInt(systemType.busy) << 40n));
    this.write32(TSS + TSS32.ESP0, stackTop);
    this.write32(TSS + TSS32.SS0, selector.KERNEL_DS);
    this.write32(TSS + TSS32.ioMapBase, TSS32.bytes);
    processor.select();
    state.activity = activity.active;
    state.CR0 = CR0.PE | CR0.MP | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.PG;
    state.CR3 = BigInt(this.directory);
    state.CR4 = CR4.PSE | CR4.PGE | CR4.OSFXSR | CR4.OSXMMEXCPT;
    state.IA32_SYSENTER_CS = BigInt(selector.KERNEL_CS);
    state.RFLAGS = RFLAGS.FIXED;
    state.RSP = BigInt(stackTop - 16);
    state.RIP = BigInt(this.#returnGate);
    for (const name of segmentRegisters) {
      state[`${name}.selector`] = name === "CS" ? selector.KERNEL_CS : selector.KERNEL_DS;
      state[`${name}.base`] = 0n;
      state[`${name}.limit`] = 0xffff_ffff;
      state[`${name}.access`] = segmentRights | (name === "CS" ? code | readable : writable);
    }
    state["LDTR.selector"] = 0;
    state["LDTR.access"] = access.unusable;
    state["TR.selector"] = selector.TSS;
    state["TR.base"] = BigInt(TSS);
    state["TR.limit"] = TSS32.bytes - 1;
    state["TR.access"] = access.P | systemType.busyTSS32;
    state["GDTR.base"] = BigInt(GDT);
    state["GDTR.limit"] = gdtBytes - 1;
    state["IDTR.base"] = BigInt(this.IDT);
    state["IDTR.limit"] = idtBytes - 1;
    processor.invalidate({ kind: "all" });
    const apic = new HostApic(processor);
    apic.enable(hostVector.timer, hostVector.spurious);
    return { index: processor.index, processor, apic, GDT, TSS, stackTop };
  }

  /** The 8259s at vectors 32 to 47, all masked but the cascade and the serial port; its receiver interrupts. */
  #startDevices(): void {
    // biome-ignore format: port, byte
    const writes = [
      [0x20, 0x11], [0x21, hostVector.irq0], [0x21, 4], [0x21, 1], [0xa0, 0x11], [0xa1, hostVector.irq0 + 8], [0xa1, 2], [0xa1, 1],
      [0x21, 0xeb], [0xa1, 0xff], [0x3fb, 3], [0x3fa, 7], [0x3fc, 0x0b], [0x3f9, 1],
    ] as const;
    for (const [port, byte] of writes) this.pc.portBus.write(port, byte, 1);
    this.cpus[0]!.processor.select();
  }

  /** Machine code somewhere in the kernel's memory; its labels, linear. */
  place(name: string, text: string): ReadonlyMap<string, number> {
    // The same text at another place may have another length; it is laid out for the place it gets.
    const start = this.memory.allocate(0);
    const { bytes, symbols } = machineCodeOf(text, pageOffset + start);
    this.memory.write(this.memory.allocate(bytes.length), bytes);
    this.code.push({ name, start: pageOffset + start, end: pageOffset + start + bytes.length, symbols });
    return symbols;
  }

  /** Where the kernel sees a physical address, and back. */
  linear(physical: number): number {
    return physical + pageOffset;
  }
  physical(linear: number): number {
    return linear - pageOffset;
  }
  /** Linear address of a stub of the kernel. */
  stub(name: string): number {
    return this.stubs.get(name)!;
  }

  read32(linear: number): number {
    return this.memory.read32(linear - pageOffset);
  }
  write32(linear: number, value: number): void {
    this.memory.write32(linear - pageOffset, value);
  }

  /** What the C part does about an interrupt or exception, in the handler. */
  onVector(vector: number, handler: () => void): void {
    this.#handlers.set(vector, handler);
  }

  /** The processor whose thread runs. */
  get cpu(): HostCpu {
    return this.#current;
  }
  select(cpu: HostCpu): void {
    this.#current = cpu;
    cpu.processor.select();
  }

  get eax(): number {
    return this.#view.getUint32(at.RAX, true);
  }

  #set(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
    this.#view.setUint32(offset + 4, 0, true);
  }

  /** Call a stub, arguments in registers: true when it has returned already, else `rest` waits for that. */
  begin(stub: number, eax = 0, ebx = 0, ecx = 0, edx = 0): boolean {
    const view = this.#view;
    const callee = this.#callee;
    callee[0] = view.getUint32(at.RSP, true);
    const esp = callee[0]! - 4;
    this.write32(esp, this.#returnGate);
    this.#set(at.RSP, esp);
    this.#set(at.RIP, stub);
    this.#set(at.RAX, eax);
    this.#set(at.RBX, ebx);
    this.#set(at.RCX, ecx);
    this.#set(at.RDX, edx);
    callee[1] = ebx;
    callee[2] = view.getUint32(at.RBP, true);
    callee[3] = view.getUint32(at.RSI, true);
    callee[4] = view.getUint32(at.RDI, true);
    return this.#proceed() === undefined;
  }

  /** The part of a thread that waits for a stub: `if (!host.begin(...)) yield* host.rest()`. */
  *rest(): Thread<void> {
    for (let why = this.#unfinished; why !== undefined; why = this.#proceed()) yield why;
  }
  #unfinished: Unfinished | undefined = "slice";

  #proceed(): Unfinished | undefined {
    return (this.#unfinished = this.#goOn());
  }

  #goOn(): Unfinished | undefined {
    const view = this.#view;
    const { clock } = this.pc;
    const { processor } = this.#current;
    processor.select();
    while (this.died === undefined) {
      clock.fireDue();
      if (this.#slice <= 0 || this.stopping) return "slice";
      const next = clock.nextDeadlineNs;
      const budget =
        next === undefined ? this.#slice : Math.min(this.#slice, Math.max(1, next - clock.nowNs));
      this.#slice -= this.run === undefined ? processor.run(budget) : this.run(processor, budget);
      const doing = view.getUint32(at.activity, true);
      if (doing === activity.active) continue;
      if (doing !== activity.HLT) {
        this.died = "the host shut down after a triple fault";
        break;
      }
      const rip = view.getUint32(at.RIP, true);
      if (rip === this.#returnGate + 1) {
        view.setUint32(at.activity, activity.active, true);
        this.#checkCalleeSaved();
        return this.died === undefined ? undefined : "died";
      }
      if (rip === this.#trapGate + 1) {
        view.setUint32(at.activity, activity.active, true);
        this.#trap();
      } else if (!processor.runnable) return "waiting";
    }
    return "died";
  }

  #checkCalleeSaved(): void {
    const [esp, ebx, ebp, esi, edi] = this.#callee;
    const view = this.#view;
    const differs = (offset: number, value: number | undefined): boolean =>
      view.getUint32(offset, true) !== value;
    if (
      differs(at.RSP, esp) ||
      differs(at.RBX, ebx) ||
      differs(at.RBP, ebp) ||
      differs(at.RSI, esi) ||
      differs(at.RDI, edi)
    )
      this.died = "a stub came back with other callee-saved registers than it was called with";
  }

  #trap(): void {
    const frame = this.#view.getUint32(at.RSP, true);
    // An NMI may have found ESP in the Switcher's pages.
    const translation = walkLinear(this.#current.processor, BigInt(frame), Access.READ);
    if (translation instanceof Fault) throw new Error("a trap's frame lies nowhere");
    const physical = translation.address;
    const vector = this.memory.read32(physical + trapFrame.vector);
    this.onTrap?.(vector, physical);
    this.served[vector]!++;
    const handler = this.#handlers.get(vector);
    if (vector < 32 && vector !== 2 && handler === undefined) {
      const hex = (offset: number): string => `0x${this.memory.read32(physical + offset).toString(16)}`;
      this.died = `exception ${vector} in the host kernel at ${hex(trapFrame.eip)}, error code ${hex(trapFrame.errorCode)}`;
      return;
    }
    handler?.();
    if (vector >= hostVector.irq0 + 16 && vector !== hostVector.spurious) this.#current.apic.endOfInterrupt();
    else if (vector >= hostVector.irq0) this.#endOfPicInterrupt(vector - hostVector.irq0);
    this.#current.processor.select();
    this.#set(at.RIP, this.stubs.get("trapDone")!);
  }

  #endOfPicInterrupt(irq: number): void {
    if (irq >= 8) this.pc.portBus.write(0xa0, 0x20, 1);
    this.pc.portBus.write(0x20, 0x20, 1);
  }

  /**
   * Run a thread for at most `maximum` instructions. `warp`: while it waits, let virtual time jump to the next event; otherwise come
   * back with "idle".
   */
  drive<Result>(thread: Thread<Result>, maximum: number, warp: boolean): Driven<Result> {
    this.#slice = maximum;
    for (;;) {
      const step = thread.next();
      if (step.done) return { kind: "done", result: step.value };
      if (step.value === "died") return { kind: "died" };
      if (step.value === "slice") return { kind: "budget" };
      const { clock } = this.pc;
      const next = clock.nextDeadlineNs;
      if (next === undefined || !warp) return { kind: "idle", untilNs: next };
      clock.nowNs = Math.max(clock.nowNs, next);
      this.#slice--;
    }
  }
}
