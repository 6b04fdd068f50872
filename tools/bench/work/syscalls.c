/* System calls that do little: into the kernel and out again. */
#define _GNU_SOURCE
#include "work.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STEPS = 1000 };

static int null, zero;

static void prepare(unsigned size)
{
    (void)size;
    null = open("/dev/null", O_WRONLY);
    zero = open("/dev/zero", O_RDONLY);
    if (null < 0 || zero < 0)
        fail("open");
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    char bytes[64] = { 0 };
    for (unsigned n = 0; n < size; n++)
        for (unsigned i = 0; i < STEPS; i++) {
            sum += syscall(SYS_getppid) != 0;
            sum += write(null, bytes, i % sizeof bytes);
            sum += read(zero, bytes, sizeof bytes);
            sum += lseek(null, 0, SEEK_CUR) == 0;
            sum += fcntl(zero, F_GETFD);
        }
    return sum;
}

const struct kind syscalls = { "syscalls", prepare, run, 0 };
