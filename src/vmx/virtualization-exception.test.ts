import { describe, expect, it } from "vitest";
import { CR0 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { deliver, deliverFault } from "../cpu/exceptions.ts";
import { gate, idtBase, protectedMode, selector } from "../cpu/fake-core.fixture.ts";
import type { Fault } from "../cpu/fault.ts";
import { Access, walkLinear } from "../cpu/page-walk.ts";
import { VmxOperation } from "../cpu/vmx-socket.ts";
import { TestGuest } from "./guest.fixture.ts";

const area = 0x2_1000;
const handler = 0x4_0000;

/** A guest in flat 32-bit mode, whose page at 5000H is not mapped. */
const guestWithVE = (): TestGuest => {
  const guest = new TestGuest(["eptViolationVE"]).identity();
  protectedMode(guest.core);
  guest.core.state["vmx.operation"] = VmxOperation.nonRoot;
  guest.write("control.virtualizationExceptionInformationAddress", area);
  guest.write("control.eptpIndex", 0x123);
  guest.write64(idtBase + 8 * Exception.VE, gate(selector.code0, handler, 0x8e));
  guest.page(0x5000, 0n);
  return guest;
};
const violate = (guest: TestGuest): Fault => walkLinear(guest.core, 0x5abcn, Access.WRITE) as Fault;
const exited = (guest: TestGuest): boolean => !guest.vmx.nonRoot;

describe("a convertible EPT violation", () => {
  it("is delivered as #VE, with what it would have told the host in the information area", () => {
    const guest = guestWithVE();
    const rip = guest.core.state.RIP;
    deliverFault(guest.core, violate(guest));
    expect(exited(guest)).toBe(false);
    const { state } = guest.core;
    expect(state.RIP).toBe(BigInt(handler));
    expect(guest.read32(Number(state.RSP))).toBe(Number(rip)); // no error code
    expect(guest.read32(Number(state.RSP) + 8) & 0x1_0000).toBe(0x1_0000); // RF
    expect(guest.read32(area)).toBe(48);
    expect(guest.read32(area + 4)).toBe(0xffff_ffff);
    expect(guest.read64(area + 8)).toBe(0x782n);
    expect(guest.read64(area + 16)).toBe(0x5abcn);
    expect(guest.read64(area + 24)).toBe(0x5abcn);
    expect(guest.memory.read(area + 32, 2)).toBe(0x123);
  });

  it("exits while the area is in use", () => {
    const guest = guestWithVE();
    guest.write32(area + 4, 1);
    deliverFault(guest.core, violate(guest));
    expect(exited(guest)).toBe(true);
    expect(guest.read("exit.reason")).toBe(48n);
    expect(guest.read32(area)).toBe(0);
  });

  it("exits in real mode", () => {
    const guest = guestWithVE();
    guest.core.state.CR0 &= ~CR0.PE;
    deliverFault(guest.core, violate(guest));
    expect(exited(guest)).toBe(true);
  });

  it("exits when it happens while an event is delivered", () => {
    const guest = guestWithVE();
    guest.core.state.RSP = 0x5800n;
    guest.write64(idtBase + 8 * 0x40, gate(selector.code0, handler, 0x8e));
    deliver(guest.core, { type: "external interrupt", vector: 0x40 });
    expect(exited(guest)).toBe(true);
    expect(guest.read("exit.idtVectoringInformation")).toBe(0x8000_0040n);
    expect(guest.read32(area + 4)).toBe(0);
  });

  it("causes the exit of #VE where the exception bitmap asks for it", () => {
    const guest = guestWithVE();
    guest.vmx.exceptionBitmap = 1 << Exception.VE;
    deliverFault(guest.core, violate(guest));
    expect(exited(guest)).toBe(true);
    expect(guest.read("exit.reason")).toBe(0n);
    expect(guest.read("exit.interruptionInformation")).toBe(0x8000_0314n);
    expect(guest.read32(area + 4)).toBe(0xffff_ffff);
  });
});

describe("an EPT violation", () => {
  it("tells that an IRET had unblocked NMIs", () => {
    const guest = guestWithVE();
    guest.page(0x5000, 1n << 63n);
    guest.vmx.nmiUnblockedByIret = true;
    deliverFault(guest.core, violate(guest));
    expect(guest.read("exit.qualification")).toBe(0x1782n);
    expect(guest.read("exit.guestPhysicalAddress")).toBe(0x5abcn);
    expect(guest.read("exit.guestLinearAddress")).toBe(0x5abcn);
  });
});
