import { describe, expect, it } from "vitest";
import { CR0 } from "../../arch/control-registers.ts";
import type { BootRefusal, BootRequest, LoadPlan } from "./load-plan.ts";
import { pcMemoryMap } from "./memory-map.ts";
import { planBoot } from "./plan.ts";

const MIB = 0x10_0000;

interface Section {
  readonly type: number;
  readonly bytes: Uint8Array;
}

interface ElfRecipe {
  readonly is64?: boolean;
  readonly machine?: number;
  readonly entry?: number;
  readonly address?: number;
  readonly virtual?: number;
  readonly contents: Uint8Array;
  readonly zeros?: number;
  readonly notes?: Uint8Array;
  readonly sections?: readonly Section[];
}

const concatenate = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const words = (...values: readonly number[]) =>
  new Uint8Array(Uint32Array.from(values.map((value) => value >>> 0)).buffer);
const halves = (...values: readonly number[]) => new Uint8Array(Uint16Array.from(values).buffer);

/** An ELF file: header, program headers, contents, notes, section bodies, section headers. */
const elf = (recipe: ElfRecipe): Uint8Array => {
  const {
    is64 = false,
    machine = is64 ? 62 : 3,
    address = MIB,
    contents,
    zeros = 0,
    notes,
    sections = [],
  } = recipe;
  const virtual = recipe.virtual ?? address;
  const word = (value: number) => (is64 ? words(value, Math.floor(value / 2 ** 32)) : words(value));
  const headerBytes = is64 ? 64 : 52;
  const count = notes === undefined ? 1 : 2;
  const headersEnd = headerBytes + count * (is64 ? 56 : 32);
  const contentsAt = Math.ceil(headersEnd / 8) * 8;
  const programHeader = (
    type: number,
    offset: number,
    p_vaddr: number,
    p_paddr: number,
    size: number,
    memory: number,
  ) =>
    is64
      ? concatenate(words(type, 7), ...[offset, p_vaddr, p_paddr, size, memory, 4].map(word))
      : words(type, offset, p_vaddr, p_paddr, size, memory, 7, 4);
  const notesAt = contentsAt + contents.length;
  let at = notesAt + (notes?.length ?? 0);
  const bodies = sections.map((section) => {
    const start = at;
    at += section.bytes.length;
    return start;
  });
  const sectionHeaders = sections.map(({ type, bytes }, index) =>
    is64
      ? concatenate(
          words(0, type),
          ...[0, 0, bodies[index]!, bytes.length].map(word),
          words(0, 0),
          word(1),
          word(0),
        )
      : words(0, type, 0, 0, bodies[index]!, bytes.length, 0, 0, 1, 0),
  );
  return concatenate(
    new Uint8Array([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    halves(2, machine),
    words(1),
    word(recipe.entry ?? virtual),
    word(headerBytes),
    word(sections.length > 0 ? at : 0),
    words(0),
    halves(
      headerBytes,
      is64 ? 56 : 32,
      count,
      is64 ? 64 : 40,
      sections.length,
      Math.max(0, sections.length - 1),
    ),
    programHeader(1, contentsAt, virtual, address, contents.length, contents.length + zeros),
    ...(notes === undefined ? [] : [programHeader(4, notesAt, 0, 0, notes.length, notes.length)]),
    new Uint8Array(contentsAt - headersEnd),
    contents,
    ...(notes === undefined ? [] : [notes]),
    ...sections.map((section) => section.bytes),
    ...sectionHeaders,
  );
};

const request = (bytes: Uint8Array, rest: Partial<BootRequest> = {}): BootRequest => ({
  image: { name: "kernel.elf", bytes },
  commandLine: "a b=c",
  modules: [],
  memoryMap: pcMemoryMap({ memory: 64 * MIB, pciHole: 0xe000_0000 }),
  ...rest,
});

const planned = (outcome: LoadPlan | BootRefusal): LoadPlan => {
  if ("message" in outcome) throw new Error(outcome.message);
  return outcome;
};
const message = (outcome: LoadPlan | BootRefusal): string =>
  "message" in outcome ? outcome.message : "no refusal";

/** Guest memory after the plan's segments are written, as a reader of bytes and numbers. */
const memoryOf = (plan: LoadPlan) => {
  const byte = (address: number): number => {
    let found = 0;
    for (const segment of plan.segments) {
      const offset = address - segment.address;
      if (offset >= 0 && offset < segment.bytes.length) found = segment.bytes[offset]!;
      else if (offset >= 0 && offset < segment.bytes.length + segment.zeros) found = 0;
    }
    return found;
  };
  const u32 = (address: number): number =>
    [0, 1, 2, 3].reduce((sum, i) => sum + byte(address + i) * 2 ** (8 * i), 0);
  const u64 = (address: number): number => u32(address) + u32(address + 4) * 2 ** 32;
  const string = (address: number): string => {
    let text = "";
    for (let at = address; byte(at) !== 0; at++) text += String.fromCharCode(byte(at));
    return text;
  };
  return { byte, u32, u64, string };
};

const module = (name: string, args: string, text: string) => ({
  name,
  args,
  bytes: new TextEncoder().encode(text),
});
const flat32 = { selector: 0x08, base: 0n, limit: 0xffff_ffff, access: 0xc09b };

const note = (name: string, type: number, descriptor: Uint8Array): Uint8Array => {
  const padded = new Uint8Array(Math.ceil((name.length + 1) / 4) * 4);
  padded.set(new TextEncoder().encode(name));
  return concatenate(words(name.length + 1, descriptor.length, type), padded, descriptor);
};

describe("PVH", () => {
  const notes = concatenate(note("Linux", 18, words(0xbad)), note("Xen", 18, words(0x10_0040, 0)));
  const kernel = elf({
    is64: true,
    contents: new Uint8Array(0x80).fill(0x90),
    virtual: 0x7fff_0000,
    notes,
    zeros: 0x1000,
  });

  it("enters the address of Xen's note in 32-bit mode with the start info in EBX", () => {
    const RSDP = { address: 0xe_0000, bytes: new Uint8Array(36) };
    const memoryMap = pcMemoryMap({ memory: 64 * MIB, pciHole: 0xe000_0000, RSDP });
    const modules = [module("initrd", "", "disk"), module("second", "its args", "more")];
    const plan = planned(planBoot(request(kernel, { memoryMap, modules })));
    expect(plan.protocol).toBe("pvh");
    expect(plan.cpu).toMatchObject({
      mode: "protected32",
      RIP: 0x10_0040n,
      RFLAGS: 2n,
      CR0: CR0.PE | CR0.ET,
      CR4: 0n,
    });
    expect(plan.cpu.segments.CS).toEqual(flat32);
    expect(plan.cpu.segments.TR).toEqual({ selector: 0, base: 0n, limit: 0x67, access: 0x8b });
    const { u32, u64, string } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    expect([u32(info), u32(info + 4), u32(info + 12)]).toEqual([0x336ec578, 1, 2]);
    expect(string(u64(info + 24))).toBe("a b=c");
    expect(u64(info + 32)).toBe(0xe_0000);
    const list = u64(info + 16);
    expect(string(u64(list))).toMatch(/^disk/);
    expect([u64(list + 8), u64(list + 40)]).toEqual([4, 4]);
    expect(string(u64(list + 32 + 16))).toBe("its args");
    const map = u64(info + 40);
    const rows = Array.from({ length: u32(info + 48) }, (_, i) => [
      u64(map + 24 * i),
      u64(map + 24 * i + 8),
      u32(map + 24 * i + 16),
    ]);
    expect(rows).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xf_0000, 0x1_0000, 2],
      [MIB, 63 * MIB, 1],
    ]);
  });

  it("loads segments at physical addresses and clears what the file does not fill", () => {
    expect(planned(planBoot(request(kernel))).segments[0]).toMatchObject({ address: MIB, zeros: 0x1000 });
  });

  it("is refused without the note", () => {
    expect(message(planBoot(request(elf({ contents: words(0) })), { protocol: "pvh" }))).toBe(
      'kernel.elf: no ELF note of owner "Xen" and type 18 (PHYS32_ENTRY), expected for PVH boot',
    );
  });
});

