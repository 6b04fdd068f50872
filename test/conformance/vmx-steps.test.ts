import { describe, expect, it } from "vitest";
import { ExitReason } from "../../src/arch/vm-exit-reasons.ts";
import { type ControlKey, vmxControl } from "../../src/arch/vmx-controls.ts";
import { machineCode } from "../../src/asm/index.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { powerOn } from "../../src/cpu/reset.ts";
import { VmxOperation } from "../../src/cpu/vmx-socket.ts";
import { VtX } from "../../src/vmx/vt-x.ts";
import { bareProcessor } from "./bare-processor.ts";

const code = 0x1000;
const vmcs = 0x2000;

/** Run 16-bit code in VMX non-root operation up to a VM exit: its reason and RIP, or where HLT was reached. */
const run = (tier: Tier, text: string, controls: readonly ControlKey[]): string => {
  const { guest, engine, processor } = bareProcessor(1 << 20);
  const vmx = new VtX(processor, engine);
  processor.vmx = vmx;
  const { state } = processor;
  powerOn(processor, true);
  guest.writeBytes(code, machineCode(text, { codeSize: 16, origin: code }));
  state["CS.base"] = 0n;
  state["CS.selector"] = 0;
  state.RIP = BigInt(code);
  state["vmx.operation"] = VmxOperation.nonRoot;
  vmx.vmcs.base = guest.offsetOf(vmcs);
  for (const key of controls) {
    const { field, bit } = vmxControl(key);
    if (field === "control.processorBased") vmx.processorBased |= 1 << bit;
    else vmx.secondary |= 1 << bit;
  }
  vmx.exceptionBitmap = 1 << 6;
  vmx.enterGuest();
  engine.tier = tier;
  let outcome = "";
  engine.observer = {
    vmExit: ({ reason, details }) => {
      outcome = `exit ${reason} at ${(state.RIP - BigInt(code)).toString()}, ${(details.interruptionInformation ?? 0).toString(16)}`;
      processor.stopRequested = true;
    },
  };
  processor.run(1000);
  return outcome || `HLT at ${(state.RIP - BigInt(code)).toString()}`;
};

describe.each(["interpreter", "evaluator"] as const)("in a guest on the %s", (tier) => {
  it("PAUSE exits from among other instructions when its controls ask for that", () => {
    const text = "mov ecx, 100\nagain: pause\nloop again\nhlt";
    expect(run(tier, text, ["pauseExiting"])).toBe(`exit ${ExitReason.PAUSE} at 6, 0`);
    expect(run(tier, text, ["pauseLoopExiting"])).toBe("HLT at 11");
    expect(run(tier, text, [])).toBe("HLT at 11");
  });

  it('RDPID is #UD without "enable RDTSCP"', () => {
    const text = "nop\nrdpid eax\nhlt";
    expect(run(tier, text, [])).toBe("exit 0 at 1, 80000306");
    expect(run(tier, text, ["enableRDTSCP"])).toBe("HLT at 6");
  });

  it("HLT exits among other instructions", () => {
    expect(run(tier, "nop\nhlt", ["hltExiting"])).toBe(`exit ${ExitReason.HLT} at 1, 0`);
  });
});
