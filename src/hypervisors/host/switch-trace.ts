import { exitReasonName } from "../../arch/vm-exit-reasons.ts";
import type { Observer } from "../../cpu/execution-engine.ts";
import { VmxOperation } from "../../cpu/vmx-socket.ts";
import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import { disassemble } from "../../isa/disassemble.ts";
import type { DecodedOperand, Instruction } from "../../isa/instruction.ts";
import { generalRegisters } from "../../state/layout.ts";
import { fieldOffset } from "../../vmx/vmcs.ts";
import { trapEntryBytes } from "./host-image.ts";
import type { HostKernel } from "./host-kernel.ts";
import type { HostProcessor, InstructionTrace } from "./host-processor.ts";
import { effectiveAddress } from "./mmio-instruction.ts";

/** A register that an instruction has changed, or stored. */
export interface MovedRegister {
  readonly register: string;
  readonly before: bigint;
  readonly after: bigint;
  /** The memory that it was loaded from or stored to, where that has a name. */
  readonly place: string | undefined;
  /** Whose value it is. */
  readonly owner: "host" | "guest";
  readonly direction: "loaded" | "stored" | "changed";
}

/** One line of a traced world switch. */
export type SwitchStep = {
  /** Index of the host's processor. */
  readonly processor: number;
  /** Instructions of the machine so far. */
  readonly instruction: number;
} & (
  | {
      readonly kind: "instruction";
      readonly address: number;
      /** "vmx_launch + 0x12" */
      readonly at: string;
      readonly text: string;
      readonly moved: readonly MovedRegister[];
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
      readonly event: "VM entry" | "VM exit" | "VM entry fails" | "interrupt";
      readonly says: readonly string[];
    }
);

const RSP = 4;

/** Executes the host kernel's code one instruction at a time and tells of each; guests run at full speed. */
export class SwitchTrace implements InstructionTrace {
  readonly #kernel: HostKernel;
  readonly #listener: (step: SwitchStep) => void;
  /** Names of placed code that is not told of. */
  readonly #omitted: ReadonlySet<string>;
  readonly #before: bigint[] = generalRegisters.map(() => 0n);
  readonly #observed: Observer | undefined;
  #exitReason = 0;

