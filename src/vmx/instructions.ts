import { CR4 } from "../arch/control-registers.ts";
import { IA32_FEATURE_CONTROL } from "../arch/msrs.ts";
import { Fault, type ProcedureOutcome } from "../cpu/core.ts";
import { cpl, is64Bit, isCanonical, isIa32e, isRealLike } from "../cpu/mode.ts";
import { readMemoryOperand, readOperand, writeMemoryOperand } from "../cpu/operands.ts";
import { GP, UD } from "../cpu/segmentation.ts";
import { type VmxInstructionName, VmxOperation, vmxInstructionNames } from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { noteWrite, regionOffset, setCurrentVmcs } from "./current-vmcs.ts";
import { isValidEptp } from "./eptp.ts";
import { shadowAccess, vmxInstructionExit } from "./intercepts/vmx-instructions.ts";
import { VMfail, VMfailInvalid, VMfailValid, VMsucceed } from "./outcome.ts";
import { vmEntry } from "./vm-entry.ts";
import { vmFunction } from "./vm-functions.ts";
import { header } from "./vmcs.ts";
import { vmread, vmwrite } from "./vmcs-access.ts";
import type { VmxProcessor } from "./vmx-processor.ts";
import { invalidateEpt, invalidateVpid } from "./worlds.ts";

/** The instructions introduced with VMX: SDM Vol. 3, "VMX Instruction Reference", their "Operation" sections, in that order. */

type VmxInstruction = (vmx: VmxProcessor, instruction: Instruction) => ProcedureOutcome;

const shadowIndicator = 0x8000_0000;
const blockingByMovSS = 2;
const interruptibilityOffset = offsetOf("interruptibility");

/** Not recognized in real-address, virtual-8086 and compatibility mode. */
const isUnrecognized = ({ core: { state } }: VmxProcessor): boolean =>
  isRealLike(state) || (isIa32e(state) && !is64Bit(state));

/**
 * What all but VMXON, VMCALL and VMFUNC begin with: #UD outside VMX operation and in modes that do not know them, the VM exit, privilege.
 * `exits` tells whether non-root operation gives the instruction up.
 */
const beginning = (vmx: VmxProcessor, instruction: Instruction): Fault | undefined => {
  if (!vmx.inVmxOperation || isUnrecognized(vmx)) return UD();
  if (vmx.nonRoot) return vmxInstructionExit(vmx, instruction);
  return cpl(vmx.core.state) > 0 ? GP(0) : undefined;
};

const inRootOperation =
  (rest: VmxInstruction): VmxInstruction =>
  (vmx, instruction) =>
    beginning(vmx, instruction) ?? rest(vmx, instruction);

/** 4-KByte aligned, and within the physical-address width (32 bits where IA32_VMX_BASIC[48] is 1). */
const isRegionAddress = ({ core: { model } }: VmxProcessor, address: bigint): boolean =>
  (address & 0xfffn) === 0n && address >> BigInt(model.has("LM") ? model.physicalAddressBits : 32) === 0n;

const enterVmxOperation = (vmx: VmxProcessor, instruction: Instruction): ProcedureOutcome => {
  const { core, capability } = vmx;
  const { state } = core;
  if (cpl(state) > 0) return GP(0);
  const { cr0, cr4 } = capability;
  const unsupported =
    (cr0.fixed0 & ~state.CR0) |
    (state.CR0 & ~cr0.fixed1) |
    (cr4.fixed0 & ~state.CR4) |
    (state.CR4 & ~cr4.fixed1);
  // SMX operation does not exist here.
  const { lock, vmxOutsideSMX } = IA32_FEATURE_CONTROL;
  const allowing = lock | vmxOutsideSMX;
  if (unsupported !== 0n || (state.IA32_FEATURE_CONTROL & allowing) !== allowing) return GP(0);
  const address = readMemoryOperand(core, instruction, 0, 8);
  if (address instanceof Fault) return address;
  if (!isRegionAddress(vmx, address)) return VMfailInvalid(vmx, instruction);
  const region = regionOffset(vmx, address);
  if (region < 0 || vmx.memory.view.getUint32(region, true) !== capability.revision)
    return VMfailInvalid(vmx, instruction);
  setCurrentVmcs(vmx, undefined);
  state["vmx.vmxonPointer"] = address;
  state["vmx.operation"] = VmxOperation.root;
  state["MONITOR.armed"] = 0;
  // What an earlier host's guests have left: a reset in between would have dropped it.
  invalidateEpt(vmx, undefined);
  invalidateVpid(vmx, undefined);
  return VMsucceed(vmx, instruction);
};

