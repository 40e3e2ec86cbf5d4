/* Where outcomes lie, as the store has it: what is pending, what is in the way, and whose file went where. */
#include "test_io_store.h"

static struct take_job ended_job(const char *stem, enum job_state state, bool beside)
{
    struct take_job j = waiting_job(stem);
    j.state = state;
    j.beside = beside;
    j.code = state == JOB_FAILED ? "rejected" : NULL;
    j.finished_ms = 4000;
    return j;
}

static void assert_place(struct fixture *f, int64_t id, const char *placed, const char *kept)
{
    struct job_row r = job(f, id);
    if ((placed == NULL) != (r.placed == NULL) || (placed != NULL && strcmp(placed, r.placed) != 0))
        fail_msg("job %lld lies at %s", (long long)id, r.placed != NULL ? r.placed : "no name");
    if ((kept == NULL) != (r.outcome == NULL) || (kept != NULL && strcmp(kept, r.outcome) != 0))
        fail_msg("job %lld is kept as %s", (long long)id, r.outcome != NULL ? r.outcome : "nothing");
    job_row_free(&r);
}

/* The ids of what is pending, as digits. */
static const char *unplaced(struct fixture *f, size_t max)
{
    static char text[64];
    size_t count = 0;
    text[0] = '\0';
    for (int64_t after = 0;;) {
        struct job_row *rows = store_load_unplaced(f->s, after, max, &count);
        for (size_t i = 0; i < count; i++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%lld", (long long)rows[i].id);
            after = rows[i].id;
        }
        job_rows_free(rows, count);
        if (count == 0)
            return text;
    }
}

static size_t astray(struct fixture *f, const char *stem, int64_t except)
{
    size_t count = 0;
    struct job_row *rows = store_load_astray(f->s, stem, except, &count);
    job_rows_free(rows, count);
    return count;
}

static void rename_to(struct fixture *f, int64_t id, const char *from, const char *to)
{
    char path[64], old[64];
    snprintf(path, sizeof path, "%s.yaml", to);
    snprintf(old, sizeof old, "%s.yaml", from);
    struct take_job j = {.what = TAKE_RESTORE, .id = id, .stem = to};
    struct store_take t = {.file = file_at(path, 1), .jobs = &j, .njobs = 1};
    t.file.id = file_of(f, old);
    assert_int_equal(take(f, &t), STORE_OK);
}

static void an_end_says_where_its_outcome_lies(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    reply_job(f, id);
    const struct store_settle e = {.job = id, .attempt = 1, .state = JOB_DONE, .placed = "a"};
    store_settle(f->s, &e, NULL, NULL);
    wait_for_writes(f);
    assert_place(f, id, "a", NULL);
    assert_string_equal(unplaced(f, 10), "");
}

static void what_ended_and_is_not_in_place_is_pending(void **state)
{
    struct fixture *f = *state;
    int64_t done = add_job_as(f, "a", 1, ended_job("a", JOB_DONE, true));
    add_job_as(f, "b", 1, ended_job("b", JOB_FAILED, false)); /* a refusal */
    add_job(f, "c");                                          /* waits */
    assert_place(f, done, "a", NULL);
    assert_string_equal(unplaced(f, 10), "2");
    rename_to(f, done, "a", "d");
    assert_place(f, done, "a", NULL);
    assert_string_equal(unplaced(f, 1), "12");
    store_placed(f->s, done, "d", NULL, NULL, NULL);
    store_kept(f->s, 2, "k", NULL, NULL);
    wait_for_writes(f);
    assert_string_equal(unplaced(f, 10), "2");
    store_placed(f->s, 2, "b", NULL, NULL, NULL);
    store_placed(f->s, 99, "z", NULL, NULL, NULL); /* gone meanwhile */
    wait_for_writes(f);
    assert_place(f, 2, "b", NULL);
    assert_string_equal(unplaced(f, 10), "");
    struct job_row r = job(f, 2);
    assert_int_equal(r.finished_ms, 4000);
    job_row_free(&r);
}

static void whoever_lay_at_the_name_is_gone_from_there(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job_as(f, "a", 1, ended_job("a", JOB_DONE, true));
    int64_t b = add_job_as(f, "b", 1, ended_job("b", JOB_DONE, true));
    int64_t c = add_job_as(f, "c", 1, ended_job("c", JOB_FAILED, true));
    rename_to(f, b, "b", "x");
    rename_to(f, a, "a", "b");
    assert_int_equal(astray(f, "b", a), 1); /* b's is in the way of a's */
    assert_int_equal(astray(f, "b", b), 0);
    assert_int_equal(astray(f, "c", 0), 0); /* where it belongs */
    store_kept(f->s, b, "kb", NULL, NULL);
    store_placed(f->s, a, "b", "other", NULL, NULL);
    wait_for_writes(f);
    assert_place(f, a, "b", NULL);
    assert_place(f, b, NULL, "kb");
    rename_to(f, c, "c", "y");
    rename_to(f, a, "b", "c");
    store_placed(f->s, a, "c", "moved", NULL, NULL);
    wait_for_writes(f);
    assert_place(f, c, NULL, NULL); /* a failure is not kept by the publisher */
    rename_to(f, b, "x", "c2");
    store_placed(f->s, b, "c2", NULL, NULL, NULL);
    rename_to(f, b, "c2", "d");
    rename_to(f, a, "c", "c2");
    store_placed(f->s, a, "c2", "moved", NULL, NULL);
    wait_for_writes(f);
    assert_place(f, b, NULL, "moved"); /* was not recorded before */
}

