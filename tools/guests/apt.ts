import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Why a package cannot be had, as one sentence for the user. */
export interface Unavailable {
  readonly unavailable: string;
}

export type Architecture = "amd64" | "i386";

const NETWORK = [
  "-o",
  "Acquire::http::Timeout=20",
  "-o",
  "Acquire::https::Timeout=20",
  "-o",
  "Acquire::Retries=1",
];

interface AptRun {
  readonly ok: boolean;
  readonly stdout: string;
  /** The last error line, without its "E: ". */
  readonly complaint: string;
}

const run = (program: string, args: readonly string[], cwd: string): AptRun => {
  const child = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 64 << 20,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.error !== undefined) return { ok: false, stdout: "", complaint: child.error.message };
  const errors = child.stderr.split("\n").filter((line) => /^(E|Err|W: Failed)/.test(line));
  const complaint = (errors[0] ?? child.stderr.trim().split("\n").at(-1) ?? "")
    .replace(/^(E|W): /, "")
    .trim();
  return { ok: child.status === 0, stdout: child.stdout, complaint };
};

/**
 * Debian's ordinary package client, used without root. It asks the system's own package lists first; where they are missing,
 * stale or of another architecture, it keeps lists of its own under `directory` and updates those.
 */
export class AptClient {
  readonly #directory: string;
  readonly #progress: (line: string) => void;
  readonly #updated = new Map<Architecture, Unavailable | "updated">();

  constructor(directory: string, progress: (line: string) => void) {
    this.#directory = directory;
    this.#progress = progress;
  }

  /** The .deb of a package, in the cache directory. `pattern` chooses the real package behind a metapackage by its dependency. */
  fetch(name: string, architecture: Architecture, pattern?: RegExp): string | Unavailable {
    for (const program of ["apt-get", "apt-cache", "dpkg-deb"]) {
      if (spawnSync(program, ["--version"], { stdio: "ignore" }).error !== undefined)
        return { unavailable: `${program} is not installed, so no guest can be made from Debian's packages` };
    }
    mkdirSync(this.#packages, { recursive: true });
    const fromSystem =
      architecture === this.#nativeArchitecture() && this.#download(name, architecture, pattern, []);
    if (typeof fromSystem === "string") return fromSystem;
    // One archive of several may fail to update; what the others list is still good.
    const update = this.#update(architecture);
    const fromPrivate = this.#download(name, architecture, pattern, this.#privateState(architecture));
    return typeof fromPrivate === "string" || update === "updated" ? fromPrivate : update;
  }

  get #packages(): string {
    return join(this.#directory, "packages");
  }

  #nativeArchitecture(): string {
    return run("dpkg", ["--print-architecture"], this.#directory).stdout.trim();
  }

  /** Options that give apt a state of our own: lists, cache and an empty status file, for one architecture. */
  #privateState(architecture: Architecture): string[] {
    const root = join(this.#directory, "apt", architecture);
    const settings = {
      "Dir::State": join(root, "state"),
      "Dir::State::status": join(root, "status"),
      "Dir::Cache": join(root, "cache"),
      "APT::Architecture": architecture,
      "APT::Architectures": architecture,
      "APT::Sandbox::User": "",
      "Acquire::Languages": "none",
    };
    return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  }

  #update(architecture: Architecture): Unavailable | "updated" {
    const known = this.#updated.get(architecture);
    if (known !== undefined) return known;
    const root = join(this.#directory, "apt", architecture);
    mkdirSync(join(root, "state", "lists", "partial"), { recursive: true });
    mkdirSync(join(root, "cache", "archives", "partial"), { recursive: true });
    writeFileSync(join(root, "status"), "");
    this.#progress(`fetching Debian's package lists for ${architecture} (a private copy, no root needed)`);
    const update = run(
      "apt-get",
      ["update", ...NETWORK, ...this.#privateState(architecture)],
      this.#directory,
    );
    // Unreachable archives are only warnings to apt-get, which then goes on with the lists it had.
    const outcome =
      update.ok && !update.complaint.startsWith("Failed to fetch")
        ? ("updated" as const)
        : {
            unavailable: `apt-get cannot update its package lists: ${update.complaint || "it gave no reason"}`,
          };
    this.#updated.set(architecture, outcome);
    return outcome;
  }

  #download(
    name: string,
    architecture: Architecture,
    pattern: RegExp | undefined,
    state: readonly string[],
  ): string | Unavailable {
    const shown = run("apt-cache", ["show", "--no-all-versions", ...state, name], this.#directory);
    const record = shown.stdout.split("\n\n")[0] ?? "";
    if (!shown.ok || !record.includes("Package:"))
      return {
        unavailable: `apt knows no package ${name} for ${architecture}; are Debian's package sources configured?`,
      };
    const depends = /^Depends: (.*)$/m.exec(record)?.[1] ?? "";
    const dependency = pattern && depends.split(/[,|] */).find((word) => pattern.test(word));
    if (dependency !== undefined) {
      const real = dependency.split(" ")[0] ?? dependency;
      return this.#download(real, architecture, undefined, state);
    }
    const megabytes = Number(/^Size: (\d+)$/m.exec(record)?.[1] ?? 0) / 1e6;
    const cached = this.#cached(record);
    if (cached !== undefined) return cached;
    this.#progress(`downloading ${name} (${megabytes.toFixed(1)} MB)`);
    return this.#save(name, architecture, state);
  }

  /** apt-get names a file NAME_VERSION_ARCHITECTURE.deb, with the version's colon escaped. */
  #cached(record: string): string | undefined {
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, "m").exec(record)?.[1] ?? "";
    const version = field("Version").replaceAll(":", "%3a");
    const file = join(this.#packages, `${field("Package")}_${version}_${field("Architecture")}.deb`);
    return existsSync(file) ? file : undefined;
  }

  /** Downloads into a directory of its own and renames, so that an interrupted download never looks like a package. */
  #save(name: string, architecture: Architecture, state: readonly string[]): string | Unavailable {
    const directory = join(this.#packages, `partial-${process.pid}`);
    mkdirSync(directory, { recursive: true });
    try {
      const download = run(
        "apt-get",
        ["download", "-qq", ...NETWORK, ...state, "-o", "APT::Sandbox::User=", `${name}:${architecture}`],
        directory,
      );
      const file = readdirSync(directory).find((entry) => entry.endsWith(".deb"));
      if (!download.ok || file === undefined)
        return {
          unavailable: `apt-get cannot download ${name}: ${download.complaint || "it gave no reason"}`,
        };
      renameSync(join(directory, file), join(this.#packages, file));
      return join(this.#packages, file);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}
