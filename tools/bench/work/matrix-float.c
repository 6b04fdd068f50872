/* Gaussian elimination and products of matrices of floats, in SSE registers in both suites. */
#pragma GCC target("sse2,fpmath=sse")
#include "work.h"

#include <string.h>

enum { N = 128 };

static float source[N][N], a[N][N], c[N][N];

static void prepare(unsigned size)
{
    (void)size;
    for (unsigned i = 0; i < N; i++)
        for (unsigned j = 0; j < N; j++)
            source[i][j] = (float)(int32_t)random64() / (1u << 31) + (i == j ? 8 : 0);
}

static void eliminate(void)
{
    for (unsigned p = 0; p < N; p++)
        for (unsigned i = p + 1; i < N; i++) {
            float factor = a[i][p] / a[p][p];
            for (unsigned j = p; j < N; j++)
                a[i][j] -= factor * a[p][j];
        }
}

static void multiply(void)
{
    for (unsigned i = 0; i < N; i++)
        for (unsigned j = 0; j < N; j++) {
            float dot = 0;
            for (unsigned k = 0; k < N; k++)
                dot += a[i][k] * source[k][j];
            c[i][j] = dot;
        }
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        memcpy(a, source, sizeof a);
        a[n % N][(n * 5) % N] += 1;
        eliminate();
        multiply();
        for (unsigned i = 0; i < N; i++) {
            uint32_t bits;
            memcpy(&bits, &c[i][(i * 7 + n) % N], 4);
            sum = mix(sum, bits);
        }
    }
    return sum;
}

const struct kind matrix_float = { "matrix-float", prepare, run, 0 };
