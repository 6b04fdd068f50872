import { DR6, DR7 } from "../../arch/debug-registers.ts";
import { Exception } from "../../arch/exceptions.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { fetchDescriptor } from "../../cpu/descriptors.ts";
import { Fault } from "../../cpu/fault.ts";
import { cpl } from "../../cpu/mode.ts";
import { switchTask, type TaskSwitchCause } from "../../cpu/task-switch.ts";
import { loadState } from "../host/guest-state.ts";
import { eventType, field, interruption } from "../host/vmcs-slots.ts";
import { emulateInstruction, emulateStringIo, injectFault } from "./emulate.ts";
import { type ExitingVcpu, exitIo, internalError } from "./exiting-vcpu.ts";
import { InternalError, KvmExit, MpState } from "./kvm-run.ts";
import {
  exitCrAccess, exitMovDr, exitRdmsr, exitWrmsr, exitXsetbv, refuse,
} from "./register-exits.ts"; // biome-ignore format: one list
import { Request } from "./vcpu-vmx.ts";

/** What is done about each VM exit. 1: enter the guest again; 0: KVM_RUN returns, and `run` says why. */
type ExitHandler = (vcpu: ExitingVcpu) => 0 | 1;

const { valid } = interruption;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;

const skip: ExitHandler = ({ vmx }) => {
  vmx.skipInstruction();
  return 1;
};
const undefinedInstruction: ExitHandler = (vcpu) => refuse(vcpu, Exception.UD);
const nothing: ExitHandler = () => 1;

/** Exceptions of the guest that are intercepted, and NMIs of the host, which have been dealt with already. */
const exception: ExitHandler = (vcpu) => {
  const { vmx, run, exitInterruption, idtVectoring } = vcpu;
  const vector = exitInterruption & interruption.vector;
  if ((exitInterruption & interruption.type) === eventType.NMI) return 1;
  if (vector === Exception.MC) return 1;
  if (idtVectoring >= valid && vector !== Exception.PF)
    return internalError(vcpu, InternalError.SIMUL_EX, idtVectoring, exitInterruption);
  switch (vector) {
    case Exception.NM:
      vcpu.activateFpu();
      return 1;
    case Exception.UD:
      return refuse(vcpu, Exception.UD);
    case Exception.DB:
      return debugException(vcpu);
    case Exception.BP:
      run.exitReason = KvmExit.DEBUG;
      Object.assign(run.debug, { exception: vector, pc: vmx.register(16), dr6: 0n, dr7: 0n });
      return 0;
    default:
      run.exitReason = KvmExit.EXCEPTION;
      run.ex.exception = vector;
      run.ex.errorCode = vmx.read32(field["exit.interruptionErrorCode"]);
      return 0;
  }
};

const debugException: ExitHandler = ({ vmx, run }) => {
  const { state } = vmx.core;
  const bits = vmx.read64(field["exit.qualification"]) & 0xe00fn;
  const dr7 = vmx.read64(field["guest.dr7"]);
  if (vmx.debugging) {
    run.exitReason = KvmExit.DEBUG;
    Object.assign(run.debug, { exception: Exception.DB, pc: vmx.register(16), dr6: bits | DR6.FIXED, dr7 });
    return 0;
  }
  // What delivery does without an exit, and injection does not: DR6 tells why, and DR7.GD is clear.
  state.DR6 = (state.DR6 & ~0xfn) | bits | DR6.FIXED;
  vmx.write64(field["guest.dr7"], dr7 & ~DR7.GD);
  vmx.events.queueException(Exception.DB);
  return 1;
};

const shutdown: ExitHandler = ({ run }) => {
  run.exitReason = KvmExit.SHUTDOWN;
  return 0;
};

const interruptWindow: ExitHandler = ({ vmx, run }) => {
  vmx.events.windowOpened("interrupt");
  if (vmx.around.hasIrqchip || !run.requestInterruptWindow || vmx.events.interrupt.pending) return 1;
  run.exitReason = KvmExit.IRQ_WINDOW_OPEN;
  return 0;
};

