import type { Verdict } from "./random-verdict.ts";

/** Why this machine and Bochs may judge a random VMCS differently; each is a row of docs/QUIRKS.md, "VT-x beside Bochs". */
export interface RandomDifference {
  readonly quirk: string;
  readonly explains: (ours: Verdict, bochs: Pick<Verdict, "outcome" | "checksum">) => boolean;
}

const GUEST_STATE = "X80000021";
const DEBUGCTL_BITS = 3n;
const isCanonical = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
const entered = (outcome: string): boolean => outcome.startsWith("X") && !outcome.startsWith("X8");

const HARDWARE_EXCEPTION = 3n;
const isExceptionOfVector = (information: bigint): boolean =>
  (information & 0x8000_0000n) !== 0n &&
  ((information >> 8n) & 7n) === HARDWARE_EXCEPTION &&
  (information & 0xffn) < 32n;

// biome-ignore format: one row per fact
export const randomDifferences: readonly RandomDifference[] = [
  // A field that only one processor has is changed on one only.
  { quirk: "controls that Bochs's model lacks", explains: (ours, bochs) => ours.checksum !== bochs.checksum && ours.outcome === bochs.outcome },
  { quirk: "IA32_DEBUGCTL", explains: ({ outcome, changes }, bochs) => outcome === GUEST_STATE && entered(bochs.outcome) && ((changes.get("guest.ia32Debugctl") ?? 0n) & ~DEBUGCTL_BITS) !== 0n },
  { quirk: "canonical guest RIP", explains: ({ outcome, changes }, bochs) => outcome === GUEST_STATE && entered(bochs.outcome) && !isCanonical(changes.get("guest.rip") ?? 0n) },
  { quirk: "pending debug exceptions, high bits", explains: ({ outcome, changes }, bochs) => outcome === GUEST_STATE && entered(bochs.outcome) && (changes.get("guest.pendingDebugExceptions") ?? 0n) >> 32n !== 0n },
  { quirk: "event injection into HLT", explains: ({ outcome, base, changes }, bochs) => outcome === GUEST_STATE && entered(bochs.outcome) && base === "an exception injected" && changes.get("guest.activity") === 1n },
  // Two violations, of which each processor names another.
  { quirk: "order of checks", explains: ({ outcome }, bochs) => outcome !== bochs.outcome && outcome.startsWith(GUEST_STATE) && bochs.outcome.startsWith(GUEST_STATE) },
  { quirk: "error codes of injected exceptions", explains: ({ changes }, bochs) => bochs.outcome === "V7" && isExceptionOfVector(changes.get("control.entryInterruptionInformation") ?? 0n) },
  { quirk: "CS.RPL of an unrestricted guest", explains: ({ outcome, base, changes }, bochs) => entered(outcome) && bochs.outcome === GUEST_STATE && ["real-address mode", "no paging"].includes(base) && ((changes.get("guest.cs.selector") ?? 0n) & 3n) !== 0n },
];
