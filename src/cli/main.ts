#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { cpuModels } from "../api/index.ts";
import { compare, compareHelp } from "./compare.ts";
import { complain } from "./complain.ts";
import { explain, explainHelp } from "./explain.ts";
import { nearest, optionsHelp } from "./options.ts";
import { run } from "./run.ts";

const version = (): string => {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
};

const help = `Worldswitch runs kernels on a 64-bit PC made of TypeScript: every instruction is emulated, every run can be repeated.

Usage:
  worldswitch run IMAGE [options]   boot a kernel; its serial port is your terminal
  worldswitch run --help            all options
  worldswitch explain FILE          say why a VM entry fails, from a VMCS dump of KVM, Xen or your own
  worldswitch explain --help        what FILE may be
  worldswitch compare               four hypervisors side by side: what each does to change worlds
  worldswitch compare --help        what is compared, and how to break it
  worldswitch --help                this text
  worldswitch --version             the version

IMAGE is a Linux kernel (bzImage), a multiboot, multiboot 2 or PVH kernel, or with --protocol flat any binary.

Try:
  worldswitch run vmlinuz --initrd initrd.img --append "console=ttyS0"
  worldswitch run test.elf --timeout 60 --quiet; echo $?
  dmesg | worldswitch explain -
`;

const runHelp = `Usage: worldswitch run IMAGE [options]
       worldswitch run --firmware ROM [options]

Boots IMAGE. The guest's first serial port is your terminal, so a Linux kernel wants --append "console=ttyS0".
On a terminal, every key goes to the guest, but for Ctrl-A: Ctrl-A X quits, Ctrl-A H shows help. When standard output
is not a terminal, what the guest prints is all that is written there; messages go to standard error.

${optionsHelp()}

Exit status:
  0               the guest powered off, printed the text of --until, or you quit
  (v << 1) | 1    the guest wrote v to port 0xf4 (QEMU's isa-debug-exit); the low 8 bits of it
  2               bad usage or bad input
  3               the guest shut down by a triple fault or a VMX abort
  124             --timeout or --max-instructions ended the run, or the guest halted for good
  130, 143, 129   SIGINT, SIGTERM or SIGHUP ended the run

Examples:
  worldswitch run vmlinuz --initrd initrd.img --append "console=ttyS0" --memory 1G --cpus 2
  worldswitch run vmlinuz --disk root.img --append "console=ttyS0 root=/dev/vda" --until "login:" --timeout 120
  worldswitch run kernel.elf --initrd "module.bin first second" --debugcon 0xe9
  worldswitch run boot.bin --protocol flat --max-instructions 10M --stats json
  worldswitch run --firmware bios.bin --disk disk.img,ro
`;

const print = (text: string): number => {
  process.stdout.write(text);
  return 0;
};

const isHelp = (word: string | undefined): boolean => word === "--help" || word === "-h" || word === "help";

/** Help is asked for, unless the word is the value of an option. */
const asksForHelp = (words: readonly string[]): boolean =>
  isHelp(words[0]) ||
  words.some((word, index) => (word === "--help" || word === "-h") && words[index - 1] !== "--append");

const listModels = (): number =>
  print(`${cpuModels.map(({ name, about }) => `${name.padEnd(12)}${about}`).join("\n")}\n`);

const main = async ([command, ...rest]: readonly string[]): Promise<number> => {
  if (isHelp(command))
    return print({ run: runHelp, explain: explainHelp, compare: compareHelp }[rest[0] ?? ""] ?? help);
  if (command === "--version" || command === "-V") return print(`worldswitch ${version()}\n`);
  if (command === "run") {
    if (asksForHelp(rest)) return print(runHelp);
    if (rest.some((word, index) => word === "--cpu=list" || (word === "list" && rest[index - 1] === "--cpu")))
      return listModels();
    return run(rest);
  }
  if (command === "explain") return asksForHelp(rest) ? print(explainHelp) : explain(rest);
  if (command === "compare") return asksForHelp(rest) ? print(compareHelp) : compare(rest);
  if (command === undefined)
    return complain(`no command is given, expected "worldswitch run IMAGE"; "worldswitch --help" tells more`);
  const near = nearest(command, ["run", "explain", "compare"]);
  const hint =
    near === undefined
      ? `expected "run", "explain" or "compare"; "worldswitch --help" tells more`
      : `did you mean "worldswitch ${near}"?`;
  return complain(`there is no command "${command}", ${hint}`);
};

// A reader that goes away is no error of ours.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));
// Nothing that is still open, such as standard input, keeps the process.
process.exit();