const multibootHeader = (flags: number, ...addresses: readonly number[]) =>
  words(0x1badb002, flags, -(0x1badb002 + flags), ...addresses);

describe("multiboot 1", () => {
  const contents = concatenate(words(0x90909090), multibootHeader(3), new Uint8Array(16).fill(0xf4));

  it("enters an ELF kernel in 32-bit mode with the magic in EAX and the information in EBX", () => {
    const plan = planned(planBoot(request(elf({ contents, zeros: 64, entry: MIB + 16 }))));
    expect(plan.protocol).toBe("multiboot");
    expect(plan.cpu).toMatchObject({
      mode: "protected32",
      RIP: BigInt(MIB + 16),
      CR0: CR0.PE | CR0.ET,
      RFLAGS: 2n,
    });
    expect(plan.cpu.segments.CS).toEqual(flat32);
    expect(plan.cpu.segments.DS).toMatchObject({ selector: 0x10, access: 0xc093 });
    expect(plan.cpu.registers.RAX).toBe(0x2badb002n);
    const { u32, string } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    expect(u32(info) & 0x24d).toBe(0x24d);
    expect([u32(info + 4), u32(info + 8)]).toEqual([639, 63 * 1024]);
    expect(string(u32(info + 64))).toBe("Worldswitch");
  });

  it.each([
    [true, "kernel.elf a b=c", "mod x y"],
    [false, "a b=c", "x y"],
  ])("gives command lines with the file's name: %s", (withFileName, line, moduleLine) => {
    const plan = planned(
      planBoot(request(elf({ contents }), { modules: [module("mod", "x y", "one")] }), { withFileName }),
    );
    const { u32, string } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    expect(string(u32(info + 16))).toBe(line);
    expect(string(u32(u32(info + 24) + 8))).toBe(moduleLine);
  });

  it("places modules on page boundaries after the image", () => {
    const modules = [module("one", "", "first"), module("two", "", "second")];
    const plan = planned(planBoot(request(elf({ contents, zeros: 0x1800 }), { modules })));
    const { u32, byte } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    expect(u32(info + 20)).toBe(2);
    const list = u32(info + 24);
    expect([u32(list), u32(list + 4)]).toEqual([MIB + 0x2000, MIB + 0x2005]);
    expect([u32(list + 16), u32(list + 20)]).toEqual([MIB + 0x3000, MIB + 0x3006]);
    expect(byte(MIB + 0x3000)).toBe("s".charCodeAt(0));
  });

  it("writes memory map entries that are preceded by their size", () => {
    const plan = planned(planBoot(request(elf({ contents }))));
    const { u32, u64 } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    const rows: number[][] = [];
    for (let at = u32(info + 48); at < u32(info + 48) + u32(info + 44); at += u32(at) + 4)
      rows.push([u64(at + 4), u64(at + 12), u32(at + 20)]);
    expect(rows).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xf_0000, 0x1_0000, 2],
      [MIB, 63 * MIB, 1],
    ]);
  });

  it.each([0x8000, 0x9000, 0x1_0000, 0x9_0000, MIB, 32 * MIB])(
    "keeps its own structures clear of an image loaded at 0x%s",
    (address) => {
      const plan = planned(
        planBoot(request(elf({ contents, address, zeros: 0x8000 }), { modules: [module("m", "", "x")] })),
      );
      const spans = plan.segments
        .map((s) => [s.address, s.address + s.bytes.length + s.zeros] as const)
        .sort((a, b) => a[0] - b[0]);
      for (let i = 1; i < spans.length; i++) expect(spans[i]![0]).toBeGreaterThanOrEqual(spans[i - 1]![1]);
    },
  );

  it("translates an entry point that is a virtual address", () => {
    const plan = planned(
      planBoot(request(elf({ is64: true, contents, virtual: 0xc000_0000, entry: 0xc000_0010 }))),
    );
    expect(plan.cpu.RIP).toBe(BigInt(MIB + 0x10));
  });

  it("obeys the address fields: text, BSS and entry of a file that is not ELF", () => {
    const load = 0x8000;
    const file = concatenate(
      new Uint8Array(8),
      multibootHeader(0x10000, load, load - 4, load + 36, load + 0x100, load + 32),
      new Uint8Array(20).fill(0xf4),
    );
    const plan = planned(planBoot(request(file)));
    expect(plan.segments[0]).toMatchObject({ address: load - 4, zeros: 0x100 - 36 });
    expect(plan.segments[0]!.bytes).toEqual(file.subarray(4, 44));
    expect(plan.cpu.RIP).toBe(BigInt(load + 32));
  });

  it("takes a load_end_addr of 0 as the end of the file and a bss_end_addr of 0 as no BSS", () => {
    const file = concatenate(
      multibootHeader(0x10000, 0x8000, 0x8000, 0, 0, 0x8020),
      new Uint8Array(100).fill(0xf4),
    );
    expect(planned(planBoot(request(file))).segments[0]).toMatchObject({
      address: 0x8000,
      bytes: file,
      zeros: 0,
    });
  });

  it.each([
    [
      "load_addr above header_addr",
      [0x8000, 0x9000, 0, 0, 0x8000],
      "kernel.elf: multiboot field load_addr is 0x9000, expected 0x8000 to 0x8000 (header_addr)",
    ],
    [
      "load_end_addr below load_addr",
      [0x8000, 0x8000, 0x10, 0, 0x8000],
      "kernel.elf: multiboot field load_end_addr is 0x10, expected 0 or at least load_addr 0x8000",
    ],
    [
      "more than the file",
      [0x8000, 0x8000, 0x9000, 0, 0x8000],
      "kernel.elf is truncated: load_end_addr asks for 4096 bytes, the file has 32",
    ],
    [
      "a BSS before the text's end",
      [0x8000, 0x8000, 0, 0x8001, 0x8000],
      "kernel.elf: multiboot field bss_end_addr is 0x8001, expected 0 or at least 0x8020",
    ],
    [
      "an entry outside memory",
      [0x8000, 0x8000, 0, 0, 0x9fff_ffff],
      "kernel.elf: entry point is 0x9fffffff, expected an address of RAM below 4 GiB",
    ],
    [
      "a load address without RAM",
      [0xa_0000, 0xa_0000, 0, 0, 0xa_0000],
      "kernel.elf: a segment lies at 0xa0000 to 0xa0020, where 64 MiB of memory has no RAM",
    ],
  ])("refuses address fields with %s", (_, fields, expected) => {
    expect(message(planBoot(request(multibootHeader(0x10000, ...fields))))).toBe(expected);
  });

  it("refuses requirements it does not know", () => {
    expect(message(planBoot(request(elf({ contents: multibootHeader(0x8003) }))))).toBe(
      "kernel.elf: multiboot header flags are 0x8003, of which 0x8000 is not known; expected only bits 0, 1, 2 and 16",
    );
  });

  it("names the module that memory has no room for", () => {
    const modules = [{ name: "huge", args: "", bytes: new Uint8Array(64 * MIB) }];
    expect(message(planBoot(request(elf({ contents }), { modules })))).toBe(
      "huge: a module of 64 MiB does not fit into 64 MiB of memory beside kernel.elf",
    );
  });

  it.each([false, true])("loads symbol and string tables and says where they are (64-bit: %s)", (is64) => {
    const sections = [
      { type: 0, bytes: new Uint8Array(0) },
      { type: 2, bytes: new TextEncoder().encode("symbols") },
      { type: 1, bytes: new TextEncoder().encode("debug") },
      { type: 3, bytes: new TextEncoder().encode("strings") },
    ];
    const plan = planned(planBoot(request(elf({ is64, contents, sections }))));
    const { u32, string } = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    expect(u32(info) & 0x20).toBe(0x20);
    const [num, size, table, shndx] = [28, 32, 36, 40].map((offset) => u32(info + offset));
    expect([num, size, shndx]).toEqual([4, is64 ? 64 : 40, 3]);
    const address = (index: number) => u32(table! + index * size! + (is64 ? 16 : 12));
    expect(string(address(1))).toMatch(/^symbols/);
    expect(address(2)).toBe(0);
    expect(string(address(3))).toMatch(/^strings/);
  });
});

