import { CR0 } from "../../arch/control-registers.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { readControlRegister, writeCR0, writeCR4 } from "../../cpu/control-registers.ts";
import { Fault } from "../../cpu/core.ts";
import { umip } from "../../cpu/descriptor-tables.ts";
import { is64Bit } from "../../cpu/mode.ts";
import { readOperand, writeOperand } from "../../cpu/operands.ts";
import { VmExit, type VmExitDetails } from "../../cpu/vmx-socket.ts";
import type { Instruction, RegisterOperand } from "../../isa/instruction.ts";
import { readCr8, writeCr8 } from "../apic-virtualization/apic-registers.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import { operandLinear } from "./information.ts";
import { controlIsSet, type Intercept } from "./intercept.ts";

/**
 * Control registers: guest/host masks, read shadows and CR3-target values (SDM Vol. 3, "Instructions That Cause VM Exits
 * Conditionally", "Changes to Instruction Behavior in VMX Non-Root Operation", Table "Exit Qualification for Control-Register Accesses").
 */

const cr3LoadExiting = controlIsSet("cr3LoadExiting");
const cr3StoreExiting = controlIsSet("cr3StoreExiting");
const cr8LoadExiting = controlIsSet("cr8LoadExiting");
const cr8StoreExiting = controlIsSet("cr8StoreExiting");

const masks = {
  0: { mask: fieldOffset("control.cr0GuestHostMask"), shadow: fieldOffset("control.cr0ReadShadow") },
  4: { mask: fieldOffset("control.cr4GuestHostMask"), shadow: fieldOffset("control.cr4ReadShadow") },
} as const;
const cr3TargetCount = fieldOffset("control.cr3TargetCount");
const cr3Targets = ([0, 1, 2, 3] as const).map((n) => fieldOffset(`control.cr3Target${n}`));

/** Bits 5:4 of the qualification. */
const accessType = { to: 0, from: 1, CLTS: 2, LMSW: 3 } as const;

const exit = (
  instruction: Instruction,
  type: keyof typeof accessType,
  register: number,
  general: number,
  rest = 0n,
  details: VmExitDetails = {},
): VmExit =>
  new VmExit(ExitReason.CR_ACCESS, BigInt(register | (accessType[type] << 4) | (general << 8)) | rest, {
    instructionLength: instruction.length,
    ...details,
  });

/** A register as the guest reads it: bits that belong to the host come from the read shadow. */
const asRead = ({ vmcs }: VmxProcessor, register: 0 | 4, value: bigint): bigint => {
  const mask = vmcs.value(masks[register].mask);
  return mask === 0n ? value : (value & ~mask) | (vmcs.value(masks[register].shadow) & mask);
};

/** MOV to CR0 or CR4: an exit where it would change a bit of the host's in the guest's eyes; else those bits stay. */
const moveToMasked = (
  vmx: VmxProcessor,
  instruction: Instruction,
  register: 0 | 4,
): Fault | "done" | undefined => {
  const { vmcs, core } = vmx;
  const mask = vmcs.value(masks[register].mask);
  if (mask === 0n) return undefined;
  const value = readOperand(core, instruction, 1) as bigint;
  if ((value ^ vmcs.value(masks[register].shadow)) & mask)
    return exit(instruction, "to", register, (instruction.operands[1] as RegisterOperand).number);
  const present = register === 0 ? core.state.CR0 : core.state.CR4;
  const merged = (present & mask) | (value & ~mask);
  return (register === 0 ? writeCR0(core, merged) : writeCR4(core, merged)) ?? "done";
};

const isCr3Target = ({ vmcs }: VmxProcessor, value: bigint): boolean => {
  const count = vmcs.low(cr3TargetCount);
  for (let n = 0; n < count && n < cr3Targets.length; n++)
    if (vmcs.value(cr3Targets[n]!) === value) return true;
  return false;
};

export const moveToControlRegister: Intercept = (vmx, instruction) => {
  const { number } = instruction.operands[0] as RegisterOperand;
  const source = instruction.operands[1] as RegisterOperand;
  switch (number) {
    case 0:
    case 4:
      return moveToMasked(vmx, instruction, number);
    case 3:
      if (!cr3LoadExiting(vmx) || isCr3Target(vmx, readOperand(vmx.core, instruction, 1) as bigint))
        return undefined;
      return exit(instruction, "to", 3, source.number);
    case 8:
      if (!is64Bit(vmx.core.state)) return undefined;
      if (cr8LoadExiting(vmx)) return exit(instruction, "to", 8, source.number);
      return writeCr8(vmx, readOperand(vmx.core, instruction, 1) as bigint);
    default:
      return undefined;
  }
};

export const moveFromControlRegister: Intercept = (vmx, instruction) => {
  const { number } = instruction.operands[1] as RegisterOperand;
  const dest = instruction.operands[0] as RegisterOperand;
  const { core } = vmx;
  switch (number) {
    case 0:
    case 4: {
      const value = asRead(vmx, number, readControlRegister(core, number)!);
      return writeOperand(core, instruction, 0, value) ?? "done";
    }
    case 3:
      return cr3StoreExiting(vmx) ? exit(instruction, "from", 3, dest.number) : undefined;
    case 8: {
      if (!is64Bit(core.state)) return undefined;
      if (cr8StoreExiting(vmx)) return exit(instruction, "from", 8, dest.number);
      const priority = readCr8(vmx);
      return priority === undefined ? undefined : (writeOperand(core, instruction, 0, priority) ?? "done");
    }
    default:
      return undefined;
  }
};

/** CLTS of a TS that belongs to the host: an exit if the guest sees it set; else nothing happens. */
export const clearTaskSwitched: Intercept = ({ vmcs }, instruction) => {
  if (!(vmcs.value(masks[0].mask) & CR0.TS)) return undefined;
  return vmcs.value(masks[0].shadow) & CR0.TS ? exit(instruction, "CLTS", 0, 0) : "done";
};

const lowBits = CR0.PE | CR0.MP | CR0.EM | CR0.TS;
const memoryOperandOfLmsw = 1n << 6n;

/** LMSW never clears PE, so that only setting it can exit. */
export const loadMachineStatusWord: Intercept = (vmx, instruction) => {
  const { vmcs, core } = vmx;
  const mask = vmcs.value(masks[0].mask) & lowBits;
  if (mask === 0n) return undefined;
  const source = readOperand(core, instruction, 0, 2);
  if (source instanceof Fault) return source;
  const shadow = vmcs.value(masks[0].shadow);
  const clearsPE = (source & CR0.PE) === 0n;
  if ((source ^ shadow) & mask & (clearsPE ? ~CR0.PE : lowBits)) {
    const isMemory = instruction.operands[0]!.kind === "memory";
    const rest = ((source & 0xffffn) << 16n) | (isMemory ? memoryOperandOfLmsw : 0n);
    return exit(
      instruction,
      "LMSW",
      0,
      0,
      rest,
      isMemory ? { guestLinearAddress: operandLinear(core, instruction, 0) } : {},
    );
  }
  const present = core.state.CR0;
  const changing = lowBits & ~mask & (clearsPE ? ~CR0.PE : lowBits);
  return writeCR0(core, (present & ~changing) | (source & changing)) ?? "done";
};

export const storeMachineStatusWord: Intercept = (vmx, instruction) => {
  const { core } = vmx;
  return umip(core) ?? writeOperand(core, instruction, 0, asRead(vmx, 0, core.state.CR0)) ?? "done";
};
