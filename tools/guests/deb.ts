import { spawn, spawnSync } from "node:child_process";

/** A file or symbolic link of a Debian package; the path has no leading "./". */
export interface PackageFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly link: string | undefined;
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const field = (block: Uint8Array, start: number, length: number): string =>
  latin1(block.subarray(start, start + length)).replace(/\0.*$/s, "");

const BLOCK = 512;

/** Pulls exact lengths out of a byte stream without keeping what was passed over. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #pending: Uint8Array = new Uint8Array();

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#pending = next.value;
    return true;
  }

  /** The next `length` bytes, or fewer when the stream ends. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      if (this.#pending.length === 0 && !(await this.#more())) break;
      const part = this.#pending.subarray(0, missing);
      this.#pending = this.#pending.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Passes over the rest, so that the program at the other end can finish. */
  async drain(): Promise<void> {
    while (await this.#more());
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      if (this.#pending.length === 0 && !(await this.#more())) return;
      const passed = Math.min(missing, this.#pending.length);
      this.#pending = this.#pending.subarray(passed);
      missing -= passed;
    }
  }
}

/** ustar with GNU long names ('L' entries), which is what dpkg-deb prints. */
async function* tarFiles(
  stream: AsyncIterable<Uint8Array>,
  wanted: (path: string) => boolean,
): AsyncGenerator<PackageFile> {
  const reader = new ByteReader(stream);
  let longName: string | undefined;
  for (;;) {
    const header = await reader.take(BLOCK);
    if (header.length < BLOCK || header[0] === 0) return reader.drain();
    const size = Number.parseInt(field(header, 124, 12).trim() || "0", 8);
    const padded = (size + BLOCK - 1) & ~(BLOCK - 1);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "L") {
      longName = field(await reader.take(padded), 0, size);
      continue;
    }
    const prefix = field(header, 345, 155);
    const shortName = field(header, 0, 100);
    const isUstar = field(header, 257, 8) === "ustar";
    const name = longName ?? (isUstar && prefix !== "" ? `${prefix}/${shortName}` : shortName);
    longName = undefined;
    const path = name.replace(/^\.\//, "");
    const isLink = type === "2";
    const isFile = type === "0" || type === "\0";
    if ((isFile || isLink) && wanted(path)) {
      const bytes = (await reader.take(padded)).subarray(0, size);
      yield { path, bytes, link: isLink ? field(header, 157, 100) : undefined };
    } else {
      await reader.skip(padded);
    }
  }
}

/** The files of a .deb whose path `wanted` accepts, by path; or one sentence saying why the package cannot be read. */
export const unpack = async (
  packageFile: string,
  wanted: (path: string) => boolean,
): Promise<Map<string, PackageFile> | { readonly unavailable: string }> => {
  const child = spawn("dpkg-deb", ["--fsys-tarfile", packageFile], { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status) =>
      resolve(status === 0 ? undefined : complaint.trim().split("\n").at(-1) || `exit status ${status}`),
    );
  });
  const files = new Map<string, PackageFile>();
  for await (const file of tarFiles(child.stdout, wanted)) files.set(file.path, file);
  const failure = await ended;
  return failure === undefined ? files : { unavailable: `dpkg-deb cannot unpack ${packageFile}: ${failure}` };
};

/** The bytes of a possibly xz-compressed kernel module. Without an xz program they stay compressed: busybox insmod reads both. */
export const decompressModule = (path: string, bytes: Uint8Array): { path: string; bytes: Uint8Array } => {
  if (!path.endsWith(".xz")) return { path, bytes };
  const xz = spawnSync("xz", ["-dc"], { input: bytes, maxBuffer: 256 << 20 });
  return xz.status === 0 ? { path: path.slice(0, -".xz".length), bytes: xz.stdout } : { path, bytes };
};
