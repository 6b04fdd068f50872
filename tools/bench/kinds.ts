/** Kinds of guest work; each is a function of tools/bench/work, run in the 64-bit and in the 32-bit suite. */

export type Size = "normal" | "short";

export interface Kind {
  /** As the guest's program knows it. */
  readonly name: string;
  readonly about: string;
  /** What the guest's program gets; the work grows linearly with it. Normal sizes take a tenth of a second natively, or less. */
  readonly normal: number;
  /** For machines that only interpret. */
  readonly short: number;
}

// biome-ignore format: one row per fact
export const kinds: readonly Kind[] = [
  { name: "hash",          normal: 480,  short: 12,  about: "SHA-256" },
  { name: "sort",          normal: 8,    short: 1,   about: "quicksort of 262,144 random numbers" },
  { name: "matrix-double", normal: 20,   short: 3,   about: "products of 160 x 160 doubles: SSE2, the x87 in the 32-bit suite" },
  { name: "matrix-float",  normal: 30,   short: 3,   about: "elimination and products of 128 x 128 floats in SSE" },
  { name: "chase",         normal: 12,   short: 3,   about: "a chain of pointers through 32 MiB in random order" },
  { name: "recursion",     normal: 600,  short: 20,  about: "Takeuchi, Fibonacci, queens: calls and returns" },
  { name: "divide",        normal: 800,  short: 20,  about: "products and quotients of 64-bit numbers" },
  { name: "interpreter",   normal: 40,   short: 2,   about: "a switch in a loop that runs bytecode" },
  { name: "indirect",      normal: 120,  short: 6,   about: "calls through pointers in random order" },
  { name: "strings",       normal: 160,  short: 4,   about: "the C library's functions on strings and blocks" },
  { name: "simd",          normal: 2400, short: 80,  about: "SSE2 on integers: blending, block search, a filter" },
  { name: "trees",         normal: 40,   short: 3,   about: "search trees and hash tables made with malloc" },
  { name: "syscalls",      normal: 120,  short: 10,  about: "system calls that do little" },
  { name: "pipes",         normal: 40,   short: 8,   about: "two processes that hand a byte to each other" },
  { name: "fork-exec",     normal: 100,  short: 8,   about: "processes that are made, become a program and end" },
  { name: "page-faults",   normal: 12,   short: 1,   about: "pages touched first, or written after a fork" },
  { name: "gzip",          normal: 60,   short: 2,   about: "Debian's gzip on text" },
  { name: "perl",          normal: 12,   short: 1,   about: "Debian's perl on text: patterns, tables, sorting" },
];
