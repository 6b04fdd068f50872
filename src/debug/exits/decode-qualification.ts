import { exitQualificationParts, type QualificationPart } from "../../arch/exit-qualifications.ts";

/** An exit qualification, part by part, by the names of the SDM's tables. */
export type DecodedQualification = Readonly<Record<string, string | number | boolean>>;

const read = ({ bit, bits, form }: QualificationPart, qualification: bigint): string | number | boolean => {
  const value = BigInt.asUintN(bits, qualification >> BigInt(bit));
  if (form === "flag") return value === 1n;
  if (form === "number") return value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
  if (form === "hexadecimal") return `0x${value.toString(16)}`;
  if (form === "signed") {
    const signed = BigInt.asIntN(bits, value);
    return signed < 0n ? `-0x${(-signed).toString(16)}` : `0x${signed.toString(16)}`;
  }
  return (value < form.length ? form[Number(value)] : undefined) ?? String(value);
};

/** What an exit qualification says; undefined where it says nothing for this reason. `exceptionVector` for exceptions. */
export const decodeQualification = (
  reason: number,
  qualification: bigint,
  exceptionVector?: number,
): DecodedQualification | undefined => {
  const parts = exitQualificationParts(reason, exceptionVector);
  return parts.length === 0
    ? undefined
    : Object.fromEntries(parts.map((part) => [part.name, read(part, qualification)]));
};
