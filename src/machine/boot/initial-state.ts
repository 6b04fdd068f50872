import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access, segmentType, systemType } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { entry } from "../../arch/paging-entries.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import {
  type GeneralRegister,
  generalRegisters,
  type SegmentRegister,
  segmentRegisters,
} from "../../state/layout.ts";

/** A segment register with its hidden part; `access` is in the VMCS format. */
export interface SegmentState {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly access: number;
}

/** What a boot protocol says about the processor at entry. General registers that are not named are 0. */
export interface InitialCpuState {
  readonly mode: "real" | "protected32" | "long64";
  readonly registers: Partial<Record<GeneralRegister, bigint>>;
  readonly RIP: bigint;
  readonly RFLAGS: bigint;
  readonly CR0: bigint;
  readonly CR3: bigint;
  readonly CR4: bigint;
  readonly IA32_EFER: bigint;
  readonly segments: Readonly<Record<SegmentRegister, SegmentState>>;
  readonly GDTR: { readonly base: bigint; readonly limit: number };
  readonly IDTR: { readonly base: bigint; readonly limit: number };
}

const present = access.P;
const codeOrData = access.P | access.S;
const code = codeOrData | segmentType.code | segmentType.readable | segmentType.accessed;
const data = codeOrData | segmentType.writable | segmentType.accessed;

// biome-ignore format: one row per fact
const rights = {
  code32:   code | access.DB | access.G,
  code64:   code | access.L | access.G,
  data32:   data | access.DB | access.G,
  real:     data,
  LDT:      present | systemType.LDT,
  busyTSS:  present | systemType.busyTSS32,
} as const;

const flatLimit = 0xffff_ffff;
const realLimit = 0xffff;
/** A 32-bit TSS without an I/O permission bitmap. */
const tssLimit = 0x67;

/** The processor right after reset, but for where it starts (SDM Vol. 3, "Processor State After Reset"). */
export const realModeState = (start: {
  readonly CS: { readonly selector: number; readonly base: bigint };
  readonly IP: number;
}): InitialCpuState => {
  const segment: SegmentState = { selector: 0, base: 0n, limit: realLimit, access: rights.real };
  return {
    mode: "real",
    registers: {},
    RIP: BigInt(start.IP),
    RFLAGS: RFLAGS.FIXED,
    CR0: CR0.ET | CR0.CD | CR0.NW,
    CR3: 0n,
    CR4: 0n,
    IA32_EFER: 0n,
    segments: {
      ES: segment,
      CS: { ...segment, ...start.CS },
      SS: segment,
      DS: segment,
      FS: segment,
      GS: segment,
      LDTR: { ...segment, access: rights.LDT },
      TR: { ...segment, access: rights.busyTSS },
    },
    GDTR: { base: 0n, limit: realLimit },
    IDTR: { base: 0n, limit: realLimit },
  };
};

/** A descriptor table in guest memory with flat code and data segments at the selectors a boot protocol names. */
export interface FlatTable {
  readonly mode: "protected32" | "long64";
  readonly codeSelector: number;
  readonly dataSelector: number;
  /** Guest-physical address of the table. */
  readonly address: number;
}

/** For protocols that name no selectors: those of QEMU's loaders. */
export const flatTable32 = { mode: "protected32", codeSelector: 0x08, dataSelector: 0x10 } as const;

const descriptor = (limit: number, accessRights: number): bigint => {
  const units = limit === flatLimit ? 0xfffff : limit;
  return BigInt(units & 0xffff) | (BigInt(accessRights) << 40n) | (BigInt(units >>> 16) << 48n);
};

/** The table's bytes, for a load segment. */
export const flatTableBytes = (table: Omit<FlatTable, "address">): Uint8Array => {
  const count = 1 + Math.max(table.codeSelector, table.dataSelector) / 8;
  const bytes = new Uint8Array(8 * count);
  const view = new DataView(bytes.buffer);
  const codeRights = table.mode === "long64" ? rights.code64 : rights.code32;
  view.setBigUint64(table.codeSelector, descriptor(flatLimit, codeRights), true);
  view.setBigUint64(table.dataSelector, descriptor(flatLimit, rights.data32), true);
  return bytes;
};

/** A processor with flat segments: paging off in 32-bit mode, on (with CR3 as given) in 64-bit mode; interrupts off. */
export const flatState = (
  table: FlatTable,
  RIP: number,
  registers: Partial<Record<GeneralRegister, bigint>>,
  CR3 = 0,
): InitialCpuState => {
  const long = table.mode === "long64";
  const dataSegment: SegmentState = {
    selector: table.dataSelector,
    base: 0n,
    limit: flatLimit,
    access: rights.data32,
  };
  return {
    mode: table.mode,
    registers,
    RIP: BigInt(RIP),
    RFLAGS: RFLAGS.FIXED,
    CR0: CR0.PE | CR0.ET | (long ? CR0.PG : 0n),
    CR3: BigInt(CR3),
    CR4: long ? CR4.PAE : 0n,
    IA32_EFER: long ? IA32_EFER.LME | IA32_EFER.LMA : 0n,
    segments: {
      ES: dataSegment,
      CS: {
        selector: table.codeSelector,
        base: 0n,
        limit: flatLimit,
        access: long ? rights.code64 : rights.code32,
      },
      SS: dataSegment,
      DS: dataSegment,
      FS: dataSegment,
      GS: dataSegment,
      LDTR: { selector: 0, base: 0n, limit: 0, access: access.unusable },
      TR: { selector: 0, base: 0n, limit: tssLimit, access: rights.busyTSS },
    },
    GDTR: { base: BigInt(table.address), limit: flatTableBytes(table).length - 1 },
    IDTR: { base: 0n, limit: 0 },
  };
};

const PAGE = 4096;
const LARGE_PAGE = 0x20_0000;
const GIB_MAPPED = 4;

/** Bytes of the identity map below. */
export const identityMapLength = PAGE * (2 + GIB_MAPPED);

/** 4-level paging structures that map the first 4 GiB to themselves in 2-MByte pages, to be placed at `address`; CR3 is `address`. */
export const identityMapBytes = (address: number): Uint8Array => {
  const bytes = new Uint8Array(identityMapLength);
  const view = new DataView(bytes.buffer);
  const put = (index: number, value: number) => view.setBigUint64(8 * index, BigInt(value), true);
  const table = entry.P | entry.RW;
  const entriesPerPage = PAGE / 8;
  put(0, address + PAGE + table);
  for (let gib = 0; gib < GIB_MAPPED; gib++) put(entriesPerPage + gib, address + PAGE * (2 + gib) + table);
  for (let page = 0; page < GIB_MAPPED * entriesPerPage; page++)
    put(2 * entriesPerPage + page, page * LARGE_PAGE + (table | entry.PS));
  return bytes;
};

/** Puts a processor that is in its reset state into the state a boot protocol asks for. */
export const applyInitialState = (state: CpuState, initial: InitialCpuState): void => {
  for (const register of generalRegisters) state[register] = initial.registers[register] ?? 0n;
  for (const register of segmentRegisters) {
    const segment = initial.segments[register];
    state[`${register}.selector`] = segment.selector;
    state[`${register}.base`] = segment.base;
    state[`${register}.limit`] = segment.limit;
    state[`${register}.access`] = segment.access;
  }
  for (const table of ["GDTR", "IDTR"] as const) {
    state[`${table}.base`] = initial[table].base;
    state[`${table}.limit`] = initial[table].limit;
  }
  for (const register of ["RIP", "RFLAGS", "CR0", "CR3", "CR4", "IA32_EFER"] as const)
    state[register] = initial[register];
};
