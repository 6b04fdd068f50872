/** `npm start`: from a fresh clone to a booted kernel. */

import { spawnSync } from "node:child_process";
import { build, installDependencies, root } from "./bootstrap.mjs";

installDependencies();
build();
const { status, signal } = spawnSync(
  process.execPath,
  ["--import", "tsx", "tools/start.ts", ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
  },
);
if (signal !== null) process.kill(process.pid, signal);
process.exitCode = status ?? 1;
