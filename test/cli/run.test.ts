import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assemble } from "../../src/api/index.ts";

const main = new URL("../../dist/cli/main.js", import.meta.url).pathname;

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

const start = (words: readonly string[]): ChildProcess =>
  spawn(process.execPath, [main, ...words], { stdio: ["pipe", "pipe", "pipe"] });

const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (bytes) => (stdout += bytes));
    child.stderr!.on("data", (bytes) => (stderr += bytes));
    child.on("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
  });

/** Runs `worldswitch` with a closed or given standard input. */
const worldswitch = (words: readonly string[], input = ""): Promise<Ended> => {
  const child = start(words);
  child.stdin!.end(input);
  return ended(child);
};

let directory: string;
const file = (name: string): string => join(directory, name);

/** A multiboot kernel whose header gives its own addresses, assembled to be loaded at 1 MiB. */
const kernel = (body: string): Uint8Array => {
  const assembly = assemble(
    `
        bits 32
start   equ 0x100000
        dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
        dd start, start, 0, 0, entry
entry:  mov esp, 0x90000
${body}
print:  mov dx, 0x3f8
.next:  lodsb
        test al, al
        jz .done
        out dx, al
        jmp .next
.done:  ret
`,
    { codeSize: 32, origin: 0x100000 },
  );
  if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
  return assembly.bytes;
};

// biome-ignore format: one row per fact
const kernels: Readonly<Record<string, string>> = {
  hello:  "mov esi, text\n call print\n mov al, 5\n out 0xf4, al\n hlt\n text: db 'Hello from the guest', 10, 0",
  off:    "mov esi, text\n call print\n mov dx, 0x604\n mov ax, 0x3c00\n out dx, ax\n hlt\n text: db 'bye', 10, 0",
  triple: "lidt [nothing]\n int3\n nothing: dw 0, 0, 0",
  spin:   "mov esi, text\n call print\n again: jmp again\n text: db 'spinning', 10, 0",
  halt:   "cli\n hlt",
  // The command line, then the first module's command line.
  words:  "mov edi, ebx\n mov esi, [edi + 16]\n call print\n mov al, '|'\n out dx, al\n mov edi, [edi + 24]\n mov esi, [edi + 8]\n call print\n mov al, 0\n out 0xf4, al\n hlt",
  // Copies what it reads to what it writes, until "q".
  echo:   "again: mov dx, 0x3fd\n in al, dx\n test al, 1\n jz again\n mov dx, 0x3f8\n in al, dx\n out dx, al\n cmp al, 'q'\n jne again\n mov al, 1\n out 0xf4, al\n hlt",
  debug:  "mov dx, 0x402\n mov al, 'D'\n out dx, al\n mov dx, 0x1234\n in al, dx\n in al, dx\n mov al, 0\n out 0xf4, al\n hlt",
};

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "worldswitch-cli-"));
  for (const [name, body] of Object.entries(kernels)) writeFileSync(file(name), kernel(body));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("worldswitch run", { concurrent: false, timeout: 60_000 }, () => {
  it("shows what the guest prints, and ends with the status it writes to 0xf4", async () => {
    const { status, stdout, stderr } = await worldswitch(["run", file("hello"), "--memory", "4"]);
    expect([status, stdout]).toEqual([11, "Hello from the guest\n"]);
    expect(stderr).toMatch(/^worldswitch: the guest wrote to the debug exit port: \d+ instructions in .*\n$/);
  });

  it("ends with 0 after a power-off, quietly if told to", async () => {
    const outcome = await worldswitch(["run", file("off"), "--quiet", "--memory=4"]);
    expect(outcome).toEqual({ status: 0, signal: null, stdout: "bye\n", stderr: "" });
  });

  it("ends with 3 after a triple fault", async () => {
    expect((await worldswitch(["run", file("triple"), "--memory", "4"])).status).toBe(3);
  });

  it("ends with 0 when the awaited text appeared", async () => {
    const words = ["run", file("spin"), "--until", "spinning", "--timeout", "50", "--quiet"];
    expect(await worldswitch(words)).toMatchObject({ status: 0, stdout: "spinning" });
  });

  it("ends with 124 when its time or its instructions are used up, or the guest halted for good", async () => {
    const limits = [
      [file("spin"), "--timeout", "0.2"],
      [file("spin"), "--max-instructions", "100k"],
      [file("halt")],
    ];
    for (const words of limits)
      expect((await worldswitch(["run", ...words, "--memory", "4"])).status, words.join(" ")).toBe(124);
  });

  it("gives multiboot kernels their command line and modules", async () => {
    writeFileSync(file("module"), "contents");
    const words = ["run", file("words"), "--append", "one two", "--initrd", `${file("module")} three`];
    const { stdout } = await worldswitch([...words, "--quiet"]);
    expect(stdout).toBe(`${file("words")} one two|${file("module")} three`);
    const bare = await worldswitch([...words, "--quiet", "--no-file-name"]);
    expect(bare.stdout).toBe("one two|three");
  });

  it("hands standard input to the guest", async () => {
    const text = "some words, more than sixteen letters of them, q";
    const outcome = await worldswitch(["run", file("echo"), "--quiet", "--timeout", "50"], text);
    expect(outcome).toMatchObject({ status: 3, stdout: text });
  });

  it("tells count and hash, the same for the same run on both tiers", async () => {
    const words = ["run", file("hello"), "--memory", "4", "--quiet", "--stats", "json"];
    const first = JSON.parse((await worldswitch(words)).stderr);
    expect(first).toMatchObject({
      exit: 11,
      reason: "debug-exit",
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const second = JSON.parse((await worldswitch([...words, "--tier", "evaluator"])).stderr);
    const { instructions, hash } = first;
    expect(second).toMatchObject({ instructions, hash });
  });

  it("shows a debug console, and names once what does not exist", async () => {
    const words = ["run", file("debug"), "--debugcon", "0x402", "--log", "unimplemented", "--quiet"];
    const { status, stdout, stderr } = await worldswitch(words);
    expect([status, stdout]).toEqual([1, "D"]);
    expect(stderr.match(/^worldswitch: unimplemented: port 0x1234 read.*$/gm)).toHaveLength(1);
  });
});

describe("worldswitch run, ended from outside", { timeout: 60_000 }, () => {
  const spinning = async (...words: string[]): Promise<ChildProcess> => {
    const child = start(["run", file("spin"), "--memory", "4", ...words]);
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    return child;
  };

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s says so and lets go of its disks", async (signal, expected) => {
    writeFileSync(file("disk"), new Uint8Array(4096));
    const child = await spinning("--disk", file("disk"));
    expect(readFileSync(`${file("disk")}.lock`, "utf8")).toMatch(new RegExp(`^${child.pid} `));
    child.kill(signal);
    const { status, stderr } = await ended(child);
    expect(status).toBe(expected);
    expect(stderr).toMatch(new RegExp(`^worldswitch: ${signal} was received: `));
    expect(() => readFileSync(`${file("disk")}.lock`)).toThrow(/ENOENT/);
  });

  it("by a reader that goes away, without a stack trace", async () => {
    const child = start(["run", file("echo"), "--memory", "4"]);
    child.stdin!.on("error", () => {});
    child.stdin!.write("a");
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    child.stdout!.destroy();
    const done = ended(child);
    const typing = setInterval(() => child.stdin!.write("b"), 20);
    const { status, stderr } = await done;
    clearInterval(typing);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^worldswitch: standard output was closed: .*\n$/);
  });

  it("finds a disk locked while it is in use", async () => {
    writeFileSync(file("disk"), new Uint8Array(4096));
    const child = await spinning("--disk", file("disk"));
    const second = await worldswitch(["run", file("hello"), "--disk", file("disk")]);
    child.kill();
    await ended(child);
    expect(second.status).toBe(2);
    expect(second.stderr).toMatch(/^worldswitch: disk .* is locked: process \d+ writes to it .*\n$/);
  });
});

