import { RFLAGS } from "../arch/flags.ts";
import type { FarPointerOperand, Instruction, RegisterOperand } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import * as tables from "./descriptor-tables.ts";
import { deliverOnce, type EventType } from "./exceptions.ts";
import { interruptReturn, returnFar } from "./far-return.ts";
import { callFar, jumpFar } from "./far-transfer.ts";
import { FXRSTOR, FXSAVE, XRSTOR, XRSTORS, XSAVE, XSAVEC, XSAVEOPT, XSAVES } from "./fpu-state.ts";
import { IN, INS, OUT, OUTS } from "./io.ts";
import { cpl } from "./mode.ts";
import { goPast, nextRip, readMemoryOperand, readOperand, writeOperand } from "./operands.ts";
import { type DataSegmentRegister, loadSegment } from "./segment-loads.ts";
import { GP, UD } from "./segmentation.ts";
import { currentStack } from "./stack.ts";
import { ENTER } from "./stack-frames.ts";
import * as system from "./system.ts";
import { vmxInstructionNames } from "./vmx-socket.ts";
import { x87Procedures } from "./x87.ts";

/**
 * Instructions that are procedures: the rows that isa/maps declares with `procedure(...)`, by mnemonic. On entry
 * state.RIP is the instruction's own and the status flags are settled in RFLAGS. Afterwards either a fault is returned
 * and nothing has changed (except by a task switch, whose late faults belong to the new task), or RIP is where to go on.
 */
export type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

const segmentOf = (instruction: Instruction): DataSegmentRegister =>
  (["ES", "CS", "SS", "DS", "FS", "GS"] as const)[
    (instruction.operands[0] as RegisterOperand).number
  ] as DataSegmentRegister;

const blockingByMovSS = 2;
/** Blocking by STI or MOV SS: up to the end of the next instruction. */
const shadow = 3;
const interruptibilityOffset = offsetOf("interruptibility");
const pendingDebugOffset = offsetOf("pendingDebug");
const ripOffset = offsetOf("RIP");

/** Loading SS holds back debug traps and interrupts for one instruction. */
const blockAfterSS = (core: Core, segment: DataSegmentRegister): void => {
  if (segment === "SS") core.state.interruptibility |= blockingByMovSS;
};

const MOV_TO_SREG: Procedure = (core, instruction) => {
  const selector = readOperand(core, instruction, 1, 2);
  if (selector instanceof Fault) return selector;
  const segment = segmentOf(instruction);
  const fault = loadSegment(core, segment, Number(selector & 0xffffn));
  if (!fault) blockAfterSS(core, segment);
  return fault;
};

const POP_SREG: Procedure = (core, instruction) => {
  const stack = currentStack(core);
  const selector = stack.pop(instruction.operandSize / 8);
  if (selector instanceof Fault) return selector;
  const segment = segmentOf(instruction);
  const fault = loadSegment(core, segment, Number(selector & 0xffffn));
  if (fault) return fault;
  core.state.RSP = stack.pointer;
  blockAfterSS(core, segment);
  return undefined;
};

/** A far pointer in memory: the offset, as wide as the operand, then the selector. */
const readFarPointer = (
  core: Core,
  instruction: Instruction,
  index: number,
): { selector: number; offset: bigint } | Fault => {
  const bytes = instruction.operandSize / 8;
  const offset = readMemoryOperand(core, instruction, index, bytes);
  if (offset instanceof Fault) return offset;
  const selector = readMemoryOperand(core, instruction, index, 2, bytes);
  return selector instanceof Fault ? selector : { selector: Number(selector), offset };
};

/** LDS, LES, LSS, LFS, LGS. */
const loadFarPointer =
  (segment: DataSegmentRegister): Procedure =>
  (core, instruction) => {
    const pointer = readFarPointer(core, instruction, 1);
    if (pointer instanceof Fault) return pointer;
    return loadSegment(core, segment, pointer.selector) ?? writeOperand(core, instruction, 0, pointer.offset);
  };

const farTarget = (core: Core, instruction: Instruction): { selector: number; offset: bigint } | Fault => {
  const operand = instruction.operands[0]!;
  if (operand.kind === "memory") return readFarPointer(core, instruction, 0);
  const { selector, offset } = operand as FarPointerOperand;
  return { selector, offset: BigInt(offset) };
};

const farTransfer =
  (transfer: typeof jumpFar): Procedure =>
  (core, instruction) => {
    const target = farTarget(core, instruction);
    if (target instanceof Fault) return target;
    const { selector, offset } = target;
    return transfer(core, selector, offset, instruction.operandSize, nextRip(core, instruction));
  };

const RETF: Procedure = (core, instruction) => {
  const release = instruction.operands.length > 0 ? (readOperand(core, instruction, 0) as bigint) : 0n;
  return returnFar(core, instruction.operandSize, Number(release & 0xffffn));
};

const IRET: Procedure = (core, instruction) =>
  interruptReturn(core, instruction.operandSize, nextRip(core, instruction));

/** INT n and its one-byte relatives: the handler's return address is the next instruction. */
const softwareInterrupt = (
  core: Core,
  instruction: Instruction,
  type: EventType,
  vector: number,
): ProcedureOutcome => {
  const { RFLAGS: flags } = core.state;
  core.state.RFLAGS = flags & ~RFLAGS.RF;
  const event = {
    type,
    vector,
    returnRip: nextRip(core, instruction),
    instructionLength: instruction.length,
  };
  if (core.vmx?.nonRoot && core.vmx.interceptEvent(event, undefined)) return undefined;
  const fault = deliverOnce(core, event);
  if (fault) fault.during = event;
  if (fault && core.state.RFLAGS === (flags & ~RFLAGS.RF)) core.state.RFLAGS = flags;
  return fault;
};

