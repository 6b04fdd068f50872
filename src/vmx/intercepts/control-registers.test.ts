import { describe, expect, it } from "vitest";
import { CR0, CR4 } from "../../arch/control-registers.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { atUser64, protectedMode } from "../../cpu/fake-core.fixture.ts";
import { operand, TestHost } from "../host.fixture.ts";

const guest = (...controls: ControlKey[]): TestHost => TestHost.inGuest(controls);

/** Host-owned bits and what the guest sees in them. */
const own = (host: TestHost, register: 0 | 4, mask: bigint, shadow: bigint): void => {
  host.write(`control.cr${register}GuestHostMask`, mask);
  host.write(`control.cr${register}ReadShadow`, shadow);
};
const move = (host: TestHost, register: string, value: bigint): string => {
  host.core.state.RCX = value;
  return host.exitOf(`mov ${register}, rcx`);
};

describe("MOV to CR0 and CR4", () => {
  it("exit for each host-owned bit that would differ from the read shadow, and for no other", () => {
    const differs = CR0.TS | CR0.MP | CR0.EM | CR0.AM;
    for (const bit of [CR0.TS, CR0.MP, CR0.EM, CR0.AM])
      for (const shadow of [0n, differs]) {
        const host = guest();
        const { state } = host.core;
        own(host, 0, bit, shadow);
        const before = state.CR0;
        const seen = (before & ~bit) | (shadow & bit);
        expect(move(host, "cr0", seen ^ bit)).toBe("28 100");
        expect(state.CR0).toBe(before);
        // Other bits are the guest's to change; its view of the host's bit stays, and so does the bit.
        const other = bit === CR0.TS ? CR0.MP : CR0.TS;
        expect(move(host, "cr0", seen ^ other)).toBe("done");
        expect(state.CR0).toBe(before ^ other);
      }
  });

  it("compare all 64 bits", () => {
    const host = guest();
    own(host, 0, 1n << 40n, 0n);
    expect(move(host, "cr0", host.core.state.CR0 | (1n << 40n))).toBe("28 100");
    own(host, 0, 0n, 0n);
    expect(move(host, "cr0", host.core.state.CR0 | (1n << 40n))).toBe("#GP(0)");
  });

  it("of CR4 likewise, with the register and the source in the qualification", () => {
    const host = guest();
    const { state } = host.core;
    own(host, 4, CR4.VMXE | CR4.PGE, 0n);
    const before = state.CR4;
    state.R12 = before;
    expect(host.exitOf("mov cr4, r12")).toBe("28 c04");
    expect(move(host, "cr4", (before & ~CR4.VMXE) | CR4.DE)).toBe("done");
    expect(state.CR4).toBe(before | CR4.DE);
  });

  it("that do not exit are #GP(0) for values that VMX operation does not support, by the bits that take effect", () => {
    const host = guest();
    const { state } = host.core;
    expect(move(host, "cr0", state.CR0 & ~CR0.NE)).toBe("#GP(0)");
    expect(move(host, "cr4", state.CR4 & ~CR4.VMXE)).toBe("#GP(0)");
    own(host, 0, CR0.NE, 0n);
    expect(move(host, "cr0", state.CR0 & ~CR0.NE)).toBe("done");
    expect(state.CR0 & CR0.NE).toBe(CR0.NE);
    expect(move(host, "cr4", state.CR4 | CR4.LA57)).toBe("#GP(0)");
  });

  it("let an unrestricted guest leave paging and protection", () => {
    const leave = (host: TestHost): string => {
      protectedMode(host.core); // without paging
      host.core.state.IA32_EFER = 0n;
      host.core.state.CR4 |= CR4.VMXE;
      host.core.state.RCX = host.core.state.CR0 & ~CR0.PE;
      return host.run("mov cr0, ecx");
    };
    expect(leave(guest())).toBe("#GP(0)");
    expect(leave(guest("unrestrictedGuest"))).toBe("done");
  });

  it("are #GP(0) outside CPL 0", () => {
    const host = guest();
    own(host, 0, CR0.TS, CR0.TS);
    atUser64(host.core);
    expect(move(host, "cr0", 0n)).toBe("#GP(0)");
  });
});

