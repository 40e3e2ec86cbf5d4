/* What is read back from the state or from beside a job: the rate that was learned, the last view of it, a
 * status, an outcome. What is understood is written and read again without a change. */
#include "core/jsonspan.h"
#include "core/outcome.h"
#include "core/ratememory.h"
#include "core/status.h"
#include "core/statustext.h"
#include "core/tuning.h"
#include "fuzz.h"

static void check_memory(const char *text)
{
    struct governor_memory m, back;
    char said[RATE_MEMORY_SIZE], again[RATE_MEMORY_SIZE];
    if (!rate_memory_parse(text, &m)) {
        FUZZ_CHECK(!rate_memory_says(&m), "something is left");
        return;
    }
    rate_memory_print(&m, said);
    FUZZ_CHECK(rate_memory_parse(said, &back), "%s", said);
    rate_memory_print(&back, again);
    FUZZ_CHECK(strcmp(said, again) == 0, "%s, then %s", said, again);
}

static void check_status(const char *text)
{
    struct arena a = {0};
    struct status s, back;
    static char words[STATUS_TEXT_SIZE];
    const struct status_text_about about = {.written_ms = 1, .changed_ms = 1};
    if (status_parse(text, &a, &s)) {
        char *said = status_print(&s);
        FUZZ_CHECK(said != NULL && status_parse(said, &a, &back), "%s", said);
        char *again = status_print(&back);
        FUZZ_CHECK(again != NULL && strcmp(said, again) == 0, "%s, then %s", said, again);
        FUZZ_CHECK(status_text(&s, &about, words) < STATUS_TEXT_SIZE, "too long");
        free(said);
        free(again);
    }
    arena_free(&a);
}

static void check_tuning(const char *text)
{
    struct arena a = {0};
    struct tuning t, back;
    if (tuning_parse(text, &a, &t)) {
        char *said = tuning_print(&t);
        FUZZ_CHECK(said != NULL && tuning_parse(said, &a, &back), "%s", said);
        char *again = tuning_print(&back);
        FUZZ_CHECK(again != NULL && strcmp(said, again) == 0, "%s, then %s", said, again);
        free(said);
        free(again);
    }
    arena_free(&a);
}

static void check_outcome(const char *text, size_t len)
{
    struct outcome_summary s;
    size_t renamed_len;
    bool read = outcome_read(text, len, &s);
    FUZZ_CHECK(read || (s.request_sha256[0] == '\0' && s.code[0] == '\0' && s.endpoint == NULL), "not empty");
    outcome_summary_free(&s);
    char *renamed = outcome_rename(text, len, "b.yaml", 0, &renamed_len);
    if (renamed != NULL) {
        FUZZ_CHECK(json_is_valid(renamed, renamed_len), "%s", renamed);
        FUZZ_CHECK(outcome_read(renamed, renamed_len, &s) == read, "%s", renamed);
        outcome_summary_free(&s);
    }
    free(renamed);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_memory(text);
    check_status(text);
    check_tuning(text);
    check_outcome((const char *)data, size);
    free(text);
}
