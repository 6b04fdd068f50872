import type { Core, Invalidation } from "../cpu/core.ts";
import type { GuestMemory } from "../cpu/guest-memory.ts";
import type { EptCache } from "./ept-cache.ts";
import type { Vmcs } from "./vmcs.ts";

/** What rooms that serve a running guest need of its logical processor (vmx-processor.ts). */
export interface VmxGuest {
  readonly core: Core;
  readonly memory: GuestMemory;
  /** The current VMCS. */
  readonly vmcs: Vmcs;
  /** The control words of the running guest. */
  readonly pinBased: number;
  readonly processorBased: number;
  readonly secondary: number;
  readonly nonRoot: boolean;
  /** Physical address of the APIC-access page; -1 when there is none. */
  readonly apicAccessPage: number;
  /** The IRET in progress has unblocked NMIs. */
  readonly nmiUnblockedByIret: boolean;
  readonly worlds: WorldNumbers;
  readonly eptCache: EptCache;
}

/** Numbers of what tags cached translations beyond PCID (worlds.ts). */
export interface WorldNumbers {
  /** The running guest's. */
  current(): number;
  hasVpid(world: number, vpid: number): boolean;
  /** Translated by EPT with this EP4TA: bits 51:12 of the EPT pointer, as two halves. */
  hasRoot(world: number, low: number, high: number): boolean;
  usesEpt(world: number): boolean;
  /** Invalidation of what has VPID 0. */
  readonly withoutVpid: Invalidation;
}
