/* SSE2 on integers: a picture blended, filtered and searched for a block, as video code does it. */
#pragma GCC target("sse2")
#include "work.h"

#include <emmintrin.h>
#include <string.h>

enum { WIDTH = 256, HEIGHT = 64, PIXELS = WIDTH * HEIGHT };

static uint8_t front[PIXELS + 64], back[PIXELS + 64], out[PIXELS + 64];
static int16_t samples[4096 + 16];

static void prepare(unsigned size)
{
    (void)size;
    for (unsigned i = 0; i < PIXELS; i++) {
        front[i] = random64();
        back[i] = random64();
    }
    for (unsigned i = 0; i < 4096; i++)
        samples[i] = random64();
}

static void blend(unsigned alpha)
{
    const __m128i zero = _mm_setzero_si128(), a = _mm_set1_epi16(alpha), b = _mm_set1_epi16(256 - alpha);
    for (unsigned i = 0; i < PIXELS; i += 16) {
        __m128i x = _mm_loadu_si128((const void *)(front + i)), y = _mm_loadu_si128((const void *)(back + i));
        __m128i low = _mm_add_epi16(_mm_mullo_epi16(_mm_unpacklo_epi8(x, zero), a), _mm_mullo_epi16(_mm_unpacklo_epi8(y, zero), b));
        __m128i high = _mm_add_epi16(_mm_mullo_epi16(_mm_unpackhi_epi8(x, zero), a), _mm_mullo_epi16(_mm_unpackhi_epi8(y, zero), b));
        __m128i mixed = _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8));
        _mm_storeu_si128((void *)(out + i), _mm_max_epu8(_mm_avg_epu8(mixed, x), _mm_subs_epu8(y, x)));
    }
}

/* The least sum of absolute differences of a 16 x 8 block. */
static uint64_t search(unsigned n)
{
    uint32_t best = ~0u, place = 0;
    for (unsigned at = n % 16; at < WIDTH * (HEIGHT - 8) - 16; at += 37) {
        __m128i sum = _mm_setzero_si128();
        for (unsigned row = 0; row < 8; row++)
            sum = _mm_add_epi64(sum, _mm_sad_epu8(_mm_loadu_si128((const void *)(out + at + row * WIDTH)), _mm_loadu_si128((const void *)(back + row * WIDTH))));
        uint32_t distance = _mm_cvtsi128_si32(sum) + _mm_extract_epi16(sum, 4);
        if (distance < best)
            best = distance, place = at;
    }
    return (uint64_t)place << 32 | best;
}

/* A filter of eight taps, and counts of what is over a threshold. */
static uint64_t filter(void)
{
    const __m128i taps = _mm_setr_epi16(-3, 12, -39, 158, 158, -39, 12, -3), limit = _mm_set1_epi32(4000);
    __m128i over = _mm_setzero_si128(), total = _mm_setzero_si128();
    for (unsigned i = 0; i < 4096 - 8; i++) {
        __m128i products = _mm_madd_epi16(_mm_loadu_si128((const void *)(samples + i)), taps);
        products = _mm_add_epi32(products, _mm_shuffle_epi32(products, _MM_SHUFFLE(1, 0, 3, 2)));
        products = _mm_srai_epi32(_mm_add_epi32(products, _mm_shuffle_epi32(products, _MM_SHUFFLE(2, 3, 0, 1))), 8);
        over = _mm_sub_epi32(over, _mm_cmpgt_epi32(products, limit));
        total = _mm_xor_si128(_mm_slli_epi32(total, 1), _mm_andnot_si128(limit, products));
    }
    return (uint64_t)(uint32_t)_mm_cvtsi128_si32(over) << 32 | (uint32_t)_mm_cvtsi128_si32(total);
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        blend(n % 257);
        sum = mix(mix(sum, search(n)), filter());
        sum = mix(sum, out[n * 31 % PIXELS]);
    }
    return sum;
}

const struct kind simd = { "simd", prepare, run, 0 };
