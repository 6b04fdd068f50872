import { describe, expect, it } from "vitest";
import { machineCode } from "../../src/asm/index.ts";
import { fieldOffset } from "../../src/vmx/vmcs.ts";
import { free, launchedHypervisor, type VmxMachine } from "./launched-hypervisor.ts";

/** INIT, start-up IPIs and VMX aborts of a processor whose guest is active or not (SDM Vol. 3, "Other Causes of VM Exits", "VMX Aborts"). */

const activity = { active: 0, HLT: 1, shutdown: 2, waitForSipi: 3 } as const;
const vmresume = free;
const guestCode = free + 0x100;
const hostCode = free + 0x200;

type Fields = Readonly<Record<string, bigint>>;

/** The guest has been entered in an activity state; active, it spins. A VM exit halts the host. */
const entered = (name: keyof typeof activity, fields: Fields = {}): VmxMachine => {
  const machine = launchedHypervisor();
  const { guest, processor, vmx } = machine;
  guest.writeBytes(vmresume, machineCode("bits 64\n vmresume"));
  guest.writeBytes(guestCode, machineCode("bits 64\n spin: jmp spin"));
  guest.writeBytes(hostCode, machineCode("bits 64\n hlt"));
  const all: Fields = {
    "guest.rip": BigInt(guestCode),
    "host.rip": BigInt(hostCode),
    "guest.activity": BigInt(activity[name]),
    ...fields,
  };
  for (const [field, value] of Object.entries(all))
    vmx.vmcs.setValue(fieldOffset(field as Parameters<typeof fieldOffset>[0]), value);
  vmx.checks.forget();
  processor.state.RIP = BigInt(vmresume);
  processor.run(1);
  if (!vmx.nonRoot) throw new Error("the VM entry failed");
  return machine;
};

/** Run on; "guest", or the exit reason, its qualification and the activity state that was saved. */
const outcome = ({ processor, vmx }: VmxMachine): string => {
  processor.run(20);
  if (vmx.nonRoot) return "guest";
  const field = (name: Parameters<typeof fieldOffset>[0]): number => vmx.vmcs.low(fieldOffset(name));
  return `exit ${field("exit.reason")} ${field("exit.qualification")} ${field("guest.activity")}`;
};

describe("INIT in a guest", () => {
  it.each(["active", "HLT", "shutdown"] as const)("exits from the state %s, which is saved", (name) => {
    const machine = entered(name);
    expect(outcome(machine)).toBe("guest");
    machine.processor.initPending = true;
    expect(machine.processor.runnable).toBe(true);
    expect(outcome(machine)).toBe(`exit 3 0 ${activity[name]}`);
    expect(machine.processor.initPending).toBe(false);
  });

  it("is lost while it waits for a start-up IPI", () => {
    const machine = entered("waitForSipi");
    machine.processor.initPending = true;
    expect(machine.processor.runnable).toBe(false);
    expect(outcome(machine)).toBe("guest");
    expect(machine.processor.initPending).toBe(false);
  });

  it("stays latched once the host runs, until VMXOFF", () => {
    const machine = entered("active");
    const { processor, guest } = machine;
    processor.initPending = true;
    expect(outcome(machine)).toBe("exit 3 0 0");
    processor.initPending = true;
    processor.run(20);
    expect([processor.initPending, processor.state.activity]).toEqual([true, activity.HLT]);
    guest.writeBytes(hostCode, machineCode("bits 64\n vmxoff"));
    Object.assign(processor.state, { RIP: BigInt(hostCode), activity: activity.active });
    processor.run(1);
    expect([processor.initPending, processor.state.RIP]).toEqual([true, BigInt(hostCode + 3)]);
    processor.run(1);
    expect(processor.initPending).toBe(false);
  });
});

describe("a start-up IPI in a guest", () => {
  it("exits with its vector where one is waited for", () => {
    const machine = entered("waitForSipi");
    machine.processor.sipiVector = 0x9a;
    expect(machine.processor.runnable).toBe(true);
    expect(outcome(machine)).toBe(`exit 4 ${0x9a} ${activity.waitForSipi}`);
  });

  it.each(["active", "HLT", "shutdown"] as const)("is lost in the state %s", (name) => {
    const machine = entered(name);
    machine.processor.sipiVector = 0x9a;
    expect(outcome(machine)).toBe("guest");
    expect(machine.processor.sipiVector).toBe(undefined);
  });
});

describe("a guest that waits for a start-up IPI", () => {
  it("is woken by nothing else", () => {
    const machine = entered("waitForSipi", { "control.pinBased": 0x1fn });
    machine.processor.nmiPending = true;
    machine.interrupts.push(0x40);
    expect(machine.processor.runnable).toBe(false);
    expect(outcome(machine)).toBe("guest");
    expect(machine.processor.nmiPending).toBe(true);
    expect(machine.interrupts).toEqual([0x40]);
  });
});

/** How a VM exit with these fields ends: the indicator, as the processor and as the region have it. */
const aborted = (fields: Fields, change: (machine: VmxMachine) => void = () => {}): readonly number[] => {
  const machine = entered("active", fields);
  change(machine);
  machine.processor.initPending = true;
  outcome(machine);
  const { vmx, processor, guest } = machine;
  const region = Number(processor.state["vmx.currentVmcs"]);
  return [vmx.abortIndicator, guest.read(region + 4, 4), processor.state.activity];
};
const msrArea = free + 0x1000;

describe("a VMX abort", () => {
  it("does not happen where the VM exit can be completed", () => {
    expect(aborted({})).toEqual([0, 0, activity.HLT]);
  });

  it.each([
    ["1: saving guest MSRs fails", "Store", 1],
    ["4: loading host MSRs fails", "Load", 4],
  ])("%s", (_name, area, indicator) => {
    const fields = {
      [`control.exitMsr${area}Count`]: 1n,
      [`control.exitMsr${area}Address`]: BigInt(msrArea),
    };
    expect(aborted(fields, ({ guest }) => guest.write(msrArea, 0x12345, 4))).toEqual([
      indicator,
      indicator,
      activity.shutdown,
    ]);
  });

  it("3: the region was stored to, and the host's state is no longer one", () => {
    const stored = aborted({}, ({ guest, processor, vmx }) => {
      const region = Number(processor.state["vmx.currentVmcs"]);
      expect(vmx.checks.known).toBe(true);
      guest.write(region + fieldOffset("host.cr4"), 0, 4);
    });
    expect(stored).toEqual([3, 3, activity.shutdown]);
  });

  it("leaves a processor that INIT does not wake", () => {
    const machine = entered("active");
    machine.guest.write(Number(machine.processor.state["vmx.currentVmcs"]) + fieldOffset("host.cr4"), 0, 4);
    machine.processor.initPending = true;
    outcome(machine);
    machine.processor.initPending = true;
    expect(machine.processor.runnable).toBe(false);
  });
});
