import { vmcsFieldOf } from "../../arch/vmcs-fields.ts";
import type { DecodedOperand, Instruction, MemoryOperand } from "../../isa/instruction.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import { generalRegisters } from "../../state/layout.ts";
import type { HostMemory } from "./host-memory.ts";
import { effectiveAddress } from "./mmio-instruction.ts";

/** Whose value a register holds: of either world, or one that the processor itself makes. */
export type Owner = "host" | "guest" | "hardware";

/** A register that an instruction, or the processor by itself, has changed or stored. */
export interface MovedRegister {
  readonly register: string;
  readonly before: bigint;
  readonly after: bigint;
  /** The memory that it was loaded from or stored to, where that has a name. */
  readonly place: string | undefined;
  /** Of what goes from memory to memory: where it came from. */
  readonly from?: string;
  /** Whose value it is. */
  readonly owner: Owner;
  readonly direction: "loaded" | "stored" | "changed";
}

/** Registers beside the general ones that a world switch may change, and how they are read. */
// biome-ignore format: one row per register
const systemRegisters: readonly (readonly [string, (state: CpuState) => bigint | number])[] = [
  ["CR0", (state) => state.CR0], ["CR2", (state) => state.CR2], ["CR3", (state) => state.CR3], ["CR4", (state) => state.CR4],
  ["XCR0", (state) => state.XCR0],
  ["ES", (state) => state["ES.selector"]], ["CS", (state) => state["CS.selector"]], ["SS", (state) => state["SS.selector"]],
  ["DS", (state) => state["DS.selector"]], ["FS", (state) => state["FS.selector"]], ["GS", (state) => state["GS.selector"]],
  ["FS.base", (state) => state["FS.base"]], ["GS.base", (state) => state["GS.base"]],
  ["GDTR.base", (state) => state["GDTR.base"]], ["IDTR.base", (state) => state["IDTR.base"]], ["TR.base", (state) => state["TR.base"]],
  ["GDTR.limit", (state) => state["GDTR.limit"]], ["IDTR.limit", (state) => state["IDTR.limit"]], ["TR.limit", (state) => state["TR.limit"]],
  ["IA32_EFER", (state) => state.IA32_EFER], ["IA32_PAT", (state) => state.IA32_PAT],
  ["IA32_STAR", (state) => state.IA32_STAR], ["IA32_LSTAR", (state) => state.IA32_LSTAR], ["IA32_FMASK", (state) => state.IA32_FMASK],
  ["IA32_KERNEL_GS_BASE", (state) => state.IA32_KERNEL_GS_BASE],
  ["IA32_SYSENTER_CS", (state) => state.IA32_SYSENTER_CS], ["IA32_SYSENTER_ESP", (state) => state.IA32_SYSENTER_ESP],
  ["IA32_SYSENTER_EIP", (state) => state.IA32_SYSENTER_EIP],
  ["DR0", (state) => state.DR0], ["DR1", (state) => state.DR1], ["DR2", (state) => state.DR2], ["DR3", (state) => state.DR3],
  ["DR7", (state) => state.DR7],
];
export const systemRegisterNames: readonly string[] = systemRegisters.map(([name]) => name);
/** Their values, in order. */
export const systemValues = (state: CpuState): bigint[] =>
  systemRegisters.map(([, read]) => BigInt(read(state)));

const CR2 = systemRegisterNames.indexOf("CR2");
const RSP = 4;
/** Stores that are remembered, at most: a switch makes some fifty. */
const mostStores = 4096;
/** Instructions that move RSP, and no value by way of it. */
const movesStack = /^(PUSH|POP|CALL|RET|IRET|ADD$|SUB$)/;

/** Whose a value is, and in which register it began. */
interface Origin {
  readonly owner: Owner;
  readonly register: string;
}
interface Stored extends Origin {
  readonly value: bigint;
}

/**
 * Follows values through an instruction listing: a register that a guest left belongs to it until it is overwritten, and so does the
 * memory it is stored to. Memory that somebody else has written has the owner that its label says.
 */
export class RegisterMoves {
  readonly #memory: HostMemory;
  readonly #origins: Origin[] = generalRegisters.map((register) => ({ owner: "host", register }));
  #cr2: Origin = { owner: "host", register: "CR2" };
  readonly #stored = new Map<number, Stored>();
  readonly #before: bigint[] = generalRegisters.map(() => 0n);
  #system: bigint[] = [];
  #segmentBases: Readonly<Partial<Record<string, bigint>>> = {};

  constructor(memory: HostMemory) {
    this.#memory = memory;
  }

