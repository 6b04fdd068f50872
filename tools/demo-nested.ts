/**
 * `npm run demo:nested [-- --cpus N] [--cpu MODEL]`: Debian's kernel boots on this machine, loads kvm_intel and runs Debian's QEMU,
 * whose microvm boots Debian's kernel once more. On a terminal the inner guest gives a shell (`poweroff -f` leaves it); else it says
 * what it is and the machine powers off.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./contenders.ts";
import { nestedGuest } from "./guests/nested.ts";

const { values: options } = parseArgs({
  options: { cpus: { type: "string", default: "1" }, cpu: { type: "string" } },
});
const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
const cli = join(root, "dist", "cli", "main.js");
const tell = (line: string): void => void process.stderr.write(`worldswitch: ${line}\n`);

if (!existsSync(cli)) {
  tell("there is no dist/cli/main.js, run `npm run build`");
  process.exit(1);
}
const guest = await nestedGuest({ cache: join(root, ".cache", "guests"), progress: tell });
if ("unavailable" in guest) {
  tell(`there is no nested guest, as ${guest.unavailable}`);
  process.exit(1);
}
const inside = interactive
  ? ""
  : " 'uname -a; grep -c ^processor /proc/cpuinfo; cat /sys/class/tty/console/active'";
tell(
  `Debian's ${guest.release}; in it, QEMU's microvm on KVM with ${options.cpus} processor(s); in that, the same again`,
);
const words = ["run", guest.kernel, "--initrd", guest.initrd, "--memory", "1024"];
words.push("--append", `console=ttyS0 quiet ws.run="nested ${options.cpus}${inside}"`);
if (options.cpu !== undefined) words.push("--cpu", options.cpu);
const machine = spawn(process.execPath, [cli, ...words], {
  stdio: [interactive ? "inherit" : "ignore", "inherit", "inherit"],
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => machine.kill(signal));
machine.on("close", (status) => {
  process.exitCode = status ?? 1;
});
