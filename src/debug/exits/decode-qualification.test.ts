import { describe, expect, it } from "vitest";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { decodeQualification } from "./decode-qualification.ts";

describe("an exit qualification", () => {
  // biome-ignore format: one row per fact
  it.each([
    [ExitReason.IO_INSTRUCTION, 0x03f8_0040n, { port: "0x3f8", direction: "OUT", size: 1, string: false, REP: false, operand: "immediate" }],
    [ExitReason.IO_INSTRUCTION, 0x01f0_003bn, { port: "0x1f0", direction: "IN", size: 4, string: true, REP: true, operand: "DX" }],
    [ExitReason.CR_ACCESS, 0x0000_0f18n, { register: "CR8", access: "MOV from CR", operand: "register", general: "R15", source: "0x0" }],
    [ExitReason.CR_ACCESS, 0xfff1_0070n, { register: "CR0", access: "LMSW", operand: "memory", general: "RAX", source: "0xfff1" }],
    [ExitReason.MOV_DR, 0x217n, { register: "DR7", direction: "MOV from DR", general: "RDX" }],
    [ExitReason.EPT_VIOLATION, 0x18an, {
      read: false, write: true, fetch: false, readable: true, writable: false, executable: false, userExecutable: false, linearAddressValid: true,
      of: "translated address", userMode: false, guestWritable: false, guestExecuteDisable: false, nmiUnblocking: false,
    }],
    [ExitReason.TASK_SWITCH, 0xc000_0028n, { selector: "0x28", source: "task gate in IDT" }],
    [ExitReason.APIC_ACCESS, 0x10b0n, { offset: "0xb0", access: "linear, data write", asynchronous: false }],
    [ExitReason.APIC_ACCESS, 0x7000n, { offset: "0x0", access: "7", asynchronous: false }],
    [ExitReason.VMREAD, 0xffff_ffff_ffff_fff0n, { displacement: "-0x10" }],
    [ExitReason.MSR_LOADING, 3n, { entry: 3 }],
    [ExitReason.INVALID_GUEST_STATE, 4n, { cause: "VMCS link pointer" }],
  ])("of reason %i, %s, is told part by part", (reason, qualification, parts) => {
    expect(decodeQualification(reason, qualification)).toEqual(parts);
  });

  it("of an exception depends on its vector", () => {
    expect(decodeQualification(ExitReason.EXCEPTION_OR_NMI, 0x4001n, 1)).toMatchObject({
      B0: true,
      BS: true,
      BD: false,
    });
    expect(decodeQualification(ExitReason.EXCEPTION_OR_NMI, 0x1234n, 14)).toEqual({
      linearAddress: "0x1234",
    });
    expect(decodeQualification(ExitReason.EXCEPTION_OR_NMI, 0n, 6)).toBeUndefined();
  });

  it("says nothing where the manual gives it no meaning", () => {
    expect(decodeQualification(ExitReason.HLT, 0n)).toBeUndefined();
    expect(decodeQualification(9999, 1n)).toBeUndefined();
  });
});
