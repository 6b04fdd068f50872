import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AptClient, type Architecture, type Unavailable } from "./apt.ts";
import { type PackageFile, unpack } from "./deb.ts";
import { initramfs, SCRIPTS } from "./initramfs.ts";
import { type LoadOrder, loadOrder } from "./kernel-modules.ts";

export type { Unavailable } from "./apt.ts";
export { DONE_MARKER, INIT_MARKER, SHELL_MARKER } from "./initramfs.ts";

/** Debian's kernels by what their metapackage is called after "linux-image-". */
export type Flavour = "cloud-amd64" | "amd64" | "686";

/** A guest made from Debian's packages: files in the cache directory. */
export interface Guest {
  readonly flavour: Flavour;
  /** The kernel, a bzImage. */
  readonly kernel: string;
  readonly initrd: string;
  /** As `uname -r` prints it. */
  readonly release: string;
  /** Package file names it was made from. */
  readonly packages: readonly string[];
}

export interface GuestOptions {
  /** Where packages and guests are kept between runs, outside version control; default ".cache/guests". */
  readonly cache?: string;
  /** Called with one line for each slow step. */
  readonly progress?: (line: string) => void;
  /** Module groups besides "virtio" and "filesystems": group name to module names; /init loads them by `ws.modules=GROUP`. */
  readonly moduleGroups?: Readonly<Record<string, readonly string[]>>;
  /** Further files of the initramfs: path without leading slash to contents. Executable. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** gzip the initramfs; default true. */
  readonly compressed?: boolean;
  /** Names this combination of modules and files in the cache; default "standard". */
  readonly variant?: string;
}

// biome-ignore format: one row per fact
const FLAVOURS: Readonly<Record<Flavour, { readonly metapackage: string; readonly architecture: Architecture }>> = {
  "cloud-amd64": { metapackage: "linux-image-cloud-amd64", architecture: "amd64" },
  "amd64":       { metapackage: "linux-image-amd64",       architecture: "amd64" },
  "686":         { metapackage: "linux-image-686",         architecture: "i386" },
};

export const flavours = Object.keys(FLAVOURS) as readonly Flavour[];

/** A metapackage depends on "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)"; the number tells it from other words. */
const REAL_KERNEL = /^linux-image-\d/;

// biome-ignore format: one row per fact
const STANDARD_GROUPS = {
  virtio:      ["virtio_blk", "virtio_console", "virtio_rng", "virtio_pci"],
  filesystems: ["crc32c_generic", "ext4", "isofs", "vfat", "nls_cp437", "nls_ascii"],
} as const;

const kernelImage = /^boot\/vmlinuz-(.*)$/;
const isWanted = (path: string): boolean =>
  kernelImage.test(path) || /^(usr\/)?lib\/modules\/.*(\.ko(\.xz)?|\/modules\.builtin)$/.test(path);

const inside =
  (pathName: string): ((path: string) => boolean) =>
  (path) =>
    path === `bin/${pathName}` || path === `usr/bin/${pathName}`;

interface Recipe {
  readonly hash: string;
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

const recipe = (options: GuestOptions): Recipe => {
  const groups = { ...STANDARD_GROUPS, ...options.moduleGroups };
  const hash = createHash("sha256").update(SCRIPTS).update(JSON.stringify(groups));
  for (const [path, contents] of Object.entries(options.files ?? {})) hash.update(path).update(contents);
  hash.update(String(options.compressed ?? true));
  return { hash: hash.digest("hex"), groups };
};

interface Manifest extends Omit<Guest, "flavour"> {
  readonly recipe: string;
}

/** A guest made before, when its recipe is still the same. */
const cachedGuest = (directory: string, flavour: Flavour, hash: string): Guest | undefined => {
  const file = join(directory, "guest.json");
  if (!existsSync(file)) return undefined;
  const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
  const { kernel, initrd } = { kernel: join(directory, "vmlinuz"), initrd: join(directory, "initrd") };
  if (manifest.recipe !== hash || !existsSync(kernel) || !existsSync(initrd)) return undefined;
  return { flavour, kernel, initrd, release: manifest.release, packages: manifest.packages };
};

/** Writes all files into a fresh directory and swaps it in, so that a half-made guest is never found. */
const store = (directory: string, files: Readonly<Record<string, Uint8Array | string>>): void => {
  const fresh = `${directory}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  for (const [name, contents] of Object.entries(files)) writeFileSync(join(fresh, name), contents);
  rmSync(directory, { recursive: true, force: true });
  renameSync(fresh, directory);
};

const baseName = (path: string): string => path.replace(/^.*\//, "");

/**
 * Makes a guest from Debian's packages with the ordinary client, or finds it in the cache: a kernel of the wanted flavour and an
 * initramfs with busybox. Returns a sentence saying why when apt is missing, offline, or knows no such package.
 */
export const debianGuest = async (
  flavour: Flavour,
  options: GuestOptions = {},
): Promise<Guest | Unavailable> => {
  const cache = resolve(options.cache ?? join(".cache", "guests"));
  const progress = (line: string) => options.progress?.(`guest ${flavour}: ${line}`);
  const directory = join(cache, `${flavour}-${options.variant ?? "standard"}`);
  const { hash, groups } = recipe(options);
  const known = cachedGuest(directory, flavour, hash);
  if (known !== undefined) return known;

  const { metapackage, architecture } = FLAVOURS[flavour];
  mkdirSync(cache, { recursive: true });
  const apt = new AptClient(cache, progress);
  const kernelPackage = apt.fetch(metapackage, architecture, REAL_KERNEL);
  if (typeof kernelPackage !== "string") return kernelPackage;
  const busyboxPackage = apt.fetch("busybox-static", architecture);
  if (typeof busyboxPackage !== "string") return busyboxPackage;

  progress(`unpacking ${baseName(kernelPackage)}`);
  const kernelFiles = await unpack(kernelPackage, isWanted);
  if (!(kernelFiles instanceof Map)) return kernelFiles;
  const busyboxFiles = await unpack(busyboxPackage, inside("busybox"));
  if (!(busyboxFiles instanceof Map)) return busyboxFiles;
  const kernel = [...kernelFiles.values()].find((file) => kernelImage.test(file.path));
  const busybox: PackageFile | undefined = [...busyboxFiles.values()][0];
  if (kernel === undefined) return { unavailable: `${kernelPackage} holds no boot/vmlinuz` };
  if (busybox === undefined) return { unavailable: `${busyboxPackage} holds no bin/busybox` };

  progress("packing the initramfs");
  const moduleGroups = new Map<string, LoadOrder>();
  for (const [group, names] of Object.entries(groups)) moduleGroups.set(group, loadOrder(kernelFiles, names));
  const files = new Map(
    Object.entries(options.files ?? {}).map(([path, contents]) => [
      path,
      { bytes: typeof contents === "string" ? new TextEncoder().encode(contents) : contents, mode: 0o755 },
    ]),
  );
  const archive = initramfs({
    busybox: busybox.bytes,
    moduleGroups,
    files,
    compressed: options.compressed ?? true,
  });
  const release = kernelImage.exec(kernel.path)?.[1] ?? "";
  const manifest: Manifest = {
    kernel: "vmlinuz",
    initrd: "initrd",
    release,
    packages: [baseName(kernelPackage), baseName(busyboxPackage)],
    recipe: hash,
  };
  store(directory, {
    vmlinuz: kernel.bytes,
    initrd: archive,
    "guest.json": `${JSON.stringify(manifest, null, 2)}\n`,
  });
  return (
    cachedGuest(directory, flavour, hash) ?? { unavailable: `${directory} vanished while it was being made` }
  );
};
