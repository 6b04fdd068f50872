import { describe, expect, it } from "vitest";
import { RFLAGS } from "../../arch/flags.ts";
import { apicAccessType, VirtualApic, virtualizedRegisters } from "../../arch/virtual-apic.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { deliver } from "../../cpu/exceptions.ts";
import { describeFault, gate, idtBase, protectedMode, selector } from "../../cpu/fake-core.fixture.ts";
import { Fault } from "../../cpu/fault.ts";
import { readLinear, writeLinear } from "../../cpu/linear-memory.ts";
import { Access } from "../../cpu/page-walk.ts";
import { VmExit, VmxOperation } from "../../cpu/vmx-socket.ts";
import { TestGuest } from "../guest.fixture.ts";
import { apicAccessDuringDelivery } from "./apic-access.ts";
import { readCr8, readX2ApicMsr, writeCr8, writeX2ApicMsr } from "./apic-registers.ts";
import { apicBoundary } from "./apic-write.ts";
import { takePostedInterrupts } from "./posted-interrupts.ts";
import { enterVirtualApic } from "./virtual-interrupts.ts";

const apicPage = 0x20_0000;
const virtualPage = 0x21_0000;
const { VTPR, VPPR, VEOI, VISR, VIRR, VICR_LO, VICR_HI, selfIPI } = VirtualApic;

/** A 32-bit guest without paging. */
const guestWith = (...controls: ControlKey[]): TestGuest => {
  const guest = new TestGuest(controls);
  protectedMode(guest.core);
  guest.core.state["vmx.operation"] = VmxOperation.nonRoot;
  guest.write("control.apicAccessAddress", apicPage);
  guest.write("control.virtualApicAddress", virtualPage);
  return guest;
};
const memoryMapped = ["virtualizeAPICAccesses", "useTPRShadow"] as const;
const delivering = [...memoryMapped, "virtualInterruptDelivery"] as const;

const text = (result: unknown): string | undefined => {
  if (result instanceof VmExit) return `exit ${result.reason}: ${result.qualification.toString(16)}`;
  if (result instanceof Fault) return describeFault(result);
  return result === undefined ? undefined : String(result);
};
const accessExit = (type: number, offset: number): string =>
  `exit 44: ${(offset | (type << 12)).toString(16)}`;
const read = (guest: TestGuest, offset: number, size = 4) =>
  text(readLinear(guest.core, BigInt(apicPage + offset), size, Access.READ));
const write = (guest: TestGuest, offset: number, value: number, size = 4) =>
  text(writeLinear(guest.core, BigInt(apicPage + offset), BigInt(value), size, Access.WRITE));
const boundary = (guest: TestGuest) => text(apicBoundary(guest.vmx));
const register = (guest: TestGuest, offset: number): number => guest.read32(virtualPage + offset);
const setRegister = (guest: TestGuest, offset: number, value: number): void =>
  guest.write32(virtualPage + offset, value);
/** RVI and SVI. */
const status = (guest: TestGuest): string => guest.read("guest.interruptStatus").toString(16);

