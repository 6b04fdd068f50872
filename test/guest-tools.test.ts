import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { cpioArchive } from "../tools/guests/cpio.ts";
import type { PackageFile } from "../tools/guests/deb.ts";
import { debianGuest } from "../tools/guests/guests.ts";
import { INIT_MARKER, initramfs } from "../tools/guests/initramfs.ts";
import { loadOrder } from "../tools/guests/kernel-modules.ts";
import { unpackVmlinux } from "../tools/guests/vmlinux.ts";

const text = new TextEncoder();

/** Reads a newc archive back: path to mode and contents. */
const entriesOf = (
  archive: Uint8Array,
): Map<string, { mode: number; device: number[]; contents: string }> => {
  const latin1 = Buffer.from(archive).toString("latin1");
  const entries = new Map<string, { mode: number; device: number[]; contents: string }>();
  for (let at = 0; at < latin1.length; ) {
    expect(latin1.slice(at, at + 6)).toBe("070701");
    const field = (index: number): number =>
      Number.parseInt(latin1.slice(at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = latin1.slice(at + 110, at + 110 + nameSize - 1);
    const body = (at + 110 + nameSize + 3) & ~3;
    if (name !== "TRAILER!!!")
      entries.set(name, { mode, device: [field(9), field(10)], contents: latin1.slice(body, body + size) });
    at = (body + size + 3) & ~3;
  }
  return entries;
};

describe("the cpio writer", () => {
  it("writes directories, files, links and devices that read back", () => {
    const entries = entriesOf(
      cpioArchive([
        { path: "dev", directory: true },
        { path: "dev/console", characterDevice: [5, 1] },
        { path: "odd", bytes: text.encode("12345"), mode: 0o755 },
        { path: "link", link: "odd" },
      ]),
    );
    expect(entries.get("dev")!.mode).toBe(0o040755);
    expect(entries.get("dev/console")).toMatchObject({ mode: 0o020600, device: [5, 1] });
    expect(entries.get("odd")).toMatchObject({ mode: 0o100755, contents: "12345" });
    expect(entries.get("link")).toMatchObject({ mode: 0o120777, contents: "odd" });
  });
});

const kernelModule = (name: string, depends: string): [string, PackageFile] => {
  const path = `lib/modules/6.1/kernel/${name}.ko`;
  return [path, { path, bytes: text.encode(`ELF\0name=x\0depends=${depends}\0`), link: undefined }];
};

describe("the order of kernel modules", () => {
  const builtIn = text.encode("kernel/fs/ext4/ext4.ko\n");
  const files = new Map<string, PackageFile>([
    kernelModule("virtio-rng", "virtio,virtio_ring"),
    kernelModule("virtio", "virtio_ring"),
    kernelModule("virtio_ring", ""),
    kernelModule("a", "b"),
    kernelModule("b", "a"),
    ["m", { path: "lib/modules/6.1/modules.builtin", bytes: builtIn, link: undefined }],
  ]);

  it("puts each after those it depends on, whichever way its name is spelled", () => {
    const order = loadOrder(files, ["virtio_rng", "virtio"]);
    expect(order.modules.map((module) => module.file)).toEqual([
      "virtio_ring.ko",
      "virtio.ko",
      "virtio-rng.ko",
    ]);
  });

  it("leaves out what is built in, names what is absent, and survives a cycle", () => {
    expect(loadOrder(files, ["ext4", "nothing"])).toEqual({ modules: [], absent: ["nothing"] });
    expect(loadOrder(files, ["a"]).modules.map((module) => module.name)).toEqual(["b", "a"]);
  });
});

describe("the initramfs", () => {
  it("holds init, busybox, the modules and their order, and is the same every time", () => {
    const module = { name: "virtio", file: "virtio.ko", bytes: text.encode("module") };
    const contents = {
      busybox: text.encode("busybox"),
      moduleGroups: new Map([["virtio", { modules: [module], absent: [] }]]),
      files: new Map([["opt/tool/run", { bytes: text.encode("#!"), mode: 0o755 }]]),
      compressed: true,
    };
    const archive = initramfs(contents);
    expect(Buffer.compare(archive, initramfs(contents))).toBe(0);
    const entries = entriesOf(gunzipSync(archive));
    expect(entries.get("init")!.contents).toContain(INIT_MARKER);
    expect(entries.get("bin/busybox")).toMatchObject({ mode: 0o100755, contents: "busybox" });
    expect(entries.get("lib/modules/virtio.order")!.contents).toBe("virtio.ko\n");
    expect(entries.get("lib/modules/virtio.ko")!.contents).toBe("module");
    const paths = [...entries.keys()];
    expect(paths.indexOf("opt/tool")).toBeGreaterThan(paths.indexOf("opt"));
    expect(paths.indexOf("opt/tool/run")).toBeGreaterThan(paths.indexOf("opt/tool"));
  });
});

describe("a bzImage's payload", () => {
  it("is unpacked from LZ4's legacy frame, with overlapping matches", () => {
    // Literals "ab", then 11 bytes from distance 2, then the literal "!".
    const block = [0x27, 0x61, 0x62, 0x02, 0x00, 0x10, 0x21];
    const payload = [0x02, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block, 14, 0, 0, 0];
    const image = new Uint8Array(1024 + payload.length);
    image[0x1f1] = 1;
    image[0x24c] = payload.length;
    image.set(payload, 1024);
    expect(Buffer.from(unpackVmlinux(image) as Uint8Array).toString()).toBe("abababababab" + "a!");
  });
});

describe("a guest without apt", () => {
  const { PATH } = process.env;
  const cache = mkdtempSync(join(tmpdir(), "guests-"));
  afterEach(() => {
    process.env["PATH"] = PATH;
    rmSync(cache, { recursive: true, force: true });
  });

  it("is unavailable with one sentence", async () => {
    process.env["PATH"] = cache;
    expect(await debianGuest("cloud-amd64", { cache })).toEqual({
      unavailable: "apt-get is not installed, so no guest can be made from Debian's packages",
    });
  });
});
