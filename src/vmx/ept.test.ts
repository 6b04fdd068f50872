import { describe, expect, it } from "vitest";
import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { Fault } from "../cpu/fault.ts";
import { Access, type Translation, walkLinear } from "../cpu/page-walk.ts";
import { reloadPdptes } from "../cpu/pdptes.ts";
import { GuestPhysicalAccess, type GuestPhysicalTranslation, VmExit } from "../cpu/vmx-socket.ts";
import { ept, TestGuest } from "./guest.fixture.ts";
import { invalidateEpt } from "./worlds.ts";

const { READ, WRITE, FETCH, USER } = Access;
const { TABLE, NO_LINEAR_ADDRESS, USER_MODE_ADDRESS, WRITABLE, EXECUTE_DISABLE } = GuestPhysicalAccess;
const [A, D] = [0x100n, 0x200n];
const accessedDirty = 0x40n;
const suppressVE = 1n << 63n;

const translate = (guest: TestGuest, address: number, access: number = READ) =>
  guest.vmx.translateGuestPhysical(address, access, 0xffff_8000, 0x1234_5678);

/** The result as text: the physical address, or the exit with its qualification. */
const outcome = (result: GuestPhysicalTranslation | Translation | Fault | undefined): string => {
  if (result === undefined) return "done";
  if (result instanceof VmExit) return `exit ${result.reason}: ${result.qualification.toString(16)}`;
  if (result instanceof Fault) return `fault ${result.vector}`;
  return result.address.toString(16);
};
const go = (guest: TestGuest, address: number, access?: number): string =>
  outcome(translate(guest, address, access));
const violation = (qualification: number): string => `exit 48: ${qualification.toString(16)}`;
const misconfiguration = "exit 49: 0";

describe("a guest-physical address", () => {
  it("is translated by four levels to a 4-KByte page", () => {
    const guest = new TestGuest().identity();
    guest.page(0x5000, 0x12_3000n | 0x37n);
    expect(go(guest, 0x5abc)).toBe("123abc");
    expect(go(guest, 0x8000_5abc)).toBe("123abc");
    expect(translate(guest, 0x5abc)).toMatchObject({ pageSize: 4096, mayRead: true, mayWrite: true });
  });

  it("is translated by 2-MByte and 1-GByte pages", () => {
    const guest = new TestGuest().identity();
    guest.write64(ept.directory + 8, 0x40_0000n | 0xb7n);
    expect(go(guest, 0x20_0000 + 0x1_2345)).toBe("412345");
    guest.write64(ept.pdpt + 8, 0x1_4000_0000n | 0xb7n);
    expect(go(guest, 0x4000_0000 + 0x123_4567)).toBe("141234567");
    expect(translate(guest, 0x4000_0000)).toMatchObject({ pageSize: 2 ** 30 });
  });

  it("uses 48 bits: nine for each level", () => {
    const guest = new TestGuest().identity();
    const address = 3 * 2 ** 39 - 2 ** 30; // PML4E 2, PDPTE 511
    guest.write64(ept.pml4 + 8 * 2, BigInt(ept.pdpt) | 7n);
    guest.write64(ept.pdpt + 8 * 511, BigInt(ept.directory) | 7n);
    expect(go(guest, address + 0x7123)).toBe("7123");
  });

  it("reads tables beyond memory as all ones, which are misconfigured", () => {
    const guest = new TestGuest().identity();
    guest.write64(ept.pml4, 0x20_0000_0000n | 7n);
    expect(go(guest, 0x1000)).toBe(misconfiguration);
  });
});

