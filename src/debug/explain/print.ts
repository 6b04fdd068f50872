import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { ExplainedDump, ExplainedVmcs } from "./explain-dump.ts";
import type { ExplainedControl, ExplainedFailure, ExplainedField } from "./explanation.ts";
import type { VmxFailure } from "./failure-watch.ts";
import { fieldNamed } from "./field-lookup.ts";

/** Explanations as text for people. */

export type Style = "bad" | "good" | "strong" | "faint";
/** Puts a text into a style: colours on a terminal, nothing elsewhere. */
export type Paint = (style: Style, text: string) => string;
export const plain: Paint = (_style, text) => text;

const WIDTH = 100;
const LABEL = 10;
const INDENT = "   ";

/** Words in lines of at most `width` letters. */
const wrapped = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
};

/** A label, and texts in the column beside it. */
const labelled = (label: string, texts: readonly string[], paint: Paint, style?: Style): string[] =>
  texts
    .flatMap((text) => wrapped(text, WIDTH - LABEL - INDENT.length))
    .map((line, index) => {
      const left = (index === 0 ? label : "").padEnd(LABEL);
      return `${INDENT}${paint("faint", left)}${style === undefined ? line : paint(style, line)}`;
    });

const fieldText = ({ title, encoding, value }: ExplainedField): string =>
  `${title} (${encoding}) = ${value ?? "not in the dump"}`;

const controlText = ({ name, field, bit, value }: ExplainedControl): string =>
  `"${name}" (bit ${bit} of the ${shortName(field)}) is ${value ?? "not known"}`;

/** Words of controls without what goes without saying. */
const shortName = (field: VmcsFieldName): string =>
  sdmName(field)
    .replace(/ VM-execution controls$/, " controls")
    .replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());

const sdmName = (field: VmcsFieldName): string => vmcsFieldNames(field).sdm;

const bitsOf = (mask: string): number[] => {
  const value = BigInt(mask);
  return Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (value >> BigInt(bit)) & 1n);
};

const grouped = (count: number): string => count.toLocaleString("en-US");

const failureText = (failure: ExplainedFailure, number: number, paint: Paint): string[] => {
  const { fields, controls, allowed, sdm, says, hint } = failure;
  const [first, ...others] = fields;
  const title = first === undefined ? says : fieldText(first);
  const wrong = allowed === undefined ? [] : bitsOf(allowed.wrong);
  const written = fields.filter(({ lastWrite }) => lastWrite !== undefined);
  return [
    `${`${number}.`.padEnd(INDENT.length)}${paint("strong", title)}`,
    ...labelled("rule", [says], paint),
    ...labelled("", [`SDM Vol. 3, "${sdm}" (check ${failure.check}: ${failure.outcome})`], paint, "faint"),
    ...labelled("with", [...others.map(fieldText), ...controls.map(controlText)], paint),
    ...(allowed === undefined
      ? []
      : [
          ...labelled(
            "allowed",
            [`bits that must be 1: ${allowed.mustBe1}, that must be 0: ${allowed.mustBe0} (${allowed.from})`],
            paint,
          ),
          ...labelled(
            "wrong",
            [`bit${wrong.length === 1 ? "" : "s"} ${wrong.join(", ")}: ${allowed.wrong}`],
            paint,
            "bad",
          ),
        ]),
    ...labelled(
      "written",
      written.map(({ title: name, lastWrite }) =>
        fields.length === 1
          ? `by VMWRITE at RIP ${lastWrite!.rip}, instruction ${grouped(lastWrite!.instruction)}`
          : `${name} by VMWRITE at RIP ${lastWrite!.rip}, instruction ${grouped(lastWrite!.instruction)}`,
      ),
      paint,
    ),
    ...labelled("fix", [hint], paint, "good"),
  ];
};

const plural = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

/** What fails, and how many checks do. */
const verdictText = (
  failures: readonly ExplainedFailure[],
  checks: number,
  undecided: number,
  paint: Paint,
): string => {
  const made = checks - undecided;
  const left = undecided === 0 ? "" : `; ${plural(undecided, "check")} cannot be made`;
  const [first] = failures;
  if (first === undefined)
    return paint("good", `All ${grouped(made)} checks of VM entry that can be made hold${left}.`);
  const count = failures.length === 1 ? "1 check does" : `${grouped(failures.length)} checks do`;
  return paint("bad", `VM entry fails with ${first.outcome}: ${count} not hold, of ${grouped(made)}${left}.`);
};

/** Fields that checks asked for in vain, and what else. */
const missingOf = ({ undecided }: ExplainedVmcs): string[] => {
  const names = new Set(
    undecided.flatMap(({ missing }) => {
      const fields = missing.filter((name) => fieldNamed(name)?.field.name === name);
      // What a field that is missing points to is not worth a word.
      return fields.length > 0 ? fields : missing;
    }),
  );
  return [...names].map((name) => {
    const field = fieldNamed(name)?.field;
    return field?.name === name ? sdmName(field.name) : name;
  });
};

