/** Devices that the kernel emulates itself: interrupt controllers and the timer. */
export interface KernelDevices {
  ownsPort(port: number): boolean;
  ownsMemory(address: number): boolean;
  readPort(port: number, size: 1 | 2 | 4): number;
  writePort(port: number, value: number, size: 1 | 2 | 4): void;
  readMemory(address: number, size: 1 | 2 | 4): number;
  writeMemory(address: number, value: number, size: 1 | 2 | 4): void;
}
