import { DR6 } from "../../arch/debug-registers.ts";
import { Exception } from "../../arch/exceptions.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { evaluateInstruction } from "../../cpu/evaluator.ts";
import { Fault } from "../../cpu/fault.ts";
import { fetchInstruction } from "../../cpu/instruction-fetch.ts";
import { codeSize, isRealLike, stackSize } from "../../cpu/mode.ts";
import { procedures } from "../../cpu/procedures.ts";
import { readMemory, writeMemory } from "../../cpu/segmentation.ts";
import type { Instruction, MemoryOperand } from "../../isa/instruction.ts";
import type { DeviceAccess, EmulatedBus } from "./emulated-bus.ts";
import { type ExitingVcpu, exitIo, internalError } from "./exiting-vcpu.ts";
import { loadState, storeRegisters } from "./guest-state.ts";
import { InternalError, KvmExit } from "./kvm-run.ts";

/** The instruction emulator: what an instruction does is the machine's own description of it, carried out on the guest's registers. */

const fetch = ({ vmx }: ExitingVcpu): Instruction | Fault => {
  const { core } = vmx;
  const { state } = core;
  loadState(state, vmx);
  state.CR2 = vmx.cr2;
  return fetchInstruction(core, {
    codeSize: codeSize(state),
    stackSize: stackSize(state),
    realLike: isRealLike(state),
  });
};

/** An exception of the emulated instruction, for the guest. */
export const injectFault = ({ vmx }: ExitingVcpu, { vector, errorCode, payload }: Fault): 1 => {
  if (vector === Exception.PF && payload !== undefined) vmx.cr2 = payload;
  vmx.events.queueException(vector, errorCode);
  return 1;
};

/** Registers that emulation has no part in: those of the FPU. */
const isEmulated = (instruction: Instruction): boolean =>
  !procedures.has(instruction.row.semantics.mnemonic) &&
  instruction.operands.every((operand) => operand.kind !== "register" || operand.file === "general");

/** Emulate the instruction at CS:RIP, which has met a device. 1: the guest goes on. */
export const emulateInstruction = (vcpu: ExitingVcpu): 0 | 1 => {
  vcpu.bus.answers.length = 0;
  return again(vcpu);
};

const again = (vcpu: ExitingVcpu): 0 | 1 => {
  const { vmx, bus, run } = vcpu;
  const { state } = vmx.core;
  bus.restart();
  const instruction = fetch(vcpu);
  if (instruction instanceof Fault) return injectFault(vcpu, instruction);
  if (!isEmulated(instruction)) return internalError(vcpu, InternalError.EMULATION, vcpu.exitReason);
  const { wanted } = bus;
  if (wanted !== undefined) return internalError(vcpu, InternalError.EMULATION, vcpu.exitReason);
  const traps = (state.RFLAGS & RFLAGS.TF) !== 0n;
  const fault = evaluateElement(vcpu, instruction);
  const missing = bus.wanted as EmulatedBus["wanted"];
  if (missing !== undefined) {
    run.exitReason = KvmExit.MMIO;
    Object.assign(run.mmio, { address: missing.address, length: missing.size, isWrite: false, value: 0 });
    vcpu.complete = () => {
      bus.answers.push(run.mmio.value >>> 0);
      return again(vcpu);
    };
    return 0;
  }
  if (fault !== undefined) return injectFault(vcpu, fault);
  storeRegisters(state, vmx);
  vmx.clearShadow();
  if (traps) {
    state.DR6 |= DR6.BS;
    vmx.events.queueException(Exception.DB);
  }
  return deliverWrites(vcpu, [...bus.writes]);
};

/** One element of a repeated instruction, else all of it. */
const evaluateElement = ({ vmx }: ExitingVcpu, instruction: Instruction): Fault | undefined => {
  const { core } = vmx;
  const { state } = core;
  const { row, rep, addressSize } = instruction;
  if (row.repeat === undefined || rep === "none") return evaluateInstruction(core, instruction);
  const rip = state.RIP;
  const count = BigInt.asUintN(addressSize, state.RCX);
  if (count === 0n) {
    state.RIP = rip + BigInt(instruction.length);
    return undefined;
  }
  const fault = evaluateInstruction(core, { ...instruction, rep: "none" });
  if (fault !== undefined) return fault;
  const left = count - 1n;
  state.RCX = addressSize === 16 ? (state.RCX & ~0xffffn) | left : left;
  const isZero = (state.RFLAGS & RFLAGS.ZF) !== 0n;
  const ends = row.repeat === "repz" && isZero !== (rep === "repz");
  if (left !== 0n && !ends) state.RIP = rip;
  return undefined;
};

