/* fuzz - what every fuzz target shares.
 *
 * A target is one file fuzz_NAME.c with one function. It is linked twice: with libFuzzer in a build with
 * FLOWSPOOL_FUZZ, and in every other build with replay.c, which feeds it the seeds in corpus/NAME and inputs
 * made from them, as a plain test.
 */
#ifndef FLOWSPOOL_TESTS_FUZZ_H
#define FLOWSPOOL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No input may take longer, of processor time; five times that with sanitizers. */
#define FUZZ_MOST_MS 50

/* Anything may be in data, which is exactly so long: a read behind it is found. */
void fuzz_one(const uint8_t *data, size_t size);

/* libFuzzer's entry, also called by replay.c: fuzz_one() within FUZZ_MOST_MS. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition, ...)                                                                           \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Reads numbers from an input; 0 when it is used up. */
struct fuzz_bytes {
    const uint8_t *data;
    size_t size, at;
};

static inline uint8_t fuzz_byte(struct fuzz_bytes *b)
{
    return b->at < b->size ? b->data[b->at++] : 0;
}

static inline uint64_t fuzz_number(struct fuzz_bytes *b, int bytes)
{
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++)
        n = n << 8 | fuzz_byte(b);
    return n;
}

/* The whole input as text, cut at the first NUL; free() it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL, "no memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
