import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kvmLog } from "../../src/debug/explain/dumps.fixture.ts";
import { smallHypervisor } from "../library/small-hypervisor.ts";

const main = new URL("../../dist/cli/main.js", import.meta.url).pathname;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `worldswitch` with a standard input. */
const worldswitch = (words: readonly string[], input: string | Uint8Array = ""): Promise<Ended> => {
  const child = spawn(process.execPath, [main, ...words], { stdio: ["pipe", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes) => (stdout += bytes));
  child.stderr.on("data", (bytes) => (stderr += bytes));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, stdout, stderr })));
};
const explain = (...words: string[]): Promise<Ended> => worldswitch(["explain", ...words]);

let directory: string;
const file = (name: string): string => join(directory, name);
const broken = kvmLog
  .replace("intr_info=00000000", "intr_info=800000d1")
  .replace("RFLAGS=0x00000246", "RFLAGS=0x00000002");

const guest = "mov eax, 1\ncpuid\nhlt\ncpuid\n";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "worldswitch-explain-"));
  const put = (name: string, content: string | Uint8Array): void => writeFileSync(file(name), content);
  put("fine.log", kvmLog);
  put("broken.log", broken);
  put("empty", "");
  put(
    "binary",
    Uint8Array.from({ length: 1000 }, (_, at) => (at * 77) & 0xff),
  );
  put("prose.txt", "It does not start.\n");
  put("cut.log", kvmLog.slice(0, 1500));
  put("caps.txt", "IA32_VMX_BASIC = 0xda040000000012\n");
  put("hypervisor.bin", smallHypervisor(guest));
  put("failing.bin", smallHypervisor(guest, { "guest.rflags": 0 }));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("worldswitch explain", () => {
  it("ends with status 0 when every check that can be made holds", async () => {
    const { status, stdout, stderr } = await explain(file("fine.log"));
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/All \d+ checks of VM entry that can be made hold; \d+ checks cannot be made\./);
  });

  it("ends with status 1 when one does not, and says which, without colours in a pipe", async () => {
    const { status, stdout, stderr } = await explain(file("broken.log"));
    expect([status, stderr]).toEqual([1, ""]);
    expect(stdout).toContain("1. Guest RFLAGS (0x6820) = 0x0000000000000002\n");
    expect(stdout).toContain("with      VM-entry interruption-information field (0x4016) = 0x800000d1\n");
    expect(stdout).not.toContain("\u001b");
  });

  it("reads standard input", async () => {
    const { status, stdout } = await worldswitch(["explain", "-"], broken);
    expect(status).toBe(1);
    expect(stdout).toContain("Guest RFLAGS");
  });

  it("prints JSON for tools", async () => {
    const { status, stdout } = await explain("--json", file("broken.log"));
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      file: file("broken.log"),
      fails: true,
      format: "KVM",
      processor: { name: "a recent processor" },
      vmcses: [{ line: 2, failures: [{ check: "guest-rflags-if", outcome: "VM-entry failure 33" }] }],
      unknownLines: [],
    });
  });

  it("judges for a CPU model", async () => {
    const { status, stdout } = await explain(file("fine.log"), "--cpu", "default,-enableEPT");
    expect(status).toBe(1);
    expect(stdout).toContain('judged for\nthe CPU model "default"');
    expect(stdout).toContain('"enable EPT"');
  });

  it.each<[string[], string]>([
    [[], "no FILE is given, expected worldswitch explain FILE, or - for standard input"],
    [["a", "b"], '"b" comes after FILE "a", expected one file'],
    [["--jason", "a"], "there is no option --jason; did you mean --json?"],
    [["--memory", "1", "a"], '"worldswitch explain --help" lists the options'],
    [["a", "--cpu", "z80"], "a: there is no such file, expected a VMCS dump"],
    [["$/fine.log", "--cpu", "z80"], 'there is no CPU model "z80"'],
    [["$/fine.log", "--cpu", "pentium3"], 'the CPU model "pentium3" has no VMX'],
    [["$/fine.log", "--cpu", "core2", "--capabilities", "x"], "both --capabilities and --cpu are given"],
    [["$/gone"], "$/gone: there is no such file, expected a VMCS dump"],
    [["$"], "$: it is a directory, expected a VMCS dump"],
    [
      ["$/empty"],
      "$/empty: it is empty, expected a VMCS dump of Linux KVM or Xen, or lines such as GUEST_CR0 = 0x80000031",
    ],
    [["$/binary"], "$/binary: it is not text, expected a VMCS dump"],
    [["$/prose.txt"], "$/prose.txt: no VMCS field is in it, expected a VMCS dump"],
    [
      ["$/cut.log"],
      "$/cut.log: the dump at line 2 has no *** Host State *** and no *** Control State ***, expected a whole dump",
    ],
    [["-"], "standard input: it is empty, expected a VMCS dump"],
    [["$/fine.log", "--capabilities", "$/caps.txt"], "$/caps.txt: it lacks IA32_VMX_PINBASED_CTLS (0x481)"],
    [
      ["$/fine.log", "--capabilities", "$/gone"],
      "$/gone: there is no such file, expected values of VMX capability MSRs",
    ],
    [["$/fine.log", "--capabilities", "$/binary"], "$/binary: it is not a text of MSR values"],
  ])("refuses %j in one sentence, with status 2", async (words, sentence) => {
    const here = (text: string): string => text.replaceAll("$", directory);
    const { status, stdout, stderr } = await explain(...words.map(here));
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^worldswitch: .*\n$/);
    expect(stderr).toContain(here(sentence));
  });

  it("has help, which main help mentions", async () => {
    const { status, stdout } = await explain("--help");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: worldswitch explain FILE/);
    expect(await worldswitch(["help", "explain"])).toMatchObject({ stdout });
    expect((await worldswitch(["--help"])).stdout).toContain("worldswitch explain FILE");
    expect((await worldswitch(["explian"])).stderr).toContain('did you mean "worldswitch explain"?');
  });
});