  constructor(
    kernel: HostKernel,
    listener: (step: SwitchStep) => void,
    omitted: readonly string[] = ["host"],
  ) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#omitted = new Set(omitted);
    const { engine } = kernel.pc;
    const earlier = engine.observer;
    this.#observed = earlier;
    // What an earlier observer is given later on shall be seen too.
    engine.observer = Object.assign(Object.create(earlier ?? null) as Observer, {
      vmExit: (exit, core) => {
        earlier?.vmExit?.(exit, core);
        this.#exitReason = exit.reason;
        const running = engine.current;
        if (running) running.stopRequested = true;
      },
      vmEntryFailure: (failure, core) => {
        earlier?.vmEntryFailure?.(failure, core);
        this.#exitReason = failure.reason;
      },
    } satisfies Observer);
  }

  /** Give the machine its former observer back. */
  end(): void {
    const { engine } = this.#kernel.pc;
    if (this.#observed === undefined) engine.observer = undefined;
    else engine.observer = this.#observed;
  }

  run(cpu: HostProcessor, budget: number): number {
    const { state, processor } = cpu;
    if (state["vmx.operation"] === VmxOperation.nonRoot) {
      const ran = processor.run(budget);
      if (state["vmx.operation"] !== VmxOperation.nonRoot) this.#tellExit(cpu);
      return ran;
    }
    const rip = Number(state.RIP);
    const instruction = this.#instructionAt(cpu, rip);
    for (let n = 0; n < 16; n++) this.#before[n] = state.general(n);
    const retired = this.#kernel.pc.retired;
    const ran = Math.max(1, processor.run(1));
    // The delivery of an event takes time too, and nothing has been executed then.
    if (instruction === undefined || (this.#kernel.pc.retired === retired && Number(state.RIP) === rip))
      return ran;
    const isInterrupted = this.#trapVector(Number(state.RIP));
    if (isInterrupted !== undefined && !instruction.row.semantics.mnemonic.startsWith("JMP")) {
      this.#tellInterrupt(cpu, isInterrupted);
      return ran;
    }
    this.#tell(cpu, rip, instruction);
    const { mnemonic } = instruction.row.semantics;
    if (mnemonic === "VMLAUNCH" || mnemonic === "VMRESUME") this.#tellEntry(cpu, mnemonic);
    return ran;
  }

  #codeAt(address: number) {
    return this.#kernel.code.find(({ start, end }) => address >= start && address < end);
  }

  #instructionAt(cpu: HostProcessor, address: number): Instruction | undefined {
    const code = this.#codeAt(address);
    if (code === undefined || this.#omitted.has(code.name)) return undefined;
    const bytes = this.#kernel.memory.read(address, MAXIMUM_LENGTH);
    const mode = { codeSize: 64, stackSize: 64, realLike: false } as const;
    const decoded = decode(bytes, 0, bytes.length, mode, (feature) => cpu.processor.model.has(feature));
    return "row" in decoded ? decoded : undefined;
  }

  #trapVector(rip: number): number | undefined {
    const offset = rip - this.#kernel.symbol("trapEntries");
    return offset >= 0 && offset < 256 * trapEntryBytes && offset % trapEntryBytes === 0
      ? offset / trapEntryBytes
      : undefined;
  }

  #placeName(address: number): string {
    const code = this.#codeAt(address);
    if (code === undefined) return `0x${address.toString(16)}`;
    let [name, start] = [code.name, code.start];
    for (const [label, at] of code.symbols) if (at <= address && at >= start) [name, start] = [label, at];
    return address === start ? name : `${name} + 0x${(address - start).toString(16)}`;
  }

  #common(cpu: HostProcessor) {
    return { processor: cpu.index, instruction: this.#kernel.pc.retired };
  }

  #tell(cpu: HostProcessor, address: number, instruction: Instruction): void {
    const { state } = cpu;
    this.#listener({
      ...this.#common(cpu),
      kind: "instruction",
      address,
      at: this.#placeName(address),
      text: disassemble(instruction, BigInt(address)),
      moved: this.#moved(cpu, instruction, address),
      stack: this.#stackName(Number(state.RSP)),
      stackPointer: state.RSP,
      addressSpace: state.CR3,
      interruptsEnabled: cpu.interruptsEnabled,
    });
  }

  #stackName(rsp: number): string {
    const { memory } = this.#kernel;
    // An empty stack's pointer is one beyond it.
    return (memory.regionAt(rsp, true) ?? memory.regionAt(rsp - 8, true))?.name ?? "no stack of the host";
  }

  #moved(cpu: HostProcessor, instruction: Instruction, address: number): MovedRegister[] {
    const { state } = cpu;
    if (state["vmx.operation"] === VmxOperation.nonRoot) return [];
    const place = this.#memoryPlace(instruction, address);
    const moved: MovedRegister[] = [];
    const { mnemonic } = instruction.row.semantics;
    const [dest, src] = instruction.operands;
    if (dest?.kind === "memory" && src?.kind === "register" && src.file === "general") {
      const value = this.#before[src.number]!;
      moved.push({
        register: generalRegisters[src.number]!,
        before: value,
        after: value,
        place: place?.name,
        owner: place?.owner ?? "host",
        direction: "stored",
      });
    }
    for (let n = 0; n < 16; n++) {
      const [before, after] = [this.#before[n]!, state.general(n)];
      // A load of the value that was there already is one all the same.
      if (before === after && !(mnemonic === "MOV" && isDestination(dest, n))) continue;
      if (n === RSP && dest?.kind !== "register") continue;
      moved.push({
        register: generalRegisters[n]!,
        before,
        after,
        place: place?.name,
        owner: place?.owner ?? "host",
        direction: src?.kind === "memory" ? "loaded" : "changed",
      });
    }
    return moved;
  }

  #memoryPlace(instruction: Instruction, address: number) {
    const operand = instruction.operands.find((other) => other.kind === "memory");
    if (operand === undefined) return undefined;
    const at = effectiveAddress(
      operand,
      (n) => this.#before[n]!,
      BigInt(address + instruction.length),
      instruction.addressSize,
    );
    return this.#kernel.memory.regionAt(Number(at), false);
  }

  #tellEntry(cpu: HostProcessor, mnemonic: string): void {
    const { state } = cpu;
    const inGuest = state["vmx.operation"] === VmxOperation.nonRoot;
    const common = this.#common(cpu);
    if (inGuest) {
      const { vmcs } = cpu.vmx;
      const event = vmcs.low(fieldOffset("control.entryInterruptionInformation"));
      const msrs = vmcs.low(fieldOffset("control.entryMsrLoadCount"));
      this.#listener({
        ...common,
        kind: "processor",
        event: "VM entry",
        says: [
          "checks the controls, the host-state area and the guest-state area",
          `loads RIP 0x${state.RIP.toString(16)}, RSP 0x${state.RSP.toString(16)}, RFLAGS, CR0, CR3 and CR4, segment registers, GDTR, IDTR, IA32_EFER and IA32_PAT from the guest-state area: no register of the register file`,
          ...(msrs > 0 ? [`loads ${msrs} MSR of the VM-entry MSR-load area`] : []),
          ...(event >>> 31 ? [`injects the event with vector ${event & 0xff}`] : []),
          ...(mnemonic === "VMLAUNCH" ? ["notes in the VMCS that it is launched"] : []),
        ],
      });
      return;
    }
    const lateFailure =
      Number(state.RIP) === Number(cpu.vmx.vmcs.base < 0 ? 0n : cpu.vmx.vmcs.read("host.rip"));
    const says = lateFailure
      ? [
          `refuses the guest's state (${exitReasonName(this.#exitReason)}), saves nothing of the guest, loads the host's state: as a VM exit`,
        ]
      : [
          cpu.vmx.vmcs.base < 0
            ? "VMfailInvalid: there is no current VMCS; CF is 1, all else as before"
            : `VMfailValid, VM-instruction error ${cpu.vmx.vmcs.low(fieldOffset("exit.vmInstructionError"))}; ZF is 1, all else as before`,
        ];
    this.#listener({ ...common, kind: "processor", event: "VM entry fails", says });
  }

  #tellExit(cpu: HostProcessor): void {
    const { state } = cpu;
    this.#listener({
      ...this.#common(cpu),
      kind: "processor",
      event: "VM exit",
      says: [
        `${exitReasonName(this.#exitReason)}: writes reason, qualification and what else there is to tell into the VMCS`,
        "saves the guest's RIP, RSP, RFLAGS, control registers, segment registers, IA32_EFER and IA32_PAT in the guest-state area: no general register and not CR2",
        `loads the host's: RIP 0x${state.RIP.toString(16)} (${this.#placeName(Number(state.RIP))}), RSP 0x${state.RSP.toString(16)} (${this.#stackName(Number(state.RSP))}), RFLAGS 2, CR0, CR3 and CR4, flat segments, TR, limits 0xffff of GDTR and IDTR, DR7 0x400`,
      ],
    });
  }

  #tellInterrupt(cpu: HostProcessor, vector: number): void {
    const { state } = cpu;
    this.#listener({
      ...this.#common(cpu),
      kind: "processor",
      event: "interrupt",
      says: [
        `vector ${vector}: pushes SS, RSP, RFLAGS, CS and RIP onto ${this.#stackName(Number(state.RSP))}, clears IF, and goes to the entry of the host's IDT`,
      ],
    });
  }
}

const isDestination = (operand: DecodedOperand | undefined, number: number): boolean =>
  operand?.kind === "register" && operand.file === "general" && operand.number === number;

/** A step as a line of text, or several. */
export const switchStepText = (step: SwitchStep): string => {
  if (step.kind === "processor") return step.says.map((says) => `      -- ${step.event}: ${says}`).join("\n");
  const moved = step.moved
    .map(({ register, place, owner, direction, after }) => {
      const name = register.toLowerCase();
      if (direction === "stored") return place === undefined ? "" : `${place} = ${name} (${owner}'s)`;
      return `${name} = 0x${after.toString(16)}${place === undefined ? "" : ` (${owner}'s, from ${place})`}`;
    })
    .filter((text) => text !== "")
    .join(", ");
  const flag = step.interruptsEnabled ? "IF" : "  ";
  return `${step.at.padEnd(24)} ${step.text.padEnd(34)} ${flag} ${step.stack.padEnd(36)} ${moved}`.trimEnd();
};