describe("the APIC-access page", () => {
  it("is memory like any other without the control", () => {
    const guest = guestWith("useTPRShadow");
    write(guest, VTPR, 0x1234);
    expect(guest.read32(apicPage + VTPR)).toBe(0x1234);
    expect(register(guest, VTPR)).toBe(0);
  });

  it("exits at every access without a TPR shadow: how, and where in the page", () => {
    const guest = guestWith("virtualizeAPICAccesses");
    expect(read(guest, VTPR)).toBe(accessExit(apicAccessType.linearRead, VTPR));
    expect(write(guest, 0xabc, 1)).toBe(accessExit(apicAccessType.linearWrite, 0xabc));
    expect(guest.vmx.apicAccess(0x123, 1, Access.FETCH)).toBeInstanceOf(VmExit);
    expect(text(guest.vmx.apicAccess(0x123, 1, Access.FETCH))).toBe(
      accessExit(apicAccessType.linearFetch, 0x123),
    );
  });

  it("is left alone in root operation", () => {
    const guest = guestWith(...memoryMapped);
    guest.core.state["vmx.operation"] = VmxOperation.root;
    expect(write(guest, VTPR, 5)).toBeUndefined();
    expect(guest.read32(apicPage + VTPR)).toBe(5);
  });

  it("gives the TPR shadow at offset 80H, and nothing else, with the TPR shadow alone", () => {
    const guest = guestWith(...memoryMapped);
    setRegister(guest, VTPR, 0x5a);
    expect(read(guest, VTPR)).toBe(String(0x5a));
    expect(read(guest, VTPR, 1)).toBe(String(0x5a));
    for (const [offset, size] of [[VTPR + 1, 1], [VTPR, 8], [VTPR - 2, 4], [VPPR, 4], [VEOI, 4], [VICR_LO, 4]] as const) {
      expect(read(guest, offset, size)).toBe(accessExit(apicAccessType.linearRead, offset));
      expect(write(guest, offset, 0, size)).toBe(accessExit(apicAccessType.linearWrite, offset));
    } // biome-ignore format: one list
  });

  it("takes writes of EOI and the interrupt command with virtual-interrupt delivery, but no reads", () => {
    const guest = guestWith(...delivering);
    for (const offset of [VTPR, VEOI, VICR_LO]) expect(write(guest, offset, 0)).toBeUndefined();
    for (const offset of [VEOI, VICR_LO])
      expect(read(guest, offset)).toBe(accessExit(apicAccessType.linearRead, offset));
    expect(write(guest, VICR_HI, 0)).toBe(accessExit(apicAccessType.linearWrite, VICR_HI));
  });

  it("gives the registers of the table with APIC-register virtualization, within their four bytes", () => {
    const guest = guestWith(...memoryMapped, "apicRegisterVirtualization");
    for (let offset = 0; offset < 0x1000; offset++) {
      const base = offset & ~0xf;
      const row = virtualizedRegisters.find(([first, last]) => base >= first && base <= last);
      const within = row !== undefined && (offset & 0xf) < 4;
      const found = `${read(guest, offset, 1)} ${write(guest, offset, 0, 1)}`;
      const asRead = within ? "0" : accessExit(apicAccessType.linearRead, offset);
      const asWrite =
        within && row[2] === "rw" ? "undefined" : accessExit(apicAccessType.linearWrite, offset);
      if (found !== `${asRead} ${asWrite}`)
        expect(`${offset}: ${found}`).toBe(`${offset}: ${asRead} ${asWrite}`);
    }
    expect(read(guest, VTPR + 2, 4)).toBe(accessExit(apicAccessType.linearRead, VTPR + 2));
  });

  it("exits for accesses across its borders", () => {
    const guest = guestWith(...memoryMapped, "apicRegisterVirtualization");
    expect(read(guest, 0xffe)).toBe(accessExit(apicAccessType.linearRead, 0xffe));
    expect(read(guest, -2)).toBe(accessExit(apicAccessType.linearRead, 0));
  });

  it("exits when a paging structure of the guest is in it", () => {
    const guest = guestWith(...memoryMapped).identity();
    guest.write("control.apicAccessAddress", 0x5000);
    const access = 1 << 4; // TABLE
    expect(text(guest.vmx.translateGuestPhysical(0x5080, access, 0, 0))).toBe(
      `exit 44: ${(apicAccessType.guestPhysical << 12).toString(16)}`,
    );
  });

  it("tells when an event was being delivered", () => {
    const guest = guestWith(...memoryMapped);
    guest.write64(idtBase + 8 * 0x40, gate(selector.code0, 0x4_0000, 0x8e));
    guest.core.state.RSP = BigInt(apicPage + 0x810);
    deliver(guest.core, { type: "external interrupt", vector: 0x40 });
    expect(guest.vmx.nonRoot).toBe(false);
    expect(guest.read("exit.qualification")).toBe(
      BigInt(0x80c | (apicAccessType.linearDuringDelivery << 12)),
    );
    expect(guest.read("exit.idtVectoringInformation")).toBe(0x8000_0040n);
    expect(apicAccessDuringDelivery(BigInt(apicAccessType.guestPhysical << 12))).toBe(
      BigInt(apicAccessType.guestPhysicalDuringDelivery << 12),
    );
  });
});

