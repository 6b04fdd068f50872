import { describe, expect, it } from "vitest";
import type { ControlKey } from "../arch/vmx-controls.ts";
import { describeFault } from "../cpu/fake-core.fixture.ts";
import { VmExit } from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { ept, TestGuest } from "./guest.fixture.ts";
import { vmFunction } from "./vm-functions.ts";

const list = 0x2_2000;
const other = 0x3_0000n;
const instruction = { length: 3, codeSize: 64 } as Instruction;

const guestWith = (...controls: ControlKey[]): TestGuest => {
  const guest = new TestGuest(controls).identity();
  guest.core.state.RIP = 0x1000n;
  guest.write("control.vmFunctionControls", 1);
  guest.write("control.eptpListAddress", list);
  guest.write64(list + 8 * 5, other | 0x1en);
  return guest;
};
const run = (guest: TestGuest, leaf: bigint, index: bigint): string | undefined => {
  guest.core.state.RAX = leaf;
  guest.core.state.RCX = index;
  const result = vmFunction(guest.vmx, instruction);
  return result instanceof VmExit ? `exit ${result.reason}` : describeFault(result);
};

describe("VMFUNC", () => {
  it("is #UD without the control, and for functions above 63", () => {
    expect(run(guestWith(), 0n, 5n)).toBe("#UD");
    expect(run(guestWith("enableVMFunctions"), 64n, 5n)).toBe("#UD");
  });

  it("exits for a function that is not enabled", () => {
    const guest = guestWith("enableVMFunctions");
    expect(run(guest, 1n, 5n)).toBe("exit 59");
    guest.write("control.vmFunctionControls", 0);
    expect(run(guest, 0n, 5n)).toBe("exit 59");
  });

  it("looks at EAX and ECX only", () => {
    expect(run(guestWith("enableVMFunctions"), 1n << 32n, 5n | (1n << 32n))).toBeUndefined();
  });
});

describe("EPTP switching", () => {
  it("goes on with the EPT pointer of the list, and another world", () => {
    const guest = guestWith("enableVMFunctions");
    const world = guest.vmx.world;
    expect(run(guest, 0n, 5n)).toBeUndefined();
    expect(guest.core.state.RIP).toBe(0x1003n);
    expect(guest.read("control.eptPointer")).toBe(other | 0x1en);
    expect(guest.vmx.world).not.toBe(world);
    guest.write64(list, BigInt(ept.pml4) | 0x1en);
    run(guest, 0n, 0n);
    expect(guest.vmx.world).toBe(world);
  });

  it("exits for an index above 511 and for a pointer that VM entry would refuse, and changes nothing", () => {
    for (const pointer of [
      0n, other | 0x1cn, other | 0x16n, other | 0x9en, (1n << 40n) | 0x1en,
    ]) {
      const guest = guestWith("enableVMFunctions");
      guest.write64(list + 8 * 5, pointer);
      expect(run(guest, 0n, 5n)).toBe("exit 59");
      expect(guest.read("control.eptPointer")).toBe(BigInt(ept.pml4) | 0x1en);
    } // biome-ignore format: one list
    expect(run(guestWith("enableVMFunctions"), 0n, 512n)).toBe("exit 59");
  });

  it("enters the index for #VE when that is on", () => {
    const guest = guestWith("enableVMFunctions");
    run(guest, 0n, 5n);
    expect(guest.read("control.eptpIndex")).toBe(0n);
    guest.set("eptViolationVE");
    run(guest, 0n, 5n);
    expect(guest.read("control.eptpIndex")).toBe(5n);
  });
});
