import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

describe("binary arithmetic", () => {
  it("ADD clears the upper half of a 32-bit destination and sets every flag of the sum", () => {
    const { get, flags } = run("01 c8", { RAX: 0xffff_ffff_0000_0001n, RCX: 0xffff_ffffn }); // add eax, ecx
    expect(get("RAX")).toBe(0n);
    expect(flags).toBe("CF PF AF ZF");
  });

  it("16-bit and high-byte destinations leave the rest of the register", () => {
    expect(run("66 01 c8", { RAX: 0x1234_ffffn, RCX: 2 }).get("RAX")).toBe(0x1234_0001n); // add ax, cx
    expect(run("00 cc", { RAX: 0x12ffn, RCX: 0xf0 }).get("RAX")).toBe(0x02ffn); // add ah, cl
  });

  it("ADC and SBB carry through all-ones and the sign", () => {
    const sum = run("48 11 c8", { RAX: 2n ** 64n - 1n, RCX: 2n ** 64n - 1n, flags: "CF" }); // adc rax, rcx
    expect([sum.get("RAX"), sum.flags]).toEqual([2n ** 64n - 1n, "CF PF AF SF"]);
    const difference = run("18 c8", { RAX: 0x80, RCX: 0x7f, flags: "CF" }); // sbb al, cl
    expect([difference.get("RAX"), difference.flags]).toEqual([0n, "PF AF ZF OF"]);
  });

  it("INC and DEC keep CF and overflow at the ends of the signed range", () => {
    expect(run("fe c0", { RAX: 0x7f, flags: "CF" }).flags).toBe("CF AF SF OF"); // inc al
    expect(run("fe c8", { RAX: 0x80 }).flags).toBe("AF OF"); // dec al
  });

  it("NEG of the most negative number overflows and of zero borrows nothing", () => {
    expect(run("f7 d8", { RAX: 0x8000_0000n }).flags).toBe("CF PF SF OF"); // neg eax
    expect(run("f7 d8", { RAX: 0 }).flags).toBe("PF ZF");
  });

  it("CMP and TEST write nothing but flags", () => {
    const { get, flags } = run("39 c8", { RAX: 0xffff_ffff_0000_0001n, RCX: 2 }); // cmp eax, ecx
    expect([get("RAX"), flags]).toEqual([0xffff_ffff_0000_0001n, "CF PF AF SF"]);
    expect(run("85 c0", { RAX: 0x8000_0000n, flags: "CF OF" }).flags).toBe("PF SF"); // test eax, eax
  });

  it("XADD of a register with itself leaves the sum", () => {
    expect(run("0f c1 c0", { RAX: 21 }).get("RAX")).toBe(42n); // xadd eax, eax
  });

  it("ADCX and ADOX use one flag each and leave the others", () => {
    const all = "PF AF ZF SF";
    const adcx = run("66 48 0f 38 f6 c1", { RAX: 2n ** 64n - 1n, RCX: 0, flags: `CF ${all} OF` });
    expect([adcx.get("RAX"), adcx.flags]).toEqual([0n, `CF ${all} OF`]);
    const adox = run("f3 48 0f 38 f6 c1", { RAX: 5, RCX: 1, flags: "CF OF" });
    expect([adox.get("RAX"), adox.flags]).toEqual([7n, "CF"]);
  });

  describe("CMPXCHG", () => {
    it("replaces an equal destination and keeps all of RAX", () => {
      const { get, flags } = run("0f b1 d1", { RAX: 0x1_0000_0007n, RCX: 0x2_0000_0007n, RDX: 9 });
      expect([get("RAX"), get("RCX"), flags]).toEqual([0x1_0000_0007n, 9n, "PF ZF"]);
    });

    it("loads an unequal destination, of which bits 63:32 stay", () => {
      const { get, flags } = run("0f b1 d1", { RAX: 0x1_0000_0007n, RCX: 0x2_0000_0008n, RDX: 9 });
      expect([get("RAX"), get("RCX"), flags]).toEqual([8n, 0x2_0000_0008n, "CF PF AF SF"]);
    });

    it("of the accumulator with itself stores the source", () => {
      expect(run("48 0f b1 d0", { RAX: 1, RDX: 2 }).get("RAX")).toBe(2n); // cmpxchg rax, rdx
    });

    it("8B compares EDX:EAX and changes ZF only", () => {
      const given = { RBX: 3, RCX: 4, RDI: 0x1000, flags: "CF" };
      const memory = { 4096: 0x0000_0002_0000_0001n };
      const equal = run("0f c7 0f", { ...given, memory, RAX: 1, RDX: 2 });
      expect([equal.read(0x1000n, 64), equal.flags]).toEqual([0x0000_0004_0000_0003n, "CF ZF"]);
      const unequal = run("0f c7 0f", { ...given, memory, RAX: 1, RDX: 2n ** 40n });
      expect([unequal.get("RAX"), unequal.get("RDX"), unequal.flags]).toEqual([1n, 2n, "CF"]);
      expect(unequal.read(0x1000n, 64)).toBe(0x0000_0002_0000_0001n);
    });

    it("16B compares RDX:RAX", () => {
      const memory = { 4096: 1n, 4104: 2n };
      const { read, flags } = run("48 0f c7 0f", { RAX: 1, RDX: 2, RBX: 3, RCX: 4, RDI: 0x1000, memory });
      expect([read(0x1000n, 64), read(0x1008n, 64), flags]).toEqual([3n, 4n, "ZF"]);
    });
  });
});

describe("decimal arithmetic", () => {
  const decimal = (bytes: string, RAX: number, flags = "") => {
    const after = run(bytes, { codeSize: 32, RAX, flags });
    return [after.get("RAX"), after.flags];
  };
  it("DAA carries out of both digits", () => {
    expect(decimal("27", 0x9a)).toEqual([0n, "CF PF AF ZF"]);
    expect(decimal("27", 0x35, "AF")).toEqual([0x3bn, "AF"]);
  });
  it("DAS borrows below zero", () => expect(decimal("2f", 0x05, "AF")).toEqual([0xffn, "CF PF AF SF"]));
  it("AAA carries into AH", () => expect(decimal("37", 0x0f)).toEqual([0x105n, "CF PF AF"]));
  it("AAS borrows from AH", () => expect(decimal("3f", 0x20f)).toEqual([0x109n, "CF PF AF"]));
  it("AAM divides by any base but zero", () => {
    expect(decimal("d4 0a", 0x63)).toEqual([0x0909n, "PF"]);
    expect(run("d4 00", { codeSize: 32, RAX: 1 }).result).toMatchObject({ kind: "fault", vector: 0 });
  });
  it("AAD joins the digits", () => expect(decimal("d5 0a", 0x0402)[0]).toBe(42n));
  it("none of them exists in 64-bit mode", () => {
    for (const bytes of ["27", "2f", "37", "3f", "d4 0a", "d5 0a", "d6"])
      expect(run(bytes).result).toMatchObject({ kind: "fault", vector: 6 });
  });
});
