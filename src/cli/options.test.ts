import { describe, expect, it } from "vitest";
import { explainOptions, isMistake, nearest, optionsHelp, parseArguments, runOptions } from "./options.ts";
import { runSettings } from "./run-settings.ts";

const settings = (...words: string[]) => {
  const given = parseArguments(words);
  if (isMistake(given)) throw new Error(given.mistake);
  const outcome = runSettings(given);
  if (isMistake(outcome)) throw new Error(outcome.mistake);
  return outcome;
};
const mistake = (...words: string[]): string => {
  const given = parseArguments(words);
  const outcome = isMistake(given) ? given : runSettings(given);
  return isMistake(outcome) ? outcome.mistake : "none";
};

describe("options of run", () => {
  it("are all understood together, in any order", () => {
    const words =
      `--memory 1G --cpus 2 kernel --initrd=a --append console=ttyS0 --disk d.img --disk=e.img,ro --until login: ` +
      `--timeout 1.5 --max-instructions 2M --cpu core2,+AES --seed 0xff --debugcon 0x402 --tier evaluator --quiet ` +
      `--stats json --log unimplemented --real-time --no-reboot --no-file-name --console virtio --protocol multiboot ` +
      `--no-explain --exits --exits-log exits.jsonl`;
    expect(settings(...words.split(" "), "--initrd", "b first  second")).toEqual({
      machine: {
        memoryMiB: 1024,
        processors: 2,
        model: "core2,+AES",
        seed: 255n,
        debugconPort: 0x402,
        tier: "evaluator",
        onReset: "stop",
      },
      boot: {
        image: "kernel",
        initrd: [
          { image: "a", args: "" },
          { image: "b", args: "first  second" },
        ],
        commandLine: "console=ttyS0",
        protocol: "multiboot",
        withFileName: false,
      },
      disks: [
        { name: "d.img", readOnly: false },
        { name: "e.img", readOnly: true },
      ],
      realTime: true,
      console: "virtio",
      showsDebugcon: true,
      until: "login:",
      timeout: 1.5,
      maxInstructions: 2_000_000,
      isQuiet: true,
      hasStats: true,
      logsUnimplemented: true,
      explains: false,
      showsExits: true,
      exitsLog: "exits.jsonl",
    });
  });

  it("may have values that look like options, and images after --", () => {
    expect(settings("kernel", "--append", "--verbose -x").boot.commandLine).toBe("--verbose -x");
    expect(settings("--quiet", "--", "--kernel").boot.image).toBe("--kernel");
  });

  it("take the last of several values, unless they are repeatable", () => {
    expect(settings("k", "--memory", "1", "--memory", "64M").machine.memoryMiB).toBe(64);
  });

  it("may boot a firmware ROM in place of an image", () => {
    expect(settings("--firmware", "bios.bin").boot).toMatchObject({ firmware: "bios.bin" });
  });
});

describe("a mistake in the options", () => {
  // biome-ignore format: one row per fact
  it.each<[string[], string]>([
    [[], "no IMAGE is given, expected worldswitch run IMAGE, such as a Linux kernel"],
    [["a", "b"], `"b" comes after IMAGE "a", expected one image; options begin with --`],
    [["a", "--firmware", "f"], `both IMAGE "a" and --firmware are given, expected one of them`],
    [["--memroy", "1"], "there is no option --memroy; did you mean --memory?"],
    [["--smp=2"], "there is no option --smp; did you mean --cpus?"],
    [["-m", "512"], "there is no option -m; did you mean --memory?"],
    [["-kernel", "k"], "there is no option -kernel; give IMAGE as the first word"],
    [["--max", "5"], "there is no option --max; did you mean --max-instructions?"],
    [["--xyzzy"], `there is no option --xyzzy; "worldswitch run --help" lists the options`],
    [["k", "--until"], "--until has no value, expected --until TEXT"],
    [["k", "--until", ""], "--until is empty"],
    [["k", "--quiet=yes"], `--quiet takes no value, found "yes"`],
    [["k", "--memory", "lots"], `--memory is "lots", expected a number of MiB, such as 512 or 2G`],
    [["k", "--memory", "-5"], `--memory is "-5", expected a number of MiB, such as 512 or 2G`],
    [["k", "--cpus", "0"], `--cpus is "0", expected a number from 1 to 8`],
    [["k", "--timeout", "soon"], `--timeout is "soon", expected a number of seconds above 0`],
    [["k", "--timeout", "0"], `--timeout is "0", expected a number of seconds above 0`],
    [["k", "--max-instructions", "1.5"], `--max-instructions is "1.5", expected a number above 0, such as 1000000 or 100M`],
    [["k", "--stats", "xml"], `--stats is "xml", expected "json"`],
    [["k", "--tier", "fast"], `--tier is "fast", expected one of jit, interpreter, evaluator, both`],
    [["k", "--debugcon", "65536"], `--debugcon is "65536", expected a port number from 0 to 0xffff`],
    [["k", "--seed", "x"], `--seed is "x", expected a number below 2^64`],
    [["k", "--protocol", "elf"], `--protocol is "elf", expected one of linux-64, linux-32, pvh, multiboot, multiboot2, flat`],
    [["k", "--address", "0x1000"], "--address is only for --protocol flat"],
    [["k", "--explain", "--no-explain"], "both --explain and --no-explain are given, expected one of them"],
    [["k", "--exits-log="], "--exits-log is empty"],
    [["k", "--disk", ",ro"], "--disk is empty, expected FILE or FILE,ro"],
    [["k", "--initrd", " "], "--initrd is empty, expected a file's name"],
  ])("is one sentence: %j", (words, sentence) => {
    expect(mistake(...words)).toBe(sentence);
  });

  it("of two letters in a short word is not guessed at", () => {
    expect(nearest("abc", ["xyz", "disk"])).toBeUndefined();
  });
});

describe("help", () => {
  it.each([
    ["run", runOptions],
    ["explain", explainOptions],
  ])("of %s shows every option on lines of at most 100 letters", (_command, rows) => {
    const help = optionsHelp(rows);
    for (const { name } of rows) expect(help).toContain(`  --${name}`);
    for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });
});
