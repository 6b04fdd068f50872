import { describe, expect, it } from "vitest";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { kvmLog, oldKvmLog, oldXenLog, xenLog } from "./dumps.fixture.ts";
import { type ExplainedDump, type ExplainedVmcs, explainDump } from "./explain-dump.ts";
import {
  type JudgedProcessor,
  processorOfModel,
  processorOfMsrs,
  recentProcessor,
} from "./judged-processor.ts";
import { dumpText } from "./print.ts";

const explained = (text: string, processor: JudgedProcessor = recentProcessor): ExplainedDump => {
  const outcome = explainDump(new TextEncoder().encode(text), processor);
  if ("refusal" in outcome) throw new Error(outcome.refusal);
  return outcome;
};
const first = (text: string, processor?: JudgedProcessor): ExplainedVmcs =>
  explained(text, processor).vmcses[0]!;
const failing = (text: string, processor?: JudgedProcessor): string[] =>
  first(text, processor).failures.map(({ check }) => check);

/** How many checks there are is not what these tests are about. */
const withoutCounts = (text: string): string => text.replace(/of \d+; \d+ checks/g, "of N; M checks");

/** A guest that has interrupts off gets one injected, and a reserved bit of CR0. */
const broken = kvmLog
  .replace("intr_info=00000000", "intr_info=800000d1")
  .replace("RFLAGS=0x00000246", "RFLAGS=0x00000002")
  .replace("CR0: actual=0x0000000080050033", "CR0: actual=0x8000000080050033")
  .replace("reason=0000000c", "reason=80000021");

describe("a dump of a VMCS that is fine", () => {
  it.each([
    ["KVM", kvmLog],
    ["older KVM", oldKvmLog],
    ["Xen", xenLog],
    ["older Xen", oldXenLog],
  ])("fails no check: %s", (_what, log) => {
    const { failures, undecided, checks } = first(log);
    expect(failures).toEqual([]);
    expect(undecided.length).toBeGreaterThan(0);
    expect(undecided.length).toBeLessThan(checks / 5);
  });

  it("leaves open only what it does not tell", () => {
    const missing = new Set(first(kvmLog).undecided.flatMap((check) => check.missing));
    expect([...missing].filter((name) => !name.startsWith("memory"))).toEqual([
      "control.cr3TargetCount",
      "control.msrBitmaps",
      "control.pmlAddress",
      "control.exitMsrStoreCount",
      "control.exitMsrLoadCount",
      "control.entryMsrLoadCount",
      "IA32_EFER.LMA",
      "guest.vmcsLinkPointer",
      "current-VMCS pointer",
    ]);
    expect(first(`${kvmLog}CR3-target count = 0\n`).undecided).toHaveLength(
      first(kvmLog).undecided.length - 1,
    );
  });
});

