/** Guests of random bytes: memory, tables and registers of one trial, in every mode of the processor. */
import { CR0, CR4, IA32_EFER } from "../../src/arch/control-registers.ts";
import { access, segmentType, systemType } from "../../src/arch/descriptors.ts";
import { RFLAGS } from "../../src/arch/flags.ts";
import { entry } from "../../src/arch/paging-entries.ts";
import { assemble } from "../../src/asm/index.ts";
import type { GuestMemory } from "../../src/cpu/guest-memory.ts";
import type { LogicalProcessor } from "../../src/cpu/logical-processor.ts";
import { powerOn } from "../../src/cpu/reset.ts";
import { generalRegisters, type SegmentRegister } from "../../src/state/layout.ts";
import type { Dice } from "./dice.ts";

// biome-ignore format: one list
export const hostileModes = [
  "real", "virtual-8086", "protected 16", "protected 32 segmented", "protected 32 flat", "32-bit paging", "PAE", "compatibility", "64-bit",
] as const;
export type HostileMode = (typeof hostileModes)[number];

/** What exceptions meet: no table at all, random bytes, an IRET to where they came from, a handler that goes on elsewhere. */
const handlerKinds = ["none", "random", "iret", "onwards", "onwards", "onwards"] as const;

const at = {
  ivt: 0, counter: 0x600, gdt: 0x1000, idt: 0x2000, tss: 0x4000, ldt: 0x7000, handlers: 0x8000, stack: 0xf000,
  /** Page directory of 32-bit paging and its two tables; PDPT, directories and tables of the others; PML4. */
  pd32: 0x1_0000, pdpt: 0x2_0000, directories: 0x2_1000, tables: 0x2_6000, pml4: 0x3_0000, pdpt64: 0x3_1000,
  /** Random code: below 1 MiB for 16-bit modes, above it for the others. */
  lowCode: 0x4_0000, lowCodeBytes: 0x4_0000, highCode: 0x10_0000, highCodeBytes: 0x4_0000,
} as const; // biome-ignore format: one table
export const hostileRamBytes = 8 * 1024 * 1024;

const selector = {
  code32: 0x08, data: 0x10, code64: 0x18, userCode32: 0x23, userData: 0x2b, userCode64: 0x33, code16: 0x38, data16: 0x40,
  tss: 0x48, ldt: 0x58, callGate: 0x68, firstRandom: 0x78, entries: 32,
} as const; // biome-ignore format: one table

const present = access.P | access.S;
const code = present | segmentType.code | segmentType.readable | segmentType.accessed;
const data = present | segmentType.writable | segmentType.accessed;
const dpl3 = 3 << 5;
const flat = { base: 0, limit: 0xffff_ffff };

interface SegmentChoice {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

const descriptorBytes = ({ base, limit, access: rights }: Omit<SegmentChoice, "selector">): bigint => {
  const units = rights & access.G ? limit >>> 12 : limit;
  return (
    BigInt(units & 0xffff) |
    (BigInt(base & 0xff_ffff) << 16n) |
    (BigInt(rights & access.fromDescriptor) << 40n) |
    (BigInt((units >>> 16) & 0xf) << 48n) |
    (BigInt(base >>> 24) << 56n)
  );
};

const assembled = (text: string, codeSize: 16 | 32 | 64): Uint8Array => {
  const result = assemble(text, { codeSize });
  if (result.kind === "errors") throw new Error(result.errors.map(({ message }) => message).join("; "));
  return result.bytes;
};

const generator = (register: string): string =>
  `mov ${register}, [${at.counter}]\nimul ${register}, ${register}, 0x1e3779b1\nadd ${register}, 0x3c6ef35f\nmov [${at.counter}], ${register}`;

/** Handlers that go on at a random place of the random code, at the same privilege, with random status flags. */
const onwards = {
  real: assembled(
    `xor ax, ax\nmov ds, ax\nmov ss, ax\nmov sp, ${at.stack}\n${generator("eax")}\nmov ebx, eax\nand bx, 0x0cd5\nor bx, 2\npush bx
     shr eax, 8\nmov ecx, eax\nshr ecx, 10\nand cx, 0x3fff\nadd cx, ${at.lowCode >> 4}\npush cx\nand ax, 0xff\npush ax\niret`,
    16,
  ),
  legacy: (codeSelector: number, stackSelector: number, mask: number, start: number, virtual: boolean) =>
    assembled(
      `mov ax, ${selector.data}\nmov ds, ax\nmov es, ax\nmov ss, ax\nmov esp, ${at.stack}\n${generator("eax")}
       mov ecx, eax\nshr ecx, 9\nand ecx, ${mask}\nadd ecx, ${start}\n${virtual ? `${"push 0x4400\n".repeat(4)}push 0x4000\npush 0x8000\n` : ""}${
         codeSelector & 3 ? `push ${stackSelector}\npush ${at.stack}\n` : ""
       }and eax, 0x40cd5\nor eax, ${virtual ? 0x2_0002 : 2}\npush eax\npush ${codeSelector}\npush ecx\niret`,
      32,
    ),
  long: (codeSelector: number, stackSelector: number, mask: number, start: number) =>
    assembled(
      `mov rsp, ${at.stack}\n${generator("eax")}\nmov ecx, eax\nshr ecx, 9\nand ecx, ${mask}\nadd ecx, ${start}\nand eax, 0x40cd5\nor eax, 2
       push ${stackSelector}\npush ${at.stack}\npush rax\npush ${codeSelector}\npush rcx\niretq`,
      64,
    ),
};

const prefixes = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x48, 0x41, 0x4c, 0x40];