describe("an EPT misconfiguration", () => {
  /** Entry by level, as what is changed of it. */
  const entryAt = { 4: ept.pml4, 3: ept.pdpt, 2: ept.directory, 1: ept.table } as const;
  const base = { 4: 0x1_1000n, 3: 0x1_2000n, 2: 0x1_3000n, 1: 0n } as const;
  const outcomeOf = (level: 1 | 2 | 3 | 4, entry: bigint, minus: string[] = []): string => {
    const guest = new TestGuest([], minus).identity();
    guest.write64(entryAt[level], entry);
    return go(guest, 0x123);
  };

  it.each([4, 3, 2, 1] as const)("is write access without read access, at level %d", (level) => {
    const type = level === 1 ? 0x30n : 0n;
    expect(outcomeOf(level, base[level] | type | 2n)).toBe(misconfiguration);
    expect(outcomeOf(level, base[level] | type | 6n)).toBe(misconfiguration);
    expect(outcomeOf(level, base[level] | type | 3n)).toBe("123");
  });

  it("is execute access alone where that is not offered", () => {
    expect(outcomeOf(1, 0x34n, ["eptExecuteOnly"])).toBe(misconfiguration);
    expect(outcomeOf(1, 0x34n)).toBe(violation(1 | (4 << 3) | 0x80 | 0x100));
    expect(outcomeOf(1, 0x35n, ["eptExecuteOnly"])).toBe("123");
  });

  it("is user execute access alone, likewise, under mode-based execute control", () => {
    const guest = new TestGuest(["modeBasedExecuteControl"], ["eptExecuteOnly"]).identity();
    guest.page(0, 0x430n);
    expect(go(guest, 0x123)).toBe(misconfiguration);
  });

  it("is a reserved bit of an entry that references a table", () => {
    for (let bit = 3; bit < 12; bit++) {
      const reserved4 = bit <= 7;
      expect(`${bit} ${outcomeOf(4, base[4] | 7n | (1n << BigInt(bit)))}`).toBe(
        `${bit} ${reserved4 ? misconfiguration : "123"}`,
      );
      if (bit === 7) continue;
      for (const level of [3, 2] as const)
        expect(`${bit} ${outcomeOf(level, base[level] | 7n | (1n << BigInt(bit)))}`).toBe(
          `${bit} ${bit <= 6 ? misconfiguration : "123"}`,
        );
    }
  });

  it("is an address bit beyond the physical-address width, at each level", () => {
    for (const level of [4, 3, 2, 1] as const)
      for (let bit = 40; bit < 64; bit++) {
        const type = level === 1 ? 0x30n : 0n;
        const found = outcomeOf(level, base[level] | type | 7n | (1n << BigInt(bit)));
        expect(`${level} ${bit} ${found}`).toBe(`${level} ${bit} ${bit <= 51 ? misconfiguration : "123"}`);
      }
  });

  it("is a low address bit of a large page", () => {
    for (let bit = 12; bit < 21; bit++)
      expect(outcomeOf(2, 0xb7n | (1n << BigInt(bit)))).toBe(misconfiguration);
    expect(outcomeOf(2, 0xb7n | (1n << 21n))).toBe("200123");
    for (let bit = 12; bit < 30; bit++)
      expect(outcomeOf(3, 0xb7n | (1n << BigInt(bit)))).toBe(misconfiguration);
    expect(outcomeOf(3, 0xb7n | (1n << 30n))).toBe("40000123");
  });

  it("is a large page that is not offered", () => {
    expect(outcomeOf(2, 0xb7n, ["ept2MPages"])).toBe(misconfiguration);
    expect(outcomeOf(3, 0xb7n, ["ept1GPages"])).toBe(misconfiguration);
    expect(outcomeOf(2, 0xb7n)).toBe("123");
    expect(outcomeOf(3, 0xb7n)).toBe("123");
  });

  it("is memory type 2, 3 or 7 of a page", () => {
    for (let type = 0n; type < 8n; type++) {
      const bad = type === 2n || type === 3n || type === 7n;
      expect(outcomeOf(1, 7n | (type << 3n))).toBe(bad ? misconfiguration : "123");
      expect(outcomeOf(2, 0x87n | (type << 3n))).toBe(bad ? misconfiguration : "123");
      expect(outcomeOf(3, 0x87n | (type << 3n))).toBe(bad ? misconfiguration : "123");
    }
  });

  it("counts before a right that an upper level lacks", () => {
    const guest = new TestGuest().identity();
    guest.write64(ept.pml4, BigInt(ept.pdpt) | 1n);
    guest.page(0, 0x12n);
    expect(go(guest, 0x123, WRITE)).toBe(misconfiguration);
  });

  it("does not count below an entry that is not present", () => {
    const guest = new TestGuest().identity();
    guest.write64(ept.pdpt, ~7n & ~suppressVE);
    expect(go(guest, 0x123)).toBe(violation(1 | 0x80 | 0x100));
  });

  it("reports the guest-physical address", () => {
    const guest = new TestGuest().identity();
    guest.page(0x7000, 2n);
    expect((translate(guest, 0x7008) as VmExit).details).toEqual({ guestPhysicalAddress: 0x7008 });
  });
});

