import { describe, expect, it } from "vitest";
import { VmxMsr, type VmxMsrName } from "../arch/vmx-capabilities.ts";
import { default1, vmxControl, vmxControls } from "../arch/vmx-controls.ts";
import { cpuModel, type ModelOptions } from "../cpu/cpu-model.ts";
import { modelRows } from "../cpu/models.ts";
import { capabilitiesOf, VmxCapabilities } from "./capabilities.ts";
import { vmcsBytes } from "./vmcs.ts";

const capabilities = (name = "default", options: ModelOptions = {}): VmxCapabilities =>
  capabilitiesOf(cpuModel(name, options)!);
const hexOf = (found: VmxCapabilities, name: VmxMsrName): string | undefined =>
  found.msrs.get(VmxMsr[name])?.toString(16);

describe("the capability MSRs", () => {
  it("of the core2 model are those of a Merom, but for the two of SMM", () => {
    const found = capabilities("core2");
    expect(hexOf(found, "IA32_VMX_PINBASED_CTLS")).toBe("1f00000016");
    expect(hexOf(found, "IA32_VMX_PROCBASED_CTLS")).toBe("77b9fffe0401e172");
    expect(hexOf(found, "IA32_VMX_EXIT_CTLS")).toBe("3ffff00036dff");
    expect(hexOf(found, "IA32_VMX_ENTRY_CTLS")).toBe("33ff000011ff");
    for (const name of ["PROCBASED_CTLS2", "EPT_VPID_CAP", "TRUE_PINBASED_CTLS", "VMFUNC"] as const)
      expect(hexOf(found, `IA32_VMX_${name}`)).toBeUndefined();
  });

  it("of the nehalem model are those of a Nehalem, but for the two of SMM", () => {
    const found = capabilities("nehalem");
    expect(hexOf(found, "IA32_VMX_PINBASED_CTLS")).toBe("7f00000016");
    expect(hexOf(found, "IA32_VMX_PROCBASED_CTLS")).toBe("fff9fffe0401e172");
    expect(hexOf(found, "IA32_VMX_TRUE_PROCBASED_CTLS")).toBe("fff9fffe04006172");
    expect(hexOf(found, "IA32_VMX_PROCBASED_CTLS2")).toBe("6f00000000");
    expect(hexOf(found, "IA32_VMX_EXIT_CTLS")).toBe("7fffff00036dff");
    expect(hexOf(found, "IA32_VMX_ENTRY_CTLS")).toBe("f3ff000011ff");
    expect(hexOf(found, "IA32_VMX_TRUE_ENTRY_CTLS")).toBe("f3ff000011fb");
    expect(hexOf(found, "IA32_VMX_EPT_VPID_CAP")).toBe("f0106114141");
  });

  it("say what a VMCS region is", () => {
    const basic = capabilities().msr("IA32_VMX_BASIC");
    const region = Number((basic >> 32n) & 0x1fffn);
    expect(region).toBe(4096);
    expect(vmcsBytes).toBeLessThanOrEqual(region);
    expect((basic >> 50n) & 15n).toBe(6n); // write-back
    expect([48, 49, 54, 55, 56].map((bit) => Number((basic >> BigInt(bit)) & 1n))).toEqual([0, 0, 1, 1, 1]);
    expect(basic & 0x8000_0000n).toBe(0n);
  });

  it("report activity states, CR3 targets, list sizes and VMWRITE to all fields in IA32_VMX_MISC", () => {
    expect(capabilities().msr("IA32_VMX_MISC")).toBe(0x6004_01e5n);
    expect(capabilities().cr3TargetCount).toBe(4);
    expect(capabilities().msrListEntries).toBe(512);
  });

  it("fix PE, NE and PG of CR0, VMXE of CR4", () => {
    const found = capabilities();
    expect(found.cr0).toEqual({ fixed0: 0x8000_0021n, fixed1: 0xffff_ffffn });
    expect(found.cr4.fixed0).toBe(0x2000n);
    expect(found.cr4.fixed1).toBe(0x37_2fffn);
    expect(capabilities("core2").cr4.fixed1).toBe(0x27ffn);
  });

  it("name the highest field index: of the TSC multiplier, the VMX-preemption timer, guest IA32_SYSENTER_CS", () => {
    const index = (name: string): bigint => capabilities(name).msr("IA32_VMX_VMCS_ENUM") >> 1n;
    expect([index("default"), index("nehalem"), index("core2")]).toEqual([0x19n, 0x17n, 0x15n]);
  });

  it.each(modelRows.filter(({ features }) => features.includes("VMX")).map(({ name }) => name))(
    "of %s allow 1 exactly where a control is offered or its bit is always 1",
    (name) => {
      const found = capabilities(name);
      const model = cpuModel(name)!;
      for (const { key, field, bit } of vmxControls) {
        if (field === "control.tertiaryProcessorBased") continue;
        const always1 = ((default1[field] >>> bit) & 1) === 1;
        expect(`${key} ${found.offers(key)}`).toBe(`${key} ${always1 || model.has(key)}`);
        const mustBe1 = (found.allowed(field).mustBe1 >>> bit) & 1;
        expect(`${key} ${mustBe1}`).toBe(
          `${key} ${always1 && !(model.has("trueControls") && model.has(key)) ? 1 : 0}`,
        );
      }
    },
  );

  it("of the plain set hold every bit of the default1 class at 1", () => {
    const found = capabilities();
    for (const name of ["PINBASED", "PROCBASED", "EXIT", "ENTRY"] as const) {
      const plain = found.msr(`IA32_VMX_${name}_CTLS`);
      const exact = found.msr(`IA32_VMX_TRUE_${name}_CTLS`);
      expect(plain >> 32n).toBe(exact >> 32n);
      expect(plain & exact & 0xffff_ffffn).toBe(exact & 0xffff_ffffn);
    }
  });

  it("follow what is taken away", () => {
    const found = capabilities("default", { minus: ["enableEPT", "useTSCScaling"] });
    expect(found.offers("unrestrictedGuest")).toBe(false);
    expect(found.offers("enableVPID")).toBe(true);
    expect(found.has("invvpid")).toBe(true);
    expect(hexOf(found, "IA32_VMX_VMFUNC")).toBeUndefined();
    expect(capabilities("default", { minus: ["VMX"] }).msrs.size).toBe(0);
  });
});