/** Bytes like those of programs more often than chance would have it: prefixes, escapes, small displacements. */
const soup = (dice: Dice, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  const plain = dice.once(3);
  for (let n = 0; n < length; n++) {
    const roll = plain ? 15 : dice.below(16);
    bytes[n] =
      roll < 1 ? dice.pick(prefixes)
      : roll < 2 ? 0x0f
      : roll < 4 ? dice.below(0x40)
      : roll < 5 ? 0
      : roll < 7 ? 0xc0 | dice.below(0x40)
      : dice.below(256); // biome-ignore format: one row per case
  }
  return bytes;
};

/** The code is this much, over and over: making more would take longer than running it. */
const soupBytes = 0x8000;

/** Identity maps of the first 8 MiB in small pages and of the rest in large ones, for every paging mode; below them, nothing. */
const pagingStructures = ((): Uint8Array => {
  const bytes = new Uint8Array(at.lowCode);
  const view = new DataView(bytes.buffer);
  const put32 = (address: number, value: number): void => view.setUint32(address, value, true);
  const put64 = (address: number, value: number): void => view.setBigUint64(address, BigInt(value), true);
  const bits = entry.P | entry.RW | entry.US;
  for (let n = 0; n < 1024; n++)
    put32(at.pd32 + 4 * n, n < 2 ? (at.pd32 + 0x1000 * (1 + n)) | bits : n * 0x40_0000 + (bits | entry.PS));
  for (let n = 0; n < 2048; n++) put32(at.pd32 + 0x1000 + 4 * n, (n << 12) | bits);
  for (let n = 0; n < 4; n++) put64(at.pdpt + 8 * n, (at.directories + 0x1000 * n) | entry.P);
  for (let n = 0; n < 4; n++) put64(at.pdpt64 + 8 * n, (at.directories + 0x1000 * n) | bits);
  for (let n = 0; n < 2048; n++)
    put64(
      at.directories + 8 * n,
      n < 4 ? (at.tables + 0x1000 * n) | bits : n * 0x20_0000 + (bits | entry.PS),
    );
  for (let n = 0; n < 2048; n++) put64(at.tables + 8 * n, (n << 12) | bits);
  for (const slot of [0, 1, 256, 511]) put64(at.pml4 + 8 * slot, at.pdpt64 | bits);
  return bytes;
})();

const interesting = (dice: Dice): bigint => {
  switch (dice.below(8)) {
    case 0:
      return BigInt(dice.below(0x100));
    case 1:
      return BigInt(at.highCode + dice.below(at.highCodeBytes));
    case 2:
      return BigInt((dice.below(hostileRamBytes) & ~0xfff) + 0xffc + dice.below(8));
    case 3:
      return BigInt(dice.pick([0xfee0_0000, 0xfec0_0000, 0xfed0_0000, 0xa_0000, 0xb000_0000, 0xc000_0000])) + BigInt(dice.below(0x400));
    case 4:
      return 0x7fff_ffff_fff8n + BigInt(dice.below(16));
    case 5:
      return BigInt.asUintN(64, BigInt(-dice.below(0x1000)));
    case 6:
      return BigInt(dice.below(hostileRamBytes));
    default:
      return dice.next64();
  }
}; // biome-ignore format: one row per case

