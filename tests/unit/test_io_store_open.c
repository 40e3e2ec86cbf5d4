/* Opening, closing, migrating, and what is not ours to open. */
#include <sys/wait.h>

#include "test_io_store.h"

static int set_up_dir(void **state)
{
    alarm(100);
    struct fixture *f = calloc(1, sizeof *f);
    make_dir(f);
    *state = f;
    return 0;
}

static enum store_rc try_open(struct fixture *f, char message[256])
{
    message[0] = '\0';
    enum store_rc rc = store_open(&f->s, &f->loop, f->dir, on_fatal, f, &f->created, message, 256);
    if (rc != STORE_OK)
        f->s = NULL;
    return rc;
}

static void exec_on(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_dir(f, "state.db"), &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static void write_file(const struct fixture *f, const char *name, const char *bytes, size_t len)
{
    FILE *out = fopen(in_dir(f, name), "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static bool exists(const struct fixture *f, const char *name)
{
    return access(in_dir(f, name), F_OK) == 0;
}

static void a_state_survives_closing(void **state)
{
    struct fixture *f = *state;
    open_state(f);
    assert_true(f->created);
    int64_t id = add_job(f, "a");
    store_intent(f->s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    close_state(f); /* what is queued is written first */
    assert_false(exists(f, "state.db-wal"));
    struct stat st;
    assert_int_equal(stat(in_dir(f, "state.db"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    open_state(f);
    assert_false(f->created);
    assert_state(f, id, JOB_SENT);
}

static void closing_calls_no_done(void **state)
{
    struct fixture *f = *state;
    struct answer a = {.f = f};
    open_state(f);
    store_set(f->s, "k", "v", on_done, &a);
    assert_int_equal(store_queued(f->s), 1);
    close_state(f);
    assert_int_equal(a.calls, 0);
    open_state(f);
    char *value = store_get(f->s, "k");
    assert_string_equal(value, "v");
    free(value);
}

static void an_empty_file_is_a_first_start_cut_short(void **state)
{
    struct fixture *f = *state;
    char message[256];
    struct store *s;
    write_file(f, "state.db", "", 0);
    assert_int_equal(store_open_readonly(&s, f->dir, message, sizeof message), STORE_ABSENT);
    assert_int_equal(try_open(f, message), STORE_OK);
    assert_true(f->created);
    close_state(f);
    unlink(in_dir(f, "state.db"));
    exec_on(f, "PRAGMA journal_mode = WAL"); /* or a moment later */
    assert_int_equal(store_open_readonly(&s, f->dir, message, sizeof message), STORE_ABSENT);
    assert_int_equal(try_open(f, message), STORE_OK);
    assert_true(f->created);
}

static char *slurp(const struct fixture *f, const char *name, size_t *len)
{
    FILE *in = fopen(in_dir(f, name), "r");
    assert_non_null(in);
    char *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *len = fread(bytes, 1, 1 << 20, in);
    fclose(in);
    return bytes;
}

/* What cannot be opened, why, and that it is left as it was. */
static void what_is_not_ours_is_left_alone(void **state)
{
    static const struct {
        const char *name, *sql, *bytes;
        enum store_rc rc;
        const char *said;
    } cases[] = {
        {"newer", "PRAGMA user_version = 3", NULL, STORE_NEWER, "newer program"},
        {"another program's", "PRAGMA application_id = 5", NULL, STORE_BROKEN, "not a state of flowspool"},
        {"no version", "PRAGMA user_version = 0", NULL, STORE_BROKEN, "not a state of flowspool"},
        {"no database", NULL,
         "this is some text, longer than the header of a database is, that is a hundred bytes....",
         STORE_BROKEN, "not a state of flowspool"},
        {"short", NULL, "SQLite format 3", STORE_BROKEN, "not a state of flowspool"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[256];
        if (cases[i].sql != NULL) {
            open_state(f);
            close_state(f);
            exec_on(f, cases[i].sql);
        } else {
            write_file(f, "state.db", cases[i].bytes, strlen(cases[i].bytes));
        }
        size_t before_len, after_len;
        char *before = slurp(f, "state.db", &before_len);
        struct store *s;
        if (try_open(f, message) != cases[i].rc || strstr(message, cases[i].said) == NULL)
            fail_msg("%s: %s", cases[i].name, message);
        assert_int_equal(store_open_readonly(&s, f->dir, message, sizeof message), cases[i].rc);
        char *after = slurp(f, "state.db", &after_len);
        assert_int_equal(before_len, after_len);
        assert_memory_equal(before, after, before_len);
        free(before);
        free(after);
        unlink(in_dir(f, "state.db"));
        unlink(in_dir(f, "state.db-wal"));
        unlink(in_dir(f, "state.db-shm"));
    }
}

/* The version is in the log only: after a crash of the newer program. */
static void a_newer_log_is_left_alone(void **state)
{
    struct fixture *f = *state;
    open_state(f);
    close_state(f);
    pid_t pid = fork();
    if (pid == 0) {
        exec_on(f, "PRAGMA wal_autocheckpoint = 0");
        sqlite3 *db;
        if (sqlite3_open(in_dir(f, "state.db"), &db) == SQLITE_OK &&
            sqlite3_exec(db, "PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 3", NULL, NULL, NULL) ==
                SQLITE_OK)
            _exit(0);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    size_t before_len, after_len;
    char message[256];
    char *before = slurp(f, "state.db-wal", &before_len);
    assert_true(before_len > 0);
    assert_int_equal(try_open(f, message), STORE_NEWER);
    char *after = slurp(f, "state.db-wal", &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, before_len);
    free(before);
    free(after);
}

static void damage_is_found(void **state)
{
    struct fixture *f = *state;
    open_state(f);
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        store_set(f->s, key, "some value of a length that fills pages", NULL, NULL);
    }
    wait_for_writes(f);
    close_state(f);
    int fd = open(in_dir(f, "state.db"), O_RDWR);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 4096; at < st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
    close(fd);
    char message[256];
    assert_int_equal(try_open(f, message), STORE_BROKEN);
    assert_non_null(strstr(message, "state.db"));
}

/* The first to look at a state after a crash reads its log, and keeps everybody out meanwhile. */
static pid_t keep_out(const struct fixture *f, int ready)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    sqlite3 *db;
    const char *sql = "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT";
    if (sqlite3_open(in_dir(f, "state.db"), &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK || write(ready, "x", 1) != 1)
        _exit(1);
    usleep(300 * 1000);
    _exit(0);
}

static void who_looks_just_then_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char message[256], byte;
    int ends[2], status;
    open_state(f);
    close_state(f);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = keep_out(f, ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    if (try_open(f, message) != STORE_OK)
        fail_msg("%s", message);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    char message[256];
    struct store *s;
    assert_int_equal(
        store_open(&s, &f->loop, "/nonexistent", on_fatal, f, &f->created, message, sizeof message),
        STORE_BROKEN);
    assert_non_null(strstr(message, "/nonexistent/state.db"));
    assert_int_equal(store_open_readonly(&s, "/nonexistent", message, sizeof message), STORE_ABSENT);
    assert_int_equal(symlink("/etc/passwd", in_dir(f, "state.db")), 0);
    assert_int_equal(try_open(f, message), STORE_BROKEN);
}

static void a_state_that_was_removed_is_noticed(void **state)
{
    struct fixture *f = *state;
    open_state(f);
    assert_true(store_still_there(f->s));
    unlink(in_dir(f, "state.db"));
    assert_false(store_still_there(f->s));
    write_file(f, "state.db", "", 0);
    assert_false(store_still_there(f->s));
}

/* ---- reading only ---- */

static int read_here(const char *dir, uid_t uid)
{
    char message[256];
    struct store *s;
    if (uid != 0 && setuid(uid) != 0)
        return 99;
    if (store_open_readonly(&s, dir, message, sizeof message) != STORE_OK)
        return 98;
    char *value = store_get(s, "k");
    int rc = value != NULL && value[0] == 'v' && store_error(s) == NULL && store_still_there(s) ? 0 : 97;
    free(value);
    store_close(s);
    return rc;
}

/* A program of its own: a fork would take over the locks that the writer's thread holds just then inside
 * SQLite.
 */
static int read_as(struct fixture *f, uid_t uid)
{
    char number[24];
    snprintf(number, sizeof number, "%u", (unsigned)uid);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "reader", f->dir, number, (char *)NULL);
        _exit(96);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void readers_need_no_daemon_and_disturb_none(void **state)
{
    struct fixture *f = *state;
    open_state(f);
    store_set(f->s, "k", "v", NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(read_as(f, 0), 0);
    store_set(f->s, "k", "v2", NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(read_as(f, 0), 0);
    close_state(f);
    assert_int_equal(read_as(f, 0), 0);
    open_state(f);
    store_set(f->s, "k", "v3", NULL, NULL);
    wait_for_writes(f);
}

static void who_may_not_write_may_read(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    open_state(f);
    store_set(f->s, "k", "v", NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(in_dir(f, "state.db"), 0644), 0);
    assert_int_equal(chmod(in_dir(f, "state.db-wal"), 0644), 0);
    assert_int_equal(chmod(in_dir(f, "state.db-shm"), 0644), 0);
    assert_int_equal(read_as(f, 65534), 0);
    close_state(f);
    assert_int_equal(read_as(f, 65534), 0);
}

/* ---- migration ---- */

static void add_value(struct fixture *f, const char *value)
{
    store_set(f->s, "k", value, NULL, NULL);
    wait_for_writes(f);
}

static const struct migration later_steps[] = {
    {{NULL}},
    {{NULL}},
    {{"ALTER TABLE files ADD COLUMN hue TEXT", "UPDATE meta SET value = value || '2'"}},
    {{"SELECT 1"}}};

static void migrating_keeps_a_backup(void **state)
{
    struct fixture *f = *state;
    const struct migrations later = {later_steps, 4};
    struct connection c;
    char message[256];
    open_state(f);
    add_value(f, "v");
    close_state(f);
    assert_int_equal(connection_open(&c, in_dir(f, "state.db"), SQLITE_OPEN_READWRITE, 100), SQLITE_OK);
    assert_int_equal(schema_migrate(&c, f->dir, &later, message, sizeof message), STORE_OK);
    int64_t n;
    assert_int_equal(connection_number(&c, "PRAGMA user_version", &n), SQLITE_OK);
    assert_int_equal(n, 4);
    assert_int_equal(connection_number(&c, "SELECT count(hue) FROM files", &n), SQLITE_OK);
    assert_int_equal(connection_number(&c, "SELECT value = 'v2' FROM meta", &n), SQLITE_OK);
    assert_int_equal(n, 1);
    connection_close(&c);
    assert_false(exists(f, "state.db.bak.tmp"));
    assert_int_equal(try_open(f, message), STORE_NEWER);

    /* Going back is putting the backup in its place. */
    char backup[128];
    snprintf(backup, sizeof backup, "%s", in_dir(f, "state.db.bak"));
    assert_int_equal(rename(backup, in_dir(f, "state.db")), 0);
    open_state(f);
    assert_false(f->created);
    char *value = store_get(f->s, "k");
    assert_string_equal(value, "v");
    free(value);
    add_job(f, "a");
    assert_int_equal(number(f, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    static const struct migration bad_steps[] = {
        {{NULL}}, {{NULL}}, {{"DELETE FROM meta", "UPDATE nothing SET a = 1"}}};
    const struct migrations bad = {bad_steps, 3};
    struct fixture *f = *state;
    struct connection c;
    char message[256];
    open_state(f);
    add_value(f, "v");
    close_state(f);
    assert_int_equal(connection_open(&c, in_dir(f, "state.db"), SQLITE_OPEN_READWRITE, 100), SQLITE_OK);
    assert_int_equal(schema_migrate(&c, f->dir, &bad, message, sizeof message), STORE_BROKEN);
    assert_non_null(strstr(message, "nothing was changed"));
    connection_close(&c);
    open_state(f);
    char *value = store_get(f->s, "k");
    assert_string_equal(value, "v");
    free(value);
}

static void no_backup_no_migration(void **state)
{
    struct fixture *f = *state;
    const struct migrations later = {later_steps, 4};
    struct connection c;
    char message[256];
    open_state(f);
    close_state(f);
    assert_int_equal(mkdir(in_dir(f, "state.db.bak"), 0700), 0); /* in the way */
    assert_int_equal(connection_open(&c, in_dir(f, "state.db"), SQLITE_OPEN_READWRITE, 100), SQLITE_OK);
    assert_int_equal(schema_migrate(&c, f->dir, &later, message, sizeof message), STORE_BROKEN);
    assert_non_null(strstr(message, "backup"));
    connection_close(&c);
    assert_int_equal(rmdir(in_dir(f, "state.db.bak")), 0);
    open_state(f);
}

int main(int argc, char **argv)
{
    if (argc == 3) /* read_as() */
        return read_here(argv[1], (uid_t)strtoul(argv[2], NULL, 10));
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_dir, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_state_survives_closing),
        STORE_TEST(closing_calls_no_done),
        STORE_TEST(an_empty_file_is_a_first_start_cut_short),
        STORE_TEST(what_is_not_ours_is_left_alone),
        STORE_TEST(a_newer_log_is_left_alone),
        STORE_TEST(damage_is_found),
        STORE_TEST(who_looks_just_then_is_waited_for),
        STORE_TEST(a_directory_that_is_not_there_is_an_error),
        STORE_TEST(a_state_that_was_removed_is_noticed),
        STORE_TEST(readers_need_no_daemon_and_disturb_none),
        STORE_TEST(who_may_not_write_may_read),
        STORE_TEST(migrating_keeps_a_backup),
        STORE_TEST(a_migration_that_fails_changes_nothing),
        STORE_TEST(no_backup_no_migration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
