import { describe, expect, it } from "vitest";
import { recordsOffset } from "../codegen/memory-map.ts";
import type { Invalidation } from "../cpu/core.ts";
import { Tlb } from "../cpu/tlb.ts";
import { VmxOperation } from "../cpu/vmx-socket.ts";
import { CpuState } from "../state/cpu-state.ts";
import { TestGuest } from "./guest.fixture.ts";
import { invalidateEpt, invalidateOnTransition, invalidateVpid } from "./worlds.ts";

const [one, two] = [0x1_0000n, 0x2_0000n];
const writeBack = 0x1en;
const page = 0x40_1000;
const frame = 0x20_0000;

/** A guest whose translations are cached in a real TLB: `look` says whether the page is known in a world, `fill` makes it so. */
const setUp = () => {
  const guest = new TestGuest(["enableEPT", "enableVPID"]);
  const buffer = new ArrayBuffer(recordsOffset);
  const state = new CpuState(buffer, 0);
  const tlb = new Tlb(buffer);
  guest.core.invalidate = (what: Invalidation) =>
    tlb.invalidate(what, 0, what.worlds ?? guest.vmx.sharesVpid);
  const enter = (vpid: number, eptp: bigint): void => {
    guest.core.state["vmx.operation"] = VmxOperation.nonRoot;
    guest.write("control.vpid", vpid);
    guest.write("control.eptPointer", eptp | writeBack);
    tlb.refresh(state, 0, 1, guest.vmx.world);
  };
  const leave = (): void => {
    guest.core.state["vmx.operation"] = VmxOperation.root;
    tlb.refresh(state, 0, 1, guest.vmx.world);
  };
  const key = (): number => Number(state.tlbKey);
  const fill = (global = false, at = page): void => {
    tlb.fill(at, 0, key(), true, true, frame, 4096, global);
    tlb.enterJump(at, 0, state.jumpKey, 0x5000, 0x40_0000, global);
  };
  const look = (at = page): boolean => {
    const found = tlb.find(at, 0, key(), 4, false) >= 0;
    // Jump targets may be forgotten without need, never kept.
    if (!found) expect(tlb.findJump(at, 0, state.jumpKey)).toBe(0);
    return found;
  };
  return { guest, vmx: guest.vmx, tlb, enter, leave, fill, look };
};
const worlds = [
  [1, one],
  [1, two],
  [2, one],
  [2, two],
] as const;

/** Which of the four worlds, and the host as "h", know the page after an act. */
const left = (act: (set: ReturnType<typeof setUp>) => void, global = false): string => {
  const set = setUp();
  for (const [vpid, eptp] of worlds) {
    set.enter(vpid, eptp);
    set.fill(global);
  }
  set.leave();
  set.fill(global);
  act(set);
  let text = "";
  for (const [n, [vpid, eptp]] of worlds.entries()) {
    set.enter(vpid, eptp);
    if (set.look()) text += n;
  }
  set.leave();
  return set.look() ? `${text}h` : text;
};

describe("a cached translation", () => {
  it("belongs to its VPID and its EPT pointer, and outlives VM entries and VM exits", () => {
    const { enter, leave, fill, look } = setUp();
    enter(1, one);
    fill();
    for (const [vpid, eptp] of [[1, two], [2, one]] as const) {
      enter(vpid, eptp);
      expect(look()).toBe(false);
    } // biome-ignore format: one list
    leave();
    expect(look()).toBe(false);
    fill();
    enter(1, one);
    expect(look()).toBe(true);
    leave();
    expect(look()).toBe(true);
  });

  it("is not used where the controls give it other rights", () => {
    const { guest, enter, fill, look } = setUp();
    enter(1, one);
    fill();
    guest.set("modeBasedExecuteControl");
    enter(1, one);
    expect(look()).toBe(false);
    enter(1, one | 0x40n);
    expect(look()).toBe(false);
  });
});

describe("INVEPT", () => {
  it("drops what one EPT pointer has translated, for every VPID", () => {
    expect(left(({ vmx }) => invalidateEpt(vmx, one | writeBack))).toBe("13h");
    expect(left(({ vmx }) => invalidateEpt(vmx, two | 0x46n), true)).toBe("02h");
  });
  it("drops what every EPT pointer has translated", () => {
    expect(left(({ vmx }) => invalidateEpt(vmx, undefined), true)).toBe("h");
  });
});

describe("INVVPID", () => {
  it("drops a linear address of one VPID", () => {
    expect(left(({ vmx }) => invalidateVpid(vmx, 1, BigInt(page)), true)).toBe("23h");
    expect(left(({ vmx }) => invalidateVpid(vmx, 1, BigInt(page + 4096)))).toBe("0123h");
  });
  it("drops one VPID, global pages too", () => {
    expect(left(({ vmx }) => invalidateVpid(vmx, 2), true)).toBe("01h");
  });
  it("drops every VPID but 0", () => {
    expect(left(({ vmx }) => invalidateVpid(vmx, undefined), true)).toBe("h");
  });
  it("keeps global pages when it shall", () => {
    expect(left(({ vmx }) => invalidateVpid(vmx, 2, undefined, true), true)).toBe("0123h");
    expect(left(({ vmx }) => invalidateVpid(vmx, 2, undefined, true))).toBe("01h");
  });
});

describe("what a guest invalidates", () => {
  it.each([
    { kind: "all" },
    { kind: "non-global" },
    { kind: "pcid", pcid: 0 },
    { kind: "page", address: BigInt(page) },
  ] as const)("by $kind is its own VPID's, under every EPT pointer", (what) => {
    expect(
      left(({ guest, enter }) => {
        enter(1, one);
        guest.core.invalidate(what);
      }),
    ).toBe("23h");
    expect(left(({ guest }) => guest.core.invalidate(what))).toBe("0123");
  });
});

describe("VM entries and VM exits", () => {
  it("invalidate nothing with VPID", () => {
    expect(left(({ vmx }) => invalidateOnTransition(vmx), true)).toBe("0123h");
  });
  it("invalidate everything of VPID 0 without it", () => {
    expect(
      left(({ vmx, guest, enter, fill, look }) => {
        const { secondary } = vmx;
        vmx.secondary = 0;
        guest.set("enableEPT");
        enter(7, one);
        fill(true);
        invalidateOnTransition(vmx);
        enter(7, one);
        expect(look()).toBe(false);
        vmx.secondary = secondary;
      }, true),
    ).toBe("0123");
  });
});

describe("worlds without end", () => {
  it("are forgotten, never mistaken for each other, and keep the TLB in bounds", () => {
    const { enter, fill, look } = setUp();
    for (let n = 1; n < 2500; n++) {
      enter(n & 0xffff, BigInt(n) << 12n);
      expect(look()).toBe(false);
      fill();
      expect(look()).toBe(true);
    }
    enter(1, 1n << 12n);
    expect(look()).toBe(false);
    enter(2499, 2499n << 12n);
    expect(look()).toBe(true);
  });
});
