// SPDX-License-Identifier: MIT
// Executes x87 instructions on the CPU it runs on: reads records from standard input, runs each, writes it back changed.
//
//   0  code, at most 16 bytes     16 length (u32)          20 signal, 0 without one (u32, out)
//  24  RAX                        32 RBX: address of the memory operand
//  40  RFLAGS                     48 FNSTENV image in the 32-bit protected-mode layout, 28 bytes (out)
//  80  FXSAVE64 image, 160 bytes  240 memory operand, 128 bytes, seen at 0x120000 and, read-only, at 0x121000
//
// The instruction lies at 0x110000. A record whose instruction raised a signal keeps its RAX and RFLAGS; its FXSAVE64
// image is then the one of the signal frame, and it has no FNSTENV image.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define RECORD 368
#define CODE ((uint8_t *)0x110000)
#define MEMORY ((uint8_t *)0x120000)
#define READ_ONLY ((uint8_t *)0x121000)
enum { LENGTH = 16, SIGNAL = 20, RAX_AT = 24, RBX_AT = 32, RFLAGS_AT = 40, ENVIRONMENT = 48, FXSAVE = 80, OPERAND = 240 };

static uint8_t image[512] __attribute__((aligned(16)));
static uint8_t environment[28];
static sigjmp_buf escape;
static volatile int caught;

static void onSignal(int number, siginfo_t *cause, void *context) {
  (void)cause;
  __asm__ volatile("push $0x202\n popfq" ::: "cc", "memory"); // RFLAGS.AC off
  caught = number;
  memcpy(image, ((ucontext_t *)context)->uc_mcontext.fpregs, 160);
  siglongjmp(escape, 1);
}

/** registers: RAX, RBX, RFLAGS; RAX and RFLAGS are updated. */
void runCode(uint64_t *registers, uint8_t *fxsave, uint8_t *fnstenv);
__asm__(
  ".globl runCode\n"
  "runCode:\n"
  "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n"
  "  mov %rdi, %r12\n  mov %rsi, %r13\n  mov %rdx, %r14\n"
  "  fxrstor64 (%r13)\n"
  "  mov 0(%r12), %rax\n  mov 8(%r12), %rbx\n"
  "  mov $0x110000, %ebp\n"
  "  push 16(%r12)\n  popfq\n"
  "  call *%rbp\n"
  "  pushfq\n  pop 16(%r12)\n"
  "  mov %rax, 0(%r12)\n"
  "  push $0x202\n  popfq\n"
  "  fxsave64 (%r13)\n"
  "  fnstenv (%r14)\n"
  "  fninit\n"
  "  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n");

static void run(uint8_t *record) {
  uint64_t registers[3];
  uint32_t length;
  memcpy(&length, record + LENGTH, 4);
  memcpy(CODE, record, length);
  CODE[length] = 0xc3; // RET
  memcpy(registers, record + RAX_AT, sizeof registers);
  memset(image, 0, sizeof image);
  memcpy(image, record + FXSAVE, 160);
  memset(environment, 0, sizeof environment);
  memcpy(MEMORY, record + OPERAND, 128);
  caught = 0;
  if (sigsetjmp(escape, 1) == 0) {
    runCode(registers, image, environment);
    memcpy(record + RAX_AT, registers, sizeof registers);
    memcpy(record + ENVIRONMENT, environment, sizeof environment);
  } else {
    __asm__ volatile("fninit");
  }
  uint32_t signal = (uint32_t)caught;
  memcpy(record + SIGNAL, &signal, 4);
  memcpy(record + FXSAVE, image, 160);
  memcpy(record + OPERAND, MEMORY, 128);
}

int main(void) {
  int memory = memfd_create("operand", 0);
  if (memory < 0 || ftruncate(memory, 4096) != 0) return 2;
  if (mmap(CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != CODE) return 2;
  if (mmap(MEMORY, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0) != MEMORY) return 2;
  if (mmap(READ_ONLY, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, memory, 0) != READ_ONLY) return 2;
  static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS};
  struct sigaction action = {0};
  action.sa_sigaction = onSignal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  for (size_t n = 0; n < sizeof signals / sizeof *signals; n++) sigaction(signals[n], &action, 0);
  uint8_t record[RECORD];
  while (fread(record, RECORD, 1, stdin) == 1) {
    run(record);
    fwrite(record, RECORD, 1, stdout);
  }
  return 0;
}
