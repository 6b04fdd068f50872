/**
 * The documented bugs of the original, one row each: `historic` has all of them, `fixed` none. What the original's authors accepted
 * (an NMI in the guest is lost) is in both.
 */
// biome-ignore format: one row per bug
export const quirkRows = {
  pagesByOffset:     "The Switcher finds its pages by subtracting a constant from ESP: a fault while it pops the guest's registers overwrites another page.",
  tablesInOrder:     "LGDT comes before LIDT on the way in: between them an NMI uses the host's IDT with the guest's GDT, and the machine shuts down.",
  keepsStackSegment: "The host comes back with LGUEST_DS in SS, as the guest's TSS gave it.",
  refusesCalls: "INT n through an interrupt gate of the guest's, which the host must reflect, is #GP for its programs.",
  inputFillsEax:     "An emulated IN of a byte or word sets all 32 bits of EAX.",
  emulatesByAddress: "IN and OUT are emulated for whoever runs above page_offset, not for whoever runs in ring 1.",
  leavesTaskSwitched:"The host's CR0.TS stays as the guest wanted it.",
  faultsBeforeInit:  "A page fault before INIT stores CR2 as if the shared structure were at guest-physical 0.",
  reachesSwitcher:   "Guest segments may reach the Switcher's window: ring 1 can read the host's addresses there.",
  ignoresDirectory:  "Rights in page-directory entries do not count: a page that its directory entry makes read-only faults for ever.",
} as const;
export type Quirk = keyof typeof quirkRows;
export type Mode = "historic" | "fixed";
/** Which of them a mode has. */
export type Quirks = Readonly<Record<Quirk, boolean>>;

export const quirksOf = (mode: Mode): Quirks =>
  Object.fromEntries(Object.keys(quirkRows).map((quirk) => [quirk, mode === "historic"])) as Quirks;
