import { describe, expect, it } from "vitest";
import { CR4 } from "../../arch/control-registers.ts";
import { vmcsField } from "../../arch/vmcs-fields.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { atUser64, protectedMode, tssBase, virtual8086 } from "../../cpu/fake-core.fixture.ts";
import { Monitor } from "../../cpu/system.ts";
import { VmxStep } from "../../cpu/vmx-socket.ts";
import { otherRegion, region, TestHost } from "../host.fixture.ts";

/** RAX to R15 as a guest has them here: 0x101 * number, so that no two are alike. */
const guest = (controls: readonly ControlKey[], minus: readonly string[] = []): TestHost => {
  const host = TestHost.inGuest(controls, { minus });
  const { state } = host.core;
  for (let n = 0; n < 16; n++) state.setGeneral(n, BigInt(0x1_0000 + 0x101 * n));
  state.RIP = 0x1_0000n;
  state.CR4 |= CR4.OSXSAVE;
  return host;
};

/** Scaling, address size, segment, index or none, base or none: what operands say of themselves. */
const at = ({ scale = 0, size = 2, segment = 3, index = -1, base = -1 }): number =>
  scale |
  (size << 7) |
  (segment << 15) |
  (index < 0 ? 1 << 22 : index << 18) |
  (base < 0 ? 1 << 27 : base << 23);
const hex = (value: number): string => (value >>> 0).toString(16);
const register1 = (number: number): number => (1 << 10) | (number << 3);
const register2 = (number: number): number => number << 28;

const [RAX, RCX, RDX, RBX, RDI] = [0, 1, 2, 3, 7];
const rdi = at({ base: RDI });
const scaled = at({ base: RBX, index: 9, scale: 3, segment: 5 });

describe("instructions that exit unconditionally", () => {
  // biome-ignore format: one row per fact
  const rows: readonly (readonly [text: string, exit: string])[] = [
    ["cpuid", "10 0"],
    ["invd", "13 0"],
    ["xsetbv", "55 0"],
    ["vmcall", "18 0"],
    ["vmlaunch", "20 0"],
    ["vmresume", "24 0"],
    ["vmxoff", "26 0"],
    ["vmclear [rdi+0x10]", `19 10 ${hex(rdi)}`],
    ["vmptrld [rbx+r9*8-2]", `21 fffffffffffffffe ${hex(at({ base: RBX, index: 9, scale: 3 }))}`],
    ["vmptrst gs:[rbx+r9*8-2]", `22 fffffffffffffffe ${hex(scaled)}`],
    ["vmxon [rip+0x20]", `27 10028 ${hex(at({}))}`],
    ["vmread rcx, rdx", `23 0 ${hex(register1(RCX) | register2(RDX))}`],
    ["vmread [rdi], r10", `23 0 ${hex(rdi | register2(10))}`],
    ["vmwrite r10, rbx", `25 0 ${hex(register1(RBX) | register2(10))}`],
    ["vmwrite rax, [rdi+1]", `25 1 ${hex(rdi | register2(RAX))}`],
    ["invept rcx, [rdi+0x100]", `50 100 ${hex(rdi | register2(RCX))}`],
    ["invvpid r15, [rdi]", `53 0 ${hex(rdi | register2(15))}`],
  ];
  it.each(rows.map((row) => ({ text: row[0], exit: row[1] })))("$text", ({ text, exit }) => {
    const host = guest([]);
    const before = host.core.state.RDI;
    expect(host.exitOf(text)).toBe(exit);
    expect(host.core.state.RDI).toBe(before);
  });

  it("report the length of the instruction", () => {
    const host = guest([]);
    for (const [text, length] of [
      ["cpuid", 2],
      ["vmcall", 3],
      ["vmclear [rdi+0x10]", 5],
      ["invept rcx, [rdi]", 5],
    ] as const) {
      // biome-ignore format: one row
      host.run(text);
      expect([text, host.exit!.details.instructionLength]).toEqual([text, length]);
    }
  });

  it("exit at any privilege level where they were introduced with VMX", () => {
    const host = guest([]);
    atUser64(host.core);
    for (const text of [
      "vmcall",
      "vmlaunch",
      "vmxoff",
      "vmclear [rdi]",
      "vmread rax, rbx",
      "invept rax, [rdi]",
      "vmxon [rdi]",
      "cpuid",
    ])
      expect([text, host.run(text)]).toEqual([text, expect.stringMatching(/^exit/)]);
    for (const text of ["invd", "xsetbv"]) expect([text, host.run(text)]).toEqual([text, "#GP(0)"]);
  });

  it("VMCALL exits in virtual-8086 mode too; the others are #UD", () => {
    const host = guest([]);
    virtual8086(host.core, 3);
    expect(host.run("vmcall")).toBe("exit 18");
    expect(host.run("vmlaunch")).toBe("#UD");
    expect(host.run("vmread eax, ebx")).toBe("#UD");
  });

  it("XSETBV is #UD without CR4.OSXSAVE, CPUID #GP(0) under CPUID faulting", () => {
    const host = guest([]);
    host.core.state.CR4 &= ~CR4.OSXSAVE;
    expect(host.run("xsetbv")).toBe("#UD");
    host.core.state.MSR_MISC_FEATURES_ENABLES = 1n;
    expect(host.run("cpuid")).toBe("exit 10");
    atUser64(host.core);
    expect(host.run("cpuid")).toBe("#GP(0)");
  });
});

