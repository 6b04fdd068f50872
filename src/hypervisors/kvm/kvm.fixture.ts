import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access } from "../../arch/descriptors.ts";
import { assemble } from "../../asm/index.ts";
import { cpuModel } from "../../cpu/cpu-model.ts";
import {
  applyInitialState,
  type InitialCpuState,
  identityMapBytes,
} from "../../machine/boot/initial-state.ts";
import { CpuState } from "../../state/cpu-state.ts";
import { stateBytes } from "../../state/layout.ts";
import { HostKernel, hostKernelBytes } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { type Irqchip, Kvm, type KvmRegs, type KvmVcpu, type KvmVm } from "./kvm.ts";
import { type KvmOptions, KvmSystem } from "./kvm-system.ts";

/** A virtual machine with a guest of a few instructions in 64-bit mode, for tests. */

export const guestBytes = 4 << 20;
/** Guest-physical addresses. */
export const guestAddress = {
  code: 0x10_0000,
  stack: 0x20_0000,
  pageTables: 0x30_0000,
  idt: 0x21_0000,
  gdt: 0x22_0000,
  tss: 0x22_1000,
} as const;

const flatData = access.P | access.S | 3 | access.DB | access.G;
const flatCode = access.P | access.S | 0xb | access.L | access.G;
const segment = (selector: number, rights: number) => ({
  selector,
  base: 0n,
  limit: 0xffff_ffff,
  access: rights,
});

/** Registers of a guest in 64-bit mode with all memory mapped to itself. */
export const longMode: InitialCpuState = {
  mode: "long64",
  registers: { RSP: BigInt(guestAddress.stack) },
  RIP: BigInt(guestAddress.code),
  RFLAGS: 2n,
  CR0: CR0.PE | CR0.PG | CR0.NE | CR0.ET | CR0.WP,
  CR3: BigInt(guestAddress.pageTables),
  CR4: CR4.PAE | CR4.OSFXSR,
  IA32_EFER: IA32_EFER.SCE | IA32_EFER.LME | IA32_EFER.LMA | IA32_EFER.NXE,
  segments: {
    ES: segment(0x10, flatData),
    CS: segment(0x08, flatCode),
    SS: segment(0x10, flatData),
    DS: segment(0x10, flatData),
    FS: segment(0x10, flatData),
    GS: segment(0x10, flatData),
    LDTR: segment(0, access.unusable),
    TR: { selector: 0x18, base: BigInt(guestAddress.tss), limit: 0x67, access: access.P | 0xb },
  },
  GDTR: { base: BigInt(guestAddress.gdt), limit: 0x27 },
  IDTR: { base: BigInt(guestAddress.idt), limit: 0xfff },
};

export interface TestOptions extends KvmOptions {
  readonly processors?: number;
  readonly model?: string;
  readonly irqchip?: (kernel: HostKernel) => Irqchip;
  /** One that another test has left in VMX root operation no longer. Default: a new one. */
  readonly kernel?: HostKernel;
}

export const newKernel = ({ processors = 1, model = "default" }: TestOptions = {}): HostKernel =>
  new HostKernel({
    memoryBytes: hostKernelBytes + 2 * guestBytes,
    processors,
    model: cpuModel(model, { processors })!,
  });

export class TestMachine {
  readonly kernel: HostKernel;
  readonly system: KvmSystem;
  readonly vm: KvmVm;
  readonly vcpu: KvmVcpu;
  readonly cpu: HostProcessor;
  readonly symbols = new Map<string, number>();

  constructor(guest: string, { kernel, irqchip, ...options }: TestOptions = {}) {
    this.kernel = kernel ?? newKernel(options);
    const system = KvmSystem.load(this.kernel, options);
    if (typeof system === "number") throw new Error(`KVM: error ${system}`);
    this.system = system;
    this.cpu = this.kernel.cpus[0]!;
    const kvm = new Kvm(system);
    this.vm = kvm.createVm();
    if (irqchip !== undefined) this.vm.createIrqchip(irqchip(this.kernel));
    this.vm.setUserMemoryRegion({
      slot: 0, logsDirtyPages: false, guestPhysAddr: 0, memorySize: guestBytes, userspaceAddr: hostKernelBytes,
    }); // biome-ignore format: one record
    this.vm.memory.map.writeBytes(guestAddress.pageTables, identityMapBytes(guestAddress.pageTables));
    const vcpu = this.vm.createVcpu(0, this.cpu);
    if (typeof vcpu === "number") throw new Error(`vCPU: error ${vcpu}`);
    this.vcpu = vcpu;
    vcpu.setCpuid(this.cpu, kvm.supportedCpuid());
    const start = new CpuState(new ArrayBuffer(stateBytes));
    applyInitialState(start, longMode);
    vcpu.setSregs(this.cpu, start);
    vcpu.setRegs(this.cpu, start);
    this.loadGuest(guest);
  }

  /** Assemble a guest; its IDT gets gates to labels `vectorN`. */
  loadGuest(text: string): void {
    const assembly = assemble(text, { codeSize: 64, origin: guestAddress.code, symbols: {} });
    if (assembly.kind === "errors")
      throw new Error(assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("; "));
    this.write(guestAddress.code, assembly.bytes);
    for (const [name, value] of assembly.symbols) {
      this.symbols.set(name, Number(value));
      const vector = /^vector(\d+)$/.exec(name)?.[1];
      if (vector !== undefined) this.setGate(Number(vector), Number(value));
    }
    const gdt = new DataView(new ArrayBuffer(0x28));
    gdt.setBigUint64(8, 0x00af_9b00_0000_ffffn, true);
    gdt.setBigUint64(16, 0x00cf_9300_0000_ffffn, true);
    this.write(guestAddress.gdt, new Uint8Array(gdt.buffer));
  }

  setGate(vector: number, address: number): void {
    const gate = new DataView(new ArrayBuffer(16));
    gate.setUint16(0, address & 0xffff, true);
    gate.setUint16(2, 8, true);
    gate.setUint8(5, 0x8e);
    gate.setUint16(6, address >>> 16, true);
    this.write(guestAddress.idt + 16 * vector, new Uint8Array(gate.buffer));
  }

  write(address: number, bytes: Uint8Array): void {
    this.vm.memory.map.writeBytes(address, bytes);
  }
  read64(address: number): bigint {
    return new DataView(this.vm.memory.map.readBytes(address, 8).buffer).getBigUint64(0, true);
  }

  /** KVM_RUN on a processor. */
  run(cpu = this.cpu, budget = 10_000_000): number {
    const result = this.kernel.finish(this.vcpu.ioctlRun(cpu), budget);
    if (typeof result !== "number")
      throw new Error(`KVM_RUN does not return: ${this.kernel.died?.says ?? result}`);
    return result;
  }

  get regs(): KvmRegs {
    return this.vcpu.getRegs(this.cpu) as KvmRegs;
  }
  exits(reason: number): number {
    return this.vcpu.loop.counts.reasons.get(reason) ?? 0;
  }
}

/** The labels of the world switch that the host comes by from now on, in order. */
export const traceLabels = ({ kernel }: TestMachine, labels: readonly string[]): string[] => {
  const seen: string[] = [];
  const names = new Map(labels.map((label) => [kernel.symbol(label), label]));
  kernel.trace = {
    run: (cpu, budget) => {
      if (cpu.vmx.nonRoot) return cpu.processor.run(budget);
      const name = names.get(Number(cpu.state.RIP));
      if (name !== undefined) seen.push(name);
      return cpu.processor.run(1);
    },
  };
  return seen;
};
