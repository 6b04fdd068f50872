import { expect, it } from "vitest";
import { type SwitchStep, switchStepText } from "../host/switch-trace.ts";
import { init, report, testGuest } from "./guest.fixture.ts";
import { LguestTrace } from "./switch-trace.ts";

it("tells each instruction of both halves of a switch, where each register goes, and what the processor does by itself", () => {
  const test = testGuest(`${init}\n mov ebx, 0x1b1b1b1b\n${report(1)}`);
  const steps: SwitchStep[] = [];
  const trace = new LguestTrace(test.host, test.module.switcher, (step) => steps.push(step));
  expect(test.read()).toBe(1);
  trace.end();
  const texts = steps.map(switchStepText);
  const after = (text: string, from = 0): number =>
    texts.findIndex((line, n) => n >= from && line.includes(text));
  const order = [
    "runOnce ",
    "call",
    "switch_to_guest",
    "lidt",
    "lgdt",
    "ltr",
    "mov cr3, ebx",
    "pop ebx",
    "iret",
    "IRET to ring 1",
  ];
  const places = order.map((text) => after(text));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places[0]).toBeGreaterThanOrEqual(0);
  const exit = after("trap31");
  expect(texts[exit]).toContain("loads SS:ESP from SS0:ESP0 of the guest's TSS");
  expect(after("return_to_host", exit)).toBeGreaterThan(exit);
  const stored = steps.filter(
    (step) => step.kind === "instruction" && step.text === "push ebx" && step.at.startsWith("return_to_host"),
  );
  expect(stored.at(-1)).toMatchObject({
    stack: "lguest_regs",
    interruptsEnabled: false,
    moved: [{ register: "ebx", place: "lguest_regs.ebx", owner: "guest", direction: "stored" }],
  });
  const restored = steps.find((step) => step.kind === "instruction" && step.text.startsWith("lss"));
  expect(restored).toMatchObject({ stack: "the host's stack" });
});
