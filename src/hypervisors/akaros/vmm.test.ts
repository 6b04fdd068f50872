import { describe, expect, it } from "vitest";
import { machineCode } from "../../asm/index.ts";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { flatState, flatTable32, identityMapBytes } from "../../machine/boot/initial-state.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import { AkarosMachine } from "./akaros-machine.ts";
import { consoleDevice } from "./vmm.ts";

/** Small guests under the VMM of user level. */

const MIB = 0x10_0000;
const codeAt = 0x10_0000;
const tablesAt = 0x8_0000;

const run = (text: string) => {
  const bytes = machineCode(text, { codeSize: 64, origin: codeAt });
  const tables = identityMapBytes(tablesAt);
  // One page of 1 GiB more: where the console is.
  new DataView(tables.buffer).setBigUint64(4096 + 8 * 4, BigInt(consoleDevice.start) | 0x83n, true);
  const bootable: BootableMachine = {
    configuration: {
      memoryBytes: 8 * MIB,
      processors: 1,
      model: cpuModel("default")!,
      disks: [],
      seed: 1n,
      romBytes: 0,
    },
    plan: {
      protocol: "flat",
      segments: [
        { address: tablesAt, bytes: tables, zeros: 0 },
        { address: codeAt, bytes, zeros: 0 },
      ],
      roms: [],
      cpu: flatState({ ...flatTable32, mode: "long64", address: 0x7000 }, codeAt, { RSP: 0x6000n }, tablesAt),
    },
  };
  const out = { serial: "", debug: "", virtio: "" };
  const machine = AkarosMachine.create(bootable, {
    serial: (_port, byte) => {
      out.serial += String.fromCharCode(byte);
    },
    debugcon: (byte) => {
      out.debug += String.fromCharCode(byte);
    },
    virtioConsole: (written) => {
      out.virtio += String.fromCharCode(...written);
    },
  });
  if (!(machine instanceof AkarosMachine)) throw new Error(machine.message);
  const stop = machine.run(20_000_000, true);
  return { machine, out, stop, verdict: machine.vmm.verdict };
};

describe("A guest under the VMM", () => {
  it("prints by VMCALL, serial port and virtio-mmio console, and ends the machine with a status", () => {
    const { out, stop } = run(`
      mov edi, 'v'
      vmcall
      mov dx, 0x3f8
      mov al, 's'
      out dx, al
      mov rbx, ${consoleDevice.start}
      mov byte [rbx + 0x108], 'm'
      mov eax, 3
      out 0xf4, al`);
    expect(out).toEqual({ serial: "s", debug: "v", virtio: "m" });
    expect(stop).toEqual({ kind: "debug-exit", status: 7 });
  });

  it("halts until the timer of its local APIC interrupts", () => {
    const { stop, machine } = run(`
      lidt [pointer]
      lgdt [gdtPointer]
      mov ebx, 0xfee00000
      mov dword [rbx + 0xf0], 0x1ff
      mov dword [rbx + 0x3e0], 11
      mov dword [rbx + 0x320], 0x50
      mov dword [rbx + 0x380], 50000
      sti
      hlt
      mov eax, r15d
      out 0xf4, al
      handler: inc r15
      mov dword [rbx + 0xb0], 0
      iretq
      align 8
      gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
      gdtPointer: dw 23
      dq gdt
      pointer: dw 0xfff
      dq idt
      idt: times 0x50 * 2 dq 0
      dw handler - ${codeAt}, 8, 0x8e00, ${codeAt >>> 16}
      dq 0`);
    expect(machine.vmm.verdict).toBeUndefined();
    expect(stop).toEqual({ kind: "debug-exit", status: 3 });
  });

  it("is killed with a sentence where nobody knows on", () => {
    expect(run("lidt [0x0]\n ud2").verdict).toMatch(/VM exit TRIPLE_FAULT.*at RIP 0x100/);
    expect(run("vmxoff").verdict).toMatch(/VM exit/);
  });
});
