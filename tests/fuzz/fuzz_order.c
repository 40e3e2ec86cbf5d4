/* A line on the control socket, from either side: what is understood means the same when it is said again. */
#include "core/order.h"
#include "fuzz.h"

static void check_order(const char *text)
{
    struct arena a = {0};
    struct order o, back;
    const char *why = order_parse(text, &a, &o);
    if (why != NULL) {
        FUZZ_CHECK(why[0] != '\0', "nothing is said");
        arena_free(&a);
        return;
    }
    FUZZ_CHECK(order_name(o.kind) != NULL, "%d", (int)o.kind);
    FUZZ_CHECK(o.njobs <= ORDER_JOBS_MAX && (o.njobs > 0) == order_is_of_jobs(o.kind), "%zu jobs", o.njobs);
    char *said = order_print(&o);
    FUZZ_CHECK(said != NULL && order_parse(said, &a, &back) == NULL, "%s", said);
    FUZZ_CHECK(back.kind == o.kind && back.njobs == o.njobs && back.force == o.force &&
                   back.before_ms == o.before_ms && back.dry_run == o.dry_run,
               "%s", said);
    FUZZ_CHECK(o.njobs == 0 || memcmp(back.jobs, o.jobs, o.njobs * sizeof *o.jobs) == 0, "%s", said);
    free(said);
    arena_free(&a);
}

static void check_reply(const char *text)
{
    struct arena a = {0};
    struct order_reply r, back;
    if (order_reply_parse(text, &a, &r)) {
        char *said = order_reply_print(&r);
        FUZZ_CHECK(said != NULL && order_reply_parse(said, &a, &back), "%s", said);
        char *again = order_reply_print(&back);
        FUZZ_CHECK(again != NULL && strcmp(said, again) == 0, "%s, then %s", said, again);
        free(said);
        free(again);
    }
    arena_free(&a);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_order(text);
    check_reply(text);
    free(text);
}
