// SPDX-License-Identifier: MIT
// Executes floating-point instructions on the CPU it runs on and prints one line per execution:
//
//   MNEMONIC CONTROL OPERANDS RESULTS STATUS
//
// All fields are hexadecimal except the mnemonic; OPERANDS and RESULTS are comma-separated bit patterns, each in the width
// of its format. CONTROL is the MXCSR (SSE mnemonics) or the x87 FPU control word (mnemonics that start with "f") in force.
// STATUS is MXCSR[5:0] after the instruction, with bit 7 set when it raised #XM; or the x87 status word without TOP, ES
// and B. A result that the instruction did not write keeps the fill pattern 0xa5.. (memory, general and XMM registers) or, in
// an x87 register, the operand that was there.
//
//   generate SEED CASES_PER_MNEMONIC [MNEMONIC-PREFIX...]
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef struct { uint64_t low; uint16_t high; } __attribute__((packed)) f80;
typedef struct { uint64_t low; uint64_t high; } word128;

// ---------------------------------------------------------------- randomness: splitmix64, one stream per mnemonic
static uint64_t stream;
static uint64_t next64(void) {
  uint64_t z = (stream += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
static unsigned below(unsigned n) { return (unsigned)((next64() >> 32) * n >> 32); }

// ---------------------------------------------------------------- operands, biased to boundaries
static uint64_t lowBits(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

/** n random bits: all kinds of runs, few ones, few zeros, near all-ones, or plain. */
static uint64_t pattern(unsigned n) {
  uint64_t x;
  switch (below(10)) {
    case 0: x = 0; break;
    case 1: x = ~0ull; break;
    case 2: x = 1ull << below(n); break;
    case 3: x = ~(1ull << below(n)); break;
    case 4: x = lowBits(n) << below(n); break;
    case 5: x = lowBits(below(n + 1)); break;
    case 6: x = (next64() & lowBits(3)) << below(n); break;
    case 7: x = next64() << below(n); break;
    default: x = next64(); break;
  }
  if (below(8) == 0) x += (uint64_t)((int)below(5) - 2);
  return x & lowBits(n);
}

/** A biased exponent for a field of `bits` bits, mostly near `near` (negative: anywhere), sometimes at the ends. */
static unsigned exponentField(unsigned bits, int near) {
  unsigned max = (1u << bits) - 1, bias = max >> 1;
  switch (below(16)) {
    case 0: return 0;
    case 1: return max;
    case 2: return 1 + below(3);
    case 3: return max - 1 - below(3);
    case 4: return below(max + 1);
    case 5: return below(140) < max ? below(140) : below(max);
    case 6: return max - 1 - below(70) % max;
    case 7: return bias + below(140) % bias - (bias > 70 ? 70 : 0);
    case 8: return bias + below(5) - 2;
    default:
      if (near < 0) near = (int)bias;
      {
        int e = near + (int)below(9) - 4;
        return e < 0 ? 0 : e > (int)max ? max : (unsigned)e;
      }
  }
}
static int nearExponent;

/** Where the next operand's exponent should lie: by the first one, or where a product or quotient leaves the range. */
static int partner(int e, unsigned bits) {
  int max = (1 << bits) - 1, bias = max >> 1, near;
  switch (below(8)) {
    case 0: near = bias - (e - bias) - bias - (int)below(60); break;
    case 1: near = bias - (e - bias) + bias - (int)below(4); break;
    case 2: near = e + bias + (int)below(60) - 4; break;
    case 3: near = e - bias + (int)below(4); break;
    case 4: near = e + (int)below(140) - 70; break;
    default: near = e; break;
  }
  return near < 0 ? 0 : near > max ? max : near;
}

static uint64_t floatOf(unsigned exponentBits, unsigned fractionBits) {
  uint64_t e = exponentField(exponentBits, nearExponent);
  nearExponent = partner((int)e, exponentBits);
  uint64_t sign = next64() & 1;
  return sign << (exponentBits + fractionBits) | e << fractionBits | pattern(fractionBits);
}
static uint32_t random32(void) { return (uint32_t)floatOf(8, 23); }
static uint64_t random64(void) { return floatOf(11, 52); }
static uint16_t random16(void) { return (uint16_t)floatOf(5, 10); }
static f80 random80(void) {
  unsigned e = exponentField(15, nearExponent);
  nearExponent = partner((int)e, 15);
  uint64_t m = pattern(64);
  // Unnormals, pseudo-NaNs and pseudo-infinities are one case in 32; zero exponents take the integer bit as it comes.
  if (e != 0 && below(32) != 0) m |= 1ull << 63;
  if (e == 0 && below(4) != 0) m &= ~(1ull << 63);
  f80 x = {m, (uint16_t)(e | (next64() & 1) << 15)};
  return x;
}
/** A value with an exponent in [low, high] around 0. */
static uint64_t floatWithin(int low, int high, unsigned exponentBits, unsigned fractionBits) {
  int e = low + (int)below((unsigned)(high - low + 1)) + (1 << (exponentBits - 1)) - 1;
  return (next64() & 1) << (exponentBits + fractionBits) | (uint64_t)e << fractionBits | pattern(fractionBits);
}
/** An 80-bit value of moderate size: exponent in [low, high] around 0. */
static f80 moderate80(int low, int high) {
  int e = low + (int)below((unsigned)(high - low + 1));
  f80 x = {(below(3) ? next64() : pattern(64)) | 1ull << 63, (uint16_t)((unsigned)(e + 16383) | (next64() & 1) << 15)};
  return x;
}
static uint64_t randomInteger(void) {
  uint64_t x = pattern(64) >> below(64);
  return below(2) ? x : 0 - x;
}

// ---------------------------------------------------------------- control words
static unsigned randomMxcsr(void) {
  unsigned mask = below(4) ? 0x1f80 : (unsigned)(next64() & 0x1f80);
  unsigned flush = below(4) ? 0 : below(4);
  return mask | below(4) << 13 | (flush & 1) << 15 | (flush & 2) << 5;
}
static unsigned randomControlWord(void) {
  static const unsigned precisions[] = {0x300, 0x300, 0x200, 0x000};
  unsigned mask = below(4) ? 0x3f : (unsigned)(next64() & 0x3f);
  return mask | precisions[below(4)] | below(4) << 10;
}

// ---------------------------------------------------------------- output
static char line[400], *cursor;
static void text(const char *s) { while (*s) *cursor++ = *s++; }
static void hex(uint64_t value, int bits) {
  for (int shift = ((bits + 3) / 4 - 1) * 4; shift >= 0; shift -= 4) *cursor++ = "0123456789abcdef"[value >> shift & 15];
}
static void hex80(f80 x) { hex(x.high, 16); hex(x.low, 64); }
static void put(char c) { *cursor++ = c; }
static void begin(const char *name, unsigned control) {
  cursor = line;
  text(name);
  put(' ');
  hex(control, 16);
  put(' ');
}
static void finish(unsigned status) {
  put(' ');
  hex(status, 16);
  put('\n');
  fwrite(line, 1, (size_t)(cursor - line), stdout);
}

// ---------------------------------------------------------------- SSE
static volatile uint64_t resumeAt;
static volatile unsigned trappedMxcsr;
static void onFloatingPointError(int signal, siginfo_t *cause, void *context) {
  (void)signal; (void)cause;
  ucontext_t *u = context;
  trappedMxcsr = u->uc_mcontext.fpregs->mxcsr | 0x10000;
  u->uc_mcontext.fpregs->mxcsr = 0x1f80;
  u->uc_mcontext.gregs[REG_RIP] = (greg_t)resumeAt;
}

typedef struct { word128 xmm; uint64_t general; unsigned flags; unsigned status; } SseOutcome;
static const word128 fill128 = {0xa5a5a5a5a5a5a5a5ull, 0xa5a5a5a5a5a5a5a5ull};

#define SSE(fn, insn)                                                                                        \
  static void fn(word128 *d, const word128 *s, const word128 *t, uint64_t *g, unsigned mxcsr, unsigned *status) { \
    unsigned normal = 0x1f80, after;                                                                         \
    uint64_t resume, rflags = 0;                                                                             \
    uint64_t general = *g;                                                                                   \
    trappedMxcsr = 0;                                                                                        \
    __asm__ volatile("movdqu %[d], %%xmm0\n movdqu %[s], %%xmm1\n movdqu %[t], %%xmm2\n"                      \
                     "lea 1f(%%rip), %[resume]\n mov %[resume], %[at]\n ldmxcsr %[mxcsr]\n xor %%edx, %%edx\n" \
                     "" insn "\n pushf\n pop %[rflags]\n"                                                    \
                     "1: stmxcsr %[after]\n ldmxcsr %[normal]\n movdqu %%xmm0, %[d]\n"                        \
                     : [d] "+m"(*d), [resume] "=&r"(resume), [at] "=m"(resumeAt), [after] "=m"(after),        \
                       "+a"(general), [rflags] "+r"(rflags)                                                  \
                     : [s] "m"(*s), [t] "m"(*t), [mxcsr] "m"(mxcsr), [normal] "m"(normal)                     \
                     : "xmm0", "xmm1", "xmm2", "rdx", "memory", "cc");                                       \
    *g = general;                                                                                            \
    *status = trappedMxcsr ? ((trappedMxcsr & 0x3f) | 0x80) : (after & 0x3f);                                \
    *status |= (unsigned)(rflags & 0x45) << 8;                                                               \
  }

// The red zone must not be used around pushf: compile with -mno-red-zone.
SSE(addss, "addss %%xmm1, %%xmm0") SSE(addsd, "addsd %%xmm1, %%xmm0")
SSE(subss, "subss %%xmm1, %%xmm0") SSE(subsd, "subsd %%xmm1, %%xmm0")
SSE(mulss, "mulss %%xmm1, %%xmm0") SSE(mulsd, "mulsd %%xmm1, %%xmm0")
SSE(divss, "divss %%xmm1, %%xmm0") SSE(divsd, "divsd %%xmm1, %%xmm0")
SSE(minss, "minss %%xmm1, %%xmm0") SSE(minsd, "minsd %%xmm1, %%xmm0")
SSE(maxss, "maxss %%xmm1, %%xmm0") SSE(maxsd, "maxsd %%xmm1, %%xmm0")
SSE(sqrtss, "sqrtss %%xmm1, %%xmm0") SSE(sqrtsd, "sqrtsd %%xmm1, %%xmm0")
SSE(vfmadd213ss, "vfmadd213ss %%xmm2, %%xmm1, %%xmm0") SSE(vfmadd213sd, "vfmadd213sd %%xmm2, %%xmm1, %%xmm0")
SSE(cvtss2sd, "cvtss2sd %%xmm1, %%xmm0") SSE(cvtsd2ss, "cvtsd2ss %%xmm1, %%xmm0")
SSE(cvtss2si32, "cvtss2si %%xmm1, %%eax") SSE(cvtss2si64, "cvtss2si %%xmm1, %%rax")
SSE(cvtsd2si32, "cvtsd2si %%xmm1, %%eax") SSE(cvtsd2si64, "cvtsd2si %%xmm1, %%rax")
SSE(cvttss2si32, "cvttss2si %%xmm1, %%eax") SSE(cvttss2si64, "cvttss2si %%xmm1, %%rax")
SSE(cvttsd2si32, "cvttsd2si %%xmm1, %%eax") SSE(cvttsd2si64, "cvttsd2si %%xmm1, %%rax")
SSE(cvtsi2ss32, "cvtsi2ss %%eax, %%xmm0") SSE(cvtsi2ss64, "cvtsi2ss %%rax, %%xmm0")
SSE(cvtsi2sd32, "cvtsi2sd %%eax, %%xmm0") SSE(cvtsi2sd64, "cvtsi2sd %%rax, %%xmm0")
SSE(roundss0, "roundss $0, %%xmm1, %%xmm0") SSE(roundss1, "roundss $1, %%xmm1, %%xmm0")
SSE(roundss2, "roundss $2, %%xmm1, %%xmm0") SSE(roundss3, "roundss $3, %%xmm1, %%xmm0")
SSE(roundss4, "roundss $4, %%xmm1, %%xmm0") SSE(roundss8, "roundss $8, %%xmm1, %%xmm0")
SSE(roundssc, "roundss $12, %%xmm1, %%xmm0")
SSE(roundsd0, "roundsd $0, %%xmm1, %%xmm0") SSE(roundsd1, "roundsd $1, %%xmm1, %%xmm0")
SSE(roundsd2, "roundsd $2, %%xmm1, %%xmm0") SSE(roundsd3, "roundsd $3, %%xmm1, %%xmm0")
SSE(roundsd4, "roundsd $4, %%xmm1, %%xmm0") SSE(roundsd8, "roundsd $8, %%xmm1, %%xmm0")
SSE(roundsdc, "roundsd $12, %%xmm1, %%xmm0")
SSE(cmpeqss, "cmpss $0, %%xmm1, %%xmm0") SSE(cmpeqsd, "cmpsd $0, %%xmm1, %%xmm0")
SSE(cmpltss, "cmpss $1, %%xmm1, %%xmm0") SSE(cmpltsd, "cmpsd $1, %%xmm1, %%xmm0")
SSE(cmpless, "cmpss $2, %%xmm1, %%xmm0") SSE(cmplesd, "cmpsd $2, %%xmm1, %%xmm0")
SSE(cmpunordss, "cmpss $3, %%xmm1, %%xmm0") SSE(cmpunordsd, "cmpsd $3, %%xmm1, %%xmm0")
SSE(comiss, "comiss %%xmm1, %%xmm0") SSE(comisd, "comisd %%xmm1, %%xmm0")
SSE(ucomiss, "ucomiss %%xmm1, %%xmm0") SSE(ucomisd, "ucomisd %%xmm1, %%xmm0")
SSE(vcvtps2ph, "vcvtps2ph $4, %%xmm1, %%xmm0") SSE(vcvtph2ps, "vcvtph2ps %%xmm1, %%xmm0")
SSE(vcvtss2usi32, "vcvtss2usi %%xmm1, %%eax") SSE(vcvtsd2usi64, "vcvtsd2usi %%xmm1, %%rax")
SSE(vcvtusi2ss64, "vcvtusi2ss %%rax, %%xmm0, %%xmm0") SSE(vcvtusi2sd64, "vcvtusi2sd %%rax, %%xmm0, %%xmm0")

/** Operand and result kinds: h 16-bit, s 32-bit, d 64-bit float in XMM; i/l 32/64-bit integer in RAX; f RFLAGS; - none. */
typedef struct {
  const char *name;
  void (*run)(word128 *, const word128 *, const word128 *, uint64_t *, unsigned, unsigned *);
  const char *operands;
  char result;
  int lowExponent, highExponent; // where most operands of a conversion lie; both 0: anywhere
} SseRow;
#define ROW(name, operands, result) {#name, name, operands, result, 0, 0}
#define NARROW(name, operands, result, low, high) {#name, name, operands, result, low, high}
#define BOTH(name) ROW(name##ss, "ss", 's'), ROW(name##sd, "dd", 'd')
static const SseRow sseRows[] = {
  BOTH(add), BOTH(sub), BOTH(mul), BOTH(div), BOTH(min), BOTH(max),
  ROW(sqrtss, "-s", 's'), ROW(sqrtsd, "-d", 'd'),
  ROW(vfmadd213ss, "sss", 's'), ROW(vfmadd213sd, "ddd", 'd'),
  ROW(cvtss2sd, "-s", 'd'), NARROW(cvtsd2ss, "-d", 's', -152, 130),
  NARROW(cvtss2si32, "-s", 'i', -2, 34), NARROW(cvtss2si64, "-s", 'l', -2, 66), NARROW(cvtsd2si32, "-d", 'i', -2, 34), NARROW(cvtsd2si64, "-d", 'l', -2, 66),
  NARROW(cvttss2si32, "-s", 'i', -2, 34), NARROW(cvttss2si64, "-s", 'l', -2, 66), NARROW(cvttsd2si32, "-d", 'i', -2, 34), NARROW(cvttsd2si64, "-d", 'l', -2, 66),
  ROW(cvtsi2ss32, "i", 's'), ROW(cvtsi2ss64, "l", 's'), ROW(cvtsi2sd32, "i", 'd'), ROW(cvtsi2sd64, "l", 'd'),
  NARROW(roundss0, "-s", 's', -3, 54), NARROW(roundss1, "-s", 's', -3, 54), NARROW(roundss2, "-s", 's', -3, 54), NARROW(roundss3, "-s", 's', -3, 54),
  NARROW(roundss4, "-s", 's', -3, 54), NARROW(roundss8, "-s", 's', -3, 54), NARROW(roundssc, "-s", 's', -3, 54),
  NARROW(roundsd0, "-d", 'd', -3, 54), NARROW(roundsd1, "-d", 'd', -3, 54), NARROW(roundsd2, "-d", 'd', -3, 54), NARROW(roundsd3, "-d", 'd', -3, 54),
  NARROW(roundsd4, "-d", 'd', -3, 54), NARROW(roundsd8, "-d", 'd', -3, 54), NARROW(roundsdc, "-d", 'd', -3, 54),
  BOTH(cmpeq), BOTH(cmplt), BOTH(cmple), BOTH(cmpunord),
  ROW(comiss, "ss", 'f'), ROW(comisd, "dd", 'f'), ROW(ucomiss, "ss", 'f'), ROW(ucomisd, "dd", 'f'),
  NARROW(vcvtps2ph, "-s", 'h', -27, 17), ROW(vcvtph2ps, "-h", 's'),
};
static const SseRow avx512Rows[] = {
  NARROW(vcvtss2usi32, "-s", 'i', -2, 66), NARROW(vcvtsd2usi64, "-d", 'l', -2, 66),
  ROW(vcvtusi2ss64, "l", 's'), ROW(vcvtusi2sd64, "l", 'd'),
};

static int widthOf(char kind) { return kind == 'h' ? 16 : kind == 's' || kind == 'i' ? 32 : 64; }

static void runSse(const SseRow *row, unsigned cases) {
  for (unsigned i = 0; i < cases; i++) {
    word128 operand[3] = {fill128, fill128, fill128};
    uint64_t general = fill128.low;
    unsigned mxcsr = randomMxcsr(), status;
    int narrow = (row->lowExponent | row->highExponent) && below(4) != 0;
    // With underflow unmasked, VCVTPS2PH on denormals reports PE by a rule of its own.
    if (row->run == vcvtps2ph) mxcsr |= 0x1f80;
    nearExponent = -1;
    begin(row->name, mxcsr);
    int first = 1;
    for (int k = 0; row->operands[k]; k++) {
      uint64_t value;
      char kind = row->operands[k];
      if (kind == '-') continue;
      switch (kind) {
        case 'h': value = random16(); break;
        case 's': value = narrow ? floatWithin(row->lowExponent, row->highExponent, 8, 23) : random32(); break;
        case 'd': value = narrow ? floatWithin(row->lowExponent, row->highExponent, 11, 52) : random64(); break;
        case 'i': value = (uint32_t)(randomInteger() >> (below(2) ? 0 : 31)); break;
        default: value = randomInteger(); break;
      }
      if (k == 1 && row->operands[0] != '-' && below(10) == 0) value = operand[0].low + below(3) - 1;
      value &= lowBits((unsigned)widthOf(kind));
      if (kind == 'i' || kind == 'l') general = value;
      else {
        operand[k].low = kind == 'd' ? value : kind == 's' ? value : value;
        operand[k].high = 0;
      }
      if (!first) put(',');
      first = 0;
      hex(value, widthOf(kind));
    }
    // Only lane 0 of the packed conversions may matter; lanes above hold zeros.
    row->run(&operand[0], &operand[1], &operand[2], &general, mxcsr, &status);
    put(' ');
    if (row->result == 'f') hex(status >> 8 & 0x45, 8);
    else if (row->result == 'i' || row->result == 'l') hex(general, widthOf(row->result));
    else hex(operand[0].low, widthOf(row->result));
    finish(status & 0xff);
  }
}

// ---------------------------------------------------------------- x87
typedef struct { uint32_t control, status, tag, ip, cs, dp, ds; f80 st[8]; } __attribute__((packed)) SaveArea;

#define X87(fn, insn)                                                                          \
  static void fn(f80 *a, f80 *b, void *memory, unsigned control, SaveArea *save) {             \
    uint16_t word = (uint16_t)control;                                                         \
    __asm__ volatile("fninit\n fldt %[b]\n fldt %[a]\n fldcw %[word]\n " insn "\n fnsave %[save]\n" \
                     : [save] "=m"(*save), [m] "+m"(*(char(*)[16])memory)                      \
                     : [a] "m"(*a), [b] "m"(*b), [word] "m"(word)                              \
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory"); \
  }
X87(x_fadd, "fadd %%st(1), %%st") X87(x_fsub, "fsub %%st(1), %%st") X87(x_fsubr, "fsubr %%st(1), %%st")
X87(x_fmul, "fmul %%st(1), %%st") X87(x_fdiv, "fdiv %%st(1), %%st") X87(x_fdivr, "fdivr %%st(1), %%st")
X87(x_fsqrt, "fsqrt") X87(x_fprem, "fprem") X87(x_fprem1, "fprem1") X87(x_fscale, "fscale") X87(x_fxtract, "fxtract")
X87(x_frndint, "frndint") X87(x_fcom, "fcom %%st(1)") X87(x_fucom, "fucom %%st(1)") X87(x_fxam, "fxam")
X87(x_f2xm1, "f2xm1") X87(x_fyl2x, "fyl2x") X87(x_fyl2xp1, "fyl2xp1") X87(x_fsin, "fsin") X87(x_fcos, "fcos")
X87(x_fsincos, "fsincos") X87(x_fptan, "fptan") X87(x_fpatan, "fpatan")
X87(x_fldm32, "flds %[m]") X87(x_fldm64, "fldl %[m]") X87(x_fildm16, "filds %[m]") X87(x_fildm32, "fildl %[m]")
X87(x_fildm64, "fildll %[m]") X87(x_fbld, "fbld %[m]")
X87(x_fstm32, "fsts %[m]") X87(x_fstm64, "fstl %[m]") X87(x_fistm16, "fists %[m]") X87(x_fistm32, "fistl %[m]")
X87(x_fistpm64, "fistpll %[m]") X87(x_fisttpm16, "fisttps %[m]") X87(x_fisttpm32, "fisttpl %[m]")
X87(x_fisttpm64, "fisttpll %[m]") X87(x_fbstp, "fbstp %[m]")
X87(x_faddm32, "fadds %[m]") X87(x_fsubrm64, "fsubrl %[m]") X87(x_fmulm64, "fmull %[m]") X87(x_fdivm32, "fdivs %[m]")
X87(x_fdivrm64, "fdivrl %[m]") X87(x_fcomm32, "fcoms %[m]") X87(x_fcomm64, "fcoml %[m]")

/**
 * operands: x an 80-bit register operand (ST(0), then ST(1)); s/d/h/i/l/b memory of 32/64 float, 16/32/64 integer, BCD.
 * results: x the registers from the top of the stack; a width letter for memory; - none.
 */
typedef struct {
  const char *name;
  void (*run)(f80 *, f80 *, void *, unsigned, SaveArea *);
  const char *operands, *results;
  int lowExponent, highExponent; // where most 80-bit operands lie for functions of a narrow domain; both 0: anywhere
} X87Row;
#define FROW(name, operands, results, low, high) {#name, x_##name, operands, results, low, high}
static const X87Row x87Rows[] = {
  FROW(fadd, "xx", "x", 0, 0), FROW(fsub, "xx", "x", 0, 0), FROW(fsubr, "xx", "x", 0, 0), FROW(fmul, "xx", "x", 0, 0),
  FROW(fdiv, "xx", "x", 0, 0), FROW(fdivr, "xx", "x", 0, 0), FROW(fsqrt, "x", "x", 0, 0),
  FROW(fprem, "xx", "x", 0, 0), FROW(fprem1, "xx", "x", 0, 0), FROW(fscale, "xx", "x", 0, 17), FROW(fxtract, "x", "xx", 0, 0),
  FROW(frndint, "x", "x", -2, 66), FROW(fcom, "xx", "-", 0, 0), FROW(fucom, "xx", "-", 0, 0), FROW(fxam, "x", "-", 0, 0),
  FROW(fldm32, "s", "x", 0, 0), FROW(fldm64, "d", "x", 0, 0), FROW(fildm16, "h", "x", 0, 0), FROW(fildm32, "i", "x", 0, 0),
  FROW(fildm64, "l", "x", 0, 0), FROW(fbld, "b", "x", 0, 0),
  FROW(fstm32, "x", "s", -152, 130), FROW(fstm64, "x", "d", -1078, 1026), FROW(fistm16, "x", "h", -2, 17),
  FROW(fistm32, "x", "i", -2, 34), FROW(fistpm64, "x", "l", -2, 66), FROW(fisttpm16, "x", "h", -2, 17),
  FROW(fisttpm32, "x", "i", -2, 34), FROW(fisttpm64, "x", "l", -2, 66), FROW(fbstp, "x", "b", -2, 62),
  FROW(faddm32, "xs", "x", 0, 0), FROW(fsubrm64, "xd", "x", 0, 0), FROW(fmulm64, "xd", "x", 0, 0), FROW(fdivm32, "xs", "x", 0, 0),
  FROW(fdivrm64, "xd", "x", 0, 0), FROW(fcomm32, "xs", "-", 0, 0), FROW(fcomm64, "xd", "-", 0, 0),
  FROW(f2xm1, "x", "x", -70, -1), FROW(fyl2x, "xx", "x", -40, 40), FROW(fyl2xp1, "xx", "x", -70, -2),
  FROW(fsin, "x", "x", -40, 64), FROW(fcos, "x", "x", -40, 64), FROW(fsincos, "x", "xx", -40, 64), FROW(fptan, "x", "xx", -40, 64),
  FROW(fpatan, "xx", "x", -40, 40),
};

static void hexBcd(const uint8_t *m) { for (int i = 9; i >= 0; i--) hex(m[i], 8); }

static void runX87(const X87Row *row, unsigned cases) {
  for (unsigned i = 0; i < cases; i++) {
    f80 st[2] = {{0, 0}, {0, 0}};
    uint8_t memory[16];
    SaveArea save;
    unsigned control = randomControlWord();
    int narrow = (row->lowExponent | row->highExponent) && below(4) != 0, registers = 0;
    memset(memory, 0xa5, sizeof memory);
    nearExponent = -1;
    begin(row->name, control);
    for (int k = 0; row->operands[k]; k++) {
      if (k) put(',');
      uint64_t value;
      switch (row->operands[k]) {
        case 'x':
          st[registers] = narrow ? moderate80(row->lowExponent, row->highExponent) : random80();
          if (k == 1 && below(10) == 0) { st[1] = st[0]; st[1].low += below(3) - 1; st[1].high ^= (below(2) << 15); }
          hex80(st[registers++]);
          break;
        case 's': {
          uint32_t v;
          if (nearExponent >= 0) nearExponent = nearExponent % 0x8000 - 16383 + 127;
          v = random32(); memcpy(memory, &v, 4); hex(v, 32); break;
        }
        case 'd':
          if (nearExponent >= 0) nearExponent = nearExponent % 0x8000 - 16383 + 1023;
          value = random64(); memcpy(memory, &value, 8); hex(value, 64); break;
        case 'h': value = randomInteger(); memcpy(memory, &value, 2); hex(value & 0xffff, 16); break;
        case 'i': value = randomInteger(); memcpy(memory, &value, 4); hex(value & 0xffffffff, 32); break;
        case 'l': value = randomInteger(); memcpy(memory, &value, 8); hex(value, 64); break;
        case 'b':
          for (int d = 0; d < 10; d++) memory[d] = (uint8_t)(below(10) << 4 | below(10));
          if (below(4) == 0) for (int d = below(10); d < 9; d++) memory[d] = 0;
          if (below(4) == 0) memory[below(10)] = (uint8_t)next64();
          memory[9] &= below(4) ? 0x80 : 0xff;
          hexBcd(memory);
          break;
      }
    }
    row->run(&st[0], &st[1], memory, control, &save);
    put(' ');
    if (row->results[0] == '-') put('-');
    for (int k = 0; row->results[k]; k++) {
      if (k) put(',');
      uint64_t value;
      switch (row->results[k]) {
        case 'x': hex80(save.st[k]); break;
        case 'h': memcpy(&value, memory, 8); hex(value & 0xffff, 16); break;
        case 's': case 'i': memcpy(&value, memory, 8); hex(value & 0xffffffff, 32); break;
        case 'd': case 'l': memcpy(&value, memory, 8); hex(value, 64); break;
        case 'b': hexBcd(memory); break;
      }
    }
    finish(save.status & 0x473f);
  }
}

// ---------------------------------------------------------------- main
static int wanted(const char *name, int argc, char **argv) {
  if (argc <= 3) return 1;
  for (int i = 3; i < argc; i++) if (strncmp(name, argv[i], strlen(argv[i])) == 0) return 1;
  return 0;
}
static void seedFor(const char *name, uint64_t seed) {
  stream = seed * 0x9e3779b97f4a7c15ull;
  for (; *name; name++) { stream ^= (uint64_t)(unsigned char)*name; stream = next64(); }
}

int main(int argc, char **argv) {
  if (argc < 3) { fprintf(stderr, "usage: generate SEED CASES_PER_MNEMONIC [MNEMONIC-PREFIX...]\n"); return 2; }
  uint64_t seed = strtoull(argv[1], 0, 0);
  unsigned cases = (unsigned)strtoul(argv[2], 0, 0);
  struct sigaction action = {0};
  action.sa_sigaction = onFloatingPointError;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, 0);
  static char buffer[1 << 20];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  for (size_t i = 0; i < sizeof sseRows / sizeof *sseRows; i++)
    if (wanted(sseRows[i].name, argc, argv)) { seedFor(sseRows[i].name, seed); runSse(&sseRows[i], cases); }
  if (__builtin_cpu_supports("avx512f"))
    for (size_t i = 0; i < sizeof avx512Rows / sizeof *avx512Rows; i++)
      if (wanted(avx512Rows[i].name, argc, argv)) { seedFor(avx512Rows[i].name, seed); runSse(&avx512Rows[i], cases); }
  for (size_t i = 0; i < sizeof x87Rows / sizeof *x87Rows; i++)
    if (wanted(x87Rows[i].name, argc, argv)) { seedFor(x87Rows[i].name, seed); runX87(&x87Rows[i], cases); }
  return 0;
}