describe("capabilities read from values of MSRs", () => {
  it("use the TRUE MSRs where they exist", () => {
    const plain = new VmxCapabilities(new Map([[VmxMsr.IA32_VMX_PROCBASED_CTLS, 0xfff9_fffe_0401_e172n]]));
    expect(plain.allowed("control.processorBased").mustBe1).toBe(0x0401_e172);
    expect(plain.reportedBy("control.processorBased")).toBe("IA32_VMX_PROCBASED_CTLS");
    const exact = new VmxCapabilities(
      new Map([
        [VmxMsr.IA32_VMX_PROCBASED_CTLS, 0xfff9_fffe_0401_e172n],
        [VmxMsr.IA32_VMX_TRUE_PROCBASED_CTLS, 0xfff9_fffe_0400_6172n],
      ]),
    );
    expect(exact.allowed("control.processorBased").mustBe1).toBe(0x0400_6172);
    expect(exact.reportedBy("control.processorBased")).toBe("IA32_VMX_TRUE_PROCBASED_CTLS");
    expect(exact.offers("hltExiting")).toBe(true);
    expect(vmxControl("activateTertiaryControls").bit).toBe(17);
    expect(exact.offers("activateTertiaryControls")).toBe(false);
  });

  it("allow nothing where there are none", () => {
    const none = new VmxCapabilities(new Map());
    expect(none.offers("enableEPT")).toBe(false);
    expect(none.allowed("control.pinBased")).toEqual({ mustBe1: 0, may1: 0 });
  });
});
