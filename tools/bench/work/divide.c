/* Products and quotients of 64-bit numbers, signed and unsigned; in the 32-bit suite by the compiler's own functions. */
#include "work.h"

enum { STEPS = 20000 };

static uint64_t high(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
    return (unsigned __int128)x * y >> 64;
#else
    uint64_t middle = (uint64_t)(uint32_t)x * (uint32_t)y >> 32;
    uint64_t first = (x >> 32) * (uint32_t)y + middle;
    uint64_t second = (uint64_t)(uint32_t)x * (y >> 32) + (uint32_t)first;
    return (x >> 32) * (y >> 32) + (first >> 32) + (second >> 32);
#endif
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 1;
    for (unsigned n = 0; n < size; n++) {
        uint64_t x = random64(), y = random64();
        for (unsigned i = 0; i < STEPS; i++) {
            uint64_t small = y >> (i & 31) | 1;
            uint64_t quotient = x / small, rest = x % small;
            int64_t negative = (int64_t)(x ^ y) / (int32_t)(small | 2);
            sum += quotient ^ rest ^ (uint64_t)negative;
            x = x * 6364136223846793005u + rest + 1;
            y = high(x, sum | y) + i * 0x9e3779b97f4a7c15u;
        }
        sum = mix(sum, x);
    }
    return sum;
}

const struct kind divide = { "divide", 0, run, 0 };
