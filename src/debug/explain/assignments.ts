import type { Dump, DumpRefusal, FieldCollector, UnknownLine } from "./dump.ts";
import { FieldCollector as Collector } from "./dump.ts";
import { fieldNamed, fieldOfEncoding } from "./field-lookup.ts";
import { linesOf, withoutPrefix } from "./text-lines.ts";

/** Lines of the form `name = value`. */

/** A name and a value as they stand in a line. */
interface Assignment {
  readonly name: string;
  readonly digits: string;
}

/** A number in C's, assembler's or no notation, perhaps quoted. */
const NUMBER = `["']?((?:0x)?[0-9a-f][0-9a-f_']*h?(?:u?l{0,2})?)["']?`;
const ONE = new RegExp(String.raw`^(.*?[\w)\]"'])\s*(?:=|:=|:|->|=>|,|\s)\s*${NUMBER}$`, "i");
const SEVERAL = new RegExp(String.raw`\s*([^=:]*?[\w)\]"'])\s*[=:]\s*${NUMBER}(?=[\s,;]|$)[\s,;]*`, "iy");
const BARE_NAME = /^([A-Za-z][\w .()/-]*?)\s*(?:[=:]\s*(?:0x)?)?$/i;

/** Longer than any line of a dump. */
const LONGEST_LINE = 2000;

const clean = (line: string): string =>
  withoutPrefix(line)
    .replace(/\s(?:#|\/\/|;).*$/, "")
    .replace(/^\s*(?:#|\/\/|;).*$/, "")
    .replace(/([0-9a-f])\s+[([{][^=:]*$/i, "$1")
    .replace(/[\s,;{}]+$/, "")
    .replace(/^[\s{]+/, "");

const assignmentsOf = (line: string): readonly Assignment[] => {
  if (line.length > LONGEST_LINE) return [];
  const [, name, digits] = ONE.exec(line) ?? [];
  if (name !== undefined && digits !== undefined && fieldNamed(name) !== undefined) return [{ name, digits }];
  const several: Assignment[] = [];
  SEVERAL.lastIndex = 0;
  while (SEVERAL.lastIndex < line.length) {
    const match = SEVERAL.exec(line);
    if (match === null) return name === undefined || digits === undefined ? [] : [{ name, digits }];
    several.push({ name: match[1]!, digits: match[2]! });
  }
  return several;
};

/** Digits whose base only the file at large tells: no 0x, no letter. */
const isBare = (digits: string): boolean => /^\d+$/.test(plain(digits));
/** Letters, or zeros in front as printf's %016lx makes them. */
const looksHexadecimal = (digits: string): boolean =>
  !/^0x/i.test(digits) && (/[a-f]/i.test(plain(digits)) || /^0\d/.test(plain(digits)));

const plain = (digits: string): string => digits.replace(/[_']/g, "").replace(/(?:u?l{1,2}|u)$/i, "");

const numberOf = (digits: string, bareIsHexadecimal: boolean): bigint | undefined => {
  const text = plain(digits);
  if (/^0x[0-9a-f]{1,32}$/i.test(text)) return BigInt(text);
  if (/^[0-9a-f]{1,32}h$/i.test(text)) return BigInt(`0x${text.slice(0, -1)}`);
  if (/^\d{1,32}$/.test(text) && !bareIsHexadecimal) return BigInt(text);
  return /^[0-9a-f]{1,32}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
};

/** Takes in what one line says; undefined: all of it; else why it, or a part of it, is not understood. */
export const takeAssignments = (
  line: string,
  number: number,
  collector: FieldCollector,
  bareIsHexadecimal: boolean,
): { readonly why?: string } | undefined => {
  const found = assignmentsOf(clean(line));
  if (found.length === 0) return {};
  let problem: { readonly why?: string } | undefined;
  for (const { name, digits } of found) {
    const field = fieldNamed(name);
    const value = numberOf(digits, bareIsHexadecimal);
    if (field === undefined) {
      const encoding = /0x[0-9a-f]+/i.exec(name)?.[0];
      if (encoding === undefined) problem ??= {};
      else if (fieldOfEncoding(Number(encoding)) === undefined)
        problem ??= { why: `no field known here has the encoding ${encoding}` };
      else problem ??= { why: "the name and the encoding are of different fields" };
    } else if (value === undefined) problem ??= { why: `"${digits}" is no number` };
    else {
      const refused = collector.take(field, value, number);
      if (refused !== undefined) problem ??= { why: refused };
    }
  }
  return problem;
};

/** Reads a text of `name = value` lines. */
export const readAssignments = (text: string): Dump | DumpRefusal => {
  const lines = linesOf(text);
  const collector = new Collector();
  const unknown: UnknownLine[] = [];
  const all = lines.flatMap((line) => [...assignmentsOf(clean(line))]).filter(({ name }) => fieldNamed(name));
  const bareIsHexadecimal = all.some(({ digits }) => looksHexadecimal(digits));
  lines.forEach((line, index) => {
    if (clean(line) === "") return;
    const problem = takeAssignments(line, index + 1, collector, bareIsHexadecimal);
    if (problem !== undefined) unknown.push({ line: index + 1, text: line.trim(), ...problem });
  });
  if (collector.fields.size === 0) return { refusal: "no VMCS field is in it" };
  const last = lines.findLastIndex((line) => line.trim() !== "");
  const [, name = ""] = BARE_NAME.exec(clean(lines[last]!)) ?? [];
  if (unknown.at(-1)?.line === last + 1 && fieldNamed(name) !== undefined)
    return { refusal: `it is cut off: line ${last + 1} names ${name.trim()} and has no value` };
  if (bareIsHexadecimal && all.some(({ digits }) => isBare(digits)))
    collector.remarks.push(
      "numbers without 0x are read as hexadecimal, since some of them have letters or zeros in front",
    );
  const first = lines.findIndex((line) => clean(line) !== "");
  return { format: "name = value", vmcses: [collector.dumped("", first + 1)], unknown };
};
