import { spawnSync } from "node:child_process";
import { posix } from "node:path";
import type { AptClient, Unavailable } from "./apt.ts";
import { type PackageFile, unpack } from "./deb.ts";
import { dynamicNeeds } from "./elf.ts";

/** A program of a package with all it needs to run, by path without leading slash. */
export interface ProgramFiles {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The packages they come from. */
  readonly packages: readonly string[];
}

/** Where Debian keeps shared libraries; the dynamic linker looks here without being told. */
const LIBRARIES = "lib/x86_64-linux-gnu";
const libraryPath = new RegExp(`^(?:usr/)?${LIBRARIES}/(?:[^/]*\\.so(?:\\.[^/]*)?)$`);
const linkerPath = /^(?:usr\/)?lib64\/[^/]*$/;

/** Names of the packages that a .deb depends on, the first of alternatives, those that hold libraries by their names (libc6, zlib1g). */
const dependencies = (packageFile: string): readonly string[] => {
  const fields = spawnSync("dpkg-deb", ["-f", packageFile, "Depends", "Pre-Depends"], { encoding: "utf8" });
  return [...(fields.stdout ?? "").matchAll(/(?:[:,]|^)\s*([a-z0-9][a-z0-9+.-]+)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name.includes("lib"));
};

/** Follows symbolic links inside one package. */
const resolveLink = (files: ReadonlyMap<string, PackageFile>, path: string): PackageFile | undefined => {
  let file = files.get(path);
  for (let hops = 0; file?.link !== undefined && hops < 8; hops++) {
    const { link } = file;
    const target = link.startsWith("/") ? link.slice(1) : posix.join(posix.dirname(file.path), link);
    file = files.get(target) ?? files.get(target.replace(/^usr\//, "")) ?? files.get(`usr/${target}`);
  }
  return file;
};

/** Packages that were fetched, and the libraries in them by soname. */
class LibraryPackages {
  readonly #apt: AptClient;
  readonly #files = new Map<string, ReadonlyMap<string, PackageFile>>();

  constructor(apt: AptClient) {
    this.#apt = apt;
  }

  /** The library, in the package itself or one that it depends on; a sentence when it cannot be had. */
  async find(
    soname: string,
    packageFile: string,
  ): Promise<{ readonly bytes: Uint8Array; readonly packageFile: string } | Unavailable> {
    const names = dependencies(packageFile);
    // By convention libfoo.so.1 is in libfoo1; the likely ones are asked first, so that few are fetched.
    const stem = soname.replace(/\.so.*$/, "").toLowerCase();
    const isLikely = (name: string): boolean => name.startsWith(stem);
    const order = [...names.filter(isLikely), ...names.filter((name) => !isLikely(name))];
    const candidates: (() => string | Unavailable)[] = [
      () => packageFile,
      ...order.map((name) => () => this.#apt.fetch(name, "amd64")),
    ];
    for (const candidate of candidates) {
      const file = candidate();
      if (typeof file !== "string") return file;
      const files = await this.#unpacked(file);
      if (!(files instanceof Map)) return files as Unavailable;
      const path = [...files.keys()].find((name) => posix.basename(name) === soname);
      const library = path === undefined ? undefined : resolveLink(files, path);
      if (library !== undefined) return { bytes: library.bytes, packageFile: file };
    }
    return {
      unavailable: `${soname} is in none of the packages that ${posix.basename(packageFile)} depends on`,
    };
  }

  async #unpacked(packageFile: string): Promise<ReadonlyMap<string, PackageFile> | Unavailable> {
    const known = this.#files.get(packageFile);
    if (known !== undefined) return known;
    const files = await unpack(packageFile, (path) => libraryPath.test(path) || linkerPath.test(path));
    if (files instanceof Map) this.#files.set(packageFile, files);
    return files;
  }
}

/**
 * A program from a Debian package with every shared library it needs, found by reading the DT_NEEDED entries of each and the
 * dependencies of the packages: nothing is installed and nothing is run.
 */
export const programWithLibraries = async (
  apt: AptClient,
  packageName: string,
  path: string,
): Promise<ProgramFiles | Unavailable> => {
  const packageFile = apt.fetch(packageName, "amd64");
  if (typeof packageFile !== "string") return packageFile;
  const own = await unpack(packageFile, (candidate) => candidate === path);
  if (!(own instanceof Map)) return own;
  const program = own.get(path);
  if (program === undefined) return { unavailable: `${posix.basename(packageFile)} holds no ${path}` };
  const files = new Map<string, Uint8Array>([[path, program.bytes]]);
  const packages = new Set([posix.basename(packageFile)]);
  const libraries = new LibraryPackages(apt);
  const waiting = [{ bytes: program.bytes, packageFile }];
  let linker = "";
  for (const user of waiting) {
    const needs = dynamicNeeds(user.bytes);
    if (needs === undefined) continue;
    if (needs.interpreter !== undefined) linker = needs.interpreter.slice(1);
    const wanted = needs.libraries.map((soname) => ({
      soname,
      // The C library needs the dynamic linker too, by its soname; it is loaded already.
      place: soname === posix.basename(linker) ? linker : `${LIBRARIES}/${soname}`,
    }));
    if (linker !== "") wanted.push({ soname: posix.basename(linker), place: linker });
    for (const { soname, place } of wanted) {
      if (files.has(place)) continue;
      const library = await libraries.find(soname, user.packageFile);
      if ("unavailable" in library) return library;
      files.set(place, library.bytes);
      packages.add(posix.basename(library.packageFile));
      waiting.push(library);
    }
  }
  return { files, packages: [...packages] };
};