describe("instructions that exit by a control", () => {
  // biome-ignore format: one row per fact
  const rows: readonly (readonly [text: string, control: ControlKey, exit: string, beside?: readonly ControlKey[]])[] = [
    ["hlt", "hltExiting", "12 0"],
    ["invlpg [rbx+r9*8+1]", "invlpgExiting", "14 94b4c"],
    ["invpcid rcx, [rdi+4]", "invlpgExiting", `58 4 ${hex(rdi | register2(RCX))}`, ["enableINVPCID"]],
    ["rdtsc", "rdtscExiting", "16 0"],
    ["rdtscp", "rdtscExiting", "51 0", ["enableRDTSCP"]],
    ["rdpmc", "rdpmcExiting", "15 0"],
    ["monitor", "monitorExiting", "39 0"],
    ["mwait", "mwaitExiting", "36 0"],
    ["wbinvd", "wbinvdExiting", "54 0"],
    ["rdrand ecx", "rdrandExiting", `57 0 ${hex((RCX << 3) | (1 << 11))}`],
    ["rdrand r12w", "rdrandExiting", `57 0 ${hex(12 << 3)}`],
    ["rdseed rdi", "rdseedExiting", `61 0 ${hex((RDI << 3) | (2 << 11))}`],
    ["mov dr3, rbx", "movDRExiting", "29 303"],
    ["mov r9, dr7", "movDRExiting", "29 917"],
    ["sgdt [rdi+0x80]", "descriptorTableExiting", `46 80 ${hex(rdi)}`],
    ["sidt [rdi]", "descriptorTableExiting", `46 0 ${hex(rdi | (1 << 28))}`],
    ["lgdt [rdi]", "descriptorTableExiting", `46 0 ${hex(rdi | (2 << 28))}`],
    ["lidt [rdi]", "descriptorTableExiting", `46 0 ${hex(rdi | (3 << 28))}`],
    ["sldt [rdi]", "descriptorTableExiting", `47 0 ${hex(rdi)}`],
    ["str ecx", "descriptorTableExiting", `47 0 ${hex(register1(RCX) | (1 << 28))}`],
    ["lldt dx", "descriptorTableExiting", `47 0 ${hex(register1(RDX) | (2 << 28))}`],
    ["ltr [rdi-1]", "descriptorTableExiting", `47 ffffffffffffffff ${hex(rdi | (3 << 28))}`],
    ["mov rax, cr3", "cr3StoreExiting", "28 13"],
    ["mov cr3, r8", "cr3LoadExiting", "28 803"],
    ["mov cr8, rbx", "cr8LoadExiting", "28 308"],
    ["mov rbx, cr8", "cr8StoreExiting", "28 318"],
    ["in al, dx", "unconditionalIOExiting", "30 2020008"],
    ["pause", "pauseExiting", "40 0"],
  ];
  const cases = rows.map(([text, control, exit, beside = []]) => ({ text, control, exit, beside }));
  it.each(cases)("$text", ({ text, control, exit, beside }) => {
    const on = guest([control, ...beside]);
    if (text === "pause") {
      expect(on.vmx.intercept(on.core.decode("f390"))).toMatchObject({ reason: 40, qualification: 0n });
      expect(guest([]).vmx.intercept(on.core.decode("f390"))).toBeUndefined();
      return;
    }
    expect(on.exitOf(text)).toBe(exit);
    const off = guest(beside);
    off.core.state.RAX = 0n;
    expect(off.run(text)).not.toMatch(/^exit/);
  });

  it("privilege comes before the exit", () => {
    const all = rows.map(([, control]) => control);
    const host = guest([...all, "enableINVPCID", "enableRDTSCP"]);
    atUser64(host.core);
    for (const text of [
      "hlt",
      "invlpg [rdi]",
      "invpcid rcx, [rdi]",
      "wbinvd",
      "lgdt [rdi]",
      "lldt ax",
      "mov cr3, rax",
      "mov rax, cr8",
    ])
      expect([text, host.run(text)]).toEqual([text, "#GP(0)"]);
    for (const text of ["monitor", "mwait"]) expect([text, host.run(text)]).toEqual([text, "#UD"]);
    expect([host.run("rdtsc"), host.run("sgdt [rdi]"), host.run("rdpmc")]).toEqual([
      "exit 16",
      "exit 46",
      "#GP(0)",
    ]);
    host.core.state.CR4 |= CR4.TSD | CR4.UMIP | CR4.PCE;
    expect([host.run("rdtsc"), host.run("sgdt [rdi]"), host.run("rdpmc")]).toEqual([
      "#GP(0)",
      "#GP(0)",
      "exit 15",
    ]);
  });

  it("MOV DR exits before #GP by privilege, #UD for DR4 and #DB by DR7.GD", () => {
    const host = guest(["movDRExiting"]);
    host.core.state.CR4 |= CR4.DE;
    host.core.state.DR7 = 0x2400n;
    expect(host.exitOf("mov rax, dr4")).toBe("29 14");
    atUser64(host.core);
    expect(host.exitOf("mov dr5, rcx")).toBe("29 105");
    const off = guest([]);
    atUser64(off.core);
    expect(off.run("mov rax, dr0")).toBe("#GP(0)");
  });

  it("MWAIT tells whether the monitor is armed; MONITOR exits before it looks at ECX or memory", () => {
    const host = guest(["mwaitExiting", "monitorExiting"]);
    host.core.state["MONITOR.armed"] = Monitor.armed;
    expect(host.exitOf("mwait")).toBe("36 1");
    host.core.state.RAX = 1n << 63n;
    expect(host.exitOf("monitor")).toBe("39 0");
  });

  it("instructions that a control enables are #UD without it, whatever the privilege level", () => {
    const run = (user: boolean): string[] => {
      const host = guest([]);
      if (user) atUser64(host.core);
      return ["invpcid rcx, [rdi]", "rdtscp", "xsaves [rdi]", "xrstors [rdi]"].map((text) => host.run(text));
    };
    expect(run(false)).toEqual(["#UD", "#UD", "#UD", "#UD"]);
    expect(run(true)).toEqual(["#UD", "#UD", "#UD", "#UD"]);
    const enabled = guest(["enableINVPCID", "enableXSAVES"]);
    atUser64(enabled.core);
    expect([enabled.run("invpcid rcx, [rdi]"), enabled.run("xsaves [rdi]")]).toEqual(["#GP(0)", "#GP(0)"]);
  });

  it('RDPID is #UD without "enable RDTSCP", and the processor looks at it only then', () => {
    const rdpid = "f30fc7f8";
    const off = guest([]);
    expect(off.vmx.intercept(off.core.decode(rdpid))).toMatchObject({ vector: 6 });
    expect(off.core.state["vmx.steps"]).toBe(VmxStep.RDPID | VmxStep.STI);
    const on = guest(["enableRDTSCP", "pauseExiting"]);
    expect(on.vmx.intercept(on.core.decode(rdpid))).toBeUndefined();
    expect(on.core.state["vmx.steps"]).toBe(VmxStep.PAUSE | VmxStep.STI);
  });

  it("XSAVES and XRSTORS exit for components of the XSS-exiting bitmap", () => {
    const host = guest(["enableXSAVES"]);
    const { state } = host.core;
    state.IA32_XSS = 0x100n;
    state.RAX = 0x100n;
    state.RDX = 0n;
    host.write("control.xssExitingBitmap", 0x300n);
    expect(host.exitOf("xsaves [rdi+8]")).toBe(`63 8 ${hex(rdi)}`);
    expect(host.exitOf("xrstors [rdi]")).toBe(`64 0 ${hex(rdi)}`);
    state.RAX = 0x200n;
    expect(host.run("xsaves [rdi]")).not.toMatch(/^exit/);
    state.CR4 &= ~CR4.OSXSAVE;
    expect(host.run("xsaves [rdi]")).toBe("#UD");
  });

  it("addresses outside 64-bit mode have 32 or 16 bits, operands of LGDT 16 or 32", () => {
    const host = guest(["descriptorTableExiting", "invlpgExiting"]);
    protectedMode(host.core);
    host.core.state.IA32_EFER = 0n;
    host.core.state["DS.base"] = 0xffff_0000n;
    expect(host.exitOf("invlpg [ebx]")).toBe(`14 ${hex(0x303)}`);
    const ebx = at({ base: RBX, size: 1 });
    expect(host.exitOf("lgdt [ebx]")).toBe(`46 0 ${hex(ebx | (1 << 11) | (2 << 28))}`);
    expect(host.exitOf("o16 lgdt [ebx]")).toBe(`46 0 ${hex(ebx | (2 << 28))}`);
    const bxSi = at({ base: RBX, index: 6, size: 0 });
    expect(host.exitOf("lidt [bx+si-3]")).toBe(`46 fffffffffffffffd ${hex(bxSi | (1 << 11) | (3 << 28))}`);
  });
});

