import { stateBytes } from "../state/layout.ts";

/**
 * Where things are in the one linear memory that translated code, the processors and guest RAM share. The running
 * processor's state is at offset 0, so that handlers reach it by constant offset; waiting processors' states are copied out.
 */
/** So many that pages rarely replace each other: a miss leaves the region. */
export const tlbEntries = 16384;
export const tlbEntryShift = 5;
/** Bytes of one TLB entry: read tag, write tag (page ^ key, or -1), unused, then what to add to the linear address. */
export const tlbEntryBytes = 1 << tlbEntryShift;
export const tlbEntry = { readTag: 0, writeTag: 8, addend: 24 } as const;
export const tlbOffset = 0x1_0000;

/** Two of them, `jumpCacheWay` bytes apart, are where one target may be. */
export const jumpCacheEntries = 32768;
/** Bytes of one jump-cache entry: linear address, jumpKey, record. */
export const jumpCacheEntryBytes = 16;
export const jumpCacheWay = jumpCacheEntryBytes;
export const jumpCacheEntry = { linear: 0, key: 8, record: 12 } as const;
/** TLB entries that others have replaced lately: searched before the page tables are walked. */
export const tlbVictims = 16;
export const tlbVictimsOffset = tlbOffset + tlbEntries * tlbEntryBytes;
export const jumpCacheOffset = tlbVictimsOffset + tlbVictims * tlbEntryBytes;

/** Records of single-stepped instructions. */
export const stepRecordsOffset = jumpCacheOffset + jumpCacheEntries * jumpCacheEntryBytes;
if (stepRecordsOffset + 4096 > 0x18_0000) throw new Error("step records overlap the regions' slots");

/** Of each region of several pages: codeStamp when its pages were looked up last, and which of them were where it expects them. */
export const regionSlotsOffset = 0x18_0000;
export const regionSlotBytes = 8;
export const regionSlot = { stamp: 0, pages: 4 } as const;
export const regionSlots = 0x8_0000 / regionSlotBytes;

/** Decoded records; when full, all are dropped. */
export const recordsOffset = 0x20_0000;
export const recordsBytes = 48 * 1024 * 1024;

/** Guest RAM and ROM follow. */
export const ramOffset = recordsOffset + recordsBytes;

if (stateBytes > tlbOffset) throw new Error("state overlaps the TLB");
