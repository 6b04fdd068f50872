/** Small pieces of guest code whose regions are kept as text. Each is run long enough for its jumps to have been taken, then translated from `start`. */

import type { Bits } from "../conformance/program-places.ts";

export interface Snippet {
  readonly bits: Bits;
  /** What is to be seen in the text. */
  readonly shows: string;
  readonly source: string;
}

const snippet = (bits: Bits, shows: string, source: string): Snippet => ({ bits, shows, source });

/** A loop around a body, counted in a register that the body leaves alone. */
const around = (body: string): string => `start: mov r9d, 50\nagain:\n${body}\ndec r9d\njnz again\nhlt`;
const around32 = (body: string): string => `start: mov ebp, 50\nagain:\n${body}\ndec ebp\njnz again\nhlt`;

// biome-ignore format: one row per fact
export const snippets: Readonly<Record<string, Snippet>> = {
  "counted-loop":        snippet(64, "a loop; the counter is a local; one look at the budget for each turn", around("add rax, rbx")),
  "load-add-store":      snippet(64, "the TLB is looked up inline; one slow path for all accesses", around("mov rax, [0x13000]\nadd rax, rcx\nmov [0x13008], rax")),
  "read-modify-write":   snippet(64, "one translation for the load and the store", around("add dword ptr [rsi + 8], ecx")),
  "byte-registers":      snippet(64, "parts of registers by masks", around("mov ah, bl\nadd al, ah\nmov cl, dh")),
  "word-registers":      snippet(64, "16 bits leave the rest alone, 32 bits clear it", around("mov ax, bx\nmov ecx, eax")),
  "extensions":          snippet(64, "MOVZX, MOVSX, MOVSXD", around("movzx eax, bl\nmovsx rcx, bx\nmovsxd rdx, ecx")),
  "addresses":           snippet(64, "base, index, scale and displacement; LEA touches no memory", around("mov eax, [rsi + rcx*4 + 16]\nlea rdx, [rax + rax*2 + 5]")),
  "rip-relative":        snippet(64, "an address relative to ripBase", around("mov eax, [rip + 64]")),
  "segment-base":        snippet(64, "FS and GS add their base", around("mov rax, fs:[0x13000]\nmov rcx, gs:[rsi]")),
  "compare-and-branch":  snippet(64, "a condition computed from the operands, no flags", "start: mov ecx, 60\nagain: cmp ecx, 20\njl below\nadd rax, 1\nbelow: dec ecx\njnz again\nhlt"),
  "unsigned-compare":    snippet(64, "JB, JBE, SETA from one comparison", around("cmp rax, rbx\nseta cl\njbe over\nadd rax, 3\nover: add rbx, 2")),
  "conditional-move":    snippet(64, "TEST and CMOV", around("test eax, eax\ncmovz edx, ebx\nadd eax, 1")),
  "dead-flags":          snippet(64, "flags that nobody reads are not computed", around("add rax, rbx\nsub rcx, rax\nxor rdx, rcx")),
  "carry-chain":         snippet(64, "ADC and SBB read CF", around("add rax, rbx\nadc rcx, rdx\nsbb rsi, 0")),
  "increment-keeps-cf":  snippet(64, "INC between ADD and ADC", around("add rax, rbx\ninc rdx\nadc rcx, 0")),
  "flags-pushed":        snippet(64, "PUSHFQ settles", around("add rax, rbx\npushfq\npop rcx")),
  "flags-over-a-join":   snippet(64, "flags of two paths that meet are read from memory", around("test al, 1\njz even\nadd rbx, rcx\njmp join\neven: sub rbx, rcx\njoin: setc dl\nadd al, 1")),
  "shift-by-constant":   snippet(64, "SHL, SHR, SAR with their flags", around("shl rax, 3\nsar ebx, 1\nshr cx, 4\nsetc dl")),
  "shift-by-cl":         snippet(64, "a count of 0 leaves the flags alone", around("shl rax, cl\nsetc dl")),
  "rotates":             snippet(64, "ROL, RCR", around("rol eax, 7\nrcr rbx, 1")),
  "multiply":            snippet(64, "IMUL, and MUL with a result of twice the width", around("imul rax, rbx\nmul rcx")),
  "divide":              snippet(64, "DIV: by 0 and too large a quotient fault", around("mov eax, 1000\nmov edx, 0\nmov ecx, 7\ndiv ecx")),
  "bits":                snippet(64, "BT, BTS, BSF, POPCNT, TZCNT", around("bt eax, 5\nsetc dl\nbts rax, 9\nbsf ecx, eax\npopcnt ebx, eax\ntzcnt esi, eax")),
  "locked":              snippet(64, "LOCK ADD, XCHG, CMPXCHG", around("lock add dword ptr [0x13000], ecx\nxchg dword ptr [0x13008], edx\nlock cmpxchg dword ptr [0x13010], ebx")),
  "push-and-pop":        snippet(64, "the stack", around("push rax\npush rbx\npop rax\npop rbx")),
  "call-and-return":     snippet(64, "a call and its return stay inside", "start: mov r9d, 50\nagain: call leaf\ndec r9d\njnz again\nhlt\nleaf: add rax, 1\nret"),
  "nested-loops":        snippet(64, "a loop in a loop", "start: mov edx, 9\nouter: mov ecx, 5\ninner: add rax, rcx\ndec ecx\njnz inner\ndec edx\njnz outer\nhlt"),
  "diamond":             snippet(64, "two paths that meet", around("test eax, 4\njz other\nadd ebx, 1\njmp join\nother: add ecx, 1\njoin: add eax, 1")),
  "two-exits":           snippet(64, "a loop that is left in two places", "start: mov r9d, 50\nagain: add eax, 3\ncmp eax, 0x1000\nja out\ndec r9d\njnz again\nhlt\nout: ud2"),
  "into-a-loop":         snippet(64, "an edge into the middle of a loop leaves the region", "start: mov ecx, 30\ntest al, al\njz middle\nagain: add rax, rbx\nmiddle: add rbx, 1\ndec ecx\njnz again\nmov ecx, 30\nxor al, 1\njnz again\nhlt"),
  "indirect-jump":       snippet(64, "through the jump cache", "start: mov r9d, 50\nlea rdx, [rip + next]\nagain: jmp rdx\nnext: dec r9d\njnz again\nhlt".replace("[rip + next]", "[next]")),
  "procedure":           snippet(64, "an instruction that TypeScript carries out ends the block", around("mov eax, 1\ncpuid\nadd rbx, rax")),
  "strings":             snippet(64, "string instructions", around("mov rsi, 0x13000\nmov rdi, 0x14000\nmov ecx, 8\nrep movsq\nlodsb\nstosd")),
  "double-arithmetic":   snippet(64, "native where MXCSR and operands allow it", around("addsd xmm0, xmm1\nmulsd xmm2, xmm0")),
  "packed-integers":     snippet(64, "128-bit SIMD", around("paddd xmm0, xmm1\npxor xmm2, xmm0\npcmpeqb xmm3, xmm2")),
  "packed-memory":       snippet(64, "16 bytes, aligned and not", around("movdqu xmm0, [rsi + 4]\nmovaps [0x13020], xmm0")),
  "attention":           snippet(64, "an instruction after which events must be looked at", around("popfq\npushfq")),
  "protected-mode":      snippet(32, "32-bit code: addresses wrap, segments are flat", around32("mov eax, [esi + 4]\nadd eax, ecx\nmov [0x13010], eax")),
  "protected-calls":     snippet(32, "32-bit call and return", "start: mov ebp, 50\nagain: call leaf\ndec ebp\njnz again\nhlt\nleaf: inc eax\nret"),
  "sixteen-bit-address": snippet(32, "16-bit addresses in 32-bit code", around32("mov eax, [si + 4]")),
};
