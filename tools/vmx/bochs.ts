import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs a multiboot kernel on Bochs (Debian: bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools
 * tmux) and gives what it wrote to COM1. Its terminal display wants a terminal, so it runs in tmux.
 */

const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));

const grubConfiguration = `set timeout=0
menuentry "kernel" {
  multiboot /boot/kernel
  boot
}
`;

const configuration = (directory: string, model: string, ips: number): string => `
plugin_ctrl: unmapped=true, biosdev=true, serial=true
cpu: model=${model}, count=1, ips=${ips}, reset_on_triple_fault=0
clock: sync=none
display_library: term
memory: guest=64, host=64
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=${directory}/kernel.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=${directory}/com1
log: ${directory}/log
panic: action=report
error: action=report
info: action=ignore
`;

export interface BochsOptions {
  /** Default: corei7_icelake_u, the one with a monitor trap flag. */
  readonly model?: string;
  /** Wall-clock seconds; default 120. */
  readonly seconds?: number;
  /** Wall-clock seconds without a byte on COM1 before it counts as hung; default 15. */
  readonly silentSeconds?: number;
}

export interface BochsRun {
  readonly serial: string;
  readonly log: string;
  readonly ended: "shutdown" | "time-out" | "silent";
}

/** The kernel's serial output until it writes "Shutdown" to port 8900H, falls silent, or the time is up. */
export const runOnBochs = async (kernel: Uint8Array, options: BochsOptions = {}): Promise<BochsRun> => {
  const directory = mkdtempSync(join(tmpdir(), "bochs-"));
  const session = `bochs-${process.pid}-${Math.trunc(performance.now())}`;
  const tmux = (...words: string[]): string =>
    execFileSync("tmux", ["-L", session, ...words], {
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
    });
  const alive = (): boolean => {
    try {
      tmux("has-session", "-t", session);
      return true;
    } catch {
      return false;
    }
  };
  const serial = (): string =>
    existsSync(`${directory}/com1`) ? readFileSync(`${directory}/com1`, "latin1") : "";
  try {
    mkdirSync(`${directory}/iso/boot/grub`, { recursive: true });
    writeFileSync(`${directory}/iso/boot/kernel`, kernel);
    writeFileSync(`${directory}/iso/boot/grub/grub.cfg`, grubConfiguration);
    execFileSync("grub-mkrescue", ["-o", `${directory}/kernel.iso`, `${directory}/iso`], { stdio: "ignore" });
    writeFileSync(
      `${directory}/rc`,
      configuration(directory, options.model ?? "corei7_icelake_u", 20_000_000),
    );
    writeFileSync(`${directory}/commands`, "c\n");
    tmux(
      "new-session",
      "-d",
      "-s",
      session,
      "-x",
      "90",
      "-y",
      "40",
      `bochs -q -f ${directory}/rc -rc ${directory}/commands`,
    );
    const deadline = performance.now() + (options.seconds ?? 120) * 1000;
    let length = 0;
    let heard = performance.now() + 20_000;
    while (alive() && performance.now() < deadline) {
      await sleep(250);
      const now = serial().length;
      if (now > length) heard = performance.now();
      length = now;
      if (performance.now() - heard > (options.silentSeconds ?? 15) * 1000) break;
    }
    const ended = !alive() ? "shutdown" : performance.now() >= deadline ? "time-out" : "silent";
    const log = existsSync(`${directory}/log`) ? readFileSync(`${directory}/log`, "latin1") : "";
    return { serial: serial(), log, ended };
  } finally {
    if (alive()) tmux("kill-server");
    rmSync(directory, { recursive: true, force: true });
  }
};
