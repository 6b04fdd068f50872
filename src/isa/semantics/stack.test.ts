import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

const GP0 = { kind: "fault", vector: 13, errorCode: 0n };
const ring3 = { "SS.access": 0x60 };

describe("the stack", () => {
  it("PUSH of rSP stores the value before, POP into rSP keeps the value popped", () => {
    const { get, read } = run("54", { RSP: 0x1000 });
    expect([get("RSP"), read(0x0ff8n, 64)]).toEqual([0x0ff8n, 0x1000n]);
    expect(run("5c", { RSP: 0x1000, memory: { 4096: 0x42n } }).get("RSP")).toBe(0x42n);
    expect(run("66 5c", { RSP: 0x1fffe, memory: { 131064: 0x42n << 48n } }).get("RSP")).toBe(0x2_0042n);
  });

  it("POP to memory addresses with the stack pointer after the pop", () => {
    const { get, read } = run("8f 04 24", { RSP: 0x1000, memory: { 4096: 7n } }); // pop qword [rsp]
    expect([get("RSP"), read(0x1008n, 64)]).toEqual([0x1008n, 7n]);
  });

  it("immediates are sign-extended to the operand size", () => {
    expect(run("6a 80", { RSP: 8 }).read(0n, 64)).toBe(2n ** 64n - 128n);
    expect(run("66 6a 80", { RSP: 8 }).read(6n, 16)).toBe(0xff80n);
  });

  it("a 16-bit stack wraps within its segment and leaves the rest of RSP", () => {
    const { get, read } = run("50", { codeSize: 16, RAX: 0xabcd, RSP: 0x1_0000 });
    expect([get("RSP"), read(0xfffen, 16)]).toEqual([0x1_fffen, 0xabcdn]);
  });

  it("PUSH of a segment register moves ESP by four and stores two bytes", () => {
    const { get, read } = run("1e", {
      codeSize: 32,
      RSP: 8,
      "DS.selector": 0x2b,
      memory: { 0: 2n ** 64n - 1n },
    });
    expect([get("RSP"), read(0n, 64)]).toEqual([4n, 0xffff_002b_ffff_ffffn]);
    expect(run("0f a0", { RSP: 8, "FS.selector": 0x2b, memory: { 0: 2n ** 64n - 1n } }).read(0n, 64)).toBe(
      0x2bn,
    );
  });

  it("PUSHA stores ESP as it was; POPA skips it", () => {
    const pushed = run("60", {
      codeSize: 32,
      RAX: 1,
      RCX: 2,
      RDX: 3,
      RBX: 4,
      RSP: 0x100,
      RBP: 6,
      RSI: 7,
      RDI: 8,
    });
    const words = Array.from({ length: 8 }, (_, n) => pushed.read(0xe0n + 4n * BigInt(n), 32));
    expect(words).toEqual([8n, 7n, 6n, 0x100n, 4n, 3n, 2n, 1n]);
    const memory = {
      224: (7n << 32n) | 8n,
      232: (0x999n << 32n) | 6n,
      240: (3n << 32n) | 4n,
      248: (1n << 32n) | 2n,
    };
    const { get } = run("61", { codeSize: 32, RSP: 0xe0, memory });
    expect(["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"].map(get)).toEqual([
      1n,
      2n,
      3n,
      4n,
      0x100n,
      6n,
      7n,
      8n,
    ]);
  });

  it("LEAVE takes rSP from rBP", () => {
    const { get } = run("c9", { RSP: 5, RBP: 0x1000, memory: { 4096: 0x2000n } });
    expect([get("RSP"), get("RBP")]).toEqual([0x1008n, 0x2000n]);
  });
});

describe("PUSHF and POPF", () => {
  const image = (bits: bigint) => ({ RSP: 0x100, memory: { 256: bits } });

  it("PUSHF stores RF and VM as zero", () => {
    expect(run("9c", { RSP: 8, flags: "CF RF AC" }).read(0n, 64)).toBe(0x4_0003n);
  });

  it("POPF at CPL 0 changes IF and IOPL, but never VIF and VIP", () => {
    expect(run("9d", image(0x3f_7fd5n)).flags).toBe("CF PF AF ZF SF TF IF DF OF IOPL0 IOPL1 NT AC ID");
  });

  it("POPF at CPL 3 keeps IOPL, and IF unless CPL <= IOPL", () => {
    expect(run("9d", { ...ring3, ...image(0x3201n) }).flags).toBe("CF");
    expect(run("9d", { ...ring3, ...image(0x1n), flags: "IF IOPL0 IOPL1" }).flags).toBe("CF IOPL0 IOPL1");
  });

  it("16-bit POPF leaves AC and ID", () => {
    expect(run("66 9d", { ...image(0x1n), flags: "AC ID ZF" }).flags).toBe("CF AC ID");
  });

  it("in virtual-8086 mode IOPL below 3 is #GP(0), unless CR4.VME gives VIF in place of IF", () => {
    const mode = { codeSize: 16, ...ring3, RSP: 0x100 } as const;
    expect(run("9c", { ...mode, flags: "VM" }).result).toMatchObject(GP0);
    expect(run("9d", { ...mode, flags: "VM" }).result).toMatchObject(GP0);
    expect(run("66 9c", { ...mode, flags: "VM", CR4: 1 }).result).toMatchObject(GP0);
    const pushed = run("9c", { ...mode, flags: "VM VIF CF", CR4: 1 });
    expect(pushed.read(0xfen, 16)).toBe(0x3203n); // IF from VIF, IOPL 3
    const popped = run("9d", { ...mode, flags: "VM IF", CR4: 1, memory: { 256: 0x3201n } });
    expect(popped.flags).toBe("CF IF VM VIF");
    expect(run("9d", { ...mode, flags: "VM VIP", CR4: 1, memory: { 256: 0x200n } }).result).toMatchObject(
      GP0,
    );
    expect(run("9d", { ...mode, flags: "VM", CR4: 1, memory: { 256: 0x100n } }).result).toMatchObject(GP0);
    expect(run("9d", { ...mode, flags: "VM IOPL0 IOPL1", memory: { 256: 0x201n } }).flags).toBe(
      "CF IF IOPL0 IOPL1 VM",
    );
  });
});
