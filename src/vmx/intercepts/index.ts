import { CR4 } from "../../arch/control-registers.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import type { Core, Fault } from "../../cpu/core.ts";
import { umip } from "../../cpu/descriptor-tables.ts";
import { cpl } from "../../cpu/mode.ts";
import { GP, UD } from "../../cpu/segmentation.ts";
import * as system from "../../cpu/system.ts";
import { VmxStep } from "../../cpu/vmx-socket.ts";
import type { Instruction, RegisterOperand } from "../../isa/instruction.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import * as controlRegisters from "./control-registers.ts";
import {
  displacement, invalidationInformation, memoryInformation, operandLinear, randomInformation, selectorInformation, tableInformation,
} from "./information.ts"; // biome-ignore format: one list
import { controlIsSet, type ExitRow, exiting, exitOf, type Intercept } from "./intercept.ts";
import { IN, INS, OUT, OUTS } from "./io.ts";
import { RDMSR, WRMSR } from "./msrs.ts";
import { PAUSE, watchesPause } from "./pause.ts";

/**
 * Instructions in VMX non-root operation, by mnemonic (SDM Vol. 3, "Instructions That Cause VM Exits" and "Changes to Instruction
 * Behavior in VMX Non-Root Operation"). The privilege level has been checked. Those introduced with VMX are in ../instructions.ts.
 */

const R = ExitReason;

const cpuidFaults = (core: Core): Fault | undefined => (system.cpuidFaults(core) ? GP(0) : undefined);
const timeStampFaults = (core: Core): Fault | undefined =>
  system.timeStampDisabled(core) ? GP(0) : undefined;
const monitorFaults = (core: Core): Fault | undefined => (system.monitorUnavailable(core) ? UD() : undefined);
const xsetbvFaults = ({ state }: Core): Fault | undefined => {
  if (!(state.CR4 & CR4.OSXSAVE)) return UD();
  return cpl(state) > 0 ? GP(0) : undefined;
};
const rdpmcFaults = ({ state }: Core): Fault | undefined =>
  cpl(state) > 0 && !(state.CR4 & CR4.PCE) ? GP(0) : undefined;

const table = { control: "descriptorTableExiting", qualification: displacement } as const;
const randomness = { information: randomInformation } as const;

/** MWAIT: is the monitor armed? */
const isArmed = ({ state }: Core): bigint => (state["MONITOR.armed"] & system.Monitor.armed ? 1n : 0n);
const linearOperand = (core: Core, instruction: Instruction): bigint => operandLinear(core, instruction, 0);

/** MOV DR. The exit comes before #GP by privilege, #UD for DR4 and DR5, and #DB by DR7.GD. */
const debugRegister = (index: 0 | 1): ((core: Core, instruction: Instruction) => bigint) => {
  const fromDebugRegister = index === 1 ? 1 << 4 : 0;
  return (_core, { operands }) =>
    BigInt(
      (operands[index] as RegisterOperand).number |
        fromDebugRegister |
        ((operands[1 - index] as RegisterOperand).number << 8),
    );
};

// biome-ignore format: one row per fact
const exitRows: Readonly<Record<string, ExitRow>> = {
  CPUID:       { reason: R.CPUID, first: cpuidFaults },
  INVD:        { reason: R.INVD },
  XSETBV:      { reason: R.XSETBV, first: xsetbvFaults },
  HLT:         { reason: R.HLT, control: "hltExiting" },
  INVLPG:      { reason: R.INVLPG, control: "invlpgExiting", qualification: linearOperand },
  INVPCID:     { reason: R.INVPCID, control: "invlpgExiting", enabledBy: "enableINVPCID", qualification: displacement, information: invalidationInformation },
  MONITOR:     { reason: R.MONITOR, control: "monitorExiting", first: monitorFaults },
  MWAIT:       { reason: R.MWAIT, control: "mwaitExiting", first: monitorFaults, qualification: isArmed },
  RDPMC:       { reason: R.RDPMC, control: "rdpmcExiting", first: rdpmcFaults },
  RDTSC:       { reason: R.RDTSC, control: "rdtscExiting", first: timeStampFaults },
  RDTSCP:      { reason: R.RDTSCP, control: "rdtscExiting", enabledBy: "enableRDTSCP", first: timeStampFaults },
  WBINVD:      { reason: R.WBINVD, control: "wbinvdExiting" },
  RDRAND:      { reason: R.RDRAND, control: "rdrandExiting", ...randomness },
  RDSEED:      { reason: R.RDSEED, control: "rdseedExiting", ...randomness },
  MOV_TO_DR:   { reason: R.MOV_DR, control: "movDRExiting", qualification: debugRegister(0) },
  MOV_FROM_DR: { reason: R.MOV_DR, control: "movDRExiting", qualification: debugRegister(1) },
  SGDT: { reason: R.GDTR_IDTR_ACCESS, ...table, first: umip, information: tableInformation(0) },
  SIDT: { reason: R.GDTR_IDTR_ACCESS, ...table, first: umip, information: tableInformation(1) },
  LGDT: { reason: R.GDTR_IDTR_ACCESS, ...table, information: tableInformation(2) },
  LIDT: { reason: R.GDTR_IDTR_ACCESS, ...table, information: tableInformation(3) },
  SLDT: { reason: R.LDTR_TR_ACCESS, ...table, first: umip, information: selectorInformation(0) },
  STR:  { reason: R.LDTR_TR_ACCESS, ...table, first: umip, information: selectorInformation(1) },
  LLDT: { reason: R.LDTR_TR_ACCESS, ...table, information: selectorInformation(2) },
  LTR:  { reason: R.LDTR_TR_ACCESS, ...table, information: selectorInformation(3) },
};