const multiboot2Header = (...tags: readonly Uint8Array[]) => {
  const body = concatenate(...tags, words(0, 8));
  const length = 16 + body.length;
  return concatenate(words(0xe85250d6, 0, length, -(0xe85250d6 + length)), body);
};
/** Type and flags, size, then the fields, padded to 8 bytes. */
const headerTag = (type: number, isOptional: boolean, ...fields: readonly number[]) => {
  const size = 8 + 4 * fields.length;
  return concatenate(words(type | (isOptional ? 0x1_0000 : 0), size, ...fields), new Uint8Array(-size & 7));
};

describe("multiboot 2", () => {
  const contents = concatenate(multiboot2Header(headerTag(1, false, 4, 6)), new Uint8Array(16).fill(0xf4));

  /** The information's tags, by type; the last of a type wins. */
  const tagsOf = (plan: LoadPlan) => {
    const memory = memoryOf(plan);
    const info = Number(plan.cpu.registers.RBX);
    const tags = new Map<number, { at: number; size: number }>();
    for (let at = info + 8; ; ) {
      const [type, size] = [memory.u32(at), memory.u32(at + 4)];
      tags.set(type, { at, size });
      at += Math.ceil(size / 8) * 8;
      if (type === 0) {
        expect(at).toBe(info + memory.u32(info));
        return { ...memory, info, tags };
      }
    }
  };

  it("enters an ELF kernel with the magic in EAX and tags in EBX", () => {
    const RSDP = { address: 0xe_0000, bytes: new Uint8Array(36).fill(2) };
    const memoryMap = pcMemoryMap({ memory: 64 * MIB, pciHole: 0xe000_0000, RSDP });
    const modules = [module("mod", "x", "contents")];
    const plan = planned(planBoot(request(elf({ is64: true, contents }), { memoryMap, modules })));
    expect(plan.protocol).toBe("multiboot2");
    expect(plan.cpu).toMatchObject({ mode: "protected32", RIP: BigInt(MIB) });
    expect(plan.cpu.registers.RAX).toBe(0x36d76289n);
    const { tags, u32, u64, string, info } = tagsOf(plan);
    expect(info % 8).toBe(0);
    const at = (type: number) => tags.get(type)!.at;
    expect(string(at(1) + 8)).toBe("kernel.elf a b=c");
    expect(string(at(2) + 8)).toBe("Worldswitch");
    expect(string(u32(at(3) + 8))).toMatch(/^contents/);
    expect(u32(at(3) + 12) - u32(at(3) + 8)).toBe(8);
    expect(string(at(3) + 16)).toBe("mod x");
    expect([u32(at(4) + 8), u32(at(4) + 12)]).toEqual([639, 63 * 1024]);
    expect(u32(at(6) + 8)).toBe(24);
    expect([u64(at(6) + 16 + 72), u64(at(6) + 24 + 72), u32(at(6) + 32 + 72)]).toEqual([MIB, 63 * MIB, 1]);
    expect(tags.get(14)!.size).toBe(28);
    expect(tags.get(15)!.size).toBe(44);
  });

  it("loads by the address tag and enters by the entry tag", () => {
    const file = concatenate(
      multiboot2Header(headerTag(2, false, 0x8000, 0x8000, 0, 0x9000), headerTag(3, false, 0x8040)),
      new Uint8Array(64),
    );
    const plan = planned(planBoot(request(file)));
    expect(plan.segments[0]).toMatchObject({ address: 0x8000, bytes: file, zeros: 0x1000 - file.length });
    expect(plan.cpu.RIP).toBe(0x8040n);
  });

  it.each([
    [0, MIB],
    [1, 0x20_0000],
    [2, 0x2ff_f000],
  ])("moves a relocatable kernel by preference %i", (preference, base) => {
    const relocatable = multiboot2Header(headerTag(10, false, 0x20_0000, 0x2ff_ffff, 0x1000, preference));
    const plan = planned(
      planBoot(request(elf({ contents: concatenate(relocatable, new Uint8Array(8)), entry: MIB + 8 }))),
    );
    expect(plan.segments[0]!.address).toBe(base);
    expect(plan.cpu.RIP).toBe(BigInt(base + 8));
    const { tags, u32 } = tagsOf(plan);
    expect(u32(tags.get(21)!.at + 8)).toBe(base);
  });

  it.each([
    [
      "a framebuffer",
      headerTag(5, false, 0, 0, 32),
      "kernel.elf: multiboot 2 header tag 5 demands a framebuffer, which this machine does not have; expected it to be optional",
    ],
    [
      "an unknown tag",
      headerTag(77, false),
      "kernel.elf: multiboot 2 header tag 77 is not known, expected 0 to 10 or an optional tag",
    ],
    [
      "a tag with a wrong size",
      words(2, 8),
      "kernel.elf: multiboot 2 header tag 2 has size 8, expected 24 to 16",
    ],
  ])("refuses %s", (_, tag, expected) => {
    expect(message(planBoot(request(elf({ contents: multiboot2Header(tag) }))))).toBe(expected);
  });

  it.each([headerTag(5, true, 0, 0, 32), headerTag(77, true)])("passes over optional tags", (tag) => {
    expect(planned(planBoot(request(elf({ contents: multiboot2Header(tag) })))).protocol).toBe("multiboot2");
  });
});

