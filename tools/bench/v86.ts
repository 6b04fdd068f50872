/** v86, the other PC in WebAssembly: its npm package and Debian's SeaBIOS, fetched into the cache for the benchmark. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Contender } from "../contenders.ts";
import { AptClient, type Unavailable } from "../guests/apt.ts";
import { unpack } from "../guests/deb.ts";

/** The version that docs/BENCH.md has numbers of. */
const VERSION = "0.5.462";
const MAIN = join(dirname(new URL(import.meta.url).pathname), "v86-main.mjs");
const FIRMWARE = ["bios.bin", "vgabios-stdvga.bin"] as const;

const fetchPackage = (directory: string): Unavailable | undefined => {
  mkdirSync(directory, { recursive: true });
  const pack = spawnSync("npm", ["pack", "--silent", `v86@${VERSION}`], { cwd: directory, encoding: "utf8" });
  const archive = pack.stdout?.trim().split("\n").at(-1);
  if (pack.status !== 0 || !archive) return { unavailable: `npm cannot fetch v86@${VERSION}` };
  const tar = spawnSync("tar", ["-xzf", archive], { cwd: directory, encoding: "utf8" });
  rmSync(join(directory, archive), { force: true });
  return tar.status === 0 ? undefined : { unavailable: `tar cannot unpack ${archive}` };
};

const fetchFirmware = async (guests: string, directory: string): Promise<Unavailable | undefined> => {
  const file = new AptClient(guests, () => undefined).fetch("seabios", "amd64");
  if (typeof file !== "string") return file;
  const found = await unpack(file, (path) => FIRMWARE.some((name) => basename(path) === name));
  if ("unavailable" in found) return found as Unavailable;
  for (const { path, bytes } of found.values()) writeFileSync(join(directory, basename(path)), bytes);
  return FIRMWARE.every((name) => existsSync(join(directory, name)))
    ? undefined
    : { unavailable: `${basename(file)} lacks ${FIRMWARE.join(" or ")}` };
};

/** v86 as a contender; what it lacks is found out at once, so that missing() has an answer. */
export const v86 = async (
  caches: { readonly guests: string; readonly bench: string },
  node: string,
): Promise<Contender> => {
  const directory = join(caches.bench, `v86-${VERSION}`);
  const hasAll = (): boolean =>
    ["package/build/v86.wasm", ...FIRMWARE].every((name) => existsSync(join(directory, name)));
  const failure = hasAll()
    ? undefined
    : (fetchPackage(directory) ?? (await fetchFirmware(caches.guests, directory)));
  return {
    name: "v86",
    missing: () => failure && `cannot be had: ${failure.unavailable}`,
    version: () => VERSION,
    launch: ({ kernel, initrd, append, memory }) => ({
      command: [
        ...[node, MAIN, join(directory, "package"), ...FIRMWARE.map((name) => join(directory, name))],
        ...[kernel, initrd ?? "", String(memory), append],
      ],
    }),
  };
};