describe("an EPT violation", () => {
  const final = 0x180;

  it("says which access, and what the translation allows over all levels", () => {
    for (const [upper, leaf] of [
      [7n, 0n], [7n, 1n], [7n, 3n], [7n, 4n], [7n, 5n], [1n, 7n], [3n, 7n], [5n, 7n], [4n, 7n], [3n, 5n],
    ] as const) // biome-ignore format: one list
      for (const [access, bit] of [
        [READ, 1],
        [WRITE, 2],
        [FETCH, 4],
      ] as const) {
        const guest = new TestGuest().identity();
        guest.write64(ept.directory, BigInt(ept.table) | upper);
        guest.page(0x3000, 0x3030n | leaf);
        const rights = Number(upper & leaf);
        expect(`${upper}&${leaf} ${bit}: ${go(guest, 0x3004, access)}`).toBe(
          `${upper}&${leaf} ${bit}: ${rights & bit ? "3004" : violation(bit | (rights << 3) | final)}`,
        );
      }
  });

  it("gives the linear and the guest-physical address", () => {
    const guest = new TestGuest().identity();
    guest.page(0x3000, 0n);
    expect((translate(guest, 0x3abc) as VmExit).details).toEqual({
      guestLinearAddress: 0xffff_8000_1234_5678n,
      guestPhysicalAddress: 0x3abc,
    });
  });

  it("by an access to a paging structure is no final translation", () => {
    const guest = new TestGuest().identity();
    guest.page(0x3000, 0x3030n);
    expect(go(guest, 0x3000, TABLE)).toBe(violation(0x81));
    guest.page(0x3000, 0x3031n);
    expect(go(guest, 0x3000, TABLE)).toBe("3000");
    expect(go(guest, 0x3000, TABLE | WRITE)).toBe(violation(0x82 | (1 << 3)));
  });

  it("tells of the linear address where the processor reports it", () => {
    const cases = [
      [USER_MODE_ADDRESS, 0x200],
      [WRITABLE, 0x400],
      [EXECUTE_DISABLE, 0x800],
      [USER_MODE_ADDRESS | WRITABLE | EXECUTE_DISABLE, 0xe00],
    ] as const;
    for (const [access, bits] of cases) {
      const guest = new TestGuest().identity();
      guest.page(0x3000, 0n);
      expect(go(guest, 0x3000, access)).toBe(violation(1 | final | bits));
      expect(go(guest, 0x3000, access | TABLE)).toBe(violation(0x81));
      const plain = new TestGuest([], ["eptViolationDetails"]).identity();
      plain.page(0x3000, 0n);
      expect(go(plain, 0x3000, access)).toBe(violation(1 | final));
    }
  });

  it("by a load of PDPTEs has no linear address", () => {
    const guest = new TestGuest().identity(accessedDirty);
    guest.page(0x3000, 0n);
    const exit = translate(guest, 0x3020, TABLE | NO_LINEAR_ADDRESS) as VmExit;
    expect(outcome(exit)).toBe(violation(1));
    expect(exit.details).toEqual({ guestPhysicalAddress: 0x3020 });
  });
});

describe("mode-based execute control", () => {
  const rights = (entry: bigint) => {
    const guest = new TestGuest(["modeBasedExecuteControl"]).identity();
    guest.page(0x3000, 0x3030n | entry);
    return [go(guest, 0x3000, FETCH), go(guest, 0x3000, FETCH | USER_MODE_ADDRESS | WRITABLE)];
  };

  it("takes bit 2 for supervisor-mode and bit 10 for user-mode linear addresses", () => {
    expect(rights(0x401n)).toEqual([violation(4 | (1 << 3) | 0x40 | 0x180), "3000"]);
    expect(rights(0x005n)).toEqual(["3000", violation(4 | (5 << 3) | 0x180 | 0x600)]);
    expect(rights(0x405n)).toEqual(["3000", "3000"]);
  });

  it("makes an entry present by bit 10 alone", () => {
    expect(rights(0x400n)).toEqual([violation(4 | 0x40 | 0x180), "3000"]);
  });

  it("asks for bit 10 at every level", () => {
    const guest = new TestGuest(["modeBasedExecuteControl"]).identity();
    guest.write64(ept.directory, BigInt(ept.table) | 7n);
    expect(go(guest, 0x3000, FETCH | USER_MODE_ADDRESS)).toBe(violation(4 | (7 << 3) | 0x180 | 0x200));
    expect(translate(guest, 0x3000)).toMatchObject({ mayFetch: true, mayFetchUser: false });
  });

  it("leaves bit 10 without meaning when it is off", () => {
    const guest = new TestGuest().identity();
    guest.page(0x3000, 0x3400n);
    expect(go(guest, 0x3000)).toBe(violation(1 | 0x180));
    guest.page(0x3000, 0x3037n);
    expect(translate(guest, 0x3000)).toMatchObject({ mayFetch: true, mayFetchUser: true });
  });
});