const cpuid: ExitHandler = ({ vmx }) => {
  const { core } = vmx;
  const found = core.model.cpuid(core, vmx.low(RAX), vmx.low(RCX));
  vmx.setLow(RAX, found.eax);
  vmx.setLow(RBX, found.ebx);
  vmx.setLow(RCX, found.ecx);
  vmx.setLow(RDX, found.edx);
  vmx.skipInstruction();
  return 1;
};

const hlt: ExitHandler = ({ vmx, run }) => {
  vmx.skipInstruction();
  if (vmx.around.hasIrqchip) {
    vmx.mpState = MpState.HALTED;
    return 1;
  }
  run.exitReason = KvmExit.HLT;
  return 0;
};

const hypercall = { noSuchCall: -1000n, notPermitted: -1n, pollIrq: 1n } as const;
const vmcall: ExitHandler = ({ vmx }) => {
  vmx.core.state["SS.access"] = vmx.read32(field["guest.ss.access"]);
  const number = vmx.register(RAX);
  const isUser = cpl(vmx.core.state) > 0;
  const result = isUser ? hypercall.notPermitted : number === hypercall.pollIrq ? 0n : hypercall.noSuchCall;
  vmx.setRegister(RAX, BigInt.asUintN(64, result));
  vmx.skipInstruction();
  return 1;
};

const ioInstruction: ExitHandler = (vcpu) => {
  const { vmx, devices } = vcpu;
  const qualification = vmx.read32(field["exit.qualification"]);
  const size = ((qualification & 7) + 1) as 1 | 2 | 4;
  const isIn = (qualification & 8) !== 0;
  const port = qualification >>> 16;
  if (qualification & 0x10) return emulateStringIo(vcpu, port, size, isIn);
  if (!isIn) {
    vmx.skipInstruction();
    const value = vmx.low(RAX);
    return exitIo(vcpu, port, size, size === 4 ? value : value & (2 ** (8 * size) - 1));
  }
  const finish = (value: number): 1 => {
    if (size === 4) vmx.setLow(RAX, value);
    else {
      const mask = 2n ** BigInt(8 * size) - 1n;
      vmx.setRegister(RAX, (vmx.register(RAX) & ~mask) | (BigInt(value) & mask));
    }
    vmx.skipInstruction();
    return 1;
  };
  if (devices?.ownsPort(port)) return finish(devices.readPort(port, size));
  vcpu.run.exitReason = KvmExit.IO;
  Object.assign(vcpu.run.io, { isOut: false, size, port, count: 1 });
  vcpu.complete = () => finish(vcpu.run.ioValue(size));
  return 0;
};

const violation = { write: 2, linearValid: 0x80 } as const;
const eptViolation: ExitHandler = (vcpu) => {
  const { vmx, memory, idtVectoring } = vcpu;
  const qualification = vmx.read32(field["exit.qualification"]);
  vmx.events.recoverFromViolation(qualification, idtVectoring);
  const address = vmx.readNumber(field["exit.guestPhysicalAddress"]);
  if (memory.fault(address, (qualification & violation.write) !== 0)) return 1;
  if (idtVectoring >= valid)
    return internalError(vcpu, InternalError.DELIVERY_EV, idtVectoring, vcpu.exitReason);
  return emulateInstruction(vcpu);
};

const taskSwitch: ExitHandler = (vcpu) => {
  const { vmx, idtVectoring } = vcpu;
  const { core } = vmx;
  const { state } = core;
  const qualification = vmx.read32(field["exit.qualification"]);
  const cause = (["CALL", "IRET", "JMP", "interrupt"] as const)[qualification >>> 30]! as TaskSwitchCause;
  const type = idtVectoring & interruption.type;
  const isEvent = idtVectoring >= valid;
  const isSoftware = type === eventType.softwareInterrupt || type === eventType.softwareException || !isEvent;
  const errorCode =
    isEvent && idtVectoring & interruption.deliversErrorCode
      ? vmx.read32(field["exit.idtVectoringErrorCode"])
      : undefined;
  loadState(state, vmx);
  const length = isSoftware ? vmx.read32(field["exit.instructionLength"]) : 0;
  const descriptor = fetchDescriptor(core, qualification & 0xffff);
  if (descriptor === undefined || descriptor instanceof Fault || errorCode !== undefined)
    return internalError(vcpu, InternalError.EMULATION, vcpu.exitReason);
  // The event has become the task switch.
  const { events } = vmx;
  events.exception.pending = events.interrupt.pending = events.nmiInjected = false;
  const fault = switchTask(core, descriptor, cause, state.RIP + BigInt(length));
  vmx.storeAll();
  return fault === undefined ? 1 : injectFault(vcpu, fault);
};

