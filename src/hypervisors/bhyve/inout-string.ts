import { CR0 } from "../../arch/control-registers.ts";
import { access as rights, segmentType } from "../../arch/descriptors.ts";
import { Exception } from "../../arch/exceptions.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { GuestBoard } from "../host/guest-board.ts";
import { guestAccess } from "../host/guest-paging.ts";
import type { Vm } from "./vm.ts";
import type { InoutString } from "./vmm.ts";

/**
 * INS and OUTS: the user process moves the elements between guest memory and its devices, as later versions of bhyve do; the first
 * one aborted. The kernel has described the operand.
 */

/** Elements that one exit moves, at most: then the guest has its turn for interrupts. */
const mostElements = 4096;

interface PageFault {
  readonly vector: typeof Exception.PF;
  readonly errorCode: number;
  readonly address: bigint;
}
interface OtherFault {
  readonly vector: typeof Exception.GP | typeof Exception.SS;
  readonly errorCode: 0;
}
type Refused = PageFault | OtherFault;

const isCanonical = (linear: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear;

/** Linear address of an element, or why it may not be reached. */
const linearOf = (str: InoutString, offset: bigint): bigint | Refused => {
  const { descriptor, is64Bit, segment, size, isIn } = str;
  const refused = { vector: segment === "ss" ? Exception.SS : Exception.GP, errorCode: 0 } as const;
  if (is64Bit) {
    const base = segment === "fs" || segment === "gs" ? descriptor.base : 0n;
    const linear = BigInt.asUintN(64, base + offset);
    return isCanonical(linear) && isCanonical(linear + BigInt(size - 1)) ? linear : refused;
  }
  const { access, limit } = descriptor;
  const type = access & 0xf;
  const isCode = (type & segmentType.code) !== 0;
  const mayBe = isIn
    ? !isCode && (type & segmentType.writable) !== 0
    : !isCode || (type & segmentType.readable) !== 0;
  const isProtected = (str.paging.cr0 & CR0.PE) !== 0n && (str.rflags & RFLAGS.VM) === 0n;
  if (isProtected && ((access & rights.unusable) !== 0 || !mayBe)) return refused;
  const last = offset + BigInt(size - 1);
  const top = access & rights.DB ? 0xffff_ffffn : 0xffffn;
  const isDown = !isCode && (type & segmentType.expandDown) !== 0;
  const isWithin = isDown ? offset > BigInt(limit) && last <= top : last <= BigInt(limit);
  return isWithin ? BigInt.asUintN(32, descriptor.base + offset) : refused;
};

/** Guest-physical address of each byte of an element. */
const bytesOf = (vm: Vm<unknown>, str: InoutString, linear: bigint): number[] | Refused => {
  const isUser = str.cpl === 3;
  const access = { isWrite: str.isIn, isUser, alignmentCheck: (str.rflags & RFLAGS.AC) !== 0n };
  const addresses: number[] = [];
  for (let n = 0; n < str.size; n++) {
    const address = linear + BigInt(n);
    const found = guestAccess(vm.memory, str.paging, address, access);
    if ("errorCode" in found) return { vector: Exception.PF, errorCode: found.errorCode, address };
    addresses.push(found.address);
  }
  return addresses;
};

const isRefused = (value: bigint | number[] | Refused): value is Refused =>
  typeof value === "object" && "vector" in value;

/** Carry it out for one virtual processor. "again": elements are left, or the guest has an exception coming. */
export const emulateInoutString = (
  vm: Vm<unknown>,
  vcpu: number,
  board: GuestBoard,
  str: InoutString,
): "continue" | "again" => {
  const { addressSize, size, isIn, port } = str;
  const step = str.rflags & RFLAGS.DF ? -BigInt(size) : BigInt(size);
  let offset = BigInt.asUintN(addressSize, str.index);
  let left = str.isRepeated ? BigInt.asUintN(addressSize, str.count) : 1n;
  let refused: Refused | undefined;
  for (let n = 0; n < mostElements && left > 0n; n++, left--) {
    const linear = linearOf(str, offset);
    const at = isRefused(linear) ? linear : bytesOf(vm, str, linear);
    if (isRefused(at)) {
      refused = at;
      break;
    }
    if (isIn) {
      const value = board.readPort(port, size);
      for (const [byte, address] of at.entries())
        vm.memory.writeBytes(address, Uint8Array.of((value >>> (8 * byte)) & 0xff));
    } else {
      const value = at.reduce(
        (sum, address, byte) => sum + vm.memory.readBytes(address, 1)[0]! * 2 ** (8 * byte),
        0,
      );
      board.writePort(port, value, size);
    }
    offset = BigInt.asUintN(addressSize, offset + step);
  }
  const part = (whole: bigint, value: bigint): bigint =>
    addressSize === 16 ? (whole & ~0xffffn) | value : value;
  vm.setRegister(vcpu, isIn ? "rdi" : "rsi", part(str.index, offset));
  if (str.isRepeated) vm.setRegister(vcpu, "rcx", part(str.count, left));
  if (refused !== undefined) inject(vm, vcpu, refused);
  return refused === undefined && left === 0n ? "continue" : "again";
};

const inject = (vm: Vm<unknown>, vcpu: number, refused: Refused): void => {
  if (refused.vector === Exception.PF) vm.setRegister(vcpu, "cr2", refused.address);
  vm.injectEvent(vcpu, { type: "hardwareException", vector: refused.vector, errorCode: refused.errorCode });
};