describe("accessed and dirty flags for EPT", () => {
  const flagsOf = (guest: TestGuest, address: number) =>
    [ept.pml4, ept.pdpt, ept.directory, ept.table + 8 * (address >>> 12)].map((at) =>
      Number((guest.read64(at) & (A | D)) >> 8n),
    );

  it("are left alone when EPTP bit 6 is 0", () => {
    const guest = new TestGuest().identity();
    go(guest, 0x3000, WRITE);
    expect(flagsOf(guest, 0x3000)).toEqual([0, 0, 0, 0]);
    expect(translate(guest, 0x3000)).toMatchObject({ mayWrite: true });
  });

  it("are set at every level by a read, and at the last by a write", () => {
    const guest = new TestGuest().identity(accessedDirty);
    expect(translate(guest, 0x3000)).toMatchObject({ mayRead: true, mayWrite: false });
    expect(flagsOf(guest, 0x3000)).toEqual([1, 1, 1, 1]);
    expect(translate(guest, 0x3000, WRITE)).toMatchObject({ mayWrite: true });
    expect(flagsOf(guest, 0x3000)).toEqual([1, 1, 1, 3]);
  });

  it("are not set by an access that is refused", () => {
    const guest = new TestGuest().identity(accessedDirty);
    guest.page(0x3000, 0x3035n);
    go(guest, 0x3000, WRITE);
    expect(flagsOf(guest, 0x3000)).toEqual([0, 0, 0, 0]);
  });

  it("make every access to a guest paging structure a write", () => {
    const guest = new TestGuest().identity(accessedDirty);
    go(guest, 0x3000, TABLE);
    expect(flagsOf(guest, 0x3000)).toEqual([1, 1, 1, 3]);
    guest.page(0x4000, 0x4035n);
    expect(go(guest, 0x4000, TABLE)).toBe(violation(3 | (5 << 3) | 0x80));
  });

  it("but for loads of PDPTEs, which are reads", () => {
    const guest = new TestGuest().identity(accessedDirty);
    guest.page(0x4000, 0x4031n);
    expect(go(guest, 0x4000, TABLE | NO_LINEAR_ADDRESS)).toBe("4000");
    expect(flagsOf(guest, 0x4000)).toEqual([1, 1, 1, 1]);
  });
});

describe("page-modification logging", () => {
  const logging = (index: number) => {
    const guest = new TestGuest(["enablePML"]).identity(accessedDirty);
    guest.write("control.pmlAddress", 0x2_0000n);
    guest.write("guest.pmlIndex", index);
    return guest;
  };

  it("logs the page of a write that sets a dirty flag, once", () => {
    const guest = logging(511);
    expect(go(guest, 0x8000_3abc, WRITE)).toBe("3abc");
    expect(guest.read64(0x2_0000 + 8 * 511)).toBe(0x8000_3000n);
    expect(guest.read("guest.pmlIndex")).toBe(510n);
    go(guest, 0x8000_3abc, WRITE);
    expect(guest.read("guest.pmlIndex")).toBe(510n);
  });

  it("logs nothing where the dirty flag is set and only an accessed flag is missing", () => {
    const guest = logging(7);
    guest.page(0x3000, 0x3037n | A | D);
    expect(go(guest, 0x3000, WRITE)).toBe("3000");
    expect(guest.read64(ept.pml4) & A).toBe(A);
    expect(guest.read("guest.pmlIndex")).toBe(7n);
  });

  it("logs nothing for reads", () => {
    const guest = logging(3);
    go(guest, 0x3000);
    expect(guest.read("guest.pmlIndex")).toBe(3n);
  });

  it("wraps the index behind the last entry", () => {
    const guest = logging(0);
    go(guest, 0x3000, WRITE);
    expect(guest.read("guest.pmlIndex")).toBe(0xffffn);
    expect(guest.read64(0x2_0000)).toBe(0x3000n);
  });

  it.each([512, 0xffff])("exits before the access when the index is %d and a flag is to be set", (index) => {
    const guest = logging(index);
    expect(go(guest, 0x3000, WRITE)).toBe("exit 62: 0");
    expect(guest.read64(ept.table + 8 * 3) & (A | D)).toBe(0n);
    expect(go(guest, 0x3000)).toBe("exit 62: 0"); // an accessed flag too
    for (const at of [ept.pml4, ept.pdpt, ept.directory, ept.table + 8 * 3])
      guest.write64(at, guest.read64(at) | A | D);
    expect(go(guest, 0x3000, WRITE)).toBe("3000");
  });

  it("is not consulted by an access that EPT refuses", () => {
    const guest = logging(0xffff);
    guest.page(0x3000, 0n);
    expect(go(guest, 0x3000, WRITE)).toBe(violation(2 | 0x180));
  });
});

