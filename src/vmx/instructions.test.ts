import { describe, expect, it } from "vitest";
import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { IA32_FEATURE_CONTROL } from "../arch/msrs.ts";
import { vmcsField, vmcsFields } from "../arch/vmcs-fields.ts";
import { atUser64, protectedMode, realMode, virtual8086 } from "../cpu/fake-core.fixture.ts";
import { operand, otherRegion, region, rom, TestHost, vmxonRegion } from "./host.fixture.ts";
import { header, ordinalOffset, originOffset } from "./vmcs.ts";

const none = 0xffff_ffff_ffff_ffffn;
const rootInstructions = [
  "vmxoff", "vmclear [rdi]", "vmptrld [rdi]", "vmptrst [rdi]", "vmread rax, rbx", "vmwrite rax, rbx", "vmlaunch", "vmresume",
  "vmcall", "invept rax, [rdi]", "invvpid rax, [rdi]",
]; // biome-ignore format: one list
/** Compatibility mode: IA-32e mode without CS.L. */
const compatibility = ({ core: { state } }: TestHost): void => {
  state["CS.access"] = 0xc09b;
};
const encoding = (name: Parameters<typeof vmcsField>[0]): bigint => BigInt(vmcsField(name).encoding);

describe("VMXON", () => {
  it("enters VMX root operation with no current VMCS", () => {
    const host = new TestHost();
    host.core.state["MONITOR.armed"] = 1;
    host.point(vmxonRegion);
    expect([host.run("vmxon [rdi]"), host.moved]).toEqual(["done", true]);
    const { state } = host.core;
    expect([state["vmx.operation"], state["vmx.vmxonPointer"], state["vmx.currentVmcs"]]).toEqual([
      1, BigInt(vmxonRegion), none,
    ]); // biome-ignore format: one row
    expect(state["MONITOR.armed"]).toBe(0);
  });

  it("asks CR4.VMXE, protected mode and no compatibility mode: #UD", () => {
    const run = (prepare: (host: TestHost) => void): string => {
      const host = new TestHost();
      host.point(vmxonRegion);
      prepare(host);
      return host.run(host.core.decodeMode().codeSize === 64 ? "vmxon [rdi]" : "vmxon [edi]");
    };
    expect(run(({ core }) => void (core.state.CR4 &= ~CR4.VMXE))).toBe("#UD");
    expect(run(compatibility)).toBe("#UD");
    expect(run(({ core }) => void virtual8086(core, 3))).toBe("#UD");
    expect(
      run(({ core }) => {
        core.state.CR0 = CR0.ET;
        core.state.IA32_EFER = 0n;
        realMode(core);
      }),
    ).toBe("#UD");
  });

  it("asks privilege, fixed bits of CR0 and CR4, and IA32_FEATURE_CONTROL: #GP(0)", () => {
    const run = (prepare: (host: TestHost) => void): string => {
      const host = new TestHost();
      host.point(vmxonRegion);
      prepare(host);
      return host.run("vmxon [rdi]");
    };
    expect(run(({ core }) => atUser64(core))).toBe("#GP(0)");
    expect(run(({ core }) => void (core.state.CR0 &= ~CR0.NE))).toBe("#GP(0)");
    expect(run(({ core }) => void (core.state.CR4 |= CR4.LA57))).toBe("#GP(0)");
    const { lock, vmxInsideSMX, vmxOutsideSMX } = IA32_FEATURE_CONTROL;
    for (const value of [0n, lock, vmxOutsideSMX, lock | vmxInsideSMX])
      expect(run(({ core }) => void (core.state.IA32_FEATURE_CONTROL = value))).toBe("#GP(0)");
    expect(run(({ core }) => void (core.state.IA32_FEATURE_CONTROL = lock | vmxOutsideSMX))).toBe("done");
  });

  it("fails for a region that is misaligned, beyond the address width, of another revision or a shadow, or no RAM", () => {
    const run = (pointer: number | bigint, prepare: (host: TestHost) => void = () => {}): string => {
      const host = new TestHost();
      host.point(pointer);
      prepare(host);
      const outcome = host.run("vmxon [rdi]");
      expect(host.core.state["vmx.operation"]).toBe(0);
      expect(host.failures).toEqual([{ instruction: "VMXON", error: undefined }]);
      return outcome;
    };
    expect(run(vmxonRegion + 8)).toBe("CF");
    expect(run(1n << 40n)).toBe("CF");
    expect(run(vmxonRegion, ({ core }) => core.write32(vmxonRegion, 7))).toBe("CF");
    expect(
      run(vmxonRegion, ({ core, vmx }) =>
        core.write32(vmxonRegion, (vmx.capability.revision | 0x8000_0000) >>> 0),
      ),
    ).toBe("CF");
    for (const pointer of [0xa_0000, rom, 0xfee0_0000, 0x80_0000_0000]) expect(run(pointer)).toBe("CF");
  });

  it("faults on its operand after those checks", () => {
    const host = new TestHost();
    host.core.state.RDI = 0x8000_0000_0000n;
    expect(host.run("vmxon [rdi]")).toBe("#GP(0)");
    host.core.state.RDI = 0x4000_0000n;
    expect(host.run("vmxon [rdi]")).toBe("#PF(0)");
  });

  it("in VMX root operation is VMfail 15", () => {
    const host = TestHost.withVmcs();
    expect([host.run("vmxon [rdi]"), host.error]).toEqual(["ZF", 15]);
    atUser64(host.core);
    expect(host.run("vmxon [rdi]")).toBe("#GP(0)");
    expect(TestHost.inRoot().run("vmxon [rdi]")).toBe("CF");
  });
});

