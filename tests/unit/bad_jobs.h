/* bad_jobs - job files that are refused, as tables: where the fault is told, and in which words.
 *
 * Each is refused at its place, with words that say what is wrong and what to do, quickly and in little
 * memory.
 */
#ifndef FLOWSPOOL_TESTS_BAD_JOBS_H
#define FLOWSPOOL_TESTS_BAD_JOBS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
/* cmocka.h needs some of these. */
#include <cmocka.h>

#include "core/jobfile.h"

/* Of processor time, for up to a megabyte: it takes less than half of it where nothing else runs. */
#define REFUSED_WITHIN_MS 20
#define REFUSED_WITHIN_MB 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define REFUSED_AS_BUILT 20 /* times as slow */
#define MEMORY_AS_BUILT  0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REFUSED_AS_BUILT 20
#define MEMORY_AS_BUILT  0
#endif
#endif
#ifndef REFUSED_AS_BUILT
#define REFUSED_AS_BUILT 1
#define MEMORY_AS_BUILT  1
#endif

struct bad_job {
    const char *name;
    /* The file: a head, a piece so many times, and a tail. */
    const char *head;
    size_t head_len;
    const char *piece;
    size_t times;
    const char *tail;
    size_t line, column; /* 0: of the file as a whole */
    const char *says, *also;
};

#define TEXT(text)                      text, sizeof(text) - 1, "", 0, ""
#define LARGE(head, piece, times, tail) head, sizeof(head) - 1, piece, times, tail

/* malloc'd and of exactly that length, so that a sanitizer sees a read behind the end. */
static inline char *bad_job_bytes(const struct bad_job *b, size_t *len)
{
    size_t piece = strlen(b->piece), tail = strlen(b->tail);
    *len = b->head_len + piece * b->times + tail;
    char *bytes = malloc(*len > 0 ? *len : 1), *p = bytes;
    assert_non_null(bytes);
    memcpy(p, b->head, b->head_len);
    p += b->head_len;
    for (size_t i = 0; i < b->times; i++, p += piece)
        memcpy(p, b->piece, piece);
    memcpy(p, b->tail, tail);
    return bytes;
}

static inline double bad_job_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static inline double refuse(const char *bytes, size_t len, struct fault *f)
{
    struct jobfile file;
    double start = bad_job_ms();
    bool accepted = jobfile_parse(bytes, len, INPUTS_TYPED, &file, f);
    double took = bad_job_ms() - start;
    if (accepted)
        fail_msg("accepted: %.200s", bytes);
    assert_null(file.jobs);
    return took;
}

static inline long bad_job_peak_kib(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_maxrss;
}

static inline void check_bad_job(const struct bad_job *b)
{
    struct fault f;
    size_t len;
    char *bytes = bad_job_bytes(b, &len);
    long before = bad_job_peak_kib();
    double took = refuse(bytes, len, &f);
    long grown = bad_job_peak_kib() - before;
    for (int i = 0; i < 9 && took > REFUSED_WITHIN_MS * REFUSED_AS_BUILT; i++)
        took = refuse(bytes, len, &f); /* a busy machine is slow now and then, a slow parser always */
    if (f.line != b->line || f.column != b->column || !strstr(f.text, b->says) || !strstr(f.text, b->also))
        fail_msg("%s: %zu:%zu: %s", b->name, f.line, f.column, f.text);
    if (took > REFUSED_WITHIN_MS * REFUSED_AS_BUILT)
        fail_msg("%s: %.1f ms", b->name, took);
    if (MEMORY_AS_BUILT && grown > REFUSED_WITHIN_MB * 1024)
        fail_msg("%s: %ld KiB", b->name, grown);
    free(bytes);
}

static inline void check_bad_jobs(const struct bad_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_bad_job(&jobs[i]);
}

#endif
