/* Debian's own programs. WORK_ROOT is the directory they are in, WORK_LINKER, under it, what starts them, or empty. */
#define _GNU_SOURCE
#include "work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 1 << 14 };

static char directory[256], input[512], output[512];

/* Text of words of which some are more frequent. */
static void write_text(unsigned size)
{
    static const char syllables[32][4] = {
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta",
        "ve", "wi", "xo", "yu", "za", "bre", "cli", "dro", "flu", "gra", "pre", "sti", "tro", "shu", "the", "ing",
    };
    snprintf(directory, sizeof directory, "%s/work.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(directory))
        fail(directory);
    snprintf(input, sizeof input, "%s/input", directory);
    snprintf(output, sizeof output, "%s/output", directory);
    FILE *file = fopen(input, "w");
    if (!file)
        fail(input);
    for (unsigned block = 0; block < size; block++)
        for (int written = 0; written < BLOCK;) {
            uint64_t number = random64();
            /* The product of two small numbers: low ones are more frequent. */
            unsigned word = (number & 31) * (number >> 5 & 31);
            written += fprintf(file, "%s%s", syllables[word % 32], syllables[word / 32]);
            if (number >> 10 & 1)
                written += fprintf(file, "%s", syllables[number >> 11 & 31]);
            if ((number >> 16 & 15) == 0)
                written += fprintf(file, " %u", (unsigned)(number >> 20) % 10000);
            written += fprintf(file, "%c", (number >> 40 & 7) ? ' ' : '\n');
        }
    if (fclose(file))
        fail(input);
}

static char *under(const char *root, const char *path)
{
    char *whole;
    if (asprintf(&whole, "%s%s", root ? root : "", path) < 0)
        fail("asprintf");
    return whole;
}

/* Runs a program with two more arguments, its output into a file. */
static void start(const char *path, char *first, char *second)
{
    const char *root = getenv("WORK_ROOT"), *linker = getenv("WORK_LINKER");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (file < 0 || dup2(file, 1) < 0)
            _exit(255);
        char *program = under(root, path), *none[] = { 0 };
        char *alone[] = { program, first, second, 0 };
        char *linked[] = { under(root, linker ? linker : ""), "--library-path", under(root, "/lib"), program, first, second, 0 };
        char **arguments = linker && *linker ? linked : alone;
        execve(arguments[0], arguments, none);
        _exit(255);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        fail(path);
}

/* Of what the program wrote. */
static uint64_t sum_of_output(void)
{
    FILE *file = fopen(output, "r");
    uint64_t sum = 0;
    if (!file)
        fail(output);
    for (int byte; (byte = getc(file)) != EOF;)
        sum = mix(sum, byte);
    fclose(file);
    unlink(input);
    unlink(output);
    rmdir(directory);
    return sum;
}

static uint64_t run_gzip(unsigned size)
{
    (void)size;
    start("/gzip", "-nc", input);
    return 0;
}

static uint64_t run_perl(unsigned size)
{
    (void)size;
    start("/perl", under(getenv("WORK_ROOT"), "/words.pl"), input);
    return 0;
}

const struct kind gzip = { "gzip", write_text, run_gzip, sum_of_output };
const struct kind perl = { "perl", write_text, run_perl, sum_of_output };
