import { describe, expect, it } from "vitest";
import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import { Fault } from "./core.ts";
import { describeFault, FakeCore } from "./fake-core.fixture.ts";
import { Access, type Translation, walk, walkLinear } from "./page-walk.ts";
import { loadPdptes } from "./pdptes.ts";

const { READ, WRITE, FETCH, USER, IMPLICIT } = Access;
const [P, RW, US, A, D, PS, G] = [1n, 2n, 4n, 0x20n, 0x40n, 0x80n, 0x100n];
const XD = 1n << 63n;

const outcome = (result: Translation | Fault): string =>
  result instanceof Fault
    ? describeFault(result)!
    : `${result.address.toString(16)}/${result.pageSize.toString(16)}`;

/** 4-level paging; PML4 at 0x1000, then 0x2000, 0x3000, 0x4000. The page is at 0x0080_8040_2000. */
const address = 0x0080_8040_2000n;
const long = (leaf: bigint, upper = P | RW | US) => {
  const core = new FakeCore();
  const { state } = core;
  state.CR0 = CR0.PE | CR0.PG | CR0.WP;
  state.CR3 = 0x1000n;
  state.CR4 = CR4.PAE;
  state.IA32_EFER = IA32_EFER.LME | IA32_EFER.LMA | IA32_EFER.NXE;
  core.write64(0x1000 + 8 * 1, 0x2000n | upper);
  core.write64(0x2000 + 8 * 2, 0x3000n | P | RW | US);
  core.write64(0x3000 + 8 * 2, 0x4000n | P | RW | US);
  core.write64(0x4000 + 8 * 2, leaf);
  const go = (access: number, at = address) => outcome(walkLinear(core, at, access));
  return { core, state, go };
};

describe("without paging", () => {
  it("maps every address to itself and allows everything", () => {
    const core = new FakeCore();
    const result = walk(core, 0, 0x1234_5678, WRITE) as Translation;
    expect(result).toMatchObject({
      address: 0x1234_5678,
      frame: 0x1234_5000,
      pageSize: 4096,
      mayRead: true,
      mayWrite: true,
      mayFetch: true,
    });
  });
});

