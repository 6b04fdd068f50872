import type { RegisterBlock } from "../bus/address-range.ts";

/** Bits of RST_CNT (ICH9 datasheet, "RST_CNT: Reset Control Register", port 0xCF9). */
// biome-ignore format: one row per fact
const RST_CNT = { SYS_RST: 1 << 1, RST_CPU: 1 << 2, FULL_RST: 1 << 3 } as const;

/** Where the register is, and the value that resets the machine: the FADT's RESET_REG and RESET_VALUE. */
export const RESET_PORT = 0xcf9;
export const RESET_VALUE = RST_CNT.SYS_RST | RST_CNT.RST_CPU;

/** The reset register: one port. A rising RST_CPU resets the processors, with SYS_RST the whole machine. */
export class ResetControl implements RegisterBlock {
  state = { RST_CNT: 0 };
  readonly #reset: (kind: "processors" | "system") => void;

  constructor(reset: (kind: "processors" | "system") => void) {
    this.#reset = reset;
  }

  reset(): void {
    this.state = { RST_CNT: 0 };
  }

  read(): number {
    return this.state.RST_CNT;
  }

  write(_offset: number, value: number): void {
    const before = this.state.RST_CNT;
    this.state.RST_CNT = value & (RST_CNT.SYS_RST | RST_CNT.RST_CPU | RST_CNT.FULL_RST);
    if ((value & ~before & RST_CNT.RST_CPU) !== 0)
      this.#reset((value & RST_CNT.SYS_RST) !== 0 ? "system" : "processors");
  }
}
