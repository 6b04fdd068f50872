import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import { disassemble } from "../../isa/disassemble.ts";
import type { Instruction } from "../../isa/instruction.ts";
import { hex } from "../../machine/boot/memory-map.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import type { MovedRegister, SwitchStep } from "../host/switch-trace.ts";
import { type Host, stackBytes } from "../host32/host.ts";
import { pagesBytes, regs, state as roState, switcherBase } from "./layout.ts";
import type { Switcher } from "./switcher.ts";

/** The world switch, an instruction at a time: for `--switch-trace`. */

const registerNames = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
/** What else a switch of worlds changes, and how it is read. */
// biome-ignore format: one row per register
const systemRegisters: readonly (readonly [string, (state: CpuState) => bigint | number])[] = [
  ["es", (state) => state["ES.selector"]], ["ss", (state) => state["SS.selector"]], ["ds", (state) => state["DS.selector"]],
  ["fs", (state) => state["FS.selector"]], ["gs", (state) => state["GS.selector"]], ["cs", (state) => state["CS.selector"]],
  ["cr3", (state) => state.CR3], ["cr0", (state) => state.CR0], ["gdtr", (state) => state["GDTR.base"]],
  ["idtr", (state) => state["IDTR.base"]], ["tr", (state) => state["TR.base"]],
];

interface Place {
  readonly name: string;
  readonly owner: "host" | "guest";
}

/** Has the host's processor run one instruction at a time, the guest's too, and tells of each that belongs to a switch of worlds. */
export class LguestTrace {
  readonly #host: Host;
  readonly #switcher: Switcher;
  readonly #listener: (step: SwitchStep) => void;
  #before: (bigint | number)[] = [];

  constructor(host: Host, switcher: Switcher, listener: (step: SwitchStep) => void) {
    this.#host = host;
    this.#switcher = switcher;
    this.#listener = listener;
    host.run = (processor, budget) => this.#step(processor, budget);
  }

  end(): void {
    this.#host.run = undefined;
  }

