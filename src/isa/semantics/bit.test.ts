import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

describe("bit tests", () => {
  it("a register bit offset moves the byte address of a memory operand, down for negative offsets", () => {
    const memory = { 4096: 0n, 4088: 0n };
    const up = run("48 0f ab 0b", { RBX: 0x1000, RCX: 65, memory }); // bts [rbx], rcx
    expect([up.read(0x1008n, 64), up.flags]).toEqual([2n, ""]);
    const down = run("48 0f ab 0b", { RBX: 0x1000, RCX: 2n ** 64n - 1n, memory });
    expect(down.read(0x0ff8n, 64)).toBe(2n ** 63n);
    const word = run("66 0f ab 0b", { RBX: 0x1000, RCX: 0xfff0n, memory }); // bts word [rbx], cx: -16
    expect(word.read(0x0ffen, 16)).toBe(1n);
  });

  it("a load near the operand uses the operand's own segment", () => {
    expect(run("64 0f a3 0b", { RBX: 0x1000, RCX: 3 }).result).toMatchObject({ kind: "done", segments: [0] });
  });

  it("registers and immediates take the offset modulo the width", () => {
    expect(run("0f b3 c8", { RAX: 0xff, RCX: 33 }).get("RAX")).toBe(0xfdn); // btr eax, ecx
    const { get, flags } = run("0f ba f8 25", { RAX: 0x20, flags: "ZF OF" }); // btc eax, 37
    expect([get("RAX"), flags]).toEqual([0n, "CF ZF OF"]);
  });
});

describe("bit scans and counts", () => {
  it("BSF of zero leaves all 64 bits of the destination", () => {
    const { get, flags } = run("0f bc c1", { RAX: 0xdead_beef_0000_0001n, RCX: 0 }); // bsf eax, ecx
    expect([get("RAX"), flags]).toEqual([0xdead_beef_0000_0001n, "PF ZF"]);
    expect(run("0f bc c1", { RAX: 2n ** 40n, RCX: 8 }).get("RAX")).toBe(3n);
  });

  it("BSR counts from the bottom, LZCNT from the top, TZCNT of zero gives the width", () => {
    expect(run("66 0f bd c1", { RCX: 0x100 }).get("RAX")).toBe(8n);
    expect(run("f3 66 0f bd c1", { RCX: 0x100 }).get("RAX")).toBe(7n);
    const { get, flags } = run("f3 48 0f bc c1", { RCX: 0 });
    expect([get("RAX"), flags]).toEqual([64n, "CF"]);
    expect(run("f3 0f bc c1", { RCX: 1 }).flags).toBe("ZF");
  });

  it("POPCNT clears every flag but ZF", () => {
    const { get, flags } = run("f3 0f b8 c1", { RCX: 0xff00_ff00n, flags: "CF OF SF" });
    expect([get("RAX"), flags]).toEqual([16n, ""]);
  });

  it("BSWAP reverses bytes; of 16 bits it gives 0", () => {
    expect(run("48 0f c8", { RAX: 0x0102_0304_0506_0708n }).get("RAX")).toBe(0x0807_0605_0403_0201n);
    expect(run("66 0f c8", { RAX: 0x1234_5678 }).get("RAX")).toBe(0x1234_0000n);
  });
});

describe("BMI1, BMI2 and CRC32", () => {
  it("PEXT and PDEP are inverse under the mask", () => {
    const mask = 0xf0f0_1234_8000_0001n;
    const gathered = run("c4 e2 fa f5 c1", { RAX: 0x0123_4567_89ab_cdefn, RCX: mask }).get("RAX"); // pext rax, rax, rcx
    const spread = run("c4 e2 fb f5 c1", { RAX: gathered, RCX: mask }).get("RAX"); // pdep rax, rax, rcx
    expect(gathered).toBe(0x117n);
    expect(spread).toBe(0x0123_4567_89ab_cdefn & mask);
  });

  it("BZHI with an index beyond the operand copies it and sets CF", () => {
    const { get, flags } = run("c4 e2 70 f5 c2", { RDX: 0xffff_ffffn, RCX: 32 }); // bzhi eax, edx, ecx
    expect([get("RAX"), flags]).toEqual([0xffff_ffffn, "CF SF"]);
    expect(run("c4 e2 70 f5 c2", { RDX: 0xffff_ffffn, RCX: 4 }).get("RAX")).toBe(15n);
  });

  it("BEXTR cuts a field, empty when it starts beyond the operand", () => {
    expect(run("c4 e2 70 f7 c2", { RDX: 0x1234_5678, RCX: 0x0808 }).get("RAX")).toBe(0x56n); // bextr eax, edx, ecx
    expect(run("c4 e2 70 f7 c2", { RDX: 0x1234_5678, RCX: 0x0820 }).flags).toBe("ZF");
  });

  it("BLSI, BLSMSK and BLSR of zero", () => {
    expect(run("c4 e2 78 f3 d9", { RCX: 0 }).flags).toBe("ZF"); // blsi eax, ecx
    const mask = run("c4 e2 78 f3 d1", { RCX: 0 }); // blsmsk eax, ecx
    expect([mask.get("RAX"), mask.flags]).toEqual([0xffff_ffffn, "CF SF"]);
    expect(run("c4 e2 78 f3 c9", { RCX: 0 }).flags).toBe("CF ZF"); // blsr eax, ecx
  });

  it("CRC32 accumulates CRC-32C: the check value of 123456789", () => {
    let crc = 0xffff_ffffn;
    const text = [..."123456789"].map((letter) => letter.charCodeAt(0));
    for (const byte of text) crc = run("f2 0f 38 f0 c1", { RAX: crc, RCX: byte }).get("RAX");
    expect(crc ^ 0xffff_ffffn).toBe(0xe306_9283n);
    const eight = text.slice(0, 8).reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
    let wide = run("f2 48 0f 38 f1 c1", { RAX: 0xffff_ffffn, RCX: eight }).get("RAX");
    wide = run("f2 0f 38 f0 c1", { RAX: wide, RCX: text[8] }).get("RAX");
    expect(wide).toBe(crc);
  });
});
