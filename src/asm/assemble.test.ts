import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decode, isInstruction } from "../isa/decode.ts";
import { disassemble } from "../isa/disassemble.ts";
import { rows } from "../isa/maps/index.ts";
import { instancesOf, Random } from "../isa/row-instances.fixture.ts";
import { type AssemblyOptions, assemble, machineCode } from "./index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const code = (text: string, options: AssemblyOptions = {}): string => hex(machineCode(text, options));
const complaint = (text: string, options: AssemblyOptions = {}): string => {
  const result = assemble(text, options);
  return result.kind === "errors"
    ? result.errors.map(({ line, message }) => `${line}: ${message}`).join("; ")
    : "none";
};

describe("assemble", () => {
  it("chooses the encodings GNU as chooses", () => {
    const golden = readFileSync(new URL("./gnu-as.golden.txt", import.meta.url), "utf8");
    const differences: string[] = [];
    for (const line of golden.split("\n")) {
      const [, size, bytes, text] = /^(\d+) (\w+) +(.*)$/.exec(line) ?? [];
      if (text === undefined) continue;
      const result = assemble(text, { codeSize: Number(size) as 16 | 32 | 64 });
      const ours = result.kind === "assembly" ? hex(result.bytes) : result.errors[0]!.message;
      if (ours !== bytes) differences.push(`${size}-bit ${text}: ${ours}, GNU as ${bytes}`);
    }
    expect(differences).toEqual([]);
  });

  it("reads back what disassemble writes, for every row", () => {
    const random = new Random(5);
    const differences: string[] = [];
    const text = (bytes: Uint8Array, codeSize: 16 | 32 | 64): string => {
      const mode = { codeSize, stackSize: codeSize, realLike: false };
      const instruction = decode(bytes, 0, bytes.length, mode, () => true);
      return isInstruction(instruction) ? disassemble(instruction) : "no instruction";
    };
    let turn = 0;
    for (const row of rows)
      for (const codeSize of [16, 32, 64] as const)
        for (const { bytes } of instancesOf(row, codeSize, random)) {
          if (turn++ % 15 !== 0) continue;
          const written = text(bytes, codeSize);
          const result = assemble(written, { codeSize });
          const again = result.kind === "assembly" ? text(result.bytes, codeSize) : result.errors[0]!.message;
          // MOVQ has a form where REX.W says the width and one where it is idle.
          if (again !== written && again !== written.replace(/^o64 (a32 )?movq/, "$1movq"))
            differences.push(`${codeSize}-bit ${hex(bytes)} ${written}: ${again}`);
        }
    expect(differences).toEqual([]);
  });

  it("resolves labels in both directions and grows jumps that do not fit", () => {
    expect(code("start: jmp end\n jmp start\nend: nop")).toBe("eb02ebfc90");
    expect(code("jmp end\ntimes 127 nop\nend:").slice(0, 4)).toBe("eb7f");
    expect(code("jmp end\ntimes 128 nop\nend:").slice(0, 10)).toBe("e980000000");
    expect(code("je near end\nend:")).toBe("0f8400000000");
    expect(code("jmp $")).toBe("ebfe");
    expect(code("call 0x1000", { origin: 0x1000 })).toBe("e8fbffffff");
    expect(code("jmp next\nalign 16\nnext: ret").length).toBe(34);
    expect(complaint("jmp short end\ntimes 128 nop\nend:")).toContain("does not fit in 8 bits");
  });

  it("keeps local labels with their label", () => {
    const result = assemble("one: .again: jmp .again\ntwo: .again: jmp .again\njmp one.again");
    expect(result.kind === "assembly" && hex(result.bytes)).toBe("ebfeebfeebfa");
    expect(result.kind === "assembly" && result.symbols.get("two.again")).toBe(2n);
  });

  it("uses full-size fields for addresses", () => {
    expect(code("mov eax, [rip+there]\nthere:")).toBe("8b0500000000");
    expect(code("mov eax, [rel there]\nthere: nop")).toBe("8b050000000090");
    expect(code("mov eax, [there]\nthere:")).toBe("8b042507000000");
    expect(code("add eax, there\nthere:", { codeSize: 32 })).toBe("0505000000");
    expect(code("mov rax, there\nthere:", { origin: 0xffffffff80000000n })).toBe("48c7c007000080");
    expect(code("mov rax, there\nthere:", { origin: 0x100000000n })).toBe("48b80a00000001000000");
    expect(code("lea rsi, [rip+text]\ntext: db 'hi', 0")).toBe("488d3500000000686900");
    expect(code("mov ax, [there]\nthere:", { codeSize: 16 })).toBe("a10300");
  });

  it("lays down data", () => {
    expect(code("db 1, 'ab', -1, 0xff")).toBe("016162ffff");
    expect(code("dw 'abc', 0x1234")).toBe("616263003412");
    expect(code("dd 1.5, here\nhere: dq -1.0")).toBe("0000c03f08000000000000000000f0bf");
    expect(code("resb 3\nalign 4\nresw 1")).toBe("000000900000");
    expect(code("times 3 db 7")).toBe("070707");
    expect(code("times 8-($-$$) db 0")).toBe("0000000000000000");
    expect(code("size equ end-begin\nmov cl, size\nbegin: dq 0\nend:")).toBe("b1080000000000000000");
  });

  it("obeys org, bits and given symbols", () => {
    expect(code("org 0x7c00\nbits 16\nmov si, text\nhlt\ntext: db 0")).toBe("be047cf400");
    expect(code("nop\norg 4\nnop")).toBe("9000000090");
    expect(code("mov eax, PORT", { symbols: { PORT: 0x3f8 } })).toBe("b8f8030000");
    expect(code("bits 32\ninc eax\nbits 64\ninc eax")).toBe("40ffc0");
  });

  it("takes explicit encodings", () => {
    expect(code("{load} add eax, ecx")).toBe("03c1");
    expect(code("{store} movaps xmm0, xmm1")).toBe("0f29c8");
    expect(code("{disp32} mov eax, [rbx]")).toBe("8b8300000000");
    expect(code("{disp8} mov eax, [rbx]")).toBe("8b4300");
    expect(code("{rex} mov eax, ecx")).toBe("4089c8");
    expect(code("add eax, strict dword 1")).toBe("0501000000");
    expect(code("push strict dword 1")).toBe("6801000000");
    expect(code("a32 mov eax, [0xfffffff0]")).toBe("67a1f0ffffff");
    expect(code("o16 retf")).toBe("66cb");
    expect(code("rep fs movsd")).toBe("64f3a5");
    expect(code("cs mov eax, [bx]", { codeSize: 16 })).toBe("2e668b07");
  });

  it("says which line is wrong and why", () => {
    expect(complaint("nop\nfrob eax")).toBe('2: there is no instruction "frob"');
    expect(complaint("add eax, cl")).toBe("1: no form of add takes eax, cl");
    expect(complaint("inc [rax]")).toBe("1: the memory operand needs a size: byte, word, dword or qword");
    expect(complaint("mov eax, nowhere")).toBe('1: there is no symbol "nowhere"');
    expect(complaint("a:\na:")).toBe('2: "a" is defined twice');
    expect(complaint("push eax")).toContain("no 32-bit operand size in 64-bit mode");
    expect(complaint("mov ah, sil")).toContain("AH, CH, DH and BH");
    expect(complaint("mov eax, [rax+ebx]")).toBe("1: an address mixes registers of different widths");
    expect(complaint("db 256")).toBe("1: 256 does not fit in 8 bits");
    expect(complaint("db 'x")).toBe("1: a string has no end");
    expect(complaint("lock mov [rax], eax")).toContain("LOCK is not allowed");
    expect(complaint("align 3")).toBe("1: an alignment is a power of two");
    expect(complaint("mov eax, 1 / 0")).toBe("1: division by zero");
    expect(complaint("nop nop")).not.toBe("none");
    expect(complaint("times 0x10000000 dq 0")).not.toBe("none");
  });
});
