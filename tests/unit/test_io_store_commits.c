/* What the commits of the store cost: syncs, and space. */
#include "faulty_disk.h"

static void all_that_waits_shares_one_sync(void **state)
{
    enum { WRITES = 500 };
    struct fixture *f = *state;
    struct answer a[WRITES];
    memset(a, 0, sizeof a);
    disk.log_syncs = 0;
    disk.hold = true;
    int before = answers;
    store_set(f->s, "k", "v", on_done, &a[0]);
    sem_wait(&disk.held); /* the first is being synced: the others queue up behind it */
    for (int i = 1; i < WRITES; i++)
        store_set(f->s, "k", "v", on_done, &a[i]);
    disk.hold = false;
    assert_int_equal(store_queued(f->s), WRITES);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(a[0].calls, 0); /* nothing is reported before it is durable */
    sem_post(&disk.go);
    wait_for_writes(f);
    assert_int_equal(disk.log_syncs, 2);
    for (int i = 0; i < WRITES; i++)
        assert_true(a[i].calls == 1 && a[i].order == before + i + 1);
}

static void what_a_turn_writes_shares_one_sync(void **state)
{
    struct fixture *f = *state;
    store_end_turn(f->s);
    disk.log_syncs = 0;
    for (int i = 0; i < 100; i++)
        store_set(f->s, "k", "v", NULL, NULL);
    assert_int_equal(store_queued(f->s), 100);
    store_end_turn(f->s);
    wait_for_writes(f);
    assert_int_equal(disk.log_syncs, 1);
    store_set(f->s, "last", "1", NULL, NULL); /* and what no turn's end came for is not lost */
    close_state(f);
    open_state(f);
    char *last = store_get(f->s, "last");
    assert_string_equal(last, "1");
    free(last);
}

static void assert_value(struct fixture *f, const char *want)
{
    char *value = store_get(f->s, "k");
    assert_string_equal(value, want);
    free(value);
}

static void what_a_turn_reads_is_of_one_moment(void **state)
{
    struct fixture *f = *state;
    store_set(f->s, "k", "1", NULL, NULL);
    wait_for_writes(f);
    assert_value(f, "1");
    disk.log_syncs = 0;
    store_set(f->s, "k", "2", NULL, NULL);
    while (disk.log_syncs == 0) {} /* the thread's doing */
    assert_value(f, "1");
    wait_for_writes(f); /* who is told of a write sees it */
    assert_value(f, "2");
    store_set(f->s, "k", "3", NULL, NULL);
    wait_for_writes(f);
    store_end_turn(f->s);
    assert_value(f, "3");
}

static void write_log_pages(struct fixture *f, int jobs)
{
    static char body[64 * 1024];
    for (int i = 0; i < jobs; i++) {
        char stem[16], path[24];
        snprintf(stem, sizeof stem, "big%d", i);
        snprintf(path, sizeof path, "big%d.yaml", i);
        struct take_job j = waiting_job(stem);
        j.body = body;
        j.body_len = sizeof body;
        const struct store_take t = {.file = file_at(path, 1), .jobs = &j, .njobs = 1};
        store_take(f->s, &t, NULL, NULL);
    }
}

static bool log_is_small(struct fixture *f)
{
    struct stat st;
    store_set(f->s, "k", "v", NULL, NULL); /* the log begins anew with the next write */
    wait_for_writes(f);
    return stat(in_dir(f, "state.db-wal"), &st) == 0 && st.st_size <= 33554432;
}

static void the_log_does_not_grow_for_ever(void **state)
{
    struct fixture *f = *state;
    write_log_pages(f, 900); /* 56 MiB */
    wait_for_writes(f);
    run_until(f, log_is_small);
}

static bool freed(struct fixture *f)
{
    return number(f, "PRAGMA freelist_count") <= 1200;
}

static void space_is_given_back(void **state)
{
    struct fixture *f = *state;
    write_log_pages(f, 500);
    wait_for_writes(f);
    int64_t pages = number(f, "PRAGMA page_count");
    size_t count;
    struct file_row *files = store_files_page(f->s, NULL, 500, &count);
    int64_t ids[500];
    for (size_t i = 0; i < count; i++)
        ids[i] = files[i].id;
    file_rows_free(files, count);
    store_files_forget(f->s, ids, count, NULL, NULL);
    wait_for_writes(f);
    run_until(f, freed);
    assert_true(number(f, "PRAGMA page_count") < pages / 4);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, mend)
    const struct CMUnitTest tests[] = {
        STORE_TEST(all_that_waits_shares_one_sync),
        STORE_TEST(what_a_turn_writes_shares_one_sync),
        STORE_TEST(what_a_turn_reads_is_of_one_moment),
        STORE_TEST(the_log_does_not_grow_for_ever),
        STORE_TEST(space_is_given_back),
    };
    return cmocka_run_group_tests(tests, install_faulty_disk, NULL);
}
