/*
 * Runs single instructions on the processor of this machine. Standard input: records of 160 bytes; standard output: the
 * same records with the state after the instruction.
 *   0 code[16]   16 length (u32)   20 MXCSR (u32)   24 RFLAGS   32 RAX   40 RCX   48 RDX   56 RBX
 *  64 XMM0 XMM1 XMM2   112 MM1 MM2   128 memory[16] at [RDI]   144 signal (u32)   148 FSW, abridged FTW (u16, u16)
 * Before the instruction the x87 state is TOP = 3 and every register empty, so that a transition to MMX state shows.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct record {
  uint8_t code[16];
  uint32_t length, mxcsr;
  uint64_t rflags, rax, rcx, rdx, rbx;
  uint8_t xmm[3][16];
  uint64_t mm[2];
  uint8_t memory[16];
  uint32_t signal;
  uint16_t fsw, ftw;
  uint8_t pad[8];
};

static volatile uint32_t caught;
static uint8_t memory_page[4096] __attribute__((aligned(4096)));
static uint8_t fx[512] __attribute__((aligned(16)));
static uint8_t *code_page;

static void on_signal(int number, siginfo_t *info, void *context) {
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  (void)info;
  caught = number;
  regs[REG_RIP] = *(uint64_t *)regs[REG_RSP];
  regs[REG_RSP] += 8;
}

/* R12: the record, R13: the code, R14: an FXSAVE area, RDI: the memory operand. */
__asm__(
    "run_stub:\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rdi, %r12\n mov %rsi, %r13\n mov %rdx, %r14\n mov %rcx, %rdi\n"
    "movq 112(%r12), %mm1\n movq 120(%r12), %mm2\n"
    "fninit\n fincstp\n fincstp\n fincstp\n"
    "ldmxcsr 20(%r12)\n"
    "movdqu 64(%r12), %xmm0\n movdqu 80(%r12), %xmm1\n movdqu 96(%r12), %xmm2\n"
    "mov 32(%r12), %rax\n mov 40(%r12), %rcx\n mov 48(%r12), %rdx\n mov 56(%r12), %rbx\n"
    "pushq 24(%r12)\n popfq\n"
    "call *%r13\n"
    "pushfq\n popq 24(%r12)\n"
    "stmxcsr 20(%r12)\n"
    "mov %rax, 32(%r12)\n mov %rcx, 40(%r12)\n mov %rdx, 48(%r12)\n mov %rbx, 56(%r12)\n"
    "movdqu %xmm0, 64(%r12)\n movdqu %xmm1, 80(%r12)\n movdqu %xmm2, 96(%r12)\n"
    "fxsave (%r14)\n"
    "movq %mm1, 112(%r12)\n movq %mm2, 120(%r12)\n emms\n"
    "movl $0x1f80, -8(%rsp)\n ldmxcsr -8(%rsp)\n cld\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n ret\n");
void run_stub(struct record *, void *code, void *fx, void *memory);

int main(void) {
  stack_t alternate = {.ss_sp = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 65536};
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  struct record record;
  sigaltstack(&alternate, 0);
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  code_page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  while (fread(&record, sizeof record, 1, stdin) == 1) {
    caught = 0;
    memcpy(memory_page + 64, record.memory, 16);
    memcpy(code_page, record.code, record.length);
    code_page[record.length] = 0xc3;
    run_stub(&record, code_page, fx, memory_page + 64);
    memcpy(record.memory, memory_page + 64, 16);
    record.signal = caught;
    memcpy(&record.fsw, fx + 2, 2);
    record.ftw = fx[4];
    fwrite(&record, sizeof record, 1, stdout);
  }
  return 0;
}
