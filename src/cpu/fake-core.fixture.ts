import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import { decode } from "../isa/decode.ts";
import type { DecodeMode, Instruction } from "../isa/instruction.ts";
import { CpuState } from "../state/cpu-state.ts";
import { generalRegisters, type SegmentRegister, stateBytes, u32Fields, u64Fields } from "../state/layout.ts";
import {
  type Core,
  type CpuModel,
  Fault,
  type Invalidation,
  type LocalApicSocket,
  type PhysicalBus,
  type PortSpace,
} from "./core.ts";
import { cpuModel, type ModelOptions } from "./cpu-model.ts";
import { codeSize, isRealLike, stackSize } from "./mode.ts";
import { procedures } from "./procedures.ts";
import { powerOn } from "./reset.ts";
import { setSegment } from "./segmentation.ts";
import type { VmxSocket } from "./vmx-socket.ts";

/** A processor with 4 MiB of plain memory and nothing else: for tests of procedures. */
export class FakeCore implements Core {
  readonly state = new CpuState(new ArrayBuffer(stateBytes));
  readonly memory = new DataView(new ArrayBuffer(4 << 20));
  readonly model: CpuModel;
  readonly index = 0;
  midRepeat = false;
  vmx: VmxSocket | undefined = undefined;
  nmiPending = false;
  initPending = false;
  sipiVector: number | undefined = undefined;
  readonly invalidations: Invalidation[] = [];
  readonly unimplemented: string[] = [];
  readonly portLog: string[] = [];
  /** What port reads give. */
  portValue = 0;
  ticks = 0n;
  /** So often the local APIC was told that the time-stamp counter was written. */
  timeStampChanges = 0;
  /** Writes to memory since the last clear, by address. */
  readonly written: number[] = [];

  constructor(model = "default", options: ModelOptions = {}) {
    this.model = cpuModel(model, options)!;
    powerOn(this, true);
    this.invalidations.length = 0;
  }

  readonly physical: PhysicalBus = {
    read: (address, size) => {
      if (address + size > this.memory.byteLength)
        return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
      if (size === 1) return this.memory.getUint8(address);
      return size === 2 ? this.memory.getUint16(address, true) : this.memory.getUint32(address, true);
    },
    write: (address, value, size) => {
      this.written.push(address);
      if (address + size > this.memory.byteLength) return;
      if (size === 1) this.memory.setUint8(address, value);
      else if (size === 2) this.memory.setUint16(address, value, true);
      else this.memory.setUint32(address, value, true);
    },
    isRam: (address) => address < this.memory.byteLength,
    view: this.memory,
    inPlace: (address) => (address < this.memory.byteLength ? address : -1),
  };

  readonly ports: PortSpace = {
    read: (port, size) => {
      this.portLog.push(`in ${port.toString(16)}.${size}`);
      return this.portValue;
    },
    write: (port, value, size) => {
      this.portLog.push(`out ${port.toString(16)}.${size} ${value.toString(16)}`);
    },
  };

  readonly apic: LocalApicSocket = {
    readMsr: (index) => (index === 0x1b ? 0xfee0_0900n : undefined),
    writeMsr: () => false,
    taskPriorityClass: 0,
    hasInterrupt: () => false,
    acknowledge: () => 0xff,
    endOfInterrupt: () => {},
    bootstrap: true,
    initialize: () => {},
    timeStampChanged: () => {
      this.timeStampChanges++;
    },
  };

  clockNs(): number {
    return Number(this.ticks);
  }

  timeStamp(): bigint {
    return this.ticks;
  }
  random(): bigint {
    return 0x1122_3344_5566_7788n;
  }
  invalidate(what: Invalidation): void {
    this.invalidations.push(what);
  }
  reportUnimplemented(what: string): void {
    this.unimplemented.push(what);
  }

  read16 = (address: number): number => this.memory.getUint16(address, true);
  read32 = (address: number): number => this.memory.getUint32(address, true);
  read64 = (address: number): bigint => this.memory.getBigUint64(address, true);
  write16 = (address: number, value: number): void => this.memory.setUint16(address, value, true);
  write32 = (address: number, value: number): void => this.memory.setUint32(address, value, true);
  write64 = (address: number, value: bigint): void => this.memory.setBigUint64(address, value, true);

  /** How instructions are decoded in the current mode. */
  decodeMode(): DecodeMode {
    const { state } = this;
    return { codeSize: codeSize(state), stackSize: stackSize(state), realLike: isRealLike(state) };
  }

