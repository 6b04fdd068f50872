import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { takeAssignments } from "./assignments.ts";
import {
  type Dump,
  type DumpedVmcs,
  type DumpFormat,
  type DumpRefusal,
  FieldCollector,
  type UnknownLine,
} from "./dump.ts";
import { type DumpSection, dumpLines, dumpSections, lastAlwaysThere } from "./dump-lines.ts";
import { linesOf, withoutPrefix } from "./text-lines.ts";

/** Reads what KVM and Xen print of a VMCS: three sections with titles between asterisks. */

const HEX = "(?:0x)?([0-9a-f]{1,16})(?![0-9a-z])";

/** A row of the table as a pattern, with the fields of its groups. */
interface LinePattern {
  readonly pattern: RegExp;
  readonly fields: readonly VmcsFieldName[];
}

const patternOf = (row: string): LinePattern => {
  const fields: VmcsFieldName[] = [];
  const source = row
    .replace(/ ?= ?/g, " = ")
    .split(/(\{[\w.]*\}|[@#]| )/)
    .map((piece) => {
      if (piece === " ") return "\\s{0,99}";
      if (piece === "@") return "[^)\\n]*";
      if (piece === "#") return "\\d+";
      if (piece === "{}") return HEX.replace("([", "(?:[");
      if (!piece.startsWith("{")) return piece.replace(/[|()/.*+?[\]\\^$]/g, "\\$&");
      fields.push(piece.slice(1, -1) as VmcsFieldName);
      return HEX;
    })
    .join("");
  return { pattern: new RegExp(`(?<![\\w:])${source}`, "gi"), fields };
};

const patterns = Object.fromEntries(
  dumpSections.map((section) => [section, dumpLines[section].map(patternOf)]),
) as Record<DumpSection, LinePattern[]>;

const SECTION = /^\s*[*-]{3}\s*(guest|host|control) state\s*[*-]{3}\s*$/i;
/** Lines around a dump that say which VMCS it is, or nothing. */
const KVM_TITLE = /^\s*(VMCS \S+, last attempted VM-entry on CPU \d+)\s*$/i;
const DOMAIN = /Domain (\d+) <<<\s*$/;
const VCPU = /^\s*VCPU (\d+)\s*$/;
const FRAME = /^\s*\*{9,}(?: VMCS Areas \*+)?\s*$/;
/** Takes the place of what is understood, so that nothing is read across it. */
const TAKEN = "\u0000";

interface Section {
  readonly title: DumpSection;
  /** Line of its heading, from 1. */
  readonly line: number;
  readonly lines: readonly { readonly number: number; readonly raw: string; readonly text: string }[];
}

interface Part {
  title: string;
  readonly line: number;
  readonly sections: Section[];
}

/** The dumps of a text, cut into sections; lines before and between them too. */
const cut = (text: string): { readonly parts: readonly Part[]; readonly outside: Section["lines"] } => {
  const parts: Part[] = [];
  const outside: { number: number; raw: string; text: string }[] = [];
  let current: { number: number; raw: string; text: string }[] = outside;
  let [kvm, domain, vcpu] = ["", "", ""];
  linesOf(text).forEach((raw, index) => {
    const line = { number: index + 1, raw, text: withoutPrefix(raw) };
    const heading = SECTION.exec(line.text)?.[1]?.toLowerCase();
    const section = dumpSections.find((title) => title.toLowerCase().startsWith(heading ?? "-"));
    if (section !== undefined) {
      const title = kvm || [vcpu, domain].filter((word) => word !== "").join(" of ");
      if (section === "Guest State" || parts.length === 0)
        parts.push({ title, line: index + 1, sections: [] });
      current = [];
      parts.at(-1)!.sections.push({ title: section, line: index + 1, lines: current });
      return;
    }
    const [, title] = KVM_TITLE.exec(line.text) ?? [];
    const [, domainNumber] = DOMAIN.exec(line.text) ?? [];
    const [, vcpuNumber] = VCPU.exec(line.text) ?? [];
    if (title !== undefined) kvm = title;
    else if (domainNumber !== undefined) domain = `domain ${domainNumber}`;
    else if (vcpuNumber !== undefined) vcpu = `VCPU ${vcpuNumber}`;
    else if (!FRAME.test(line.text)) current.push(line);
  });
  return { parts, outside };
};

/** Reads one section; what is left of each line is not understood. */
const readSection = ({ title, lines }: Section, collector: FieldCollector, unknown: UnknownLine[]): void => {
  let text = lines.map((line) => line.text).join("\n");
  // What replaces text is as long as it, so lines stay where they are.
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const lineAt = (offset: number): number => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const whyNot = new Map<number, string>();
  for (const { pattern, fields } of patterns[title])
    text = text.replace(pattern, (match, ...rest) => {
      const offset = rest.find((word) => typeof word === "number") as number;
      const index = lineAt(offset);
      fields.forEach((name, group) => {
        const refused = collector.takeField(name, BigInt(`0x${rest[group]}`), lines[index]!.number);
        if (refused !== undefined) whyNot.set(index, refused);
      });
      return match.replace(/[^\n]/g, TAKEN);
    });
  text.split("\n").forEach((left, index) => {
    const { number, raw, text: whole } = lines[index] ?? { number: 0, raw: "", text: "" };
    const why = whyNot.get(index);
    const remainder = left.replaceAll(TAKEN, " ").replace(/[\s,]+/g, "");
    if (why !== undefined) unknown.push({ line: number, text: raw.trim(), why });
    else if (remainder !== "") {
      // Fields that the dump lacks may be added by hand.
      const problem = left.includes(TAKEN) ? {} : takeAssignments(whole, number, collector, false);
      if (problem !== undefined) unknown.push({ line: number, text: raw.trim(), ...problem });
    }
  });
};

/** Why a dump is not whole; undefined: it is. */
const missingPart = ({ sections, line }: Part, collector: FieldCollector): string | undefined => {
  const expected = "expected a whole dump, from *** Guest State *** to the end of *** Control State ***";
  const lacking = dumpSections.filter((title) => !sections.some((section) => section.title === title));
  if (lacking.length > 0)
    return `the dump at line ${line} has no ${lacking.map((title) => `*** ${title} ***`).join(" and no ")}, ${expected}`;
  for (const title of dumpSections)
    if (!collector.fields.has(lastAlwaysThere[title]))
      return `the dump at line ${line} is cut off in *** ${title} ***, ${expected}`;
  return undefined;
};

/** A text with sections as KVM and Xen print them; undefined: it has none. */
export const readSectionedDump = (text: string): Dump | DumpRefusal | undefined => {
  const { parts, outside } = cut(text);
  if (parts.length === 0) return undefined;
  const vmcses: DumpedVmcs[] = [];
  const unknown: UnknownLine[] = [];
  parts.forEach((part, index) => {
    const collector = new FieldCollector();
    // Lines before the first dump belong to it.
    if (index === 0) for (const line of outside) takeOutside(line, collector, unknown);
    for (const section of part.sections) readSection(section, collector, unknown);
    const refusal = missingPart(part, collector);
    if (refusal === undefined) vmcses.push(collector.dumped(part.title, part.line));
    else unknown.push({ line: part.line, text: "", why: refusal });
  });
  if (vmcses.length === 0) return { refusal: unknown.find(({ text: line }) => line === "")!.why! };
  const format: DumpFormat = /\(XEN\)|VMCS Areas|\bsel +attr +limit +base/.test(text) ? "Xen" : "KVM";
  return { format, vmcses, unknown };
};

const takeOutside = (
  { number, raw, text }: Section["lines"][number],
  collector: FieldCollector,
  unknown: UnknownLine[],
): void => {
  if (text.trim() === "") return;
  const problem = takeAssignments(text, number, collector, false);
  if (problem !== undefined) unknown.push({ line: number, text: raw.trim(), ...problem });
};
