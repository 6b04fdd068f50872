import { spawnSync } from "node:child_process";
import { gunzipSync } from "node:zlib";
import type { Unavailable } from "./apt.ts";

/**
 * The ELF kernel inside a bzImage (Linux Documentation/arch/x86/boot.rst, fields payload_offset and payload_length), which boots by
 * PVH. Debian's cloud kernels are packed with LZ4, the others with xz.
 */

const SECTOR = 512;
const SETUP_SECTS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** The kernel's build appends the unpacked size to the compressed payload. */
const SIZE_BYTES = 4;

/** LZ4 block format: tokens of literals and matches. */
const lz4Block = (source: Uint8Array, target: Uint8Array, targetStart: number): number => {
  let out = targetStart;
  let at = 0;
  const next = (): number => source[at++] ?? 0;
  const extended = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15)
      for (let more = 255; more === 255; ) {
        more = next();
        length += more;
      }
    return length;
  };
  while (at < source.length) {
    const token = next();
    const literals = extended(token >> 4);
    target.set(source.subarray(at, at + literals), out);
    at += literals;
    out += literals;
    if (at >= source.length) break;
    const distance = next() | (next() << 8);
    const length = extended(token & 15) + 4;
    for (let i = 0; i < length; i++, out++) target[out] = target[out - distance] ?? 0;
  }
  return out;
};

/** LZ4's legacy frame, the one `lz4 -l` writes: a magic number, then blocks with their lengths. */
const lz4Legacy = (payload: Uint8Array, unpackedLength: number): Uint8Array => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const target = new Uint8Array(unpackedLength);
  let out = 0;
  for (let at = 4; at + 4 <= payload.length; ) {
    const length = view.getUint32(at, true);
    out = lz4Block(payload.subarray(at + 4, at + 4 + length), target, out);
    at += 4 + length;
  }
  return target;
};

const byProgram = (
  program: string,
  args: readonly string[],
  payload: Uint8Array,
): Uint8Array | Unavailable => {
  const child = spawnSync(program, args, { input: payload, maxBuffer: 1 << 30 });
  if (child.error !== undefined)
    return { unavailable: `${program} is not installed, so the kernel cannot be unpacked` };
  return child.stdout.length > 0
    ? child.stdout
    : { unavailable: `${program} cannot unpack the kernel: ${child.stderr.toString().trim()}` };
};

/** Unpacks the kernel's ELF file; a sentence when its compression is unknown or needs a program that is missing. */
export const unpackVmlinux = (bzImage: Uint8Array): Uint8Array | Unavailable => {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  const start = ((bzImage[SETUP_SECTS] || 4) + 1) * SECTOR + view.getUint32(PAYLOAD_OFFSET, true);
  const payload = bzImage.subarray(start, start + view.getUint32(PAYLOAD_LENGTH, true));
  const compressed = payload.subarray(0, payload.length - SIZE_BYTES);
  const sizeView = new DataView(payload.buffer, payload.byteOffset + compressed.length, SIZE_BYTES);
  const magic = Buffer.from(payload.subarray(0, 6)).toString("hex");
  if (magic.startsWith("02214c18")) return lz4Legacy(compressed, sizeView.getUint32(0, true));
  if (magic.startsWith("1f8b")) return gunzipSync(compressed);
  if (magic === "fd377a585a00") return byProgram("xz", ["-dc"], compressed);
  if (magic.startsWith("28b52ffd")) return byProgram("zstd", ["-dc"], compressed);
  return { unavailable: `the kernel's payload starts with ${magic}, expected LZ4, gzip, xz or zstd` };
};
