import { describe, expect, it } from "vitest";
import { CR0 } from "../../src/arch/control-registers.ts";
import { RFLAGS } from "../../src/arch/flags.ts";
import { type ControlKey, vmxControl } from "../../src/arch/vmx-controls.ts";
import { machineCode } from "../../src/asm/index.ts";
import { cpuModel } from "../../src/cpu/cpu-model.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { setSegment } from "../../src/cpu/segmentation.ts";
import { type VmExit, VmxOperation } from "../../src/cpu/vmx-socket.ts";
import { fieldOffset } from "../../src/vmx/vmcs.ts";
import { VtX } from "../../src/vmx/vt-x.ts";
import { invalidateEpt } from "../../src/vmx/worlds.ts";
import { bareProcessor } from "../conformance/bare-processor.ts";

/** What a guest's code does with memory behind EPT, in every tier: nothing that translates or caches may bypass EPT. */

const model = cpuModel("default", { plus: ["VMX", "enableEPT", "enableVPID", "eptAccessedDirty"] })!;
const table = 0x1_3000;
const vmcsRegion = 0xc000;
/** Guest-physical page of the code, and where it is. */
const code = { guest: 0x2_0000, physical: 0x15_0000 };
const data = { guest: 0x3_0000, physical: 0x16_0000 };
const EPTP = 0x1_001en;

/** A 32-bit guest without paging that runs assembly text; a VM exit is noted, and the guest then halts. */
const guestOf = (tier: Tier, text: string, ...controls: ControlKey[]) => {
  const { guest: memory, engine, processor } = bareProcessor(4 << 20, model);
  engine.tier = tier;
  const vmx = new VtX(processor, engine);
  processor.vmx = vmx;
  const exits: VmExit[] = [];
  const { state } = processor;
  Object.assign(vmx, {
    exit: (exit: VmExit) => {
      exits.push(exit);
      state.activity = 1;
    },
  });
  const write64 = (address: number, value: bigint): void => {
    memory.write(address, Number(value & 0xffff_ffffn), 4);
    memory.write(address + 4, Number(value >> 32n), 4);
  };
  const page = (guest: number, physical: number, rights: number): void =>
    write64(table + 8 * (guest >>> 12), BigInt(physical | 0x30 | rights));
  write64(0x1_0000, 0x1_1007n);
  write64(0x1_1000, 0x1_2007n);
  write64(0x1_2000, BigInt(table) | 7n);
  for (let n = 0; n < 4; n++) page(code.guest + n * 4096, code.physical + 3 * 4096 * n, 5);
  for (let n = 0; n < 4; n++) page(data.guest + n * 4096, data.physical + 5 * 4096 * n, 3);
  vmx.vmcs.base = memory.offsetOf(vmcsRegion);
  const set = (name: Parameters<typeof fieldOffset>[0], value: bigint): void =>
    vmx.vmcs.setValue(fieldOffset(name), value);
  set("control.eptPointer", EPTP);
  set("control.vpid", 1n);
  for (const key of ["enableEPT", "enableVPID", ...controls] as const) {
    const { field, bit } = vmxControl(key);
    if (field === "control.processorBased") vmx.processorBased |= 1 << bit;
    else if (field === "control.pinBased") vmx.pinBased |= 1 << bit;
    else vmx.secondary |= 1 << bit;
  }
  const bytes = machineCode(`bits 32\n${text}\nhlt`, { origin: code.guest });
  for (const [n, byte] of bytes.entries())
    memory.write(code.physical + (n >>> 12) * 3 * 4096 + (n & 0xfff), byte, 1);
  state.CR0 = CR0.PE | CR0.NE | CR0.ET;
  const flat = { selector: 8, base: 0n, limit: 0xffff_ffff };
  setSegment(state, "CS", { ...flat, access: 0xc09b });
  for (const name of ["SS", "DS", "ES"] as const) setSegment(state, name, { ...flat, access: 0xc093 });
  state.RFLAGS = RFLAGS.FIXED;
  const resume = (): void => {
    state["vmx.operation"] = VmxOperation.nonRoot;
    state.activity = 0;
    processor.run(20_000);
  };
  state.RIP = BigInt(code.guest);
  return { memory, state, vmx, exits, page, resume, set };
};

const report = ({ reason, qualification, details }: VmExit): string =>
  `${reason} ${qualification.toString(16)} ${details.guestPhysicalAddress?.toString(16)} ${details.guestLinearAddress?.toString(16)}`;

