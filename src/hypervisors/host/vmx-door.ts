import { CR4 } from "../../arch/control-registers.ts";
import { type VmcsFieldName, vmcsField } from "../../arch/vmcs-fields.ts";
import { fieldOffset } from "../../vmx/vmcs.ts";
import { storeField } from "../../vmx/vmcs-access.ts";
import type { HostKernel } from "./host-kernel.ts";
import type { HostProcessor } from "./host-processor.ts";

/** A field of the VMCS, looked up once. */
export interface FieldSlot {
  readonly name: VmcsFieldName;
  readonly encoding: number;
  readonly ordinal: number;
  /** In the VMCS region of this machine. */
  readonly offset: number;
}

export const fieldSlot = (name: VmcsFieldName): FieldSlot => {
  const { encoding, ordinal } = vmcsField(name);
  return { name, encoding, ordinal, offset: fieldOffset(name) };
};

/** How VMREAD and VMWRITE of the C part are carried out. */
export type VmcsPath =
  /** By the processor: the functions vmread and vmwrite of the host kernel are called. */
  | "executed"
  /** By reading and writing the current VMCS where the processor has it: the same effect, but for time and dead registers. */
  | "direct";

/** CF: VMfailInvalid; ZF: VMfailValid. */
export const vmInstruction = { succeeded: 0, failInvalid: 1, failValid: 2 } as const;
export type VmInstruction = (typeof vmInstruction)[keyof typeof vmInstruction];
/** Instructions: far more than any of these functions has, interrupts that come in between included. */
const longestCall = 2 ** 32;
const CF = 0x01;
const ZF = 0x40;

const instructionError = fieldSlot("exit.vmInstructionError");

/** The VMX instructions as functions of the C part. They run on a processor that is in no other call. */
export class VmxDoor {
  path: VmcsPath = "direct";
  /** Told of each VMX instruction that is executed for the C part, VMREAD and VMWRITE aside. */
  observer: ((instruction: string, cpu: HostProcessor, operand: number) => void) | undefined;
  readonly #kernel: HostKernel;

  constructor(kernel: HostKernel) {
    this.#kernel = kernel;
  }

  /** Cleared memory for a VMCS or for VMXON, with the revision identifier at its beginning. */
  newRegion(cpu: HostProcessor): number {
    const region = this.#kernel.memory.allocate(4096);
    this.#kernel.memory.write32(region, cpu.vmx.capability.revision);
    return region;
  }

  /** CR4.VMXE, the fixed bits, VMXON with a region of its own. */
  enterVmxOperation(cpu: HostProcessor): VmInstruction {
    const { state, vmx } = cpu;
    cpu.select();
    const { cr0, cr4 } = vmx.capability;
    state.CR0 = (state.CR0 | cr0.fixed0) & cr0.fixed1;
    state.CR4 = (state.CR4 | CR4.VMXE | cr4.fixed0) & cr4.fixed1;
    return this.#instruction(cpu, "vmxon", this.newRegion(cpu));
  }

  vmxoff(cpu: HostProcessor): VmInstruction {
    return this.#instruction(cpu, "vmxoff");
  }
  vmclear(cpu: HostProcessor, region: number): VmInstruction {
    return this.#instruction(cpu, "vmclear", region);
  }
  vmptrld(cpu: HostProcessor, region: number): VmInstruction {
    return this.#instruction(cpu, "vmptrld", region);
  }
  /** Type 1: single-context, of this EPT pointer; 2: all contexts. */
  invept(cpu: HostProcessor, type: 1 | 2, eptp: number): VmInstruction {
    return this.#instruction(cpu, "invept", type, eptp);
  }
  /** Type 0: individual address; 1: single-context; 2: all; 3: single-context retaining globals. */
  invvpid(cpu: HostProcessor, type: 0 | 1 | 2 | 3, vpid: number, linear = 0): VmInstruction {
    return this.#instruction(cpu, "invvpid", type, vpid, linear);
  }