describe("an ELF file that cannot be loaded", () => {
  const kernel = elf({ contents: multibootHeader(3) });
  const changed = (offset: number, byte: number) => {
    const bytes = new Uint8Array(kernel);
    bytes[offset] = byte;
    return bytes;
  };

  it.each([
    ["wrong class", changed(4, 7), "kernel.elf: ELF field ei_class is 7, expected 1 (32-bit) or 2 (64-bit)"],
    ["big-endian", changed(5, 2), "kernel.elf: ELF field ei_data is 2, expected 1 (little-endian)"],
    [
      "another machine's",
      changed(18, 40),
      "kernel.elf: ELF field e_machine is 40, expected 3 (i386) or 62 (x86-64)",
    ],
    [
      "cut short",
      elf({ contents: concatenate(multibootHeader(3), new Uint8Array(64)) }).subarray(0, 120),
      "kernel.elf is truncated: program header 0 ends at 164, the file has 120 bytes",
    ],
    [
      "without segments",
      changed(52, 2),
      "kernel.elf: ELF file with no PT_LOAD program header, expected at least one",
    ],
    [
      "outside memory",
      elf({ contents: multibootHeader(3), address: 0x1000_0000 }),
      "kernel.elf: a segment lies at 0x10000000 to 0x1000000c, where 64 MiB of memory has no RAM",
    ],
    [
      "with a BSS larger than memory",
      elf({ contents: multibootHeader(3), zeros: 0x7000_0000 }),
      "kernel.elf: a segment lies at 0x100000 to 0x7010000c, where 64 MiB of memory has no RAM",
    ],
  ])("%s is refused by name, field, found and expected", (_, bytes, expected) => {
    expect(message(planBoot(request(bytes)))).toBe(expected);
  });

  it("never throws, whatever one header byte holds", () => {
    for (const bytes of [
      elf({ contents: multibootHeader(3), sections: [{ type: 2, bytes: words(1) }] }),
      elf({ is64: true, contents: multiboot2Header() }),
    ])
      for (let offset = 4; offset < bytes.length; offset++)
        for (const byte of [0, 1, 0x7f, 0xff]) {
          const poked = new Uint8Array(bytes);
          poked[offset] = byte;
          const outcome = planBoot(request(poked));
          expect("message" in outcome || outcome.segments.length > 0).toBe(true);
        }
  });

  it("never throws, wherever the file ends", () => {
    for (let length = 0; length < kernel.length; length++)
      expect(message(planBoot(request(kernel.subarray(0, length))))).not.toBe("no refusal");
  });
});
