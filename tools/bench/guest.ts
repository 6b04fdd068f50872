/** What the suites run: our programs, compiled, Debian's gzip and perl, and a guest of Debian's kernel that holds both. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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

/** The compiled program in the cache, compiled anew when its sources have changed. */
const compiled = (apt: AptClient, cache: string, bits: Bits): string | Unavailable => {
  const hash = createHash("sha256").update(readFileSync(join(dirname(WORK), "toolchain.ts")));
  for (const file of sources()) hash.update(basename(file)).update(readFileSync(file));
  const program = join(cache, `work-${bits}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return program;
  const compiler = toolchain(apt, cache);
  if ("unavailable" in compiler) return compiler;
  const unfinished = `${program}.${process.pid}`;
  const files = sources().filter((file) => file.endsWith(".c"));
  const failure = compiler.compile(files, bits, unfinished);
  if (failure !== undefined) return failure;
  renameSync(unfinished, program);
  return program;
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

/** Makes a suite, or finds it in the cache; a sentence when it cannot be had. */
export const makeSuite = async (
  bits: Bits,
  caches: { readonly guests: string; readonly bench: string },
  progress: (line: string) => void,
): Promise<Suite | Unavailable> => {
  const { flavour, architecture, interpreter } = PLATFORMS[bits];
  mkdirSync(caches.bench, { recursive: true });
  const apt = new AptClient(caches.guests, progress);
  const program = compiled(apt, caches.bench, bits);
  if (typeof program !== "string") return program;
  const debian = await debianPrograms(apt, architecture);
  if ("unavailable" in debian) return debian as Unavailable;
  const linker = [...debian.keys()].find((name) => name.startsWith("ld-linux"));
  if (linker === undefined)
    return { unavailable: `Debian's libc6 for ${architecture} holds no dynamic linker` };

  const own = new Map<string, Uint8Array>([
    ["work", readFileSync(program)],
    ["words.pl", readFileSync(join(WORK, "words.pl"))],
  ]);
  const placed = new Map<string, Uint8Array>();
  for (const [name, bytes] of [...own, ...debian]) placed.set(isLibrary(name) ? `lib/${name}` : name, bytes);
  const programs = join(caches.bench, `programs-${bits}`);
  rmSync(programs, { recursive: true, force: true });
  mkdirSync(join(programs, "lib"), { recursive: true });
  for (const [path, bytes] of placed) writeFileSync(join(programs, path), bytes, { mode: 0o755 });

  const inGuest = new Map<string, Uint8Array | string>([["bin/bench", RUN_KINDS]]);
  for (const [path, bytes] of placed)
    if (path === "work") inGuest.set("bin/work", bytes);
    else if (path === `lib/${linker}`) inGuest.set(interpreter, bytes);
    else inGuest.set(isLibrary(path) ? path : `programs/${path}`, bytes);
  const guest = await debianGuest(flavour, {
    cache: caches.guests,
    progress,
    variant: "bench",
    files: Object.fromEntries(inGuest),
  });
  return "unavailable" in guest ? guest : { bits, guest, programs, linker: `lib/${linker}` };
};
