import { describe, expect, it } from "vitest";
import type { HypervisorName } from "../index.ts";
import { compareHypervisors } from "./index.ts";

const cellsCache = new Map<string, Readonly<Record<string, string>>>();
const cells = (name: HypervisorName, text: string): Readonly<Record<string, string>> => {
  const cached = cellsCache.get(`${name} ${text}`);
  if (cached !== undefined) return cached;
  const { rows, leftOut } = compareHypervisors({ hypervisors: [name], leaveOut: { hypervisor: name, text } });
  expect(leftOut).toBeGreaterThan(0);
  const made = Object.fromEntries(rows.map(({ aspect, seen }) => [aspect, seen[name]!]));
  cellsCache.set(`${name} ${text}`, made);
  return made;
};

const whole = compareHypervisors();
const seen = (aspect: string) => whole.rows.find((row) => row.aspect === aspect)!.seen;

describe("the comparison", () => {
  it("says something of each hypervisor in every aspect", () => {
    expect(whole.hypervisors).toEqual(["bhyve", "kvm", "lguest", "akaros"]);
    for (const row of whole.rows)
      for (const name of whole.hypervisors) {
        expect(row.seen[name], `${row.aspect} of ${name}`).toBeTruthy();
        expect(row.seen[name], `${row.aspect} of ${name}`).not.toMatch(/not seen|undefined|NaN/);
      }
  });

  it("sees the register that points to the guest's registers loaded last, and saved or exchanged first", () => {
    const last = (text: string) => text.split(", ").at(-1);
    expect(Object.values(seen("Loaded, in this order")).map(last)).toEqual(["RDI", "RCX", "ES", "RAX"]);
    expect(seen("Saved, in this order").kvm).toMatch(/^RCX, RAX, RBX, RDX/);
    expect(seen("Saved, in this order").akaros).toMatch(/^R15, R14/);
  });

  it("sees VMLAUNCH where the VMCS was cleared, VMRESUME else, and IRET without VT-x", () => {
    expect(seen("First and later entries")).toEqual({
      bhyve: "first VMLAUNCH; after the kernel's answer VMRESUME; after a device VMLAUNCH",
      kvm: "first VMLAUNCH; after the kernel's answer VMRESUME; after a device VMRESUME",
      lguest: "first IRETD; after the kernel's answer IRETD; after a device IRETD",
      akaros: "first VMLAUNCH; after the kernel's answer VMRESUME; after a device VMLAUNCH",
    });
  });

  it("sees the host's interrupt come to the host's handler once, on the way that each hypervisor has", () => {
    const { bhyve, kvm, lguest, akaros } = seen("Interrupt of the host");
    for (const one of [bhyve, kvm]) expect(one).toMatch(/not acknowledged; taken through the host's IDT/);
    expect(lguest).toContain("`jmp eax` of deliver_to_host");
    expect(akaros).toContain("acknowledged by then; the C part calls the handler");
    for (const one of [bhyve, kvm, lguest, akaros]) expect(one).toMatch(/handled 1 time; the guest goes on$/);
  });

  it("sees nothing lost", () => {
    for (const name of ["bhyve", "kvm", "lguest"] as const)
      expect(seen("Not kept")[name]).toBe(
        "the guest's: none; the host's: none; bytes of the host's stack: 0",
      );
    expect(seen("Not kept").akaros).toMatch(/^the guest's: none;/);
  });
});

// biome-ignore format: one row per mutation
const mutations: readonly (readonly [HypervisorName, string, string])[] = [
  ["bhyve", "mov qword ptr [rsp+0x170], r14", "the guest's: R14; "],
  ["bhyve", "mov r13, qword ptr [rdi+0x198]", "the host's: R13; "],
  ["kvm", "mov qword ptr [rcx+0x78], r15", "the guest's: R15; "],
  ["lguest", "push ecx", "the guest's: "],
  ["akaros", "mov r12, qword ptr [rax+0x58]", "the guest's: R12; "],
];
describe("a world switch with an instruction left out", () => {
  it.each(mutations)("%s without %s", (name, text, lost) => {
    const broken = cells(name, text);
    expect(broken["Not kept"]).toContain(lost);
    expect(broken["Not kept"]).not.toBe(seen("Not kept")[name]);
  });

  it("shows in the order of saves too, and in how many registers are stored", () => {
    const broken = cells("bhyve", "mov qword ptr [rsp+0x170], r14");
    expect(broken["Saved, in this order"]).toBe(seen("Saved, in this order").bhyve!.replace("R14, ", ""));
    expect(broken["Instructions"]).not.toBe(seen("Instructions").bhyve);
  });

  it("is told of when there is no such instruction", () => {
    const { leftOut } = compareHypervisors({
      hypervisors: ["lguest"],
      leaveOut: { hypervisor: "lguest", text: "vmlaunch" },
    });
    expect(leftOut).toBe(0);
  });
});
