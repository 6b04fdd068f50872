/*
 * Runs single instructions on the processor of this machine and tells what they did.
 *
 * Standard input: records of RECORD_IN bytes (struct in). Standard output: one struct out for each, followed by the runs
 * of bytes that changed in the data page. test/native/state.ts has the same layout.
 *
 * The page of code is full of INT3 (CC), so that wherever the instruction goes on, a SIGTRAP tells where. Every case is
 * set up and judged inside a signal handler on its own stack: the state comes and goes by the signal frame, so that every
 * register, flag, x87 and vector register is the instruction's, and 32-bit code is only another CS selector.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define CODE 0x10000000ul
#define START (CODE + 0x400)
#define DATA 0x20000000ul        /* read and write; then a read-only page; nothing after and before */
#define WINDOW 0x400             /* offset in DATA of the bytes that are random */
#define WINDOW_BYTES 256
#define GS_BASE 0x20000100ul
#define STATUS_AND_DF 0xcd5ul    /* CF PF AF ZF SF DF OF: what sigreturn restores */

struct state {
  uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8 ... R15 */
  uint64_t rip, rflags;
  uint32_t mxcsr;
  uint16_t fcw, fsw, ftw, pad[3];
  uint8_t st[8][16];
  uint8_t xmm[16][16];
  uint8_t window[WINDOW_BYTES];
};

struct in {
  uint8_t code[16];
  uint32_t length, mode; /* mode: 64 or 32 */
  struct state state;
};

struct out {
  struct state state;
  int32_t vector; /* -1: none */
  uint32_t error;
  uint64_t cr2;
  uint32_t runs, pad;
};

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct in *cases;
static size_t count, current;
static int running;
static uint8_t before[PAGE];
static FILE *output;

static void set_up(ucontext_t *context) {
  const struct in *in = &cases[current];
  const struct state *s = &in->state;
  greg_t *regs = context->uc_mcontext.gregs;
  struct _libc_fpstate *fp = context->uc_mcontext.fpregs;

  memset((void *)CODE, 0xcc, PAGE);
  memcpy((void *)START, in->code, in->length);
  memset(before, 0, PAGE);
  memcpy(before + WINDOW, s->window, WINDOW_BYTES);
  memcpy((void *)DATA, before, PAGE);

  for (int i = 0; i < 16; i++) regs[order[i]] = (greg_t)s->gpr[i];
  regs[REG_RIP] = START;
  regs[REG_EFL] = (greg_t)((s->rflags & STATUS_AND_DF) | 0x202);
  regs[REG_CSGSFS] = (regs[REG_CSGSFS] & ~0xffffll) | (in->mode == 64 ? 0x33 : 0x23);

  fp->cwd = s->fcw;
  fp->swd = s->fsw;
  fp->ftw = s->ftw;
  fp->fop = 0;
  fp->rip = 0;
  fp->rdp = 0;
  fp->mxcsr = s->mxcsr;
  /* The frame has the registers by their distance from the top of the stack, the state by their number. */
  for (int i = 0; i < 8; i++) memcpy(&fp->_st[i], s->st[((s->fsw >> 11) + i) & 7], 16);
  memcpy(fp->_xmm, s->xmm, sizeof s->xmm);
  /* XSAVE header: x87 and SSE state are in the frame, not their initial values. */
  ((uint64_t *)((uint8_t *)fp + 512))[0] |= 3;
}

static void judge(ucontext_t *context) {
  const struct in *in = &cases[current];
  greg_t *regs = context->uc_mcontext.gregs;
  struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
  uint64_t present = ((uint64_t *)((uint8_t *)fp + 512))[0];
  struct out out;
  memset(&out, 0, sizeof out);

  for (int i = 0; i < 16; i++) out.state.gpr[i] = (uint64_t)regs[order[i]];
  out.state.rip = (uint64_t)regs[REG_RIP];
  out.state.rflags = (uint64_t)regs[REG_EFL] & ~0x10100ul; /* RF and TF are the harness's */
  out.vector = (int32_t)regs[REG_TRAPNO];
  out.error = (uint32_t)regs[REG_ERR];
  if (out.vector == 14) out.cr2 = (uint64_t)regs[REG_CR2];
  if (out.vector == 3 && out.state.rip != START + 1) {
    out.vector = -1;
    out.error = 0;
    out.state.rip--;
  }
  if (present & 1) {
    out.state.fcw = fp->cwd;
    out.state.fsw = fp->swd;
    out.state.ftw = fp->ftw & 0xff;
    for (int i = 0; i < 8; i++) memcpy(out.state.st[((fp->swd >> 11) + i) & 7], &fp->_st[i], 10);
  } else
    out.state.fcw = 0x37f;
  out.state.mxcsr = fp->mxcsr;
  if (present & 2) memcpy(out.state.xmm, fp->_xmm, sizeof out.state.xmm);

  const uint8_t *after = (const uint8_t *)DATA;
  uint16_t runs[PAGE][2];
  if (memcmp(before, after, PAGE) != 0)
    for (int at = 0; at < PAGE; at++) {
      if (before[at] == after[at]) continue;
      int end = at + 1;
      while (end < PAGE && before[end] != after[end]) end++;
      runs[out.runs][0] = (uint16_t)at;
      runs[out.runs++][1] = (uint16_t)(end - at);
      at = end;
    }
  memcpy(out.state.window, after + WINDOW, WINDOW_BYTES);
  fwrite(&out, sizeof out, 1, output);
  for (uint32_t i = 0; i < out.runs; i++) {
    fwrite(runs[i], 4, 1, output);
    fwrite(after + runs[i][0], 1, runs[i][1], output);
  }
  (void)in;
}

__attribute__((used)) static void on_signal(int number, siginfo_t *info, void *context) {
  (void)info;
  if (number == SIGALRM) {
    fprintf(stderr, "case %zu does not end\n", current);
    _exit(3);
  }
  if (running) {
    judge(context);
    current++;
  }
  running = 1;
  if (current == count) {
    fflush(output);
    _exit(0);
  }
  alarm(5);
  set_up(context);
}

/* POPF may have left AC, NT or ID set: the handler must not run with them, nor hand them on. */
__asm__(".globl enter_handler\nenter_handler:\n pushq $0x202\n popfq\n jmp on_signal\n");
extern void enter_handler(int, siginfo_t *, void *);

static void *map(unsigned long address, size_t size, int protection) {
  void *at = mmap((void *)address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != (void *)address) {
    perror("mmap");
    exit(2);
  }
  return at;
}

int main(void) {
  static uint8_t stack[1 << 18];
  size_t size = 0, room = 1 << 20;
  uint8_t *input = malloc(room);
  for (size_t n; (n = fread(input + size, 1, room - size, stdin)) > 0;) {
    size += n;
    if (size == room) input = realloc(input, room *= 2);
  }
  cases = (struct in *)input;
  count = size / sizeof(struct in);
  output = stdout;
  setvbuf(output, NULL, _IOFBF, 1 << 20);

  map(CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  map(DATA, PAGE, PROT_READ | PROT_WRITE);
  uint8_t *constant = map(DATA + PAGE, PAGE, PROT_READ | PROT_WRITE);
  for (int i = 0; i < PAGE; i++) constant[i] = (uint8_t)(i * 0x9d + 0x37);
  mprotect(constant, PAGE, PROT_READ);

  syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
  __asm__ volatile("mov %0, %%ds\n mov %0, %%es" : : "r"(0x2b));

  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = enter_handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGUSR1, SIGALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
  if (count == 0) return 0;
  raise(SIGUSR1);
  return 2;
}
