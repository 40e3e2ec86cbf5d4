/* The store when the disk fails or is full. */
#include <time.h>

#include "faulty_disk.h"

static void write_enough_for_a_checkpoint(struct fixture *f, const char *stem)
{
    static char body[6 * 1024 * 1024];
    struct take_job j = waiting_job(stem);
    j.body = body;
    j.body_len = sizeof body;
    const struct store_take t = {.file = file_at(stem, 1), .jobs = &j, .njobs = 1};
    store_take(f->s, &t, NULL, NULL);
}

static void a_failed_disk_ends_it_and_is_not_synced_again(void **state)
{
    static const struct {
        const char *name;
        enum fault write, log_sync, database_sync;
    } cases[] = {
        {"write", FAULT_IO, FAULT_NONE, FAULT_NONE},
        {"sync", FAULT_NONE, FAULT_IO, FAULT_NONE},
        {"no room, but only at the sync", FAULT_NONE, FAULT_NO_ROOM_AT_SYNC, FAULT_NONE},
        {"sync of the database at a checkpoint", FAULT_NONE, FAULT_NONE, FAULT_IO},
        {"no room at a checkpoint's sync", FAULT_NONE, FAULT_NONE, FAULT_NO_ROOM_AT_SYNC},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "job%zu", i);
        int64_t id = add_job(f, stem);
        bool at_checkpoint = cases[i].database_sync != FAULT_NONE;
        struct answer intent = {.f = f}, late = {.f = f};
        disk.log_write = (int)cases[i].write;
        disk.log_sync = (int)cases[i].log_sync;
        disk.database_sync = (int)cases[i].database_sync;
        store_intent(f->s, id, 1, 1, ENDPOINT, "beef", "boot", on_done, &intent);
        if (at_checkpoint)
            write_enough_for_a_checkpoint(f, cases[i].name);
        run_until(f, has_failed);
        int log_syncs = disk.log_syncs, database_syncs = disk.database_syncs;
        assert_non_null(strstr(f->fatal, "state.db"));
        if (!at_checkpoint)
            assert_int_equal(intent.calls, 0);
        store_set(f->s, "late", "1", on_done, &late);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        close_state(f);
        if (late.calls != 0 || f->fatals != 1 || disk.log_syncs != log_syncs ||
            disk.database_syncs != database_syncs)
            fail_msg("%s: something went on after the failure", cases[i].name);

        disk.log_write = disk.log_sync = disk.database_sync = FAULT_NONE;
        f->fatals = 0;
        open_state(f);
        struct job_row r = job(f, id);
        assert_true(r.state == JOB_SENT || (r.state == JOB_WAITING && intent.calls == 0));
        job_row_free(&r);
        assert_null(store_get(f->s, "late"));
    }
}

static void a_failed_read_stops_the_writes(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    close_state(f);
    open_state(f);
    struct answer a = {.f = f};
    struct job_row r;
    disk.read = FAULT_IO;
    assert_false(store_job(f->s, id, true, &r));
    assert_non_null(strstr(store_error(f->s), "disk I/O error"));
    assert_int_equal(f->fatals, 0); /* never from inside */
    store_intent(f->s, id, 1, 1, ENDPOINT, "beef", "boot", on_done, &a);
    run_until(f, has_failed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    disk.read = FAULT_NONE;
    close_state(f);
    assert_int_equal(a.calls, 0);
    assert_int_equal(f->fatals, 1);
    f->fatals = 0;
    open_state(f);
    assert_state(f, id, JOB_WAITING);
}

static int full_reports;
static bool full_now;

static void on_full(void *arg, bool full)
{
    (void)arg;
    full_reports++;
    full_now = full;
}

static bool is_full(struct fixture *f)
{
    (void)f;
    return full_now;
}

static void a_full_disk_is_waited_out(void **state)
{
    static const enum fault faults[] = {FAULT_FULL, FAULT_QUOTA};
    struct fixture *f = *state;
    store_on_full(f->s, on_full, NULL);
    for (size_t i = 0; i < 2; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "a%zu", i);
        int64_t id = add_job(f, stem);
        struct answer a = {.f = f}, b = {.f = f};
        full_reports = 0;
        disk.log_write = (int)faults[i];
        store_intent(f->s, id, 1, 1, ENDPOINT, "beef", "boot", on_done, &a);
        run_until(f, is_full);
        store_set(f->s, "k", "v", on_done, &b); /* waits behind it */
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_true(a.calls == 0 && b.calls == 0 && full_reports == 1);
        assert_state(f, id, JOB_WAITING);
        disk.log_write = FAULT_NONE;
        wait_for_writes(f);
        assert_true(a.calls == 1 && b.calls == 1 && a.order < b.order);
        assert_true(full_reports == 2 && !full_now);
        assert_state(f, id, JOB_SENT);
    }
}

static void a_full_disk_is_not_asked_all_the_time(void **state)
{
    struct fixture *f = *state;
    store_on_full(f->s, on_full, NULL);
    full_reports = 0;
    disk.log_write = FAULT_FULL;
    store_set(f->s, "k", "v", NULL, NULL);
    run_until(f, is_full);
    disk.log_writes = 0;
    struct timespec wait = {.tv_nsec = 300 * 1000 * 1000};
    nanosleep(&wait, NULL);
    assert_true(disk.log_writes <= 2);
    disk.log_writes = 0;
    close_state(f); /* one more try, and no waiting */
    assert_true(disk.log_writes > 0);
    disk.log_write = FAULT_NONE;
    full_now = false;
    open_state(f);
    assert_null(store_get(f->s, "k"));
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, mend)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_failed_disk_ends_it_and_is_not_synced_again),
        STORE_TEST(a_failed_read_stops_the_writes),
        STORE_TEST(a_full_disk_is_waited_out),
        STORE_TEST(a_full_disk_is_not_asked_all_the_time),
    };
    return cmocka_run_group_tests(tests, install_faulty_disk, NULL);
}
