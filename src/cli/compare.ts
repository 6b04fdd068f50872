import {
  type CompareOptions,
  type Comparison,
  compareHypervisors,
  type HypervisorName,
  hypervisorNames,
} from "../api/index.ts";
import { complain, say } from "./complain.ts";
import { compareOptions, isMistake, type Mistake, optionsHelp, parseArguments } from "./options.ts";
import { paintFor } from "./paint.ts";

export const compareHelp = `Usage: worldswitch compare [options]

A hypervisor and its guest share one processor: the guest runs, something happens, and the processor is the host's again. That is a
world switch, and registers are all that matters in it: which there are, who saves them, in what order, and what if it fails.

Four hypervisors do it in four ways: bhyve, KVM and Akaros with VT-x, lguest without. "compare" runs one scenario under each
and tells, aspect by aspect, what it saw there. Nothing is written down beforehand: the guest fills each of its registers with
a value of its own, then leaves

  - for a device of the user's (twice), and for something that the kernel answers
  - because a device of the host's interrupts, or an NMI comes
  - not at all: an entry with a control of the VMCS cleared, one with a wrong guest state, one that the host calls off

and every instruction of the host's is looked at: what it moves, whose that is, which stack is in use. Then the guest's registers, the
host's and the host's stack are compared with what they were.

${optionsHelp(compareOptions)}

See the switch fail: leave out one of its instructions, and look at the last aspect, "Not kept".
  worldswitch compare --only bhyve --leave-out "bhyve:mov qword ptr [rsp+0x170], r14"
The instructions themselves: worldswitch run IMAGE --hypervisor bhyve --switch-trace. What they mean: the README of each hypervisor.
`;

const bad = (mistake: string): Mistake => ({ mistake });
const isName = (word: string): word is HypervisorName =>
  (hypervisorNames as readonly string[]).includes(word);

const namesIn = (text: string): readonly HypervisorName[] | Mistake => {
  const words = text.split(",").map((word) => word.trim());
  const wrong = words.find((word) => !isName(word));
  return wrong === undefined
    ? (words as HypervisorName[])
    : bad(`--only has "${wrong}", expected some of ${hypervisorNames.join(",")}`);
};

const leftOutIn = (text: string): CompareOptions["leaveOut"] | Mistake => {
  const [, name = "", instruction = ""] = /^(\w+):\s*(.*\S)\s*$/.exec(text) ?? [];
  return isName(name)
    ? { hypervisor: name, text: instruction }
    : bad(`--leave-out is "${text}", expected NAME:INSTRUCTION with one of ${hypervisorNames.join(", ")}`);
};

/** Lines of at most so many characters. */
const wrapped = (text: string, width: number): string[] => {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
};

const leastWidth = 40;

/** The comparison as text, `width` columns wide. */
export const comparisonText = (
  { rows, hypervisors }: Comparison,
  width: number,
  paint: ReturnType<typeof paintFor>,
): string => {
  const label = Math.max(...hypervisors.map((name) => name.length)) + 4;
  const room = Math.max(leastWidth, width - label);
  const told = rows.map(({ aspect, asks, seen }) => {
    const cells = hypervisors.map((name) => {
      const lines = wrapped(seen[name] ?? "", room);
      return `  ${name.padEnd(label - 2)}${lines.join(`\n${" ".repeat(label)}`)}`;
    });
    return `${paint("strong", aspect)}${paint("faint", ` - ${asks}`)}\n${cells.join("\n")}\n`;
  });
  return told.join("\n");
};

const pipeWidth = 120;

/** `worldswitch compare`: the exit status. */
export const compare = async (words: readonly string[]): Promise<number> => {
  const given = parseArguments(words, compareOptions, "compare");
  if (isMistake(given)) return complain(given.mistake);
  const { positional, values } = given;
  if (positional[0] !== undefined)
    return complain(`"${positional[0]}" is given to compare, expected options only; its guest is its own`);
  const [only, without] = [values.get("only")?.at(-1), values.get("leave-out")?.at(-1)];
  const hypervisors = only === undefined ? hypervisorNames : namesIn(only);
  if (isMistake(hypervisors)) return complain(hypervisors.mistake);
  const leaveOut = without === undefined ? undefined : leftOutIn(without);
  if (leaveOut !== undefined && isMistake(leaveOut)) return complain(leaveOut.mistake);
  if (leaveOut !== undefined && !hypervisors.includes(leaveOut.hypervisor))
    return complain(`--leave-out is for ${leaveOut.hypervisor}, which --only does not have`);
  const isTerminal = process.stderr.isTTY === true;
  const comparison = compareHypervisors({
    hypervisors,
    ...(leaveOut === undefined ? {} : { leaveOut }),
    ...(isTerminal ? { progress: (name) => say(`worldswitch: the scenario under ${name}`) } : {}),
  });
  if (leaveOut !== undefined && comparison.leftOut === 0)
    return complain(
      `no instruction that ${leaveOut.hypervisor} executed contains "${leaveOut.text}"; worldswitch run IMAGE --hypervisor ${leaveOut.hypervisor} --switch-trace lists them`,
    );
  const text = values.has("json")
    ? `${JSON.stringify(comparison, null, 2)}\n`
    : comparisonText(comparison, process.stdout.columns ?? pipeWidth, paintFor(process.stdout, process.env));
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
  return 0;
};
