import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const main = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const compare = (...words: string[]) =>
  spawnSync(process.execPath, [main, "compare", ...words], { encoding: "utf8" });

describe("worldswitch compare", () => {
  it("prints each aspect as the hypervisor was seen to have it", () => {
    const { status, stdout, stderr } = compare("--only", "lguest");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("Guest mode - ");
    expect(stdout).toMatch(/^ {2}lguest {2}no VMX operation, ring 1, 32-bit$/m);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it("shows in its JSON what a register that is not saved does", () => {
    const { status, stdout } = compare("--only", "lguest", "--json", "--leave-out", "lguest:push ecx");
    expect(status).toBe(0);
    const { rows, leftOut } = JSON.parse(stdout) as {
      rows: { aspect: string; seen: Record<string, string> }[];
      leftOut: number;
    };
    expect(leftOut).toBeGreaterThan(0);
    expect(rows.at(-1)).toMatchObject({ aspect: "Not kept" });
    expect(rows.at(-1)!.seen["lguest"]).not.toMatch(/^the guest's: none/);
  });

  it("tells a newcomer what is compared, and how to break it", () => {
    const { status, stdout } = compare("--help");
    expect(status).toBe(0);
    for (const word of ["a\nworld switch", "--only", "--leave-out", "Not kept"])
      expect(stdout).toContain(word);
  });

  it.each([
    [["--only", "xen"], '--only has "xen", expected some of bhyve,kvm,lguest,akaros'],
    [["--leave-out", "mov"], '--leave-out is "mov", expected NAME:INSTRUCTION'],
    [["--only", "kvm", "--leave-out", "bhyve:ret"], "--leave-out is for bhyve, which --only does not have"],
    [["vmlinuz"], '"vmlinuz" is given to compare, expected options only'],
    [["--only", "lguest", "--leave-out", "lguest:vmlaunch"], "no instruction that lguest executed contains"],
  ])("refuses %j in one sentence, with status 2", (words, says) => {
    const { status, stdout, stderr } = compare(...words);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});
