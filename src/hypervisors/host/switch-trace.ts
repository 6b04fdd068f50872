import { exitReasonName } from "../../arch/vm-exit-reasons.ts";
import type { Observer } from "../../cpu/execution-engine.ts";
import { VmxOperation } from "../../cpu/vmx-socket.ts";
import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import { disassemble } from "../../isa/disassemble.ts";
import type { Instruction } from "../../isa/instruction.ts";
import type { HostKernel } from "./host-kernel.ts";
import type { HostProcessor, InstructionTrace } from "./host-processor.ts";
import { entryMoves, entrySteps, exitLoads, exitSaves, type Values, worldValues } from "./processor-moves.ts";
import { type MovedRegister, physical, RegisterMoves } from "./register-moves.ts";

export type { MovedRegister } from "./register-moves.ts";

/** One line of a traced world switch. */
export type SwitchStep = {
  /** Index of the host's processor. */
  readonly processor: number;
  /** Instructions of the machine so far. */
  readonly instruction: number;
  readonly moved: readonly MovedRegister[];
} & (
  | {
      readonly kind: "instruction";
      readonly address: bigint;
      /** "vmx_launch + 0x12" */
      readonly at: string;
      readonly text: string;
      /** What RSP points to afterwards, and its value. */
      readonly stack: string;
      readonly stackPointer: bigint;
      /** CR3 afterwards. */
      readonly addressSpace: bigint;
      readonly interruptsEnabled: boolean;
    }
  /** What the processor does by itself. */
  | {
      readonly kind: "processor";
      readonly event: "VM entry" | "VM exit" | "VM entry fails" | "interrupt" | "IRET";
      readonly says: readonly string[];
    }
  /** The C part of the hypervisor, which is TypeScript here, has been called or returned to. */
  | { readonly kind: "C part"; readonly says: string }
);

/** Executes the host kernel's code one instruction at a time and tells of each; guests and user programs run at full speed. */
export class SwitchTrace implements InstructionTrace {
  readonly #kernel: HostKernel;
  readonly #listener: (step: SwitchStep) => void;
  readonly #moves: readonly RegisterMoves[];
  readonly #observed: Observer | undefined;
  /** Where each vector's gate leads, as the IDT says. */
  readonly #gates = new Map<bigint, number>();
  /** The same for the address behind the first instruction there, which may be executed together with the delivery. */
  readonly #gatesPassed = new Map<bigint, { readonly gate: bigint; readonly first: Instruction }>();
  #exitReason = 0;
  /** How the last VM entry failed. */
  #failure: "VMfail" | "late" | undefined;
  /** The guest's registers as the processor loaded or saved them, before an event is delivered and before the host's are loaded. */
  #guest: Values | undefined;