describe("a write of the task priority", () => {
  it("is cut to its low byte after the instruction", () => {
    const guest = guestWith(...memoryMapped);
    write(guest, VTPR, 0x1234_5678);
    expect(register(guest, VTPR)).toBe(0x1234_5678);
    expect(boundary(guest)).toBeUndefined();
    expect(register(guest, VTPR)).toBe(0x78);
    expect(boundary(guest)).toBeUndefined();
  });

  it("exits below the threshold, once, after the instruction", () => {
    const guest = guestWith(...memoryMapped);
    guest.write("control.tprThreshold", 5);
    write(guest, VTPR, 0x50);
    expect(boundary(guest)).toBeUndefined();
    write(guest, VTPR, 0x4f);
    expect(boundary(guest)).toBe("exit 43: 0");
    expect(boundary(guest)).toBeUndefined();
  });

  it("has no threshold with virtual-interrupt delivery", () => {
    const guest = guestWith(...delivering);
    guest.write("control.tprThreshold", 5);
    write(guest, VTPR, 0x10);
    expect(boundary(guest)).toBeUndefined();
    expect(register(guest, VPPR)).toBe(0x10);
  });
});

describe("VM entry", () => {
  it("exits at once when the priority is below the threshold of a guest with an APIC-access page", () => {
    const guest = guestWith(...memoryMapped);
    guest.write("control.tprThreshold", 5);
    enterVirtualApic(guest.vmx);
    expect(guest.vmx.wakes).toBe(true);
    expect(boundary(guest)).toBe("exit 43: 0");
    const without = guestWith("useTPRShadow");
    without.write("control.tprThreshold", 5);
    enterVirtualApic(without.vmx);
    expect(boundary(without)).toBeUndefined();
  });
});

describe("MOV to and from CR8", () => {
  it("reach the TPR shadow", () => {
    const guest = guestWith("useTPRShadow");
    guest.write("control.tprThreshold", 3);
    setRegister(guest, VTPR, 0xffff_ffff);
    expect(text(writeCr8(guest.vmx, 7n))).toBe("done");
    expect(register(guest, VTPR)).toBe(0x70);
    expect(readCr8(guest.vmx)).toBe(7n);
    expect(boundary(guest)).toBeUndefined();
    expect(text(writeCr8(guest.vmx, 16n))).toBe("#GP(0)");
    writeCr8(guest.vmx, 2n);
    expect(boundary(guest)).toBe("exit 43: 0");
  });

  it("are not virtualized without it", () => {
    const guest = guestWith();
    expect(readCr8(guest.vmx)).toBeUndefined();
    expect(writeCr8(guest.vmx, 7n)).toBeUndefined();
  });
});