  /** The guest has had the processor: every general register but RSP is what it left, and CR2. */
  guestLeft(): void {
    generalRegisters.forEach((register, n) => {
      this.#origins[n] = { owner: n === RSP ? "host" : "guest", register };
    });
    this.#cr2 = { owner: "guest", register: "CR2" };
  }

  /** The C part has had the processor: what it leaves in registers is the host's. */
  hostLeft(): void {
    generalRegisters.forEach((register, n) => {
      this.#origins[n] = { owner: "host", register };
    });
  }

  /** The registers as they are before an instruction. */
  note(state: CpuState): void {
    for (let n = 0; n < 16; n++) this.#before[n] = state.general(n);
    this.#system = systemValues(state);
    this.#segmentBases = { FS: state["FS.base"], GS: state["GS.base"] };
  }

  /** What the instruction at `address` has moved, now that it is executed. */
  moved(state: CpuState, instruction: Instruction, address: bigint): MovedRegister[] {
    const { mnemonic } = instruction.row.semantics;
    const [dest, src] = instruction.operands;
    const moved: MovedRegister[] = [];
    if (mnemonic.startsWith("PUSH")) this.#store(moved, state.RSP, this.#valueOf(dest, instruction, address));
    else if (mnemonic.startsWith("POP")) {
      const value = this.#fromMemory(this.#before[RSP]!);
      if (dest?.kind === "memory")
        this.#store(moved, this.#addressOf(dest, instruction, address, state.RSP), value);
      else this.#load(moved, dest, value, state);
    } else if (mnemonic === "MOV" || mnemonic === "XCHG") {
      const from = this.#valueOf(src, instruction, address);
      const to = this.#valueOf(dest, instruction, address);
      if (dest?.kind === "memory") this.#store(moved, this.#addressOf(dest, instruction, address), from);
      else this.#load(moved, dest, from, state);
      if (mnemonic === "XCHG" && src?.kind === "register") this.#load(moved, src, to, state);
    } else if (mnemonic.startsWith("MOV_"))
      this.#load(moved, dest, this.#valueOf(src, instruction, address), state);
    else if (mnemonic === "VMWRITE") this.#vmwrite(moved, dest, src, instruction, address);
    else if (/^F?X(SAVE|RSTOR)|^FX/.test(mnemonic)) this.#fpu(moved, mnemonic, dest, instruction, address);
    this.#changes(moved, state, mnemonic);
    return moved;
  }

  /** Registers that differ from before and that nothing above explains: results, and what an instruction moves by the way. */
  #changes(moved: MovedRegister[], state: CpuState, mnemonic: string): void {
    const told = new Set(
      moved.filter(({ direction }) => direction !== "stored").map(({ register }) => register),
    );
    const writer = this.#origins[0]!;
    for (let n = 0; n < 16; n++) {
      const [before, after] = [this.#before[n]!, state.general(n)];
      const register = generalRegisters[n]!;
      if (before === after || told.has(register) || (n === RSP && movesStack.test(mnemonic))) continue;
      this.#origins[n] = { owner: "host", register };
      moved.push({ register, before, after, place: undefined, owner: "host", direction: "changed" });
    }
    systemValues(state).forEach((after, n) => {
      const before = this.#system[n]!;
      const register = systemRegisterNames[n]!;
      if (before === after || told.has(register)) return;
      const owner = mnemonic === "WRMSR" ? writer.owner : "host";
      if (n === CR2) this.#cr2 = { owner, register };
      moved.push({ register, before, after, place: undefined, owner, direction: "changed" });
    });
  }

  /** What an operand had, and whose it was. */
  #valueOf(operand: DecodedOperand | undefined, instruction: Instruction, address: bigint): Found {
    const nothing: Found = { value: 0n, origin: { owner: "host", register: "" }, place: undefined };
    if (operand?.kind === "memory")
      return this.#fromMemory(this.#addressOf(operand, instruction, address), operand.width);
    if (operand?.kind === "immediate") return { ...nothing, value: operand.value };
    if (operand?.kind !== "register") return nothing;
    const { file, number } = operand;
    if (file === "general")
      return { value: this.#before[number]!, origin: this.#origins[number]!, place: undefined };
    const name = systemName(file, number);
    const n = systemRegisterNames.indexOf(name);
    const origin: Origin = name === "CR2" ? this.#cr2 : { owner: "host", register: name };
    return { value: this.#system[n] ?? 0n, origin, place: undefined };
  }

  #fromMemory(linear: bigint, width = 64): Found {
    const at = physical(linear);
    const region = this.#memory.regionAt(at, false);
    const place = this.placeName(at);
    const value = width === 64 && this.#memory.has(at) ? this.#memory.read64(at) : 0n;
    const stored = this.#stored.get(at);
    const register = registerIn(region?.name) ?? "";
    // A label tells whose it is, also where the C part has put it.
    if (stored !== undefined && stored.value === value) return { value, origin: stored, place };
    return { value, origin: { owner: region?.owner ?? "host", register }, place };
  }

