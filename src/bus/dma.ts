/** Guest-physical memory as a bus-mastering device sees it. Addresses beyond RAM read all ones and swallow writes. */
export interface DirectMemory {
  read(address: number, length: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
}
