import { type Assembly, assemble } from "../../../src/asm/index.ts";
import {
  type DescriptorTable,
  IO_DATA_OFFSET,
  KVM,
  KVM_CAP,
  KVM_EXIT,
  kvmRun,
  type RegisterName,
  type Registers,
  realMode,
  registerNames,
  regsBytes,
  type Segment,
  type SystemRegisters,
  sregsBytes,
  sregsNames,
} from "./kvm.ts";
import { type Operation, operations } from "./operations.ts";
import { GUEST_BYTES, GUEST_MEMORY, KVM_RUN, KVM_RUN_2 } from "./runtime.ts";

/** Bytes with an address of their own, known once the client is laid out. */
type Blob = { readonly bytes: Uint8Array } | { readonly text: string };
type Operand = number | bigint | Blob | { readonly symbol: string };

export interface Step {
  readonly operation: Operation;
  readonly operands: readonly Operand[];
  readonly what: string;
}

/** What changes in the system registers; segments are given whole. */
export type SystemChange = Partial<SystemRegisters>;

/** A guest's code: where it lies and what its labels are. */
export interface GuestCode {
  readonly bytes: Uint8Array;
  readonly address: number;
  label(name: string): bigint;
}

/** Assembles a guest's code. `physical`: where in guest memory it goes, when that is not the address it runs at. */
export const guestCode = (
  codeSize: 16 | 32 | 64,
  origin: number | bigint,
  text: string,
  physical?: number,
): GuestCode => {
  const code: Assembly | { kind: "errors"; errors: readonly { line: number; message: string }[] } = assemble(
    text,
    { codeSize, origin },
  );
  if (code.kind === "errors")
    throw new Error(code.errors.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
  const { symbols, bytes } = code;
  return {
    bytes,
    address: physical ?? Number(origin),
    label: (name) => {
      const address = symbols.get(name);
      if (address === undefined) throw new Error(`the guest has no label ${name}`);
      return address;
    },
  };
};

/** Registers with values that tell them apart, RSP in usable memory. */
export const tellTale = (bits: 16 | 64): Partial<Registers> => {
  // biome-ignore format: one list
  const names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", ...(bits === 64 ? ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] : [])];
  const upper = bits === 64 ? 0x8123_4567_0000_0000n : 0n;
  const values = names.map((name, i) => [name, upper + 0x1111n * BigInt(i + 1)]);
  return { ...Object.fromEntries(values), rsp: 0x8000n };
};

/** A segment as real mode loads it. */
export const segmentAt = (segment: Segment, selector: number): Segment => ({
  ...segment,
  selector,
  base: BigInt(selector) << 4n,
});

export const scenario = (name: string, build: (scenario: Scenario) => void): Scenario => {
  const made = new Scenario(name);
  build(made);
  return made;
};

const quadwords = (...values: readonly (bigint | number)[]): Uint8Array => {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries())
    view.setBigUint64(8 * i, BigInt.asUintN(64, BigInt(value)), true);
  return bytes;
};
const doublewords = (...values: readonly number[]): Uint8Array =>
  new Uint8Array(new Uint32Array(values).buffer);
const padded = (bytes: Uint8Array): Uint8Array => {
  const whole = new Uint8Array((bytes.length + 7) & ~7);
  whole.set(bytes);
  return whole;
};

const RESUME_FLAG = 0x1_0000n;
const symbol = (name: string): Operand => ({ symbol: name });
const namesBlob = (names: readonly string[]): Blob => ({ text: names.join("\0") });
const registerNamesBlob = namesBlob(registerNames);
const sregsNamesBlob = namesBlob(sregsNames);
const ioNames = namesBlob(["direction, size, port, count", "data_offset"]);
const mmioNames = namesBlob(["phys_addr", "data", "len, is_write"]);

/** KVM_EXIT_IO_OUT and KVM_EXIT_IO_IN. */
export type Direction = "out" | "in";

/** One leaf of a CPUID table for KVM_SET_CPUID2. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly subleaf?: number;
  readonly registers: readonly [eax: number, ebx: number, ecx: number, edx: number];
}

/**
 * One virtual machine and what is expected of it, step by step. It keeps what all registers should hold, so that every check
 * compares all of them: a step says only what has changed.
 */
export class Scenario {
  readonly name: string;
  readonly steps: Step[] = [];
  #registers: Registers = Object.fromEntries(registerNames.map((name) => [name, 0n])) as Registers;
  #system: SystemRegisters = realMode();
  /** Bits of kvm_sregs' quadwords that are compared, by name: all, but for these. */
  readonly #compared = new Map<string, bigint>();

