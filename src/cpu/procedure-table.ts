import { FSW } from "../arch/x87.ts";
import { offsetOf } from "../state/layout.ts";
import type { Core } from "./core.ts";
import { plainMsr } from "./msrs.ts";
import { type Procedure, procedures } from "./procedures.ts";

/**
 * Procedures by number, as records of translated code name them, and which of them are quiet: whatever they do, outside VMX
 * non-root operation neither events nor the code's mode need be looked at again before the next instruction.
 */

export interface ProcedureEntry {
  readonly run: Procedure;
  /** It reads or writes status flags: they must be in RFLAGS. */
  readonly settles: boolean;
  /** May it be quiet? */
  readonly quiet: boolean;
  /** It may change how code is translated, and nothing else that matters: the mode is looked at after it. */
  readonly remodes?: boolean;
  /** Asked after it, with ECX before it: was it? Absent: always. */
  readonly stayed?: (core: Core, index: number) => boolean;
}

const fswOffset = offsetOf("FSW");
const interruptibilityOffset = offsetOf("interruptibility");

/** A pending x87 exception changes what the next instructions of that unit do. */
const noPendingException = ({ state: { view } }: Core): boolean =>
  (view.getUint32(fswOffset, true) & FSW.ES) === 0;

/** A plain MSR changes neither what events there are nor, in 64-bit mode, how code is translated. */
const isPlain = (core: Core, index: number): boolean => plainMsr(core, index) !== undefined;

/** Loading SS may hold events back. */
const noShadow = ({ state: { view } }: Core): boolean => view.getUint32(interruptibilityOffset, true) === 0;

const always = { settles: false } as const;
const segmentLoad = { settles: false, remodes: true, stayed: noShadow } as const;
const quiet: Readonly<Record<string, Pick<ProcedureEntry, "settles" | "stayed" | "remodes">>> = {
  RDMSR: always,
  RDTSC: always,
  RDTSCP: always,
  CPUID: always,
  MOV_FROM_CR: always,
  SLDT: always,
  STR: always,
  SMSW: always,
  SGDT: always,
  SIDT: always,
  LGDT: always,
  LIDT: always,
  LLDT: always,
  LTR: always,
  POP_SREG: segmentLoad,
  MOV_TO_SREG: segmentLoad,
  LDS: segmentLoad,
  LES: segmentLoad,
  LSS: segmentLoad,
  LFS: segmentLoad,
  LGS: segmentLoad,
  XGETBV: always,
  XSAVE: always,
  XSAVEOPT: always,
  XSAVEC: always,
  XSAVES: always,
  FXSAVE: always,
  XRSTOR: { settles: false, stayed: noPendingException },
  XRSTORS: { settles: false, stayed: noPendingException },
  FXRSTOR: { settles: false, stayed: noPendingException },
  WRMSR: { settles: false, stayed: isPlain },
  VMREAD: { settles: true },
  VMWRITE: { settles: true },
};

const names = [...procedures.keys()];
const numbers = new Map(names.map((name, number) => [name, number]));

export const procedureTable: readonly ProcedureEntry[] = names.map((name) => {
  const run = procedures.get(name)!;
  const entry = quiet[name];
  return entry === undefined ? { run, settles: true, quiet: false } : { run, quiet: true, ...entry };
});

/** Number of the procedure that carries out instructions of a mnemonic. */
export const procedureNumber = (mnemonic: string): number => {
  const number = numbers.get(mnemonic);
  if (number === undefined) throw new Error(`no procedure ${mnemonic}`);
  return number;
};