  #values(): (bigint | number)[] {
    const { state } = this.#host;
    return [
      ...registerNames.map((_, n) => state.general(n)),
      ...systemRegisters.map(([, read]) => read(state)),
    ];
  }

  #isInGuest(): boolean {
    return (this.#host.state["CS.selector"] & 3) !== 0;
  }

  #codeAt(address: number) {
    return this.#host.code.find(
      ({ start, end, name }) => name !== "host kernel" && address >= start && address < end,
    );
  }

  #step(processor: LogicalProcessor, budget: number): number {
    const { state } = this.#host;
    const wasInGuest = this.#isInGuest();
    const rip = state.low32("RIP");
    const instruction = wasInGuest ? undefined : this.#instructionAt(processor, rip);
    this.#before = this.#values();
    const ran = processor.run(Math.min(budget, 1));
    if (wasInGuest && !this.#isInGuest()) this.#tellExit();
    if (rip === this.#host.stub("returnGate"))
      this.#listener({ ...this.#common(), kind: "C part", moved: [], says: "has its function back" });
    if (instruction === undefined || state.low32("RIP") === rip) return ran;
    this.#tell(rip, instruction);
    if (this.#isInGuest()) this.#tellEntry();
    return ran;
  }

  #instructionAt(processor: LogicalProcessor, address: number): Instruction | undefined {
    const code = this.#codeAt(address);
    if (code === undefined) return undefined;
    const physical =
      address >= switcherBase ? this.#switcher.text + address - switcherBase : this.#host.physical(address);
    const bytes = this.#host.memory.read(physical, MAXIMUM_LENGTH);
    const mode = { codeSize: 32, stackSize: 32, realLike: false } as const;
    const decoded = decode(bytes, 0, bytes.length, mode, (feature) => processor.model.has(feature));
    return "row" in decoded ? decoded : undefined;
  }

  /** A field of the two pages, or a stack. */
  #placeAt(address: number): Place {
    const pages = this.#switcher.cpus[this.#host.cpu.index]!.linear;
    const offset = address - pages;
    const { stackTop } = this.#host.cpu;
    if (offset < 0 || offset >= pagesBytes)
      return {
        name: address <= stackTop && address > stackTop - stackBytes ? "the host's stack" : hex(address),
        owner: "host",
      };
    const nearest = (fields: Readonly<Record<string, number>>): string =>
      Object.entries(fields).reduce(
        (best, [name, at]) => (at <= offset && at >= fields[best]! ? name : best),
        Object.keys(fields)[0]!,
      );
    if (offset >= 4096) {
      const name = nearest(roState);
      return { name: `lguest_ro_state.${name}`, owner: name.startsWith("host") ? "host" : "guest" };
    }
    if (offset < regs.ebx) return { name: "the spare part of the page", owner: "host" };
    return { name: `lguest_regs.${nearest(regs)}`, owner: "guest" };
  }

  /** An empty stack's pointer is one beyond it. */
  #stackName(esp: number): string {
    if (this.#isInGuest()) return "the guest's stack";
    const { linear } = this.#switcher.cpus[this.#host.cpu.index]!;
    return this.#placeAt(esp === linear + 4096 ? esp - 4 : esp).name.replace(/\..*/, "");
  }

  #common() {
    return { processor: this.#host.cpu.index, instruction: this.#host.pc.retired };
  }

  #tell(address: number, instruction: Instruction): void {
    const { state } = this.#host;
    this.#listener({
      ...this.#common(),
      kind: "instruction",
      address: BigInt(address),
      at: this.#label(address),
      text: this.#text(instruction, address),
      moved: this.#moved(instruction),
      stack: this.#stackName(state.low32("RSP")),
      stackPointer: state.RSP,
      addressSpace: state.CR3,
      interruptsEnabled: (state.RFLAGS & 0x200n) !== 0n,
    });
  }

  #label(address: number): string {
    const code = this.#codeAt(address);
    if (code === undefined) return hex(address);
    let [label, start] = [code.name, code.start];
    for (const [name, at] of code.symbols) if (at <= address && at >= start) [label, start] = [name, at];
    return address === start ? label : `${label} + 0x${(address - start).toString(16)}`;
  }

  /** With names for where jumps and calls go. */
  #text(instruction: Instruction, address: number): string {
    const text = disassemble(instruction, BigInt(address));
    const target = /^(?:j\w+|call) (0x[0-9a-f]+)$/.exec(text)?.[1];
    return target === undefined ? text : text.replace(target, this.#label(Number(target)));
  }

  #moved(instruction: Instruction): MovedRegister[] {
    const { mnemonic } = instruction.row.semantics;
    const after = this.#values();
    const esp = Number(this.#before[4]);
    const names = [...registerNames, ...systemRegisters.map(([name]) => name)];
    const [dest, src] = instruction.operands;
    const moved: MovedRegister[] = [];
    const add = (
      n: number,
      place: Place | undefined,
      direction: MovedRegister["direction"],
      owner: "host" | "guest",
    ): void => {
      moved.push({
        register: names[n]!,
        before: BigInt(this.#before[n]!),
        after: BigInt(after[n]!),
        place: place?.name,
        owner,
        direction,
      });
    };
    const operandIndex =
      dest?.kind === "register"
        ? dest.file === "general"
          ? dest.number
          : [8, 13, 9, 10, 11, 12][dest.number]!
        : -1;
    if (mnemonic.startsWith("PUSH") && operandIndex >= 0) {
      const place = this.#placeAt(Number(after[4]));
      add(operandIndex, place, "stored", place.owner);
      return moved;
    }
    if (mnemonic.startsWith("POP") && operandIndex >= 0) {
      const place = this.#placeAt(esp);
      add(operandIndex, place, "loaded", place.owner);
      return moved;
    }
    if (mnemonic === "MOV" && dest?.kind === "memory" && src?.kind === "register" && src.file === "general") {
      const base = typeof dest.base === "number" ? Number(this.#before[dest.base]) : 0;
      const place = this.#placeAt((base + Number(BigInt.asIntN(32, dest.displacement))) >>> 0);
      add(src.number, place, "stored", place.owner);
      return moved;
    }
    const owner = this.#isInGuest() || after[16] !== this.#before[16] ? "guest" : "host";
    for (let n = 0; n < names.length; n++)
      if (after[n] !== this.#before[n] && n !== 4) add(n, undefined, "changed", owner);
    if (!this.#isInGuest() && after[4] !== this.#before[4] && !/^(PUSH|POP|CALL|RET|ADD)/.test(mnemonic))
      add(4, this.#placeAt(Number(after[4])), "changed", this.#placeAt(Number(after[4])).owner);
    return moved;
  }

  /** The five registers that IRET pops from lguest_regs, or a trap pushes there: the guest's. */
  #frame(direction: "loaded" | "stored"): MovedRegister[] {
    const guest = this.#guest();
    return (["eip", "cs", "eflags", "esp", "ss"] as const).map((register): MovedRegister => {
      const value = BigInt(this.#host.memory.read32(guest + regs[register]));
      const place = `lguest_regs.${register}`;
      return { register, before: value, after: value, place, owner: "guest", direction };
    });
  }

  /** Physical address of the page whose end lguest_regs is. */
  #guest(): number {
    const { guestTable, linear } = this.#switcher.cpus[this.#host.cpu.index]!;
    return this.#host.memory.read32(guestTable + ((linear - switcherBase) >>> 10)) & ~0xfff;
  }

  #tellEntry(): void {
    const { state } = this.#host;
    this.#listener({
      ...this.#common(),
      kind: "processor",
      event: "IRET",
      moved: this.#frame("loaded"),
      says: [
        `IRET to ring ${state["CS.selector"] & 3}: pops EIP 0x${state.low32("RIP").toString(16)}, CS, EFLAGS, ESP and SS from lguest_regs; segment registers that ring may not use become null`,
      ],
    });
  }

  #tellExit(): void {
    const { state } = this.#host;
    const { cpus, symbols } = this.#switcher;
    const pages = cpus[this.#host.cpu.index]!.linear;
    const pushed = (pages + 4096 - state.low32("RSP")) / 4;
    const rip = state.low32("RIP");
    // After an interrupt, the stub's first instruction may have been executed as well.
    const isStub = ([name, at]: readonly [string, number]): boolean => /^trap\d/.test(name) && at <= rip;
    const [stub] = [...symbols]
      .filter(isStub)
      .reduce((best, one) => (one[1] > best[1] ? one : best), ["trap0", 0]);
    this.#listener({
      ...this.#common(),
      kind: "processor",
      event: "interrupt",
      moved: this.#frame("stored"),
      says: [
        `${stub}: loads SS:ESP from SS0:ESP0 of the guest's TSS, which is the end of lguest_regs; pushes SS, ESP, EFLAGS, CS, EIP${pushed === 6 ? " and an error code" : ""}; clears IF; CS and EIP from the guest's IDT`,
      ],
    });
  }
}
