/* Kinds of guest work: each is prepared, runs between two marks, and leaves a checksum. */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

struct kind {
    const char *name;
    /* Not timed. May be null. */
    void (*prepare)(unsigned size);
    /* Timed; gives the checksum. */
    uint64_t (*run)(unsigned size);
    /* Not timed: what run() left behind becomes the checksum instead. May be null. */
    uint64_t (*sum)(void);
};

extern const struct kind hash, sort, matrix_double, matrix_float, chase, recursion, divide, interpreter, indirect, strings, simd,
    trees, syscalls, pipes, fork_exec, page_faults, gzip, perl;

/* The same numbers in every run: Steele's SplitMix64. */
uint64_t random64(void);

/* Takes a value into a checksum, in order. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    return sum ^ (sum >> 29);
}

/* Prints one sentence to standard error and ends with status 1. */
void fail(const char *what) __attribute__((noreturn));

#endif