describe("worldswitch, given bad input", { timeout: 60_000 }, () => {
  it.each<[string, string[], RegExp]>([
    ["missing image", ["run", "nowhere"], /nowhere: there is no such file, expected a kernel image$/],
    ["directory", ["run", "."], /\. is a directory, expected a kernel image$/],
    ["empty image", ["run", "empty"], /empty is empty, expected a kernel image$/],
    ["non-kernel", ["run", "random"], /random is not a kernel image: .*, expected a Linux bzImage/],
    [
      "missing initrd",
      ["run", "hello", "--initrd", "nowhere"],
      /nowhere: there is no such file, expected an initial RAM disk/,
    ],
    [
      "initrd larger than memory",
      ["run", "hello", "--memory", "2", "--initrd", "large"],
      /large is 3 MiB long and does not fit into 2 MiB of memory$/,
    ],
    [
      "initrd without room",
      ["run", "hello", "--memory", "4", "--initrd", "large", "--initrd", "large"],
      /large: a module of 3 MiB does not fit into .* of memory beside hello$/,
    ],
    [
      "missing disk",
      ["run", "hello", "--disk", "nowhere"],
      /disk nowhere cannot be opened .*: there is no such file$/,
    ],
    [
      "missing disk, read-only",
      ["run", "hello", "--disk", "nowhere,ro"],
      /disk nowhere cannot be opened for reading: there is no such file$/,
    ],
    [
      "unknown option",
      ["run", "hello", "--memroy", "5"],
      /there is no option --memroy; did you mean --memory\?$/,
    ],
    [
      "too many processors",
      ["run", "hello", "--cpus", "9"],
      /--cpus is 9, expected a whole number from 1 to 8$/,
    ],
    [
      "too much memory",
      ["run", "hello", "--memory", "64G"],
      /--memory is 65536, expected a whole number from 1 to 3840$/,
    ],
    ["unknown CPU", ["run", "hello", "--cpu", "486"], /there is no CPU model "486", expected one of /],
    ["no command", [], /no command is given, expected /],
    ["unknown command", ["runn"], /there is no command "runn", did you mean "worldswitch run"\?$/],
  ])("%s: one sentence and status 2", async (_what, words, sentence) => {
    writeFileSync(file("empty"), "");
    writeFileSync(
      file("random"),
      Uint8Array.from({ length: 5000 }, (_, n) => (n * n) >> 3),
    );
    writeFileSync(file("large"), new Uint8Array(3 << 20));
    const child = spawn(process.execPath, [main, ...words], {
      cwd: directory,
    });
    child.stdin.end();
    const { status, stdout, stderr } = await ended(child);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.trimEnd()).toMatch(sentence);
    expect(stderr).toMatch(/^worldswitch: .*\n$/);
  });
});

describe("worldswitch --help and --version", { timeout: 60_000 }, () => {
  it("go to standard output with status 0", async () => {
    const help = await worldswitch(["--help"]);
    expect([help.status, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toMatch(/worldswitch run IMAGE/);
    const runHelp = await worldswitch(["run", "--help"]);
    expect(runHelp.stdout).toMatch(/--max-instructions N/);
    expect((await worldswitch(["--version"])).stdout).toMatch(/^worldswitch \d+\.\d+\.\d+\n$/);
  });
});
