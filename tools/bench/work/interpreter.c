/* A bytecode interpreter, one switch in a loop, that runs a program counting the steps of Collatz's sequences. */
#include "work.h"

enum op { PUSH, LOAD, STORE, ADD, MULTIPLY, SHIFT, AND, LESS, JUMP, JUMP_IF, DECREMENT, SWAP, HALT };

/* Variables of the program. */
enum { I, X, STEPS, VARIABLES };

/* Places of the program that it jumps to. */
enum { NEXT = 2, LOOP = 6, EVEN = 31, CHECK = 37, END = 51 };

static const uint8_t program[] = {
    /* I is on entry the number to begin with, STEPS 0. */
    [0] = JUMP, NEXT,
    [NEXT] = LOAD, I, STORE, X,
    [LOOP] = LOAD, STEPS, PUSH, 1, ADD, STORE, STEPS,
    [13] = LOAD, X, PUSH, 1, AND, JUMP_IF, 22,
    [20] = JUMP, EVEN,
    [22] = LOAD, X, PUSH, 3, MULTIPLY, PUSH, 1, ADD, SWAP,
    [EVEN] = LOAD, X, SHIFT, 1, STORE, X,
    [CHECK] = PUSH, 1, LOAD, X, LESS, JUMP_IF, LOOP,
    [44] = DECREMENT, I, PUSH, 1, LOAD, I, LESS,
    [END] = JUMP_IF, NEXT, HALT,
};

static uint64_t execute(uint64_t count)
{
    uint64_t variables[VARIABLES] = { [I] = count }, stack[16], *top = stack;
    const uint8_t *at = program;
    for (;;)
        switch ((enum op)*at++) {
        case PUSH: *top++ = *at++; break;
        case LOAD: *top++ = variables[*at++]; break;
        case STORE: variables[*at++] = *--top; break;
        case ADD: top--, top[-1] += *top; break;
        case MULTIPLY: top--, top[-1] *= *top; break;
        case SHIFT: top[-1] >>= *at++; break;
        case AND: top--, top[-1] &= *top; break;
        case LESS: top--, top[-1] = top[-1] < *top; break;
        case JUMP: at = program + *at; break;
        case JUMP_IF: at = *--top ? program + *at : at + 1; break;
        case DECREMENT: variables[*at++]--; break;
        /* The number on the stack becomes X; an odd one is halved at once, as 3x + 1 is even. */
        case SWAP: variables[X] = *--top; break;
        case HALT: return variables[STEPS];
        }
}

static uint64_t run(unsigned size)
{
    return execute(1000ull * size);
}

const struct kind interpreter = { "interpreter", 0, run, 0 };
