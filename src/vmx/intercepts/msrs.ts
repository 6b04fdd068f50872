import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { pair, setPair } from "../../cpu/system.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import { readX2ApicMsr, writeX2ApicMsr } from "../apic-virtualization/apic-registers.ts";
import { bitmapBit } from "../bitmaps.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import { controlIsSet, type Intercept } from "./intercept.ts";

/** RDMSR and WRMSR: SDM Vol. 3, "MSR-Bitmap Address". */

const useMSRBitmaps = controlIsSet("useMSRBitmaps");
const bitmaps = fieldOffset("control.msrBitmaps");

/** Bytes of each of the four bitmaps: reads of low MSRs, of high ones, then writes. */
const bitmapBytes = 1024;
const lowEnd = 0x2000;
const highStart = 0xc000_0000;

const exits = (vmx: VmxProcessor, index: number, write: 0 | 1): boolean => {
  if (!useMSRBitmaps(vmx)) return true;
  if (index < lowEnd) return bitmapBit(vmx, bitmaps, 2 * write * bitmapBytes, index);
  if (index >= highStart && index < highStart + lowEnd)
    return bitmapBit(vmx, bitmaps, (2 * write + 1) * bitmapBytes, index - highStart);
  return true;
};

export const RDMSR: Intercept = (vmx, instruction) => {
  const index = vmx.core.state.low32("RCX");
  if (exits(vmx, index, 0))
    return new VmExit(ExitReason.RDMSR, 0n, { instructionLength: instruction.length });
  const value = readX2ApicMsr(vmx, index);
  if (value === undefined) return undefined;
  setPair(vmx.core, value);
  return "done";
};

export const WRMSR: Intercept = (vmx, instruction) => {
  const index = vmx.core.state.low32("RCX");
  if (exits(vmx, index, 1))
    return new VmExit(ExitReason.WRMSR, 0n, { instructionLength: instruction.length });
  return writeX2ApicMsr(vmx, index, pair(vmx.core));
};
