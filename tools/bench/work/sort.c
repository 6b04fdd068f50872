/* Quicksort of random 32-bit numbers, small parts by insertion: comparisons and branches that cannot be predicted. */
#include "work.h"

enum { COUNT = 1 << 18 };

static uint32_t numbers[COUNT];

static void quicksort(uint32_t *low, uint32_t *high)
{
    while (high - low > 16) {
        uint32_t pivot = low[(high - low) / 2];
        uint32_t *left = low - 1, *right = high;
        for (;;) {
            while (*++left < pivot)
                ;
            while (*--right > pivot)
                ;
            if (left >= right)
                break;
            uint32_t other = *left;
            *left = *right;
            *right = other;
        }
        quicksort(low, left);
        low = left;
    }
    for (uint32_t *at = low + 1; at < high; at++) {
        uint32_t value = *at, *to = at;
        for (; to > low && to[-1] > value; to--)
            *to = to[-1];
        *to = value;
    }
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        for (unsigned i = 0; i < COUNT; i++)
            numbers[i] = random64();
        quicksort(numbers, numbers + COUNT);
        for (unsigned i = 0; i < COUNT; i += 997)
            sum = mix(sum, numbers[i]);
    }
    return sum;
}

const struct kind sort = { "sort", 0, run, 0 };