  constructor(kernel: HostKernel, listener: (step: SwitchStep) => void) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#moves = kernel.cpus.map(() => new RegisterMoves(kernel.memory));
    this.#readGates();
    const { engine } = kernel.pc;
    const earlier = engine.observer;
    this.#observed = earlier;
    // What an earlier observer is given later on shall be seen too.
    engine.observer = Object.assign(Object.create(earlier ?? null) as Observer, {
      vmEntry: (core) => {
        earlier?.vmEntry?.(core);
        this.#guest = worldValues(engine.state);
      },
      vmExit: (exit, core) => {
        earlier?.vmExit?.(exit, core);
        this.#exitReason = exit.reason;
        this.#guest = worldValues(engine.state);
        const running = engine.current;
        if (running) running.stopRequested = true;
      },
      vmEntryFailure: (failure, core) => {
        earlier?.vmEntryFailure?.(failure, core);
        this.#exitReason = failure.reason;
        this.#failure = "late";
      },
      vmFail: (failure, core) => {
        earlier?.vmFail?.(failure, core);
        this.#failure = "VMfail";
      },
    } satisfies Observer);
  }

  /** Give the machine its former observer back. */
  end(): void {
    const { engine } = this.#kernel.pc;
    if (this.#observed === undefined) engine.observer = undefined;
    else engine.observer = this.#observed;
  }

  #readGates(): void {
    const { memory, IDT } = this.#kernel;
    for (let vector = 0; vector < 256; vector++) {
      const [low, high] = [memory.read64(IDT + 16 * vector), memory.read64(IDT + 16 * vector + 8)];
      const offset = (low & 0xffffn) | ((low >> 32n) & 0xffff_0000n) | ((high & 0xffff_ffffn) << 32n);
      if (this.#gates.has(offset)) continue;
      this.#gates.set(offset, vector);
      const first = this.#instructionAt(this.#kernel.cpus[0]!, physical(offset));
      if (first !== undefined) this.#gatesPassed.set(offset + BigInt(first.length), { gate: offset, first });
    }
  }

  run(cpu: HostProcessor, budget: number): number {
    const { state, processor } = cpu;
    if (state["vmx.operation"] === VmxOperation.nonRoot) {
      const ran = processor.run(budget);
      if (state["vmx.operation"] !== VmxOperation.nonRoot) this.#tellExit(cpu);
      return ran;
    }
    const moves = this.#moves[cpu.index]!;
    const rip = state.RIP;
    const isKernel = (state["CS.selector"] & 3) === 0;
    const instruction = isKernel ? this.#instructionAt(cpu, physical(rip)) : undefined;
    moves.note(state);
    const before = worldValues(state);
    const { pc } = this.#kernel;
    const { retired } = pc;
    const ran = Math.max(1, isKernel ? processor.run(1) : this.#runUser(cpu, budget));
    const isExecuted = pc.retired !== retired;
    const passed = this.#gatesPassed.get(state.RIP);
    const isInterrupted = passed !== undefined && passed.gate !== rip;
    const vector = this.#gates.get(isInterrupted ? passed.gate : state.RIP);
    if (instruction !== undefined && isExecuted && !isInterrupted)
      this.#tellInstruction(cpu, rip, instruction, moves, before);
    const isJump = isExecuted && !isInterrupted && !/^INT/.test(instruction?.row.semantics.mnemonic ?? "INT");
    if (vector !== undefined && !isJump) this.#tellInterrupt(cpu, vector, before);
    if (isInterrupted) this.#tell(cpu, passed.gate, passed.first, [], before);
    return ran;
  }

  /** Programs in user mode, up to where the kernel is entered. */
  #runUser({ processor, state }: HostProcessor, budget: number): number {
    let ran = 0;
    do ran += Math.max(1, processor.run(1));
    while (ran < budget && (state["CS.selector"] & 3) !== 0 && !this.#kernel.stopping);
    return ran;
  }

  #tellInstruction(
    cpu: HostProcessor,
    rip: bigint,
    instruction: Instruction,
    moves: RegisterMoves,
    before: Values,
  ): void {
    const at = physical(rip);
    const { returnGate, trapGate } = this.#kernel;
    if (at === returnGate || at === trapGate) {
      moves.hostLeft();
      const says = at === returnGate ? "has its function back" : "is the handler of the interrupt";
      this.#listener({ ...this.#common(cpu), kind: "C part", moved: [], says });
      return;
    }
    const { mnemonic } = instruction.row.semantics;
    const isEntry = mnemonic === "VMLAUNCH" || mnemonic === "VMRESUME";
    this.#tell(cpu, rip, instruction, isEntry ? [] : moves.moved(cpu.state, instruction, rip), before);
    if (isEntry) this.#tellEntry(cpu, mnemonic, before);
  }

  #codeAt(address: number) {
    return this.#kernel.code.find(({ start, end }) => address >= start && address < end);
  }

  #instructionAt(cpu: HostProcessor, address: number): Instruction | undefined {
    if (this.#codeAt(address) === undefined) return undefined;
    const bytes = this.#kernel.memory.read(address, MAXIMUM_LENGTH);
    const mode = { codeSize: 64, stackSize: 64, realLike: false } as const;
    const decoded = decode(bytes, 0, bytes.length, mode, (feature) => cpu.processor.model.has(feature));
    return "row" in decoded ? decoded : undefined;
  }

  #placeName(linear: bigint): string {
    const address = physical(linear);
    const code = this.#codeAt(address);
    if (code === undefined) return `0x${linear.toString(16)}`;
    let [name, start] = [code.name, code.start];
    for (const [label, at] of code.symbols) if (at <= address && at >= start) [name, start] = [label, at];
    return address === start ? name : `${name} + 0x${(address - start).toString(16)}`;
  }

  #common(cpu: HostProcessor) {
    return { processor: cpu.index, instruction: this.#kernel.pc.retired };
  }

  #tell(
    cpu: HostProcessor,
    address: bigint,
    instruction: Instruction,
    moved: readonly MovedRegister[],
    before: Values,
  ): void {
    const { state } = cpu;
    // VMLAUNCH and VMRESUME: what they make of the processor is a line of its own.
    const isEntry = state["vmx.operation"] === VmxOperation.nonRoot;
    const rsp = isEntry ? before.RSP! : state.RSP;
    this.#listener({
      ...this.#common(cpu),
      kind: "instruction",
      address,
      at: this.#placeName(address),
      text: this.#text(instruction, address),
      moved,
      stack: this.#stackName(rsp),
      stackPointer: rsp,
      addressSpace: isEntry ? before.CR3! : state.CR3,
      interruptsEnabled: ((isEntry ? before.RFLAGS! : state.RFLAGS) & 0x200n) !== 0n,
    });
  }

  /** With names for where jumps and calls go. */
  #text(instruction: Instruction, address: bigint): string {
    const text = disassemble(instruction, address);
    const target = /^(?:j\w+|call) (0x[0-9a-f]+)$/.exec(text)?.[1];
    return target === undefined ? text : text.replace(target, this.#placeName(BigInt(target)));
  }

  #stackName(rsp: bigint): string {
    const { memory } = this.#kernel;
    const at = physical(rsp);
    // An empty stack's pointer is one beyond it.
    return (memory.regionAt(at, true) ?? memory.regionAt(at - 8, true))?.name ?? "no stack of the host";
  }

  #tellEntry(cpu: HostProcessor, mnemonic: string, before: Values): void {
    const { state } = cpu;
    const common = this.#common(cpu);
    if (state["vmx.operation"] === VmxOperation.nonRoot) {
      const { vmcs } = cpu.vmx;
      this.#listener({
        ...common,
        kind: "processor",
        event: "VM entry",
        moved: entryMoves(before, this.#guest ?? worldValues(state), vmcs, this.#kernel.memory),
        says: entrySteps(vmcs, mnemonic === "VMLAUNCH"),
      });
      return;
    }
    const { base } = cpu.vmx.vmcs;
    const isLate = this.#failure === "late";
    this.#failure = undefined;
    const says = isLate
      ? `refuses the guest's state (${exitReasonName(this.#exitReason)}), saves nothing of the guest, loads the host's state: as a VM exit`
      : base < 0
        ? "VMfailInvalid: there is no current VMCS; CF is 1, all else as before"
        : `VMfailValid, VM-instruction error ${cpu.vmx.vmcs.read("exit.vmInstructionError")}; ZF is 1, all else as before`;
    const moved = isLate ? exitLoads(before, worldValues(state)) : [];
    this.#listener({ ...common, kind: "processor", event: "VM entry fails", moved, says: [says] });
  }

  #tellExit(cpu: HostProcessor): void {
    const { state } = cpu;
    this.#moves[cpu.index]!.guestLeft();
    const after = worldValues(state);
    const left = this.#guest ?? after;
    this.#listener({
      ...this.#common(cpu),
      kind: "processor",
      event: "VM exit",
      moved: [...exitSaves(left, cpu.vmx.vmcs, this.#kernel.memory), ...exitLoads(left, after)],
      says: [
        `${exitReasonName(this.#exitReason)}: writes reason, qualification and what else there is to tell into the VMCS`,
        `goes to ${this.#placeName(state.RIP)} with RSP at ${this.#stackName(state.RSP)}; the general registers and CR2 are still the guest's`,
      ],
    });
  }

  #tellInterrupt(cpu: HostProcessor, vector: number, before: Values): void {
    const { state } = cpu;
    const isOther = this.#stackName(before.RSP!) !== this.#stackName(state.RSP);
    const moved = (["RSP", "RIP", "RFLAGS"] as const).map(
      (register): MovedRegister => ({
        register,
        before: before[register]!,
        after: state[register],
        place: register === "RIP" ? "the IDT" : register === "RSP" && isOther ? "the TSS" : undefined,
        owner: register === "RFLAGS" ? "hardware" : "host",
        direction: register === "RIP" ? "loaded" : "changed",
      }),
    );
    this.#listener({
      ...this.#common(cpu),
      kind: "processor",
      event: "interrupt",
      moved,
      says: [
        `vector ${vector}: pushes SS, RSP, RFLAGS, CS and RIP onto ${this.#stackName(state.RSP)}, clears IF, and goes to the entry of the host's IDT`,
      ],
    });
  }
}