  /** The instruction that these bytes (in hexadecimal) are in the current mode. */
  decode(hex: string): Instruction {
    const bytes = Uint8Array.from(hex.replaceAll(" ", "").match(/../g)!, (byte) => Number.parseInt(byte, 16));
    const decoded = decode(bytes, 0, bytes.length, this.decodeMode(), (feature) => this.model.has(feature));
    if (!("row" in decoded)) throw new Error(`${hex} is no instruction`);
    return decoded;
  }

  /** Carry out an instruction that is a procedure. Its fault as text (`#GP(0)` or `#UD`), or undefined. */
  execute(hex: string): string | undefined {
    const instruction = this.decode(hex);
    const run = procedures.get(instruction.row.semantics.mnemonic)!;
    return describeFault(run(this, instruction));
  }
}

const names: Record<number, string> = {
  0: "DE", 1: "DB", 6: "UD", 7: "NM", 8: "DF", 10: "TS", 11: "NP", 12: "SS", 13: "GP", 14: "PF", 17: "AC",
}; // biome-ignore format: one list

export const describeFault = (fault: Fault | undefined): string | undefined =>
  fault &&
  `#${names[fault.vector] ?? fault.vector}${fault.errorCode === undefined ? "" : `(${fault.errorCode.toString(16)})`}`;

/** The fault of a result that should be one, as text. */
export const faultOf = (result: unknown): string | undefined =>
  result instanceof Fault ? describeFault(result) : undefined;

/** Where the tables of the tests are. */
export const gdtBase = 0x1000;
export const idtBase = 0x2000;
export const tssBase = 0x3000;
export const ldtBase = 0x3800;
/** Selectors of the flat segments. */
// biome-ignore format: one row per fact
export const selector = {
  code0: 0x08, data0: 0x10, code3: 0x1b, data3: 0x23, tss: 0x28, /** 16 bytes in long mode. */ tssUpper: 0x30,
  code64: 0x38, code64User: 0x43, conforming: 0x48, code16: 0x50, data16: 0x58, expandDown: 0x60, ldt: 0x68, free: 0x80,
} as const;

/** A segment descriptor. `access` is its byte 5, `flags` the four bits G, D/B, L, AVL. */
export const descriptor = (base: number, limit: number, access: number, flags: number): bigint =>
  (BigInt(limit) & 0xffffn) |
  ((BigInt(base) & 0xff_ffffn) << 16n) |
  (BigInt(access) << 40n) |
  (((BigInt(limit) >> 16n) & 0xfn) << 48n) |
  (BigInt(flags) << 52n) |
  ((BigInt(base) >> 24n) << 56n);

/** A gate. `access` is byte 5: P, DPL, type. */
export const gate = (target: number, offset: number, access: number, count = 0): bigint =>
  BigInt(offset & 0xffff) |
  (BigInt(target) << 16n) |
  (BigInt(count) << 32n) |
  (BigInt(access) << 40n) |
  ((BigInt(offset) >> 16n) << 48n);

export const setDescriptor = (core: FakeCore, sel: number, value: bigint): void =>
  core.write64(gdtBase + (sel & ~7), value);

const load = (
  core: FakeCore,
  name: SegmentRegister,
  sel: number,
  access: number,
  base = 0n,
  limit = 0xffff_ffff,
): void => setSegment(core.state, name, { selector: sel, base, limit, access });

/** Privilege level of the flat segments that are loaded. */
export const atLevel = (core: FakeCore, level: 0 | 3): void => {
  const dpl = level << 5;
  load(core, "CS", level ? selector.code3 : selector.code0, 0xc09b | dpl);
  for (const name of ["SS", "DS", "ES", "FS", "GS"] as const)
    load(core, name, level ? selector.data3 : selector.data0, 0xc093 | dpl);
};

