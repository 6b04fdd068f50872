import { CR0, CR4 } from "../arch/control-registers.ts";
import { IA32_FEATURE_CONTROL } from "../arch/msrs.ts";
import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../arch/vmx-controls.ts";
import { machineCode } from "../asm/index.ts";
import { ramOffset } from "../codegen/memory-map.ts";
import type { Observer } from "../cpu/execution-engine.ts";
import { describeFault, FakeCore, longMode } from "../cpu/fake-core.fixture.ts";
import { GuestMemory } from "../cpu/guest-memory.ts";
import { procedures } from "../cpu/procedures.ts";
import { VmExit, VmxOperation } from "../cpu/vmx-socket.ts";
import { fieldOffset } from "./vmcs.ts";
import { VtX } from "./vt-x.ts";

/** A processor with VT-x in 64-bit mode at CPL 0, for tests of single instructions, in and outside VMX operation. */

const ramBytes = 4 << 20;
let sharedMemory: GuestMemory | undefined;
const newMemory = (): GuestMemory => {
  const memory = new GuestMemory(ramBytes, 4096, { read: () => 0xffff_ffff, write: () => {} });
  memory.addRom(rom, new Uint8Array(4096));
  return memory;
};

/** Physical addresses: two regions for a VMXON pointer and VMCSs, an operand, a ROM. */
export const vmxonRegion = 0x20_0000 - 0x1000;
export const region = 0x20_0000 - 0x2000;
export const otherRegion = 0x20_0000 - 0x3000;
export const operand = 0x9_0000;
export const rom = 0xff_f000;

const flagNames = [[1, "CF"], [4, "PF"], [16, "AF"], [64, "ZF"], [128, "SF"], [2048, "OF"]] as const; // biome-ignore format: one list

export class TestHost {
  readonly core: FakeCore;
  readonly memory: GuestMemory;
  readonly vmx: VtX;
  /** VMfails that an observer was told of. */
  readonly failures: { readonly instruction: string; readonly error: number | undefined }[] = [];

  constructor(options: { plus?: readonly string[]; minus?: readonly string[] } = {}) {
    this.core = new FakeCore("default", {
      plus: ["VMX", ...(options.plus ?? [])],
      minus: options.minus ?? [],
    });
    sharedMemory ??= newMemory();
    this.memory = sharedMemory;
    this.memory.ram().fill(0);
    const view = new DataView(this.memory.memory.buffer, ramOffset, ramBytes);
    Object.assign(this.core, { physical: this.memory, memory: view });
    longMode(this.core);
    const observer: Observer = {
      vmFail: ({ instruction, error }) =>
        this.failures.push({ instruction: instruction.row.semantics.mnemonic, error }),
    };
    this.vmx = new VtX(this.core, { guest: this.memory, observer });
    this.core.vmx = this.vmx;
    const { state } = this.core;
    state.CR0 |= CR0.PE | CR0.PG | CR0.NE;
    state.CR4 |= CR4.VMXE;
    state.IA32_FEATURE_CONTROL = IA32_FEATURE_CONTROL.lock | IA32_FEATURE_CONTROL.vmxOutsideSMX;
    for (const at of [vmxonRegion, region, otherRegion]) this.core.write32(at, this.vmx.capability.revision);
  }

  /** In VMX root operation, after VMXON; with a current VMCS after VMCLEAR and VMPTRLD of `region`. */
  static inRoot(options?: ConstructorParameters<typeof TestHost>[0]): TestHost {
    const host = new TestHost(options);
    host.point(vmxonRegion);
    host.run("vmxon [rdi]");
    return host;
  }
  static withVmcs(options?: ConstructorParameters<typeof TestHost>[0]): TestHost {
    const host = TestHost.inRoot(options);
    host.point(region);
    host.run("vmclear [rdi]");
    host.run("vmptrld [rdi]");
    return host;
  }
  /** In VMX non-root operation with these controls, as after a VM entry that changed nothing else. */
  static inGuest(
    controls: readonly ControlKey[] = [],
    options?: ConstructorParameters<typeof TestHost>[0],
  ): TestHost {
    const host = TestHost.withVmcs(options);
    host.core.state["vmx.operation"] = VmxOperation.nonRoot;
    for (const key of controls) host.turnOn(key);
    host.vmx.enterGuest();
    return host;
  }

  turnOn(key: ControlKey): void {
    const { field, bit } = vmxControl(key);
    if (field === "control.pinBased") this.vmx.pinBased |= 1 << bit;
    else if (field === "control.processorBased") this.vmx.processorBased |= 1 << bit;
    else this.vmx.secondary |= 1 << bit;
  }

  /** RDI points to a quadword with this value. */
  point(value: number | bigint): void {
    this.core.state.RDI = BigInt(operand);
    this.core.write64(operand, BigInt(value));
  }

  /** Carry out an instruction; how it ends: "exit 18", "#UD", or the status flags that VMsucceed and VMfail set. */
  run(text: string): string {
    const { core } = this;
    const { state } = core;
    const rip = state.RIP;
    const bytes = machineCode(text, { codeSize: core.decodeMode().codeSize });
    const instruction = core.decode(Buffer.from(bytes).toString("hex"));
    const fault = procedures.get(instruction.row.semantics.mnemonic)!(core, instruction);
    if (fault instanceof VmExit) {
      if (state.RIP !== rip) throw new Error("a VM exit moved RIP");
      this.exit = fault;
      return `exit ${fault.reason}`;
    }
    if (fault) return describeFault(fault)!;
    this.moved = Number(state.RIP - rip) === instruction.length;
    const flags = Number(state.RFLAGS & 0x8d5n);
    return flagNames.filter(([bit]) => flags & bit).map(([, name]) => name).join(" ") || "done"; // biome-ignore format: one list
  }
  exit: VmExit | undefined;
  /** The last instruction ended at the next one. */
  moved = false;

  /** Reason, qualification and information of an exit, all in hexadecimal. */
  exitOf(text: string): string {
    const outcome = this.run(text);
    if (!outcome.startsWith("exit")) return outcome;
    const { reason, qualification, details } = this.exit!;
    const information = details.instructionInformation;
    return `${reason} ${qualification.toString(16)}${information === undefined ? "" : ` ${information.toString(16)}`}`;
  }

  get error(): number {
    return this.vmx.vmcs.low(fieldOffset("exit.vmInstructionError"));
  }
  write(name: VmcsFieldName, value: bigint | number): void {
    this.vmx.vmcs.setValue(fieldOffset(name), BigInt(value));
  }
  read(name: VmcsFieldName): bigint {
    return this.vmx.vmcs.read(name);
  }
}
