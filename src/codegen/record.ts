/**
 * A decoded instruction of the interpreter tier: 32 bytes in linear memory, read by its handler. Offsets in bytes.
 * Register slots hold the state offset of a register, so that one handler serves all registers.
 */
export const recordBytes = 32;
export const record = {
  /** u32: the handler's place in the table. */ handler: 0,
  /** u16 each: state offsets of the register operands, in operand order. */ slot0: 4,
  slot1: 6,
  slot2: 8,
  /** In records of procedures. u32: the record of the next instruction (0: not known); u16: number of the procedure. */
  successor: 4,
  procedure: 8,
  /** u16: state offset of the address's base (the `zero` field without one; `ripBase` for RIP-relative). */ base: 10,
  /** u16: state offset of the index. */ index: 12,
  /** u8: shift count of the index. */ scale: 14,
  /** u8: instructions of this block before this one. */ retired: 15,
  /** u16: offset of the instruction in its page; and of the next (up to 4096). */ offset: 16,
  next: 18,
  /** u16: state offset of the segment base to add. */ segmentBase: 20,
  /** u8: encoded segment number, for accesses that segmentation must check. */ segment: 22,
  /** u8: RecordKind. */ kind: 23,
  /** i32: address displacement; in jumps the target record (0: not resolved yet), as in a record that stands for an instruction across pages. */ displacement: 24,
  /** i32: immediate, sign-extended; in jumps the target's page offset; in exits the reason; of an instruction across pages its slot; in usual forms of procedures the instruction's number. */ immediate: 28,
  /** i64: a 64-bit immediate or absolute address, in records without displacement and immediate. */ wide: 24,
} as const;

export const RecordKind = {
  plain: 0,
  /** The handler carries out the next record's instruction, too. */ paired: 1,
  /** The instruction may cast an interrupt shadow: a run does not end behind it. */ shadow: 2,
} as const;

/** Blocks are at most this long, so that a run overshoots its budget by less than this. */
export const maximumBlock = 64;

/** Why translated code returned to the processor. */
// biome-ignore format: one row per fact
export const ExitKind = {
  /** The budget is used up; RIP is the next instruction. */ budget: 0,
  /** exitRecord jumps within its page to code not decoded yet. */ resolve: 1,
  /** RIP is known but no record for it is cached. */ dispatch: 2,
  /** exitRecord raised exitVector with exitErrorCode (-1: none). */ fault: 3,
  /** exitRecord is a procedure. */ procedure: 4,
  /** exitRecord touched a device or something else that only a single step may do. */ step: 5,
  /** exitRecord was invalidated: its page has changed. */ stale: 6,
  /** RIP is the next instruction; what to run next must be reconsidered. */ attention: 7,
  /** The same, within an interrupt shadow. */ shadow: 8,
  /** exitRecord is where a run was to end. */ stop: 11,
  /** exitRecord stands for bytes that are no instruction; its displacement is the vector of the exception. */ refused: 13,
  /** exitRecord is an instruction, known to the code cache, that only a single step can tell whether it is allowed. */ undecided: 14,
  /** exitRecord is a procedure in a case that its handler does not cover. */ unusual: 15,
  /** exitRecord has no handler yet: the evaluator carries it out. */ cold: 12,
  /** exitRecord is a REP instruction between two steps, and the budget is used up; RIP is its own. */ repeat: 10,
  /** The single step is complete; RIP must be advanced to the record's next. */ stepped: 9,
} as const;
