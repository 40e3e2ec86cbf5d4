/* The governor's decisions in words, for the debug log: what goes as what, why it waits, what a reply
 * changed. */
#include "governor_fixture.h"

#include <string.h>

#include "core/decision.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void assert_begins(const char *text, const char *beginning)
{
    if (strncmp(text, beginning, strlen(beginning)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, beginning);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* What one that may go now goes as. */
static void goes(struct governor *g, int64_t now, const char *as)
{
    char buf[DECISION_WORDS_SIZE];
    assert_true(governor_next(g, now) <= now);
    assert_has(decision_admit_words(g, buf), as);
}

static void waits(struct governor *g, int64_t now, enum decision_wait why, const char *words)
{
    char buf[DECISION_WORDS_SIZE];
    int64_t at = governor_next(g, now);
    assert_true(at > now);
    assert_int_equal(decision_wait(g, at, now), why);
    assert_begins(decision_wait_words(g, why, at, now, buf), words);
}

static struct governor_reading used(uint64_t seq, long long n, long long limit)
{
    return (struct governor_reading){.seq = seq,
                                     .success = true,
                                     .has_limit = true,
                                     .limit = limit,
                                     .remaining = limit - n,
                                     .retry_after_ms = -1};
}

static void reply(struct governor *g, struct governor_reading r, int64_t now, const char *words)
{
    char buf[DECISION_WORDS_SIZE];
    const struct decision_mark before = decision_mark(g, now);
    governor_reply(g, &r, now);
    assert_string_equal(decision_reply_words(g, &before, &r, now, buf), words);
}

static void the_opening(void **state)
{
    struct governor g = fresh(256);
    char buf[DECISION_WORDS_SIZE];
    (void)state;
    goes(&g, 0,
         "goes to learn: no reply has said anything yet; mode opening, 0 in flight before it, at most 256");
    for (int i = 0; i < 3; i++)
        launch(&g, 0);
    waits(&g, 0, DECISION_OPENING, "waits for a first reply, at most 90ms");
    assert_true(decision_is_rhythm(DECISION_OPENING) && !decision_is_rhythm(DECISION_ROOM));
    assert_int_equal(decision_wait(&g, 0, 0), DECISION_NO_WAIT);
    assert_string_equal(decision_wait_words(&g, DECISION_NO_WAIT, 0, 0, buf), "");
}

static void a_limit_is_learned(void **state)
{
    struct governor g = fresh(256);
    char buf[DECISION_WORDS_SIZE];
    (void)state;
    uint64_t seq = launch(&g, 0);
    reply(&g, used(seq, 1, 60), 50, "reply: 1 of 60 used; limit 60");
    struct decision_mark before = decision_mark(&g, 50);
    goes(&g, 60, "into room that the last reply confirms; mode counting");
    assert_string_equal(decision_change_words(&g, &before, 60, buf), "mode opening -> counting");
    before = decision_mark(&g, 60);
    assert_string_equal(decision_change_words(&g, &before, 60, buf), "");
    launch(&g, 60);
    waits(&g, 61, DECISION_SPACING, "waits 9ms: one goes after the other");
}

/* Ten a minute, all used: the plausible windows have no room, some of them may be tried. */
static void room_and_probes(void **state)
{
    struct governor g = fresh(256);
    int64_t now = 0;
    char buf[DECISION_WORDS_SIZE];
    bool probed = false, waited = false;
    (void)state;
    for (int i = 0; i < 10; i++, now += 200) {
        uint64_t seq = launch(&g, now);
        struct governor_reading r = used(seq, i + 1, 10);
        governor_reply(&g, &r, now + 50);
    }
    for (int i = 0; i < 100 && !(probed && waited); i++, now += 50) {
        int64_t at = governor_next(&g, now);
        if (at > now) {
            waited = waited || decision_wait(&g, at, now) == DECISION_ROOM;
            assert_begins(decision_wait_words(&g, decision_wait(&g, at, now), at, now, buf), "waits ");
            continue;
        }
        probed = probed || strstr(decision_admit_words(&g, buf), "as a probe") != NULL;
        governor_admit(&g, now);
        uint64_t seq = governor_sent(&g, now);
        refuse(&g, seq, -1, 0, now + 20);
    }
    assert_true(probed);
    assert_true(waited);
}

static void slots_and_the_cap(void **state)
{
    struct governor g = fresh(2);
    (void)state;
    launch(&g, 0);
    launch(&g, 0);
    waits(&g, 0, DECISION_SLOTS, "waits for a reply: 2 in flight, as many as max_concurrency allows");
    struct governor more = fresh(8);
    launch(&more, 0);
    governor_ramp(&more);
    more.ramp_older = 0;
    waits(&more, 0, DECISION_RAMP, "waits for a reply, at most 2s: ramping up after a hold");
}

static void a_pace(void **state)
{
    struct governor g = fresh(256);
    struct governor_options o = plain;
    (void)state;
    o.max_per_second = 10;
    governor_set_options(&g, &o);
    uint64_t seq = launch(&g, 0);
    governor_reply(
        &g, &(struct governor_reading){.seq = seq, .success = true, .has_limit = true, .retry_after_ms = -1},
        20);
    waits(&g, 20, DECISION_PACE, "waits for the pace, 80ms");
    goes(&g, 100, "goes at the pace, 10.00 per second; mode open");
}

static void nothing_holds_it_back(void **state)
{
    struct governor g = fresh(256);
    (void)state;
    uint64_t seq = launch(&g, 0);
    reply(&g, (struct governor_reading){.seq = seq, .success = true, .has_limit = true, .retry_after_ms = -1},
          20, "reply: the server sets no limit");
    goes(&g, 21, "goes at once: nothing holds it back; mode open");
}

static void trust(void **state)
{
    struct governor g = fresh(256);
    int64_t now = 0;
    (void)state;
    uint64_t seq = launch(&g, now);
    reply(&g, (struct governor_reading){.seq = seq, .success = true, .retry_after_ms = -1}, 10,
          "reply: success, without a word of the limit");
    goes(&g, 20, "goes on trust, 1 of ");
    for (now = 20; governor_next(&g, now) <= now; now++)
        launch(&g, now);
    waits(&g, now, DECISION_TRUST, "waits for what comes of those on trust, at most ");
}

static void refusals(void **state)
{
    struct governor g = fresh(256);
    char buf[DECISION_WORDS_SIZE];
    (void)state;
    uint64_t seq = launch(&g, 0), other = launch(&g, 0), third = launch(&g, 0);
    reply(&g, (struct governor_reading){.seq = seq, .rate_limited = true, .retry_after_ms = -1}, 10,
          "reply: refused (429); a pause of 226ms");
    waits(&g, 20, DECISION_PAUSE, "waits 216ms after a 429");
    reply(&g, (struct governor_reading){.seq = other, .rate_limited = true, .retry_after_ms = 3000}, 20,
          "reply: refused (429), Retry-After 3s; held for 3s");
    waits(&g, 30, DECISION_HOLD, "waits 2s: held after a 429, then one request asks");
    end(&g, third, 40);
    goes(&g, 5000, "goes as a probe, after the hold");
    struct decision_mark before = decision_mark(&g, 5000);
    governor_admit(&g, 5000);
    waits(&g, 5000, DECISION_PROBE, "waits for the probe to be sent");
    seq = governor_sent(&g, 5000);
    waits(&g, 5001, DECISION_PROBE, "waits for what comes of the probe that is out, at most ");
    succeed(&g, seq, 5100);
    assert_has(decision_change_words(&g, &before, 5100, buf), "the hold is over");
}

/* Whatever it is given it says something, and ends. */
static void odd_replies(void **state)
{
    struct governor g = fresh(256);
    char buf[DECISION_WORDS_SIZE];
    const struct decision_mark none = {0};
    static const struct {
        struct governor_reading r;
        const char *words;
    } cases[] = {
        {{.retry_after_ms = -1}, "reply: nothing about the limit"},
        {{.rate_limited = true, .retry_after_ms = INT64_MAX},
         "reply: refused (429), Retry-After 106751991167d 7h"},
        {{.has_limit = true, .limit = 1000000000, .remaining = 1, .retry_after_ms = -1},
         "reply: 999999999 of 1000000000 used"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(decision_reply_words(&g, &none, &cases[i].r, 0, buf), cases[i].words);
}

/* Each way in which a mark may differ from what is so. */
static void changes(void **state)
{
    struct governor g = fresh(256);
    char buf[DECISION_WORDS_SIZE];
    struct decision_mark before = decision_mark(&g, 0);
    (void)state;
    before.limit = 10;
    before.mode = GOVERNOR_PACING;
    before.kind = "sliding";
    before.window_ms = 1000;
    before.held = true;
    before.ramp = 4;
    assert_string_equal(
        decision_change_words(&g, &before, 0, buf),
        "limit 10 is not believed any more; mode pacing -> opening; window sliding, 1s -> unknown; "
        "the hold is over; the ramp is over");
    before.taken = false;
    assert_string_equal(decision_change_words(&g, &before, 0, buf), "");
    g.ramp = 2;
    g.held = true;
    g.closed_until_ms = 1500;
    before = decision_mark(&g, 0);
    g.ramp = 4;
    g.closed_until_ms = 2500;
    assert_string_equal(decision_change_words(&g, &before, 500, buf), "held for 2s longer; ramp 4");
    before = decision_mark(&g, 500);
    governor_release(&g, 600);
    assert_string_equal(decision_change_words(&g, &before, 600, buf),
                        "the hold is cut short: a probe may go");
    g.mode = GOVERNOR_HEADERLESS;
    g.held = false;
    g.pacer.rate = 0.012;
    before = decision_mark(&g, 500);
    before.per_second = 12.5;
    assert_string_equal(decision_change_words(&g, &before, 500, buf), "pace 12.50 -> 12.00 per second");
    before.per_second = 11;
    assert_string_equal(decision_change_words(&g, &before, 500, buf), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_opening),     cmocka_unit_test(a_limit_is_learned),
        cmocka_unit_test(room_and_probes), cmocka_unit_test(slots_and_the_cap),
        cmocka_unit_test(a_pace),          cmocka_unit_test(nothing_holds_it_back),
        cmocka_unit_test(trust),           cmocka_unit_test(refusals),
        cmocka_unit_test(odd_replies),     cmocka_unit_test(changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