const INT: Procedure = (core, instruction) =>
  softwareInterrupt(
    core,
    instruction,
    "software interrupt",
    Number(readOperand(core, instruction, 0) as bigint) & 0xff,
  );
const INT1: Procedure = (core, instruction) =>
  softwareInterrupt(core, instruction, "privileged software exception", 1);
const INT3: Procedure = (core, instruction) => softwareInterrupt(core, instruction, "software exception", 3);
const INTO: Procedure = (core, instruction) => {
  if (core.state.RFLAGS & RFLAGS.OF) return softwareInterrupt(core, instruction, "software exception", 4);
  core.state.RIP = nextRip(core, instruction);
  core.state.interruptibility &= ~shadow;
  return undefined;
};

const { ARPL, LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW } = tables;
const { LMSW, SMSW, CLTS } = system;
const { MOV_FROM_CR, MOV_TO_CR, MOV_FROM_DR, MOV_TO_DR, INVLPG, INVPCID, INVD, WBINVD } = system;
const { HLT, MONITOR, MWAIT, XGETBV, XSETBV, RDTSC, RDTSCP, RDPMC, RDMSR, WRMSR, CPUID, RDRAND, RDSEED } =
  system;
const { SYSCALL, SYSRET, SYSENTER, SYSEXIT } = system;

/** Go on at the next instruction. */
// biome-ignore format: one list
const advancing: Readonly<Record<string, Procedure>> = {
  MOV_TO_SREG, POP_SREG, ENTER, IN, OUT,
  LDS: loadFarPointer("DS"), LES: loadFarPointer("ES"), LFS: loadFarPointer("FS"), LGS: loadFarPointer("GS"),
  LSS: loadFarPointer("SS"),
  ARPL, LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW, LMSW, SMSW, CLTS,
  MOV_FROM_CR, MOV_TO_CR, MOV_FROM_DR, MOV_TO_DR, INVLPG, INVPCID, INVD, WBINVD,
  HLT, MONITOR, MWAIT, XGETBV, XSETBV, RDTSC, RDTSCP, RDPMC, RDMSR, WRMSR, CPUID, RDRAND, RDSEED,
  FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS,
};

/** Set RIP themselves. */
// biome-ignore format: one list
const transferring: Readonly<Record<string, Procedure>> = {
  CALL_FAR: farTransfer(callFar), JMP_FAR: farTransfer(jumpFar), RETF, IRET,
  SYSCALL, SYSRET, SYSENTER, SYSEXIT,
  // REP keeps them at their own RIP until the count is 0.
  INS, OUTS,
};

/** Deliver an event, which ends blocking by STI or MOV SS, or a VM exit takes its place and saves that. */
const delivering: Readonly<Record<string, Procedure>> = { INT, INT1, INT3, INTO };

/**
 * Privilege before the procedure, and no pending debug exception left from one that faulted. Blocking by STI or MOV SS ends
 * with the instruction, not with a fault or VM exit in its place.
 */
const guarded =
  (procedure: Procedure, advances: boolean, endsShadow = true): Procedure =>
  (core, instruction) => {
    const { state, vmx } = core;
    if (instruction.row.privileged && cpl(state) !== 0)
      return vmx?.nonRoot ? vmx.refused(instruction) : GP(0);
    const pending = state.pendingDebug;
    const { view } = state;
    const ripLow = view.getUint32(ripOffset, true);
    const ripHigh = view.getUint32(ripOffset + 4, true);
    const blocking = view.getUint32(interruptibilityOffset, true);
    if (vmx?.nonRoot) {
      const intercepted = vmx.intercept(instruction);
      if (intercepted === "done") {
        if (advances) goPast(core, instruction, ripLow, ripHigh);
        if (blocking & shadow) view.setUint32(interruptibilityOffset, blocking & ~shadow, true);
        return undefined;
      }
      if (intercepted) {
        state.pendingDebug = pending;
        return intercepted;
      }
    }
    if (endsShadow && blocking & shadow) view.setUint32(interruptibilityOffset, blocking & ~shadow, true);
    const fault = procedure(core, instruction);
    if (fault) {
      state.pendingDebug = pending;
      if (blocking & shadow)
        view.setUint32(
          interruptibilityOffset,
          view.getUint32(interruptibilityOffset, true) | (blocking & shadow),
          true,
        );
      return fault;
    }
    if (advances) goPast(core, instruction, ripLow, ripHigh);
    return undefined;
  };

/** The instructions introduced with VMX: VT-x carries them out, from privilege to RIP. */
const vmxInstruction =
  (number: number): Procedure =>
  (core, instruction) => {
    if (core.vmx === undefined) return UD();
    const { view } = core.state;
    const pending = view.getUint32(pendingDebugOffset, true);
    const fault = core.vmx.execute(instruction, number);
    if (fault) view.setUint32(pendingDebugOffset, pending, true);
    return fault;
  };

export const procedures: ReadonlyMap<string, Procedure> = new Map([
  ...[...Object.entries(advancing), ...x87Procedures].map(
    ([name, run]) => [name, guarded(run, true)] as const,
  ),
  ...Object.entries(transferring).map(([name, run]) => [name, guarded(run, false)] as const),
  ...Object.entries(delivering).map(([name, run]) => [name, guarded(run, false, false)] as const),
  ...vmxInstructionNames.map((name, number) => [name, vmxInstruction(number)] as const),
]);