describe("virtual interrupts", () => {
  const handler = 0x4_0000;
  /** At VM entry with these requests. */
  const requested = (rvi: number, svi = 0, ...more: ControlKey[]): TestGuest => {
    const guest = guestWith(...delivering, "externalInterruptExiting", ...more);
    guest.write("guest.interruptStatus", (svi << 8) | rvi);
    for (const vector of [rvi, 0x21])
      setRegister(
        guest,
        VIRR + 16 * (vector >> 5),
        register(guest, VIRR + 16 * (vector >> 5)) | (1 << (vector & 31)),
      );
    for (let vector = 0x20; vector < 0x100; vector++)
      guest.write64(idtBase + 8 * vector, gate(selector.code0, handler + vector, 0x8e));
    enterVirtualApic(guest.vmx);
    return guest;
  };

  it("are delivered through the IDT when their class is above the processor's priority", () => {
    const guest = requested(0x53);
    expect(guest.vmx.wantsInterruptibility).toBe(true);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(guest.core.state.RIP).toBe(BigInt(handler + 0x53));
    expect(status(guest)).toBe("5321");
    expect(register(guest, VISR + 0x20)).toBe(1 << 0x13);
    expect(register(guest, VIRR + 0x20)).toBe(0);
    expect(register(guest, VIRR + 0x10)).toBe(2);
    expect(register(guest, VPPR)).toBe(0x50);
    guest.core.state.RFLAGS |= RFLAGS.IF;
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(false);
  });

  it("are delivered between two iterations of a repeated string instruction, which then goes on with RF", () => {
    const guest = requested(0x53);
    guest.core.midRepeat = true;
    guest.vmx.boundaryBeforeInterrupts();
    expect(guest.read32(Number(guest.core.state.RSP) + 8) & Number(RFLAGS.RF)).not.toBe(0);
    const plain = requested(0x53);
    plain.vmx.boundaryBeforeInterrupts();
    expect(plain.read32(Number(plain.core.state.RSP) + 8) & Number(RFLAGS.RF)).toBe(0);
  });

  it("wait for RFLAGS.IF and the end of blocking", () => {
    const guest = requested(0x53);
    guest.core.state.RFLAGS &= ~RFLAGS.IF;
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(false);
    guest.core.state.RFLAGS |= RFLAGS.IF;
    guest.core.state.interruptibility = 2;
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(false);
    guest.core.state.interruptibility = 0;
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
  });

  it("wake a guest that halts", () => {
    const guest = requested(0x53);
    guest.core.state.activity = 1;
    expect(guest.vmx.wakes).toBe(true);
    guest.vmx.boundaryBeforeInterrupts();
    expect(guest.core.state.activity).toBe(0);
    expect(guest.vmx.wakes).toBe(false);
  });

  it("wait for a lower priority: of the task, and of the interrupt in service", () => {
    const guest = requested(0x53);
    write(guest, VTPR, 0x50);
    boundary(guest);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(false);
    write(guest, VTPR, 0x4f);
    boundary(guest);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(requested(0x53, 0x5f).vmx.boundaryBeforeInterrupts()).toBe(false);
    expect(requested(0x53, 0x4f).vmx.boundaryBeforeInterrupts()).toBe(true);
  });

  it("are not recognized with interrupt-window exiting", () => {
    const guest = requested(0x53, 0, "interruptWindowExiting");
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(guest.read("exit.reason")).toBe(7n);
    expect(guest.read("guest.rflags") & RFLAGS.RF).toBe(0n);
    expect(status(guest)).toBe("53");
    const between = requested(0x53, 0, "interruptWindowExiting");
    between.core.midRepeat = true;
    between.vmx.boundaryBeforeInterrupts();
    expect(between.read("guest.rflags") & RFLAGS.RF).toBe(RFLAGS.RF);
  });

  it("end with EOI, which lets the next one come", () => {
    const guest = requested(0x53);
    guest.vmx.boundaryBeforeInterrupts();
    guest.core.state.RFLAGS |= RFLAGS.IF;
    setRegister(guest, VEOI, 0);
    write(guest, VEOI, 0x77);
    expect(boundary(guest)).toBeUndefined();
    expect(register(guest, VEOI)).toBe(0);
    expect(register(guest, VISR + 0x20)).toBe(0);
    expect(status(guest)).toBe("21");
    expect(register(guest, VPPR)).toBe(0);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(status(guest)).toBe("2100");
  });

  it("exit at EOI where the EOI-exit bitmap asks for it", () => {
    for (const vector of [0x30, 0x5f, 0x80, 0xff]) {
      const guest = requested(vector);
      const field = `control.eoiExitBitmap${(vector >> 6) as 0 | 1 | 2 | 3}` as const;
      guest.write(field, 1n << BigInt(vector & 63));
      guest.vmx.boundaryBeforeInterrupts();
      write(guest, VEOI, 0);
      expect(boundary(guest)).toBe(`exit 45: ${vector.toString(16)}`);
      expect(status(guest)).toBe("21");
    }
  });

  it("come from the guest itself by a self-IPI of the interrupt command", () => {
    const guest = requested(0x30);
    write(guest, VICR_LO, 0x4_0061);
    expect(boundary(guest)).toBeUndefined();
    expect(status(guest)).toBe("61");
    expect(register(guest, VIRR + 0x30)).toBe(2);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(status(guest)).toBe("6130");
  });

  it("leave every other interrupt command to the host", () => {
    for (let bit = 0; bit < 32; bit++) {
      const guest = requested(0x30);
      const command = (0x4_0061 ^ (1 << bit)) >>> 0;
      write(guest, VICR_LO, command);
      // The vector, but for one that is illegal; the destination mode says nothing.
      const fine = bit < 8 || bit === 11 || bit === 14;
      expect(`${bit} ${boundary(guest)}`).toBe(`${bit} ${fine ? undefined : "exit 56: 300"}`);
    }
    const guest = requested(0x30);
    write(guest, VICR_LO, 0x4_000f);
    expect(boundary(guest)).toBe("exit 56: 300");
  });
});