describe("4-level paging", () => {
  it("translates a 4-KByte page and sets accessed flags at every level", () => {
    const { core, go } = long(0x12_3000n | P | RW | US);
    expect(go(READ, address + 0x45n)).toBe("123045/1000");
    for (const at of [0x1008, 0x2010, 0x3010, 0x4010]) expect(core.read64(at) & A).toBe(A);
    expect(core.read64(0x4010) & D).toBe(0n);
  });

  it("sets the dirty flag on a write only, and writes nothing when the flags are set", () => {
    const { core, go } = long(0x12_3000n | P | RW | US);
    go(WRITE);
    expect(core.read64(0x4010) & (A | D)).toBe(A | D);
    expect(core.read64(0x3010) & D).toBe(0n);
    core.written.length = 0;
    go(WRITE);
    expect(core.written).toEqual([]);
  });

  it("leaves accessed flags clear when the access faults", () => {
    const { core, go } = long(0x12_3000n | P | US);
    expect(go(WRITE | USER)).toBe("#PF(7)");
    expect(core.written).toEqual([]);
  });

  it("gives 2-MByte and 1-GByte pages, bit 12 being PAT", () => {
    const { core, go } = long(0n);
    core.write64(0x3010, 0x20_0000n | 0x1000n | P | RW | US | PS);
    expect(go(READ, address + 0x1_2345n)).toBe("214345/200000");
    core.write64(0x2010, 0x4000_0000n | P | RW | US | PS);
    expect(go(READ, address + 0x123n)).toBe("40402123/40000000");
  });

  it("reports what is not present, with the kind of access", () => {
    const { go } = long(0n);
    expect(go(READ)).toBe("#PF(0)");
    expect(go(WRITE)).toBe("#PF(2)");
    expect(go(READ | USER)).toBe("#PF(4)");
    expect(go(FETCH | USER)).toBe("#PF(14)");
    expect(go(READ, 0x7fff_0000_0000n)).toBe("#PF(0)");
  });

  it("carries the linear address of the fault", () => {
    const { core } = long(0n);
    expect((walkLinear(core, address + 0xffn, READ) as Fault).payload).toBe(address + 0xffn);
    expect((walkLinear(core, 0xffff_8000_0000_0123n, READ) as Fault).payload).toBe(0xffff_8000_0000_0123n);
  });

  const reserved: [string, (core: FakeCore) => void][] = [
    [
      "an address bit beyond the physical width",
      (core) => core.write64(0x4010, 0x12_3000n | P | (1n << 40n)),
    ],
    ["PS in a PML4E", (core) => core.write64(0x1008, 0x2000n | P | PS)],
    ["low address bits of a 2-MByte page", (core) => core.write64(0x3010, 0x20_2000n | P | PS)],
    ["low address bits of a 1-GByte page", (core) => core.write64(0x2010, 0x4020_0000n | P | PS)],
  ];
  for (const [what, set] of reserved)
    it(`raises RSVD for ${what}`, () => {
      const { core, go } = long(0x12_3000n | P | RW | US);
      set(core);
      expect(go(READ)).toBe("#PF(9)");
      expect(go(WRITE | USER)).toBe("#PF(f)");
    });

  it("treats XD as reserved while NXE is clear", () => {
    const { state, go } = long(0x12_3000n | P | RW | US | XD);
    expect(go(READ)).toBe("123000/1000");
    state.IA32_EFER &= ~IA32_EFER.NXE;
    expect(go(READ)).toBe("#PF(9)");
  });

  it("treats a 1-GByte page as reserved on a model without them", () => {
    const core = new FakeCore("nehalem");
    const { state } = core;
    state.CR0 = CR0.PE | CR0.PG;
    state.CR3 = 0x1000n;
    state.CR4 = CR4.PAE;
    state.IA32_EFER = IA32_EFER.LMA | IA32_EFER.LME;
    core.write64(0x1000, 0x2000n | P);
    core.write64(0x2000, P | PS);
    expect(outcome(walkLinear(core, 0n, READ))).toBe("#PF(9)");
  });

  it("refuses fetches where any level disables execution", () => {
    const { go } = long(0x12_3000n | P | RW | US, P | RW | US | XD);
    expect(go(FETCH)).toBe("#PF(11)");
    expect(go(FETCH | USER)).toBe("#PF(15)");
    expect(go(READ | USER)).toBe("123000/1000");
  });

  it("takes user and write rights from all levels together", () => {
    expect(long(0x12_3000n | P | RW | US, P | RW).go(READ | USER)).toBe("#PF(5)");
    expect(long(0x12_3000n | P | RW | US, P | US).go(WRITE | USER)).toBe("#PF(7)");
    expect(long(0x12_3000n | P | RW | US, P | US).go(WRITE)).toBe("#PF(3)");
  });

  it("lets the supervisor write read-only pages while WP is clear", () => {
    const { state, go } = long(0x12_3000n | P | US);
    expect(go(WRITE)).toBe("#PF(3)");
    state.CR0 &= ~CR0.WP;
    expect(go(WRITE)).toBe("123000/1000");
    expect(go(WRITE | USER)).toBe("#PF(7)");
  });

  it("SMEP refuses supervisor fetches from user pages", () => {
    const { state, go } = long(0x12_3000n | P | RW | US);
    expect(go(FETCH)).toBe("123000/1000");
    state.CR4 |= CR4.SMEP;
    expect(go(FETCH)).toBe("#PF(11)");
    expect(go(FETCH | USER)).toBe("123000/1000");
  });

  it("SMAP refuses supervisor data accesses to user pages unless AC is set, implicit ones always", () => {
    const { state, go } = long(0x12_3000n | P | RW | US);
    state.CR4 |= CR4.SMAP;
    expect(go(READ)).toBe("#PF(1)");
    expect(go(WRITE)).toBe("#PF(3)");
    expect(go(FETCH)).toBe("123000/1000");
    state.RFLAGS |= RFLAGS.AC;
    expect(go(WRITE)).toBe("123000/1000");
    expect(go(READ | IMPLICIT)).toBe("#PF(1)");
    expect(go(READ | USER)).toBe("123000/1000");
  });

  it("says what a TLB entry for the privilege class may allow", () => {
    const { state, core } = long(0x12_3000n | P | RW | US | G);
    const look = (access: number): Translation => ({ ...(walkLinear(core, address, access) as Translation) });
    expect(look(READ)).toMatchObject({ mayRead: true, mayWrite: false, dirty: false, global: false });
    state.CR4 |= CR4.PGE | CR4.SMEP;
    expect(look(WRITE)).toMatchObject({
      mayWrite: true,
      dirty: true,
      global: true,
      mayFetch: false,
      user: true,
      writable: true,
    });
    expect(look(READ | USER)).toMatchObject({ mayRead: true, mayWrite: true, mayFetch: true });
    state.CR4 |= CR4.SMAP;
    expect(look(FETCH | USER)).toMatchObject({ mayRead: true, mayWrite: true });
  });

  it("ignores bits 11:0 of CR3, which are the PCID", () => {
    const { state, go } = long(0x12_3000n | P | RW | US);
    state.CR4 |= CR4.PCIDE;
    state.CR3 |= 0xabcn;
    expect(go(READ)).toBe("123000/1000");
  });
});

