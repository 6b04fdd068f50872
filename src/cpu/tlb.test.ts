import { describe, expect, it } from "vitest";
import { CR0, CR4 } from "../arch/control-registers.ts";
import { ramOffset, tlbEntries, tlbEntry, tlbEntryBytes, tlbOffset } from "../codegen/memory-map.ts";
import { CpuState } from "../state/cpu-state.ts";
import { Tlb } from "./tlb.ts";

const MODE = 1;
const KERNEL = { low: 0x8123_4000, high: 0xffff_ffff } as const;
const USER = { low: 0x0040_1000, high: 0 } as const;
const FRAME = 0x20_0000;
const RECORD = 0x5000;

const setUp = () => {
  const buffer = new ArrayBuffer(ramOffset);
  const state = new CpuState(buffer, 0);
  state.CR0 = CR0.PG;
  state.CR4 = CR4.PAE | CR4.PGE | CR4.PCIDE;
  const tlb = new Tlb(buffer);
  const view = new DataView(buffer);
  const key = (): number => Number(state.tlbKey);
  /** As translated code does it: the memory offset of an address, or undefined for a miss. */
  const look = ({ low, high }: { low: number; high: number }, tag: "readTag" | "writeTag" = "readTag") => {
    const entry = tlbOffset + (((low ^ key()) >>> 12) & (tlbEntries - 1)) * tlbEntryBytes;
    const found = view.getUint32(entry + tlbEntry[tag], true);
    if (found !== ((low & ~0xfff) ^ key()) >>> 0 || view.getUint32(entry + tlbEntry[tag] + 4, true) !== high)
      return undefined;
    return (low + view.getUint32(entry + tlbEntry.addend, true)) >>> 0;
  };
  const enter = ({ low, high }: { low: number; high: number }, global = false, pageSize = 4096) =>
    tlb.fill(low, high, key(), true, false, FRAME, pageSize, global);
  const load = (pcid: bigint, processor = 0) => {
    state.CR3 = pcid;
    tlb.refresh(state, processor, MODE);
  };
  load(1n);
  return { state, tlb, look, enter, load };
};

describe("a translation", () => {
  it("is found for reads but not for writes where it may not be written", () => {
    const { look, enter } = setUp();
    enter(USER);
    expect(look({ low: USER.low + 0x123, high: 0 })).toBe(FRAME + 0x123);
    expect(look(USER, "writeTag")).toBeUndefined();
  });

  it("belongs to the address space and the processor it was made under", () => {
    const { look, enter, load } = setUp();
    enter(USER);
    load(2n);
    expect(look(USER)).toBeUndefined();
    load(1n, 1);
    expect(look(USER)).toBeUndefined();
    load(1n);
    expect(look(USER)).toBe(FRAME);
  });

  it("of one page does not displace that of another address space", () => {
    const { look, enter, load } = setUp();
    for (let pcid = 1n; pcid < 7n; pcid++) {
      load(pcid);
      enter(KERNEL, true);
    }
    for (let pcid = 1n; pcid < 7n; pcid++) {
      load(pcid);
      expect(look(KERNEL)).toBe(FRAME);
    }
  });

  it("of a global page survives the flush of its address space, others do not", () => {
    const { tlb, look, enter, load } = setUp();
    enter(KERNEL, true);
    enter(USER);
    load(2n);
    enter(USER);
    tlb.invalidate({ kind: "pcid", pcid: 1 }, 0);
    expect(look(USER)).toBe(FRAME);
    load(1n);
    expect(look(KERNEL)).toBe(FRAME);
    expect(look(USER)).toBeUndefined();
  });

  it("does not outlive a flush however many were made since the last one", () => {
    const { tlb, look, enter, load } = setUp();
    const pages = Array.from({ length: 3 * tlbEntries }, (_, n) => ({ low: (n << 12) >>> 0, high: 0 }));
    for (const page of pages) enter(page);
    tlb.invalidate({ kind: "non-global" }, 0);
    load(1n);
    expect(pages.filter((page) => look(page) !== undefined)).toEqual([]);
  });

  it("is dropped by a flush of everything, global or not", () => {
    const { tlb, look, enter, load } = setUp();
    enter(KERNEL, true);
    tlb.invalidate({ kind: "all" }, 0);
    load(1n);
    expect(look(KERNEL)).toBeUndefined();
  });

  it.each([
    ["4-KByte", 4096, 0x1000],
    ["2-MByte", 0x20_0000, 0x1f_f000],
    ["1-GByte", 0x4000_0000, 0x3fff_f000],
  ])("of a %s page is dropped by INVLPG of it in every address space", (_name, pageSize, within) => {
    const { tlb, look, enter, load } = setUp();
    const base = { low: 0x4000_0000, high: 0xffff_8880 };
    const last = { ...base, low: base.low + within - (pageSize === 4096 ? 0x1000 : 0) };
    const elsewhere = { ...base, low: 0x8000_0000 };
    for (const pcid of [1n, 2n]) {
      load(pcid);
      enter(last, true, pageSize);
      enter(elsewhere, true);
    }
    tlb.invalidate({ kind: "page", address: 0xffff_8880_4000_0000n }, 0);
    for (const pcid of [1n, 2n]) {
      load(pcid);
      expect(look(last)).toBeUndefined();
      expect(look(elsewhere)).toBe(FRAME);
    }
  });

  it("may not be written any more once its page holds code", () => {
    const { state, tlb, look } = setUp();
    tlb.fill(KERNEL.low, KERNEL.high, Number(state.tlbKey), true, true, FRAME, 4096, true);
    expect(look(KERNEL, "writeTag")).toBe(FRAME);
    tlb.protect(FRAME);
    expect(look(KERNEL, "writeTag")).toBeUndefined();
    expect(look(KERNEL)).toBe(FRAME);
  });
});

describe("a jump target", () => {
  const jump = ({ state, tlb }: ReturnType<typeof setUp>, { low, high }: { low: number; high: number }) => ({
    enter: (global: boolean) => tlb.enterJump(low, high, state.jumpKey, RECORD, 0x40_0000, global),
    find: () => tlb.findJump(low, high, state.jumpKey),
  });

  it("in a global page survives the flush of its address space, others do not", () => {
    const machine = setUp();
    const [kernel, user] = [jump(machine, KERNEL), jump(machine, USER)];
    kernel.enter(true);
    user.enter(false);
    expect([kernel.find(), user.find()]).toEqual([RECORD, RECORD]);
    machine.tlb.invalidate({ kind: "pcid", pcid: 1 }, 0);
    machine.load(1n);
    expect([kernel.find(), user.find()]).toEqual([RECORD, 0]);
  });

  it("is dropped by INVLPG of its page, another page's is not", () => {
    const machine = setUp();
    const [kernel, user] = [jump(machine, KERNEL), jump(machine, USER)];
    kernel.enter(true);
    user.enter(false);
    machine.tlb.invalidate({ kind: "page", address: 0xffff_ffff_8123_4fffn }, 0);
    expect([kernel.find(), user.find()]).toEqual([0, RECORD]);
  });
});