describe("VMX instructions", () => {
  it("are #UD outside VMX operation, in compatibility, virtual-8086 and real-address mode", () => {
    for (const text of rootInstructions) expect([text, new TestHost().run(text)]).toEqual([text, "#UD"]);
    for (const long of rootInstructions) {
      const text = long.replaceAll(/\br(?=\w)/g, "e");
      const outcome = (prepare: (host: TestHost) => void): string => {
        const host = TestHost.withVmcs();
        prepare(host);
        return host.run(text);
      };
      expect([text, outcome(compatibility)]).toEqual([text, "#UD"]);
      expect([text, outcome(({ core }) => void virtual8086(core, 3))]).toEqual([text, "#UD"]);
    }
  });

  it("are #UD on a processor without VMX in any case", () => {
    const host = new TestHost();
    host.core.vmx = undefined;
    for (const text of [...rootInstructions, "vmxon [rdi]", "vmfunc"])
      expect([text, host.run(text)]).toEqual([text, "#UD"]);
  });

  it("are #GP(0) outside CPL 0 in root operation", () => {
    for (const text of rootInstructions) {
      const host = TestHost.withVmcs();
      atUser64(host.core);
      expect([text, host.run(text)]).toEqual([text, "#GP(0)"]);
    }
  });

  it("leave no shadow of MOV SS and STI, and go on behind themselves", () => {
    const host = TestHost.withVmcs();
    host.core.state.interruptibility = 2;
    expect([host.run("vmptrst [rdi]"), host.moved, host.core.state.interruptibility]).toEqual([
      "done",
      true,
      0,
    ]);
    host.core.state.RIP = 0xffff_fff8n;
    host.run("vmcall");
    expect(host.core.state.RIP).toBe(0xffff_fffbn);
    host.core.state.RIP = 0xffff_fffen;
    host.run("vmcall");
    expect(host.core.state.RIP).toBe(0x1_0000_0001n);
  });

  it("VMXOFF leaves VMX operation", () => {
    const host = TestHost.withVmcs();
    expect(host.run("vmxoff")).toBe("done");
    expect([host.core.state["vmx.operation"], host.core.state["vmx.currentVmcs"]]).toEqual([0, none]);
    expect(host.run("vmxoff")).toBe("#UD");
  });

  it("VMCALL in root operation is VMfail 1", () => {
    const host = TestHost.withVmcs();
    expect([host.run("vmcall"), host.error]).toEqual(["ZF", 1]);
    expect(host.failures).toEqual([{ instruction: "VMCALL", error: 1 }]);
    expect(TestHost.inRoot().run("vmcall")).toBe("CF");
  });

  it("VMFUNC is #UD outside non-root operation", () => {
    expect(new TestHost().run("vmfunc")).toBe("#UD");
    expect(TestHost.withVmcs().run("vmfunc")).toBe("#UD");
  });
});