describe("blocking by STI and MOV SS", () => {
  it("is still there when an instruction exits, and gone when it was carried out", () => {
    const host = guest(["hltExiting"]);
    host.core.state.interruptibility = 1;
    host.run("hlt");
    expect(host.core.state.interruptibility).toBe(1);
    host.run("clts");
    expect(host.core.state.interruptibility).toBe(0);
  });
});

describe("VMCS shadowing", () => {
  const shadowing = (): TestHost => {
    const host = guest(["vmcsShadowing"]);
    host.core.write32(otherRegion, (host.vmx.capability.revision | 0x8000_0000) >>> 0);
    host.write("guest.vmcsLinkPointer", otherRegion);
    host.write("control.vmreadBitmapAddress", 0x5_0000);
    host.write("control.vmwriteBitmapAddress", 0x5_1000);
    return host;
  };
  const rip = vmcsField("guest.rip").encoding;

  it("lets VMREAD and VMWRITE reach the VMCS of the link pointer", () => {
    const host = shadowing();
    const { state } = host.core;
    state.RBX = BigInt(rip);
    state.RAX = 0x1234n;
    const before = host.read("guest.rip");
    expect([host.run("vmwrite rbx, rax"), host.run("vmread rcx, rbx"), state.RCX]).toEqual([
      "done",
      "done",
      0x1234n,
    ]);
    expect(host.read("guest.rip")).toBe(before);
    expect(host.core.state["vmx.currentVmcs"]).toBe(BigInt(region));
  });

  it("exits for encodings whose bit is set in the bitmaps, and beyond them", () => {
    const host = shadowing();
    const { state, memory } = host.core;
    memory.setUint8(0x5_0000 + (rip >> 3), 1 << (rip & 7));
    state.RBX = BigInt(rip);
    expect([host.run("vmread rcx, rbx"), host.run("vmwrite rbx, rax")]).toEqual(["exit 23", "done"]);
    memory.setUint8(0x5_1000 + (rip >> 3), 1 << (rip & 7));
    expect(host.run("vmwrite rbx, rax")).toBe("exit 25");
    for (const encoding of [0x8000n, 1n << 32n, 1n << 63n]) {
      state.RBX = encoding;
      expect([host.run("vmread rcx, rbx"), host.run("vmwrite rbx, rax")]).toEqual(["exit 23", "exit 25"]);
    }
    host.write("control.vmreadBitmapAddress", 0xfee0_0000);
    state.RBX = 0n;
    expect(host.run("vmread rcx, rbx")).toBe("exit 23");
  });

  it("fails in the shadow VMCS, or invalidly where the link pointer names none", () => {
    const host = shadowing();
    host.core.state.RBX = 0x7ffen;
    expect(host.run("vmread rcx, rbx")).toBe("ZF");
    host.core.state.RBX = BigInt(vmcsField("exit.vmInstructionError").encoding);
    host.run("vmread rcx, rbx");
    expect([host.core.state.RCX, host.error]).toEqual([12n, 0]);
    host.write("guest.vmcsLinkPointer", 0xffff_ffff_ffff_ffffn);
    expect(host.run("vmread rcx, rbx")).toBe("CF");
    atUser64(host.core);
    expect(host.run("vmread rcx, rbx")).toBe("#GP(0)");
  });
});