describe("worldswitch run", () => {
  const run = (image: string, ...words: string[]): Promise<Ended> =>
    worldswitch(["run", file(image), "--protocol", "flat", "--mode", "long64", "--quiet", ...words]);

  it("explains a VM entry that fails, once", async () => {
    const { status, stdout, stderr } = await run("failing.bin", "--explain");
    expect([status, stdout]).toEqual([5, ""]);
    expect(stderr).toMatch(
      /^worldswitch: a VMX instruction failed \(each failure is told once\)\nVMLAUNCH at RIP 0x/,
    );
    expect(stderr).toContain("1. Guest RFLAGS (0x6820) = 0x0000000000000000\n");
    expect(stderr).toMatch(/written {3}by VMWRITE at RIP 0x[0-9a-f]{16}, instruction \d+\n/);
  });

  it("does not when standard error is no terminal, or when told not to", async () => {
    expect(await run("failing.bin")).toMatchObject({ status: 5, stderr: "" });
    expect(await run("failing.bin", "--no-explain")).toMatchObject({ status: 5, stderr: "" });
  });

  it("shows VM exits in a table", async () => {
    const { status, stderr } = await run("hypervisor.bin", "--exits");
    expect(status).toBe(3);
    expect(stderr).toBe(
      `VM exits: 4; a handler is what runs from the exit to the next VM entry of the same VMCS, in instructions
reason          count   share  mean handler  longest
    10  CPUID       2  50.0 %            19       19
    12  HLT         1  25.0 %            19       19
    18  VMCALL      1  25.0 %             -        -
`,
    );
    expect((await run("failing.bin", "--exits")).stderr).toBe("VM exits: none\n");
  });

  it("logs VM exits, one line of JSON each", async () => {
    const { status, stderr } = await run("hypervisor.bin", "--exits-log", file("exits.jsonl"));
    expect([status, stderr]).toEqual([3, ""]);
    const lines = readFileSync(file("exits.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { n: 1, cpu: 0, reason: 10, name: "CPUID", instructionLength: 2 },
      { n: 2, name: "HLT" },
      { n: 3, name: "CPUID" },
      { n: 4, name: "VMCALL", qualification: "0x0", cs: { selector: "0x8" } },
    ]);
  });

  it("refuses a log that cannot be written", async () => {
    const { status, stderr } = await run(
      "hypervisor.bin",
      "--exits-log",
      join(directory, "gone", "exits.jsonl"),
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(/^worldswitch: .*exits\.jsonl cannot be written: .*\n$/);
  });
});
