/* Two processes that hand a byte to each other through pipes, on one processor: switches of address spaces. */
#define _GNU_SOURCE
#include "work.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 100 };

static int there[2], back[2];
static pid_t child;

static void prepare(unsigned size)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    (void)size;
    if (pipe(there) || pipe(back) || (child = fork()) < 0)
        fail("pipe");
    if (child)
        return;
    close(there[1]);
    for (unsigned char byte; read(there[0], &byte, 1) == 1;) {
        byte = byte * 5 + 1;
        if (write(back[1], &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    unsigned char byte = 0;
    for (unsigned n = 0; n < size * STEPS; n++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            fail("pipe");
        sum = mix(sum, byte);
        byte ^= n;
    }
    close(there[1]);
    waitpid(child, 0, 0);
    return sum;
}

const struct kind pipes = { "pipes", prepare, run, 0 };
