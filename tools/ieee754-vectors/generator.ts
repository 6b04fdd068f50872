import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Compiles generate.c with gcc, hands the program's path to `use`, and removes it afterwards. */
export function withGenerator<T>(use: (program: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "ieee754-"));
  try {
    const program = join(directory, "generate");
    const source = fileURLToPath(new URL("generate.c", import.meta.url));
    execFileSync("gcc", ["-O1", "-mno-red-zone", "-Wall", "-o", program, source], { stdio: "inherit" });
    return use(program);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
