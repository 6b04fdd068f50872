/** Statements of random programs that are about control: where code comes from, where it goes, and what is known on the way. */
import type { Dice } from "../hostile/dice.ts";
import { type Bits, places } from "./program-places.ts";

/** What these statements need of the program's writer. */
export interface FlowWriter {
  readonly dice: Dice;
  readonly bits: Bits;
  put(line: string): void;
  label(): string;
  /** An operand in memory. */
  memory(size: number): string;
  /** Set the flags; read them; do neither. */
  producer(): void;
  consumer(): void;
  plain(): void;
}

/** The offset of the pages that show the code again, and of the page that shows now one frame, now another. */
const aliasDistance = places.alias - places.code;
const remapDistance = places.remapped - (places.code + 0x2000);

/** A value for switching on, in the accumulator: 0 to 3. */
const chooser = ({ bits, dice }: FlowWriter): string =>
  `mov ${bits === 64 ? "r8d" : "ecx"}, dword ptr [0x${(places.counters + 0x300 + 4 * dice.below(3)).toString(16)}]`;

/** A jump or call through a table of addresses: the next of four places each time. */
const throughTable = (writer: FlowWriter): void => {
  const { bits, dice } = writer;
  const counter = `dword ptr [0x${(places.counters + 0x300 + 4 * dice.below(3)).toString(16)}]`;
  const [index, table, end] = [bits === 64 ? "r8" : "ecx", writer.label(), writer.label()];
  const calls = dice.once(2);
  const cases = Array.from({ length: 4 }, () => writer.label());
  writer.put(`inc ${counter}`);
  writer.put(chooser(writer));
  writer.put(`and ${bits === 64 ? "r8d" : "ecx"}, 3`);
  const operand = bits === 64 ? `qword ptr [${table} + ${index}*8]` : `dword ptr [${table} + ${index}*4]`;
  writer.put(`${calls ? "call" : "jmp"} ${operand}`);
  if (calls) writer.put(`jmp ${end}`);
  else if (dice.once(2)) writer.put("ud2");
  writer.put(`${table}: ${bits === 64 ? "dq" : "dd"} ${cases.join(", ")}`);
  for (const label of cases) {
    writer.put(`${label}:`);
    if (dice.once(2)) writer.producer();
    else writer.plain();
    if (calls) writer.put(dice.once(4) ? "ret 0" : "ret");
    else writer.put(`jmp ${end}`);
  }
  writer.put(`${end}:`);
};

/** An instruction whose immediate is code, too: entered at its first byte or behind it. */
const intoTheMiddle = (writer: FlowWriter): void => {
  const { dice } = writer;
  const [start, status] = [writer.label(), dice.pick(["z", "c", "s", "o", "p", "nz", "nc"])];
  writer.producer();
  writer.put(`j${status} ${start} + ${1 + dice.below(2)}`);
  writer.put(`${start}:`);
  const inner = dice.pick([
    "0x90, 0x90, 0x43, 0x90", // nop, nop, inc ebx or REX.XB nop, nop
    "0x01, 0xd8, 0xf9, 0x90", // add eax, ebx; stc; nop
    "0xf8, 0x83, 0xd3, 0x05", // clc; adc ebx, 5
    "0x29, 0xcb, 0x11, 0xd0", // sub ebx, ecx; adc eax, edx
    "0xeb, 0x00, 0x90, 0x90", // jmp $+2; nop; nop
  ]);
  writer.put(`db ${dice.pick(["0xb8", "0xbb", "0x05", "0x3d", "0xa9"])}, ${inner}`);
  writer.put("rol bl, 1");
  if (dice.once(2)) writer.consumer();
};

/** Flags that are read long after they were set, with memory, jumps and calls in between that leave them alone. */
const farFlags = (writer: FlowWriter): void => {
  const { dice } = writer;
  writer.producer();
  for (let n = 1 + dice.below(5); n > 0; n--) {
    const between = dice.below(5);
    if (between === 0) {
      const label = writer.label();
      writer.put(`jmp ${label}`);
      if (dice.once(2)) writer.put("ud2");
      writer.put(`${label}:`);
    } else if (between === 1) writer.put("call leaf");
    else writer.plain();
  }
  writer.consumer();
  if (dice.once(2)) writer.consumer();
};

/** A routine called where its page is seen a second time, or stored into there. */
const aliased = (writer: FlowWriter): void => {
  const { dice } = writer;
  if (dice.once(2))
    writer.put(`call ${dice.pick(["same_page", "next_page", "third", "leaf"])} + ${aliasDistance}`);
  else {
    const target = writer.label();
    writer.put(`mov byte ptr [${target} + ${aliasDistance + 1 + dice.below(4)}], ${dice.below(100)}`);
    if (dice.once(2)) writer.plain();
    writer.put(`${target}: db 0xbb`);
    writer.put(`dd ${dice.next32()}`);
  }
};

/** Runs code of a page that shows another frame after the routine's own INVLPG. */
const remaps = (writer: FlowWriter): void => {
  const { dice } = writer;
  // Accessed and dirty already: when a fetch sets those is the processor's own business.
  for (let n = 1 + dice.below(3); n > 0; n--) {
    writer.put(`mov edi, ${dice.pick([places.code + 0x2000, places.spare]) | 0x63}`);
    writer.put(`call remap_itself + ${remapDistance}`);
  }
};

