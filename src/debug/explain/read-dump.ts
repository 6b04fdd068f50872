import { readAssignments } from "./assignments.ts";
import type { Dump, DumpRefusal } from "./dump.ts";
import { readSectionedDump } from "./sectioned-dump.ts";

/** More than any log of VMCS dumps has. */
export const largestDumpBytes = 4 * 1024 * 1024;

/** What is expected of a dump, for refusals. */
export const expectedDump = "a VMCS dump of Linux KVM or Xen, or lines such as GUEST_CR0 = 0x80000031";

/** The dump in a file's bytes, or why there is none. */
export const readDump = (bytes: Uint8Array): Dump | DumpRefusal => {
  if (bytes.length === 0) return { refusal: `it is empty, expected ${expectedDump}` };
  if (bytes.length > largestDumpBytes)
    return { refusal: `it has ${bytes.length} bytes, expected at most ${largestDumpBytes}: ${expectedDump}` };
  const text = textOf(bytes);
  if (text === undefined) return { refusal: `it is not text, expected ${expectedDump}` };
  const dump = readSectionedDump(text) ?? readAssignments(text);
  return "refusal" in dump && !dump.refusal.includes("expected")
    ? { refusal: `${dump.refusal}, expected ${expectedDump}` }
    : dump;
};

/** UTF-8, or UTF-16 with its mark; undefined: it is not text. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : "utf-8";
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: binary files have them
    return /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
};
