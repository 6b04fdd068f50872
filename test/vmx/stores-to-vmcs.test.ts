import { describe, expect, it } from "vitest";
import { machineCode } from "../../src/asm/index.ts";
import { VmxOperation } from "../../src/cpu/vmx-socket.ts";
import { setCurrentVmcs } from "../../src/vmx/current-vmcs.ts";
import { fieldOffset, header, vmcsBytes } from "../../src/vmx/vmcs.ts";
import type { BareProcessor } from "../conformance/bare-processor.ts";
import { TwoTiers } from "../conformance/two-tiers.ts";
import { Dice } from "../hostile/dice.ts";
import { free, launch, ramBytes, withVmx } from "./launched-hypervisor.ts";

/** A hypervisor, or its guest, that stores to the current VMCS instead of VMWRITE: whatever it stores, both tiers end alike and nothing throws. */

const places = { code: free, table: free + 0x1_0000 } as const;

/** Stores the quadwords of the table, up to an entry of all ones, then does what is asked. */
const storing = (then: string): Uint8Array =>
  machineCode(
    `bits 64
     mov rsi, ${places.table}
     next: mov rdi, [rsi]
     cmp rdi, -1
     je stored
     mov rax, [rsi + 8]
     mov [rdi], rax
     add rsi, 16
     jmp next
     stored: ${then}`,
    { origin: places.code },
  );
const resuming = storing("vmresume\n pushf\n pop rbx\n mov ecx, 0x4400\n vmread rdx, rcx\n hlt");
const calling = storing("vmcall\n hlt");

const twoTiers = new TwoTiers(ramBytes);
const vmxOf = new Map(
  [twoTiers.interpreter, twoTiers.evaluator].map((machine) => [machine, withVmx(machine).vmx]),
);

/** RAM and state with a launched VMCS. */
const launched = (() => {
  const { evaluator } = twoTiers;
  launch(evaluator);
  const { state } = evaluator.processor;
  return {
    ram: evaluator.guest.readBytes(0, ramBytes),
    state: state.architectural().slice(),
    region: state["vmx.currentVmcs"],
  };
})();
const region = Number(launched.region);

type Store = readonly [offset: number, value: bigint];

/** Both processors at the same place: about to store to the region, then to VMRESUME; or in the guest, then to VMCALL. */
const start = (stores: readonly Store[], inGuest: boolean): void => {
  const place = ({ guest, processor }: BareProcessor): void => {
    guest.writeBytes(0, launched.ram);
    processor.state.architectural().set(launched.state);
    guest.writeBytes(places.code, inGuest ? calling : resuming);
    const table = new BigUint64Array([...stores.flatMap(([at, value]) => [BigInt(region + at), value]), -1n]);
    guest.writeBytes(places.table, new Uint8Array(table.buffer));
    processor.state.RIP = BigInt(places.code);
  };
  twoTiers.start(place);
  for (const [{ processor, guest }, vmx] of vmxOf) {
    setCurrentVmcs(vmx, launched.region);
    vmx.abortIndicator = 0;
    if (!inGuest) continue;
    vmx.vmcs.setValue(fieldOffset("guest.rip"), BigInt(places.code));
    const vmresume = machineCode("bits 64\n vmresume");
    guest.writeBytes(places.table - 16, vmresume);
    processor.state.RIP = BigInt(places.table - 16);
    processor.run(1);
    if (!vmx.nonRoot) throw new Error("the VM entry failed");
  }
};

const run = (): string[] =>
  [...vmxOf].map(([{ processor }, vmx]) => {
    for (let ran = 0; ran < 300; ) {
      const now = processor.run(300 - ran);
      if (now === 0) break;
      ran += now;
    }
    const { state } = processor;
    const field = (name: Parameters<typeof fieldOffset>[0]) => vmx.vmcs.low(fieldOffset(name)).toString(16);
    if (vmx.abortIndicator) return `abort ${vmx.abortIndicator}`;
    if (state.activity === 1 && state["vmx.operation"] === VmxOperation.root && (state.RBX & 0x41n) !== 0n)
      return `fail ${state.RDX}`;
    return `exit ${field("exit.reason")}`;
  });

const each = (stores: readonly Store[], inGuest = false): string => {
  start(stores, inGuest);
  const [one, other] = run();
  expect(one).toBe(other);
  expect(twoTiers.difference()).toBeUndefined();
  return one!;
};
const at = fieldOffset;

describe("stores to the current VMCS", () => {
  it("are noticed by the VM entry that follows, although all checks held before", () => {
    expect(each([])).toBe("exit 12");
    expect(each([[at("control.pinBased"), 0n]])).toBe("fail 7");
    expect(each([[at("host.cr4"), -1n]])).toBe("fail 8");
    expect(each([[at("guest.activity"), 77n]])).toBe("exit 80000021");
    expect(each([[at("guest.rflags"), 0n]])).toBe("exit 80000021");
    expect(each([[header.launchState, 0n]])).toBe("fail 5");
  });

  it("by the guest make the VM exit a VMX abort where it cannot be completed", () => {
    expect(each([], true)).toBe("exit 12");
    expect(each([[at("guest.cr0"), -1n]], true)).toBe("exit 12");
    expect(each([[at("host.cr4"), -1n]], true)).toBe("abort 3");
    expect(each([[at("host.rip"), 1n << 60n]], true)).toBe("abort 3");
    expect(each([[at("control.exitControls"), 0n]], true)).toBe("abort 3");
  });

  it("whatever they are, end alike in both tiers", () => {
    const random = new Dice(7);
    const outcomes = new Set<string>();
    const view = new DataView(launched.ram.buffer, region);
    for (let seed = 0; seed < 200; seed++) {
      const stores: Store[] = [];
      const share = [0, 0, 16, 1][seed & 3]!;
      if (share === 0)
        for (let n = 1 + random.below(3); n > 0; n--) {
          const offset = header.firstField + 8 * random.below((vmcsBytes - header.firstField) >> 3);
          stores.push([offset, view.getBigUint64(offset, true) ^ (1n << BigInt(random.below(64)))]);
        }
      else
        for (let offset = header.firstField; offset < vmcsBytes; offset += 8)
          if (random.below(share) === 0) stores.push([offset, random.next64()]);
      outcomes.add(each(stores, (seed & 4) !== 0));
    }
    expect([...outcomes].sort().join()).toMatch(/abort 3.*exit 12.*exit 80000021.*fail 7/);
  });
});
