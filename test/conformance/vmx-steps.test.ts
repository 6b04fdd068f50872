import { describe, expect, it } from "vitest";
import { ExitReason } from "../../src/arch/vm-exit-reasons.ts";
import { type ControlKey, vmxControl } from "../../src/arch/vmx-controls.ts";
import { machineCode } from "../../src/asm/index.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { powerOn } from "../../src/cpu/reset.ts";
import { VmxOperation } from "../../src/cpu/vmx-socket.ts";
import { fieldOffset } from "../../src/vmx/vmcs.ts";
import { VtX } from "../../src/vmx/vt-x.ts";
import { bareProcessor } from "./bare-processor.ts";

const code = 0x1000;
const vmcs = 0x2000;

/** Interruptibility that the last VM exit has saved. */
let blocking = 0;

/** Run 16-bit code in VMX non-root operation up to a VM exit: its reason and RIP, or where HLT was reached. */
const run = (tier: Tier, text: string, controls: readonly ControlKey[], exceptionBitmap = 1 << 6): string => {
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
  vmx.exceptionBitmap = exceptionBitmap;
  vmx.enterGuest();
  engine.tier = tier;
  let outcome = "";
  engine.observer = {
    vmExit: ({ reason, details }) => {
      outcome = `exit ${reason} at ${(state.RIP - BigInt(code)).toString()}, ${(details.interruptionInformation ?? 0).toString(16)}`;
      blocking = vmx.vmcs.low(fieldOffset("guest.interruptibility"));
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

  it.each([
    ["INT3", "int3", 3],
    ["INT1", "int1", 1],
    ["INTO", "into", 4],
    ["a fault of an instruction that is no procedure", "mov bx, [0xffff]", 13],
    ["a division by zero", "div cl", 0],
    ["a fault of a procedure", "lds bx, [0xffff]", 13],
    ["LOCK where it may not be", "db 0xf0, 0x90", 6],
    ["an instruction that real-address mode does not know", "db 0x0f, 0x00, 0xc0", 6],
  ])("a VM exit by %s within a shadow saves it", (_name, text, vector) => {
    const overflow = "mov al, 127\ninc al\nxor cx, cx\nmov al, 127\ninc al\n";
    expect(run(tier, `${overflow}sti\n${text}\nhlt`, [], 1 << vector)).toContain("exit 0");
    expect(blocking).toBe(1);
    expect(run(tier, `${overflow}mov ss, bx\n${text}\nhlt`, [], 1 << vector)).toContain("exit 0");
    expect(blocking).toBe(2);
    expect(run(tier, `${overflow}sti\nnop\n${text}\nhlt`, [], 1 << vector)).toContain("exit 0");
    expect(blocking).toBe(0);
  });

  it("INTO that does nothing ends a shadow", () => {
    expect(run(tier, "xor ax, ax\nsti\ninto\nint3\nhlt", [], 1 << 3)).toContain("exit 0");
    expect(blocking).toBe(0);
  });
});
