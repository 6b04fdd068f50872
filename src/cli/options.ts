/** Command-line options: one row per fact; the parser, --help and the tests read it. */

export interface OptionRow {
  readonly name: string;
  /** What the value is called in help; absent for a switch. */
  readonly value?: string;
  readonly about: string;
  readonly group: string;
  readonly repeatable?: true;
}

// biome-ignore format: one row per fact
export const runOptions = [
  { group: "What to boot", name: "initrd", value: "FILE [ARGS]", repeatable: true, about: "initial RAM disk; for multiboot, a module with its arguments, repeatable" },
  { group: "What to boot", name: "append", value: "TEXT", about: "kernel command line" },
  { group: "What to boot", name: "firmware", value: "ROM", about: "a firmware ROM in place of IMAGE, started at the reset vector" },
  { group: "What to boot", name: "protocol", value: "NAME", about: "linux-64, linux-32, pvh, multiboot, multiboot2 or flat; by default what IMAGE allows" },
  { group: "What to boot", name: "address", value: "ADDRESS", about: "where a flat binary is loaded and entered (default 0x7c00)" },
  { group: "What to boot", name: "mode", value: "MODE", about: "how a flat binary is entered: real (default), protected32 or long64" },
  { group: "What to boot", name: "no-file-name", about: "multiboot command lines begin with TEXT, not with the file's name" },
  { group: "The machine", name: "memory", value: "MIB", about: "RAM in MiB, or with a unit such as 2G (default 512)" },
  { group: "The machine", name: "cpus", value: "N", about: "logical processors, 1 to 8 (default 1)" },
  { group: "The machine", name: "cpu", value: "MODEL", about: "CPU model, with changes: default,-PCID,-VPID; \"--cpu list\" shows the models" },
  { group: "The machine", name: "hypervisor", value: "NAME", about: "make IMAGE the guest of one of our hypervisors, which run on the machine with its VT-x: bhyve, kvm, akaros; or without it: lguest, for a paravirtual kernel, such as builtin:lguest" },
  { group: "The machine", name: "disk", value: "FILE[,ro]", repeatable: true, about: "virtio disk, read-write or read-only, repeatable" },
  { group: "The machine", name: "seed", value: "N", about: "seed of everything random the guest sees (default 0)" },
  { group: "The machine", name: "real-time", about: "the guest's clock is set to now, and a halted guest sleeps; default on a terminal. Without it runs repeat exactly: the clock starts in 2025, and jumps while the guest is halted" },
  { group: "The machine", name: "debugcon", value: "PORT", about: "show bytes written to this port, such as 0xe9 or 0x402, on standard output" },
  { group: "The machine", name: "console", value: "WHICH", about: "serial (default) or virtio: what the terminal is connected to" },
  { group: "When to stop", name: "until", value: "TEXT", about: "stop with status 0 when the guest prints TEXT" },
  { group: "When to stop", name: "timeout", value: "SECONDS", about: "stop with status 124 after this much real time" },
  { group: "When to stop", name: "max-instructions", value: "N", about: "stop with status 124 after N instructions" },
  { group: "When to stop", name: "no-reboot", about: "stop with status 0 when the guest resets the machine, instead of booting again" },
  { group: "What to tell", name: "quiet", about: "print nothing but what the guest prints, errors, and --stats" },
  { group: "What to tell", name: "stats", value: "json", about: "at the end one line of JSON on standard error: instructions, seconds, hash ..." },
  { group: "What to tell", name: "log", value: "unimplemented", about: "tell on standard error what the guest used that the machine does not have" },
  { group: "What to tell", name: "explain", about: "explain on standard error each VM entry that fails, and each VMX instruction that ends in VMfail: every check that does not hold, and what to change; default when standard error is a terminal" },
  { group: "What to tell", name: "no-explain", about: "do not" },
  { group: "What to tell", name: "exits", about: "at the end a table of VM exits by reason: count, share, and how long their handlers were" },
  { group: "What to tell", name: "exits-log", value: "FILE", about: "write one line of JSON per VM exit to FILE" },
  { group: "What to tell", name: "switch-trace", about: "with --hypervisor: tell on standard error each instruction of its world switch, which registers it moves and whose they are, the stack, and what the processor does by itself" },
  { group: "What to tell", name: "json", about: "tell --switch-trace as one line of JSON per step" },
  { group: "What to tell", name: "tier", value: "NAME", about: "jit (default), interpreter, or evaluator: the executable specification, slow; both: run the JIT and the interpreter, compare them wherever translated code returns, and stop with status 4 where they differ, slow" },
] as const satisfies readonly OptionRow[];

