import type { RegisterBlock } from "../bus/address-range.ts";
import { type ApicRegister, apicRegisters } from "./local-apic-registers.ts";
import type { ApicMode } from "./local-apic-state.ts";

const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x83f;

/** The registers behind the accesses. */
export interface RegisterAccessDoors {
  readonly mode: () => ApicMode;
  readonly read: (register: ApicRegister) => number;
  /** `value` has only writable bits. */
  readonly write: (register: ApicRegister, value: number) => void;
  /** ICR bits 63:32. */
  readonly readIcrHigh: () => number;
  readonly writeIcrHigh: (value: number) => void;
  /** A register that does not exist was accessed through the page. */
  readonly illegalRegister: () => void;
}

/**
 * The two ways to the local APIC's registers: the xAPIC page, and the x2APIC MSRs (SDM Vol. 3, "Local APIC Register Address Map",
 * "x2APIC Register Address Space"). Each is there in its own mode only.
 */
export class ApicRegisterAccess implements RegisterBlock {
  readonly #doors: RegisterAccessDoors;

  constructor(doors: RegisterAccessDoors) {
    this.#doors = doors;
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (this.#doors.mode() !== "xAPIC") return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    const register = apicRegisters.get(offset & 0xff0);
    if (register === undefined || register.xapic === "") {
      this.#doors.illegalRegister();
      return 0;
    }
    if (register.xapic === "W" || (offset & 15) + size > 4) return 0;
    const value = this.#doors.read(register) >>> (8 * (offset & 3));
    return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
  }

  /** Only aligned 4-byte writes count (SDM: others are model-specific). */
  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if (this.#doors.mode() !== "xAPIC" || size !== 4 || (offset & 15) !== 0) return;
    const register = apicRegisters.get(offset);
    if (register === undefined || register.xapic === "") this.#doors.illegalRegister();
    else if (register.xapic !== "R") this.#doors.write(register, (value & register.writable) >>> 0);
  }

  /** Undefined means #GP. */
  readMsr(index: number): bigint | undefined {
    const register = this.#x2apicRegister(index);
    if (register === undefined || !register.x2apic.includes("R")) return undefined;
    const value = BigInt(this.#doors.read(register));
    return register.name === "ICR" ? (BigInt(this.#doors.readIcrHigh()) << 32n) | value : value;
  }

  /** False means #GP, and nothing has changed. */
  writeMsr(index: number, value: bigint): boolean {
    const register = this.#x2apicRegister(index);
    if (register === undefined || !register.x2apic.includes("W")) return false;
    const low = Number(value & 0xffff_ffffn);
    const high = Number(value >> 32n);
    if ((low & ~(register.writable | register.status)) !== 0) return false;
    if (register.name === "ICR") this.#doors.writeIcrHigh(high);
    else if (high !== 0) return false;
    this.#doors.write(register, (low & register.writable) >>> 0);
    return true;
  }

  #x2apicRegister(index: number): ApicRegister | undefined {
    if (this.#doors.mode() !== "x2APIC" || index < X2APIC_FIRST || index > X2APIC_LAST) return undefined;
    return apicRegisters.get((index - X2APIC_FIRST) << 4);
  }
}