describe("VMCLEAR", () => {
  it("clears the launch state, and the current-VMCS pointer where it is that one", () => {
    const host = TestHost.withVmcs();
    host.core.write32(region + header.launchState, 1);
    host.core.write32(otherRegion + header.launchState, 1);
    host.point(otherRegion);
    expect(host.run("vmclear [rdi]")).toBe("done");
    expect(host.core.read32(otherRegion + header.launchState)).toBe(0);
    expect(host.core.state["vmx.currentVmcs"]).toBe(BigInt(region));
    host.point(region);
    expect(host.run("vmclear [rdi]")).toBe("done");
    expect(host.core.read32(region + header.launchState)).toBe(0);
    expect([host.core.state["vmx.currentVmcs"], host.vmx.vmcs.base]).toEqual([none, -1]);
  });

  it("fails with 2 and 3", () => {
    const host = TestHost.withVmcs();
    for (const pointer of [region + 1, 1n << 40n, none]) {
      host.point(pointer);
      expect([host.run("vmclear [rdi]"), host.error]).toEqual(["ZF", 2]);
    }
    host.point(vmxonRegion);
    expect([host.run("vmclear [rdi]"), host.error]).toEqual(["ZF", 3]);
    const other = TestHost.inRoot();
    other.point(vmxonRegion);
    expect(other.run("vmclear [rdi]")).toBe("CF");
  });

  it("of what is no RAM writes nothing", () => {
    const host = TestHost.inRoot();
    for (const pointer of [0xa_0000, rom, 0xfee0_0000, 0x80_0000_0000]) {
      host.point(pointer);
      expect(host.run("vmclear [rdi]")).toBe("done");
    }
    expect(host.core.physical.read(rom + header.launchState, 4)).toBe(0);
  });
});

describe("VMPTRLD and VMPTRST", () => {
  it("make a VMCS current and tell which is", () => {
    const host = TestHost.inRoot();
    host.run("vmptrst [rdi]");
    expect(host.core.read64(operand)).toBe(none);
    host.point(region);
    expect(host.run("vmptrld [rdi]")).toBe("done");
    host.point(0);
    expect(host.run("vmptrst [rdi]")).toBe("done");
    expect(host.core.read64(operand)).toBe(BigInt(region));
  });

  it("fail with 9, 10 and 11", () => {
    const host = TestHost.withVmcs();
    const load = (pointer: number | bigint): [string, number] => {
      host.point(pointer);
      return [host.run("vmptrld [rdi]"), host.error];
    };
    expect(load(region + 0x800)).toEqual(["ZF", 9]);
    expect(load(1n << 40n)).toEqual(["ZF", 9]);
    expect(load(vmxonRegion)).toEqual(["ZF", 10]);
    host.core.write32(otherRegion, 1);
    expect(load(otherRegion)).toEqual(["ZF", 11]);
    for (const pointer of [0xa_0000, rom, 0xfee0_0000, 0x80_0000_0000])
      expect(load(pointer)).toEqual(["ZF", 11]);
    expect(host.core.state["vmx.currentVmcs"]).toBe(BigInt(region));
  });

  it("take shadow VMCSs where the processor has VMCS shadowing", () => {
    for (const [minus, expected] of [
      [[], "done"],
      [["vmcsShadowing"], "ZF"],
    ] as const) {
      // biome-ignore format: one row
      const host = TestHost.withVmcs({ minus });
      host.core.write32(otherRegion, (host.vmx.capability.revision | 0x8000_0000) >>> 0);
      host.point(otherRegion);
      expect(host.run("vmptrld [rdi]")).toBe(expected);
    }
  });

  it("tell the checks of VM entry which VMCS leaves and which one comes", () => {
    const host = TestHost.withVmcs();
    const told: string[] = [];
    const { base } = host.vmx.vmcs;
    Object.assign(host.vmx.checks, {
      leave: (at: number) => told.push(`leaves ${at - base}`),
      arrive: (at: number) => told.push(`comes ${at - base}`),
    });
    host.point(otherRegion);
    host.run("vmptrld [rdi]");
    expect(told).toEqual(["leaves 0", `comes ${otherRegion - region}`]);
    expect(host.vmx.checks.known).toBe(false);
  });

  it("VMPTRST faults like a store", () => {
    const host = TestHost.inRoot();
    host.core.state.RDI = 0x4000_0000n;
    expect(host.run("vmptrst [rdi]")).toBe("#PF(2)");
  });
});

