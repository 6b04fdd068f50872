import { decompressModule, type PackageFile } from "./deb.ts";

/** A kernel module ready for an initramfs. */
export interface KernelModule {
  /** As `modprobe` spells it, with underscores. */
  readonly name: string;
  /** File name, with ".xz" when it is still compressed. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** The modules of one purpose, in the order in which they must be loaded, and the wanted names the package does not have. */
export interface LoadOrder {
  readonly modules: readonly KernelModule[];
  readonly absent: readonly string[];
}

const MODULE_FILE = /\/([^/]+)\.ko(\.xz)?$/;

/** "virtio-rng.ko" and "virtio_rng" are one module. */
const moduleName = (path: string): string | undefined => MODULE_FILE.exec(path)?.[1]?.replaceAll("-", "_");

/** Field `depends` of the section .modinfo, a run of NUL-terminated "key=value" strings. depmod reads the same field. */
const dependencies = (bytes: Uint8Array): string[] => {
  const value = /\0depends=([^\0]*)\0/.exec(Buffer.from(bytes).toString("latin1"))?.[1] ?? "";
  return value === "" ? [] : value.split(",").map((name) => name.replaceAll("-", "_"));
};

/**
 * Orders modules so that each comes after those it needs. Debian's kernel packages carry no modules.dep (depmod writes it when the
 * package is configured), so the dependencies come from the modules themselves. Names built into the kernel are left out.
 */
export const loadOrder = (files: ReadonlyMap<string, PackageFile>, wanted: readonly string[]): LoadOrder => {
  const byName = new Map<string, PackageFile>();
  const builtIn = new Set<string>();
  for (const file of files.values()) {
    const name = moduleName(file.path);
    if (name !== undefined) byName.set(name, file);
    if (file.path.endsWith("/modules.builtin"))
      for (const line of Buffer.from(file.bytes).toString().split("\n")) builtIn.add(moduleName(line) ?? "");
  }
  const modules = new Map<string, KernelModule>();
  const absent: string[] = [];
  const visiting = new Set<string>();
  const add = (name: string): void => {
    if (visiting.has(name)) return;
    visiting.add(name);
    const file = byName.get(name);
    if (file === undefined) {
      if (!builtIn.has(name)) absent.push(name);
      return;
    }
    const plain = decompressModule(file.path, file.bytes);
    for (const needed of dependencies(plain.bytes)) add(needed);
    modules.set(name, { name, file: plain.path.replace(/^.*\//, ""), bytes: plain.bytes });
  };
  for (const name of wanted) add(name);
  return { modules: [...modules.values()], absent };
};
