import { memoryMap } from "../../machine/board-map.ts";
import type { GuestBoard } from "./guest-board.ts";

/** Devices that the kernel emulates itself: interrupt controllers and the timer. */
export interface KernelDevices {
  ownsPort(port: number): boolean;
  ownsMemory(address: number): boolean;
  readPort(port: number, size: 1 | 2 | 4): number;
  writePort(port: number, value: number, size: 1 | 2 | 4): void;
  readMemory(address: number, size: 1 | 2 | 4): number;
  writeMemory(address: number, value: number, size: 1 | 2 | 4): void;
}

/** Ports of the 8259s, and of the 8254 with its gate. */
const chipPorts = new Set([0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61]);
const pageBytes = 4096;

/** Interrupt controllers and timer of a board, as a virtual processor reaches them: its own local APIC among them. */
export const interruptChips = (board: GuestBoard, index: number): KernelDevices => {
  const apic = board.apics[index]!;
  const isIn = (address: number, page: number | undefined): boolean =>
    page !== undefined && address >= page && address < page + pageBytes;
  return {
    ownsPort: (port) => chipPorts.has(port),
    ownsMemory: (address) => isIn(address, apic.page) || isIn(address, memoryMap.ioApic),
    readPort: (port, size) => board.readPort(port, size),
    writePort: (port, value, size) => board.writePort(port, value, size),
    readMemory: (address, size) =>
      isIn(address, apic.page) ? apic.read(address % pageBytes, size) : board.readMemory(address, size),
    writeMemory: (address, value, size) => {
      if (isIn(address, apic.page)) apic.write(address % pageBytes, value, size);
      else board.writeMemory(address, value, size);
    },
  };
};
