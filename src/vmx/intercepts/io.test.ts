import { describe, expect, it } from "vitest";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { atUser64, protectedMode, tssBase, virtual8086 } from "../../cpu/fake-core.fixture.ts";
import { TestHost } from "../host.fixture.ts";

const [bitmapA, bitmapB] = [0x6_0000, 0x6_1000];
const guest = (...controls: ControlKey[]): TestHost => {
  const host = TestHost.inGuest(controls);
  const { state } = host.core;
  host.write("control.ioBitmapA", bitmapA);
  host.write("control.ioBitmapB", bitmapB);
  state.RDX = 0x1234_03f8n;
  state.RDI = 0x9_0010n;
  state.RSI = 0x9_0020n;
  state.RCX = 5n;
  return host;
};
/** Trap a port. */
const trap = ({ core }: TestHost, port: number): void => {
  const at = (port < 0x8000 ? bitmapA : bitmapB) + ((port & 0x7fff) >> 3);
  core.memory.setUint8(at, core.memory.getUint8(at) | (1 << (port & 7)));
};

describe("I/O instructions of a guest", () => {
  // biome-ignore format: one row per fact
  const rows: readonly (readonly [text: string, exit: string, linear?: bigint])[] = [
    ["in al, dx", "30 3f80008"], ["in ax, dx", "30 3f80009"], ["in eax, dx", "30 3f8000b"],
    ["out dx, al", "30 3f80000"], ["out dx, ax", "30 3f80001"], ["out dx, eax", "30 3f80003"],
    ["in al, 0x70", "30 700048"], ["out 0x80, eax", "30 800043"],
    ["insb", "30 3f80018 100", 0x9_0010n], ["rep insw", "30 3f80039 100", 0x9_0010n], ["a32 rep insd", "30 3f8003b 80", 0x9_0010n],
    ["outsb", "30 3f80010 18100", 0x9_0020n], ["rep outsd", "30 3f80033 18100", 0x9_0020n], ["gs outsw", "30 3f80011 28100", 0x1_0009_0020n],
  ];
  it.each(rows.map(([text, exit, linear]) => ({ text, exit, linear })))("$text", ({ text, exit, linear }) => {
    const host = guest("unconditionalIOExiting");
    host.core.state["GS.base"] = 0x1_0000_0000n;
    expect(host.exitOf(text)).toBe(exit);
    expect(host.exit!.details.guestLinearAddress).toBe(linear);
    expect(host.core.portLog).toEqual([]);
    const off = guest();
    expect(off.exitOf(text)).toBe("done");
    expect(off.core.portLog.length).toBe(1);
  });

  it("with bitmaps exit for any port of theirs, whatever the other control says", () => {
    const host = guest("useIOBitmaps", "unconditionalIOExiting");
    expect(host.run("in eax, dx")).toBe("done");
    trap(host, 0x3fb);
    expect([host.run("in al, dx"), host.run("in ax, dx"), host.run("in eax, dx")]).toEqual([
      "done",
      "done",
      "exit 30",
    ]);
    host.core.state.RDX = 0x3fbn;
    expect(host.run("in al, dx")).toBe("exit 30");
    trap(host, 0x8000);
    host.core.state.RDX = 0x7fffn;
    expect([host.run("out dx, al"), host.run("out dx, ax")]).toEqual(["done", "exit 30"]);
    host.core.state.RDX = 0xfffen;
    expect([host.run("out dx, ax"), host.run("out dx, eax")]).toEqual(["done", "exit 30"]); // one wraps around
  });

  it("exit where the bitmaps are no RAM", () => {
    const host = guest("useIOBitmaps");
    host.write("control.ioBitmapA", 0xfee0_0000);
    expect(host.run("in al, dx")).toBe("exit 30");
  });

  it("with a count of 0 access no port", () => {
    const host = guest("unconditionalIOExiting");
    host.core.state.RCX = 1n << 32n;
    expect(host.run("a32 rep insb")).toBe("done");
    expect(host.run("rep insb")).toBe("exit 30");
  });

  it("fault by I/O permission first", () => {
    const host = guest("unconditionalIOExiting");
    atUser64(host.core);
    const permission = tssBase + 104 + (0x3f8 >> 3);
    const texts = ["in al, dx", "out dx, al", "insb", "outsb"];
    host.core.memory.setUint8(permission, 0xff);
    for (const text of texts) expect([text, host.run(text)]).toEqual([text, "#GP(0)"]);
    host.core.memory.setUint8(permission, 0);
    for (const text of texts) expect([text, host.run(text)]).toEqual([text, "exit 30"]);
  });

  it("exit before faults of segmentation and paging", () => {
    const host = guest("unconditionalIOExiting");
    host.core.state.RDI = 1n << 60n;
    expect(host.run("insb")).toBe("exit 30");
    expect(host.exit!.details.guestLinearAddress).toBe(1n << 60n);
    protectedMode(host.core);
    host.core.state.IA32_EFER = 0n;
    host.core.state["ES.access"] = 0x1_0000;
    host.core.state["ES.base"] = 0xffff_fff0n;
    host.core.state.RDI = 0x20n;
    expect(host.run("insb")).toBe("exit 30");
    expect(host.exit!.details.guestLinearAddress).toBe(0x10n);
  });

  it("of virtual-8086 mode tell a 16-bit address size", () => {
    const host = guest("unconditionalIOExiting");
    virtual8086(host.core, 3);
    host.core.state.IA32_EFER = 0n;
    host.core.memory.setUint8(tssBase + 104 + (0x3f8 >> 3) + 1, 0);
    host.core.state.RDX = 0x3f8n;
    host.core.state.RSI = 0x1_0004n;
    host.core.state.RCX = 1n;
    expect(host.exitOf("outsb")).toBe("30 3f80010 18000");
    expect(host.exit!.details.guestLinearAddress).toBe(0x3_0004n);
  });
});