/** Small loops that count in a register: what regions are made for. */
const countedLoop = (writer: FlowWriter): void => {
  const { bits, dice } = writer;
  const start = writer.label();
  const count = 3 + dice.below(60);
  const [counter, pointer] = bits === 64 ? ["r9", "rsi"] : ["edx", "esi"];
  writer.put(`mov ${counter}, ${count}`);
  writer.put(`mov ${pointer}, ${places.data + dice.below(0x2800)}`);
  writer.put(`${start}:`);
  for (let n = 1 + dice.below(5); n > 0; n--)
    writer.put(
      dice.pick([
        `add eax, dword ptr [${pointer}]`,
        `mov dword ptr [${pointer} + 4], eax`,
        `add ${pointer}, ${dice.pick([1, 4, 8])}`,
        "imul ebx, eax, 1103515245",
        "xor eax, ebx",
        `movzx ecx, byte ptr [${pointer} + ${dice.below(40)}]`,
        `add dword ptr [${pointer} + 8], ecx`,
        `cmp al, bl`,
        `adc eax, 7`,
        `rol eax, ${1 + dice.below(31)}`,
        `shl ebx, cl`,
        "call leaf",
        `mov byte ptr [${pointer}], al`,
        `mov ah, byte ptr [${pointer} + 1]`,
        `mulsd xmm1, xmm2`,
        `addsd xmm3, qword ptr [0x${places.data.toString(16)}]`,
        `movdqu xmm4, xmmword ptr [${pointer}]`,
        `paddd xmm4, xmm5`,
      ]),
    );
  if (dice.once(3)) writer.put(`test al, ${1 << dice.below(8)}\nj${dice.pick(["z", "nz"])} ${start}x`);
  if (dice.once(2)) writer.put(`dec ${counter}\njnz ${start}`);
  else writer.put(`sub ${counter}, 1\nj${dice.pick(["nz", "ne", "g"])} ${start}`);
  writer.put(`${start}x:`);
};

const x87 = (writer: FlowWriter): void => {
  const { dice } = writer;
  const at = (size: string): string =>
    `${size} ptr [0x${(places.data + 8 * dice.below(0x500)).toString(16)}]`;
  for (let n = 1 + dice.below(4); n > 0; n--)
    writer.put(
      dice.pick([
        `fld ${at("qword")}`, `fld ${at("dword")}`, `fild ${at("dword")}`, `fild ${at("qword")}`, "fldz", "fld1", "fadd st0, st1", "fmul st0, st1",
        "fsub st0, st1", "fdiv st0, st1", "faddp", "fmulp", "fxch", "fchs", "fabs", "fsqrt", "frndint", `fstp ${at("qword")}`, `fstp ${at("dword")}`,
        `fistp ${at("dword")}`, `fist ${at("word")}`, "fnstsw ax", "fcomi st0, st1", "fucomip st0, st1", "fcmovb st0, st1", "fxam", "ftst", "fninit",
        `fnstcw ${at("word")}`, `fmul ${at("dword")}`, `fadd ${at("qword")}`, "ffree st3", "fnclex", "fincstp",
      ]),
    ); // biome-ignore format: one list
};

const rare = (writer: FlowWriter): void => {
  const { bits, dice } = writer;
  const label = writer.label();
  writer.put(
    dice.pick([
      "enter 16, 0\nleave", "call leaf\ncall leaf", "crc32 eax, ebx", "pause", "xlatb", "pextrw eax, xmm1, 3", "pinsrw xmm1, ebx, 2",
      "shufps xmm1, xmm2, 27", "haddps xmm1, xmm2", "cvtpd2ps xmm1, xmm2", "movmskps ecx, xmm1", "roundsd xmm1, xmm2, 3", "cvtss2sd xmm1, xmm2",
      `stmxcsr ${writer.memory(32)}`, `cmpxchg8b ${writer.memory(64)}`, `movnti ${writer.memory(32)}, ebx`, `bt ${writer.memory(32)}, ebx`,
      `mov ecx, ${1 + dice.below(9)}\n${label}: inc ebx\n${dice.pick(["loop", "loopnz", "loopz"])} ${label}`,
      bits === 64 ? "movsxd r10, ecx" : "aaa", bits === 64 ? "lea rbx, [rip + 5]" : "das", bits === 64 ? "bswap r9" : "pushad\npopad",
    ]),
  ); // biome-ignore format: one list
};

const kinds = [
  throughTable,
  intoTheMiddle,
  farFlags,
  farFlags,
  aliased,
  remaps,
  countedLoop,
  countedLoop,
  countedLoop,
  x87,
  rare,
];

/** One such statement. */
export const flowStatement = (writer: FlowWriter): void => writer.dice.pick(kinds)(writer);

/** Routines that these statements call. They are in the last page of code, so that the frame `spare` can show other ones. */
export const flowRoutines = (bits: Bits): string => {
  const entry = `dword ptr [0x${(places.table + (places.remapped >>> 9)).toString(16)}]`;
  return `leaf:
lea ${bits === 64 ? "r10, [r10 + 3]" : "edi, [edi + 3]"}
ret
remap_itself:
mov ${entry}, edi
invlpg [0x${places.remapped.toString(16)}]
mark: mov ecx, 0x11111111
ret`;
};
/** Frame `spare` holds the last page of code with this difference at `mark`. */
export const otherMark = 0x22222222;
