import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const example = "examples/hello.ts";

describe("the README's library example", () => {
  it("runs, with the package imported by its name", () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", example], {
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      "Hello from 16-bit mode\ndebug-exit: status 43 after 122 instructions\nRAX is 21, byte 0x7c00 is 190\n",
    );
  });

  it("is the file that the README shows", () => {
    expect(readFileSync("README.md", "utf8")).toContain(`\`\`\`ts\n${readFileSync(example, "utf8")}\`\`\``);
  });
});