const movedText = ({ register, place, from, owner, direction, after }: MovedRegister): string => {
  const name = register.toLowerCase();
  const value = `0x${after.toString(16)}`;
  if (direction === "stored")
    return `${place ?? "memory"} = ${name} (${owner}'s${from === undefined ? "" : `, from ${from}`})`;
  return `${name} = ${value}${place === undefined ? (owner === "host" ? "" : ` (${owner}'s)`) : ` (${owner}'s, from ${place})`}`;
};

/** Registers that the processor moves by itself, in groups: what goes where, and whose it is. */
const processorText = (event: string, moved: readonly MovedRegister[]): string[] => {
  const groups = new Map<string, string[]>();
  for (const { register, place, owner, direction, after } of moved) {
    const whose = owner === "hardware" ? "the processor's own" : `the ${owner}'s`;
    const verb =
      direction === "stored"
        ? `stores ${whose} in ${place}:`
        : place === undefined
          ? `sets (${whose}):`
          : `loads ${whose} from ${place}:`;
    groups.set(verb, [...(groups.get(verb) ?? []), `${register} 0x${after.toString(16)}`]);
  }
  return [...groups].map(([verb, registers]) => `      -- ${event}: ${verb} ${registers.join(", ")}`);
};

/** A step as a line of text, or several. */
export const switchStepText = (step: SwitchStep): string => {
  if (step.kind === "C part") return `      == the C part ${step.says}`;
  if (step.kind === "processor")
    return [
      ...step.says.map((says) => `      -- ${step.event}: ${says}`),
      ...processorText(step.event, step.moved),
    ].join("\n");
  const flag = step.interruptsEnabled ? "IF" : "  ";
  const space = `cr3 ${step.addressSpace.toString(16).padEnd(8)}`;
  return `${step.at.padEnd(24)} ${step.text.padEnd(34)} ${flag} ${space} ${step.stack.padEnd(36)} ${step.moved.map(movedText).join(", ")}`.trimEnd();
};

/** 64-bit values as hexadecimal strings. */
export const switchStepJson = (step: SwitchStep): string =>
  JSON.stringify(step, (_key, value: unknown) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
