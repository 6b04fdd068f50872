import { CR0 } from "../../src/arch/control-registers.ts";
import { powerOn } from "../../src/cpu/reset.ts";
import { setSegment } from "../../src/cpu/segmentation.ts";
import { exitLoopKernel } from "../../src/guests/exit-loop-kernel.ts";
import { VtX } from "../../src/vmx/vt-x.ts";
import { type BareProcessor, bareProcessor } from "../conformance/bare-processor.ts";

export const ramBytes = 2 << 20;
const kernel = 0x10_0000;
/** Where nothing is: above the kernel. */
export const free = 0x18_0000;
/** Offset of the entry point in a multiboot header with addresses. */
const entryAddress = 28;

export interface VmxMachine extends BareProcessor {
  readonly vmx: VtX;
}

export const withVmx = (machine: BareProcessor): VmxMachine => {
  const vmx = new VtX(machine.processor, machine.engine);
  machine.processor.vmx = vmx;
  return { ...machine, vmx };
};

/** Run the exit-loop kernel up to its first VM exit: in VMX root operation, 64-bit mode, with a launched VMCS whose guest executes VMCALL. */
export const launch = ({ guest, processor, engine }: BareProcessor): void => {
  const { state } = processor;
  powerOn(processor, true);
  const image = exitLoopKernel({ roundTrips: 1000 });
  guest.writeBytes(kernel, image);
  state.CR0 = CR0.PE | CR0.ET | CR0.NE;
  const flat = { selector: 8, base: 0n, limit: 0xffff_ffff };
  setSegment(state, "CS", { ...flat, access: 0xc09b });
  for (const name of ["SS", "DS", "ES"] as const) setSegment(state, name, { ...flat, access: 0xc093 });
  state.RIP = BigInt(guest.read(kernel + entryAddress, 4));
  const stopAtExit = (): void => {
    processor.stopRequested = true;
  };
  engine.observer = { vmExit: stopAtExit };
  processor.run(1_000_000);
  engine.observer = undefined;
  processor.run(1); // the VM exit counts as an instruction
};

export const launchedHypervisor = (): VmxMachine => {
  const machine = withVmx(bareProcessor(ramBytes));
  launch(machine);
  return machine;
};
