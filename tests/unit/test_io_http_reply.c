/* io/http's replies: memory within a budget, spill files beyond it, and faults of the disk. */
#include "http_peer.h"

#include <dirent.h>
#include <sys/syscall.h>

#include "io/http_internal.h"

enum { REPLY = 300000 };

/* ---- faults of system calls, on the spill file only ---- */

static atomic_long disk_room = -1; /* bytes until ENOSPC; -1: plenty */
static atomic_int fail_syncs, syncs;
static sem_t hold_sync; /* a sync waits for it when holding */
static atomic_bool holding;

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t len)
{
    long room = fd > 2 ? atomic_load(&disk_room) : -1;
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (room > 0) {
        len = len < (size_t)room ? len : (size_t)room; /* a short write first, as disks do */
        atomic_store(&disk_room, room - (long)len);
    }
    return syscall(SYS_write, fd, data, len);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    if (atomic_load(&holding)) {
        (void)sem_wait(&hold_sync);
    }
    if (atomic_load(&fail_syncs) != 0) {
        errno = EIO;
        return -1;
    }
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- helpers ---- */

static char pattern[REPLY];

static void serve_large(struct peer *p, int fd, int connection)
{
    (void)connection;
    while (peer_read(p, fd, false)) {
        char head[64];
        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", REPLY);
        peer_say(fd, head);
        peer_write(fd, pattern, REPLY);
    }
}

/* All but the last byte. */
static void serve_cut(struct peer *p, int fd, int connection)
{
    (void)connection;
    if (peer_read(p, fd, false)) {
        peer_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
        peer_write(fd, pattern, REPLY - 1);
    }
}

static int files_in(const char *dir)
{
    int count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    closedir(d);
    return count;
}

static void assert_in_memory(const struct client *c, const struct answer *a)
{
    assert_int_equal(a->r.end, ATTEMPT_REPLIED);
    assert_null(a->r.spill);
    assert_int_equal(a->r.body_len, REPLY);
    assert_memory_equal(a->r.body, pattern, REPLY);
    assert_int_equal(files_in(c->spill_dir), 0);
}

static void assert_spilled(const struct client *c, const struct answer *a)
{
    static char text[REPLY + 1];
    char path[160];
    struct stat st;
    assert_int_equal(a->r.end, ATTEMPT_REPLIED);
    assert_null(a->r.body);
    assert_int_equal(a->r.body_len, 0);
    assert_non_null(a->r.spill);
    (void)snprintf(path, sizeof path, "%s/%s", c->spill_dir, a->r.spill);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), REPLY);
    assert_memory_equal(text, pattern, REPLY);
    assert_int_equal(fstat(fileno(f), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)fclose(f);
    assert_int_equal(unlink(path), 0);
}

static struct peer *open_both(struct client *c, serve_fn serve, int64_t memory)
{
    struct peer *p = peer_start(serve);
    for (size_t i = 0; i < REPLY; i++) {
        pattern[i] = (char)(i * 7 + i / 251);
    }
    client_open(c, p->port);
    c->options.max_response_memory = memory;
    client_configure(c);
    return p;
}

static void close_both(struct client *c, struct peer *p, struct answer *a)
{
    http_result_free(&a->r);
    client_close(c);
    peer_stop(p);
}

/* ---- tests ---- */

static void within_the_budget_it_stays_in_memory(void **state)
{
    (void)state;
    struct client c;
    struct answer a;
    struct peer *p = open_both(&c, serve_large, 2 * (int64_t)REPLY);
    client_ask(&c, &a);
    assert_in_memory(&c, &a);
    close_both(&c, p, &a);
}

static void beyond_the_budget_it_goes_to_a_file(void **state)
{
    (void)state;
    static const int64_t budgets[] = {0, 4096, 100000};
    for (size_t i = 0; i < 3; i++) {
        struct client c;
        struct answer a;
        struct peer *p = open_both(&c, serve_large, budgets[i]);
        for (int again = 0; again < 3; again++) { /* the budget is given back */
            client_ask(&c, &a);
            assert_spilled(&c, &a);
            http_result_free(&a.r);
        }
        close_both(&c, p, &a);
    }
}