describe("a cached mapping", () => {
  const entryOf3 = ept.table + 8 * 3;

  it("is used until INVEPT, for the world it was made in", () => {
    const guest = new TestGuest(["enableVPID"]).identity();
    guest.write("control.vpid", 1);
    expect(go(guest, 0x3123)).toBe("3123");
    guest.write64(entryOf3, 0x5037n);
    expect(go(guest, 0x3456)).toBe("3456");
    guest.write("control.eptPointer", BigInt(ept.pml4) | 0x5en);
    expect(go(guest, 0x3456)).toBe("5456");
  });

  it("is dropped by INVEPT", () => {
    const guest = new TestGuest().identity();
    go(guest, 0x3123);
    guest.write64(entryOf3, 0x5037n);
    invalidateEpt(guest.vmx, BigInt(ept.pml4) | 0x1en);
    expect(go(guest, 0x3456)).toBe("5456");
  });

  it("never refuses: an entry that allows more is found without INVEPT", () => {
    const guest = new TestGuest().identity();
    guest.page(0x3000, 0x3031n);
    expect(go(guest, 0x3000)).toBe("3000");
    expect(go(guest, 0x3000, WRITE)).toBe(violation(2 | (1 << 3) | 0x180));
    guest.write64(entryOf3, 0x3033n);
    expect(go(guest, 0x3000, WRITE)).toBe("3000");
    expect(go(guest, 0x3000, FETCH)).toBe(violation(4 | (3 << 3) | 0x180));
    guest.write64(entryOf3, 0x3037n);
    expect(go(guest, 0x3000, FETCH)).toBe("3000");
  });

  it("keeps a page's place of 4 KBytes apart from its neighbours in the cache", () => {
    const guest = new TestGuest().identity();
    guest.write64(ept.directory + 8 * 2, 0x20_0000n | 0xb7n);
    expect(go(guest, 0x3123)).toBe("3123");
    expect(go(guest, 0x3123 + (1 << 22))).toBe("203123");
    expect(go(guest, 0x3123)).toBe("3123");
    expect(translate(guest, 0x3123 + (1 << 22))).toMatchObject({ pageSize: 0x20_0000 });
    expect(translate(guest, 0x3124 + (1 << 22))).toMatchObject({ pageSize: 0x20_0000 });
  });
});

describe("whether a violation may become #VE", () => {
  const convertible = (change: (guest: TestGuest) => void, on = true): boolean => {
    const guest = new TestGuest(on ? ["eptViolationVE"] : []).identity();
    change(guest);
    return (translate(guest, 0x3000, WRITE) as VmExit).details.convertible ?? false;
  };

  it("is said by bit 63 of the entry that is not present", () => {
    expect(convertible((guest) => guest.page(0x3000, 0n))).toBe(true);
    expect(convertible((guest) => guest.page(0x3000, suppressVE))).toBe(false);
    expect(convertible((guest) => guest.write64(ept.directory, suppressVE))).toBe(false);
  });

  it("is said by bit 63 of the entry that maps the page, not by those above", () => {
    expect(convertible((guest) => guest.page(0x3000, 0x3035n | suppressVE))).toBe(false);
    expect(
      convertible((guest) => {
        guest.page(0x3000, 0x3035n);
        guest.write64(ept.pdpt, guest.read64(ept.pdpt) | suppressVE);
      }),
    ).toBe(true);
  });

  it("is no without the control", () => {
    expect(convertible((guest) => guest.page(0x3000, 0n), false)).toBe(false);
  });
});

