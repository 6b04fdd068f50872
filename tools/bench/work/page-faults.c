/* Pages touched for the first time, and pages shared with a child and then written: one page fault each. */
#define _GNU_SOURCE
#include "work.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 2048 };

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        unsigned char *pages = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            fail("mmap");
        /* One page at a time, wherever the kernel would rather give a large one. */
        madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < PAGES; i++)
            pages[i * PAGE + i % PAGE] = i + n;
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0)
            _exit(0);
        waitpid(child, 0, 0);
        for (unsigned i = 0; i < PAGES; i += 2)
            pages[i * PAGE]++;
        for (unsigned i = 0; i < PAGES; i += 61)
            sum = mix(sum, pages[i * PAGE + i % PAGE]);
        munmap(pages, PAGES * PAGE);
    }
    return sum;
}

const struct kind page_faults = { "page-faults", 0, run, 0 };
