import { describe, expect, it } from "vitest";
import { Machine, type SwitchStep, switchStepJson, switchStepText } from "../api/index.ts";
import { assemble } from "../asm/index.ts";

const names = ["bhyve", "kvm", "akaros"] as const;
const order = 0x200000;
const guest = assemble(
  `${Array.from({ length: 16 }, (_, n) => n)
    .filter((n) => n !== 4)
    .map(
      (n) => `mov ${["rax", "rcx", "rdx", "rbx", "", "rbp", "rsi", "rdi"][n] ?? `r${n}`}, ${0x6e57_0000 + n}`,
    )
    .join("\n")}\n out 0x10, al\n cpuid\n spin: jmp spin`,
  { codeSize: 64, origin: order },
);

const tracesCache = new Map<string, SwitchStep[]>();
const traced = async (hypervisor: (typeof names)[number]): Promise<SwitchStep[]> => {
  const cached = tracesCache.get(hypervisor);
  if (cached !== undefined) return cached;
  if (guest.kind === "errors") throw new Error("the guest does not assemble");
  const machine = await Machine.create({ hypervisor, memoryMiB: 16 });
  const boot = { image: guest.bytes, protocol: "flat", mode: "long64", address: order } as const;
  expect((await machine.boot(boot)).message).toBeUndefined();
  const steps: SwitchStep[] = [];
  machine.traceSwitch((step) => steps.push(step));
  await machine.run({ maxInstructions: 300_000 });
  tracesCache.set(hypervisor, steps);
  return steps;
};

describe.each(names)("the traced world switch of %s", (name) => {
  it("has every general register stored as the guest's after the exit, loaded as the guest's before the next entry, and the stack and address space in each line", async () => {
    const steps = await traced(name);
    const isEvent = (step: SwitchStep, event: string): boolean =>
      step.kind === "processor" && step.event === event;
    const exit = steps.findIndex(
      (step) =>
        isEvent(step, "VM exit") && step.kind === "processor" && step.says[0]!.startsWith("IO_INSTRUCTION"),
    );
    expect(exit).toBeGreaterThan(0);
    const entry = exit + steps.slice(exit).findIndex((step) => isEvent(step, "VM entry"));
    const stored = new Map<string, bigint>();
    const loaded = new Map<string, bigint>();
    for (const step of steps.slice(exit + 1, entry)) {
      if (step.kind !== "instruction") continue;
      expect(step.addressSpace).not.toBe(0n);
      for (const { register, owner, direction, after, place } of step.moved)
        if (owner === "guest" && place !== undefined)
          (direction === "stored" ? stored : loaded).set(register, after);
    }
    for (const n of [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]) {
      const register = ["RAX", "RCX", "RDX", "RBX", "", "RBP", "RSI", "RDI"][n] ?? `R${n}`;
      expect(stored.get(register), `${register} stored`).toBe(BigInt(0x6e57_0000 + n));
      expect(loaded.get(register), `${register} loaded`).toBe(BigInt(0x6e57_0000 + n));
    }
    expect(steps[entry - 1]).toMatchObject({
      kind: "instruction",
      text: expect.stringMatching(/^vm(launch|resume)$/),
    });
  });

  it("tells what the processor moves by itself, and whose it is, as lines and as JSON", async () => {
    const steps = await traced(name);
    const exit = steps.find((step) => step.kind === "processor" && step.event === "VM exit")!;
    const moved = (register: string, direction: string) =>
      exit.moved.find((one) => one.register === register && one.direction === direction);
    expect(moved("RIP", "stored")).toMatchObject({ owner: "guest", place: "the guest-state area" });
    expect(moved("RIP", "stored")!.after >= BigInt(order)).toBe(true);
    expect(moved("RSP", "loaded")).toMatchObject({ owner: "host", place: "the host-state area" });
    expect(moved("RFLAGS", "loaded")).toMatchObject({ owner: "hardware", after: 2n });
    expect(switchStepText(exit)).toContain("-- VM exit: sets (the processor's own): RFLAGS 0x2");
    expect(JSON.parse(switchStepJson(exit))).toMatchObject({ event: "VM exit", kind: "processor" });
    expect(steps.filter((step) => step.kind === "C part").length).toBeGreaterThan(0);
  });
});