describe("PAUSE-loop exiting", () => {
  const pause = (host: TestHost, after: number): boolean => {
    host.core.ticks += BigInt(after);
    return host.vmx.intercept(host.core.decode("f390")) !== undefined;
  };
  const looping = (): TestHost => {
    const host = guest(["pauseLoopExiting"]);
    host.write("control.pleGap", 10);
    host.write("control.pleWindow", 25);
    return host;
  };

  it("exits once PAUSEs no further apart than the gap have gone on for longer than the window", () => {
    const host = looping();
    expect([100, 10, 10, 5, 1].map((after) => pause(host, after))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    expect([11, 10, 10, 5, 1].map((after) => pause(host, after))).toEqual([false, false, false, false, true]);
  });

  it("starts over at VM entry and is nothing outside CPL 0", () => {
    const host = looping();
    [0, 10, 10, 5].map((after) => pause(host, after));
    host.vmx.enterGuest();
    expect(pause(host, 1)).toBe(false);
    [10, 10, 5].map((after) => pause(host, after));
    atUser64(host.core);
    expect(pause(host, 1)).toBe(false);
  });
});

describe("the time-stamp counter of a guest", () => {
  const read = (controls: readonly ControlKey[], host = guest(controls)): bigint[] => {
    host.core.ticks = 0x1000_0000n;
    host.write("control.tscOffset", -0x1000n & 0xffff_ffff_ffff_ffffn);
    host.write("control.tscMultiplier", 3n << 47n); // 1.5
    const { state } = host.core;
    state.RCX = 0x10n;
    return ["rdtsc", "rdtscp", "rdmsr"].map((text) => {
      if (text === "rdmsr") state.RCX = 0x10n;
      if (host.run(text) !== "done") throw new Error(text);
      return (state.RDX << 32n) | state.RAX;
    });
  };
  const three = (value: bigint): bigint[] => [value, value, value];
  const beside = ["enableRDTSCP", "useMSRBitmaps"] as const;
  const run = (...controls: ControlKey[]): bigint[] => {
    const host = guest([...beside, ...controls]);
    host.write("control.msrBitmaps", 0x6_0000);
    return read([], host);
  };

  it("is the host's, offset, or multiplied and offset", () => {
    expect(run()).toEqual(three(0x1000_0000n));
    expect(run("useTSCScaling")).toEqual(three(0x1000_0000n));
    expect(run("useTSCOffsetting")).toEqual(three(0x0fff_f000n));
    expect(run("useTSCOffsetting", "useTSCScaling")).toEqual(three(0x17ff_f000n));
  });
});

describe("RDMSR and WRMSR", () => {
  const bitmap = 0x6_0000;
  const msr = (host: TestHost, index: number): string[] => {
    host.core.state.RCX = BigInt(index);
    return ["rdmsr", "wrmsr"].map((text) => host.run(text).replace("done", "-"));
  };

  it("exit without MSR bitmaps, after the privilege check", () => {
    const host = guest([]);
    expect(msr(host, 0x174)).toEqual(["exit 31", "exit 32"]);
    atUser64(host.core);
    expect(msr(host, 0x174)).toEqual(["#GP(0)", "#GP(0)"]);
  });

  it("exit as the four bitmaps say, and outside their ranges", () => {
    const host = guest(["useMSRBitmaps"]);
    host.write("control.msrBitmaps", bitmap);
    const { memory, state } = host.core;
    state.RAX = 0n;
    state.RDX = 0n;
    expect(msr(host, 0x174)).toEqual(["-", "-"]);
    expect(msr(host, 0xc000_0102)).toEqual(["-", "-"]);
    const set = (offset: number, number: number): void =>
      memory.setUint8(bitmap + offset + (number >> 3), 1 << (number & 7));
    set(0, 0x174);
    set(1024, 0x102);
    expect([msr(host, 0x174), msr(host, 0xc000_0102)]).toEqual([["exit 31", "-"], ["exit 31", "-"]]); // biome-ignore format: one row
    set(2048, 0x174);
    set(3072, 0x102);
    expect([msr(host, 0x174), msr(host, 0xc000_0102)]).toEqual([["exit 31", "exit 32"], ["exit 31", "exit 32"]]); // biome-ignore format: one row
    for (const index of [0x2000, 0xbfff_ffff, 0xc000_2000, 0xffff_ffff, 0x4000_0000])
      expect([index, msr(host, index)]).toEqual([index, ["exit 31", "exit 32"]]);
    for (const index of [0x1fff, 0xc000_1fff])
      expect([index, msr(host, index)]).toEqual([index, ["#GP(0)", "#GP(0)"]]);
  });

  it("exit where the bitmaps are no RAM", () => {
    const host = guest(["useMSRBitmaps"]);
    host.write("control.msrBitmaps", 0xfee0_0000);
    expect(msr(host, 0x174)).toEqual(["exit 31", "exit 32"]);
  });
});

describe("a task switch", () => {
  it("exits after the checks of the new TSS descriptor, with its selector and cause", () => {
    const host = guest([]);
    protectedMode(host.core);
    host.core.state.IA32_EFER = 0n;
    host.core.write64(0x1000 + 0x80, 0x0000_8900_3000_0067n | (BigInt(tssBase) << 16n));
    expect(host.exitOf("jmp far 0x80:0")).toBe("9 80000080");
    expect(host.exit!.details.instructionLength).toBe(7);
    expect(host.exitOf("call far 0x80:0")).toBe("9 80");
    host.core.write64(0x1000 + 0x80, 0x0000_0900_3000_0067n);
    expect(host.run("jmp far 0x80:0")).toBe("#NP(80)");
    host.core.write64(0x1000 + 0x80, 0x0000_8900_3000_0066n);
    expect(host.run("jmp far 0x80:0")).toBe("#TS(80)");
  });

  it("by IRET with NT set exits with that cause, and has unblocked virtual NMIs", () => {
    const host = guest(["nmiExiting", "virtualNMIs"]);
    protectedMode(host.core);
    const { state } = host.core;
    state.IA32_EFER = 0n;
    state.RFLAGS |= 1n << 14n;
    state.interruptibility = 8;
    host.core.write16(tssBase, 0x80);
    host.core.write64(0x1000 + 0x80, 0x0000_8b00_3000_0067n | (BigInt(tssBase) << 16n));
    expect(host.exitOf("iret")).toBe("9 40000080");
    expect([state.interruptibility, host.vmx.nmiUnblockedByIret]).toEqual([0, true]);
  });
});

describe("IRET in a guest", () => {
  const blocked = (...controls: ControlKey[]): [number, boolean] => {
    const host = guest(controls);
    const { state } = host.core;
    state.interruptibility = 8;
    state.RSP = 0x8_0000n;
    expect(host.run("iretq")).toBe("#GP(0)"); // a null CS
    return [state.interruptibility, host.vmx.nmiUnblockedByIret];
  };

  it("unblocks NMIs even if it faults: with NMI exiting only virtual ones", () => {
    expect(blocked()).toEqual([0, true]);
    expect(blocked("nmiExiting")).toEqual([8, false]);
    expect(blocked("nmiExiting", "virtualNMIs")).toEqual([0, true]);
  });
});