describe("VMREAD and VMWRITE", () => {
  const access = (host: TestHost, name: Parameters<typeof vmcsField>[0], value: bigint): bigint => {
    const { state } = host.core;
    state.RBX = encoding(name);
    state.RAX = value;
    expect(host.run("vmwrite rbx, rax")).toBe("done");
    expect(host.run("vmread rcx, rbx")).toBe("done");
    return state.RCX;
  };

  it("keep as many bits as each field has", () => {
    const host = TestHost.withVmcs();
    for (const { name, width, comesWith } of vmcsFields) {
      if (comesWith !== undefined && !host.core.model.has(comesWith)) continue;
      const bits = width === "16" ? 16 : width === "32" ? 32 : 64;
      expect([name, access(host, name, none)]).toEqual([name, BigInt.asUintN(bits, none)]);
      expect([name, access(host, name, 0x1234_5678_9abc_def0n)]).toEqual([
        name, BigInt.asUintN(bits, 0x1234_5678_9abc_def0n),
      ]); // biome-ignore format: one row
    }
  });

  it("reach high halves of 64-bit fields, and only of those", () => {
    const host = TestHost.withVmcs();
    const { state } = host.core;
    access(host, "control.tscOffset", 0x1111_2222_3333_4444n);
    state.RBX = encoding("control.tscOffset") | 1n;
    host.run("vmread rax, rbx");
    expect(state.RAX).toBe(0x1111_2222n);
    state.RAX = 0xffff_ffff_5555_6666n;
    expect(host.run("vmwrite rbx, rax")).toBe("done");
    expect(host.read("control.tscOffset")).toBe(0x5555_6666_3333_4444n);
    for (const name of ["guest.rip", "control.pinBased", "guest.cs.selector"] as const) {
      state.RBX = encoding(name) | 1n;
      expect([host.run("vmread rax, rbx"), host.error]).toEqual(["ZF", 12]);
    }
  });

  it("are 32 bits wide outside 64-bit mode: a full write clears the high half", () => {
    const host = TestHost.withVmcs();
    host.write("guest.rip", 0x1234_5678_9abc_def0n);
    host.write("control.tscOffset", 0x1234_5678_9abc_def0n);
    const { state } = host.core;
    protectedMode(host.core);
    state.IA32_EFER = 0n;
    state.RBX = encoding("guest.rip");
    state.RAX = none;
    expect(host.run("vmread eax, ebx")).toBe("done");
    expect(state.RAX).toBe(0x9abc_def0n);
    state.RBX = encoding("control.tscOffset");
    state.RAX = 0x7777_8888n;
    expect(host.run("vmwrite ebx, eax")).toBe("done");
    expect(host.read("control.tscOffset")).toBe(0x7777_8888n);
    state.RDI = BigInt(operand);
    host.core.write64(operand, none);
    expect(host.run("vmread [edi], ebx")).toBe("done");
    expect(host.core.read64(operand)).toBe(0xffff_ffff_7777_8888n);
  });

  it("take memory operands, and fault on them", () => {
    const host = TestHost.withVmcs();
    const { state } = host.core;
    host.point(0xfeed_face_cafe_beefn);
    state.RBX = encoding("guest.rsp");
    expect(host.run("vmwrite rbx, [rdi]")).toBe("done");
    host.point(0);
    expect(host.run("vmread [rdi], rbx")).toBe("done");
    expect(host.core.read64(operand)).toBe(0xfeed_face_cafe_beefn);
    state.RDI = 0x4000_0000n;
    expect(host.run("vmwrite rbx, [rdi]")).toBe("#PF(0)");
    expect(host.run("vmread [rdi], rbx")).toBe("#PF(2)");
    state.RBX = 0x7ffen;
    expect(host.run("vmread [rdi], rbx")).toBe("ZF");
    expect(host.run("vmwrite rbx, [rdi]")).toBe("#PF(0)");
  });

  it("fail with 12 for what is no field, and without a current VMCS", () => {
    const host = TestHost.withVmcs();
    const { state } = host.core;
    for (const bad of [0x7ffen, 0x8000n, 0x1_0000_4000n, none, 0x6n]) {
      state.RBX = bad;
      for (const text of ["vmread rax, rbx", "vmwrite rbx, rax"])
        expect([bad, host.run(text), host.error]).toEqual([bad, "ZF", 12]);
    }
    const empty = TestHost.inRoot();
    empty.core.state.RBX = encoding("guest.rip");
    expect([empty.run("vmread rax, rbx"), empty.run("vmwrite rbx, rax")]).toEqual(["CF", "CF"]);
    expect(empty.failures.map(({ error }) => error)).toEqual([undefined, undefined]);
  });

  it("know the fields of controls that the processor has", () => {
    const host = TestHost.withVmcs({ minus: ["enableVPID"] });
    host.core.state.RBX = encoding("control.vpid");
    expect([host.run("vmread rax, rbx"), host.error]).toEqual(["ZF", 12]);
  });

  it("VMWRITE of VM-exit information fails with 13 unless IA32_VMX_MISC[29] is 1", () => {
    for (const [minus, expected] of [
      [["vmwriteAnyField"], "ZF"],
      [[], "done"],
    ] as const) {
      // biome-ignore format: one row
      const host = TestHost.withVmcs({ minus });
      host.core.state.RBX = encoding("exit.qualification");
      expect(host.run("vmwrite rbx, rax")).toBe(expected);
      if (expected === "ZF") expect(host.error).toBe(13);
    }
  });

  it("VMWRITE marks the field and keeps where it was written", () => {
    const host = TestHost.withVmcs();
    const { state } = host.core;
    state.retired = 0x1_2345_6789n;
    const rip = state.RIP;
    state.RBX = encoding("guest.cr3");
    state.RAX = 0x5000n;
    host.run("vmwrite rbx, rax");
    const { ordinal } = vmcsField("guest.cr3");
    expect(host.vmx.checks.changedFields).toEqual([ordinal]);
    const { vmcs } = host.vmx;
    expect([vmcs.value(originOffset(ordinal)), vmcs.value(originOffset(ordinal) + 8)]).toEqual([
      rip, 0x1_2345_6789n,
    ]); // biome-ignore format: one row
  });

  it("VMWRITE into a page of decoded code makes it stale", () => {
    const host = TestHost.withVmcs();
    const stale: number[] = [];
    const before = host.memory.onCodeWrite;
    host.memory.onCodeWrite = (offset) => stale.push(offset);
    const page = (host.vmx.vmcs.base - host.memory.ram().byteOffset) >>> 12;
    host.memory.watchedPages[page] = 1;
    host.core.state.RBX = encoding("guest.cr3");
    host.run("vmwrite rbx, rax");
    host.memory.watchedPages[page] = 0;
    host.memory.onCodeWrite = before;
    expect(stale).toEqual([host.vmx.vmcs.base]);
  });
});

