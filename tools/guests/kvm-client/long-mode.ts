import { flat, realMode } from "./kvm.ts";
import type { Scenario, SystemChange } from "./scenario.ts";

/** Page tables of 64-bit guests, by physical address. */
export const PML4 = 0x1_0000;
const PDPT = 0x1_1000;
const PD = 0x1_2000;
const PT = 0x1_3000;
const UPPER_PDPT = 0x1_4000;
const UPPER_PD = 0x1_5000;
const PRESENT_WRITE = 3n;
const USER = 4n;
const LARGE = 0x80n;

/** The upper half's window: 1 GiB of linear addresses from here show physical memory from 0. */
export const UPPER_HALF = 0xffff_8000_0000_0000n;
/** Linear address whose page is at DEVICE, where there is no memory. */
export const DEVICE_LINEAR = 0x7000n;
export const DEVICE = 0xd000_0000;
/** A page that is not present. */
export const ABSENT_LINEAR = 0x9000n;

/** 4-level paging: the first 2 MiB by 4-KiB pages for user and supervisor, the upper half by one page of 2 MiB. */
export const longModePaging = (s: Scenario): void => {
  const all = PRESENT_WRITE | USER;
  s.store(PML4, BigInt(PDPT) | all);
  s.store(PML4 + 8 * 256, BigInt(UPPER_PDPT) | all);
  s.store(PDPT, BigInt(PD) | all);
  s.store(PD, BigInt(PT) | all);
  const pages = Array.from({ length: 128 }, (_, i) => (BigInt(i) << 12n) | all);
  pages[Number(DEVICE_LINEAR >> 12n)] = BigInt(DEVICE) | all;
  pages[Number(ABSENT_LINEAR >> 12n)] = 0n;
  s.store(PT, ...pages);
  s.store(UPPER_PDPT, BigInt(UPPER_PD) | all);
  s.store(UPPER_PD, LARGE | PRESENT_WRITE);
};

export const CR0_LONG = 0x8001_0033n;
/** PAE, OSFXSR, OSXMMEXCPT. */
export const CR4_LONG = 0x620n;
/** LME, LMA, SCE. */
export const EFER_LONG = 0x501n;

/** The system registers of 64-bit code at level 0. */
export const longMode = (): SystemChange => ({
  ...realMode(),
  cs: flat(8, "code64"),
  ss: flat(0x10, "data"),
  ds: flat(0x10, "data"),
  es: flat(0x10, "data"),
  fs: { ...flat(0x10, "data"), base: 0x1234_5678_9abcn },
  gs: { ...flat(0x10, "data"), base: 0xffff_8888_0000_0000n },
  cr0: CR0_LONG,
  cr3: BigInt(PML4),
  cr4: CR4_LONG,
  efer: EFER_LONG,
});
