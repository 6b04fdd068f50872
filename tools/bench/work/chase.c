/* A chain of pointers through 32 MiB in random order: one load waits for the other, and few are in a cache or a TLB. */
#include "work.h"

enum { COUNT = 1 << 19, STEPS = 100000 };

struct node {
    struct node *next;
    uint32_t value;
} __attribute__((aligned(64)));

static struct node nodes[COUNT];

/* Sattolo's shuffle: one cycle through all. */
static void prepare(unsigned size)
{
    static uint32_t order[COUNT];
    (void)size;
    for (unsigned i = 0; i < COUNT; i++)
        order[i] = i;
    for (unsigned i = COUNT - 1; i > 0; i--) {
        unsigned j = (random64() >> 32) * i >> 32;
        uint32_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % COUNT]];
        nodes[order[i]].value = i * 2654435761u;
    }
}

static uint64_t run(unsigned size)
{
    const struct node *at = nodes;
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++)
        for (unsigned i = 0; i < STEPS; i++) {
            sum += at->value;
            at = at->next;
        }
    return sum;
}

const struct kind chase = { "chase", prepare, run, 0 };
