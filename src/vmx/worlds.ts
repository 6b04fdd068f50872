import { EPTP } from "../arch/ept-entries.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import type { Invalidation } from "../cpu/core.ts";
import { maximumWorlds } from "../cpu/tlb.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxGuest, WorldNumbers } from "./vmx-guest.ts";

/**
 * Worlds: numbers of what tags cached translations beyond PCID (SDM Vol. 3, "Caching Translation Information"): VPID and
 * EP4TA, and the controls that change what a translation allows. World 0 is root operation and everything outside VMX.
 */

const enableEPT = controlMask("enableEPT");
const enableVPID = controlMask("enableVPID");
const virtualizeAPICAccesses = controlMask("virtualizeAPICAccesses");
const modeBasedExecuteControl = controlMask("modeBasedExecuteControl");
const eptPointer = fieldOffset("control.eptPointer");
const vpidField = fieldOffset("control.vpid");
const controlsThatMatter = enableEPT | virtualizeAPICAccesses | modeBasedExecuteControl;

/** Most that are remembered; a host that uses more starts over, and cached translations are lost to it. */
const rememberedWorlds = 1024;

interface World {
  readonly number: number;
  readonly vpid: number;
  /** Bits 31:12 with flags below, and bits 51:32, of the EPT pointer; 0 without EPT. */
  readonly low: number;
  readonly high: number;
  readonly controls: number;
}

export class Worlds implements WorldNumbers {
  readonly #vmx: VmxGuest;
  /** By VPID. */
  #byVpid = new Map<number, World[]>();
  #byNumber = new Map<number, World>();
  #next = 1;
  /** Invalidation of what has VPID 0. */
  readonly withoutVpid: Invalidation = { kind: "all", worlds: (world) => this.hasVpid(world, 0) };
  #last: World = { number: 0, vpid: -1, low: 0, high: 0, controls: 0 };

  constructor(vmx: VmxGuest) {
    this.#vmx = vmx;
  }

  /** The running guest's. */
  current(): number {
    const { secondary, vmcs } = this.#vmx;
    const vpid = secondary & enableVPID ? vmcs.low(vpidField) & 0xffff : 0;
    const controls = secondary & controlsThatMatter;
    let low = 0;
    let high = 0;
    if (secondary & enableEPT) {
      low = (vmcs.low(eptPointer) & (0xffff_f000 | EPTP.accessedDirty)) >>> 0;
      high = vmcs.high(eptPointer);
    }
    const last = this.#last;
    if (last.vpid === vpid && last.low === low && last.high === high && last.controls === controls)
      return last.number;
    this.#last = this.#find(vpid, low, high, controls) ?? this.#add(vpid, low, high, controls);
    return this.#last.number;
  }

  #find(vpid: number, low: number, high: number, controls: number): World | undefined {
    const worlds = this.#byVpid.get(vpid);
    if (worlds === undefined) return undefined;
    for (const world of worlds)
      if (world.low === low && world.high === high && world.controls === controls) return world;
    return undefined;
  }

  #add(vpid: number, low: number, high: number, controls: number): World {
    if (this.#byNumber.size >= rememberedWorlds || this.#next >= maximumWorlds) this.#forget();
    const world = { number: this.#next++, vpid, low, high, controls };
    this.#byNumber.set(world.number, world);
    const worlds = this.#byVpid.get(vpid);
    if (worlds === undefined) this.#byVpid.set(vpid, [world]);
    else worlds.push(world);
    return world;
  }

  /** Numbers that are given out again belong to nothing that is cached. */
  #forget(): void {
    this.#byVpid.clear();
    this.#byNumber.clear();
    this.#next = 1;
    this.#vmx.eptCache.clear();
    this.#vmx.core.invalidate({ kind: "all", worlds: (world) => world !== 0 });
  }

  hasVpid(world: number, vpid: number): boolean {
    return world === 0 ? vpid === 0 : this.#byNumber.get(world)?.vpid === vpid;
  }

  /** Translated by EPT with this EP4TA: bits 51:12 of the EPT pointer, as two halves. */
  hasRoot(number: number, low: number, high: number): boolean {
    const world = this.#byNumber.get(number);
    if (world === undefined || !(world.controls & enableEPT)) return false;
    return ((world.low ^ low) & 0xffff_f000) === 0 && ((world.high ^ high) & 0xf_ffff) === 0;
  }

  usesEpt(number: number): boolean {
    return ((this.#byNumber.get(number)?.controls ?? 0) & enableEPT) !== 0;
  }

  /** The VPID that instructions are about now. */
  currentVpid(): number {
    const { nonRoot, secondary, vmcs } = this.#vmx;
    return nonRoot && secondary & enableVPID ? vmcs.low(vpidField) & 0xffff : 0;
  }
}

/** INVEPT: of an EPT pointer's EP4TA, or without one of all. */
export const invalidateEpt = (vmx: VmxGuest, eptp: bigint | undefined): void => {
  const { worlds } = vmx;
  vmx.eptCache.clear();
  if (eptp === undefined) {
    vmx.core.invalidate({ kind: "all", worlds: (world) => worlds.usesEpt(world) });
    return;
  }
  const low = Number(eptp & 0xffff_ffffn);
  const high = Number(eptp >> 32n);
  vmx.core.invalidate({ kind: "all", worlds: (world) => worlds.hasRoot(world, low, high) });
};

/** INVVPID: of one VPID, or without one of all but 0; of one linear address only; with global pages kept. */
export const invalidateVpid = (
  vmx: VmxGuest,
  vpid: number | undefined,
  address?: bigint,
  retainingGlobals = false,
): void => {
  const { core, worlds: all } = vmx;
  if (vpid === undefined) {
    core.invalidate({ kind: "all", worlds: (world) => !all.hasVpid(world, 0) });
    return;
  }
  const worlds = (world: number): boolean => all.hasVpid(world, vpid);
  if (address !== undefined) core.invalidate({ kind: "page", address, worlds });
  else core.invalidate({ kind: retainingGlobals ? "non-global" : "all", worlds });
};

/** VM entries and VM exits without "enable VPID" invalidate everything of VPID 0. */
export const invalidateOnTransition = (vmx: VmxGuest): void => {
  if (vmx.secondary & enableVPID) return;
  vmx.core.invalidate(vmx.worlds.withoutVpid);
};