// biome-ignore format: one row per reason
const handlers = new Map<number, ExitHandler>([
  [ExitReason.EXCEPTION_OR_NMI, exception],
  [ExitReason.EXTERNAL_INTERRUPT, nothing],
  [ExitReason.TRIPLE_FAULT, shutdown],
  [ExitReason.INTERRUPT_WINDOW, interruptWindow],
  [ExitReason.NMI_WINDOW, ({ vmx }) => { vmx.events.windowOpened("NMI"); return 1; }],
  [ExitReason.TASK_SWITCH, taskSwitch],
  [ExitReason.CPUID, cpuid],
  [ExitReason.GETSEC, undefinedInstruction],
  [ExitReason.HLT, hlt],
  [ExitReason.INVD, skip],
  [ExitReason.INVLPG, skip],
  [ExitReason.RDPMC, (vcpu) => refuse(vcpu)],
  [ExitReason.VMCALL, vmcall],
  ...[ExitReason.VMCLEAR, ExitReason.VMLAUNCH, ExitReason.VMPTRLD, ExitReason.VMPTRST, ExitReason.VMREAD, ExitReason.VMRESUME, ExitReason.VMWRITE, ExitReason.VMXOFF, ExitReason.VMXON,
    ExitReason.INVEPT, ExitReason.INVVPID, ExitReason.MWAIT, ExitReason.MONITOR].map((reason) => [reason, undefinedInstruction] as const),
  [ExitReason.CR_ACCESS, exitCrAccess],
  [ExitReason.MOV_DR, exitMovDr],
  [ExitReason.IO_INSTRUCTION, ioInstruction],
  [ExitReason.RDMSR, exitRdmsr],
  [ExitReason.WRMSR, exitWrmsr],
  [ExitReason.PAUSE, nothing],
  [ExitReason.TPR_BELOW_THRESHOLD, ({ vmx }) => { vmx.request(Request.EVENT); return 1; }],
  [ExitReason.EPT_VIOLATION, eptViolation],
  [ExitReason.WBINVD, skip],
  [ExitReason.XSETBV, exitXsetbv],
]);

const failedEntry = 2 ** 31;
/** After these an event that was being delivered is delivered again; after others it would have been lost. */
const expectsVectoring = new Set<number>([
  ExitReason.EXCEPTION_OR_NMI,
  ExitReason.EPT_VIOLATION,
  ExitReason.TASK_SWITCH,
]);

/** Who deals with the exit. `fail`: VMLAUNCH or VMRESUME itself did not succeed. */
export const answerExit = (vcpu: ExitingVcpu, fail: boolean): 0 | 1 => {
  const { vmx, run, exitReason, idtVectoring } = vcpu;
  // In the original's order: a failed instruction after a failed entry looks like another failed entry.
  const isStale = fail && !vmx.around.kvm.quirks.believesStaleFields;
  if (exitReason >= failedEntry && !isStale) {
    run.exitReason = KvmExit.FAIL_ENTRY;
    run.hardwareEntryFailureReason = exitReason;
    return 0;
  }
  if (fail) {
    run.exitReason = KvmExit.FAIL_ENTRY;
    run.hardwareEntryFailureReason = vmx.read32(field["exit.vmInstructionError"]);
    return 0;
  }
  if (idtVectoring >= valid && !expectsVectoring.has(exitReason)) vmx.around.kvm.unexpectedVectoring++;
  const handler = handlers.get(exitReason);
  if (handler !== undefined) return handler(vcpu);
  run.exitReason = KvmExit.UNKNOWN;
  run.hardwareExitReason = exitReason;
  return 0;
};
