/* The entry of every target, and the bound on how long one input may take. */
#include "fuzz.h"

#include <time.h>

/* A sanitizer, and the tracing of a fuzzer, take their share. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TIMES_AS_SLOW 5
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TIMES_AS_SLOW 5
#endif
#endif
#ifndef TIMES_AS_SLOW
#define TIMES_AS_SLOW 1
#endif

static double processor_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static double took_ms(const uint8_t *data, size_t size)
{
    double start = processor_ms();
    fuzz_one(data, size);
    return processor_ms() - start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const double most = FUZZ_MOST_MS * TIMES_AS_SLOW;
    double took = took_ms(data, size);
    /* On a busy machine the caches belong to others now and then: what is slow is slow each time. */
    for (int i = 0; i < 5 && took > most; i++)
        took = took_ms(data, size);
    FUZZ_CHECK(took <= most, "%.1f ms for one input of %zu bytes", took, size);
    return 0;
}