const VMXON: VmxInstruction = (vmx, instruction) => {
  const { state } = vmx.core;
  if (isUnrecognized(vmx) || !(state.CR4 & CR4.VMXE)) return UD();
  if (!vmx.inVmxOperation) return enterVmxOperation(vmx, instruction);
  if (vmx.nonRoot) return vmxInstructionExit(vmx, instruction);
  return cpl(state) > 0 ? GP(0) : VMfail(vmx, instruction, 15);
};

const VMXOFF = inRootOperation((vmx, instruction) => {
  const { state } = vmx.core;
  setCurrentVmcs(vmx, undefined);
  state["vmx.operation"] = VmxOperation.off;
  state["MONITOR.armed"] = 0;
  return VMsucceed(vmx, instruction);
});

const VMCLEAR = inRootOperation((vmx, instruction) => {
  const { state } = vmx.core;
  const address = readMemoryOperand(vmx.core, instruction, 0, 8);
  if (address instanceof Fault) return address;
  if (!isRegionAddress(vmx, address)) return VMfail(vmx, instruction, 2);
  if (address === state["vmx.vmxonPointer"]) return VMfail(vmx, instruction, 3);
  const region = regionOffset(vmx, address);
  if (region >= 0) {
    noteWrite(vmx, region);
    vmx.memory.view.setUint32(region + header.launchState, 0, true);
  }
  if (address === state["vmx.currentVmcs"]) setCurrentVmcs(vmx, undefined);
  return VMsucceed(vmx, instruction);
});

const VMPTRLD = inRootOperation((vmx, instruction) => {
  const { capability, core } = vmx;
  const address = readMemoryOperand(core, instruction, 0, 8);
  if (address instanceof Fault) return address;
  if (!isRegionAddress(vmx, address)) return VMfail(vmx, instruction, 9);
  if (address === core.state["vmx.vmxonPointer"]) return VMfail(vmx, instruction, 10);
  const region = regionOffset(vmx, address);
  if (region < 0) return VMfail(vmx, instruction, 11);
  const revision = vmx.memory.view.getUint32(region + header.revision, true);
  const compared = capability.offers("vmcsShadowing") ? revision & 0x7fff_ffff : revision;
  if (compared !== capability.revision) return VMfail(vmx, instruction, 11);
  setCurrentVmcs(vmx, address);
  return VMsucceed(vmx, instruction);
});

const VMPTRST = inRootOperation((vmx, instruction) => {
  const { core } = vmx;
  return (
    writeMemoryOperand(core, instruction, 0, core.state["vmx.currentVmcs"], 8) ?? VMsucceed(vmx, instruction)
  );
});

/** VMREAD and VMWRITE of the current VMCS, or in non-root operation of the shadow VMCS where the bitmaps allow it. */
const vmcsAccess =
  (access: typeof vmread): VmxInstruction =>
  (vmx, instruction) => {
    if (!vmx.nonRoot) {
      const refused = beginning(vmx, instruction);
      return refused ?? access(vmx, instruction, vmx.vmcs);
    }
    if (isUnrecognized(vmx)) return UD();
    const shadow = shadowAccess(vmx, instruction);
    if (shadow instanceof Fault) return shadow;
    return cpl(vmx.core.state) > 0 ? GP(0) : access(vmx, instruction, shadow);
  };

const enter =
  (launch: boolean): VmxInstruction =>
  (vmx, instruction) => {
    const { vmcs } = vmx;
    if (vmcs.base < 0 || vmcs.low(header.revision) & shadowIndicator) return VMfailInvalid(vmx, instruction);
    const blocking = vmx.core.state.view.getUint32(interruptibilityOffset, true);
    if (blocking & blockingByMovSS) return VMfailValid(vmx, instruction, 26);
    const launched = vmcs.low(header.launchState) !== 0;
    if (launch && launched) return VMfailValid(vmx, instruction, 4);
    if (!launch && !launched) return VMfailValid(vmx, instruction, 5);
    const error = vmEntry(vmx, launch);
    return error === undefined ? undefined : VMfailValid(vmx, instruction, error as 7 | 8);
  };

