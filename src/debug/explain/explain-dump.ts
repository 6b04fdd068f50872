import { exitReasonName } from "../../arch/vm-exit-reasons.ts";
import { vmInstructionError } from "../../arch/vm-instruction-errors.ts";
import { vmcsFields } from "../../arch/vmcs-fields.ts";
import { EntryFacts } from "../../vmx/entry-facts.ts";
import { decodeQualification } from "../exits/decode-qualification.ts";
import type { DumpedVmcs, DumpFormat, UnknownLine } from "./dump.ts";
import { entryFailureRow } from "./entry-failures.ts";
import { type EntryExplanation, explainEntry } from "./explanation.ts";
import type { JudgedProcessor } from "./judged-processor.ts";
import { readDump } from "./read-dump.ts";

/** What the dump says about the last VM entry or exit. */
export interface ReportedOutcome {
  readonly exitReason?: { readonly value: string; readonly isFailure: boolean; readonly says: string };
  readonly vmInstructionError?: { readonly number: number; readonly says: string };
}

export interface ExplainedVmcs extends EntryExplanation {
  readonly title: string;
  /** Line of the file where it begins. */
  readonly line: number;
  /** Fields that the dump has. */
  readonly fields: number;
  readonly remarks: readonly string[];
  readonly reported: ReportedOutcome;
}

export interface ExplainedDump {
  readonly format: DumpFormat;
  /** The processor that it is judged for. */
  readonly processor: { readonly name: string; readonly remarks: readonly string[] };
  readonly vmcses: readonly ExplainedVmcs[];
  readonly unknownLines: readonly UnknownLine[];
}

const factsOf = ({ fields }: DumpedVmcs, processor: JudgedProcessor): EntryFacts => {
  const { capability, traits } = processor;
  const value = (ordinal: number): bigint | undefined => fields.get(vmcsFields[ordinal]!.name);
  return new EntryFacts(
    {
      value,
      low: (ordinal) => {
        const whole = value(ordinal);
        return whole === undefined ? undefined : Number(whole & 0xffff_ffffn);
      },
    },
    capability,
    { ...traits, inIa32eMode: () => undefined, currentVmcs: () => undefined },
    () => undefined,
  );
};

const ENTRY_FAILURE = 1n << 31n;

const reportedBy = ({ fields }: DumpedVmcs): ReportedOutcome => {
  const reason = fields.get("exit.reason");
  const error = fields.get("exit.vmInstructionError");
  const basic = Number((reason ?? 0n) & 0xffffn);
  const isFailure = reason !== undefined && (reason & ENTRY_FAILURE) !== 0n;
  const failure = isFailure ? entryFailureRow(basic) : undefined;
  const qualification = fields.get("exit.qualification") ?? 0n;
  const parts = decodeQualification(basic, qualification) ?? {};
  const detail = isFailure && qualification !== 0n ? `, ${Object.entries(parts).flat().join(" ")}` : "";
  const row = error === undefined ? undefined : vmInstructionError(Number(error));
  return {
    ...(reason !== undefined && {
      exitReason: {
        value: `0x${reason.toString(16)}`,
        isFailure,
        says: `${failure?.says ?? `VM exit, ${exitReasonName(basic)}`}${detail}`,
      },
    }),
    ...(row && { vmInstructionError: { number: row.number, says: row.says } }),
  };
};

const explained = (vmcs: DumpedVmcs, processor: JudgedProcessor): ExplainedVmcs => ({
  title: vmcs.title,
  line: vmcs.line,
  fields: vmcs.fields.size,
  remarks: vmcs.remarks,
  reported: reportedBy(vmcs),
  ...explainEntry(factsOf(vmcs, processor), { value: (name) => vmcs.fields.get(name) }),
});

/** Makes the checks of VM entry on what a pasted dump tells; or why it cannot be read. */
export const explainDump = (
  bytes: Uint8Array,
  processor: JudgedProcessor,
): ExplainedDump | { readonly refusal: string } => {
  const dump = readDump(bytes);
  if ("refusal" in dump) return dump;
  return {
    format: dump.format,
    processor: { name: processor.name, remarks: processor.remarks },
    vmcses: dump.vmcses.map((vmcs) => explained(vmcs, processor)),
    unknownLines: dump.unknown,
  };
};