static void the_budget_is_for_all_replies_together(void **state)
{
    (void)state;
    struct http_budget budget = {.max = 10000};
    struct http_reply r[3];
    char *body;
    size_t len;
    for (size_t i = 0; i < 3; i++) {
        http_reply_init(&r[i], &budget, "/tmp");
        assert_true(http_reply_append(&r[i], "hello", 5));
    }
    assert_true(budget.used <= budget.max);
    assert_int_equal(r[0].fd, -1);
    assert_int_equal(r[1].fd, -1);
    assert_true(r[2].fd >= 0);
    http_reply_keep_first(&r[2], 3);
    http_reply_take(&r[2], &body, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(body, "hel", 3);
    free(body);
    http_reply_drop(&r[0]);
    http_reply_take(&r[1], &body, &len);
    assert_int_equal(len, 5);
    free(body);
    assert_int_equal(budget.used, 0);
}

static void without_a_spill_directory_the_budget_gives_way(void **state)
{
    (void)state;
    struct client c;
    struct answer a;
    struct peer *p = open_both(&c, serve_large, 0);
    c.options.spill_dir = "/nonexistent";
    client_configure(&c);
    client_ask(&c, &a);
    assert_in_memory(&c, &a);
    close_both(&c, p, &a);
}

static void a_full_disk_sends_it_back_to_memory(void **state)
{
    (void)state;
    static const long rooms[] = {0, 1, 5000, 50000, REPLY - 1};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        struct client c;
        struct answer a;
        struct peer *p = open_both(&c, serve_large, 20000);
        atomic_store(&disk_room, rooms[i]);
        client_send(&c, &a, BODY);
        /* The loop's own wake-ups are writes as well, but none is needed here before the end. */
        client_wait(&c);
        atomic_store(&disk_room, -1);
        print_message("%ld: %d %s\n", rooms[i], a.r.end, a.r.error);
        assert_in_memory(&c, &a);
        close_both(&c, p, &a);
    }
}

static void a_failed_sync_sends_it_back_to_memory(void **state)
{
    (void)state;
    struct client c;
    struct answer a;
    struct peer *p = open_both(&c, serve_large, 0);
    atomic_store(&fail_syncs, 1);
    client_ask(&c, &a);
    atomic_store(&fail_syncs, 0);
    assert_in_memory(&c, &a);
    close_both(&c, p, &a);
}

static void of_a_cut_or_oversized_spill_the_first_part_is_kept(void **state)
{
    (void)state;
    for (int oversized = 0; oversized <= 1; oversized++) {
        struct client c;
        struct answer a;
        struct peer *p = open_both(&c, oversized ? serve_large : serve_cut, 0);
        c.options.max_response_size = oversized ? REPLY - 1 : REPLY;
        client_configure(&c);
        client_ask(&c, &a);
        assert_int_equal(a.r.end, oversized ? ATTEMPT_TOO_LARGE : ATTEMPT_CUT);
        assert_int_equal(a.r.body_len, 4096);
        assert_memory_equal(a.r.body, pattern, 4096);
        assert_null(a.r.spill);
        assert_int_equal(files_in(c.spill_dir), 0);
        close_both(&c, p, &a);
    }
}

static void *release_later(void *arg)
{
    (void)arg;
    (void)usleep(100000); /* long after http_abort_all() began to wait; earlier would do as well */
    sem_post(&hold_sync);
    return NULL;
}

/* A whole reply on its way to the disk has been paid for: stopping waits for it. */
static void stopping_waits_for_a_spill_on_its_way(void **state)
{
    (void)state;
    struct client c;
    struct answer a;
    struct peer *p = open_both(&c, serve_large, 0);
    sem_init(&hold_sync, 0, 0);
    atomic_store(&holding, true);
    client_send(&c, &a, BODY);
    while (c.http->syncing.head == NULL) {
        (void)uv_run(&c.loop, UV_RUN_ONCE);
    }
    assert_int_equal(http_in_flight(c.http), 1);
    assert_int_equal(a.reports, 0);
    atomic_store(&syncs, 0);
    pthread_t releaser;
    assert_int_equal(pthread_create(&releaser, NULL, release_later, NULL), 0);
    http_abort_all(c.http);
    assert_int_equal(a.reports, 1);
    assert_int_equal(syncs, 1);
    (void)pthread_join(releaser, NULL);
    atomic_store(&holding, false);
    assert_spilled(&c, &a);
    close_both(&c, p, &a);
    sem_destroy(&hold_sync);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_budget_it_stays_in_memory),
        cmocka_unit_test(beyond_the_budget_it_goes_to_a_file),
        cmocka_unit_test(the_budget_is_for_all_replies_together),
        cmocka_unit_test(without_a_spill_directory_the_budget_gives_way),
        cmocka_unit_test(a_full_disk_sends_it_back_to_memory),
        cmocka_unit_test(a_failed_sync_sends_it_back_to_memory),
        cmocka_unit_test(of_a_cut_or_oversized_spill_the_first_part_is_kept),
        cmocka_unit_test(stopping_waits_for_a_spill_on_its_way),
    };
    (void)alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests_name("io_http_reply", tests, NULL, NULL);
}
