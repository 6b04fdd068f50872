import type { BootFile, BootModule } from "../machine/boot/load-plan.ts";
import { mebibytes } from "../machine/boot/memory-map.ts";
import { builtInImages } from "./built-in-images.ts";

/** A file to boot: its bytes, with a name for messages or without, a name of `builtInImages`, or in Node the name of a file to read. */
export type ImageSource = string | Uint8Array | BootFile;

/** An initial RAM disk or module, with what stands after its name on its command line. */
export type ModuleSource = ImageSource | { readonly image: ImageSource; readonly args?: string };

/** One sentence: which file, what was found, what was expected. */
export interface Refusal {
  readonly message: string;
}

type FileSystem = typeof import("node:fs/promises");

/** Behind a variable, so that a bundler for browsers does not look for it. */
const fileSystemModule = "node:fs/promises";

const complaints: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "it cannot be read: permission denied",
  EISDIR: "it is a directory",
};

/** Reads a whole file of at most `limit` bytes. */
const readFile = async (name: string, expected: string, limit: number): Promise<Uint8Array | Refusal> => {
  let fileSystem: FileSystem;
  try {
    fileSystem = await import(fileSystemModule);
  } catch {
    return { message: `${name}: files cannot be read by name here, expected bytes` };
  }
  try {
    const status = await fileSystem.stat(name);
    if (status.isDirectory()) return { message: `${name} is a directory, expected ${expected}` };
    if (!status.isFile()) return { message: `${name} is not a regular file, expected ${expected}` };
    if (status.size > limit)
      return {
        message: `${name} is ${mebibytes(status.size)} long and does not fit into ${mebibytes(limit)} of memory`,
      };
    return await fileSystem.readFile(name);
  } catch (error) {
    const { code = "", message = "" } = error as { code?: string; message?: string };
    return { message: `${name}: ${complaints[code] ?? message}, expected ${expected}` };
  }
};

export const isRefusal = <T extends object>(outcome: T | Refusal): outcome is Refusal => "message" in outcome;

/** The file behind a source; `what` says for messages what it should be, `limit` how long it may be. */
export const bootFile = async (
  source: ImageSource,
  what: { readonly name: string; readonly expected: string },
  limit: number,
): Promise<BootFile | Refusal> => {
  if (source instanceof Uint8Array) return { name: what.name, bytes: source };
  if (typeof source !== "string") return source;
  const builtIn = builtInImages[source];
  if (builtIn !== undefined) return { name: source, bytes: builtIn() };
  const bytes = await readFile(source, what.expected, limit);
  return bytes instanceof Uint8Array ? { name: source, bytes } : bytes;
};

export const bootModule = async (source: ModuleSource, limit: number): Promise<BootModule | Refusal> => {
  const isPlain = typeof source === "string" || source instanceof Uint8Array || "bytes" in source;
  const { image, args = "" } = isPlain ? { image: source } : source;
  const file = await bootFile(
    image,
    { name: "initrd", expected: "an initial RAM disk or boot module" },
    limit,
  );
  if (isRefusal(file)) return file;
  if (file.bytes.length === 0)
    return { message: `${file.name} is empty, expected an initial RAM disk or boot module` };
  return { ...file, args };
};
