import { controlMsrs, VmxMsr } from "../../arch/vmx-capabilities.ts";
import { type ControlFieldName, type ControlKey, controlMask, vmxControl } from "../../arch/vmx-controls.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { BhyveMode, Errno } from "./vmm.ts";

/** The five control words of every VMCS, built from what the processor reports it can. */
export interface ControlWords {
  readonly pinBased: number;
  readonly processorBased: number;
  readonly secondary: number;
  readonly exit: number;
  readonly entry: number;
  readonly hasVpid: boolean;
  readonly hasPat: boolean;
}

interface Wish {
  readonly ones: readonly ControlKey[];
  readonly zeros?: readonly ControlKey[];
}

const bitsOf = (keys: readonly ControlKey[]): number =>
  keys.reduce((bits, key) => bits | controlMask(key), 0);

/** Two halves of a capability MSR: settings that must be 1, settings that may be 1. */
const halves = (cpu: HostProcessor, index: number): readonly [number, number] | undefined => {
  const value = cpu.vmx.capabilityMsr(index);
  return value === undefined
    ? undefined
    : [Number(value & 0xffff_ffffn) | 0, Number((value >> 32n) & 0xffff_ffffn) | 0];
};

/**
 * One control word, bit by bit: what is asked for must be allowed; what is not asked about takes the processor's default, which is
 * what the plain MSR says must be 1 (SDM Vol. 3, Appendix "Reserved Controls and Default Settings").
 */
const controlWord = (
  cpu: HostProcessor,
  field: ControlFieldName,
  { ones, zeros = [] }: Wish,
): number | Errno => {
  const { plain, exact } = controlMsrs[field];
  const plainHalves = halves(cpu, VmxMsr[plain]);
  if (plainHalves === undefined) return ones.length === 0 ? 0 : "EINVAL";
  const [mustBe1, mayBe1] = (exact === undefined ? undefined : halves(cpu, VmxMsr[exact])) ?? plainHalves;
  const [on, off] = [bitsOf(ones), bitsOf(zeros)];
  if ((on & ~mayBe1) !== 0 || (off & mustBe1) !== 0) return "EINVAL";
  return mustBe1 | on | (plainHalves[0] & mayBe1 & ~off);
};

/** Windows are opened and closed as events come; the processor must be able to, and they begin closed. */
// biome-ignore format: one row per fact
const wishes = {
  pinBased: { ones: ["externalInterruptExiting", "nmiExiting", "virtualNMIs"] },
  processorBased: {
    ones: ["activateSecondaryControls", "unconditionalIOExiting", "useMSRBitmaps"],
    zeros: ["cr3LoadExiting", "cr3StoreExiting", "useIOBitmaps", "interruptWindowExiting", "nmiWindowExiting"],
  },
  secondary: { ones: ["enableEPT"] },
  exit: { ones: ["hostAddressSpaceSize", "saveEFER", "loadHostEFER"], zeros: ["saveDebugControls", "acknowledgeInterruptOnExit"] },
  entry: { ones: ["loadGuestEFER"], zeros: ["loadDebugControls"] },
} as const satisfies Record<string, Wish>;
const windows: Wish = { ones: ["interruptWindowExiting", "nmiWindowExiting"] };
const withPat = { exit: ["savePAT", "loadHostPAT"], entry: ["loadGuestPAT"] } as const;
/** Of later versions: guests that use CR8 reach their own local APIC. */
const laterControls = ["cr8LoadExiting", "cr8StoreExiting"] as const;

/** The control words for a processor, or EINVAL where it lacks something that is needed. */
export const controlWords = (cpu: HostProcessor, mode: BhyveMode): ControlWords | Errno => {
  const word = (field: ControlFieldName, wish: Wish): number | Errno => controlWord(cpu, field, wish);
  const later = mode === "fixed" ? laterControls : [];
  const pinBased = word("control.pinBased", wishes.pinBased);
  const processorBased = word("control.processorBased", {
    ...wishes.processorBased,
    ones: [...wishes.processorBased.ones, ...later],
  });
  if (typeof word("control.processorBased", windows) !== "number") return "EINVAL";
  const optional = (key: ControlKey): readonly ControlKey[] =>
    typeof word("control.secondaryProcessorBased", { ones: [key] }) === "number" ? [key] : [];
  const vpid = optional("enableVPID");
  const secondary = word("control.secondaryProcessorBased", {
    ones: [...wishes.secondary.ones, ...vpid],
  });
  const both = (pat: boolean) =>
    [
      word("control.exitControls", {
        ...wishes.exit,
        ones: [...wishes.exit.ones, ...(pat ? withPat.exit : [])],
      }),
      word("control.entryControls", {
        ...wishes.entry,
        ones: [...wishes.entry.ones, ...(pat ? withPat.entry : [])],
      }),
    ] as const;
  const patWords = both(true);
  const hasPat = patWords.every((value) => typeof value === "number");
  const [exit, entry] = hasPat ? patWords : both(false);
  for (const value of [pinBased, processorBased, secondary, exit, entry])
    if (typeof value !== "number") return value;
  return {
    pinBased: pinBased as number,
    processorBased: processorBased as number,
    secondary: secondary as number,
    exit: exit as number,
    entry: entry as number,
    hasVpid: vpid.length > 0,
    hasPat,
  };
};

/** A VM-execution control that is switched while the virtual machine lives; undefined where the processor lacks it. */
export const switchable = (cpu: HostProcessor, key: ControlKey): number | undefined => {
  const { field, bit } = vmxControl(key);
  return typeof controlWord(cpu, field, { ones: [key] }) === "number" ? 1 << bit : undefined;
};

const PE_PG = 0x8000_0001n;
const NW_CD = 0x6000_0000n;

/** What the guest's CR0 and CR4 must have 1 and 0; everything else is the guest's own. */
export const fixedBits = (cpu: HostProcessor, isUnrestricted: boolean) => {
  const { cr0, cr4 } = cpu.vmx.capability;
  const released = isUnrestricted ? PE_PG : 0n;
  const low = 0xffff_ffffn;
  return {
    cr0: { ones: cr0.fixed0 & ~released & low & ~NW_CD, zeros: ((~cr0.fixed1 & low) | NW_CD) & ~released },
    cr4: { ones: cr4.fixed0 & low, zeros: ~cr4.fixed1 & low },
  } as const;
};
