import { describe, expect, it } from "vitest";
import { type ExitRecord, Machine, type VmxFailure, vmxFailureText } from "../../src/api/index.ts";
import { smallHypervisor } from "./small-hypervisor.ts";

const guest = "mov eax, 1\ncpuid\nmov al, 7\nout 0x80, al\nhlt\ncpuid\n";

/** Boots the hypervisor; what it wrote to the debug exit port, and the machine. */
const ran = async (
  changes: Parameters<typeof smallHypervisor>[1] = {},
  { before = "", prepare = (_machine: Machine): void => {} } = {},
): Promise<{ readonly code: number; readonly machine: Machine }> => {
  const machine = await Machine.create({ memoryMiB: 16 });
  prepare(machine);
  const image = smallHypervisor(guest, changes, before);
  const { message } = await machine.boot({ image, protocol: "flat", mode: "long64" });
  if (message !== undefined) throw new Error(message);
  const { reason, exitStatus } = await machine.run({ maxInstructions: 100_000 });
  expect(reason).toBe("debug-exit");
  return { code: exitStatus >> 1, machine };
};
const [CALLED, REFUSED, FAILED] = [1, 2, 3];
const checksOf = (failure: VmxFailure | undefined): string[] =>
  failure?.failures.map(({ check }) => check) ?? [];

describe("a VMX abort", () => {
  it("ends the run with its indicator and what that says", async () => {
    const machine = await Machine.create({ memoryMiB: 16 });
    const area = 0x1_4000;
    const image = smallHypervisor(
      guest,
      { "control.exitMsrLoadCount": 1, "control.exitMsrLoadAddress": area },
      `mov dword [${area}], 0x12345`,
    );
    await machine.boot({ image, protocol: "flat", mode: "long64" });
    const end = { reason: "vmx-abort", exitStatus: 3 };
    const vmxAbort = { cpu: 0, indicator: 4, says: "a failure in loading host MSRs" };
    expect(await machine.run({ maxInstructions: 100_000 })).toMatchObject({ ...end, vmxAbort });
    expect(new DataView(machine.memory.read(0x1_1004, 4).buffer).getUint32(0, true)).toBe(4);
    expect(await machine.run()).toMatchObject({ ...end, instructions: 0 });
  });
});

describe("VM exits of a guest", () => {
  it("are told one by one, and counted", async () => {
    const exits: ExitRecord[] = [];
    const { code, machine } = await ran(
      {},
      { prepare: ({ vmx }) => vmx.on("exit", (exit) => exits.push(exit)) },
    );
    expect(code).toBe(CALLED);
    expect(exits.map(({ n, name }) => `${n} ${name}`)).toEqual([
      "1 CPUID",
      "2 IO_INSTRUCTION",
      "3 HLT",
      "4 CPUID",
      "5 VMCALL",
    ]);
    expect(exits[1]).toMatchObject({
      cpu: 0,
      decoded: { port: "0x80", direction: "OUT", size: 1, operand: "immediate" },
      instructionLength: 2,
      cs: { selector: "0x8", base: "0x0" },
    });
    expect(BigInt(exits[2]!.rip) - BigInt(exits[1]!.rip)).toBe(2n);
    // MOV and the VMRESUME before it retire between the two exits' handlers.
    expect(exits[1]!.instruction - exits[1]!.entryInstruction!).toBe(2);
    const [first, second] = machine.vmx.exits;
    expect(first).toMatchObject({
      reason: 10,
      name: "CPUID",
      count: 2,
      share: 0.4,
      meanHandlerInstructions: 19,
    });
    expect(second).toMatchObject({ count: 1, longestHandlerInstructions: 19 });
    expect(machine.vmx.lastEntryFailure).toBeUndefined();
    expect(machine.vmx.lastFailure).toBeUndefined();
  });

  it("may be counted without a listener, or not at all, and nothing else changes", async () => {
    const counted = await ran({}, { prepare: ({ vmx }) => vmx.watchExits() });
    const unwatched = await ran();
    expect(counted.machine.vmx.exits.reduce((sum, { count }) => sum + count, 0)).toBe(5);
    expect(unwatched.machine.vmx.exits).toEqual([]);
    expect(unwatched.machine.hash()).toBe(counted.machine.hash());
  });
});

