/* The C library's functions on strings and blocks, short and long, aligned and not. */
#include "work.h"

#include <string.h>

enum { TEXT = 1 << 16 };

static char text[TEXT + 64], copy[TEXT + 64];

static void prepare(unsigned size)
{
    (void)size;
    for (unsigned i = 0; i < TEXT; i++) {
        unsigned letter = (random64() >> 40) % 29;
        text[i] = letter < 26 ? 'a' + letter : letter < 28 ? ' ' : '\n';
    }
    memcpy(text + TEXT - 200, "zyxwvutsrqponmlkjihgfedcba", 26);
}

/* Words and lines, as a program that reads text would cut them. */
static uint64_t lines(void)
{
    uint64_t sum = 0;
    for (const char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) {
        char line[512];
        size_t length = end - at < 500 ? end - at : 500;
        memcpy(line, at, length);
        line[length] = 0;
        sum += strlen(line) + (strcmp(line, "the") < 0) + (memcmp(line, at, length) == 0);
        if (strchr(line, 'q'))
            sum += 3;
        if (strstr(line, "ing"))
            sum += 7;
    }
    return sum;
}

static uint64_t blocks(unsigned n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 8; i++) {
        memset(copy, i, TEXT);
        memcpy(copy + (i + n) % 32, text, TEXT);
        memmove(copy + 16, copy + i, TEXT - 64);
        sum += (unsigned char)copy[(n * 97 + i * 31) % TEXT];
        sum += memcmp(copy + 16, text, TEXT - 200) > 0;
        sum += (const char *)memchr(text, 0, sizeof text) - text;
        sum += strstr(text, "zyxwvutsrqponmlkjihgfedcba") - text;
        sum += strlen(text + i);
    }
    return sum;
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++)
        sum = mix(mix(sum, lines()), blocks(n));
    return sum;
}

const struct kind strings = { "strings", prepare, run, 0 };
