/* Calls of functions through pointers, in an order that no table of branch targets foretells. */
#include "work.h"

enum { STEPS = 100000, TARGETS = 16 };

typedef uint32_t function(uint32_t x, uint32_t y);

#define FUNCTION(n, expression) static uint32_t f##n(uint32_t x, uint32_t y) { return expression; }
FUNCTION(0, x + y)
FUNCTION(1, x ^ y)
FUNCTION(2, x * (y | 1))
FUNCTION(3, x - y)
FUNCTION(4, x << (y & 7) | y)
FUNCTION(5, x >> (y & 7) ^ y)
FUNCTION(6, ~x + y)
FUNCTION(7, x < y ? x + 3 : y + 5)
FUNCTION(8, (x & y) + 7)
FUNCTION(9, (x | y) - 11)
FUNCTION(10, x + (y >> 3))
FUNCTION(11, x ^ (y << 5))
FUNCTION(12, x * 5 + y)
FUNCTION(13, x + y * 9)
FUNCTION(14, -x ^ y)
FUNCTION(15, x == y ? 1 : x - 13)

static function *volatile const table[TARGETS] = { f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15 };

static uint64_t run(unsigned size)
{
    uint32_t x = 1, choice = 12345;
    for (unsigned n = 0; n < size; n++)
        for (unsigned i = 0; i < STEPS; i++) {
            choice = choice * 1664525 + 1013904223;
            x = table[choice >> 28](x, choice);
        }
    return x;
}

const struct kind indirect = { "indirect", 0, run, 0 };