describe("MOV from CR0 and CR4, SMSW", () => {
  it("show the read shadow in host-owned bits", () => {
    const host = guest();
    const { state } = host.core;
    own(host, 0, CR0.TS | CR0.MP | (1n << 45n), CR0.MP | (1n << 45n) | CR0.AM);
    state.CR0 |= CR0.TS;
    const seen = (state.CR0 & ~CR0.TS) | CR0.MP | (1n << 45n);
    expect(host.run("mov rdx, cr0")).toBe("done");
    expect(state.RDX).toBe(seen);
    expect(host.run("smsw rdx")).toBe("done");
    expect(state.RDX).toBe(seen);
    host.point(-1n & 0xffff_ffff_ffff_ffffn);
    expect(host.run("smsw [rdi]")).toBe("done");
    expect(host.core.read64(operand)).toBe(0xffff_ffff_ffff_0000n | (seen & 0xffffn));
    own(host, 4, 0xffff_ffff_ffff_ffffn, 0x1234_5678_9abc_def0n);
    host.run("mov rdx, cr4");
    expect(state.RDX).toBe(0x1234_5678_9abc_def0n);
  });

  it("SMSW faults by UMIP and on its operand", () => {
    const host = guest();
    host.core.state.RDI = 0x4000_0000n;
    expect(host.run("smsw [rdi]")).toBe("#PF(2)");
    host.core.state.CR4 |= CR4.UMIP;
    atUser64(host.core);
    expect(host.run("smsw rax")).toBe("#GP(0)");
  });
});

describe("MOV to CR3", () => {
  it("exits unless the value is one of the first targets", () => {
    const host = guest("cr3LoadExiting");
    const { state } = host.core;
    for (const n of [0, 1, 2, 3] as const)
      host.write(`control.cr3Target${n}`, 0x10_0000n + (BigInt(n) << 40n));
    host.write("control.cr3TargetCount", 1);
    expect(move(host, "cr3", 0x10_0000n)).toBe("done");
    expect(move(host, "cr3", 0x100_0010_0000n)).toBe("28 103");
    host.write("control.cr3TargetCount", 0);
    expect(move(host, "cr3", 0x10_0000n)).toBe("28 103");
    host.write("control.cr3TargetCount", 0xffff_ffff);
    host.write("control.cr3Target3", 0x20_0000n);
    expect(move(host, "cr3", 0x20_0000n)).toBe("done");
    expect(state.CR3).toBe(0x20_0000n);
    expect(move(host, "cr3", 0x30_0000n)).toBe("28 103");
  });
});

describe("CLTS", () => {
  const run = (mask: bigint, shadow: bigint): [string, boolean] => {
    const host = guest();
    own(host, 0, mask, shadow);
    host.core.state.CR0 |= CR0.TS;
    return [host.exitOf("clts"), (host.core.state.CR0 & CR0.TS) !== 0n];
  };
  it("clears TS, does nothing, or exits", () => {
    expect(run(0n, CR0.TS)).toEqual(["done", false]);
    expect(run(CR0.TS, 0n)).toEqual(["done", true]);
    expect(run(CR0.TS, CR0.TS)).toEqual(["28 20", true]);
  });
});

describe("LMSW", () => {
  const run = (host: TestHost, source: bigint, text = "lmsw cx"): string => {
    host.core.state.RCX = source;
    return host.exitOf(text);
  };

  it("exits where a host-owned bit would change, PE only when it is set", () => {
    const host = guest();
    own(host, 0, CR0.PE | CR0.TS, 0n);
    expect(run(host, 0xfff1n)).toBe("28 fff10030");
    expect(run(host, 0x8n)).toBe("28 80030");
    expect(run(host, 0x6n)).toBe("done");
    own(host, 0, CR0.PE | CR0.TS, CR0.PE);
    expect(run(host, 0n)).toBe("done"); // PE is not cleared
    expect(run(host, 1n)).toBe("done");
  });

  it("leaves host-owned bits, and everything above TS, as they are", () => {
    const host = guest();
    const { state } = host.core;
    const before = state.CR0;
    own(host, 0, CR0.MP, CR0.MP);
    expect(run(host, 0xffffn & ~1n)).toBe("done");
    expect(state.CR0).toBe(before | CR0.EM | CR0.TS);
  });

  it("with a memory operand reports its linear address, after faults of reading it", () => {
    const host = guest();
    own(host, 0, CR0.TS, CR0.TS);
    host.point(0);
    expect(run(host, 0n, "lmsw [rdi+2]")).toBe("28 70");
    expect(host.exit!.details.guestLinearAddress).toBe(BigInt(operand + 2));
    host.core.state.RDI = 0x4000_0000n;
    expect(run(host, 0n, "lmsw [rdi]")).toBe("#PF(0)");
    expect(run(host, 8n)).toBe("done");
  });
});

describe("CR8", () => {
  it("is virtual with a TPR shadow, and the local APIC's without", () => {
    const host = guest("useTPRShadow");
    host.write("control.virtualApicAddress", 0x7_0000);
    host.core.write32(0x7_0080, 0xa5);
    expect(host.run("mov rdx, cr8")).toBe("done");
    expect(host.core.state.RDX).toBe(10n);
    expect(move(host, "cr8", 12n)).toBe("done");
    expect(host.core.read32(0x7_0080)).toBe(0xc0);
    expect(host.core.apic.taskPriorityClass).toBe(0);
    expect(move(host, "cr8", 16n)).toBe("#GP(0)");
    const plain = guest();
    expect(move(plain, "cr8", 12n)).toBe("done");
    expect(plain.core.apic.taskPriorityClass).toBe(12);
  });
});