// biome-ignore format: one row per fact
export const explainOptions = [
  { group: "For which processor", name: "capabilities", value: "FILE", about: "values of the VMX capability MSRs 0x480 to 0x492, as rdmsr prints them or as NAME = VALUE; a line MAXPHYADDR = N tells the width of physical addresses" },
  { group: "For which processor", name: "cpu", value: "MODEL", about: "a CPU model of this machine, with changes: default,-enableEPT; \"worldswitch run --cpu list\" shows the models" },
  { group: "How to tell", name: "json", about: "print JSON instead of text" },
] as const satisfies readonly OptionRow[];

export const compareOptions = [
  {
    group: "What to compare",
    name: "only",
    value: "NAMES",
    about: "some of bhyve,kvm,lguest,akaros, with commas between; default: all",
  },
  {
    group: "What to compare",
    name: "leave-out",
    value: "NAME:TEXT",
    about: "an experiment: leave out the instructions of NAME's kernel whose disassembly contains TEXT",
  },
  { group: "How to tell", name: "json", about: "print JSON instead of text" },
] as const satisfies readonly OptionRow[];

/** Options as they were given: the last value of each, all values of repeatable ones. */
export interface Given {
  readonly positional: readonly string[];
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** A usage mistake: one sentence. */
export interface Mistake {
  readonly mistake: string;
}

export const isMistake = <T extends object>(outcome: T | Mistake): outcome is Mistake => "mistake" in outcome;

/** How many letters to insert, remove, change or swap to get from one word to another. */
const editDistance = (from: string, to: string): number => {
  const rows = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = from[i - 1] === to[j - 1] ? 0 : 1;
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
};

/** The word that was probably meant; undefined when none is near. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  const begins = known.filter((other) => word.length >= 3 && other.startsWith(word));
  if (begins.length === 1) return begins[0];
  const [best] = known
    .map((other) => ({ other, distance: editDistance(word, other) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.other.length / 3))
    ? best.other
    : undefined;
};

/** Words that people know from other emulators, and what they are called here. */
const otherNames: Readonly<Record<string, string>> = {
  m: "memory",
  mem: "memory",
  ram: "memory",
  smp: "cpus",
  kernel: "IMAGE as the first word",
  drive: "disk",
  hda: "disk",
  bios: "firmware",
  cmdline: "append",
};

const meant = (word: string, rows: readonly OptionRow[], command: string): string => {
  const other = command === "run" ? otherNames[word] : undefined;
  if (other?.startsWith("IMAGE")) return `; give ${other}`;
  const near = other ?? nearest(word, [...rows.map(({ name }) => name), "help", "version"]);
  return near === undefined
    ? `; "worldswitch ${command} --help" lists the options`
    : `; did you mean --${near}?`;
};

/** Sorts arguments into options and the rest. */
export const parseArguments = (
  words: readonly string[],
  rows: readonly OptionRow[] = runOptions,
  command = "run",
): Given | Mistake => {
  const positional: string[] = [];
  const values = new Map<string, string[]>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === "--") {
      positional.push(...words.slice(index + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positional.push(word);
      continue;
    }
    const equals = word.indexOf("=");
    const name = (equals < 0 ? word : word.slice(0, equals)).replace(/^--?/, "");
    const row = word.startsWith("--") ? rows.find((other) => other.name === name) : undefined;
    if (row === undefined) {
      return {
        mistake: `there is no option ${equals < 0 ? word : word.slice(0, equals)}${meant(name, rows, command)}`,
      };
    }
    let value = "";
    if (row.value === undefined) {
      if (equals >= 0) return { mistake: `--${name} takes no value, found "${word.slice(equals + 1)}"` };
    } else if (equals >= 0) value = word.slice(equals + 1);
    else {
      const next = words[++index];
      if (next === undefined) return { mistake: `--${name} has no value, expected --${name} ${row.value}` };
      value = next;
    }
    const before = row.repeatable ? (values.get(name) ?? []) : [];
    values.set(name, [...before, value]);
  }
  return { positional, values };
};

const HELP_COLUMN = 28;
const HELP_WIDTH = 100;

const wrapped = (text: string, width: number): string[] => {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
};

/** The option list of --help. */
export const optionsHelp = (rows: readonly OptionRow[] = runOptions): string => {
  const lines: string[] = [];
  let group = "";
  for (const row of rows) {
    if (row.group !== group) lines.push("", `${row.group}:`);
    group = row.group;
    const left = `  --${row.name}${row.value === undefined ? "" : ` ${row.value}`}`;
    const right = wrapped(row.about, HELP_WIDTH - HELP_COLUMN);
    if (left.length + 2 > HELP_COLUMN) lines.push(left);
    else right[0] = left.padEnd(HELP_COLUMN) + right[0];
    right.forEach((line, index) => {
      const isFirst = index === 0 && left.length + 2 <= HELP_COLUMN;
      lines.push(isFirst ? line : " ".repeat(HELP_COLUMN) + line);
    });
  }
  return lines.slice(1).join("\n");
};