export interface Trial {
  readonly mode: HostileMode;
  readonly handlers: string;
  readonly user: boolean;
}

/** Give the machine a new guest. */
export const prepare = (
  guest: GuestMemory,
  processor: LogicalProcessor,
  mode: HostileMode,
  dice: Dice,
): Trial => {
  const { state } = processor;
  powerOn(processor, true);
  const handlers = dice.pick(handlerKinds);
  const user = mode === "virtual-8086" || (mode !== "real" && dice.once(2));
  const long = mode === "64-bit" || mode === "compatibility";
  const sixteen = mode === "real" || mode === "virtual-8086";
  const low = sixteen || mode === "protected 16";
  const codeStart = low ? at.lowCode : at.highCode;
  const bytes16 = mode === "protected 16" || mode === "protected 32 segmented";

  guest.writeBytes(0, pagingStructures);
  const piece = soup(dice, soupBytes);
  for (let n = 0; n < at.lowCodeBytes; n += soupBytes) guest.writeBytes(codeStart + n, piece);
  guest.writeBytes(at.ldt, soup(dice, 0x800));
  const put64 = (address: number, value: bigint): void =>
    guest.writeBytes(address, new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer));
  const put32 = (address: number, value: number): void => {
    guest.write(address, value >>> 0, 4);
  };

  // Segments.
  const rights = user ? dpl3 : 0;
  const big = access.DB | access.G;
  const random = (kind: number): SegmentChoice => {
    const small = dice.once(2);
    const limit = small ? dice.below(0x10000) : ((dice.next32() | 0xfff) >>> 0);
    const direction = kind === data && dice.once(4) ? segmentType.expandDown : 0;
    const base = dice.once(3) ? 0 : dice.below(hostileRamBytes) & (dice.once(2) ? ~0xfff : ~0);
    return { selector: 0, base, limit, access: kind | rights | direction | (small ? 0 : access.G) | (dice.once(2) ? access.DB : 0) };
  }; // biome-ignore format: short
  const gdt: bigint[] = [];
  const describe = (index: number, segment: Omit<SegmentChoice, "selector">): void => {
    gdt[index >> 3] = descriptorBytes(segment);
  };
  describe(selector.code32, { ...flat, access: code | big });
  describe(selector.data, { ...flat, access: data | big });
  describe(selector.code64, { ...flat, access: code | access.L | access.G });
  describe(selector.userCode32, { ...flat, access: code | big | dpl3 });
  describe(selector.userData, { ...flat, access: data | big | dpl3 });
  describe(selector.userCode64, { ...flat, access: code | access.L | access.G | dpl3 });
  describe(selector.code16, { base: codeStart, limit: 0xffff, access: code | rights });
  describe(selector.data16, { base: codeStart, limit: 0xffff, access: data | rights });
  describe(selector.tss, { base: at.tss, limit: 0x2068, access: access.P | systemType.busyTSS32 });
  describe(selector.ldt, { base: at.ldt, limit: 0x7ff, access: access.P | systemType.LDT });
  gdt[selector.callGate >> 3] =
    BigInt(at.handlers) | (BigInt(long ? selector.code64 : selector.code32) << 16n) | (0xec00n << 32n);
  const randomSegments: SegmentChoice[] = [];
  for (let n = selector.firstRandom >> 3; n < selector.entries; n++) {
    const segment = { ...random(dice.once(4) ? code : data), selector: (n << 3) | (user ? 3 : 0) };
    randomSegments.push(segment);
    gdt[n] = dice.once(6) ? dice.next64() : descriptorBytes(segment);
  }
  for (let n = 0; n < selector.entries; n++) put64(at.gdt + 8 * n, gdt[n] ?? 0n);
  state["GDTR.base"] = BigInt(at.gdt);
  state["GDTR.limit"] = 8 * selector.entries - 1;

  const set = (name: SegmentRegister, segment: SegmentChoice): void => {
    state[`${name}.selector`] = segment.selector;
    state[`${name}.base`] = BigInt(segment.base >>> 0);
    state[`${name}.limit`] = segment.limit >>> 0;
    state[`${name}.access`] = segment.access;
  };
  const flatData: SegmentChoice = {
    ...flat,
    selector: user ? selector.userData : selector.data,
    access: data | big | rights,
  };
  const flatCode: SegmentChoice =
    long && mode === "64-bit"
      ? {
          ...flat,
          selector: user ? selector.userCode64 : selector.code64,
          access: code | access.L | access.G | rights,
        }
      : { ...flat, selector: user ? selector.userCode32 : selector.code32, access: code | big | rights };
  const code16: SegmentChoice = {
    selector: selector.code16 | (user ? 3 : 0),
    base: codeStart,
    limit: 0xffff,
    access: code | rights,
  };
  const data16: SegmentChoice = {
    selector: selector.data16 | (user ? 3 : 0),
    base: codeStart,
    limit: 0xffff,
    access: data | rights,
  };
  const names = ["ES", "SS", "DS", "FS", "GS"] as const;
  // biome-ignore format: short
  if (sixteen)
    for (const name of [...names, "CS"] as const) {
      const paragraph = (at.lowCode + dice.below(at.lowCodeBytes)) >> 4;
      set(name, { selector: paragraph, base: paragraph << 4, limit: 0xffff, access: mode === "real" ? 0x93 : 0xf3 });
    }
  else {
    set("CS", mode === "protected 16" ? code16 : flatCode);
    for (const name of names) set(name, mode === "protected 16" ? data16 : flatData);
    const choices = randomSegments.filter(({ access: a }) => (a & segmentType.code) === 0);
    if (bytes16 || dice.once(4))
      for (const name of ["ES", "DS", "FS", "GS", ...(bytes16 ? (["SS"] as const) : [])] as const)
        if (choices.length > 0) set(name, dice.pick(choices));
    if (mode === "protected 32 segmented" && dice.once(2))
      set("CS", { ...code16, access: code | rights | access.DB });
  }
  set("TR", { selector: selector.tss, base: at.tss, limit: 0x2068, access: access.P | systemType.busyTSS32 });
  set("LDTR", { selector: selector.ldt, base: at.ldt, limit: 0x7ff, access: access.P | systemType.LDT });

  // Task state: stacks of ring 0, an I/O map of random bits.
  if (long) for (let n = 0; n < 13; n++) put64(at.tss + 4 + 8 * n, BigInt(at.stack - 0x100 * n));
  else {
    put32(at.tss + 4, at.stack);
    put32(at.tss + 8, selector.data);
  }
  guest.write(at.tss + 102, dice.once(2) ? 0x68 : 0x88, 2);
  if (dice.once(2)) guest.writeBytes(at.tss + 0x68, soup(dice, 0x1f00));

  // Handlers.
  const mask = mode === "protected 16" ? 0xffff : at.highCodeBytes - 1;
  const offset = mode === "protected 16" || state["CS.base"] !== 0n ? 0 : codeStart;
  const handlerCode =
    handlers === "iret"
      ? Uint8Array.of(...(long ? [0x48] : []), 0xcf)
      : mode === "real"
        ? onwards.real
        : mode === "64-bit" || mode === "compatibility"
          ? onwards.long(state["CS.selector"], state["SS.selector"], mask, offset)
          : onwards.legacy(
              mode === "virtual-8086" ? 0x4000 : state["CS.selector"],
              state["SS.selector"],
              mode === "virtual-8086" || mode === "protected 16" ? 0xffff : mask,
              offset * (mode === "virtual-8086" ? 0 : 1),
              mode === "virtual-8086",
            );
  guest.writeBytes(at.handlers, handlerCode);
  put32(at.counter, dice.next32());
  for (let vector = 0; vector < 256; vector++) {
    const target = handlers === "random" ? codeStart + dice.below(at.lowCodeBytes) : at.handlers;
    if (mode === "real") put32(at.ivt + 4 * vector, ((target >> 4) << 16) | (target & 15));
    const gateType = dice.once(2) ? 0x8e : 0xef;
    const odd = handlers === "random" && dice.once(4);
    const gate =
      BigInt(target & 0xffff) |
      (BigInt(long ? selector.code64 : selector.code32) << 16n) |
      (BigInt(odd ? dice.below(256) : gateType) << 40n) |
      (BigInt(target >>> 16) << 48n);
    if (long) put64(at.idt + 16 * vector, gate | (BigInt(odd ? dice.below(8) : 0) << 32n));
    else put64(at.idt + 8 * vector, gate);
  }
  state["IDTR.base"] = BigInt(mode === "real" ? at.ivt : at.idt);
  state["IDTR.limit"] = handlers === "none" ? 0 : mode === "real" ? 0x3ff : 0xfff;

  // Paging.
  const paging =
    long || mode === "PAE" || mode === "32-bit paging" || (mode === "virtual-8086" && dice.once(2));
  if (paging && dice.once(2)) {
    const levels = mode === "32-bit paging" ? [at.pd32, at.pd32 + 0x1000, at.pd32 + 0x2000] : [at.pdpt64, at.directories, at.tables, at.tables + 0x1000, at.tables + 0x2000, at.tables + 0x3000];
    for (let n = dice.below(400); n > 0; n--) {
      const place = dice.pick(levels) + 8 * (16 + dice.below(496));
      put64(place, dice.once(3) ? dice.next64() : BigInt(dice.below(hostileRamBytes) & ~0xfff) | BigInt(dice.below(0x200)));
    }
  } // biome-ignore format: short
  if (mode !== "real") state.CR0 |= CR0.PE;
  if (paging) {
    state.CR0 |= CR0.PG;
    state.CR3 = BigInt(long ? at.pml4 : mode === "PAE" ? at.pdpt : at.pd32);
    if (long || mode === "PAE") {
      state.CR4 |= CR4.PAE;
      for (const [n, name] of (["PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"] as const).entries())
        state[name] = BigInt((at.directories + 0x1000 * n) | entry.P);
    } else state.CR4 |= CR4.PSE;
    if (long) state.IA32_EFER |= IA32_EFER.LME | IA32_EFER.LMA;
    if (dice.once(2)) state.IA32_EFER |= IA32_EFER.NXE;
    if (dice.once(2)) state.CR0 |= CR0.WP;
    if (dice.once(2)) state.CR4 |= CR4.PGE;
  }
  state.CR0 &= ~(CR0.CD | CR0.NW);
  if (dice.once(2)) state.CR0 |= CR0.AM;
  if (dice.once(2)) state.CR0 |= CR0.NE;
  if (!dice.once(4)) state.CR4 |= CR4.OSFXSR | CR4.OSXMMEXCPT;
  if (dice.once(2)) state.CR4 |= CR4.VME | CR4.PVI | CR4.DE;
  if (long && dice.once(2)) state.IA32_EFER |= IA32_EFER.SCE;
  if (dice.once(2))
    for (const name of ["IA32_LSTAR", "IA32_CSTAR", "IA32_SYSENTER_EIP"] as const)
      state[name] = BigInt(at.handlers);

  // Registers.
  for (const name of generalRegisters)
    state[name] = mode === "64-bit" ? interesting(dice) : BigInt.asUintN(32, interesting(dice));
  if (!dice.once(4)) state.RSP = BigInt(low ? 0xf000 : at.stack - 0x800);
  state.RIP = BigInt(
    sixteen ? dice.below(0x1000) : offset + dice.below(mode === "protected 16" ? 0x1_0000 : at.highCodeBytes),
  );
  if (state.RIP > BigInt(state["CS.limit"])) state.RIP = BigInt(dice.below(state["CS.limit"]));
  const status = BigInt(dice.below(0x1000)) & 0xcd5n;
  state.RFLAGS = RFLAGS.FIXED | status | (dice.once(2) ? RFLAGS.IF : 0n) | (dice.once(16) ? RFLAGS.TF : 0n) |
    (dice.once(4) ? RFLAGS.AC : 0n) | (dice.once(2) ? RFLAGS.IOPL : 0n) | (mode === "virtual-8086" ? RFLAGS.VM : 0n); // biome-ignore format: short
  if (dice.once(8)) {
    state.DR0 = BigInt(codeStart + dice.below(at.lowCodeBytes));
    state.DR7 = 0x401n | (BigInt(dice.below(16)) << 16n);
  }
  state.MXCSR = dice.below(0x10000);
  state.FCW = dice.below(0x10000);
  for (let n = 0; n < 16; n++) state.bytes(`XMM${n}`).set(soup(dice, 16));
  for (let n = 0; n < 8; n++) state.bytes(`x87.${n}`).set(soup(dice, 10));
  state.FTW = dice.below(0x10000);
  processor.invalidate({ kind: "all" });
  return { mode, handlers, user };
};
