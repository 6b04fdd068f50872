/*
 * work KIND SIZE: does one kind of work. Standard output gets "@K KIND", "@S" when it begins, "@E" when it has ended, and
 * "@C CHECKSUM". The marks are short so that they fit the FIFO of a serial port whole and are on their way at once. With WORK_CLOCK
 * in the environment, "@T NANOSECONDS" tells in between how long it was: where there is no guest, its clock is the host's.
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const struct kind *const kinds[] = {
    &hash, &sort, &matrix_double, &matrix_float, &chase, &recursion, &divide, &interpreter, &indirect,
    &strings, &simd, &trees, &syscalls, &pipes, &fork_exec, &page_faults, &gzip, &perl,
};

uint64_t random64(void)
{
    static uint64_t state;
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        fail("write");
}

int main(int argc, char **argv)
{
    /* What fork_exec starts: a program that ends at once. */
    if (argc == 2)
        return atoi(argv[1]);
    if (argc != 3) {
        fprintf(stderr, "usage: work KIND SIZE\n");
        return 2;
    }
    const unsigned size = atoi(argv[2]);
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = kinds[i];
        if (strcmp(kind->name, argv[1]) != 0)
            continue;
        char line[64];
        snprintf(line, sizeof line, "@K %s\n", kind->name);
        say(line);
        if (kind->prepare)
            kind->prepare(size);
        tcdrain(1);
        say("@S\n");
        uint64_t start = nanoseconds();
        uint64_t sum = kind->run(size);
        uint64_t end = nanoseconds();
        say("@E\n");
        tcdrain(1);
        if (getenv("WORK_CLOCK")) {
            snprintf(line, sizeof line, "@T %llu\n", (unsigned long long)(end - start));
            say(line);
        }
        if (kind->sum)
            sum = kind->sum();
        snprintf(line, sizeof line, "@C %016llx\n", (unsigned long long)sum);
        say(line);
        tcdrain(1);
        return 0;
    }
    fprintf(stderr, "work: no kind %s\n", argv[1]);
    return 2;
}
