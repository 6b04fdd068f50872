/** Programs of real instructions made from a seed: loops, calls, faults, strings, vectors, code that changes itself. */
import { access, segmentType, systemType } from "../../src/arch/descriptors.ts";
import { assemble } from "../../src/asm/index.ts";
import { powerOn } from "../../src/cpu/reset.ts";
import { generalRegisters } from "../../src/state/layout.ts";
import { Dice } from "../hostile/dice.ts";
import type { BareProcessor } from "./bare-processor.ts";
import { type Bits, places } from "./program-places.ts";
import { flowRoutines, flowStatement, otherMark } from "./random-flow.ts";

const status = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
const names = {
  8: ["al", "cl", "dl", "bl", "sil", "dil", "r8b", "r9b", "r10b", "r11b"],
  16: ["ax", "cx", "dx", "bx", "si", "di", "r8w", "r9w", "r10w", "r11w"],
  32: ["eax", "ecx", "edx", "ebx", "esi", "edi", "r8d", "r9d", "r10d", "r11d"],
  64: ["rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11"],
} as const; // biome-ignore format: one table
const low8 = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
type Size = keyof typeof names;
const keyword: Record<number, string> = { 8: "byte", 16: "word", 32: "dword", 64: "qword", 128: "xmmword" };

const arithmetic = ["add", "sub", "cmp", "and", "or", "xor", "test", "adc", "sbb"];
const unary = ["inc", "dec", "neg", "not"];
const shifts = ["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"];
const integerVectors = [
  "paddb", "paddw", "paddd", "paddq", "psubb", "psubw", "psubd", "psubq", "pand", "pandn", "por", "pxor", "pcmpeqb", "pcmpeqw", "pcmpeqd",
  "pcmpgtb", "pcmpgtw", "pcmpgtd", "pmullw", "pmulhw", "pmulhuw", "pmuludq", "pmaddwd", "packsswb", "packuswb", "packssdw", "punpcklbw",
  "punpckhdq", "punpcklqdq", "pavgb", "pminub", "pmaxsw", "psadbw", "pshufb", "phaddw", "psignb", "pmulld", "paddsb", "psubusw", "psllw", "psrad", "psrlq",
]; // biome-ignore format: one list
const floats = [
  "addps",
  "subpd",
  "mulss",
  "divsd",
  "sqrtps",
  "minpd",
  "maxss",
  "addsd",
  "mulpd",
  "divps",
  "cvtdq2ps",
  "cvtps2dq",
  "cvttps2dq",
  "unpcklps",
  "andps",
  "xorpd",
  "rcpps",
];
const immediates = [0, 1, -1, 2, 7, 0x7f, -0x80, 0x80, 0xff, 0x7fff, 0x8000, 0x7fff_ffff, -0x8000_0000];

class Writer {
  readonly lines: string[] = [];
  readonly #dice: Dice;
  readonly #bits: Bits;
  #labels = 0;
  #depth = 0;

  constructor(dice: Dice, bits: Bits) {
    this.#dice = dice;
    this.#bits = bits;
  }

  put(line: string): void {
    // A REX prefix and AH, CH, DH or BH exclude each other.
    const needsRex = this.#bits === 64 && /\br\d|\b[sd]il\b/.test(line);
    this.lines.push(needsRex ? line.replace(/\b([abcd])h\b/g, "$1l") : line);
  }

  label(): string {
    return `l${this.#labels++}`;
  }

