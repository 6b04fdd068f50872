import type { RegisterBlock } from "../bus/address-range.ts";
import type { PciFunction } from "./pci-function.ts";
import { STRUCTURE } from "./virtio-pci-registers.ts";

// VIRTIO 1.2, "Virtio Structure PCI Capabilities".

const VENDOR_SPECIFIC = 0x09;
const PCI_CFG_TYPE = 5;
/** "Notification structure layout": queue n is notified at this many bytes times n. */
export const NOTIFY_OFF_MULTIPLIER = 4;

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** The body of struct virtio_pci_cap, after ID and next. */
const capability = (
  length: number,
  bar: number,
  structure: { readonly type: number; readonly offset: number; readonly length: number },
): number[] => [length, structure.type, bar, 0, 0, 0, ...dword(structure.offset), ...dword(structure.length)];

/** The registers that the capabilities tell of, and how many bytes they take in their BAR. */
interface VirtioRegisters {
  readonly block: RegisterBlock;
  readonly length: number;
}

/** Tells where in BAR `bar` of `owner` each structure is. */
export const addVirtioCapabilities = (owner: PciFunction, bar: number, registers: VirtioRegisters): void => {
  const { COMMON: common, NOTIFY: notify, ISR: isr, DEVICE: device } = STRUCTURE;
  for (const structure of [common, isr, device])
    owner.addCapability(VENDOR_SPECIFIC, capability(16, bar, structure));
  owner.addCapability(VENDOR_SPECIFIC, [...capability(20, bar, notify), ...dword(NOTIFY_OFF_MULTIPLIER)]);
  addWindow(owner, bar, registers);
};

/** "PCI configuration access capability": a window to the BAR for those who cannot reach memory. */
const addWindow = (owner: PciFunction, registersBar: number, { block, length }: VirtioRegisters): void => {
  const body = [...capability(20, 0, { type: PCI_CFG_TYPE, offset: 0, length: 0 }), 0, 0, 0, 0];
  const writable = [0, 0, 0xff, 0, 0, 0, ...new Array<number>(8).fill(0xff)];
  const window = owner.addCapability(VENDOR_SPECIFIC, body, writable);
  const access = (): { offset: number; size: 1 | 2 | 4 } | undefined => {
    const bar = owner.register(window + 4, 1);
    const offset = owner.register(window + 8, 4);
    const size = owner.register(window + 12, 4);
    if (bar !== registersBar || (size !== 1 && size !== 2 && size !== 4)) return undefined;
    return offset % size === 0 && offset + size <= length ? { offset, size } : undefined;
  };
  owner.overlay(window + 16, 4, {
    read: (offset, size) => {
      const chosen = access();
      const value = chosen === undefined ? 0xffff_ffff : block.read(chosen.offset, chosen.size);
      return ((value >>> (8 * offset)) & (size === 4 ? -1 : 2 ** (8 * size) - 1)) >>> 0;
    },
    write: (_offset, value) => {
      const chosen = access();
      if (chosen === undefined) return;
      const mask = chosen.size === 4 ? 0xffff_ffff : 2 ** (8 * chosen.size) - 1;
      block.write(chosen.offset, (value & mask) >>> 0, chosen.size);
    },
  });
};
