import { hex } from "../../machine/boot/memory-map.ts";
import { lguestDma, virtualInterrupts } from "./abi.ts";
import type { Guest } from "./guest.ts";

/** I/O without ports: lists of buffers in guest memory, bound to keys. */

/** BIND_DMA: 1 when it is bound, 0 when it cannot be. Interrupt 0 unbinds. */
export const bindDma = (
  guest: Guest,
  key: number,
  dmas: number,
  count: number,
  interrupt: number,
): number => {
  if (key % 4 !== 0) {
    guest.kill(`bad DMA key ${hex(key)}, expected a multiple of 4`);
    return 0;
  }
  if (interrupt >= virtualInterrupts) return 0;
  const { bindings } = guest;
  const mine = bindings.findIndex((binding) => binding?.key === key);
  if (interrupt === 0) {
    if (mine >= 0) bindings[mine] = undefined;
    return mine >= 0 ? 1 : 0;
  }
  const free = bindings.indexOf(undefined);
  if (mine >= 0 || free < 0 || count === 0) return 0;
  bindings[free] = { key, dmas, count, next: 0, interrupt };
  return 1;
};

/** SEND_DMA: the Launcher gets it when it reads next. */
export const sendDma = (guest: Guest, key: number, address: number): void => {
  if (key % 4 !== 0) guest.kill(`bad DMA key ${hex(key)}, expected a multiple of 4`);
  else guest.pendingDma = { address, key };
};

/** An empty buffer bound to a key: guest-physical address of its struct lguest_dma and the interrupt that says it is filled. */
export const boundBuffer = (
  guest: Guest,
  key: number,
): { readonly address: number; readonly interrupt: number } | undefined => {
  const binding = guest.bindings.find((one) => one?.key === key);
  if (binding === undefined) return undefined;
  for (let n = 0; n < binding.count; n++) {
    const address = binding.dmas + lguestDma.bytes * ((binding.next + n) % binding.count);
    if (guest.read32(address + lguestDma.used_len) !== 0) continue;
    if (guest.dead !== undefined) return undefined;
    binding.next = (binding.next + n + 1) % binding.count;
    return { address, interrupt: binding.interrupt };
  }
  return undefined;
};

/** The sections of a list: addresses and lengths. A section may not cross a page. */
export const sectionsOf = (
  guest: Guest,
  dma: number,
): { readonly address: number; readonly length: number }[] => {
  const bytes = guest.readBytes(dma, lguestDma.bytes);
  if (guest.dead !== undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sections = [];
  for (let n = 0; n < lguestDma.sections; n++) {
    const length = view.getUint16(lguestDma.len + 2 * n, true);
    if (length === 0) break;
    const address = view.getUint32(lguestDma.addr + 4 * n, true);
    if ((address & 4095) + length > 4096) {
      guest.kill(`bad DMA section ${hex(address)} length ${length}: it crosses a page`);
      return [];
    }
    sections.push({ address, length });
  }
  return sections;
};

/** What a guest sends. */
export const gather = (guest: Guest, dma: number): Uint8Array => {
  const parts = sectionsOf(guest, dma).map(({ address, length }) => guest.readBytes(address, length));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

/** Fill a guest's buffer with the first of these bytes, and say so in it; how many it took. */
export const scatter = (guest: Guest, dma: number, bytes: Uint8Array): number => {
  let at = 0;
  for (const { address, length } of sectionsOf(guest, dma)) {
    const part = bytes.subarray(at, at + length);
    guest.writeBytes(address, part);
    at += part.length;
  }
  guest.write32(dma + lguestDma.used_len, at);
  return at;
};