describe.each(["interpreter", "evaluator"] as const)("a guest that is interrupted on the %s", (tier) => {
  it("leaves the flags of its last instruction in the VMCS, and none of them to the host", () => {
    const { vmx, state, resume } = guestOf(
      tier,
      `mov ecx, 1000
       lea esi, [rel_next]
       lea edx, [beyond]
       again: dec ecx
       cmovz esi, edx
       cmp ecx, 1
       jmp esi
       rel_next: jmp again
       times 4096 - ($ - $$) nop
       beyond: mov ebx, 1`,
      "externalInterruptExiting",
    );
    // It arrives while the jump to another page is made.
    Object.assign(vmx.core.apic, {
      hasInterrupt: () => vmx.nonRoot && state.RIP === BigInt(code.guest + 4096),
    });
    resume();
    expect(vmx.nonRoot).toBe(false);
    expect(vmx.vmcs.read("exit.reason")).toBe(1n);
    expect(vmx.vmcs.read("guest.rflags")).toBe(0x97n);
    expect(state.RBX).toBe(0n);
  });
});

describe.each(["interpreter", "evaluator"] as const)("a guest behind EPT on the %s", (tier) => {
  it("runs code and reads and writes data where EPT says, across pages too", () => {
    const { memory, state, exits, resume } = guestOf(
      tier,
      `mov edi, 0x30000
       mov ecx, 300
       again: mov [edi], ecx
       add edi, 4
       inc eax
       loop again
       mov dword ptr [0x30ffe], 0x11223344
       mov esi, [0x31ffd]
       jmp beyond
       times 4090 - ($ - $$) nop
       beyond: mov ebx, 0x12345678`,
    );
    memory.write(data.physical + 5 * 4096 + 0xffd, 0xaabbcc, 4);
    memory.write(data.physical + 10 * 4096, 0x77, 1);
    resume();
    expect(exits).toEqual([]);
    expect(state.RAX).toBe(300n);
    expect(memory.read(data.physical, 4)).toBe(300);
    expect(memory.read(data.physical + 4 * 299, 4)).toBe(1);
    expect(memory.read(data.physical + 0xffe, 2)).toBe(0x3344);
    expect(memory.read(data.physical + 5 * 4096, 2)).toBe(0x1122);
    expect(state.RSI).toBe(0x77aabbccn);
    expect(state.RBX).toBe(0x12345678n);
  });

  it("exits at a store to a page that is read-only, and goes on when it no longer is", () => {
    const { memory, state, vmx, exits, page, resume } = guestOf(
      tier,
      `mov eax, [0x30010]
       mov ebx, 5
       mov [0x30010], ebx
       mov ecx, [0x30010]`,
    );
    page(data.guest, data.physical, 1);
    memory.write(data.physical + 0x10, 3, 4);
    resume();
    expect(exits.map(report)).toEqual(["48 78a 30010 30010"]);
    expect(state.RIP).toBe(BigInt(code.guest + 10));
    expect(memory.read(data.physical + 0x10, 4)).toBe(3);
    page(data.guest, data.physical + 4096, 3);
    invalidateEpt(vmx, EPTP);
    resume();
    expect(exits.length).toBe(1);
    expect(memory.read(data.physical + 4096 + 0x10, 4)).toBe(5);
    expect(state.RCX).toBe(5n);
    expect(state.RAX).toBe(3n);
  });

  it("exits when an access runs into a page that is not mapped, with nothing written", () => {
    const { memory, exits, page, resume } = guestOf(tier, "mov dword ptr [0x30ffe], -1");
    page(data.guest + 4096, 0, 0);
    resume();
    expect(exits.map(report)).toEqual(["48 782 31000 31000"]);
    expect(memory.read(data.physical + 0xffe, 2)).toBe(0);
  });

  it("exits at code that may not be executed, also in the middle of an instruction", () => {
    const { exits, page, resume, state } = guestOf(
      tier,
      `jmp beyond
       times 4093 - ($ - $$) nop
       beyond: mov eax, 0x12345678`,
    );
    page(code.guest + 4096, code.physical + 3 * 4096, 3);
    resume();
    expect(exits.map(report)).toEqual(["48 79c 21000 21000"]);
    expect(state.RIP).toBe(BigInt(code.guest + 4093));
    page(code.guest + 4096, code.physical + 3 * 4096, 4);
    resume();
    expect(exits.length).toBe(1);
    expect(state.RAX).toBe(0x12345678n);
  });

  it("never has the APIC-access page cached: every access is virtualized or exits", () => {
    const { memory, state, exits, set, resume } = guestOf(
      tier,
      `mov ecx, 50
       again: add dword ptr [0x30080], 0x10000001
       mov eax, [0x30080]
       add ebx, eax
       loop again
       mov edx, [0x30020]`,
      "virtualizeAPICAccesses",
      "useTPRShadow",
    );
    set("control.apicAccessAddress", BigInt(data.physical));
    set("control.virtualApicAddress", 0x14_0000n);
    resume();
    expect(state.RBX).toBe(BigInt((50 * 51) / 2)); // bytes above the lowest are cleared after each write
    expect(memory.read(0x14_0080, 4)).toBe(50);
    expect(memory.read(data.physical + 0x80, 4)).toBe(0);
    expect(exits.map(report)).toEqual(["44 20 undefined undefined"]);
    expect(state.RDX).toBe(0n);
  });
});