describe("an explanation", () => {
  it("reads so", () => {
    expect(withoutCounts(dumpText(explained(`entry failed\n${broken}`)))).toBe(
      `VMCS 00000000336523a9, last attempted VM-entry on CPU 8 (line 3, format KVM, 104 fields), judged for
a recent processor
The dump reports exit reason 0x80000021: VM-entry failure due to invalid guest state.
VM entry fails with VM-entry failure 33: 2 checks do not hold, of N; M checks cannot be made.

1. Guest CR0 (0x6800) = 0x8000000080050033
   rule      Guest CR0 must not set any bit to a value not supported in VMX operation
             SDM Vol. 3, "Checks on Guest Control Registers, Debug Registers, and MSRs" (check
             guest-cr0-fixed-bits: VM-entry failure 33)
   with      "unrestricted guest" (bit 7 of the secondary processor-based controls) is 1
   allowed   bits that must be 1: 0x0000000000000020, that must be 0: 0xffffffff00000000
             (IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1)
   wrong     bit 63: 0x8000000000000000
   fix       change bit 63: 0x80050033 would do

2. Guest RFLAGS (0x6820) = 0x0000000000000002
   rule      RFLAGS.IF must be 1 if an external interrupt is injected
             SDM Vol. 3, "Checks on Guest RIP, RFLAGS, and SSP" (check guest-rflags-if: VM-entry
             failure 33)
   with      VM-entry interruption-information field (0x4016) = 0x800000d1
   fix       wait until the guest sets IF (interrupt-window exiting) before the interrupt is
             injected

Not in the dump: CR3-target count, Address of MSR bitmaps, PML address, VM-exit MSR-store count,
VM-exit MSR-load count, VM-entry MSR-load count, IA32_EFER.LMA, VMCS link pointer.

Lines that are not understood:
  line 1: entry failed
`,
    );
  });

  it("keeps to 100 letters a line, and may have colours", () => {
    for (const line of dumpText(explained(broken)).split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    const painted = dumpText(explained(broken), (style, text) => `<${style}>${text}</${style}>`);
    expect(painted).toContain("<bad>VM entry fails with VM-entry failure 33");
    expect(painted).toContain("<strong>Guest CR0 (0x6800) = 0x8000000080050033</strong>");
    expect(painted.replace(/<\/?\w+>/g, "")).toBe(dumpText(explained(broken)));
  });

  it("gives tools all of it", () => {
    expect(first(broken).failures[1]).toEqual({
      check: "guest-rflags-if",
      group: "guest state",
      outcome: "VM-entry failure 33",
      sdm: "Checks on Guest RIP, RFLAGS, and SSP",
      says: "RFLAGS.IF must be 1 if an external interrupt is injected",
      fields: [
        { name: "guest.rflags", title: "Guest RFLAGS", encoding: "0x6820", value: "0x0000000000000002" },
        {
          name: "control.entryInterruptionInformation",
          title: "VM-entry interruption-information field",
          encoding: "0x4016",
          value: "0x800000d1",
        },
      ],
      controls: [],
      hint: "wait until the guest sets IF (interrupt-window exiting) before the interrupt is injected",
    });
    expect(first(broken).failures[0]).toMatchObject({
      controls: [
        {
          key: "unrestrictedGuest",
          name: "unrestricted guest",
          field: "control.secondaryProcessorBased",
          bit: 7,
          value: 1,
        },
      ],
      allowed: {
        field: "guest.cr0",
        wrong: "0x8000000000000000",
        from: "IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1",
      },
    });
    expect(JSON.parse(JSON.stringify(explained(broken)))).toEqual(explained(broken));
  });

  it("names every failing check, of all groups, the first of which decides", () => {
    const text = broken
      .replace("PinBased=0x0000003f", "PinBased=0x0000103f")
      .replace("CS=0010 SS", "CS=0013 SS");
    const { failures } = first(text);
    expect(failures.map(({ check, outcome }) => `${check}: ${outcome}`)).toEqual([
      "pin-based-reserved: VMfailValid(7)",
      "host-cs-selector: VMfailValid(8)",
      "guest-cr0-fixed-bits: VM-entry failure 33",
      "guest-rflags-if: VM-entry failure 33",
    ]);
    expect(dumpText(explained(text))).toContain("VM entry fails with VMfailValid(7): 4 checks do not hold");
  });

  it("does not guess what failed when all that can be checked holds", () => {
    const text = kvmLog.replace(
      "reason=0000000c qualification=0000000000000000",
      "reason=80000021 qualification=0000000000000004",
    );
    expect(dumpText(explained(text))).toContain(
      "The dump reports exit reason 0x80000021: VM-entry failure due to invalid guest state, cause VMCS link pointer.",
    );
    expect(dumpText(explained(text))).toContain("The check that failed is among those that cannot be made.");
    expect(dumpText(explained(kvmLog))).not.toContain("is among those");
  });

  it("tells which VM-instruction error a dump has", () => {
    const { reported } = first("GUEST_CR0 = 0x80050033\nVM_INSTRUCTION_ERROR = 7\n");
    expect(reported).toEqual({
      vmInstructionError: { number: 7, says: "VM entry with invalid control field(s)" },
    });
  });

  it("treats each VMCS of a file on its own", () => {
    expect(explained(kvmLog + broken).vmcses.map(({ failures }) => failures.length)).toEqual([0, 2]);
  });
});

describe("a long log", () => {
  it("is told of each VMCS at length once, and of some lines that are not understood", () => {
    const log = Array.from({ length: 30 }, (_, line) => `line ${line} of a kernel log\n`).join("");
    const text = dumpText(explained(log + kvmLog + broken + broken));
    expect(text.match(/judged/g)).toHaveLength(2);
    expect(text).toContain(
      "VMCS 00000000336523a9, last attempted VM-entry on CPU 8 (line 130): the same as at line 81.\n",
    );
    expect(text).toMatch(/ {2}line 20: line 19 of a kernel log\n {2}and 10 more lines\n$/);
  });
});

describe("the processor that a dump is judged for", () => {
  it("is a recent one, which allows what the SDM defines: what it refuses, no processor allows", () => {
    // Those of a server of 2023: PKE, LA57 and more in CR4.
    expect(failing(kvmLog.replace("CR4=00000000000026f0", "CR4=0000000000f73ef0"))).toEqual([]);
    expect(failing(kvmLog.replace("CR4=00000000000026f0", "CR4=0000000080002620"))).toEqual([
      "host-cr4-fixed-bits",
    ]);
  });

  it("may be a CPU model of ours", () => {
    const model = cpuModel("default", { minus: ["enableEPT"] })!;
    expect(failing(kvmLog, processorOfModel(model))).toContain("secondary-reserved");
    expect(failing(kvmLog, processorOfModel(cpuModel("default")!))).toEqual([]);
  });

  it("may be one whose capability MSRs are given", () => {
    const { msrs } = recentProcessor.capability;
    const given = (
      changes: readonly (readonly [number, bigint])[],
      physicalAddressBits?: number,
    ): JudgedProcessor =>
      processorOfMsrs("caps.txt", { msrs: new Map([...msrs, ...changes]), physicalAddressBits, unknown: [] });
    expect(failing(kvmLog, given([], 46))).toEqual([]);
    // No virtual NMIs.
    expect(failing(kvmLog, given([[0x48d, 0x0000_001f_0000_0016n]], 46))).toContain("pin-based-reserved");
    // An EPT pointer of 33 bits.
    expect(failing(kvmLog, given([], 32))).toContain("virtual-apic-width");
    expect(explained(kvmLog, given([])).processor.remarks).toEqual([
      "caps.txt does not tell the width of physical addresses (MAXPHYADDR = 46, say): 52 bits are allowed",
    ]);
    expect(given([[0x489, 0x77_2fffn]]).traits.linearAddressBits).toBe(48);
    expect(given([[0x489, 0x77_3fffn]]).traits.linearAddressBits).toBe(57);
  });
});

describe("random values in every field", () => {
  it("are explained, whatever they are", () => {
    let seed = 99n;
    const random = (): bigint =>
      (seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n)) >> 3n;
    for (let round = 0; round < 15; round++) {
      const text = kvmLog.replace(/(?<=[=:|]\s*(?:0x)?)[0-9a-f]{4,16}\b(?!:)/g, (digits) =>
        random() % 3n === 0n ? digits : random().toString(16).padStart(16, "0").slice(-digits.length),
      );
      const { failures, checks } = first(text);
      expect(failures.length).toBeLessThan(checks);
      for (const { hint, fields } of failures) {
        expect(hint).not.toBe("");
        expect(fields.length).toBeGreaterThan(0);
      }
      expect(dumpText(explained(text))).toContain("VM entry fails");
    }
  });
});
