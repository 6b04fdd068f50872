/* Takeuchi's function, Fibonacci and the queens' problem: calls and returns, small frames. */
#include "work.h"

#define CALLED __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

static CALLED int tak(int x, int y, int z)
{
    return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

static CALLED uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static CALLED unsigned queens(unsigned all, unsigned columns, unsigned left, unsigned right)
{
    unsigned found = 0;
    if (columns == all)
        return 1;
    for (unsigned free = all & ~(columns | left | right); free; free &= free - 1) {
        unsigned queen = free & -free;
        found += queens(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return found;
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        sum = mix(sum, tak(14 + n % 2, 9, 4));
        sum = mix(sum, fibonacci(20 + n % 2));
        sum = mix(sum, queens(0xff, 0, 0, 0));
    }
    return sum;
}

const struct kind recursion = { "recursion", 0, run, 0 };
