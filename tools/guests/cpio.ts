/**
 * Writer for the "newc" cpio format, the one the kernel's initramfs unpacker reads
 * (Linux Documentation/driver-api/early-userspace/buffer-format.rst): 110-byte ASCII headers, names and bodies padded to 4 bytes.
 */

/** One entry of an archive. Paths have no leading slash. Owners are root and times 0, so equal input gives equal bytes. */
export type CpioEntry =
  | { readonly path: string; readonly directory: true; readonly mode?: number }
  | { readonly path: string; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly link: string }
  | {
      readonly path: string;
      readonly characterDevice: readonly [major: number, minor: number];
      readonly mode?: number;
    };

/** File type bits of `mode`, as in stat(2). */
const S_IFCHR = 0o020000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

const text = new TextEncoder();
const hex8 = (value: number): string => value.toString(16).padStart(8, "0");
const padding = (length: number): Uint8Array => new Uint8Array(-length & 3);

interface Record {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly body: Uint8Array;
  readonly device: readonly [number, number];
}

const record = (entry: CpioEntry, inode: number): Record => {
  const plain = { path: entry.path, inode, body: new Uint8Array(), device: [0, 0] as const };
  if ("directory" in entry) return { ...plain, mode: S_IFDIR | (entry.mode ?? 0o755) };
  if ("link" in entry) return { ...plain, mode: S_IFLNK | 0o777, body: text.encode(entry.link) };
  if ("bytes" in entry) return { ...plain, mode: S_IFREG | (entry.mode ?? 0o644), body: entry.bytes };
  return { ...plain, mode: S_IFCHR | (entry.mode ?? 0o600), device: entry.characterDevice };
};

const chunks = ({ path, inode, mode, body, device }: Record): Uint8Array[] => {
  const name = text.encode(`${path}\0`);
  const links = (mode & S_IFDIR) !== 0 ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, body.length, 0, 0, device[0], device[1], name.length, 0];
  const header = text.encode(`070701${fields.map(hex8).join("")}`);
  return [header, name, padding(header.length + name.length), body, padding(body.length)];
};

/** The archive's bytes, with the trailer. A directory must come before what it contains: the kernel makes no parents. */
export const cpioArchive = (entries: readonly CpioEntry[]): Uint8Array => {
  const trailer: Record = { path: "TRAILER!!!", inode: 0, mode: 0, body: new Uint8Array(), device: [0, 0] };
  const records = [...entries.map((entry, index) => record(entry, index + 1)), trailer];
  return new Uint8Array(Buffer.concat(records.flatMap(chunks)));
};
