import type { CpuState } from "../state/cpu-state.ts";
import { Fault } from "./fault.ts";
import type { TranslationCache } from "./translation-cache.ts";
import type { VmxSocket } from "./vmx-socket.ts";

export { Fault };

/**
 * The sockets of a logical processor: what procedures act on and what the machine plugs in. `cpu/` owns these
 * interfaces; devices and VT-x never see more.
 */

/** Guest-physical memory with devices behind it. Addresses are numbers below 2^52; wider accesses go as 4-byte pieces, low first. */
export interface PhysicalBus {
  read(address: number, size: 1 | 2 | 4): number;
  write(address: number, value: number, size: 1 | 2 | 4): void;
  /** True where reads and writes are plain RAM (page tables elsewhere still work, slowly). */
  isRam(address: number): boolean;
  /** What `inPlace` points into. */
  readonly view?: DataView;
  /** Offset in `view` of memory whose bytes on this page may be read (`write`: and stored to) with no effect elsewhere; -1: none. */
  inPlace?(address: number, write: boolean): number;
}

export interface PortSpace {
  read(port: number, size: 1 | 2 | 4): number;
  write(port: number, value: number, size: 1 | 2 | 4): void;
}

/** The local APIC as its own processor sees it. */
export interface LocalApicSocket {
  /** IA32_APIC_BASE and x2APIC MSRs 0x800-0x83F, IA32_TSC_DEADLINE; undefined / false = #GP. */
  readMsr(index: number): bigint | undefined;
  writeMsr(index: number, value: bigint): boolean;
  /** CR8 = TPR bits 7:4. */
  taskPriorityClass: number;
  /** Highest-priority deliverable vector (fixed interrupts and ExtINT), or none. */
  hasInterrupt(): boolean;
  /** INTA: take the interrupt; its vector. */
  acknowledge(): number;
  /** A write to the EOI register. */
  endOfInterrupt(): void;
  /** IA32_APIC_BASE.BSP: after INIT the processor starts at the reset vector instead of waiting for a start-up IPI. */
  readonly bootstrap: boolean;
  /** What INIT does to the local APIC. */
  initialize(): void;
  /** Software has written the time-stamp counter, which IA32_TSC_DEADLINE is compared with. */
  timeStampChanged(): void;
}

/** What a procedure reports besides a fault: nothing (go on at state.RIP, which it has set), or why to stop. */
export type ProcedureOutcome = Fault | undefined;

/** One logical processor, as procedures see it. State changes are written straight to `state`; RIP included. */
export interface Core {
  readonly state: CpuState;
  readonly physical: PhysicalBus;
  readonly ports: PortSpace;
  readonly apic: LocalApicSocket;
  readonly model: CpuModel;
  /** VT-x, on processors that have it. */
  readonly vmx: VmxSocket | undefined;
  /** At a boundary: between two iterations of a repeated string instruction. */
  readonly midRepeat: boolean;
  /** Translations that procedures may use again, until `invalidate`. */
  readonly translations?: TranslationCache;
  /** 0 ... 7; also the initial APIC id. */
  readonly index: number;
  /** NMI pin: latched until taken. */
  nmiPending: boolean;
  /** INIT signal: latched until taken. */
  initPending: boolean;
  /** The vector of a start-up IPI that has arrived. */
  sipiVector: number | undefined;
  /** Virtual time, nanoseconds since power-on; asking takes none. */
  clockNs(): number;
  /** Virtual time-stamp counter before IA32_TSC_ADJUST and offset: ticks since power-on. */
  timeStamp(): bigint;
  /** Deterministic random bits for RDRAND and RDSEED. */
  random(): bigint;
  /** Drop cached translations: of everything, of non-global pages of the current PCID, of one linear page, ... */
  invalidate(what: Invalidation): void;
  /** A guest did something unimplemented (MSR, port, CPUID leaf): told to `--log unimplemented`. */
  reportUnimplemented(what: string): void;
}

/** Which address spaces beyond PCID an invalidation is about (`VmxSocket.world`); without it those of the current VPID. */
interface InvalidatedWorlds {
  readonly worlds?: (world: number) => boolean;
}

export type Invalidation = InvalidatedWorlds &
  (
    | { readonly kind: "all" } // global pages too, every PCID
    | { readonly kind: "non-global" } // every PCID, global pages kept
    | { readonly kind: "pcid"; readonly pcid: number } // one PCID, global pages kept
    | { readonly kind: "page"; readonly address: bigint; readonly pcid?: number } // one page: INVLPG semantics
  );

/** A CPU model is data: CPUID leaves and MSR reset values; cpu/models.ts holds them. */
export interface CpuModel {
  readonly name: string;
  /** Features by the SDM's name that decode and CR4 accept. */
  has(feature: string): boolean;
  readonly physicalAddressBits: number;
  readonly linearAddressBits: number;
  /** Values of MSRs that are the model's, by name: IA32_ARCH_CAPABILITIES, IA32_BIOS_SIGN_ID (microcode revision), those not architectural. */
  readonly fixedMsrs?: Readonly<Record<string, bigint>>;
  cpuid(core: Core, leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number };
}
