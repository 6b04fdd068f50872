import { readFileSync } from "node:fs";
import {
  ConfigurationError,
  dumpText,
  type ExplainedDump,
  type ExplainOptions,
  explainVmcs,
} from "../api/index.ts";
import { complain } from "./complain.ts";
import { explainOptions, type Given, isMistake, optionsHelp, parseArguments } from "./options.ts";
import { paintFor } from "./paint.ts";

export const explainHelp = `Usage: worldswitch explain FILE [options]
       worldswitch explain - [options]         standard input

Says why a VM entry fails. FILE is what a hypervisor printed of its VMCS:

  - the log of Linux KVM (module parameter kvm_intel.dump_invalid_vmcs=1), from dmesg or syslog
  - the log of Xen (debug key v: xl debug-keys v, then xl dmesg)
  - lines of names and values of your own: GUEST_CR0 = 0x80000031, Guest CS selector: 8, 0x6800 = 0x80000031

Every check of VM entry in the SDM is made, not only up to the first that does not hold. For each that does not: the field, its
encoding and value, the rule and where the SDM has it, what is allowed, and what to change. What the dump lacks is
named, never guessed; so are lines that are not understood.

${optionsHelp(explainOptions)}

By default the checks are made for a recent processor, which allows all that the SDM defines. For your own:
  for n in $(seq 0x480 0x491); do echo "0x$(printf %x $n) = 0x$(rdmsr $n)"; done > capabilities.txt

Exit status:
  0               all checks that can be made hold
  1               some check does not hold
  2               bad usage or bad input

Examples:
  dmesg | worldswitch explain -
  worldswitch explain kvm.log --capabilities capabilities.txt
  worldswitch explain vmcs.txt --json
`;

const [HOLDS, FAILS] = [0, 1];

const complaints: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "it cannot be read: permission denied",
  EISDIR: "it is a directory",
};

interface File {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A file, or standard input; or one sentence. */
const read = async (name: string, expected: string): Promise<File | string> => {
  try {
    if (name !== "-") return { name, bytes: readFileSync(name) };
    if (process.stdin.isTTY) process.stderr.write("worldswitch: paste the dump, then press Ctrl-D\n");
    const pieces: Buffer[] = [];
    for await (const piece of process.stdin) pieces.push(piece as Buffer);
    return { name: "standard input", bytes: Buffer.concat(pieces) };
  } catch (error) {
    const { code = "", message = "" } = error as { code?: string; message?: string };
    return `${name}: ${complaints[code] ?? message}, expected ${expected}`;
  }
};

const write = (text: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(text, () => resolve()));

const hasFailures = ({ vmcses }: ExplainedDump): boolean =>
  vmcses.some(({ failures }) => failures.length > 0);

const optionsOf = async ({ values }: Given): Promise<ExplainOptions | string> => {
  const [capabilities, model] = [values.get("capabilities")?.at(-1), values.get("cpu")?.at(-1)];
  if (capabilities === undefined) return model === undefined ? {} : { model };
  if (model !== undefined) return "both --capabilities and --cpu are given, expected one of them";
  const file = await read(capabilities, "values of VMX capability MSRs");
  return typeof file === "string" ? file : { capabilities: file };
};

/** `worldswitch explain`: the exit status. */
export const explain = async (words: readonly string[]): Promise<number> => {
  const given = parseArguments(words, explainOptions, "explain");
  if (isMistake(given)) return complain(given.mistake);
  const [name, extra] = given.positional;
  if (name === undefined || name === "")
    return complain(`no FILE is given, expected worldswitch explain FILE, or - for standard input`);
  if (extra !== undefined) return complain(`"${extra}" comes after FILE "${name}", expected one file`);
  const options = await optionsOf(given);
  if (typeof options === "string") return complain(options);
  const file = await read(name, "a VMCS dump");
  if (typeof file === "string") return complain(file);
  try {
    const dump = explainVmcs(file, options);
    if ("message" in dump) return complain(dump.message);
    const json = given.values.has("json");
    const fails = hasFailures(dump);
    await write(
      json
        ? `${JSON.stringify({ file: file.name, fails, ...dump }, null, 2)}\n`
        : dumpText(dump, paintFor(process.stdout, process.env)),
    );
    return fails ? FAILS : HOLDS;
  } catch (error) {
    if (error instanceof ConfigurationError) return complain(error.message);
    throw error;
  }
};