  #instruction(cpu: HostProcessor, name: string, rdi = 0, rsi = 0, rdx = 0): VmInstruction {
    this.observer?.(name, cpu, rdi);
    this.#call(cpu, name, rdi, BigInt(rsi), rdx);
    const flags = cpu.rax;
    return flags & CF
      ? vmInstruction.failInvalid
      : flags & ZF
        ? vmInstruction.failValid
        : vmInstruction.succeeded;
  }

  #call(cpu: HostProcessor, name: string, rdi: number, rsi: bigint, rdx = 0): void {
    const kernel = this.#kernel;
    cpu.begin(kernel.symbol(name), rdi, 0, rdx);
    cpu.state.RSI = rsi;
    if (!kernel.toReturn(cpu, longestCall))
      throw new Error(`${name} of the host kernel did not return: ${kernel.died?.says ?? cpu.unfinished}`);
  }

  /** The VM-instruction error of the current VMCS. */
  error(cpu: HostProcessor): number {
    return this.read32(cpu, instructionError);
  }

  /** Low 32 bits, unsigned. */
  read32(cpu: HostProcessor, slot: FieldSlot): number {
    if (this.path === "executed") return Number(this.#executedRead(cpu, slot) & 0xffff_ffffn);
    const { vmcs } = cpu.vmx;
    if (vmcs.base < 0) noVmcs(slot);
    return vmcs.view.getUint32(vmcs.base + slot.offset, true);
  }

  /** A field that holds an address: below 2^53, else rounded. */
  readNumber(cpu: HostProcessor, slot: FieldSlot): number {
    if (this.path === "executed") return Number(this.#executedRead(cpu, slot));
    const { vmcs } = cpu.vmx;
    if (vmcs.base < 0) noVmcs(slot);
    const at = vmcs.base + slot.offset;
    return vmcs.view.getUint32(at + 4, true) * 0x1_0000_0000 + vmcs.view.getUint32(at, true);
  }

  read64(cpu: HostProcessor, slot: FieldSlot): bigint {
    if (this.path === "executed") return this.#executedRead(cpu, slot);
    const { vmcs } = cpu.vmx;
    if (vmcs.base < 0) noVmcs(slot);
    return vmcs.view.getBigUint64(vmcs.base + slot.offset, true);
  }

  write32(cpu: HostProcessor, slot: FieldSlot, value: number): void {
    if (this.path === "executed") this.#executedWrite(cpu, slot, BigInt(value >>> 0));
    else store(cpu, slot, value >>> 0, 0);
  }

  write64(cpu: HostProcessor, slot: FieldSlot, value: bigint): void {
    const bits = BigInt.asUintN(64, value);
    if (this.path === "executed") this.#executedWrite(cpu, slot, bits);
    else store(cpu, slot, Number(bits & 0xffff_ffffn), Number(bits >> 32n));
  }

  /** VMREAD into the quadword at a physical address. */
  readInto(cpu: HostProcessor, slot: FieldSlot, address: number): void {
    const { memory } = this.#kernel;
    if (this.path === "executed") {
      memory.write64(address, this.#executedRead(cpu, slot));
      return;
    }
    const { vmcs } = cpu.vmx;
    if (vmcs.base < 0) noVmcs(slot);
    const at = vmcs.base + slot.offset;
    memory.write32(address, vmcs.view.getUint32(at, true));
    memory.write32(address + 4, vmcs.view.getUint32(at + 4, true));
  }

  /** VMWRITE from the quadword at a physical address. */
  writeFrom(cpu: HostProcessor, slot: FieldSlot, address: number): void {
    const { memory } = this.#kernel;
    if (this.path === "executed") this.#executedWrite(cpu, slot, memory.read64(address));
    else store(cpu, slot, memory.read32(address), memory.read32(address + 4));
  }

  /** Add a small number to an address: the length of an instruction to RIP. */
  advance(cpu: HostProcessor, slot: FieldSlot, by: number): void {
    if (this.path === "executed") {
      this.write64(cpu, slot, this.read64(cpu, slot) + BigInt(by));
      return;
    }
    const { vmcs } = cpu.vmx;
    if (vmcs.base < 0) noVmcs(slot);
    const low = vmcs.view.getUint32(vmcs.base + slot.offset, true) + by;
    const high = vmcs.view.getUint32(vmcs.base + slot.offset + 4, true);
    store(cpu, slot, low >>> 0, low > 0xffff_ffff ? (high + 1) >>> 0 : high);
  }

  #executedRead(cpu: HostProcessor, slot: FieldSlot): bigint {
    this.#call(cpu, "vmread", slot.encoding, 0n);
    refuseFailure(cpu.rax, slot);
    return cpu.rdx;
  }

  #executedWrite(cpu: HostProcessor, slot: FieldSlot, value: bigint): void {
    this.#call(cpu, "vmwrite", slot.encoding, value);
    refuseFailure(cpu.rax, slot);
  }
}

const store = (cpu: HostProcessor, slot: FieldSlot, low: number, high: number): void => {
  const { vmx } = cpu;
  if (vmx.vmcs.base < 0) noVmcs(slot);
  storeField(vmx, vmx.vmcs, slot.ordinal, false, low, high);
};

const refuseFailure = (flags: number, { name }: FieldSlot): void => {
  if (flags & (CF | ZF)) throw new Error(`VMREAD or VMWRITE of ${name} failed`);
};

const noVmcs = ({ name }: FieldSlot): never => {
  throw new Error(`no VMCS is current where ${name} is read or written`);
};
