/**
 * Two-byte opcode map (0F): SDM Vol. 2, Table A-3, and the groups of Table A-6, in that order; the rows that name MMX or
 * XMM registers, LDMXCSR and STMXCSR are in sse.ts.
 *
 * Not here, so #UD: 0F B8 without F3 (JMPE), 0F A6/A7, and everything under a CPU feature that
 * `Feature` does not name. Reserved NOPs (0F 0D, 0F 18-1F) run as NOP with any ModRM, as on Intel CPUs.
 */
import { procedure } from "../define.ts";
// biome-ignore format: one line
import { C, CL, D, E, FS, G, GS, I, J, M, R, rw, w, Z } from "../operands.ts";
import { mapBuilder, type Row } from "../row.ts";
import { CMPXCHG, CMPXCHG8B, CMPXCHG16B, XADD } from "../semantics/arithmetic.ts";
import { BSF, BSR, BSWAP, BT, BTC, BTR, BTS, LZCNT, POPCNT, TZCNT } from "../semantics/bit.ts";
import { ENDBR32, ENDBR64, invalidOpcode, Jcc, NOP, RDSSP } from "../semantics/control-flow.ts";
import { CLAC, STAC } from "../semantics/flags.ts";
import { CMOVcc, MOVNTI, MOVSX, MOVZX, SETcc } from "../semantics/move.ts";
import { IMUL2 } from "../semantics/multiply-divide.ts";
import { SHLD, SHRD } from "../semantics/shift.ts";
import { PUSH_SREG } from "../semantics/stack.ts";
// biome-ignore format: one line
import { CLDEMOTE, CLFLUSH, CLFLUSHOPT, CLWB, LFENCE, MFENCE, MOV_FROM_CR2, MOV_TO_CR2, PREFETCHNTA, PREFETCHT0, PREFETCHT1, PREFETCHT2, PREFETCHW, PREFETCHWT1, RDFSBASE, RDGSBASE, RDPID, RDPKRU, SERIALIZE, SFENCE, SWAPGS, WRFSBASE, WRGSBASE, WRPKRU } from "../semantics/system.ts";

const { op, group, member, registers } = mapBuilder("0F");

const POP_SREG = procedure("POP_SREG");

