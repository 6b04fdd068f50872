import type { VmcsFieldName } from "../../src/arch/vmcs-fields.ts";
import { vmcsFieldOf } from "../../src/arch/vmcs-fields.ts";
import { randomBases } from "../../src/guests/vmx-random.ts";

/** A verdict on a random VMCS, as the test kernel prints it. */
export interface Verdict {
  /** "V7", "V8", "X80000021/4", "X12": VMfailValid; failed entry and its qualification; first exit's reason (hexadecimal). */
  readonly outcome: string;
  /** Of what was changed. */
  readonly checksum: string;
  /** Name of the VMCS to begin with. */
  readonly base: string;
  readonly changes: ReadonlyMap<VmcsFieldName, bigint>;
}

/** A line "r SEED ...", without its first two words. */
export const verdictOf = (text: string): Verdict => {
  const [kind = "", reason = "", qualification = "0", checksum = "", base = "0", ...changes] =
    text.split(" ");
  return {
    outcome: `${kind}${reason}${qualification === "0" ? "" : `/${qualification}`}`,
    checksum,
    base: randomBases[Number.parseInt(base, 16)]?.name ?? base,
    changes: new Map(
      changes.map((change) => {
        const [encoding = "", value = "0"] = change.split("=");
        return [vmcsFieldOf(Number.parseInt(encoding, 16))!.name, BigInt(`0x${value}`)] as const;
      }),
    ),
  };
};

export const randomVectorPath = "test/vectors/vmx/random.txt";

/** What Bochs made of seeds 0, 1, ...: outcome and checksum, eight to a line. */
export const readRandomVectors = (text: string): readonly Pick<Verdict, "outcome" | "checksum">[] =>
  text
    .split("\n")
    .filter((line) => !line.startsWith(";"))
    .flatMap((line) => line.split(" ").filter((word) => word !== ""))
    .map((word) => {
      const [outcome = "", checksum = ""] = word.split(".");
      return { outcome, checksum };
    });