/** VMCALL in root operation: there is no SMM monitor to call. */
const VMCALL: VmxInstruction = (vmx, instruction) => {
  if (!vmx.inVmxOperation) return UD();
  if (vmx.nonRoot) return vmxInstructionExit(vmx, instruction);
  if (isUnrecognized(vmx)) return UD();
  return cpl(vmx.core.state) > 0 ? GP(0) : VMfail(vmx, instruction, 1);
};

/** VMFUNC in root operation, or outside VMX operation. */
const VMFUNC: VmxInstruction = (vmx, instruction) => (vmx.nonRoot ? vmFunction(vmx, instruction) : UD());

const invalidOperand = 28;

const inveptTypes = [undefined, "inveptSingleContext", "inveptAllContexts"] as const;
const INVEPT: VmxInstruction = (vmx, instruction) => {
  const { capability, core } = vmx;
  if (!capability.offers("enableEPT") || !capability.has("invept")) return UD();
  const refused = beginning(vmx, instruction);
  if (refused) return refused;
  const type = Number(readOperand(core, instruction, 0) as bigint);
  const trait = inveptTypes[type];
  if (trait === undefined || !capability.has(trait)) return VMfail(vmx, instruction, invalidOperand);
  const descriptor = readMemoryOperand(core, instruction, 1, 16);
  if (descriptor instanceof Fault) return descriptor;
  const eptp = BigInt.asUintN(64, descriptor);
  if (trait === "inveptSingleContext" && !isValidEptp(core.model, eptp))
    return VMfail(vmx, instruction, invalidOperand);
  invalidateEpt(vmx, trait === "inveptSingleContext" ? eptp : undefined);
  return VMsucceed(vmx, instruction);
};

// biome-ignore format: one list
const invvpidTypes = ["invvpidAddress", "invvpidSingleContext", "invvpidAllContexts", "invvpidRetainingGlobals"] as const;
const INVVPID: VmxInstruction = (vmx, instruction) => {
  const { capability, core } = vmx;
  if (!capability.offers("enableVPID") || !capability.has("invvpid")) return UD();
  const refused = beginning(vmx, instruction);
  if (refused) return refused;
  const type = Number(readOperand(core, instruction, 0) as bigint);
  const trait = invvpidTypes[type];
  if (trait === undefined || !capability.has(trait)) return VMfail(vmx, instruction, invalidOperand);
  const descriptor = readMemoryOperand(core, instruction, 1, 16);
  if (descriptor instanceof Fault) return descriptor;
  const vpid = Number(descriptor & 0xffffn);
  const address = descriptor >> 64n;
  if ((descriptor >> 16n) & 0xffff_ffff_ffffn) return VMfail(vmx, instruction, invalidOperand);
  if (trait !== "invvpidAllContexts" && vpid === 0) return VMfail(vmx, instruction, invalidOperand);
  if (trait === "invvpidAddress" && !isCanonical(address, core.model.linearAddressBits))
    return VMfail(vmx, instruction, invalidOperand);
  if (trait === "invvpidAllContexts") invalidateVpid(vmx, undefined);
  else if (trait === "invvpidAddress") invalidateVpid(vmx, vpid, address);
  else invalidateVpid(vmx, vpid, undefined, trait === "invvpidRetainingGlobals");
  return VMsucceed(vmx, instruction);
};

const instructions: Readonly<Record<VmxInstructionName, VmxInstruction>> = {
  VMXON,
  VMXOFF,
  VMCLEAR,
  VMPTRLD,
  VMPTRST,
  VMREAD: vmcsAccess(vmread),
  VMWRITE: vmcsAccess(vmwrite),
  VMLAUNCH: inRootOperation(enter(true)),
  VMRESUME: inRootOperation(enter(false)),
  VMCALL,
  VMFUNC,
  INVEPT,
  INVVPID,
};
const byNumber = vmxInstructionNames.map((name) => instructions[name]);

/** `VmxSocket.execute`. */
export const execute = (vmx: VmxProcessor, instruction: Instruction, number: number): ProcedureOutcome =>
  byNumber[number]!(vmx, instruction);