static void what_was_collected_is_not_pending(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job_as(f, "a", 1, ended_job("a", JOB_DONE, true));
    int64_t b = add_job_as(f, "b", 1, ended_job("b", JOB_DONE, true));
    rename_to(f, a, "a", "c");
    const struct store_take t = {.file = file_at("b.yaml", 1), .supersede = &b, .nsupersede = 1};
    struct store_take again = t;
    again.file.id = file_of(f, "b.yaml");
    assert_int_equal(take(f, &again), STORE_OK);
    store_collected(f->s, a, NULL, NULL);
    store_collected(f->s, b, NULL, NULL);
    wait_for_writes(f);
    assert_place(f, a, "c", NULL);
    assert_place(f, b, NULL, NULL);
    assert_string_equal(unplaced(f, 10), "");
}

static void a_displaced_file_gives_up_path_and_names(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job_as(f, "a", 1, ended_job("a", JOB_DONE, true)), b = add_job(f, "b"),
            c = add_job(f, "c");
    send_job(f, c, 1);
    const int64_t gone[] = {file_of(f, "a.yaml"), file_of(f, "c.yaml")};
    /* mv b.yaml a.yml, and mv a.yaml, c.yaml elsewhere, which is not known yet. */
    struct take_job j = {.what = TAKE_REFRESH, .id = b, .stem = "a"};
    struct store_take t = {
        .file = file_at("a.yml", 1), .jobs = &j, .njobs = 1, .displace = gone, .ndisplace = 2};
    t.file.id = file_of(f, "b.yaml");
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row r = job(f, c);
    assert_true(r.state == JOB_SENT && r.blocked == (JOB_BLOCK_MISSING | JOB_BLOCK_SUPERSEDED));
    job_row_free(&r);
    assert_int_equal(file_of(f, "a.yaml"), 0);
    assert_int_equal(astray(f, "a", b), 1);
    struct take_job back = {.what = TAKE_RESTORE, .id = a, .stem = "d"};
    t = (struct store_take){.file = file_at("d.yaml", 1), .jobs = &back, .njobs = 1};
    t.file.id = gone[0];
    assert_int_equal(take(f, &t), STORE_OK);
    r = job(f, a);
    assert_true(r.blocked == 0 && strcmp(r.path, "d.yaml") == 0);
    job_row_free(&r);
    assert_string_equal(unplaced(f, 10), "1");
}

static size_t strays_on(struct fixture *f, uint64_t dev, uint64_t ino, int64_t birth)
{
    size_t count = 0;
    const struct file_sig sig = {.dev = dev, .ino = ino, .btime_ns = birth};
    struct job_row *rows = store_load_strays(f->s, &sig, 10, &count);
    job_rows_free(rows, count);
    return count;
}

static size_t strays(struct fixture *f, uint64_t ino, int64_t birth)
{
    return strays_on(f, 1, ino, birth);
}

static void a_superseded_job_is_found_by_the_file_it_was_in(void **state)
{
    struct fixture *f = *state;
    int64_t old = add_job_as(f, "a", 1, ended_job("a", JOB_DONE, true));
    assert_int_equal(strays(f, 100, 40), 0);
    /* Another file has the name now, with another request. */
    struct take_job j = waiting_job("a");
    struct store_take t = {
        .file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1, .supersede = &old, .nsupersede = 1};
    t.file.id = file_of(f, "a.yaml");
    t.file.sig.ino = 101;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(strays(f, 100, 40), 1);
    assert_int_equal(strays(f, 100, 0), 1);
    assert_int_equal(strays(f, 100, 41), 0);
    assert_int_equal(strays(f, 101, 40), 0);
    assert_int_equal(strays_on(f, 2, 100, 40), 1);
    assert_int_equal(strays_on(f, 2, 100, 0), 0);
    /* The first one turns up as b.yaml, held. */
    struct take_job in = {.what = TAKE_RESTORE, .id = old, .stem = "b", .moved_in = true};
    t = (struct store_take){.file = file_at("b.yaml", 1), .jobs = &in, .njobs = 1};
    t.file.held = true;
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row r = job(f, old);
    assert_int_equal(r.file_id, file_of(f, "b.yaml"));
    assert_string_equal(r.path, "b.yaml");
    assert_int_equal(r.blocked, JOB_BLOCK_HOLD_FILE);
    job_row_free(&r);
    assert_int_equal(strays(f, 100, 40), 0);
    assert_string_equal(unplaced(f, 10), "1");
    size_t count;
    struct job_row *rows = store_file_jobs(f->s, file_of(f, "a.yaml"), &count);
    job_rows_free(rows, count);
    assert_int_equal(count, 1);
}

static void an_intent_says_who_is_asked(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    struct job_row r = job(f, id);
    assert_string_equal(r.endpoint, ENDPOINT);
    job_row_free(&r);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_end_says_where_its_outcome_lies),
        STORE_TEST(what_ended_and_is_not_in_place_is_pending),
        STORE_TEST(whoever_lay_at_the_name_is_gone_from_there),
        STORE_TEST(what_was_collected_is_not_pending),
        STORE_TEST(a_displaced_file_gives_up_path_and_names),
        STORE_TEST(a_superseded_job_is_found_by_the_file_it_was_in),
        STORE_TEST(an_intent_says_who_is_asked),
    };
    return cmocka_run_group_tests_name("io_store_places", tests, NULL, NULL);
}
