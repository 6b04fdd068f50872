import { ExitReason } from "../../src/arch/vm-exit-reasons.ts";
import type { VmxCase } from "../../src/guests/vmx-kernel.ts";
import { type Report, type ReportKind, reportText } from "../../src/guests/vmx-report.ts";

/** What the SDM says that a VM entry or an instruction of the host comes to. */
export interface Expected {
  readonly kind: ReportKind;
  /** Values after the step; undefined: it must not have changed. Names of `Report.changes`. */
  readonly values: Readonly<Record<string, bigint | number | undefined>>;
  /** Bits that the SDM leaves to the processor, of some of the values. */
  readonly open?: Readonly<Record<string, bigint>>;
  /** Nothing else may have changed. */
  readonly only?: boolean;
}

/** A row of a table of cases: what is done, and what comes of it, one expectation for each VM entry. */
export interface ConformanceCase extends VmxCase {
  readonly expect: readonly Expected[];
}

export type Values = Expected["values"];
const failedEntry = 0x8000_0000;

/** A VM exit. Values that are 0 in every field before need no mention when they are 0. */
export const exits = (reason: keyof typeof ExitReason, values: Values = {}): Expected => ({
  kind: "X",
  values: { "exit.reason": ExitReason[reason] || undefined, ...values },
});

/** A VM exit because of an instruction of so many bytes, which has not been executed. */
export const exitsAt = (
  reason: keyof typeof ExitReason,
  length: number,
  qualification: bigint | number = 0,
  values: Values = {},
): Expected =>
  exits(reason, {
    "exit.instructionLength": length,
    "exit.qualification": qualification || undefined,
    ...values,
  });

/** The guest came to its VMCALL. */
export const reachesVmcall = (values: Values = {}): Expected => exitsAt("VMCALL", 3, 0, values);

const addressOfHandler = (vector: number): number => 0x20_1000 + 16 * vector;
/** The guest's handler of a vector ran: its VMCALL. */
export const reachesHandler = (vector: number, values: Values = {}): Expected =>
  reachesVmcall({ "guest.rip": addressOfHandler(vector), ...values });
export const reachesLowHandler = (vector: number, values: Values = {}): Expected =>
  reachesVmcall({ "guest.rip": 16 * vector, ...values });

/** VM-exit interruption-information field; hardware exceptions are type 3. */
export const interruptionInformation = (vector: number, type: number, withErrorCode = false): number =>
  (0x8000_0000 | (withErrorCode ? 0x800 : 0) | (type << 8) | vector) >>> 0;

/** An exit because of a hardware exception. */
export const exception = (vector: number, errorCode?: number, values: Values = {}): Expected =>
  exits("EXCEPTION_OR_NMI", {
    "exit.interruptionInformation": interruptionInformation(vector, 3, errorCode !== undefined),
    "exit.interruptionErrorCode": errorCode || undefined,
    ...values,
  });

/** SDM Vol. 3, "VM-Entry Failures During or After Loading Guest State": only reason and qualification are written. */
export const entryFailure = (reason: "INVALID_GUEST_STATE" | "MSR_LOADING", qualification = 0): Expected => ({
  kind: "X",
  values: {
    "exit.reason": (failedEntry | ExitReason[reason]) >>> 0,
    ...(qualification ? { "exit.qualification": qualification } : {}),
  },
  only: true,
});

/** SDM Vol. 3, "Conventions" of VMX instructions: ZF, and the number in the VM-instruction error field. */
export const failsValid = (error: number, values: Values = {}): Expected => ({
  kind: "V",
  values: { "exit.vmInstructionError": error, RFLAGS: 0x42, ...values },
  only: true,
});
/** The same, of an instruction in the host's part of a case. */
export const hostFailsValid = (error: number, values: Values = {}): Expected => ({
  ...failsValid(error, values),
  kind: "H",
});
export const hostFailsInvalid: Expected = { kind: "H", values: { RFLAGS: 3 }, only: true };
export const hostSucceeds = (values: Values = {}): Expected => ({ kind: "H", values, only: true });
export const hostException = (vector: number, errorCode = 0): Expected => ({
  kind: "E",
  values: { exception: 0x100 + vector, errorCode: errorCode || undefined },
});

/** How a report departs from what is expected; undefined: not at all. */
export const departure = (expected: Expected | undefined, report: Report | undefined): string | undefined => {
  if (report === undefined) return "no report";
  if (expected === undefined) return `one report too many: ${reportText(report)}`;
  if (expected.kind !== report.kind) return `${expected.kind} expected: ${reportText(report)}`;
  const wrong: string[] = [];
  for (const [name, value] of Object.entries(expected.values)) {
    const found = report.changes.get(name);
    const wanted = value === undefined ? undefined : BigInt.asUintN(64, BigInt(value));
    const open = expected.open?.[name] ?? 0n;
    if (((found ?? 0n) & ~open) !== ((wanted ?? 0n) & ~open) || (open === 0n && found !== wanted))
      wrong.push(
        `${name} is ${found?.toString(16) ?? "unchanged"}, not ${wanted?.toString(16) ?? "unchanged"}`,
      );
  }
  if (expected.only)
    for (const [name, value] of report.changes)
      if (!(name in expected.values)) wrong.push(`${name} became ${value.toString(16)}`);
  return wrong.length === 0 ? undefined : wrong.join("; ");
};