/** The guest's own 4-level tables at 10_0000H ... 10_3000H map linear page 20_0000H at `leaf`. */
const paged = (leaf: bigint, flags = 0n, controls: ConstructorParameters<typeof TestGuest>[0] = []) => {
  const guest = new TestGuest(controls).identity(flags);
  const { state } = guest.core;
  state.CR0 = CR0.PE | CR0.PG | CR0.WP;
  state.CR4 = CR4.PAE;
  state.CR3 = 0x10_0000n;
  state.IA32_EFER = IA32_EFER.LME | IA32_EFER.LMA | IA32_EFER.NXE;
  guest.write64(0x10_0000, 0x10_1007n);
  guest.write64(0x10_1000, 0x10_2007n);
  guest.write64(0x10_2008, 0x10_3007n);
  guest.write64(0x10_3000, leaf);
  return guest;
};
const walk = (guest: TestGuest, access: number, address = 0x20_0123n): string =>
  outcome(walkLinear(guest.core, address, access));

describe("a page walk in a guest", () => {
  it("finds its tables and its page through EPT", () => {
    const guest = paged(0x5007n);
    guest.page(0x5000, 0x6037n);
    guest.page(0x10_0000, 0x11_0037n);
    guest.write64(0x11_0000, 0x10_1007n);
    guest.write64(0x10_0000, 0n);
    expect(walk(guest, READ)).toBe("6123");
    expect(guest.read64(0x11_0000) & 0x20n).toBe(0x20n);
    expect(guest.read64(0x10_3000) & 0x60n).toBe(0x20n);
  });

  it("gives the rights that both translations allow", () => {
    const guest = paged(0x5007n);
    guest.page(0x5000, 0x5033n);
    expect(walk(guest, WRITE)).toBe("5123");
    const result = walkLinear(guest.core, 0x20_0123n, READ) as Translation;
    expect(result).toMatchObject({ frame: 0x5000, mayRead: true, mayWrite: true, mayFetch: false });
    guest.page(0x5000, 0x5031n);
    expect(walkLinear(guest.core, 0x20_0123n, READ)).toMatchObject({ mayWrite: false });
  });

  it("lets no page be written that is not dirty in EPT yet", () => {
    const guest = paged(0x5067n, accessedDirty);
    expect(walkLinear(guest.core, 0x20_0123n, READ)).toMatchObject({ mayWrite: false });
    walkLinear(guest.core, 0x20_0123n, WRITE);
    expect(walkLinear(guest.core, 0x20_0123n, READ)).toMatchObject({ mayWrite: true });
  });

  it("maps each fragment of a large page by itself", () => {
    const guest = paged(0n);
    guest.write64(0x10_2008, 0x87n);
    guest.page(0x5000, 0x9037n);
    guest.page(0x6000, 0x3037n);
    expect(walk(guest, READ, 0x20_5010n)).toBe("9010");
    expect(walk(guest, READ, 0x20_6010n)).toBe("3010");
    expect(walkLinear(guest.core, 0x20_6010n, READ)).toMatchObject({ pageSize: 0x20_0000, frame: 0x3000 });
  });

  it.each([
    ["PML4", 0x10_0000],
    ["page-directory-pointer table", 0x10_1000],
    ["page directory", 0x10_2008],
    ["page table", 0x10_3000],
  ])("exits where its %s is not mapped", (_name, at) => {
    const guest = paged(0x5007n);
    guest.page(at & ~0xfff, 0n);
    const exit = walkLinear(guest.core, 0x20_0123n, WRITE) as VmExit;
    expect(outcome(exit)).toBe(violation(0x81));
    expect(exit.details).toMatchObject({ guestPhysicalAddress: at, guestLinearAddress: 0x20_0123n });
  });

  it("exits when a flag is to be set in a table that EPT makes read-only, with nothing set", () => {
    const guest = paged(0x5007n);
    guest.page(0x10_2000, 0x10_2031n);
    expect(walk(guest, READ)).toBe(violation(0x82 | (1 << 3)));
    for (const at of [0x10_0000, 0x10_1000, 0x10_2008, 0x10_3000]) expect(guest.read64(at) & 0x20n).toBe(0n);
    for (const at of [0x10_0000, 0x10_1000, 0x10_2008, 0x10_3000])
      guest.write64(at, guest.read64(at) | 0x20n);
    expect(walk(guest, READ)).toBe("5123");
  });

  it("exits at its page, with what its own tables say of it", () => {
    const guest = paged(0x5003n | (1n << 63n));
    guest.page(0x5000, 0n);
    expect(walk(guest, WRITE)).toBe(violation(2 | 0x180 | 0x400 | 0x800));
    guest.write64(0x10_3000, 0x5005n);
    expect(walk(guest, FETCH | USER)).toBe(violation(4 | 0x180 | 0x200));
    expect(guest.read64(0x10_3000) & 0x20n).toBe(0n);
  });

  it("faults by its own tables before EPT sees the page", () => {
    const guest = paged(0x5001n);
    guest.page(0x5000, 0n);
    expect(walk(guest, WRITE)).toBe("fault 14");
    expect(walk(guest, READ)).toBe(violation(1 | 0x180));
  });

  it("tells user-mode addresses by the page, not by who accesses it", () => {
    const guest = paged(0x5007n, 0n, ["modeBasedExecuteControl"]);
    guest.page(0x5000, 0x5033n | 4n);
    expect(walk(guest, FETCH)).toBe(violation(4 | (7 << 3) | 0x180 | 0x600));
    guest.write64(0x10_3000, 0x5003n);
    expect(walk(guest, FETCH)).toBe("5123");
  });

  it("logs the pages of its tables while EPT has dirty flags", () => {
    const guest = paged(0x5007n, accessedDirty, ["enablePML"]);
    guest.write("control.pmlAddress", 0x2_0000n);
    guest.write("guest.pmlIndex", 511);
    walk(guest, WRITE);
    const logged = [511, 510, 509, 508, 507].map((n) => Number(guest.read64(0x2_0000 + 8 * n)));
    expect(logged).toEqual([0x10_0000, 0x10_1000, 0x10_2000, 0x10_3000, 0x5000]);
    expect(guest.read("guest.pmlIndex")).toBe(506n);
  });
});