describe("VMLAUNCH and VMRESUME", () => {
  it("fail without a current VMCS, and with a shadow one", () => {
    for (const text of ["vmlaunch", "vmresume"]) {
      expect(TestHost.inRoot().run(text)).toBe("CF");
      const host = TestHost.withVmcs();
      host.core.write32(region, (host.vmx.capability.revision | 0x8000_0000) >>> 0);
      expect(host.run(text)).toBe("CF");
    }
  });

  it("fail with 26 behind MOV SS, with 4 and 5 by the launch state", () => {
    const host = TestHost.withVmcs();
    host.core.state.interruptibility = 2;
    expect([host.run("vmlaunch"), host.error, host.core.state.interruptibility]).toEqual(["ZF", 26, 0]);
    expect([host.run("vmresume"), host.error]).toEqual(["ZF", 5]);
    host.core.write32(region + header.launchState, 1);
    expect([host.run("vmlaunch"), host.error]).toEqual(["ZF", 4]);
    host.core.state.interruptibility = 1; // blocking by STI does not matter
    expect([host.run("vmresume"), host.error]).toEqual(["ZF", 7]);
  });

  it("with an empty VMCS fail by the checks on controls: 7", () => {
    const host = TestHost.withVmcs();
    expect([host.run("vmlaunch"), host.error, host.moved]).toEqual(["ZF", 7, true]);
    expect(host.core.read32(region + header.launchState)).toBe(0);
    expect(host.vmx.vmcs.low(ordinalOffset(vmcsField("exit.reason").ordinal))).toBe(0);
  });
});

