import { CR0 } from "../../arch/control-registers.ts";
import { DR6, DR7 } from "../../arch/debug-registers.ts";
import { Exception } from "../../arch/exceptions.ts";
import { readControlRegister, writeControlRegister, writeXCR0 } from "../../cpu/control-registers.ts";
import { debugRegisterNumber, readDebugRegister, writeDebugRegister } from "../../cpu/debug-registers.ts";
import { Fault } from "../../cpu/fault.ts";
import { cpl } from "../../cpu/mode.ts";
import { guestCR4, loadControlState, storeControlState } from "../host/guest-state.ts";
import { field } from "../host/vmcs-slots.ts";
import { injectFault } from "./emulate.ts";
import type { ExitingVcpu } from "./exiting-vcpu.ts";
import { readGuestMsr, writeGuestMsr } from "./guest-msrs.ts";

/** Exits by instructions that read and write control, debug and model-specific registers. */

const RAX = 0;
const RCX = 1;
const RDX = 2;

/** #GP(0), or another exception, in place of the instruction. */
export const refuse = ({ vmx }: ExitingVcpu, vector: number = Exception.GP): 1 => {
  if (vector === Exception.UD) vmx.events.queueException(vector);
  else vmx.events.queueException(vector, 0);
  return 1;
};

const setControlRegister = (vcpu: ExitingVcpu, number: number, value: bigint): boolean => {
  const { vmx } = vcpu;
  loadControlState(vmx.core.state, vmx);
  const fault = writeControlRegister(vmx.core, number, value);
  if (fault instanceof Fault) {
    injectFault(vcpu, fault);
    return false;
  }
  if (number !== 8) storeControlState(vmx.core.state, vmx);
  // With paging, long mode begins or ends.
  if (number === 0) vmx.switchEfer();
  return true;
};

/** The four kinds of access of the exit qualification (SDM Vol. 3, "Exit Qualification for Control-Register Accesses"). */
const crAccess = { toCR: 0, fromCR: 1, CLTS: 2, LMSW: 3 } as const;

export const exitCrAccess = (vcpu: ExitingVcpu): 0 | 1 => {
  const { vmx } = vcpu;
  const { state } = vmx.core;
  const qualification = vmx.read32(field["exit.qualification"]);
  const number = qualification & 0xf;
  const general = (qualification >>> 8) & 0xf;
  switch ((qualification >>> 4) & 3) {
    case crAccess.toCR:
      if (!setControlRegister(vcpu, number, vmx.register(general))) return 1;
      break;
    case crAccess.fromCR: {
      loadControlState(state, vmx);
      const value = readControlRegister(vmx.core, number);
      if (value === undefined) return refuse(vcpu, Exception.UD);
      vmx.setRegister(general, value);
      break;
    }
    case crAccess.CLTS:
      loadControlState(state, vmx);
      state.CR0 &= ~CR0.TS;
      storeControlState(state, vmx);
      vcpu.activateFpu();
      break;
    default: {
      // LMSW cannot clear PE.
      loadControlState(state, vmx);
      const kept = state.CR0 & ~(CR0.MP | CR0.EM | CR0.TS);
      const source = BigInt(qualification >>> 16) & 0xfn;
      if (!setControlRegister(vcpu, 0, kept | source)) return 1;
    }
  }
  vmx.skipInstruction();
  return 1;
};

export const exitMovDr = (vcpu: ExitingVcpu): 0 | 1 => {
  const { vmx } = vcpu;
  const { state } = vmx.core;
  const qualification = vmx.read32(field["exit.qualification"]);
  const dr7 = field["guest.dr7"];
  state["SS.access"] = vmx.read32(field["guest.ss.access"]);
  state.CR4 = guestCR4(vmx);
  state.DR7 = vmx.read64(dr7);
  if (cpl(state) !== 0) return refuse(vcpu);
  if (state.DR7 & DR7.GD) {
    state.DR6 |= DR6.BD;
    vmx.write64(dr7, state.DR7 & ~DR7.GD);
    vmx.events.queueException(Exception.DB);
    return 1;
  }
  const number = debugRegisterNumber(state, qualification & 7);
  if (number === undefined) return refuse(vcpu, Exception.UD);
  const general = (qualification >>> 8) & 0xf;
  if (qualification & 0x10) vmx.setRegister(general, readDebugRegister(state, number));
  else {
    if (!writeDebugRegister(state, number, vmx.register(general))) return refuse(vcpu);
    vmx.write64(dr7, state.DR7);
    vcpu.debugRegistersChanged();
  }
  vmx.skipInstruction();
  return 1;
};

export const exitRdmsr = (vcpu: ExitingVcpu): 1 => {
  const { vmx } = vcpu;
  const value = readGuestMsr(vmx, vmx.low(RCX));
  if (value === undefined) return refuse(vcpu);
  vmx.setLow(RAX, Number(value & 0xffff_ffffn));
  vmx.setLow(RDX, Number(value >> 32n));
  vmx.skipInstruction();
  return 1;
};

export const exitWrmsr = (vcpu: ExitingVcpu): 1 => {
  const { vmx } = vcpu;
  const value = (BigInt(vmx.low(RDX)) << 32n) | BigInt(vmx.low(RAX));
  if (!writeGuestMsr(vmx, vmx.low(RCX), value)) return refuse(vcpu);
  vmx.skipInstruction();
  return 1;
};

export const exitXsetbv = (vcpu: ExitingVcpu): 1 => {
  const { vmx } = vcpu;
  const { core } = vmx;
  core.state["SS.access"] = vmx.read32(field["guest.ss.access"]);
  const value = (BigInt(vmx.low(RDX)) << 32n) | BigInt(vmx.low(RAX));
  if (cpl(core.state) !== 0 || vmx.low(RCX) !== 0 || writeXCR0(core, value) !== undefined)
    return refuse(vcpu);
  vcpu.loadXcr0();
  vmx.skipInstruction();
  return 1;
};
