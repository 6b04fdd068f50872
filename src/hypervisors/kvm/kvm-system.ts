import { Exception } from "../../arch/exceptions.ts";
import { supportedXCR0 } from "../../cpu/control-registers.ts";
import { RandomBits } from "../../machine/random-bits.ts";
import { hostSelector, trapFrame } from "../host/host-image.ts";
import type { HostKernel } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { ioBitmaps, msrBitmap } from "../host/permission-bitmaps.ts";
import { type ChosenControls, chooseControls } from "../host/vmx-controls.ts";
import { VmxDoor, vmInstruction } from "../host/vmx-door.ts";
import { wantedControls } from "./controls.ts";
import { errno } from "./kvm-run.ts";
import { passedMsrs } from "./msr-lists.ts";
import { type Quirks, quirksOf } from "./quirks.ts";
import { Residency } from "./residency.ts";
import { lazyStubs, switchLabels, worldSwitch } from "./world-switch.ts";

export interface KvmOptions {
  /** "historic": with the original's bugs. Default "fixed". */
  readonly mode?: "fixed" | "historic";
  /** Text of the world switch in place of the real one: for tests that change it. */
  readonly worldSwitch?: (text: string) => string;
  /** Controls of VT-x not to use. */
  readonly without?: ReadonlySet<string>;
  readonly reportUnimplemented?: (what: string) => void;
}

/** Written for delay, and nothing else. */
const delayPort = 0x80;
/** The data segments of a process: what DS and ES hold when KVM is called. */
export const processDataSegment = hostSelector.userData | 3;

/** The module: VMX operation on every processor, the machine code, and what all virtual machines share. */
export class KvmSystem {
  readonly kernel: HostKernel;
  readonly door: VmxDoor;
  readonly controls: ChosenControls;
  readonly quirks: Quirks;
  readonly residency: Residency;
  readonly ioBitmaps: number;
  readonly msrBitmap: number;
  /** NMIs that the host's handler has had. */
  hostNmis = 0;
  /** Exits that should not have happened while an event was delivered. */
  unexpectedVectoring = 0;
  machineChecks = 0;
  /** VMX operation is over: instructions of VT-x are undefined, and skipped. */
  isRebooting = false;
  /** By processor: the vcpu_vmx that holds the FPU state of the process which calls KVM there. */
  readonly hostFpuSaved: (number | undefined)[] = [];
  readonly #random: RandomBits;
  readonly #report: ((what: string) => void) | undefined;
  #vpids = 0;

  private constructor(kernel: HostKernel, controls: ChosenControls, options: KvmOptions) {
    this.kernel = kernel;
    this.controls = controls;
    this.door = new VmxDoor(kernel);
    this.quirks = quirksOf(options.mode ?? "fixed");
    this.#random = new RandomBits(kernel.pc.configuration.seed);
    this.#report = options.reportUnimplemented;
    const text = worldSwitch(this.quirks);
    kernel.place("KVM world switch", options.worldSwitch?.(text) ?? text);
    kernel.place("KVM", lazyStubs(kernel.pc.configuration.model.has("XSAVE")));
    this.residency = new Residency(kernel, this.door);
    this.ioBitmaps = ioBitmaps(kernel.memory, [delayPort]);
    this.msrBitmap = msrBitmap(kernel.memory, passedMsrs);
    this.#trapHandlers();
  }

  /** Load the module; an error where the processors are not up to it. */
  static load(kernel: HostKernel, options: KvmOptions = {}): KvmSystem | number {
    const [first] = kernel.cpus;
    const controls = chooseControls(first!.vmx.capability, wantedControls, options.without);
    if (controls === undefined) return errno.ENODEV;
    const system = new KvmSystem(kernel, controls, options);
    for (const cpu of kernel.cpus) if (!system.#enable(cpu)) return errno.EBUSY;
    first!.select();
    return system;
  }

  #enable(cpu: HostProcessor): boolean {
    if (this.door.enterVmxOperation(cpu) !== vmInstruction.succeeded) return false;
    cpu.select();
    const { model } = cpu.processor;
    if (model.has("XSAVE")) cpu.state.XCR0 = supportedXCR0(model);
    this.kernel.call(cpu, this.kernel.symbol("kvmLoadDataSegments"), { rdi: processDataSegment });
    return true;
  }

  /** Unload the module: no virtual machine of it may be used any more. */
  unload(): void {
    for (const cpu of this.kernel.cpus) this.door.vmxoff(cpu);
  }

  /** Leave VMX operation at once, guests or not: the machine is about to restart. */
  emergencyDisable(cpu: HostProcessor): void {
    this.isRebooting = true;
    this.door.vmxoff(cpu);
  }

  #trapHandlers(): void {
    const { kernel } = this;
    kernel.onVector(Exception.NMI, () => {
      this.hostNmis++;
    });
    // The process that called KVM uses the FPU, whose registers have been the guest's since.
    kernel.onVector(Exception.NM, ({ cpu }) => {
      const saved = this.hostFpuSaved[cpu.index];
      this.hostFpuSaved[cpu.index] = undefined;
      kernel.call(cpu, kernel.symbol("kvmLoadHostFpu"), { rdi: saved ?? 0 });
    });
    const fixups = new Map(
      [switchLabels.launch, switchLabels.resume].map((label) => [
        kernel.symbol(label),
        kernel.symbol(switchLabels.back),
      ]),
    );
    kernel.onVector(Exception.UD, (trap) => {
      const at = trap.frame + trapFrame.rip;
      const target = fixups.get(kernel.memory.readNumber(at));
      if (target !== undefined && this.isRebooting) kernel.memory.writeNumber(at, target);
      else
        kernel.died ??= {
          processor: trap.cpu.index,
          says: `undefined instruction in the host kernel at 0x${kernel.memory.readNumber(at).toString(16)}`,
        };
    });
  }

  newVpid(): number {
    return ++this.#vpids;
  }
  random(): bigint {
    return this.#random.next64();
  }
  reportUnimplemented(what: string): void {
    this.#report?.(what);
  }
}
