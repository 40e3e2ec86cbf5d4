/* Files in the store: renamed, missing, back, held, forgotten. */
#include "test_io_store.h"

static void a_rename_moves_the_file_and_its_jobs(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    struct take_job j = {.what = TAKE_REFRESH, .id = id, .stem = "b"};
    struct store_take t = {.file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_of(f, "a.yaml");
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(file_of(f, "a.yaml"), 0);
    assert_int_equal(file_of(f, "b.yaml"), t.file.id);
    struct job_row r = job(f, id);
    assert_string_equal(r.path, "b.yaml");
    assert_string_equal(r.stem, "b");
    assert_int_equal(r.body_len, 9);
    job_row_free(&r);
}

static void a_file_that_loses_its_path_is_missing_but_known(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a"), b = add_job(f, "b");
    int64_t file_a = file_of(f, "a.yaml"), file_b = file_of(f, "b.yaml");
    /* mv a.yaml b.yaml: b's job gives its stem away. */
    struct take_job j = {.what = TAKE_REFRESH, .id = a, .stem = "b"};
    struct store_take t = {
        .file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1, .supersede = &b, .nsupersede = 1};
    t.file.id = file_a;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(file_of(f, "b.yaml"), file_a);
    struct job_row r = job(f, b);
    assert_int_equal(r.blocked, JOB_BLOCK_MISSING | JOB_BLOCK_SUPERSEDED);
    assert_string_equal(r.path, "b.yaml");
    job_row_free(&r);

    const struct file_sig sig = {.dev = 1, .ino = 100};
    struct file_row found[4];
    assert_int_equal(store_files_by_inode(f->s, &sig, found, 4), 2);
    assert_int_equal(found[1].id, file_b);
    assert_string_equal(found[1].path, "");
    assert_true(found[1].missing_ms > 0);
    file_row_free(&found[0]);
    file_row_free(&found[1]);
    size_t count;
    struct file_row *page = store_files_page(f->s, NULL, 10, &count);
    assert_int_equal(count, 1); /* it has no place in a list by path */
    file_rows_free(page, count);

    /* It turns up under the other name. */
    struct take_job back = {.what = TAKE_REFRESH, .id = b, .stem = "a"};
    t = (struct store_take){.file = file_at("a.yaml", 1), .jobs = &back, .njobs = 1};
    t.file.id = file_b;
    assert_int_equal(take(f, &t), STORE_OK);
    r = job(f, b);
    assert_true(r.blocked == 0);
    assert_string_equal(r.path, "a.yaml");
    job_row_free(&r);
}

static void inodes_match_by_birth_time_where_it_is_known(void **state)
{
    static const struct {
        int64_t birth, asked;
        bool match;
    } cases[] = {{40, 40, true}, {40, 0, true}, {0, 40, true}, {40, 41, false}, {0, 0, true}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_take t = {.file = file_at("x", 1)};
        struct file_row out;
        t.file.sig.ino = 7 + i;
        t.file.sig.btime_ns = cases[i].birth;
        char path[16];
        snprintf(path, sizeof path, "x%zu", i);
        t.file.path = path;
        assert_int_equal(take(f, &t), STORE_OK);
        struct file_sig sig = t.file.sig;
        sig.btime_ns = cases[i].asked;
        assert_int_equal(store_files_by_inode(f->s, &sig, &out, 1), cases[i].match);
        if (cases[i].match)
            file_row_free(&out);
        /* Mounted again, under another number: only the birth can tell. */
        bool born_alike = cases[i].birth != 0 && cases[i].birth == cases[i].asked;
        sig.dev++;
        assert_int_equal(store_files_by_inode(f->s, &sig, &out, 1), born_alike);
        if (born_alike)
            file_row_free(&out);
    }
}

static int blocked(struct fixture *f, int64_t id)
{
    struct job_row r = job(f, id);
    int bits = r.blocked;
    job_row_free(&r);
    return bits;
}

static void missing_files_are_paged_longest_first(void **state)
{
    struct fixture *f = *state;
    struct file_row last = {0};
    int64_t ids[7];
    for (size_t i = 0; i < 7; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        char path[8];
        snprintf(path, sizeof path, "%s.yaml", name);
        add_job(f, name);
        ids[i] = file_of(f, path);
        store_files_missing(f->s, &ids[i], 1, i < 2 ? 9000 : 8000, NULL, NULL); /* many at one moment */
    }
    wait_for_writes(f);
    static const size_t order[] = {2, 3, 4, 5, 6, 0, 1};
    size_t at = 0, count;
    do {
        struct file_row *rows = store_files_missing_since(f->s, 9001, &last, 2, &count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(rows[i].id, ids[order[at++]]);
        if (count > 0)
            last = (struct file_row){.id = rows[count - 1].id, .missing_ms = rows[count - 1].missing_ms};
        file_rows_free(rows, count);
    } while (count > 0);
    assert_int_equal(at, 7);
}

static void missing_files_block_their_jobs_until_they_are_back(void **state)
{
    struct fixture *f = *state;
    int64_t waiting = add_job(f, "a"), sent = add_job(f, "b");
    send_job(f, sent, 1);
    const int64_t files[] = {file_of(f, "a.yaml"), file_of(f, "b.yaml"), 999};
    store_files_missing(f->s, files, 3, 7000, NULL, NULL);
    wait_for_writes(f);
    size_t count;
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    struct file_row *gone = store_files_missing_since(f->s, 7000, NULL, 10, &count);
    assert_int_equal(count, 0);
    gone = store_files_missing_since(f->s, 7001, NULL, 10, &count);
    assert_int_equal(count, 2);
    assert_int_equal(gone[0].missing_ms, 7000);
    file_rows_free(gone, count);
    settle_job(f, sent, 1, JOB_WAITING, 0); /* comes back and must not run */
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    store_files_missing(f->s, files, 1, 0, NULL, NULL);
    wait_for_writes(f);
    assert_true(blocked(f, waiting) == 0 && blocked(f, sent) == JOB_BLOCK_MISSING);

    struct take_job j = {.what = TAKE_REFRESH, .id = sent, .stem = "b"};
    struct store_take t = {.file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = files[1];
    assert_int_equal(take(f, &t), STORE_OK); /* a look at it says that it is there */
    assert_int_equal(blocked(f, sent), 0);
    assert_null(store_files_missing_since(f->s, INT64_MAX, NULL, 10, &count));
}

static void a_held_file_holds_its_jobs(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    const struct file_sig sig = {.dev = 9, .ino = 8, .size = 7, .mtime_ns = 6, .btime_ns = 5};
    struct file_row file;
    store_file_held(f->s, file_of(f, "a.yaml"), true, &sig, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(blocked(f, id), JOB_BLOCK_HOLD_FILE);
    assert_true(store_file_by_path(f->s, "a.yaml", &file));
    assert_true(file.held && memcmp(&file.sig, &sig, sizeof sig) == 0);
    file_row_free(&file);
    const struct file_sig other = {.dev = 9, .ino = 8, .size = 7, .mtime_ns = 60, .btime_ns = 5};
    store_file_sig(f->s, file_of(f, "a.yaml"), &other, NULL, NULL);
    wait_for_writes(f);
    assert_true(store_file_by_path(f->s, "a.yaml", &file));
    assert_true(file.held && file.sig.mtime_ns == 60);
    assert_int_equal(blocked(f, id), JOB_BLOCK_HOLD_FILE);
    int64_t file_id = file.id;
    file_row_free(&file);

    /* A new job of a held file is held; the next look finds it free. */
    struct take_job j = waiting_job("a.2");
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_id;
    t.file.held = true;
    assert_int_equal(take(f, &t), STORE_OK);
    struct store_counts c;
    assert_true(store_counts(f->s, &c));
    assert_true(c.held == 2 && c.waiting == 0);
    t.njobs = 0;
    t.file.held = false;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_true(store_counts(f->s, &c));
    assert_true(c.held == 0 && c.waiting == 2);
}

static void forgetting_spares_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    int64_t waiting = add_job(f, "a"), done = add_job(f, "b"), sent = add_job(f, "c"), back = add_job(f, "d");
    send_job(f, done, 1);
    reply_job(f, done);
    settle_job(f, done, 1, JOB_DONE, 0);
    send_job(f, sent, 1);
    send_job(f, back, 1);
    const int64_t files[] = {file_of(f, "a.yaml"), file_of(f, "b.yaml"), file_of(f, "c.yaml"),
                             file_of(f, "d.yaml")};
    store_files_forget(f->s, files, 4, NULL, NULL);
    wait_for_writes(f);
    struct job_row r;
    assert_false(store_job(f->s, waiting, false, &r));
    assert_false(store_job(f->s, done, false, &r));
    assert_int_equal(number(f, "SELECT count(*) FROM files"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM attempts"), 2);
    assert_state(f, sent, JOB_SENT);

    /* A new file of that name gets another id, and its outcome's name only when the old attempt has ended. */
    struct take_job j = waiting_job("c");
    struct store_take t = {.file = file_at("c.yaml", 1), .jobs = &j, .njobs = 1};
    assert_int_equal(take(f, &t), STORE_CONFLICT);
    reply_job(f, sent);
    settle_job(f, sent, 1, JOB_DONE, 0);
    settle_job(f, back, 1, JOB_WAITING, 0);
    assert_false(store_job(f->s, sent, false, &r));
    assert_false(store_job(f->s, back, false, &r));
    assert_true(store_workflow_succeeded(f->s, "wf_a", ENDPOINT));
    static const char *const tables[] = {"jobs", "bodies", "attempts", "replies"};
    for (size_t i = 0; i < 4; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(number(f, sql), 0);
    }
    assert_int_equal(take(f, &t), STORE_OK);
    assert_true(file_of(f, "c.yaml") > files[3]);
    const struct store_settle late = {.job = waiting, .state = JOB_FAILED, .code = CODE_EXPIRED};
    store_settle(f->s, &late, NULL, NULL); /* expired and forgotten in the same moment */
    wait_for_writes(f);
}

static void files_are_paged_in_the_order_of_their_bytes(void **state)
{
    static const char *const sorted[] = {"\x01", "A", "a", "a/b", "b", "\xff"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++) {
        struct store_take t = {.file = file_at(sorted[(i * 5) % 6], 1)};
        t.file.state = i == 0 ? FILE_CONFLICT : FILE_OK;
        assert_int_equal(take(f, &t), STORE_OK);
    }
    char *after = NULL;
    for (size_t seen = 0, count = 1; seen < 6; seen += count) {
        struct file_row *page = store_files_page(f->s, after, 4, &count);
        assert_int_equal(count, seen == 0 ? 4 : 2);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(page[i].path, sorted[seen + i]);
        free(after);
        after = strdup(page[count - 1].path);
        file_rows_free(page, count);
    }
    size_t count;
    assert_null(store_files_page(f->s, after, 4, &count));
    free(after);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_rename_moves_the_file_and_its_jobs),
        STORE_TEST(a_file_that_loses_its_path_is_missing_but_known),
        STORE_TEST(inodes_match_by_birth_time_where_it_is_known),
        STORE_TEST(missing_files_are_paged_longest_first),
        STORE_TEST(missing_files_block_their_jobs_until_they_are_back),
        STORE_TEST(a_held_file_holds_its_jobs),
        STORE_TEST(forgetting_spares_what_is_on_its_way),
        STORE_TEST(files_are_paged_in_the_order_of_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
