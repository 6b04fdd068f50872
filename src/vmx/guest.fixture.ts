import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../arch/vmx-controls.ts";
import { FakeCore } from "../cpu/fake-core.fixture.ts";
import { GuestMemory } from "../cpu/guest-memory.ts";
import { VmxOperation } from "../cpu/vmx-socket.ts";
import { fieldOffset } from "./vmcs.ts";
import { VtX } from "./vt-x.ts";

/** A processor in VMX non-root operation, with 4 MiB of RAM and a VMCS, and nothing entered: for tests of what its guest does. */

const features = [
  "VMX", "activateSecondaryControls", "enableEPT", "eptExecuteOnly", "eptMemoryUC", "eptMemoryWB", "ept2MPages", "ept1GPages",
  "eptAccessedDirty", "eptViolationDetails", "enablePML", "eptViolationVE", "modeBasedExecuteControl", "enableVMFunctions",
]; // biome-ignore format: one list

export const ramBytes = 4 << 20;
let sharedMemory: GuestMemory | undefined;

export const ept = { pml4: 0x1_0000, pdpt: 0x1_1000, directory: 0x1_2000, table: 0x1_3000 } as const;
const vmcsRegion = 0xc000;

export class TestGuest {
  readonly core: FakeCore;
  readonly memory: GuestMemory;
  readonly vmx: VtX;

  constructor(controls: readonly ControlKey[] = [], minus: readonly string[] = []) {
    this.core = new FakeCore("default", { plus: features, minus });
    sharedMemory ??= new GuestMemory(ramBytes, 0, { read: () => 0xffff_ffff, write: () => {} });
    this.memory = sharedMemory;
    this.memory.ram().fill(0);
    // What the fixture of the core writes is the guest's RAM, too.
    const ram = new DataView(this.memory.memory.buffer, this.memory.offsetOf(0), ramBytes);
    Object.assign(this.core, { physical: this.memory, memory: ram });
    this.vmx = new VtX(this.core, { guest: this.memory, observer: undefined });
    this.vmx.vmcs.base = this.memory.offsetOf(vmcsRegion);
    this.core.vmx = this.vmx;
    this.core.state["vmx.operation"] = VmxOperation.nonRoot;
    this.set(...controls);
  }

  /** Turn controls on, as VM entry would. */
  set(...controls: readonly ControlKey[]): this {
    for (const key of controls) {
      const { field, bit } = vmxControl(key);
      if (field === "control.pinBased") this.vmx.pinBased |= 1 << bit;
      else if (field === "control.processorBased") this.vmx.processorBased |= 1 << bit;
      else if (field === "control.secondaryProcessorBased") this.vmx.secondary |= 1 << bit;
      else if (field === "control.exitControls") this.vmx.exitControls |= 1 << bit;
    }
    return this;
  }

  write(name: VmcsFieldName, value: bigint | number): void {
    this.vmx.vmcs.setValue(fieldOffset(name), BigInt(value));
  }
  read(name: VmcsFieldName): bigint {
    return this.vmx.vmcs.read(name);
  }

  read32 = (address: number): number => this.memory.read(address, 4) >>> 0;
  read64 = (address: number): bigint =>
    BigInt(this.read32(address)) | (BigInt(this.read32(address + 4)) << 32n);
  write32 = (address: number, value: number): void => this.memory.write(address, value, 4);
  write64 = (address: number, value: bigint): void => {
    this.write32(address, Number(value & 0xffff_ffffn));
    this.write32(address + 4, Number(BigInt.asUintN(64, value) >> 32n));
  };

  /**
   * EPT on, with the guest-physical addresses below 2 MiB mapped page by page to themselves, all rights, write-back; and those
   * from 8000_0000H like them.
   */
  identity(flags = 0n): this {
    this.set("enableEPT");
    this.write("control.eptPointer", BigInt(ept.pml4) | 0x1en | flags);
    this.write64(ept.pml4, BigInt(ept.pdpt) | 0x407n);
    this.write64(ept.pdpt, BigInt(ept.directory) | 0x407n);
    this.write64(ept.pdpt + 8 * 2, BigInt(ept.directory) | 0x407n);
    this.write64(ept.directory, BigInt(ept.table) | 0x407n);
    for (let page = 0; page < 512; page++) this.write64(ept.table + 8 * page, BigInt(page * 4096) | 0x437n);
    return this;
  }

  /** The EPT page-table entry of a guest-physical page below 2 MiB; then INVEPT. */
  page(address: number, entry: bigint): void {
    this.vmx.eptCache.clear();
    this.write64(ept.table + 8 * (address >>> 12), entry);
  }
}
