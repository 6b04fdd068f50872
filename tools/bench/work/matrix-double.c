/* Products of matrices of doubles: SSE2 in the 64-bit suite; the x87 in the 32-bit suite, as Debian's i386 programs have it. */
#include "work.h"

#include <string.h>

enum { N = 160 };

static double a[N][N], b[N][N], c[N][N];

static void prepare(unsigned size)
{
    (void)size;
    for (unsigned i = 0; i < N; i++)
        for (unsigned j = 0; j < N; j++) {
            a[i][j] = (double)(int32_t)random64() / (1 << 30);
            b[i][j] = (double)(int32_t)random64() / (1 << 30);
        }
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        memset(c, 0, sizeof c);
        for (unsigned i = 0; i < N; i++)
            for (unsigned k = 0; k < N; k++) {
                double factor = a[i][k];
                for (unsigned j = 0; j < N; j++)
                    c[i][j] += factor * b[k][j];
            }
        for (unsigned i = 0; i < N; i++) {
            uint64_t bits;
            memcpy(&bits, &c[i][(i * 7 + n) % N], 8);
            sum = mix(sum, bits);
            a[i][n % N] = c[i][(n + i) % N] / 16;
        }
    }
    return sum;
}

const struct kind matrix_double = { "matrix-double", prepare, run, 0 };
