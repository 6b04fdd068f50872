/**
 * A C compiler for the guests' programs, made of Debian's packages in the cache: nothing is installed, and every machine of one
 * release of Debian compiles the same programs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { AptClient, Unavailable } from "../guests/apt.ts";

/** Of guest programs: the 64-bit and the 32-bit suite. */
export type Bits = 64 | 32;

export interface Toolchain {
  /** Compiles and links to a static program; a sentence when that fails. */
  compile(sources: readonly string[], bits: Bits, program: string): Unavailable | undefined;
  /** Package file names. */
  readonly packages: readonly string[];
}

/** What is asked for; what they depend on follows. `gcc` and its kin are metapackages of one version. */
const WANTED = ["gcc", "libc6-dev", "libc6-dev-i386"] as const;
/** Dependencies that compiling C to static programs does not need. The C library is the host's: the compiler itself runs with it. */
const UNNEEDED =
  /^(libc6|libc6-i386|libc6-x32|libc-bin|libcrypt.*|libnsl.*|libtirpc.*|rpcsvc-proto|gcc-\d+-base|.*(asan|lsan|tsan|ubsan|hwasan|itm|atomic|gomp|quadmath|cc1|gprofng|sframe-dev).*|.*x32.*|debconf.*|perl.*|tar|dpkg)$/;

const run = (program: string, args: readonly string[], env?: Readonly<Record<string, string>>) =>
  spawnSync(program, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C", ...env } });

/** Names of the packages a .deb depends on, the first of alternatives. */
export const dependencies = (packageFile: string): readonly string[] => {
  const fields = run("dpkg-deb", ["-f", packageFile, "Depends", "Pre-Depends"]).stdout ?? "";
  return fields
    .split("\n")
    .flatMap((line) => line.replace(/^[A-Za-z-]+: /, "").split(", "))
    .map((alternatives) => /^[a-z0-9][a-z0-9+.-]+/.exec(alternatives)?.[0])
    .filter((name) => name !== undefined);
};

/** Unpacks packages over one another; a directory appears whole or not at all. */
export const unpackAll = (packageFiles: readonly string[], directory: string): Unavailable | undefined => {
  const fresh = `${directory}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  for (const file of packageFiles) {
    const child = run("dpkg-deb", ["-x", file, fresh]);
    if (child.status !== 0)
      return { unavailable: `dpkg-deb cannot unpack ${basename(file)}: ${child.stderr.trim()}` };
  }
  writeFileSync(join(fresh, "packages.json"), JSON.stringify(packageFiles.map((file) => basename(file))));
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
  return undefined;
};

const closure = (apt: AptClient): readonly string[] | Unavailable => {
  const files = new Map<string, string>();
  const waiting: string[] = [...WANTED];
  for (const name of waiting) {
    if (files.has(name) || UNNEEDED.test(name)) continue;
    const file = apt.fetch(name, "amd64");
    if (typeof file !== "string") return file;
    files.set(name, file);
    waiting.push(...dependencies(file));
    // The compiler's own library for 32-bit programs is a suggestion of gcc, by its version.
    const version = /^gcc-(\d+)$/.exec(name)?.[1];
    if (version !== undefined) waiting.push(`lib32gcc-${version}-dev`);
  }
  return [...new Set(files.values())].sort();
};

const LIBRARIES = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"] as const;

/** The compiler, unpacked under `cache`, or a sentence saying why there is none. */
export const toolchain = (apt: AptClient, cache: string): Toolchain | Unavailable => {
  const root = join(cache, "toolchain");
  const manifest = join(root, "packages.json");
  // Once it is there it stays: asking for each package's version would take longer than compiling.
  if (!existsSync(manifest)) {
    const files = closure(apt);
    if ("unavailable" in files) return files;
    const failure = unpackAll(files, root);
    if (failure !== undefined) return failure;
  }
  const gcc = readdirSync(join(root, "usr/bin")).find((name) => /^x86_64-linux-gnu-gcc-\d+$/.test(name));
  if (gcc === undefined) return { unavailable: "Debian's package gcc holds no x86_64-linux-gnu-gcc" };
  return {
    packages: JSON.parse(readFileSync(manifest, "utf8")) as string[],
    compile(sources, bits, program) {
      const environment = { LD_LIBRARY_PATH: LIBRARIES.map((path) => join(root, path)).join(":") };
      const child = run(
        join(root, "usr/bin", gcc),
        [
          ...[`--sysroot=${root}`, `-B${join(root, "usr/bin")}/`, "-O2", "-static", "-s", "-Wall", "-Wextra"],
          // Debian's i386 programs are for the i686; the headers of both are in one place.
          ...(bits === 32
            ? ["-m32", "-march=i686", "-idirafter", join(root, "usr/include/x86_64-linux-gnu")]
            : []),
          ...[...sources, "-o", program],
        ],
        environment,
      );
      if (child.status === 0) return undefined;
      return { unavailable: `the guests' programs do not compile: ${child.stderr.trim().split("\n")[0]}` };
    },
  };
};
