/* Search trees made node by node with malloc, walked and freed, and a chained hash table of strings. */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tree {
    struct tree *left, *right;
    uint32_t key;
};

static void insert(struct tree **at, uint32_t key)
{
    while (*at)
        at = key < (*at)->key ? &(*at)->left : &(*at)->right;
    *at = malloc(sizeof **at);
    if (!*at)
        fail("malloc");
    **at = (struct tree){ 0, 0, key };
}

static uint64_t drop(struct tree *tree, uint64_t sum)
{
    if (!tree)
        return sum;
    sum = mix(drop(tree->left, sum), tree->key);
    sum = drop(tree->right, sum);
    free(tree);
    return sum;
}

struct word {
    struct word *next;
    unsigned count;
    char text[];
};

enum { BUCKETS = 1024, WORDS = 4000 };

static uint64_t words(void)
{
    static struct word *buckets[BUCKETS];
    for (unsigned i = 0; i < WORDS; i++) {
        char text[16];
        snprintf(text, sizeof text, "word%u", (unsigned)(random64() >> 32) % 2000);
        uint32_t code = 5381;
        for (const char *at = text; *at; at++)
            code = code * 33 + (unsigned char)*at;
        struct word **at = &buckets[code % BUCKETS];
        while (*at && strcmp((*at)->text, text) != 0)
            at = &(*at)->next;
        if (!*at) {
            *at = malloc(sizeof **at + strlen(text) + 1);
            if (!*at)
                fail("malloc");
            (*at)->next = 0;
            (*at)->count = 0;
            strcpy((*at)->text, text);
        }
        (*at)->count++;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        while (buckets[i]) {
            struct word *word = buckets[i];
            sum = mix(sum, word->count);
            buckets[i] = word->next;
            free(word);
        }
    return sum;
}

static uint64_t run(unsigned size)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < size; n++) {
        struct tree *tree = 0;
        for (unsigned i = 0; i < 8000; i++)
            insert(&tree, random64());
        sum = mix(drop(tree, sum), words());
    }
    return sum;
}

const struct kind trees = { "trees", 0, run, 0 };
