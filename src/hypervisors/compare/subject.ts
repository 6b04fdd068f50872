import type { CpuState } from "../../state/cpu-state.ts";
import type { SwitchStep } from "../host/switch-trace.ts";
import type { ImageRunner } from "../host/virtual-machine.ts";
import type { GuestImage } from "./guests.ts";

/** What of an entry an experimenter can spoil: a control, or the guest's state. */
export type Spoiled = "control" | "guest state";

/** Whose page tables translate while the guest runs. */
export interface Translation {
  /** CR3 of the processor, and the page tables that the guest believes in. */
  readonly inUse: bigint;
  readonly guestsOwn: bigint;
  readonly hosts: bigint;
  /** Address of the second level's tables, where the processor has one. */
  readonly nested: bigint | undefined;
}

/** One hypervisor on a machine of its own with the guest of the comparison, and what an experimenter may do to it. */
export interface Subject {
  readonly machine: ImageRunner;
  readonly guest: GuestImage;
  /** Of a general register of host and guest. */
  readonly wordBits: 32 | 64;
  /** Told of every step of the world switch, with the state that it leaves. */
  onStep: ((step: SwitchStep) => void) | undefined;
  readonly state: CpuState;
  /** Registers of the host that a C compiler expects a function to keep. */
  readonly keptByFunctions: readonly KeptRegister[];
  /** Called in a device of the user's, when the guest has done something to it. */
  onDevice: (() => void) | undefined;
  readonly spoils: readonly Spoiled[];
  /** A device of the host interrupts the processor; how often the host's handler has run. */
  interrupt(): void;
  interruptsServed(): number;
  nmi(): void;
  nmisServed(): number;
  /** Give the next entry up after it has been prepared, as the hypervisor itself would. */
  abandonNextEntry(): void;
  spoilNextEntry(what: Spoiled): void;
  /** Leave instructions out of the host's kernel: those whose text contains this. */
  leaveOut(text: string): void;
  /** How many have been left out. */
  readonly leftOut: number;
  /** Right after an entry. */
  translation(): Translation;
  /** Has the processor taken the interrupt of `interrupt` from its local APIC? */
  isAcknowledged(): boolean;
  /** The host's stack, from its present pointer to its top. */
  hostStack(): Uint8Array;
  /** Why the guest was killed, in the hypervisor's words. */
  verdict(): string | undefined;
}

export type KeptRegister = "RBX" | "RBP" | "RSI" | "RDI" | "R12" | "R13" | "R14" | "R15";
