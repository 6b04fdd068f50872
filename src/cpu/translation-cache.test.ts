import { describe, expect, it } from "vitest";
import { CpuState } from "../state/cpu-state.ts";
import { architecturalBytes } from "../state/layout.ts";
import { Access } from "./page-walk.ts";
import { TranslationCache } from "./translation-cache.ts";

const fresh = (): { cache: TranslationCache; state: CpuState } => ({
  cache: new TranslationCache(),
  state: new CpuState(new ArrayBuffer(architecturalBytes)),
});
const write = 2 * Access.WRITE;
const implicit = 2 * (Access.IMPLICIT | Access.WRITE);

describe("Translations of procedures", () => {
  it("are found again for the same page and kind of access", () => {
    const { cache, state } = fresh();
    expect(cache.find(state, 0x1234, 0, write)).toBe(-1);
    cache.enter(state, 0x1234, 0, write, 0x7000);
    expect(cache.find(state, 0x1ffc, 0, write)).toBe(0x7ffc);
    expect(cache.find(state, 0x1ffc, 0, 0)).toBe(-1);
    expect(cache.find(state, 0x1ffc, 0, implicit)).toBe(-1);
    expect(cache.find(state, 0x2000, 0, write)).toBe(-1);
  });

  it("tell pages of the two halves of the address space apart, and lead above 4 GiB", () => {
    const { cache, state } = fresh();
    cache.enter(state, 0x5000, 0xffff_8000, write, 0x12_3456_7000);
    expect(cache.find(state, 0x5008, 0xffff_8000, write)).toBe(0x12_3456_7008);
    expect(cache.find(state, 0x5008, 0x0000_7fff, write)).toBe(-1);
    expect(cache.find(state, 0x5008, 0, write)).toBe(-1);
  });

  it("are forgotten when they are invalidated", () => {
    const { cache, state } = fresh();
    cache.enter(state, 0x1000, 0, write, 0x7000);
    cache.clear();
    expect(cache.find(state, 0x1000, 0, write)).toBe(-1);
  });

  it.each(["CR0", "CR3", "CR4", "IA32_EFER"] as const)("are of one %s", (name) => {
    const { cache, state } = fresh();
    cache.enter(state, 0x1000, 0, write, 0x7000);
    state[name] = 1n << 20n;
    expect(cache.find(state, 0x1000, 0, write)).toBe(-1);
    cache.enter(state, 0x2000, 0, write, 0x9000);
    expect(cache.find(state, 0x2000, 0, write)).toBe(0x9000);
    state[name] = 0n;
    expect(cache.find(state, 0x2000, 0, write)).toBe(-1);
    expect(cache.find(state, 0x1000, 0, write)).toBe(-1);
  });
});