/** Stores to devices: those in the kernel at once, the others one exit each. */
const deliverWrites = (vcpu: ExitingVcpu, writes: DeviceAccess[]): 0 | 1 => {
  for (let next = writes.shift(); next !== undefined; next = writes.shift()) {
    const { address, size, value } = next;
    if (vcpu.devices?.ownsMemory(address)) {
      vcpu.devices.writeMemory(address, value, size);
      continue;
    }
    vcpu.run.exitReason = KvmExit.MMIO;
    Object.assign(vcpu.run.mmio, { address, length: size, isWrite: true, value });
    vcpu.complete = () => deliverWrites(vcpu, writes);
    return 0;
  }
  return 1;
};

const RCX = 1;
const RSI = 6;
const RDI = 7;

/** INS and OUTS, one element at a time. */
export const emulateStringIo = (vcpu: ExitingVcpu, port: number, size: 1 | 2 | 4, isIn: boolean): 0 | 1 => {
  const { vmx, run } = vcpu;
  const { core } = vmx;
  const { state } = core;
  vcpu.bus.restart();
  vcpu.bus.answers.length = 0;
  const instruction = fetch(vcpu);
  if (instruction instanceof Fault) return injectFault(vcpu, instruction);
  const { addressSize, rep, operands } = instruction;
  const memory = operands.find((operand): operand is MemoryOperand => operand.kind === "memory");
  if (memory === undefined) return internalError(vcpu, InternalError.EMULATION, vcpu.exitReason);
  const pointer = isIn ? RDI : RSI;
  const offset = BigInt.asUintN(addressSize, state.general(pointer));
  const finish = (): 1 => {
    const step = state.RFLAGS & RFLAGS.DF ? -BigInt(size) : BigInt(size);
    setPart(vmx, pointer, offset + step, addressSize);
    let isLast = true;
    if (rep !== "none") {
      const left = BigInt.asUintN(addressSize, vmx.register(RCX)) - 1n;
      setPart(vmx, RCX, left, addressSize);
      isLast = left === 0n;
    }
    if (isLast) vmx.skipInstruction();
    return 1;
  };
  if (rep !== "none" && BigInt.asUintN(addressSize, state.RCX) === 0n) {
    vmx.skipInstruction();
    return 1;
  }
  if (!isIn) {
    const value = readMemory(core, memory.segment, offset, size);
    if (value instanceof Fault) return injectFault(vcpu, value);
    finish();
    return exitIo(vcpu, port, size, Number(value));
  }
  const store = (value: number): 1 => {
    const fault = writeMemory(core, memory.segment, offset, BigInt(value), size);
    return fault === undefined ? finish() : injectFault(vcpu, fault);
  };
  if (vcpu.devices?.ownsPort(port)) return store(vcpu.devices.readPort(port, size));
  run.exitReason = KvmExit.IO;
  Object.assign(run.io, { isOut: false, size, port, count: 1 });
  vcpu.complete = () => store(readBuffer(vcpu, size));
  return 0;
};

/** Write a register as an instruction with this address size does. */
const setPart = (vmx: ExitingVcpu["vmx"], number: number, value: bigint, size: number): void => {
  const kept = size === 16 ? vmx.register(number) & ~0xffffn : 0n;
  vmx.setRegister(number, kept | BigInt.asUintN(size, value));
};

/** What the user has put into the data of an IO exit. */
export const readBuffer = ({ run: { buffer } }: ExitingVcpu, size: 1 | 2 | 4): number =>
  size === 1 ? buffer.getUint8(0) : size === 2 ? buffer.getUint16(0, true) : buffer.getUint32(0, true);