describe("32-bit paging", () => {
  const legacy = (model = "default") => {
    const core = new FakeCore(model);
    core.state.CR0 = CR0.PE | CR0.PG | CR0.WP;
    core.state.CR3 = 0x1018n;
    core.write32(0x1000 + 4 * 1, 0x2007);
    core.write32(0x2000 + 4 * 2, 0x5007);
    const go = (access: number, at = 0x0040_2000) => outcome(walk(core, 0, at, access));
    return { core, state: core.state, go };
  };

  it("translates through two levels and sets accessed and dirty flags", () => {
    const { core, go } = legacy();
    expect(go(WRITE, 0x0040_2abc)).toBe("5abc/1000");
    expect([core.read32(0x1004), core.read32(0x2008)]).toEqual([0x2027, 0x5067]);
  });

  it("has 4-MByte pages with CR4.PSE, and PSE-36 addresses", () => {
    const { core, state, go } = legacy();
    core.write32(0x1004, 0x0080_0087 | (0x12 << 13));
    expect(go(READ)).toBe("fffff000/1000"); // without PSE it is a page table, at 0x824000, where memory floats
    state.CR4 = CR4.PSE;
    expect(go(READ, 0x0041_2345)).toBe("1200812345/400000");
  });

  it("raises RSVD for address bits beyond the physical width in a 4-MByte page", () => {
    const { core, state, go } = legacy("core2"); // 36 bits
    state.CR4 = CR4.PSE;
    core.write32(0x1004, 0x0080_0087 | (0x0f << 13));
    expect(go(READ)).toBe("f00802000/400000");
    core.write32(0x1004, 0x0080_0087 | (0x10 << 13));
    expect(go(READ)).toBe("#PF(9)");
    core.write32(0x1004, 0x00a0_0087);
    expect(go(READ)).toBe("#PF(9)");
  });

  it("reports fetches only with SMEP", () => {
    const { core, state, go } = legacy();
    core.write32(0x2008, 0);
    expect(go(FETCH | USER)).toBe("#PF(4)");
    state.CR4 = CR4.SMEP;
    expect(go(FETCH | USER)).toBe("#PF(14)");
  });
});

describe("PAE paging", () => {
  const pae = () => {
    const core = new FakeCore();
    const { state } = core;
    state.CR0 = CR0.PE | CR0.PG | CR0.WP;
    state.CR4 = CR4.PAE;
    state.CR3 = 0x1020n;
    core.write64(0x1020, 0x2001n);
    core.write64(0x1038, 0x2001n);
    core.write64(0x2000 + 8 * 1, 0x3007n);
    core.write64(0x3000 + 8 * 2, 0x1_2345_6007n);
    const go = (access: number, at = 0x0020_2000) => outcome(walk(core, 0, at, access));
    return { core, state, go };
  };

  it("uses the PDPTE registers, not memory", () => {
    const { core, state, go } = pae();
    expect(go(READ)).toBe("#PF(0)");
    expect(loadPdptes(core, state.CR3)).toBe(true);
    core.write64(0x1020, 0n);
    expect(go(READ)).toBe("123456000/1000");
    expect(go(READ, 0xc020_2000)).toBe("123456000/1000");
    expect(go(READ, 0x4020_2000)).toBe("#PF(0)");
  });

  it("refuses PDPTEs with reserved bits, and keeps the old ones", () => {
    const { core, state, go } = pae();
    loadPdptes(core, state.CR3);
    for (const bit of [1n, 2n, 5n, 6n, 7n, 8n, 40n, 52n, 63n]) {
      core.write64(0x1028, 1n | (1n << bit));
      expect(`${bit} ${loadPdptes(core, state.CR3)}`).toBe(`${bit} false`);
    }
    core.write64(0x1028, 0xffff_ffff_ffff_fffen); // not present: not looked at
    expect(loadPdptes(core, state.CR3)).toBe(true);
    expect(go(READ)).toBe("123456000/1000");
  });

  it("reserves bits 62:52, which 4-level paging ignores", () => {
    const { core, state, go } = pae();
    loadPdptes(core, state.CR3);
    core.write64(0x3010, 0x5007n | (1n << 52n));
    expect(go(READ)).toBe("#PF(9)");
    const deep = long(0x12_3000n | P | (1n << 52n));
    expect(deep.go(READ)).toBe("123000/1000");
  });
});