  #store(moved: MovedRegister[], linear: bigint, { value, origin, place }: Found): void {
    const at = physical(linear);
    if (this.#stored.size >= mostStores) this.#stored.clear();
    this.#stored.set(at, { ...origin, value });
    const { owner, register } = origin;
    if (register === "") return;
    const from = place === undefined ? {} : { from: place };
    moved.push({
      register, before: value, after: value, place: this.placeName(at), ...from, owner, direction: "stored",
    }); // biome-ignore format: one record
  }

  #load(
    moved: MovedRegister[],
    dest: DecodedOperand | undefined,
    { origin, place }: Found,
    state: CpuState,
  ): void {
    if (dest?.kind !== "register") return;
    const { file, number } = dest;
    const register = file === "general" ? generalRegisters[number]! : systemName(file, number);
    const n = systemRegisterNames.indexOf(register);
    const isGeneral = file === "general";
    if (!isGeneral && n < 0) return;
    const before = isGeneral ? this.#before[number]! : this.#system[n]!;
    const after = isGeneral ? state.general(number) : systemValues(state)[n]!;
    if (isGeneral) this.#origins[number] = { ...origin, register: origin.register || register };
    if (register === "CR2") this.#cr2 = origin;
    const direction = place === undefined ? "changed" : "loaded";
    moved.push({ register, before, after, place, owner: origin.owner, direction });
  }

  /** VMWRITE: a register goes into a field of the VMCS, whose encoding is the first operand. */
  #vmwrite(
    moved: MovedRegister[],
    field: DecodedOperand | undefined,
    source: DecodedOperand | undefined,
    instruction: Instruction,
    address: bigint,
  ): void {
    const { value, origin } = this.#valueOf(source, instruction, address);
    const encoding = Number(this.#valueOf(field, instruction, address).value & 0xffff_ffffn);
    const name = vmcsFieldOf(encoding)?.name ?? `0x${encoding.toString(16)}`;
    const { owner, register } = origin;
    moved.push({ register, before: value, after: value, place: `VMCS ${name}`, owner, direction: "stored" });
  }

  #fpu(
    moved: MovedRegister[],
    mnemonic: string,
    operand: DecodedOperand | undefined,
    instruction: Instruction,
    address: bigint,
  ): void {
    if (operand?.kind !== "memory") return;
    const at = physical(this.#addressOf(operand, instruction, address));
    const owner = this.#memory.regionAt(at, false)?.owner ?? "host";
    const direction = mnemonic.includes("RSTOR") ? "loaded" : "stored";
    moved.push({
      register: "x87 and XMM",
      before: 0n,
      after: 0n,
      place: this.placeName(at),
      owner,
      direction,
    });
  }

  /** Of a memory operand, linear. POP computes it with RSP as it is afterwards. */
  #addressOf(
    operand: MemoryOperand,
    instruction: Instruction,
    address: bigint,
    rsp = this.#before[RSP]!,
  ): bigint {
    const general = (n: number): bigint => (n === RSP ? rsp : this.#before[n]!);
    const offset = effectiveAddress(
      operand,
      general,
      address + BigInt(instruction.length),
      instruction.addressSize,
    );
    return BigInt.asUintN(64, offset + (this.#segmentBases[operand.segment] ?? 0n));
  }

  /** A value's name, else where on which stack; undefined: memory without one. */
  placeName(at: number): string | undefined {
    const value = this.#memory.regionAt(at, false);
    if (value !== undefined)
      return at === value.start ? value.name : `${value.name} + 0x${(at - value.start).toString(16)}`;
    const stack = this.#memory.regionAt(at, true);
    if (stack === undefined) return undefined;
    return `${stack.name} - 0x${(stack.start + stack.length - at).toString(16)}`;
  }
}

interface Found {
  readonly value: bigint;
  readonly origin: Origin;
  readonly place: string | undefined;
}

const systemName = (file: string, number: number): string =>
  file === "control"
    ? `CR${number}`
    : file === "debug"
      ? `DR${number}`
      : file === "segment"
        ? (["ES", "CS", "SS", "DS", "FS", "GS"][number] ?? "")
        : "";

/** The register that a label names: its last word. */
const registerIn = (name: string | undefined): string | undefined =>
  name
    ?.split(/\W+/)
    .map((word) => word.toUpperCase())
    .find((word) => word === "CR2" || (generalRegisters as readonly string[]).includes(word));

/** Of the host's kernel: memory is mapped to itself, and once more in the upper half. */
export const physical = (linear: bigint): number => Number(BigInt.asUintN(47, linear));
