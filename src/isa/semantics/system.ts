/** System instructions that are plain computation; the others are procedures. */
import { Exception } from "../../arch/exceptions.ts";
import type { Frame } from "../../ir/frame.ts";
import type { Value } from "../../ir/value.ts";
import { constant } from "../../ir/value.ts";
import { define, defineWith, procedure } from "../define.ts";

/** FWAIT: raises what is pending in the x87 FPU, which no pure function of operands knows. */
export const FWAIT = procedure("FWAIT");

/** Fences: memory is sequentially consistent here. */
export const LFENCE = define("LFENCE", () => ({}));
export const MFENCE = define("MFENCE", () => ({}));
export const SFENCE = define("SFENCE", () => ({}));
export const SERIALIZE = define("SERIALIZE", () => ({}));

/** Cache-line hints: nothing to do, and PREFETCH never faults. */
export const PREFETCHNTA = define("PREFETCHNTA", () => ({}));
export const PREFETCHT0 = define("PREFETCHT0", () => ({}));
export const PREFETCHT1 = define("PREFETCHT1", () => ({}));
export const PREFETCHT2 = define("PREFETCHT2", () => ({}));
export const PREFETCHWT1 = define("PREFETCHWT1", () => ({}));
export const CLDEMOTE = define("CLDEMOTE", () => ({}));
export const PREFETCHW = define("PREFETCHW", () => ({}));

/** CLFLUSH, CLFLUSHOPT, CLWB: there is no cache to write back, but they fault as a load of one byte does. */
const cacheLine = (mnemonic: string) =>
  defineWith(mnemonic, (frame, line) => {
    frame.load(frame.segment(line!), frame.address(line!), 8);
  });
export const CLFLUSH = cacheLine("CLFLUSH");
export const CLFLUSHOPT = cacheLine("CLFLUSHOPT");
export const CLWB = cacheLine("CLWB");

/** RDPID: IA32_TSC_AUX[31:0], zero-extended. */
export const RDPID = defineWith("RDPID", (frame, dest) => {
  frame.write(dest!, frame.register("IA32_TSC_AUX", 32).zeroExtend(dest!.width));
});

/** #UD unless CR4.FSGSBASE allows the four instructions. */
const requireFSGSBASE = (frame: Frame): void => {
  frame.fault(Exception.UD, frame.register("CR4", 32).bit(16).not());
};
const readBase = (mnemonic: string, segment: "FS" | "GS") =>
  defineWith(mnemonic, (frame, dest) => {
    requireFSGSBASE(frame);
    frame.write(dest!, frame.register(`${segment}.base`, dest!.width));
  });
const writeBase = (mnemonic: string, segment: "FS" | "GS") =>
  defineWith(mnemonic, (frame, src) => {
    requireFSGSBASE(frame);
    const base = src!.zeroExtend(64);
    frame.fault(Exception.GP, base.shl(16).sar(16).equal(base).not(), 0);
    frame.set(`${segment}.base`, base);
  });
export const RDFSBASE = readBase("RDFSBASE", "FS");
export const RDGSBASE = readBase("RDGSBASE", "GS");
export const WRFSBASE = writeBase("WRFSBASE", "FS");
export const WRGSBASE = writeBase("WRGSBASE", "GS");

/** SWAPGS: GS.base <-> IA32_KERNEL_GS_BASE. */
export const SWAPGS = defineWith("SWAPGS", (frame) => {
  frame.set("GS.base", frame.register("IA32_KERNEL_GS_BASE"));
  frame.set("IA32_KERNEL_GS_BASE", frame.register("GS.base"));
});

/** MOV to and from CR2: a register as any other, which no hypervisor is asked about. */
export const MOV_FROM_CR2 = define("MOV_FROM_CR2", (_dest, src) => ({ dest: src! }));
export const MOV_TO_CR2 = defineWith("MOV_TO_CR2", (frame, dest, src) => {
  frame.writeWhole(dest!, src!.zeroExtend(64));
});

/** RDPKRU, WRPKRU: #UD unless CR4.PKE, #GP(0) unless ECX (and EDX for the write) is 0. */
const requirePKE = (frame: Frame, mustBeZero: Value): void => {
  frame.fault(Exception.UD, frame.register("CR4", 32).bit(22).not());
  frame.fault(Exception.GP, mustBeZero.isZero().not(), 0);
};
export const RDPKRU = defineWith("RDPKRU", (frame) => {
  requirePKE(frame, frame.register("RCX", 32));
  frame.set("RAX", frame.register("PKRU", 32));
  frame.set("RDX", constant(0, 32));
});
export const WRPKRU = defineWith("WRPKRU", (frame) => {
  requirePKE(frame, frame.register("RCX", 32).or(frame.register("RDX", 32)));
  frame.set("PKRU", frame.register("RAX", 32));
});