describe("a guest without paging", () => {
  it("has EPT translate its linear addresses, which are user-mode and writable", () => {
    const guest = new TestGuest().identity();
    guest.core.state.CR0 = CR0.PE;
    guest.page(0x5000, 0x6031n);
    expect(walk(guest, READ, 0x5123n)).toBe("6123");
    expect(walk(guest, WRITE, 0x5123n)).toBe(violation(2 | (1 << 3) | 0x180 | 0x600));
  });
});

describe("a guest with 32-bit paging", () => {
  it("finds its tables through EPT and sets their flags", () => {
    const guest = new TestGuest().identity();
    const { state } = guest.core;
    state.CR0 = CR0.PE | CR0.PG;
    state.CR3 = 0x10_0000n;
    guest.page(0x10_1000, 0x11_1037n);
    guest.page(0x5000, 0x6037n);
    guest.write32(0x10_0004, 0x10_1003);
    guest.write32(0x11_1000, 0x5003);
    expect(walk(guest, WRITE, 0x40_0123n)).toBe("6123");
    expect(guest.read32(0x11_1000) & 0x60).toBe(0x60);
    guest.page(0x10_1000, 0n);
    expect(walk(guest, WRITE, 0x40_0123n)).toBe(violation(0x81));
  });
});

describe("loading PDPTEs in a guest", () => {
  it("reads them through EPT, and exits where EPT refuses", () => {
    const guest = new TestGuest().identity();
    guest.page(0x5000, 0x6031n);
    for (let n = 0; n < 4; n++) guest.write64(0x6020 + 8 * n, BigInt(0x7001 + 0x1000 * n));
    expect(outcome(reloadPdptes(guest.core, 0x5020n))).toBe("done");
    expect(guest.core.state.PDPTE2).toBe(0x9001n);
    guest.write64(0x6020, 0x7003n);
    expect(outcome(reloadPdptes(guest.core, 0x5020n))).toBe("fault 13");
    guest.page(0x5000, 0n);
    expect(outcome(reloadPdptes(guest.core, 0x5020n))).toBe(violation(1));
  });
});