  constructor(name: string) {
    this.name = name;
    this.#registers.rflags = 2n;
  }

  #step(operation: Operation, operands: readonly Operand[], what: string): void {
    this.steps.push({ operation, operands, what });
  }

  #ioctl(descriptor: string, request: number, argument: Operand, what: string, result = 0): void {
    this.#step("IOCTL", [symbol(descriptor), request, argument, result], what);
  }

  copy(address: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#step("COPY", [address, { bytes }, bytes.length], "");
  }

  equal(address: Operand, bytes: Uint8Array, what: string, names?: Blob): void {
    this.#step("EQUAL", [address, { bytes: padded(bytes) }, (bytes.length + 7) & ~7, names ?? 0], what);
  }

  ok(what: string): void {
    this.#step("OK", [], what);
  }

  need(capability: keyof typeof KVM_CAP): void {
    this.#step("NEED", [KVM_CAP[capability]], `KVM_CAP_${capability} is not there`);
  }

  /** A switch of the module that must not be off; where there is no such switch, it is not. */
  needSwitch(module: string, name: string): void {
    const file: Blob = { text: `/sys/module/${module}/parameters/${name}` };
    this.#step("UNLESS", [file], `${module} runs without ${name}`);
  }

  /** A plain request of KVM itself with an expected answer. */
  ask(request: keyof typeof KVM, answer: number): void {
    this.#ioctl("kvm", KVM[request], 0, `KVM_${request}`, answer);
  }

  /** A virtual machine with memory and, unless it is to get an interrupt controller first, a processor. */
  create(options: { readonly before?: () => void } = {}): void {
    this.#step("OPEN", [symbol("kvm"), KVM.CREATE_VM, 0, symbol("vm")], "KVM_CREATE_VM");
    // Intel's processors without "unrestricted guest" need three pages and one for real mode. They lie above all memory.
    this.#ioctl(
      "vm",
      KVM.SET_IDENTITY_MAP_ADDR,
      { bytes: quadwords(0xfffb_c000) },
      "KVM_SET_IDENTITY_MAP_ADDR",
    );
    this.#ioctl("vm", KVM.SET_TSS_ADDR, 0xfffb_d000, "KVM_SET_TSS_ADDR");
    this.#step("MAP", [GUEST_MEMORY, 0, GUEST_BYTES], "mmap of guest memory");
    const region = quadwords(0, 0, GUEST_BYTES, GUEST_MEMORY);
    this.#ioctl("vm", KVM.SET_USER_MEMORY_REGION, { bytes: region }, "KVM_SET_USER_MEMORY_REGION");
    options.before?.();
    this.#step("OPEN", [symbol("vm"), KVM.CREATE_VCPU, 0, symbol("vcpu")], "KVM_CREATE_VCPU");
    this.#step("MAP", [KVM_RUN, symbol("vcpu"), 3 * 4096], "mmap of kvm_run");
  }

  secondProcessor(): void {
    this.#step("OPEN", [symbol("vm"), KVM.CREATE_VCPU, 1, symbol("vcpu2")], "KVM_CREATE_VCPU 1");
    this.#step("MAP", [KVM_RUN_2, symbol("vcpu2"), 3 * 4096], "mmap of the second kvm_run");
  }

  spawnSecond(): void {
    this.#step("SPAWN", [symbol("vcpu2"), KVM_RUN_2], "clone");
  }

  /** Waits for the second processor to leave with an OUT of `bytes`. */
  joinSecond(port: number, bytes: readonly number[]): void {
    this.#step("JOIN", [KVM_RUN_2, KVM_EXIT.IO], "the second processor");
    this.#io(KVM_RUN_2, "out", port, bytes.length, 1);
    this.equal(KVM_RUN_2 + IO_DATA_OFFSET, new Uint8Array(bytes), "the second processor's byte");
  }

  interruptControllers(): void {
    this.#ioctl("vm", KVM.CREATE_IRQCHIP, 0, "KVM_CREATE_IRQCHIP");
  }

  intervalTimer(): void {
    this.#ioctl("vm", KVM.CREATE_PIT2, { bytes: new Uint8Array(64) }, "KVM_CREATE_PIT2");
  }

  load(code: GuestCode): void {
    this.copy(GUEST_MEMORY + code.address, code.bytes);
  }

  /** Quadwords in guest memory. */
  store(physical: number, ...values: readonly (bigint | number)[]): void {
    this.copy(GUEST_MEMORY + physical, quadwords(...values));
  }

  /** Sets all registers: those not named keep what they are supposed to hold. */
  set(registers: Partial<Registers>, system?: SystemChange): void {
    if (system !== undefined) {
      Object.assign(this.#system, system);
      this.#ioctl("vcpu", KVM.SET_SREGS, { bytes: sregsBytes(this.#system) }, "KVM_SET_SREGS");
    }
    Object.assign(this.#registers, registers);
    this.copyTo("regs", regsBytes(this.#registers));
    this.#ioctl("vcpu", KVM.SET_REGS, symbol("regs"), "KVM_SET_REGS");
  }

  copyTo(name: string, bytes: Uint8Array): void {
    this.#step("COPY", [symbol(name), { bytes }, bytes.length], "");
  }

  /** Of a quadword of kvm_sregs only these bits are compared: makers of processors differ in the others. */
  compareOnly(name: string, bits: bigint): void {
    this.#compared.set(name, bits);
  }

  /**
   * All registers hold what they did at the last check, but for these. `orRip`: where RIP may stand instead. RF is left out: exits
   * for EPT violations save it as 1 (SDM Vol. 3, "Saving RIP, RSP, RFLAGS, and SSP"), those of other processors do not.
   */
  registers(
    what: string,
    registers: Partial<Registers>,
    others: { readonly system?: SystemChange; readonly orRip?: bigint } = {},
  ): void {
    const { system = {}, orRip } = others;
    Object.assign(this.#registers, registers);
    Object.assign(this.#system, system);
    this.#ioctl("vcpu", KVM.GET_REGS, symbol("found"), "KVM_GET_REGS");
    const flags = `found+${8 * registerNames.indexOf("rflags")}`;
    this.#step("AND", [{ symbol: flags }, { bytes: quadwords(~RESUME_FLAG) }, 8], "");
    if (orRip !== undefined) this.#replace("found", registerNames.indexOf("rip"), orRip, this.#registers.rip);
    this.equal(symbol("found"), regsBytes(this.#registers), what, registerNamesBlob);
    this.#ioctl("vcpu", KVM.GET_SREGS, symbol("found"), "KVM_GET_SREGS");
    const expected = sregsBytes(this.#system);
    if (this.#compared.size > 0) {
      const mask = quadwords(...sregsNames.map((name) => this.#compared.get(name) ?? -1n));
      this.#step("AND", [symbol("found"), { bytes: mask }, mask.length], "");
      for (const [i, byte] of mask.entries()) expected[i]! &= byte;
    }
    this.equal(symbol("found"), expected, what, sregsNamesBlob);
  }

  #replace(name: string, quadword: number, from: bigint, to: bigint): void {
    this.#step("REPLACE", [{ symbol: `${name}+${8 * quadword}` }, from, to], "");
  }

  /** One register as it should stand now. */
  register(name: RegisterName): bigint {
    return this.#registers[name];
  }

  get system(): Readonly<SystemRegisters> {
    return this.#system;
  }

  run(reason: keyof typeof KVM_EXIT, what: string): void {
    this.#step("RUN", [symbol("vcpu"), KVM_RUN, KVM_EXIT[reason]], what);
  }

  #io(address: number, direction: Direction, port: number, size: number, count: number): void {
    const first =
      BigInt(direction === "out" ? 1 : 0) |
      (BigInt(size) << 8n) |
      (BigInt(port) << 16n) |
      (BigInt(count) << 32n);
    this.equal(address + kvmRun.union, quadwords(first, IO_DATA_OFFSET), `${direction} ${port}`, ioNames);
  }

  /** Runs to an OUT that brings these bytes. */
  out(port: number, bytes: readonly number[]): void {
    this.run("IO", `OUT to port ${port}`);
    this.#io(KVM_RUN, "out", port, bytes.length, 1);
    const mask = quadwords((1n << BigInt(8 * bytes.length)) - 1n);
    this.#step("AND", [KVM_RUN + IO_DATA_OFFSET, { bytes: mask }, 8], "");
    this.equal(KVM_RUN + IO_DATA_OFFSET, new Uint8Array(bytes), `what OUT to port ${port} brings`);
  }

  /** Runs to an IN, and answers with these bytes. */
  in(port: number, bytes: readonly number[]): void {
    this.run("IO", `IN from port ${port}`);
    this.#io(KVM_RUN, "in", port, bytes.length, 1);
    this.copy(KVM_RUN + IO_DATA_OFFSET, new Uint8Array(bytes));
  }

  /** Runs to a store to memory that is not there. */
  mmioWrite(physical: number, bytes: readonly number[]): void {
    this.run("MMIO", "a store to memory that is not there");
    const mask = quadwords(-1n, (1n << BigInt(8 * bytes.length)) - 1n, 0xff_ffff_ffffn);
    this.#step("AND", [KVM_RUN + kvmRun.union, { bytes: mask }, mask.length], "");
    const value = bytes.reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n);
    const expected = quadwords(physical, value, (1n << 32n) | BigInt(bytes.length));
    this.equal(KVM_RUN + kvmRun.union, expected, "MMIO write", mmioNames);
  }

  /** Runs to a load from memory that is not there, and answers with these bytes. */
  mmioRead(physical: number, bytes: readonly number[]): void {
    this.run("MMIO", "a load from memory that is not there");
    const mask = quadwords(-1n, 0n, 0xff_ffff_ffffn);
    this.#step("AND", [KVM_RUN + kvmRun.union, { bytes: mask }, mask.length], "");
    this.equal(KVM_RUN + kvmRun.union, quadwords(physical, 0, bytes.length), "MMIO read", mmioNames);
    this.copy(KVM_RUN + kvmRun.union + 8, new Uint8Array(bytes));
  }

  /** Clears bits of a quadword of guest memory that the next check leaves out. */
  maskMemory(physical: number, mask: bigint): void {
    this.#step("AND", [GUEST_MEMORY + physical, { bytes: quadwords(mask) }, 8], "");
  }

  memory(physical: number, bytes: Uint8Array, what: string): void {
    this.equal(GUEST_MEMORY + physical, bytes, what);
  }

  /** A byte of kvm_run: what the client asks of the next run. */
  setRunByte(offset: number, value: number): void {
    this.copy(KVM_RUN + offset, new Uint8Array([value]));
  }

  /** `ready_for_interrupt_injection` and `if_flag`. */
  interruptible(isReady: boolean, flag: boolean, what: string): void {
    const at = KVM_RUN + kvmRun.exitReason;
    const mask = quadwords(0x0000_ffff_0000_0000n);
    this.#step("COPY", [symbol("scratch"), at, 8], "");
    this.#step("AND", [symbol("scratch"), { bytes: mask }, 8], "");
    const expected = (BigInt(isReady ? 1 : 0) << 32n) | (BigInt(flag ? 1 : 0) << 40n);
    this.equal(symbol("scratch"), quadwords(expected), what);
  }

  interrupt(vector: number): void {
    this.#ioctl("vcpu", KVM.INTERRUPT, { bytes: doublewords(vector) }, `KVM_INTERRUPT ${vector}`);
  }

  nonMaskableInterrupt(): void {
    this.#ioctl("vcpu", KVM.NMI, 0, "KVM_NMI");
  }

  /** KVM's interrupt line of the board's controllers. */
  line(irq: number, level: number): void {
    this.#ioctl("vm", KVM.IRQ_LINE, { bytes: doublewords(irq, level) }, `KVM_IRQ_LINE ${irq}`);
  }

  guestDebug(control: number): void {
    const bytes = new Uint8Array(72);
    bytes[0] = control;
    this.#ioctl("vcpu", KVM.SET_GUEST_DEBUG, { bytes }, "KVM_SET_GUEST_DEBUG");
  }

  /** In real mode CS may be cached as code (0BH) or as data (3). */
  codeTypeIsOpen(): void {
    this.compareOnly("cs.limit, selector, type", ~(8n << 48n));
  }

  /** Runs to KVM_EXIT_DEBUG of a single step that ended at `rip`. */
  debugStep(rip: bigint, what: string): void {
    this.run("DEBUG", what);
    // struct kvm_debug_exit_arch: exception, pad, pc, dr6, dr7. DR6.BS says single step; its fixed ones are bits 4..11 and 16..31.
    const mask = quadwords(0xffff_ffffn, -1n, 0x4000n);
    this.#step("AND", [KVM_RUN + kvmRun.union, { bytes: mask }, mask.length], "");
    const names = namesBlob(["exception", "pc", "dr6.BS"]);
    this.equal(KVM_RUN + kvmRun.union, quadwords(1, rip, 0x4000), what, names);
  }

  /** A CPUID table of our own. */
  cpuid(leaves: readonly CpuidLeaf[]): void {
    const words = leaves.flatMap(({ leaf, subleaf, registers }) => [
      ...[leaf, subleaf ?? 0, subleaf === undefined ? 0 : 1],
      ...registers,
      ...[0, 0, 0],
    ]);
    this.#ioctl("vcpu", KVM.SET_CPUID2, { bytes: doublewords(leaves.length, 0, ...words) }, "KVM_SET_CPUID2");
  }

  /** All that KVM can offer, as most clients do. */
  supportedCpuid(): void {
    this.copyTo("scratch", doublewords(100, 0));
    this.#ioctl("kvm", KVM.GET_SUPPORTED_CPUID, symbol("scratch"), "KVM_GET_SUPPORTED_CPUID");
    this.#ioctl("vcpu", KVM.SET_CPUID2, symbol("scratch"), "KVM_SET_CPUID2");
  }

  /** KVM_SET_MSRS or KVM_GET_MSRS with its answer, the number of MSRs. */
  setMsrs(...msrs: readonly (readonly [index: number, value: bigint])[]): void {
    const bytes = quadwords(msrs.length, ...msrs.flat());
    this.#ioctl("vcpu", KVM.SET_MSRS, { bytes }, "KVM_SET_MSRS", msrs.length);
  }

  msrs(what: string, ...msrs: readonly (readonly [index: number, value: bigint])[]): void {
    this.copyTo("scratch", quadwords(msrs.length, ...msrs.flatMap(([index]) => [index, 0n])));
    this.#ioctl("vcpu", KVM.GET_MSRS, symbol("scratch"), "KVM_GET_MSRS", msrs.length);
    this.equal(symbol("scratch"), quadwords(msrs.length, ...msrs.flat()), what);
  }

  /** struct kvm_fpu from `offset` on. */
  fpu(offset: number, bytes: Uint8Array, what: string): void {
    this.#ioctl("vcpu", KVM.GET_FPU, symbol("scratch"), "KVM_GET_FPU");
    this.equal({ symbol: `scratch+${offset}` }, bytes, what);
  }

  /** Some bits of a quadword of struct kvm_fpu. */
  fpuWord(offset: number, value: bigint, mask: bigint, what: string): void {
    this.#ioctl("vcpu", KVM.GET_FPU, symbol("scratch"), "KVM_GET_FPU");
    this.#step("AND", [{ symbol: `scratch+${offset}` }, { bytes: quadwords(mask) }, 8], "");
    this.equal({ symbol: `scratch+${offset}` }, quadwords(value), what);
  }
}

/** Lays scenarios out behind the runtime: operations, what they point to, and a table of names and first operations. */
export class ScenarioLayout {
  readonly #symbols: ReadonlyMap<string, bigint>;
  readonly #parts: Uint8Array[] = [];
  readonly #known = new Map<string, bigint>();
  #end: bigint;

  constructor(symbols: ReadonlyMap<string, bigint>, start: bigint) {
    this.#symbols = symbols;
    this.#end = start;
  }

  #place(bytes: Uint8Array): bigint {
    const key = Buffer.from(bytes).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const address = this.#end;
    const whole = padded(bytes);
    this.#parts.push(whole);
    this.#end += BigInt(whole.length);
    this.#known.set(key, address);
    return address;
  }

  #text(text: string): bigint {
    return this.#place(new TextEncoder().encode(`${text}\0`));
  }

  #operand(operand: Operand): bigint {
    if (typeof operand !== "object") return BigInt(operand);
    if ("bytes" in operand) return this.#place(operand.bytes);
    if ("text" in operand) return this.#text(operand.text);
    const [name = "", offset = "0"] = operand.symbol.split("+");
    const address = this.#symbols.get(name);
    if (address === undefined) throw new Error(`the client has no symbol ${name}`);
    return address + BigInt(offset);
  }

  /** The address of the scenario's first operation. */
  script(scenario: Scenario): bigint {
    const steps: readonly Step[] = [...scenario.steps, { operation: "END", operands: [], what: "" }];
    const words = steps.flatMap(({ operation, operands, what }) => {
      const [a = 0, b = 0, c = 0, d = 0] = operands;
      return [
        operations.indexOf(operation),
        ...[a, b, c, d].map((operand) => this.#operand(operand)),
        this.#text(what),
      ];
    });
    return this.#place(quadwords(...words));
  }

  /** A table of names and scripts, ended by zero. */
  table(scenarios: readonly Scenario[]): bigint {
    const rows = scenarios.flatMap((scenario) => [this.#text(scenario.name), this.script(scenario)]);
    return this.#place(quadwords(...rows, 0));
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

export type { DescriptorTable, Segment };