describe("a VM entry that fails", () => {
  it("has every check that does not hold, and where its field was written", async () => {
    const { code, machine } = await ran({ "guest.cr0": "0x80010030", "guest.rflags": 0 });
    expect(code).toBe(REFUSED);
    const failure = machine.vmx.lastEntryFailure!;
    expect(failure).toMatchObject({
      instruction: "VMLAUNCH",
      kind: "VM-entry failure",
      number: 33,
      qualification: "0x0",
      says: "VM-entry failure due to invalid guest state",
      cpu: 0,
    });
    expect(checksOf(failure)).toEqual([
      "guest-cr0-fixed-bits",
      "guest-paging-needs-protection",
      "guest-rflags-reserved",
    ]);
    const [{ fields }] = failure.failures as [VmxFailure["failures"][number]];
    const { lastWrite, ...field } = fields[0]!;
    expect(field).toEqual({
      name: "guest.cr0",
      title: "Guest CR0",
      encoding: "0x6800",
      value: "0x0000000080010030",
    });
    // The third instruction of "mov rax; mov edx; vmwrite".
    const code0f79 = machine.memory.read(Number(lastWrite!.rip), 3);
    expect([...code0f79]).toEqual([0x0f, 0x79, 0xd0]);
    expect(lastWrite!.instruction).toBeLessThan(failure.instructionNumber);
    expect([...machine.memory.read(Number(failure.rip), 3)]).toEqual([0x0f, 0x01, 0xc2]);
    expect(machine.vmx.lastFailure).toEqual(failure);
  });

  it("is explained for people", async () => {
    const { machine } = await ran({ "guest.rflags": 0 });
    expect(
      vmxFailureText(machine.vmx.lastEntryFailure!).replace(
        /0x0{12}\w{4}|\d+ checks of|instruction \d+/g,
        "*",
      ),
    ).toBe(
      `VMLAUNCH at RIP *, * of processor 0
VM-entry failure 33, exit qualification 0x0: VM-entry failure due to invalid guest state
Of * VM entry, 1 does not hold:

1. Guest RFLAGS (0x6820) = *
   rule      Reserved bits 63:22, 15, 5 and 3 of guest RFLAGS must be 0, and bit 1 must be 1
             SDM Vol. 3, "Checks on Guest RIP, RFLAGS, and SSP" (check guest-rflags-reserved:
             VM-entry failure 33)
   allowed   bits that must be 1: *, that must be 0: 0xffffffffffc08028 (reserved
             bits)
   wrong     bit 1: *
   written   by VMWRITE at RIP *, *
   fix       change bit 1: 0x2 would do
`,
    );
  });

  it.each([
    [
      "controls",
      { "control.pinBased": 0x1016, "host.cs.selector": 11 },
      7,
      ["pin-based-reserved", "host-cs-selector"],
    ],
    ["host state", { "host.cs.selector": 11 }, 8, ["host-cs-selector"]],
  ] as const)("by %s ends in VMfailValid", async (_what, changes, number, checks) => {
    const { code, machine } = await ran(changes);
    expect(code).toBe(FAILED);
    expect(machine.vmx.lastEntryFailure).toMatchObject({
      instruction: "VMLAUNCH",
      kind: "VMfailValid",
      number,
    });
    expect(checksOf(machine.vmx.lastEntryFailure)).toEqual(checks);
  });

  it("by an MSR of the load area names the entry", async () => {
    // One entry, of an MSR that there is not.
    const before = "mov rax, 0xdead\nmov [0x14000], rax\nmov qword [0x14008], 0\n";
    const changes = { "control.entryMsrLoadCount": 1, "control.entryMsrLoadAddress": 0x1_4000 };
    const { code, machine } = await ran(changes, { before });
    expect(code).toBe(REFUSED);
    expect(machine.vmx.lastEntryFailure).toMatchObject({
      number: 34,
      qualification: "0x1",
      failures: [],
      hint: expect.stringContaining("MSR-load area"),
    });
  });

  it("stays as it was when the VMCS is changed afterwards", async () => {
    const { machine } = await ran({ "guest.rflags": 0 });
    machine.memory.write(0x1_1000, new Uint8Array(4096));
    expect(checksOf(machine.vmx.lastEntryFailure)).toEqual(["guest-rflags-reserved"]);
  });

  it("is told to listeners", async () => {
    const told: string[] = [];
    await ran(
      { "guest.rflags": 0 },
      { prepare: ({ vmx }) => vmx.on("failure", ({ kind, number }) => told.push(`${kind} ${number}`)) },
    );
    expect(told).toEqual(["VM-entry failure 33"]);
  });
});

describe("VMfail of other instructions", () => {
  const failing = async (before: string): Promise<VmxFailure | undefined> =>
    (await ran({}, { before })).machine.vmx.lastFailure;

  it("names the field that there is not", async () => {
    const failure = await failing("vmptrld [vmcsPointer]\nmov edx, 0x2ffe\nvmread rax, rdx\n");
    expect(failure).toMatchObject({
      instruction: "VMREAD",
      kind: "VMfailValid",
      number: 12,
      says: "VMREAD/VMWRITE from/to unsupported VMCS component",
      failures: [],
    });
    expect(failure!.operands).toContainEqual({
      operand: "RDX",
      value: "0x2ffe",
      means: "no field known here",
    });
    expect(vmxFailureText(failure!)).toContain("operand   RDX = 0x2ffe: no field known here\n");
  });

  it("shows the address of a region", async () => {
    const failure = await failing("vmptrld [vmcsPointer]\npush 0x123\nvmclear [rsp]\npop rax\n");
    expect(failure).toMatchObject({ instruction: "VMCLEAR", number: 2, operands: [{ value: "0x123" }] });
  });

  it("without a current VMCS has no number, and says what may be wrong", async () => {
    const failure = await failing("push 0x123\nvmptrld [rsp]\npop rax\n");
    expect(failure).toMatchObject({
      instruction: "VMPTRLD",
      kind: "VMfailInvalid",
      number: 0,
      operands: [{ value: "0x123" }],
    });
    expect(failure!.hint).toContain("4-KByte aligned");
  });
});
