/* What was paid for: counted from the rows of attempts and jobs, and from what is kept of those forgotten. */
#include <string.h>

#include "io/clock.h"
#include "io/store_internal.h"

#define DAY_MS (24LL * 60 * 60 * 1000)

int writer_saved(struct writer *w, enum ledger_saving how)
{
    struct query q = query_on(&w->c, "INSERT INTO ledger(day, saved, what, n) VALUES(?, 1, ?, 1)"
                                     " ON CONFLICT(day, saved, what) DO UPDATE SET n = n + 1");
    query_int(&q, clock_unix_ms() / DAY_MS);
    query_text(&q, ledger_saving_name(how));
    return query_run(&q);
}

static bool add_attempts(struct store *s, int64_t since_ms, struct ledger *l)
{
    struct query q = query_on(&s->reader, "SELECT iif(ended_ms <> 0, coalesce(verdict, '?'), ''), count(*),"
                                          " sum(sent_ms >= ?) FROM attempts GROUP BY 1");
    query_int(&q, since_ms);
    while (query_row(&q)) {
        ledger_add_runs(l, (const char *)sqlite3_column_text(q.stmt, 0), sqlite3_column_int64(q.stmt, 2));
        l->recorded += sqlite3_column_int64(q.stmt, 1);
    }
    return store_end_read(s, &q);
}

/* When the outcome of an adopted one was written may not be known. */
static bool add_jobs(struct store *s, int64_t since_ms, struct ledger *l)
{
    struct query q = query_on(
        &s->reader, "SELECT state, blocked & 8, code, attempts > 0, ambiguous > 0, count(*), sum(sends),"
                    " sum(iif(finished_ms <> 0, finished_ms, queued_ms) >= ?) FROM jobs GROUP BY 1, 2, 3, 4, "
                    "5");
    query_int(&q, since_ms);
    while (query_row(&q)) {
        const struct ledger_outcome o = {
            .state = (enum job_state)sqlite3_column_int(q.stmt, 0),
            .code = (const char *)sqlite3_column_text(q.stmt, 2),
            .attempts = sqlite3_column_int64(q.stmt, 3),
            .ambiguous = sqlite3_column_int64(q.stmt, 4),
        };
        bool superseded = sqlite3_column_int(q.stmt, 1) != 0;
        l->sent += sqlite3_column_int64(q.stmt, 6);
        if (superseded || (o.state != JOB_DONE && o.state != JOB_FAILED))
            continue;
        l->ended += sqlite3_column_int64(q.stmt, 5);
        ledger_add_outcomes(l, &o, sqlite3_column_int64(q.stmt, 7));
    }
    return store_end_read(s, &q);
}

static bool add_kept(struct store *s, int64_t since_ms, struct ledger *l)
{
    struct query q =
        query_on(&s->reader, "SELECT saved, what, sum(n) FROM ledger WHERE day >= ? GROUP BY 1, 2");
    query_int(&q, since_ms / DAY_MS);
    while (query_row(&q)) {
        const char *what = (const char *)sqlite3_column_text(q.stmt, 1);
        int64_t n = sqlite3_column_int64(q.stmt, 2);
        if (what == NULL)
            continue;
        if (sqlite3_column_int(q.stmt, 0) != 0) {
            ledger_add_saved(l, what, n);
            continue;
        }
        ledger_add_runs(l, what[0] != '\0' ? what : "?", n);
        l->forgotten += n;
    }
    return store_end_read(s, &q);
}

static bool add_tally(struct store *s, struct ledger *l)
{
    struct query q = query_on(&s->reader, "SELECT sum(n) FROM tally WHERE class IN (3, 4)");
    if (query_row(&q))
        l->tallied = sqlite3_column_int64(q.stmt, 0);
    return store_end_read(s, &q);
}

/* One transaction, so that a daemon may go on meanwhile. */
bool store_ledger(struct store *s, int64_t since_ms, struct ledger *out)
{
    *out = (struct ledger){0};
    struct query begin = query_on(&s->reader, "BEGIN");
    query_row(&begin);
    bool ok = store_end_read(s, &begin) && add_attempts(s, since_ms, out) && add_jobs(s, since_ms, out) &&
              add_kept(s, since_ms, out) && add_tally(s, out);
    struct query end = query_on(&s->reader, "COMMIT");
    query_row(&end);
    return store_end_read(s, &end) && ok;
}