describe("INVEPT and INVVPID", () => {
  const run = (host: TestHost, text: string, type: bigint, low: bigint, high = 0n): [string, number] => {
    host.core.state.RAX = type;
    host.core.state.RDI = BigInt(operand);
    host.core.write64(operand, low);
    host.core.write64(operand + 8, high);
    return [host.run(text), host.error];
  };
  const invept = "invept rax, [rdi]";
  const invvpid = "invvpid rax, [rdi]";

  it("invalidate", () => {
    const host = TestHost.withVmcs();
    const count = (): number => host.core.invalidations.length;
    for (const [text, type, low] of [
      [invept, 1n, 0x1_001en],
      [invept, 2n, none],
      [invvpid, 0n, 1n],
      [invvpid, 1n, 0xffffn],
      [invvpid, 2n, 0n],
      [invvpid, 3n, 2n],
    ] as const) {
      // biome-ignore format: one row per fact
      const before = count();
      expect([text, type, run(host, text, type, low)[0]]).toEqual([text, type, "done"]);
      expect(count()).toBe(before + 1);
    }
  });

  it("fail with 28 for operands that are wrong", () => {
    const host = TestHost.withVmcs();
    const wrong = ["ZF", 28];
    for (const type of [0n, 3n, none, 0x1_0000_0001n])
      expect(run(host, invept, type, 0x1_001en)).toEqual(wrong);
    for (const eptp of [0x1_0019n, 0x1_0016n, 0x1_009en, 0x100_0000_0000_001en])
      expect(run(host, invept, 1n, eptp)).toEqual(wrong);
    for (const type of [4n, none, 0x1_0000_0001n]) expect(run(host, invvpid, type, 1n)).toEqual(wrong);
    expect(run(host, invvpid, 0n, 0x1_0001n)).toEqual(wrong);
    for (const type of [0n, 1n, 3n]) expect(run(host, invvpid, type, 0n)).toEqual(wrong);
    expect(run(host, invvpid, 0n, 1n, 0x8000_0000_0000n)).toEqual(wrong);
    expect(run(host, invvpid, 2n, 0x1_0000n)).toEqual(wrong);
  });

  it("are #UD where the processor lacks them, and know the types it has", () => {
    expect(TestHost.withVmcs({ minus: ["enableEPT"] }).run(invept)).toBe("#UD");
    expect(TestHost.withVmcs({ minus: ["enableVPID"] }).run(invvpid)).toBe("#UD");
    const host = TestHost.withVmcs({ minus: ["inveptSingleContext", "invvpidAddress"] });
    expect(run(host, invept, 1n, 0x1_001en)).toEqual(["ZF", 28]);
    expect(run(host, invvpid, 0n, 1n)).toEqual(["ZF", 28]);
  });

  it("read their descriptor only for a type that exists", () => {
    const host = TestHost.withVmcs();
    host.core.state.RDI = 0x4000_0000n;
    host.core.state.RAX = 9n;
    expect(host.run(invept)).toBe("ZF");
    host.core.state.RAX = 2n;
    expect(host.run(invept)).toBe("#PF(0)");
  });
});

describe("CR0 and CR4 in VMX operation", () => {
  it("keep their fixed bits: #GP(0)", () => {
    const host = TestHost.withVmcs();
    const { state } = host.core;
    const move = (register: "cr0" | "cr4", value: bigint): string => {
      state.RAX = value;
      return host.run(`mov ${register}, rax`);
    };
    expect(move("cr0", state.CR0 & ~CR0.NE)).toBe("#GP(0)");
    expect(move("cr4", state.CR4 & ~CR4.VMXE)).toBe("#GP(0)");
    expect(move("cr0", state.CR0 ^ CR0.TS)).toBe("done");
    host.run("vmxoff");
    expect(move("cr0", state.CR0 & ~CR0.NE)).toBe("done");
    expect(move("cr4", state.CR4 & ~CR4.VMXE)).toBe("done");
    expect(state.IA32_EFER & IA32_EFER.LMA).not.toBe(0n);
  });
});
