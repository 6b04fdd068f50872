/** What the suites run: our programs, compiled, Debian's gzip and perl, and a guest of Debian's kernel that holds both. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AptClient, type Architecture, type Unavailable } from "../guests/apt.ts";
import { unpack } from "../guests/deb.ts";
import { debianGuest, type Flavour, type Guest } from "../guests/guests.ts";
import { type Bits, toolchain } from "./toolchain.ts";

/** Everything of one suite. */
export interface Suite {
  readonly bits: Bits;
  readonly guest: Guest;
  /** A directory with the same files, for running them on the host: work, gzip, perl, words.pl, lib. */
  readonly programs: string;
  /** The dynamic linker, relative to `programs`. */
  readonly linker: string;
}

/** Directories outside version control: Debian's packages and guests, and what only the benchmark needs. */
export interface Caches {
  readonly guests: string;
  readonly bench: string;
}

interface Platform {
  readonly flavour: Flavour;
  readonly architecture: Architecture;
  /** Where programs ask for the dynamic linker. */
  readonly interpreter: string;
}

// biome-ignore format: one row per fact
const PLATFORMS: Readonly<Record<Bits, Platform>> = {
  64: { flavour: "cloud-amd64", architecture: "amd64", interpreter: "lib64/ld-linux-x86-64.so.2" },
  32: { flavour: "686",         architecture: "i386",  interpreter: "lib/ld-linux.so.2" },
};

const WORK = join(dirname(new URL(import.meta.url).pathname), "work");
/** Packages, and what is taken of them; the linker is the file whose name begins with ld-linux. */
const DEBIAN_PROGRAMS = {
  gzip: /^(?:usr\/)?bin\/gzip$/,
  "perl-base": /^(?:usr\/)?bin\/perl$/,
  libc6: /^(?:usr\/)?lib\/[^/]*-linux-gnu\/(?:libc\.so\.6|libm\.so\.6|ld-linux[^/]*)$/,
  libcrypt1: /^(?:usr\/)?lib\/[^/]*-linux-gnu\/libcrypt\.so\.1[^/]*$/,
} as const;

const RUN_KINDS = `#!/bin/sh
# bench KIND SIZE [KIND SIZE ...]
export WORK_ROOT=/programs
while [ $# -gt 1 ]; do work $1 $2; shift 2; done
`;

const sources = (): readonly string[] =>
  readdirSync(WORK)
    .sort()
    .map((name) => join(WORK, name));

/** Changes when a program would be another, as far as that depends on us. */
const recipe = (): string => {
  const hash = createHash("sha256").update(readFileSync(join(dirname(WORK), "toolchain.ts")));
  hash.update(Object.entries(DEBIAN_PROGRAMS).join());
  for (const file of sources()) hash.update(basename(file)).update(readFileSync(file));
  return hash.digest("hex");
};

/** Compiles our program; its bytes. */
const compiled = (apt: AptClient, cache: string, bits: Bits): Uint8Array | Unavailable => {
  const compiler = toolchain(apt, cache);
  if ("unavailable" in compiler) return compiler;
  const program = join(cache, `work-${bits}.${process.pid}`);
  const files = sources().filter((file) => file.endsWith(".c"));
  const failure = compiler.compile(files, bits, program);
  if (failure !== undefined) return failure;
  const bytes = readFileSync(program);
  rmSync(program);
  return bytes;
};

/** Debian's programs and their libraries: file name to contents. */
const debianPrograms = async (
  apt: AptClient,
  architecture: Architecture,
): Promise<ReadonlyMap<string, Uint8Array> | Unavailable> => {
  const files = new Map<string, Uint8Array>();
  for (const [name, wanted] of Object.entries(DEBIAN_PROGRAMS)) {
    const packageFile = apt.fetch(name, architecture);
    if (typeof packageFile !== "string") return packageFile;
    const found = await unpack(packageFile, (path) => wanted.test(path));
    if ("unavailable" in found) return found as Unavailable;
    if (found.size === 0)
      return { unavailable: `${basename(packageFile)} does not hold what is wanted of it` };
    for (const { path, bytes, link } of found.values()) {
      const target = link === undefined ? undefined : found.get(join(dirname(path), basename(link)));
      files.set(basename(path), target?.bytes ?? bytes);
    }
  }
  return files;
};

const isLibrary = (name: string): boolean => name.includes(".so.");

/** Makes the directory of programs that the host runs, if it is not there as it should be. */
const makePrograms = async (
  directory: string,
  bits: Bits,
  caches: Caches,
  progress: (line: string) => void,
): Promise<Unavailable | undefined> => {
  const manifest = join(directory, "recipe");
  const wanted = recipe();
  if (existsSync(manifest) && readFileSync(manifest, "utf8") === wanted) return undefined;
  const { architecture } = PLATFORMS[bits];
  const apt = new AptClient(caches.guests, progress);
  const work = compiled(apt, caches.bench, bits);
  if ("unavailable" in work) return work;
  const debian = await debianPrograms(apt, architecture);
  if ("unavailable" in debian) return debian as Unavailable;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, "lib"), { recursive: true });
  const own = { work, "words.pl": readFileSync(join(WORK, "words.pl")) };
  for (const [name, bytes] of [...Object.entries(own), ...debian])
    writeFileSync(join(directory, isLibrary(name) ? join("lib", name) : name), bytes, { mode: 0o755 });
  // Last: an interrupted making is begun again.
  writeFileSync(manifest, wanted);
  return undefined;
};

/** Makes a suite, or finds it in the cache; a sentence when it cannot be had. */
export const makeSuite = async (
  bits: Bits,
  caches: Caches,
  progress: (line: string) => void,
): Promise<Suite | Unavailable> => {
  const { flavour, interpreter } = PLATFORMS[bits];
  mkdirSync(caches.bench, { recursive: true });
  const programs = join(caches.bench, `programs-${bits}`);
  const failure = await makePrograms(programs, bits, caches, progress);
  if (failure !== undefined) return failure;
  const libraries = readdirSync(join(programs, "lib"));
  const linker = libraries.find((name) => name.startsWith("ld-linux"));
  if (linker === undefined) return { unavailable: "Debian's libc6 holds no dynamic linker" };
  const contents = (path: string): Uint8Array => readFileSync(join(programs, path));
  const guest = await debianGuest(flavour, {
    cache: caches.guests,
    progress,
    variant: "bench",
    files: {
      "bin/bench": RUN_KINDS,
      "bin/work": contents("work"),
      ...Object.fromEntries(["gzip", "perl", "words.pl"].map((name) => [`programs/${name}`, contents(name)])),
      ...Object.fromEntries(
        libraries.map((name) => [name === linker ? interpreter : `lib/${name}`, contents(`lib/${name}`)]),
      ),
    },
  });
  return "unavailable" in guest ? guest : { bits, guest, programs, linker: `lib/${linker}` };
};