  get #registers(): number {
    return this.#bits === 64 ? 10 : 6;
  }

  #size(): Size {
    return this.#dice.pick(
      this.#bits === 64 ? ([8, 16, 32, 32, 64, 64] as const) : ([8, 16, 32, 32, 32] as const),
    );
  }

  #register(size: Size): string {
    const { once, pick, below } = bound(this.#dice);
    if (size === 8) return this.#bits === 32 || once(2) ? pick(low8) : pick(names[8]);
    return names[size][below(this.#registers)]!;
  }

  /** A register of address width that is kept for data pointers. */
  get #pointer(): string {
    return this.#bits === 64 ? this.#dice.pick(["rbp", "r12", "r13"]) : "ebp";
  }

  /** An address: most in the data pages, some across pages, in read-only or absent ones, in the program, or nowhere. */
  #address(): string {
    const { once, pick, below } = bound(this.#dice);
    const at = once(12)
      ? pick([
          places.readOnly + below(64),
          places.absent + below(64),
          places.absent - below(16),
          places.afterAbsent - below(16),
          0x90_0000,
        ])
      : once(6)
        ? places.data + 0x1000 * (1 + below(2)) - below(16)
        : places.data + below(0x2ff0);
    if (this.#bits === 64 && once(8)) return `[rip + ${pick(["data", "data + 0xffc", "data + 0x1fff"])}]`;
    if (once(3)) return `[0x${at.toString(16)}]`;
    if (once(3)) {
      const index = this.#bits === 64 ? pick(["r14", "r15"]) : "edi";
      return `[${this.#pointer} + ${index}*${pick([1, 2, 4, 8])} + ${below(0x200)}]`;
    }
    return `[${this.#pointer} + ${below(0x400) - 0x80}]`;
  }

  memory(size: number): string {
    return `${keyword[size]} ptr ${this.#address()}`;
  }

  #immediate(size: Size): string {
    const value = this.#dice.once(2) ? this.#dice.pick(immediates) : this.#dice.next32() | 0;
    return size === 8 ? `${(value << 24) >> 24}` : size === 16 ? `${(value << 16) >> 16}` : `${value}`;
  }

  /** An instruction that sets flags. */
  producer(): void {
    const { once, pick, below } = bound(this.#dice);
    const size = this.#size();
    const dest = once(3) ? this.memory(size) : this.#register(size);
    const isMemory = dest.includes("[");
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: {
        const src = once(3)
          ? this.#immediate(size)
          : isMemory || once(2)
            ? this.#register(size)
            : this.memory(size);
        const mnemonic = pick(arithmetic);
        this.put(
          `${mnemonic} ${dest}, ${mnemonic === "test" && src.includes("[") ? this.#register(size) : src}`,
        );
        return;
      }
      case 5:
      case 6:
        this.put(`${pick(unary)} ${dest}`);
        return;
      case 7:
        this.put(`${pick(shifts)} ${dest}, ${once(2) ? "cl" : below(70)}`);
        return;
      case 8: {
        const wide = size === 8 ? 32 : size;
        const other = this.#register(wide);
        this.put(
          pick([
            `imul ${other}, ${this.#register(wide)}`,
            `bt ${other}, ${below(64)}`,
            `bts ${this.memory(wide)}, ${other}`,
            `shld ${other}, ${this.#register(wide)}, ${once(2) ? "cl" : below(40)}`,
            `bsf ${other}, ${this.#register(wide)}`,
            `bsr ${other}, ${this.memory(wide)}`,
            `popcnt ${other}, ${this.#register(wide)}`,
            `tzcnt ${other}, ${this.#register(wide)}`,
            `xadd ${this.memory(wide)}, ${other}`,
            `cmpxchg ${this.memory(wide)}, ${other}`,
            `lock add ${this.memory(wide)}, ${other}`,
            `mul ${other}`,
            `btc ${other}, ${this.#register(wide)}`,
          ]),
        );
        return;
      }
      default:
        this.put(
          pick([
            "cmc",
            "stc",
            "clc",
            "sahf",
            "comisd xmm0, xmm1",
            "ucomiss xmm2, xmm3",
            "ptest xmm1, xmm2",
            "popfimage",
            "cld",
          ]),
        );
        if (this.lines.at(-1) === "popfimage") {
          this.lines.pop();
          this.put(`push ${below(0x1000) & 0xcd5}`);
          this.put(this.#bits === 64 ? "popfq" : "popfd");
        }
    }
  }

  /** An instruction that reads them; most often right behind the one that sets them. */
  consumer(): void {
    const { once, pick, below } = bound(this.#dice);
    const condition = pick(status);
    const size = this.#size();
    const wide = size === 8 ? 32 : size;
    switch (below(8)) {
      case 0:
      case 1:
      case 2: {
        const end = this.label();
        this.put(`j${condition} ${end}`);
        for (let n = below(3); n > 0; n--) this.statement();
        this.put(`${end}:`);
        return;
      }
      case 3:
        this.put(`set${condition} ${once(2) ? this.memory(8) : this.#register(8)}`);
        return;
      case 4:
        this.put(
          `cmov${condition} ${this.#register(wide)}, ${once(2) ? this.memory(wide) : this.#register(wide)}`,
        );
        return;
      case 5:
        this.put(
          `${pick(["adc", "sbb"])} ${once(3) ? this.memory(size) : this.#register(size)}, ${this.#register(size)}`,
        );
        return;
      case 6:
        this.put(
          pick(["lahf", "pushf", "rclone", "setalc"]) === "lahf"
            ? "lahf"
            : `${pick(["rcl", "rcr"])} ${this.#register(wide)}, 1`,
        );
        return;
      default:
        this.put(this.#bits === 64 ? "pushfq" : "pushfd");
        this.put(`pop ${this.#bits === 64 ? "rax" : "eax"}`);
    }
  }

  #move(): void {
    const { once, pick, below } = bound(this.#dice);
    const size = this.#size();
    const wide = size === 8 ? 16 : size;
    this.put(
      pick([
        `mov ${this.#register(size)}, ${this.memory(size)}`,
        `mov ${this.memory(size)}, ${this.#register(size)}`,
        `mov ${this.memory(size)}, ${this.#immediate(size)}`,
        `mov ${this.#register(size)}, ${this.#immediate(size)}`,
        `movzx ${this.#register(32)}, ${once(2) ? this.memory(8) : this.#register(16)}`,
        `movsx ${this.#register(32)}, ${once(2) ? this.memory(16) : this.#register(16)}`,
        `xchg ${this.memory(size)}, ${this.#register(size)}`,
        `lea ${this.#register(this.#bits)}, [${this.#pointer} + ${this.#register(this.#bits)}*4 + ${below(100)}]`,
        `xchg ${this.#register(wide)}, ${this.#register(wide)}`,
        `bswap ${this.#register(32)}`,
        `movbe ${this.#register(wide)}, ${this.memory(wide)}`,
        "cdq",
        "cwde",
        `push ${this.#register(this.#bits)}`,
        `pop ${this.memory(this.#bits)}`,
        `push ${this.memory(this.#bits)}`,
      ]),
    );
  }

  #string(): void {
    const { once, pick, below } = bound(this.#dice);
    const [count, source, destination] = this.#bits === 64 ? ["rcx", "rsi", "rdi"] : ["ecx", "esi", "edi"];
    const letter = pick(this.#bits === 64 ? ["b", "w", "d", "q"] : ["b", "w", "d"]);
    const at = (): string =>
      `0x${(once(8) ? pick([places.readOnly, places.absent, places.absent - 40]) : places.data + below(0x2c00)).toString(16)}`;
    const backwards = once(4);
    this.put(`mov ${count}, ${once(4) ? below(3) : below(300)}`);
    this.put(`mov ${source}, ${at()}`);
    this.put(
      `mov ${destination}, ${once(6) ? `0x${(places.code + 0x2000 + below(0x800)).toString(16)}` : at()}`,
    );
    if (backwards) this.put("std");
    const operation = pick(["movs", "stos", "lods", "cmps", "scas", "movs", "stos"]);
    const compares = operation === "cmps" || operation === "scas";
    const prefix = once(5) ? "" : compares ? pick(["repe ", "repne "]) : "rep ";
    this.put(`${prefix}${operation}${letter}`);
    if (compares && once(2)) this.consumer();
    if (backwards) this.put("cld");
  }

  #vector(): void {
    const { once, pick, below } = bound(this.#dice);
    const x = (): string => `xmm${below(this.#bits === 64 ? 16 : 8)}`;
    const aligned = `xmmword ptr [0x${(places.data + 16 * below(0x2f0) + (once(10) ? 4 : 0)).toString(16)}]`;
    this.put(
      pick([
        `${pick(integerVectors)} ${x()}, ${x()}`,
        `${pick(integerVectors)} ${x()}, ${aligned}`,
        `${pick(floats)} ${x()}, ${x()}`,
        `movdqu ${x()}, ${this.memory(128)}`,
        `movups ${this.memory(128)}, ${x()}`,
        `movaps ${aligned}, ${x()}`,
        `movd ${x()}, ${this.#register(32)}`,
        `movd ${this.#register(32)}, ${x()}`,
        `pmovmskb ${this.#register(32)}, ${x()}`,
        `pshufd ${x()}, ${x()}, ${below(256)}`,
        `cvtsi2sd ${x()}, ${this.#register(32)}`,
        `cvttsd2si ${this.#register(32)}, ${x()}`,
        `cmpps ${x()}, ${x()}, ${below(8)}`,
        `movss ${x()}, ${this.memory(32)}`,
        `movsd ${this.memory(64)}, ${x()}`,
        `palignr ${x()}, ${x()}, ${below(20)}`,
        `comiss ${x()}, ${x()}`,
      ]),
    );
  }

  #fault(): void {
    const { pick, below } = bound(this.#dice);
    this.put(
      pick([
        `div ${this.#register(32)}`,
        `idiv ${this.#register(8)}`,
        `idiv ${this.memory(32)}`,
        "ud2",
        `int ${pick([3, 0x30, 0x31])}`,
        "int3",
        `mov ${this.#register(32)}, dword ptr [0x${places.absent.toString(16)} + ${below(4096)}]`,
        `add dword ptr [0x${places.readOnly.toString(16)} + ${below(4090)}], ${this.#register(32)}`,
        `inc qword ptr [0x${(places.absent - 4).toString(16)}]`,
        this.#bits === 64 ? "mov rax, [r15*8 + 0x7fffffff]" : "into",
        "cpuid",
        "sti",
        "sti",
        "cli",
        `sti\n${pick(["nop", "sti", "cli", "ud2"])}`,
        `mov ecx, ss\nmov ss, cx\n${pick(["nop", "ud2", "sti", "inc eax"])}`,
        `mov ${this.#bits === 64 ? "rax" : "eax"}, cr0`,
        "fld1",
        "fldpi",
        "faddp",
        `fstp qword ptr [0x${(places.data + 8 * below(100)).toString(16)}]`,
        "emms",
        `movq mm0, qword ptr [0x${places.data.toString(16)}]`,
        "paddb mm1, mm0",
        `push ${0x100}\npopf${this.#bits === 64 ? "q" : "d"}\nnop\nnop\npush 2\npopf${this.#bits === 64 ? "q" : "d"}`,
      ]).replace("inc qword", this.#bits === 64 ? "inc qword" : "inc dword"),
    );
  }

  /** Stores into code: the next instruction's immediate, the block's own, or another page's. */
  #selfModify(): void {
    const { once, pick, below } = bound(this.#dice);
    const target = this.label();
    const back = once(2);
    const where = pick([`${target} + 1`, `${target} + 2`, `${target} + 4`]);
    const size = pick(["byte", "word", "dword"]);
    const store = pick([
      `mov ${size} ptr [${where}], ${below(100)}`,
      `add byte ptr [${where}], ${below(100)}`,
      `inc byte ptr [${where}]`,
      `xor ${size} ptr [${target} + 1], ${below(120)}`,
    ])
      .replace(/\+ 4\]/, size === "byte" ? "+ 4]" : "+ 1]")
      .replace(/\+ 2\]/, size === "dword" ? "+ 1]" : "+ 2]");
    const consumer = pick([`jc ${target}x`, `setc cl`, `adc ebx, 5`, `cmovz ebx, edx`, ""]);
    const victim = (): void => {
      this.put(`${target}:`);
      this.put(`db ${pick(["0xb8", "0xb9", "0xba", "0xbb", "0x05", "0x2d", "0x35"])}`);
      this.put(`dd ${this.#dice.next32()}`);
    };
    if (back) victim();
    for (let n = below(3); n > 0; n--) this.statement();
    this.put(store);
    if (consumer) this.put(consumer);
    if (!back) victim();
    this.put(`${target}x:`);
  }

  /** Changes of page tables, each followed by what makes it valid: rights, other frames, a page of code seen twice. */
  #paging(): void {
    const { once, pick, below } = bound(this.#dice);
    const page = pick([
      places.data,
      places.data + 0x1000,
      places.data + 0x2000,
      places.readOnly,
      places.absent,
    ]);
    const entry = `[${places.table + (page >>> 9)}]`;
    const frame = pick([
      page,
      places.data + 0x1000 * below(3),
      places.code + 0x1000 * below(places.codePages),
    ]);
    this.put(
      pick([
        `xor byte ptr ${entry}, 2`,
        `xor byte ptr ${entry}, 1`,
        `and byte ptr ${entry}, 0x9f`,
        `mov dword ptr ${entry}, ${frame | 3 | (once(3) ? 0x100 : 0)}`,
        `mov dword ptr ${entry}, ${frame | 1}`,
        `mov dword ptr ${entry}, ${page | 3}`,
      ]),
    );
    const register = this.#bits === 64 ? "rax" : "eax";
    this.put(
      pick([
        `invlpg [${page}]`,
        `invlpg [${page + below(4096)}]`,
        `mov ${register}, cr4\nxor ${register}, 0x80\nmov cr4, ${register}`,
        `mov ${register}, cr4\nxor ${register}, 0x80\nmov cr4, ${register}\nxor ${register}, 0x80\nmov cr4, ${register}`,
      ]),
    );
    if (once(3)) this.put(`mov ${register}, cr3\nmov cr3, ${register}\nmov ${register}, 7`);
    if (once(2)) this.put(`mov dword ptr [${page + 8 + below(4088)}], ${below(256)}`);
  }

  #loop(): void {
    const { pick, below } = bound(this.#dice);
    const start = this.label();
    const slot = `dword ptr [0x${(places.counters + 0x400 + 4 * this.#depth).toString(16)}]`;
    this.#depth++;
    this.put(`mov ${slot}, ${1 + below(this.#depth > 1 ? 5 : 30)}`);
    this.put(`${start}:`);
    for (let n = 1 + below(6); n > 0; n--) this.statement();
    this.put(`${pick(["dec", "sub"])} ${slot}`.replace(/^sub (.*)$/, "sub $1, 1"));
    this.put(`${pick(["jnz", "jg"])} ${start}`);
    this.#depth--;
  }

  #flow(): void {
    flowStatement({
      dice: this.#dice,
      bits: this.#bits,
      put: (line) => this.put(line),
      label: () => this.label(),
      memory: (size) => this.memory(size),
      producer: () => this.producer(),
      consumer: () => this.consumer(),
      plain: () => this.#move(),
    });
  }

  statement(): void {
    const { below, once, pick } = bound(this.#dice);
    const roll = below(47);
    if (roll < 12) {
      this.producer();
      if (!once(4)) this.consumer();
    } else if (roll < 15) this.consumer();
    else if (roll < 24) this.#move();
    else if (roll < 27 && this.#depth < 3) this.#loop();
    else if (roll < 29) this.#string();
    else if (roll < 34) this.#vector();
    else if (roll < 36) this.#fault();
    else if (roll < 38) this.#selfModify();
    else if (roll < 39 && once(2)) this.#paging();
    else if (roll < 39) this.put(`call ${pick(["same_page", "next_page", "third"])}`);
    else if (roll < 46) this.#flow();
    else {
      const target = this.label();
      this.put(`lea ${this.#bits === 64 ? "rax" : "eax"}, [${target}]`);
      this.put(`jmp ${this.#bits === 64 ? "rax" : "eax"}`);
      this.put(`${target}:`);
    }
  }
}

const bound = (dice: Dice) => ({
  once: (times: number): boolean => dice.once(times),
  below: (limit: number): number => dice.below(limit),
  pick: <T>(list: readonly T[]): T => dice.pick(list),
});

/**
 * A program's text. It begins near the end of a page, so that its first instructions cross into the next; the routines it calls are in
 * the last page of code.
 */
export const programText = (seed: number, bits: Bits): string => {
  const dice = new Dice(seed * 2 + (bits === 64 ? 1 : 0));
  const writer = new Writer(dice, bits);
  const linesOf = (write: () => void): string[] => {
    write();
    return writer.lines.splice(0);
  };
  const lead = 0x1000 - dice.below(300);
  const statements = Array.from({ length: 10 + dice.below(25) }, () => linesOf(() => writer.statement()));
  const routines = linesOf(() => {
    writer.put("same_page:");
    writer.producer();
    writer.consumer();
    writer.put(`ret\nalign 4096\ntimes ${dice.below(20)} nop\nnext_page:`);
    for (let n = dice.below(6); n > 0; n--) writer.producer();
    writer.put(
      `call third\nret\nthird:\n${bits === 64 ? "inc qword ptr [rsp - 64]" : "inc dword ptr [esp - 64]"}\nret`,
    );
  });
  for (;;) {
    const text = [
      `bits ${bits}\norg ${places.code}\ndata equ ${places.data}\ntimes ${lead} nop\nstart:`,
      ...statements.flat(),
      "jmp start",
      ...routines,
      flowRoutines(bits),
    ].join("\n");
    if (codeOf(text, bits).bytes.length <= places.codePages * 4096) return text;
    statements.pop();
  }
};

const assembled = new Map<string, ReturnType<typeof codeOf>>();
const codeOf = (
  text: string,
  codeSize: Bits,
): { bytes: Uint8Array; start: bigint; mark: bigint | undefined } => {
  const known = assembled.get(text);
  if (known) return known;
  const result = assemble(text, { codeSize });
  if (result.kind === "errors")
    throw new Error(
      result.errors.map(({ line, message }) => `${message}: ${text.split("\n")[line - 1]}`).join("\n"),
    );
  const made = {
    bytes: result.bytes,
    start: result.symbols.get("start") ?? result.origin,
    mark: result.symbols.get("mark"),
  };
  if (assembled.size > 8) assembled.clear();
  assembled.set(text, made);
  return made;
};

/**
 * Handlers count their vector and go on: traps behind the instruction, faults two bytes further on, which is another
 * instruction as often as not. What they go on with is the same in every tier.
 */
const handlerText = (bits: Bits): string => {
  const [sp, ip] = bits === 64 ? ["rsp", "qword"] : ["esp", "dword"];
  const lines = [`bits ${bits}`, `org ${places.handlers}`];
  for (let vector = 0; vector < 64; vector++) {
    const hasCode = [8, 10, 11, 12, 13, 14, 17].includes(vector);
    const isTrap = [1, 2, 3, 4].includes(vector) || vector >= 32;
    lines.push(`align 32\ninc dword ptr [${places.counters + 4 * vector}]`);
    if (hasCode) lines.push(`lea ${sp}, [${sp} + ${bits / 8}]`);
    if (!isTrap) lines.push(`add ${ip} ptr [${sp}], 2`);
    if (vector === 1)
      lines.push(`and ${ip} ptr [${sp} + ${bits / 4}], 0xfffffeff`.replace("0xfffffeff", "-257"));
    lines.push(bits === 64 ? "iretq" : "iretd");
  }
  return lines.join("\n");
};
const handlers = { 32: codeOf(handlerText(32), 32).bytes, 64: codeOf(handlerText(64), 64).bytes };

const paging = { present: 1n, writable: 2n, user: 4n };

/** Put a program into memory and the processor at its start. */
export const placeProgram = (
  bare: BareProcessor,
  seed: number,
  bits: Bits,
  text: string = programText(seed, bits),
): void => {
  const { guest, processor } = bare;
  const { state } = processor;
  const dice = new Dice(seed + 0x5000);
  const { bytes, start, mark } = codeOf(text, bits);
  powerOn(processor, true);
  const ram = new Uint8Array(places.ramBytes);
  for (let at: number = places.data; at < 0x1_9000; at++) ram[at] = dice.below(256);
  const view = new DataView(ram.buffer);
  ram.set(bytes.subarray(0, places.codePages * 4096), places.code);
  ram.set(handlers[bits], places.handlers);
  const lastPage = places.code + (places.codePages - 1) * 4096;
  ram.copyWithin(places.spare, lastPage, lastPage + 4096);
  if (mark !== undefined) view.setUint32(places.spare + (Number(mark) & 0xfff) + 1, otherMark, true);
  const put = (address: number, value: bigint): void =>
    view.setBigUint64(address, BigInt.asUintN(64, value), true);

  const long = bits === 64;
  const codeRights =
    access.P |
    access.S |
    access.G |
    segmentType.code |
    segmentType.readable |
    segmentType.accessed |
    (long ? access.L : access.DB);
  const dataRights = access.P | access.S | access.G | access.DB | segmentType.writable | segmentType.accessed;
  const describe = (rights: number): bigint => 0xffffn | (BigInt(rights) << 40n) | (0xfn << 48n);
  put(places.gdt + 8, describe(codeRights));
  put(places.gdt + 16, describe(dataRights));
  for (let vector = 0; vector < 64; vector++) {
    const target = BigInt(places.handlers + 32 * vector);
    const gate = (target & 0xffffn) | (8n << 16n) | (0x8en << 40n) | ((target >> 16n) << 48n);
    put(places.idt + (long ? 16 : 8) * vector, gate);
  }
  const rights = paging.present | paging.writable;
  put(places.pml4, BigInt(places.pdpt) | rights);
  put(places.pdpt, BigInt(places.directory) | (long ? rights : paging.present));
  put(places.directory, BigInt(places.table) | rights);
  for (let page = 0; page < 32; page++) {
    const address = page * 4096;
    if (address === places.absent) continue;
    put(places.table + 8 * page, BigInt(address) | (address === places.readOnly ? paging.present : rights));
  }
  for (let page = 0; page < places.codePages; page++)
    put(places.table + ((places.alias + 4096 * page) >>> 9), BigInt(places.code + 4096 * page) | rights);
  put(places.table + (places.remapped >>> 9), BigInt(lastPage) | rights);
  guest.writeBytes(0, ram);

  state["GDTR.base"] = BigInt(places.gdt);
  state["GDTR.limit"] = 23;
  state["IDTR.base"] = BigInt(places.idt);
  state["IDTR.limit"] = 64 * (long ? 16 : 8) - 1;
  for (const name of ["CS", "SS", "DS", "ES", "FS", "GS"] as const) {
    state[`${name}.selector`] = name === "CS" ? 8 : 16;
    state[`${name}.base`] = 0n;
    state[`${name}.limit`] = 0xffff_ffff;
    state[`${name}.access`] = name === "CS" ? codeRights : dataRights;
  }
  state["TR.base"] = BigInt(places.tss);
  state["TR.limit"] = 0x67;
  state["TR.access"] = access.P | systemType.busyTSS32;
  state.CR0 = 0x8001_0033n;
  state.CR4 = 0x620n;
  state.CR3 = BigInt(long ? places.pml4 : places.pdpt);
  if (long) state.IA32_EFER = 0x500n;
  else state.PDPTE0 = BigInt(places.directory) | paging.present;
  for (const name of generalRegisters) {
    const value = dice.once(2) ? BigInt(dice.below(300)) : dice.next64();
    state[name] = long ? value : BigInt.asUintN(32, value);
  }
  for (const name of ["RBP", "R12", "R13"] as const)
    if (long || name === "RBP") state[name] = BigInt(places.data + dice.below(0x2800));
  if (long) for (const name of ["R14", "R15"] as const) state[name] = BigInt(dice.below(0x100));
  else for (const name of generalRegisters.slice(8)) state[name] = 0n;
  state.RSP = BigInt(places.stackTop - 0x800);
  state.RIP = start;
  state.RFLAGS = 2n | (BigInt(dice.below(0x1000)) & 0x8d5n);
  state.MXCSR = dice.pick([0x1f80, 0x1f80, 0x9fc0, 0x7f80, 0x1f00, 0x3f80]);
  for (let n = 0; n < 16; n++)
    for (const [at] of new Uint8Array(16).entries()) state.bytes(`XMM${n}`)[at] = dice.below(256);
  processor.invalidate({ kind: "all" });
};