const sentence = (text: string): string[] => wrapped(text, WIDTH);

const vmcsText = (vmcs: ExplainedVmcs, dump: ExplainedDump, paint: Paint): string => {
  const { title, line, fields, failures, undecided, checks, remarks, reported } = vmcs;
  const { exitReason, vmInstructionError } = reported;
  const missing = missingOf(vmcs);
  const error = vmInstructionError?.number;
  const hasFailed = exitReason?.isFailure === true || error === 7 || error === 8;
  const what = title === "" ? "VMCS" : title;
  const lines = [
    ...sentence(
      `${what} (line ${line}, format ${dump.format}, ${plural(fields, "field")}), judged for ${dump.processor.name}`,
    ),
    ...(exitReason === undefined
      ? []
      : [`The dump reports exit reason ${exitReason.value}: ${exitReason.says}.`]),
    ...(vmInstructionError === undefined
      ? []
      : [`The dump reports VM-instruction error ${vmInstructionError.number}: ${vmInstructionError.says}.`]),
    verdictText(failures, checks, undecided.length, paint),
    ...(hasFailed && failures.length === 0 && undecided.length > 0
      ? ["The check that failed is among those that cannot be made."]
      : []),
    ...failures.flatMap((failure, index) => ["", ...failureText(failure, index + 1, paint)]),
    ...(missing.length === 0 ? [] : ["", ...sentence(`Not in the dump: ${missing.join(", ")}.`)]),
    ...remarks.flatMap((remark) => ["", ...sentence(`Note: ${remark}.`)]),
  ];
  return lines.join("\n");
};

/** What makes two VMCSs of a log, such as those of an entry tried again and again, alike. */
const likeness = ({ failures, remarks, reported, undecided }: ExplainedVmcs): string =>
  JSON.stringify([failures, remarks, reported, undecided.map(({ check }) => check)]);

/** Each VMCS; of those that are alike only the first at length. */
const vmcsTexts = (dump: ExplainedDump, paint: Paint): string[] => {
  const told = new Map<string, number>();
  return dump.vmcses.map((vmcs) => {
    const key = likeness(vmcs);
    const before = told.get(key);
    if (before === undefined) {
      told.set(key, vmcs.line);
      return vmcsText(vmcs, dump, paint);
    }
    return sentence(`${vmcs.title || "VMCS"} (line ${vmcs.line}): the same as at line ${before}.`).join("\n");
  });
};

/** Lines that are not understood and shown, at most: a whole kernel log has thousands. */
const UNKNOWN_SHOWN = 20;

/** A dump explained, for people. */
export const dumpText = (dump: ExplainedDump, paint: Paint = plain): string => {
  const { unknownLines, processor } = dump;
  const more = unknownLines.length - UNKNOWN_SHOWN;
  const unknown = unknownLines
    .slice(0, UNKNOWN_SHOWN)
    .map(
      ({ line, text, why }) =>
        `  line ${line}: ${[text, why].filter((word) => word).join(" (")}${text && why ? ")" : ""}`,
    );
  return [
    ...vmcsTexts(dump, paint),
    ...processor.remarks.map((remark) => sentence(`Note: ${remark}.`).join("\n")),
    ...(unknown.length === 0
      ? []
      : [
          `Lines that are not understood:\n${unknown.join("\n")}${more > 0 ? `\n  and ${plural(more, "more line")}` : ""}`,
        ]),
  ]
    .join("\n\n")
    .concat("\n");
};

/** A VMX instruction that failed on the machine, for people. */
export const vmxFailureText = (failure: VmxFailure, paint: Paint = plain): string => {
  const { instruction, kind, number, says, hint, rip, cpu, instructionNumber, operands, qualification } =
    failure;
  const outcome =
    kind === "VMfailValid" ? `VMfailValid(${number})` : kind === "VMfailInvalid" ? kind : `${kind} ${number}`;
  const place = `${rip === undefined ? "" : `at RIP ${rip}, `}instruction ${grouped(instructionNumber)} of processor ${cpu}`;
  const detail = qualification === undefined ? "" : `, exit qualification ${qualification}`;
  return [
    ...sentence(`${instruction} ${place}`),
    ...sentence(`${outcome}${detail}: ${says}`).map((line) => paint("bad", line)),
    ...operands.flatMap(({ operand, value, means }) =>
      labelled("operand", [`${operand} = ${value}${means === undefined ? "" : `: ${means}`}`], paint),
    ),
    ...(hint === undefined ? [] : labelled("fix", [hint], paint, "good")),
    ...(failure.checks === 0
      ? []
      : [
          `Of ${grouped(failure.checks)} checks of VM entry, ${plural(failure.failures.length, "does", "do")} not hold:`,
        ]),
    ...failure.failures.flatMap((check, index) => ["", ...failureText(check, index + 1, paint)]),
  ]
    .join("\n")
    .concat("\n");
};