/** 32-bit protected mode, flat, at CPL 0, with a GDT, an empty IDT of 256 gates and a 32-bit TSS. */
export const protectedMode = (core: FakeCore): FakeCore => {
  const { state } = core;
  state.CR0 = CR0.PE | CR0.ET | CR0.NE;
  state["GDTR.base"] = BigInt(gdtBase);
  state["GDTR.limit"] = 0xff;
  state["IDTR.base"] = BigInt(idtBase);
  state["IDTR.limit"] = 0x7ff;
  setDescriptor(core, selector.code0, descriptor(0, 0xf_ffff, 0x9a, 0xc));
  setDescriptor(core, selector.data0, descriptor(0, 0xf_ffff, 0x92, 0xc));
  setDescriptor(core, selector.code3, descriptor(0, 0xf_ffff, 0xfa, 0xc));
  setDescriptor(core, selector.data3, descriptor(0, 0xf_ffff, 0xf2, 0xc));
  setDescriptor(core, selector.tss, descriptor(tssBase, 0x2ff, 0x8b, 0));
  setDescriptor(core, selector.code64, descriptor(0, 0xf_ffff, 0x9a, 0xa));
  setDescriptor(core, selector.code64User, descriptor(0, 0xf_ffff, 0xfa, 0xa));
  setDescriptor(core, selector.conforming, descriptor(0, 0xf_ffff, 0x9e, 0xc));
  setDescriptor(core, selector.code16, descriptor(0, 0xffff, 0x9a, 0));
  setDescriptor(core, selector.data16, descriptor(0, 0xffff, 0x92, 0));
  setDescriptor(core, selector.expandDown, descriptor(0, 0xfff, 0x96, 4));
  setDescriptor(core, selector.ldt, descriptor(ldtBase, 0x7f, 0x82, 0));
  load(core, "TR", selector.tss, 0x8b, BigInt(tssBase), 0x2ff);
  setSegment(state, "LDTR", { selector: 0, base: 0n, limit: 0, access: 0x1_0000 });
  core.write32(tssBase + 4, 0x8000); // ESP0
  core.write32(tssBase + 8, selector.data0);
  core.write16(tssBase + 102, 104);
  atLevel(core, 0);
  state.RSP = 0x9000n;
  state.RIP = 0x1_0000n;
  state.RFLAGS = RFLAGS.FIXED | RFLAGS.IF;
  return core;
};

/** Page tables of the identity mapping that `longMode` uses. */
export const pml4 = 0x10_0000;

/** 64-bit mode at CPL 0 with the first 2 MiB identity-mapped by one large page that everyone may write. */
export const longMode = (core: FakeCore): FakeCore => {
  protectedMode(core);
  const { state } = core;
  state.CR0 |= CR0.PG | CR0.WP;
  state.CR4 = CR4.PAE | CR4.OSFXSR;
  state.CR3 = BigInt(pml4);
  state.IA32_EFER = IA32_EFER.LME | IA32_EFER.LMA | IA32_EFER.SCE | IA32_EFER.NXE;
  core.write64(pml4, BigInt(pml4 + 0x1000) | 7n);
  core.write64(pml4 + 0x1000, BigInt(pml4 + 0x2000) | 7n);
  core.write64(pml4 + 0x2000, 0xe7n);
  load(core, "CS", selector.code64, 0xa09b);
  core.write64(tssBase + 4, 0x8000n); // RSP0
  core.write64(tssBase + 36, 0x7008n); // IST1
  state["IDTR.limit"] = 0xfff;
  return core;
};

/** User level of 64-bit mode. */
export const atUser64 = (core: FakeCore): void => {
  atLevel(core, 3);
  load(core, "CS", selector.code64User, 0xa0fb);
};

/** Real mode at 1000:0000 with the stack at 2000:1000 and the IVT at 0. */
export const realMode = (core: FakeCore): FakeCore => {
  const { state } = core;
  load(core, "CS", 0x1000, 0x93, 0x1_0000n, 0xffff);
  load(core, "SS", 0x2000, 0x93, 0x2_0000n, 0xffff);
  state.RSP = 0x1000n;
  state.RIP = 0n;
  state["IDTR.limit"] = 0x3ff;
  return core;
};

/** Virtual-8086 mode on top of `protectedMode`, with an IOPL; code at 1000:0100, stack at 2000:1000. */
export const virtual8086 = (core: FakeCore, iopl: number): FakeCore => {
  protectedMode(core);
  const { state } = core;
  for (const name of ["ES", "DS", "FS", "GS"] as const) load(core, name, 0x3000, 0xf3, 0x3_0000n, 0xffff);
  load(core, "CS", 0x1000, 0xf3, 0x1_0000n, 0xffff);
  load(core, "SS", 0x2000, 0xf3, 0x2_0000n, 0xffff);
  state.RSP = 0x1000n;
  state.RIP = 0x100n;
  state.RFLAGS = RFLAGS.FIXED | RFLAGS.IF | RFLAGS.VM | (BigInt(iopl) << 12n);
  return core;
};

/** Every register that is not 0, by name: to see that nothing has changed. */
export const snapshot = ({ state }: FakeCore): string[] =>
  [...generalRegisters, ...u64Fields, ...u32Fields]
    .filter((name) => Number(state[name]) !== 0)
    .map((name) => `${name} ${state[name].toString(16)}`);