const enableXSAVES = controlIsSet("enableXSAVES");
const xssExitingBitmap = fieldOffset("control.xssExitingBitmap");

/** XSAVES and XRSTORS of a component that the XSS-exiting bitmap names. */
const supervisorState =
  (reason: typeof R.XSAVES | typeof R.XRSTORS): Intercept =>
  (vmx, instruction) => {
    const { core, vmcs } = vmx;
    const { state } = core;
    if (!enableXSAVES(vmx) || !(state.CR4 & CR4.OSXSAVE)) return UD();
    const components = (BigInt(state.low32("RDX")) << 32n) | BigInt(state.low32("RAX"));
    if (!(components & state.IA32_XSS & vmcs.value(xssExitingBitmap))) return undefined;
    return exitOf({ reason, qualification: displacement, information: memoryInformation }, core, instruction);
  };

const enableRDTSCP = controlIsSet("enableRDTSCP");

const intercepts: ReadonlyMap<string, Intercept> = new Map<string, Intercept>([
  ...Object.entries(exitRows).map(([name, row]) => [name, exiting(row, UD)] as const),
  ...Object.entries({
    MOV_TO_CR: controlRegisters.moveToControlRegister,
    MOV_FROM_CR: controlRegisters.moveFromControlRegister,
    CLTS: controlRegisters.clearTaskSwitched,
    LMSW: controlRegisters.loadMachineStatusWord,
    SMSW: controlRegisters.storeMachineStatusWord,
    XSAVES: supervisorState(R.XSAVES),
    XRSTORS: supervisorState(R.XRSTORS),
    RDPID: (vmx: VmxProcessor) => (enableRDTSCP(vmx) ? undefined : UD()),
    IN,
    OUT,
    INS,
    OUTS,
    RDMSR,
    WRMSR,
    PAUSE,
  }),
]);

/** `VmxSocket.intercept`. */
export const intercept = (vmx: VmxProcessor, instruction: Instruction): Fault | "done" | undefined =>
  intercepts.get(instruction.row.semantics.mnemonic)?.(vmx, instruction);

/** state["vmx.steps"] of the running guest. */
export const stepsOf = (vmx: VmxProcessor): number =>
  (watchesPause(vmx) ? VmxStep.PAUSE : 0) |
  (enableRDTSCP(vmx) ? 0 : VmxStep.RDPID) |
  // A VM exit right after it saves blocking by STI.
  VmxStep.STI;

const movDRExiting = controlIsSet("movDRExiting");
const movesDebugRegister = new Set(["MOV_TO_DR", "MOV_FROM_DR"]);
/** Privileged instructions that are #UD without a control, whatever the privilege level. */
const enabledBy: ReadonlyMap<string, (vmx: VmxProcessor) => boolean> = new Map([
  ["INVPCID", controlIsSet("enableINVPCID")],
  ["XSAVES", enableXSAVES],
  ["XRSTORS", enableXSAVES],
]);

/** `VmxSocket.refused`. */
export const refused = (vmx: VmxProcessor, instruction: Instruction): Fault => {
  const { mnemonic } = instruction.row.semantics;
  if (movesDebugRegister.has(mnemonic) && movDRExiting(vmx))
    return exitOf(exitRows[mnemonic]!, vmx.core, instruction);
  return enabledBy.get(mnemonic)?.(vmx) === false ? UD() : GP(0);
};
