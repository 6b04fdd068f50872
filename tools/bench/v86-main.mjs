/** node v86-main.mjs PACKAGE BIOS VGABIOS KERNEL INITRD MEMORY APPEND: boots Linux in v86; its serial port is standard output. */
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [directory, bios, vgaBios, kernel, initrd, memory, append] = process.argv.slice(2);
const { V86 } = await import(pathToFileURL(join(directory, "build", "libv86.mjs")).href);
const file = (path) => {
  const bytes = readFileSync(path);
  return { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) };
};
const emulator = new V86({
  wasm_path: join(directory, "build", "v86.wasm"),
  bios: file(bios),
  vga_bios: file(vgaBios),
  bzimage: file(kernel),
  initrd: file(initrd),
  cmdline: append,
  memory_size: Number(memory) << 20,
  autostart: true,
});
emulator.add_listener("serial0-output-byte", (byte) => writeSync(1, Uint8Array.of(byte)));
