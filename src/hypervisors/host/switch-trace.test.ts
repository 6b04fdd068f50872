import { expect, it } from "vitest";
import { Bench } from "../bhyve/bench.fixture.ts";
import { type SwitchStep, SwitchTrace, switchStepText } from "./switch-trace.ts";

it("tells each instruction of a world switch, whose registers move, and what the processor does by itself", () => {
  const bench = new Bench({ guest: "mov rbx, 0x1234\n cpuid\n out 0x80, al" });
  const steps: SwitchStep[] = [];
  const trace = new SwitchTrace(bench.kernel, (step) => steps.push(step));
  bench.kernel.trace = trace;
  bench.vm.setRegister(0, "r15", 0x77n);
  expect(bench.exit().code).toBe("INOUT");
  trace.end();
  const events = steps.flatMap((step) => (step.kind === "processor" ? [step.event] : []));
  expect(events).toEqual(["VM entry", "VM exit", "VM entry", "VM exit"]);
  const at = (text: string) => steps.find((step) => step.kind === "instruction" && step.text === text);
  expect(at("mov r15, qword ptr [rdi+0x178]")).toMatchObject({
    at: expect.stringMatching(/^vmx_launch \+ /),
    stack: "vmxctx of vcpu 0: temporary stack",
    interruptsEnabled: false,
    moved: [
      {
        register: "R15",
        after: 0x77n,
        owner: "guest",
        place: "vmxctx of vcpu 0: guest r15",
        direction: "loaded",
      },
    ],
  });
  const texts = steps.map(switchStepText);
  expect(texts.filter((text) => text.includes("vmlaunch"))).toHaveLength(1);
  expect(texts.filter((text) => text.includes("vmresume"))).toHaveLength(1);
  const exit = steps.findIndex((step) => step.kind === "processor" && step.event === "VM exit");
  expect(steps[exit + 1]).toMatchObject({ kind: "instruction", at: "vmx_longjmp" });
  expect(texts[exit]).toContain("CPUID");
  expect(texts.filter((text) => text.startsWith("vmx_longjmp  "))).toHaveLength(2);
});