describe("APIC-write emulation", () => {
  it("clears the reserved bytes of the upper interrupt command", () => {
    const guest = guestWith(...memoryMapped, "apicRegisterVirtualization");
    write(guest, VICR_HI, 0x1234_5678);
    expect(boundary(guest)).toBeUndefined();
    expect(register(guest, VICR_HI)).toBe(0x1200_0000);
  });

  it("exits for registers that software completes, with the offset of the write", () => {
    const guest = guestWith(...memoryMapped, "apicRegisterVirtualization");
    for (const offset of [0x20, 0xb0, 0xd1, 0x280, 0x300, 0x321, 0x380, 0x3e0]) {
      write(guest, offset, 0xff, 1);
      expect(boundary(guest)).toBe(`exit 56: ${offset.toString(16)}`);
      expect(guest.memory.read(virtualPage + offset, 1)).toBe(0xff);
    }
  });
});

describe("RDMSR and WRMSR of the local APIC", () => {
  const x2 = ["virtualizeX2APICMode", "useTPRShadow"] as const;

  it("reach the TPR shadow", () => {
    const guest = guestWith(...x2);
    guest.write("control.tprThreshold", 3);
    setRegister(guest, VTPR + 4, 7);
    expect(text(writeX2ApicMsr(guest.vmx, 0x808, 0x45n))).toBe("done");
    expect(readX2ApicMsr(guest.vmx, 0x808)).toBe(0x45n);
    expect(text(writeX2ApicMsr(guest.vmx, 0x808, 0x100n))).toBe("#GP(0)");
    expect(boundary(guest)).toBeUndefined();
    writeX2ApicMsr(guest.vmx, 0x808, 0x2fn);
    expect(boundary(guest)).toBe("exit 43: 0");
  });

  it("read every register, whether it exists or not, with APIC-register virtualization", () => {
    const guest = guestWith(...x2);
    expect(readX2ApicMsr(guest.vmx, 0x802)).toBeUndefined();
    guest.set("apicRegisterVirtualization");
    setRegister(guest, 0x20, 0x1234);
    setRegister(guest, 0x24, 0x5678);
    setRegister(guest, 0xff0, 9);
    expect(readX2ApicMsr(guest.vmx, 0x802)).toBe(0x5678_0000_1234n);
    expect(readX2ApicMsr(guest.vmx, 0x8ff)).toBe(9n);
    expect(readX2ApicMsr(guest.vmx, 0x900)).toBeUndefined();
    expect(readX2ApicMsr(guest.vmx, 0x7ff)).toBeUndefined();
    expect(writeX2ApicMsr(guest.vmx, 0x80f, 0x1ffn)).toBeUndefined();
  });

  it("end and send virtual interrupts with virtual-interrupt delivery", () => {
    const guest = guestWith(...x2, "virtualInterruptDelivery");
    guest.write("guest.interruptStatus", 0x5300);
    setRegister(guest, VISR + 0x20, 1 << 0x13);
    expect(text(writeX2ApicMsr(guest.vmx, 0x80b, 1n))).toBe("#GP(0)");
    expect(text(writeX2ApicMsr(guest.vmx, 0x80b, 0n))).toBe("done");
    expect(status(guest)).toBe("0");
    expect(text(writeX2ApicMsr(guest.vmx, 0x83f, 0x100n))).toBe("#GP(0)");
    expect(text(writeX2ApicMsr(guest.vmx, 0x83f, 0x41n))).toBe("done");
    expect(status(guest)).toBe("41");
    expect(boundary(guest)).toBeUndefined();
    expect(text(writeX2ApicMsr(guest.vmx, 0x83f, 0xfn))).toBe("done");
    expect(boundary(guest)).toBe(`exit 56: ${selfIPI.toString(16)}`);
    expect(register(guest, selfIPI)).toBe(0xf);
  });

  it("are not virtualized without the controls", () => {
    expect(readX2ApicMsr(guestWith("useTPRShadow").vmx, 0x808)).toBeUndefined();
    expect(writeX2ApicMsr(guestWith("useTPRShadow").vmx, 0x808, 0n)).toBeUndefined();
    const guest = guestWith(...x2);
    expect(writeX2ApicMsr(guest.vmx, 0x80b, 0n)).toBeUndefined();
    expect(writeX2ApicMsr(guest.vmx, 0x83f, 0x41n)).toBeUndefined();
  });
});

