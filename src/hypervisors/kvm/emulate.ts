import { Exception } from "../../arch/exceptions.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { Fault } from "../../cpu/fault.ts";
import { readMemory, writeMemory } from "../../cpu/segmentation.ts";
import type { MemoryOperand } from "../../isa/instruction.ts";
import type { DeviceAccess } from "../host/emulated-bus.ts";
import { loadState, storeRegisters } from "../host/guest-state.ts";
import { emulate, fetchAt } from "../host/instruction-emulator.ts";
import { type ExitingVcpu, exitIo, internalError } from "./exiting-vcpu.ts";
import { InternalError, KvmExit } from "./kvm-run.ts";

/** Instructions that have met a device, and those that move strings to ports. */

/** An exception of the emulated instruction, for the guest. */
export const injectFault = ({ vmx }: ExitingVcpu, { vector, errorCode, payload }: Fault): 1 => {
  if (vector === Exception.PF && payload !== undefined) vmx.cr2 = payload;
  vmx.events.queueException(vector, errorCode);
  return 1;
};

/** Emulate the instruction at CS:RIP, which has met a device. 1: the guest goes on. */
export const emulateInstruction = (vcpu: ExitingVcpu): 0 | 1 => {
  vcpu.bus.answers.length = 0;
  return again(vcpu);
};

const again = (vcpu: ExitingVcpu): 0 | 1 => {
  const { vmx, bus, run } = vcpu;
  const { core } = vmx;
  loadForEmulation(vcpu);
  const outcome = emulate(core, bus);
  switch (outcome.kind) {
    case "refused":
      return internalError(vcpu, InternalError.EMULATION, vcpu.exitReason);
    case "fault":
      return injectFault(vcpu, outcome.fault);
    case "wanted": {
      const { address, size } = bus.wanted!;
      run.exitReason = KvmExit.MMIO;
      Object.assign(run.mmio, { address, length: size, isWrite: false, value: 0 });
      vcpu.complete = () => {
        bus.answers.push(run.mmio.value >>> 0);
        return again(vcpu);
      };
      return 0;
    }
    case "done":
      storeRegisters(core.state, vmx);
      vmx.clearShadow();
      if (outcome.traps) vmx.events.queueException(Exception.DB);
      return deliverWrites(vcpu, [...bus.writes]);
  }
};

const loadForEmulation = ({ vmx }: ExitingVcpu): void => {
  loadState(vmx.core.state, vmx);
  vmx.core.state.CR2 = vmx.cr2;
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
  loadForEmulation(vcpu);
  const instruction = fetchAt(core);
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
  vcpu.complete = () => store(run.ioValue(size));
  return 0;
};

/** Write a register as an instruction with this address size does. */
const setPart = (vmx: ExitingVcpu["vmx"], number: number, value: bigint, size: number): void => {
  const kept = size === 16 ? vmx.register(number) & ~0xffffn : 0n;
  vmx.setRegister(number, kept | BigInt.asUintN(size, value));
};