const lock = { lock: true } as const;
const protectedOnly = { protectedOnly: true } as const;
const privileged = { privileged: true } as const;
const none = { prefix: "none" } as const;
/** One opcode, ModRM in full: 0F 01 /digit with mod 3 and this rm. */
const encoded = (rm: number) => ({ mod: "register", rm, prefix: "none" }) as const;

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  member(0x00, 0, procedure("SLDT"), [w(E.vw)], protectedOnly),
  member(0x00, 1, procedure("STR"),  [w(E.vw)], protectedOnly),
  member(0x00, 2, procedure("LLDT"), [E.w], { protectedOnly: true, privileged: true }),
  member(0x00, 3, procedure("LTR"),  [E.w], { protectedOnly: true, privileged: true }),
  member(0x00, 4, procedure("VERR"), [E.w], protectedOnly),
  member(0x00, 5, procedure("VERW"), [E.w], protectedOnly),
  member(0x01, 0, procedure("SGDT"), [w(M.s)]),
  member(0x01, 1, procedure("SIDT"), [w(M.s)]),
  member(0x01, 2, procedure("LGDT"), [M.s], privileged),
  member(0x01, 3, procedure("LIDT"), [M.s], privileged),
  member(0x01, 4, procedure("SMSW"), [w(E.vw)]),
  member(0x01, 6, procedure("LMSW"), [E.w], privileged),
  member(0x01, 7, procedure("INVLPG"), [M.any], privileged),
  member(0x01, 1, procedure("MONITOR"), [], { ...encoded(0), feature: "MONITOR" }),
  member(0x01, 1, procedure("MWAIT"),   [], { ...encoded(1), feature: "MONITOR" }),
  member(0x01, 1, CLAC,      [], { ...encoded(2), feature: "SMAP" }),
  member(0x01, 1, STAC,      [], { ...encoded(3), feature: "SMAP" }),
  member(0x01, 2, procedure("XGETBV"), [], { ...encoded(0), feature: "XSAVE" }),
  member(0x01, 2, procedure("XSETBV"), [], { ...encoded(1), feature: "XSAVE" }),
  member(0x01, 5, SERIALIZE, [], { ...encoded(0), feature: "SERIALIZE" }),
  member(0x01, 5, RDPKRU,    [], { ...encoded(6), feature: "PKU" }),
  member(0x01, 5, WRPKRU,    [], { ...encoded(7), feature: "PKU" }),
  member(0x01, 7, SWAPGS,    [], { mod: "register", rm: 0, o64: true, privileged: true }),
  member(0x01, 7, procedure("RDTSCP"), [], { mod: "register", rm: 1, feature: "RDTSCP" }),
  member(0x01, 0, procedure("VMCALL"),   [], { ...encoded(1), feature: "VMX" }),
  member(0x01, 0, procedure("VMLAUNCH"), [], { ...encoded(2), feature: "VMX" }),
  member(0x01, 0, procedure("VMRESUME"), [], { ...encoded(3), feature: "VMX" }),
  member(0x01, 0, procedure("VMXOFF"),   [], { ...encoded(4), feature: "VMX" }),
  member(0x01, 2, procedure("VMFUNC"),   [], { ...encoded(4), feature: "VMX" }),
  op(0x02, procedure("LAR"), [w(G.v), E.w], protectedOnly),
  op(0x03, procedure("LSL"), [w(G.v), E.w], protectedOnly),
  op(0x05, procedure("SYSCALL"), [], { o64: true }),
  op(0x06, procedure("CLTS"), [], privileged),
  op(0x07, procedure("SYSRET"), [], { o64: true, privileged: true }),
  op(0x08, procedure("INVD"), [], privileged),
  op(0x09, procedure("WBINVD"), [], privileged),
  op(0x0b, invalidOpcode("UD2"), []),
  member(0x0d, 1, PREFETCHW, [M.any]),
  member(0x0d, 2, PREFETCHWT1, [M.any]),
  op(0x0d, NOP, [E.v]),

  ...group(0x18, [PREFETCHNTA, PREFETCHT0, PREFETCHT1, PREFETCHT2], [M.any]),
  op(0x18, NOP, [E.v]),
  op(0x19, NOP, [E.v]),
  op(0x1a, NOP, [E.v]),
  op(0x1b, NOP, [E.v]),
  member(0x1c, 0, CLDEMOTE, [M.any], { prefix: "none", feature: "CLDEMOTE" }),
  op(0x1c, NOP, [E.v]),
  op(0x1d, NOP, [E.v]),
  member(0x1e, 1, RDSSP,   [R.y], { prefix: 0xf3 }),
  member(0x1e, 7, ENDBR64, [], { prefix: 0xf3, mod: "register", rm: 2 }),
  member(0x1e, 7, ENDBR32, [], { prefix: 0xf3, mod: "register", rm: 3 }),
  op(0x1e, NOP, [E.v]),
  op(0x1f, NOP, [E.v]),

  member(0x20, 2, MOV_FROM_CR2,      [w(R.y), C.y], { f64: true, privileged: true, syntax: "mov" }),
  op(0x20, procedure("MOV_FROM_CR"), [w(R.y), C.y], { f64: true, privileged: true, syntax: "mov" }),
  op(0x21, procedure("MOV_FROM_DR"), [w(R.y), D.y], { f64: true, privileged: true, syntax: "mov" }),
  member(0x22, 2, MOV_TO_CR2,        [w(C.y), R.y], { f64: true, privileged: true, syntax: "mov" }),
  op(0x22, procedure("MOV_TO_CR"),   [w(C.y), R.y], { f64: true, privileged: true, syntax: "mov" }),
  op(0x23, procedure("MOV_TO_DR"),   [w(D.y), R.y], { f64: true, privileged: true, syntax: "mov" }),

  op(0x30, procedure("WRMSR"), [], privileged),
  op(0x31, procedure("RDTSC"), []),
  op(0x32, procedure("RDMSR"), [], privileged),
  op(0x33, procedure("RDPMC"), []),
  op(0x34, procedure("SYSENTER"), []),
  op(0x35, procedure("SYSEXIT"), [], privileged),
  op(0x37, invalidOpcode("GETSEC"), []),

  ...CMOVcc.map((semantics, condition) => op(0x40 + condition, semantics, [rw(G.v), E.v])),
  ...Jcc.map((semantics, condition) => op(0x80 + condition, semantics, [J.z], { f64: true })),
  ...SETcc.map((semantics, condition) => op(0x90 + condition, semantics, [w(E.b)])),

  op(0x78, procedure("VMREAD"),  [w(E.y), G.y], { prefix: "none", f64: true, feature: "VMX" }),
  op(0x79, procedure("VMWRITE"), [G.y, E.y],    { prefix: "none", f64: true, feature: "VMX" }),

  op(0xa0, PUSH_SREG, [FS], { d64: true }),
  op(0xa1, POP_SREG,  [w(FS)], { d64: true, syntax: "pop" }),
  op(0xa2, procedure("CPUID"), []),
  op(0xa3, BT,   [M.v, G.v]),
  op(0xa3, BT,   [R.v, G.v]),
  op(0xa4, SHLD, [rw(E.v), G.v, I.b]),
  op(0xa5, SHLD, [rw(E.v), G.v, CL]),
  op(0xa8, PUSH_SREG, [GS], { d64: true }),
  op(0xa9, POP_SREG,  [w(GS)], { d64: true, syntax: "pop" }),
  op(0xaa, invalidOpcode("RSM"), []),
  // `w`, not `rw`: with a register bit offset it is another place that is read and written.
  op(0xab, BTS,  [w(M.v), G.v], lock),
  op(0xab, BTS,  [rw(R.v), G.v]),
  op(0xac, SHRD, [rw(E.v), G.v, I.b]),
  op(0xad, SHRD, [rw(E.v), G.v, CL]),
  member(0xae, 0, RDFSBASE, [w(R.y)], { prefix: 0xf3, o64: true, feature: "FSGSBASE" }),
  member(0xae, 1, RDGSBASE, [w(R.y)], { prefix: 0xf3, o64: true, feature: "FSGSBASE" }),
  member(0xae, 2, WRFSBASE, [R.y],    { prefix: 0xf3, o64: true, feature: "FSGSBASE" }),
  member(0xae, 3, WRGSBASE, [R.y],    { prefix: 0xf3, o64: true, feature: "FSGSBASE" }),
  member(0xae, 5, LFENCE, [], { prefix: "none", mod: "register" }),
  member(0xae, 6, MFENCE, [], { prefix: "none", mod: "register" }),
  member(0xae, 7, SFENCE, [], { prefix: "none", mod: "register" }),
  member(0xae, 0, procedure("FXSAVE"),   [w(M.any)], none),
  member(0xae, 1, procedure("FXRSTOR"),  [M.any],    none),
  member(0xae, 4, procedure("XSAVE"),    [w(M.any)], { prefix: "none", feature: "XSAVE" }),
  member(0xae, 5, procedure("XRSTOR"),   [M.any],    { prefix: "none", feature: "XSAVE" }),
  member(0xae, 6, procedure("XSAVEOPT"), [w(M.any)], { prefix: "none", feature: "XSAVEOPT" }),
  member(0xae, 6, CLWB,       [M.b], { prefix: 0x66, feature: "CLWB" }),
  member(0xae, 7, CLFLUSH,    [M.b], none),
  member(0xae, 7, CLFLUSHOPT, [M.b], { prefix: 0x66, feature: "CLFLUSHOPT" }),
  op(0xaf, IMUL2, [rw(G.v), E.v]),

  op(0xb0, CMPXCHG, [rw(E.b), G.b], lock),
  op(0xb1, CMPXCHG, [rw(E.v), G.v], lock),
  op(0xb2, procedure("LSS"), [w(G.v), M.p]),
  op(0xb3, BTR, [w(M.v), G.v], lock),
  op(0xb3, BTR, [rw(R.v), G.v]),
  op(0xb4, procedure("LFS"), [w(G.v), M.p]),
  op(0xb5, procedure("LGS"), [w(G.v), M.p]),
  op(0xb6, MOVZX, [w(G.v), E.b]),
  op(0xb7, MOVZX, [w(G.v), E.w]),
  op(0xb8, POPCNT, [w(G.v), E.v], { prefix: 0xf3, feature: "POPCNT" }),
  op(0xb9, invalidOpcode("UD1"), [G.v, E.v]),
  member(0xba, 4, BT, [E.v, I.b]),
  ...group(0xba, [undefined, undefined, undefined, undefined, undefined, BTS, BTR, BTC], [rw(E.v), I.b], lock),
  op(0xbb, BTC, [w(M.v), G.v], lock),
  op(0xbb, BTC, [rw(R.v), G.v]),
  op(0xbc, TZCNT, [w(G.v), E.v], { prefix: 0xf3, feature: "BMI1" }),
  op(0xbc, BSF,   [rw(G.v), E.v]),
  op(0xbd, LZCNT, [w(G.v), E.v], { prefix: 0xf3, feature: "LZCNT" }),
  op(0xbd, BSR,   [rw(G.v), E.v]),
  op(0xbe, MOVSX, [w(G.v), E.b]),
  op(0xbf, MOVSX, [w(G.v), E.w]),

  op(0xc0, XADD, [rw(E.b), rw(G.b)], lock),
  op(0xc1, XADD, [rw(E.v), rw(G.v)], lock),
  op(0xc3, MOVNTI, [w(M.y), G.y], none),
  member(0xc7, 1, CMPXCHG16B, [rw(M.dq)], { lock: true, o64: true, rexW: 1, aligned: true, feature: "CMPXCHG16B" }),
  member(0xc7, 1, CMPXCHG8B,  [rw(M.q)],  { lock: true, rexW: 0 }),
  member(0xc7, 3, procedure("XRSTORS"), [M.any],    { prefix: "none", feature: "XSAVES", privileged: true }),
  member(0xc7, 4, procedure("XSAVEC"),  [w(M.any)], { prefix: "none", feature: "XSAVEC" }),
  member(0xc7, 5, procedure("XSAVES"),  [w(M.any)], { prefix: "none", feature: "XSAVES", privileged: true }),
  member(0xc7, 6, procedure("VMPTRLD"), [M.q],    { prefix: "none", feature: "VMX" }),
  member(0xc7, 6, procedure("VMCLEAR"), [M.q],    { prefix: 0x66, feature: "VMX" }),
  member(0xc7, 6, procedure("VMXON"),   [M.q],    { prefix: 0xf3, feature: "VMX" }),
  member(0xc7, 7, procedure("VMPTRST"), [w(M.q)], { prefix: "none", feature: "VMX" }),
  member(0xc7, 6, procedure("RDRAND"), [w(R.v)], { prefix: "sized", feature: "RDRAND" }),
  member(0xc7, 7, procedure("RDSEED"), [w(R.v)], { prefix: "sized", feature: "RDSEED" }),
  member(0xc7, 7, RDPID, [w(R.y)], { prefix: 0xf3, ignore66: true, feature: "RDPID" }),
  ...registers(0xc8, BSWAP, [rw(Z.v)]),

  op(0xff, invalidOpcode("UD0"), [G.v, E.v]),
];