describe("posted interrupts", () => {
  const descriptor = 0x2_4040;
  const posting = (): { guest: TestGuest; ended: () => number } => {
    const guest = guestWith(
      ...delivering,
      "externalInterruptExiting",
      "processPostedInterrupts",
      "acknowledgeInterruptOnExit",
    );
    guest.write("control.postedInterruptNotificationVector", 0xf2);
    guest.write("control.postedInterruptDescriptorAddress", descriptor);
    let ended = 0;
    const waiting = [0xf2];
    Object.assign(guest.core.apic, {
      hasInterrupt: () => waiting.length > 0,
      acknowledge: () => waiting.shift()!,
      endOfInterrupt: () => {
        ended++;
      },
    });
    guest.write32(descriptor + 4, 1 << 1); // 21H
    guest.write32(descriptor + 8, 1 << 19); // 53H
    guest.write32(descriptor + 32, 0xffff_ffff);
    for (let vector = 0x20; vector < 0x100; vector++)
      guest.write64(idtBase + 8 * vector, gate(selector.code0, 0x4_0000 + vector, 0x8e));
    return { guest, ended: () => ended };
  };

  it("become virtual ones when the notification arrives, with no exit", () => {
    const { guest, ended } = posting();
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(guest.vmx.nonRoot).toBe(true);
    expect(guest.core.state.RIP).toBe(0x4_0053n);
    expect(ended()).toBe(1);
    expect(status(guest)).toBe("5321");
    expect(guest.read32(descriptor + 4) | guest.read32(descriptor + 8)).toBe(0);
    expect(guest.read32(descriptor + 32)).toBe(0xffff_fffe);
  });

  it("are posted while the guest has interrupts off, and a halting guest stays so", () => {
    const { guest } = posting();
    guest.core.state.RFLAGS &= ~RFLAGS.IF;
    guest.core.state.activity = 1;
    expect(guest.vmx.wakes).toBe(true);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(false);
    expect(status(guest)).toBe("53");
    expect(guest.core.state.activity).toBe(1);
    expect(guest.vmx.wakes).toBe(false);
  });

  it("keep a higher request that the guest has already", () => {
    const { guest } = posting();
    guest.write("guest.interruptStatus", 0x99);
    guest.core.state.RFLAGS &= ~RFLAGS.IF;
    guest.vmx.boundaryBeforeInterrupts();
    expect(status(guest)).toBe("99");
  });

  it("leave every other vector to the host", () => {
    const { guest, ended } = posting();
    expect(takePostedInterrupts(guest.vmx, 0xf3)).toBe(false);
    guest.write("control.postedInterruptNotificationVector", 0xf1);
    expect(guest.vmx.boundaryBeforeInterrupts()).toBe(true);
    expect(guest.vmx.nonRoot).toBe(false);
    expect(guest.read("exit.reason")).toBe(1n);
    expect(guest.read("exit.interruptionInformation")).toBe(0x8000_00f2n);
    expect(ended()).toBe(0);
  });
});
