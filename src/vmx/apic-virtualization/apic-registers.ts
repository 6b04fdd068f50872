import { Exception } from "../../arch/exceptions.ts";
import { VirtualApic, x2ApicMsr } from "../../arch/virtual-apic.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { Fault } from "../../cpu/fault.ts";
import type { VmxGuest } from "../vmx-guest.ts";
import { PendingKind, postpone } from "./pending.ts";
import { readVirtual, writeVirtual } from "./virtual-apic.ts";
import {
  deliversVirtualInterrupts,
  virtualizeEoi,
  virtualizeSelfIpi,
  virtualizeTpr,
} from "./virtual-interrupts.ts";

/** SDM Vol. 3, "Virtualizing CR8-Based TPR Accesses" and "Virtualizing MSR-Based APIC Accesses". */

const useTPRShadow = controlMask("useTPRShadow");
const virtualizeX2APICMode = controlMask("virtualizeX2APICMode");
const apicRegisterVirtualization = controlMask("apicRegisterVirtualization");
const { VTPR, VEOI, selfIPI } = VirtualApic;

const GP = (): Fault => new Fault(Exception.GP, 0);

/** MOV from CR8 that neither faults nor exits: its value, or undefined without "use TPR shadow". */
export const readCr8 = (vmx: VmxGuest): bigint | undefined =>
  vmx.processorBased & useTPRShadow ? BigInt((readVirtual(vmx, VTPR) & 0xff) >>> 4) : undefined;

/** MOV to CR8, likewise. */
export const writeCr8 = (vmx: VmxGuest, value: bigint): Fault | "done" | undefined => {
  if (!(vmx.processorBased & useTPRShadow)) return undefined;
  if (value > 15n) return GP();
  writeVirtual(vmx, VTPR, Number(value) << 4);
  virtualizeTpr(vmx);
  return "done";
};

const isX2Apic = (vmx: VmxGuest, index: number): boolean =>
  (vmx.secondary & virtualizeX2APICMode) !== 0 && index >= x2ApicMsr.first && index <= x2ApicMsr.last;

/** RDMSR that did not exit: EDX:EAX, or undefined where it is not virtualized. */
export const readX2ApicMsr = (vmx: VmxGuest, index: number): bigint | undefined => {
  if (!isX2Apic(vmx, index)) return undefined;
  if (index !== x2ApicMsr.TPR && !(vmx.secondary & apicRegisterVirtualization)) return undefined;
  const offset = (index & 0xff) << 4;
  return (BigInt(readVirtual(vmx, offset + 4)) << 32n) | BigInt(readVirtual(vmx, offset));
};

const store = (vmx: VmxGuest, offset: number, value: bigint): void => {
  writeVirtual(vmx, offset, Number(value & 0xffff_ffffn));
  writeVirtual(vmx, offset + 4, Number(value >> 32n));
};

/** WRMSR that did not exit; undefined where it is not virtualized. */
export const writeX2ApicMsr = (vmx: VmxGuest, index: number, value: bigint): Fault | "done" | undefined => {
  if (!isX2Apic(vmx, index)) return undefined;
  if (index === x2ApicMsr.TPR) {
    if (value > 0xffn) return GP();
    store(vmx, VTPR, value);
    virtualizeTpr(vmx);
    return "done";
  }
  if (!deliversVirtualInterrupts(vmx)) return undefined;
  if (index === x2ApicMsr.EOI) {
    if (value !== 0n) return GP();
    store(vmx, VEOI, value);
    virtualizeEoi(vmx);
    return "done";
  }
  if (index !== x2ApicMsr.selfIPI) return undefined;
  if (value > 0xffn) return GP();
  store(vmx, selfIPI, value);
  // An illegal vector is the host's business.
  if (value < 16n) postpone(vmx, PendingKind.apicWriteExit, selfIPI);
  else virtualizeSelfIpi(vmx, Number(value));
  return "done";
};
