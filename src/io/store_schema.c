/* The tables, how an older database becomes this one, and whether a file is a database of ours at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/store_internal.h"

#define APPLICATION_ID 0x464c5350 /* "FLSP" */

/* Paths and stems are blobs: names of files are bytes. Ids are never given out twice (AUTOINCREMENT), because
 * a job in flight may outlive the row of its file, and memory knows jobs by id. What is large or rarely read
 * (bodies, replies) has tables of its own, so that a move of a job's state rewrites little. */
static const char schema_tables[] =
    "CREATE TABLE files("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE,"
    " dev INTEGER NOT NULL, ino INTEGER NOT NULL, btime_ns INTEGER NOT NULL, size INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL, job_sha256 TEXT NOT NULL, seen_ms INTEGER NOT NULL, missing_ms INTEGER NOT "
    "NULL,"
    " state INTEGER NOT NULL, fault TEXT, documents INTEGER NOT NULL, held INTEGER NOT NULL,"
    " uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL) STRICT;"
    "CREATE INDEX files_inode ON files(ino, dev);"
    "CREATE INDEX files_missing ON files(missing_ms) WHERE missing_ms > 0;"

    "CREATE TABLE jobs("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, file_id INTEGER NOT NULL, path BLOB NOT NULL, document INTEGER "
    "NOT NULL,"
    " stem BLOB NOT NULL, doc_id TEXT, workflow TEXT, request_sha256 TEXT NOT NULL, job_sha256 TEXT NOT NULL,"
    " state INTEGER NOT NULL, blocked INTEGER NOT NULL, priority INTEGER NOT NULL, seen_ms INTEGER NOT NULL,"
    " queued_ms INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " max_attempts INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0, rate_limited INTEGER NOT NULL DEFAULT 0,"
    " ambiguous INTEGER NOT NULL DEFAULT 0, sends INTEGER NOT NULL DEFAULT 0,"
    " started_ms INTEGER NOT NULL DEFAULT 0, finished_ms INTEGER NOT NULL DEFAULT 0,"
    " duration_ms INTEGER NOT NULL DEFAULT -1, http_status INTEGER NOT NULL DEFAULT 0,"
    " code TEXT, message TEXT, request_id TEXT, endpoint TEXT, sandbox INTEGER NOT NULL, after_job INTEGER "
    "NOT NULL,"
    " uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL, outcome TEXT, placed BLOB,"
    " dev INTEGER NOT NULL DEFAULT 0, ino INTEGER NOT NULL DEFAULT 0, btime_ns INTEGER NOT NULL DEFAULT 0) "
    "STRICT;"
    "CREATE INDEX jobs_file ON jobs(file_id, document);"
    "CREATE UNIQUE INDEX jobs_stem ON jobs(stem) WHERE " SQL_CURRENT ";"
    "CREATE INDEX jobs_ready ON jobs(priority DESC, seen_ms, path, document) WHERE " SQL_READY ";"
    "CREATE INDEX jobs_queued ON jobs(queued_ms) WHERE " SQL_READY ";"
    "CREATE INDEX jobs_due ON jobs(due_ms) WHERE " SQL_DUE ";"
    "CREATE INDEX jobs_backoff ON jobs(due_ms) WHERE " SQL_BACKOFF ";"
    "CREATE INDEX jobs_expiring ON jobs(expires_ms) WHERE " SQL_EXPIRING ";"
    "CREATE INDEX jobs_cancelled ON jobs(id) WHERE " SQL_CANCELLED ";"
    "CREATE INDEX jobs_asked ON jobs(id) WHERE " SQL_ASKED ";"
    "CREATE INDEX jobs_open ON jobs(id) WHERE " SQL_OPEN ";"
    "CREATE INDEX jobs_sandbox ON jobs(endpoint) WHERE " SQL_SANDBOX ";"
    "CREATE INDEX jobs_strays ON jobs(ino, dev) WHERE " SQL_STRAY ";"
    "CREATE INDEX jobs_unplaced ON jobs(id) WHERE " SQL_UNPLACED ";"
    "CREATE INDEX jobs_astray ON jobs(placed) WHERE " SQL_ASTRAY ";"

    "CREATE TABLE bodies(job_id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;"
    "CREATE TABLE replies(job_id INTEGER PRIMARY KEY, http_status INTEGER NOT NULL, too_large INTEGER NOT "
    "NULL,"
    " received_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, spill TEXT, headers BLOB, body BLOB) "
    "STRICT;"
    "CREATE TABLE attempts(job_id INTEGER NOT NULL, n INTEGER NOT NULL, sent_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL DEFAULT 0, duration_ms INTEGER NOT NULL DEFAULT -1, verdict TEXT,"
    " http_status INTEGER NOT NULL DEFAULT 0, body_sha256 TEXT, boot_id TEXT,"
    " PRIMARY KEY(job_id, n)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE workflows(endpoint TEXT NOT NULL, workflow TEXT NOT NULL, succeeded_ms INTEGER NOT NULL,"
    " PRIMARY KEY(endpoint, workflow)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    /* Whoever made this state has still to see whether it is the spool's first: see STORE_NEW. */
    "INSERT INTO meta VALUES('new', '1');";

/* Counting a million rows takes longer than the loop may stand still, so triggers keep count: enum tally. */
#define TALLY_OF(row)                                                                                        \
    "CASE WHEN " row "state IN (1, 2) THEN " row "state WHEN " row "blocked & 8 THEN 8"                      \
    " WHEN " row "state > 2 THEN " row "state WHEN " row "blocked & 1 THEN 7 WHEN " row "blocked THEN 6"     \
    " WHEN " row "due_ms THEN 5 ELSE 0 END"
#define TALLY_ADD(n, class) "UPDATE tally SET n = n + (" n ") WHERE class = (" class ");"

static const char schema_tally[] =
    "CREATE TABLE tally(class INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;"
    "INSERT INTO tally VALUES(0,0),(1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0),(9,0),(10,0);"
    "CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN " TALLY_ADD(
        "1",
        TALLY_OF(
            "NEW.")) " END;"
                     "CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN " TALLY_ADD(
                         "-1",
                         TALLY_OF(
                             "OLD.")) " END;"
                                      "CREATE TRIGGER jobs_moved AFTER UPDATE OF state, blocked, due_ms ON "
                                      "jobs"
                                      " WHEN " TALLY_OF("OLD.") " <> " TALLY_OF("NEW.") " BEGIN " TALLY_ADD("-1", TALLY_OF("OLD.")) " " TALLY_ADD(
                                          "1",
                                          TALLY_OF(
                                              "NEW.")) " END;"
                                                       "CREATE TRIGGER files_added AFTER INSERT ON files "
                                                       "BEGIN " TALLY_ADD(
                                                           "1",
                                                           "9") " END;"
                                                                "CREATE TRIGGER files_deleted AFTER DELETE "
                                                                "ON files BEGIN " TALLY_ADD(
                                                                    "-1",
                                                                    "9") " END;"
                                                                         "CREATE TRIGGER conflicts_added "
                                                                         "AFTER INSERT ON files WHEN "
                                                                         "NEW.state = 2 BEGIN " TALLY_ADD(
                                                                             "1",
                                                                             "10") " END;"
                                                                                   "CREATE TRIGGER "
                                                                                   "conflicts_deleted AFTER "
                                                                                   "DELETE ON files WHEN "
                                                                                   "OLD.state = 2 "
                                                                                   "BEGIN " TALLY_ADD(
                                                                                       "-1",
                                                                                       "10") " END;"
                                                                                             "CREATE TRIGGER "
                                                                                             "conflicts_"
                                                                                             "moved AFTER "
                                                                                             "UPDATE OF "
                                                                                             "state ON files "
                                                                                             "WHEN "
                                                                                             "(OLD.state = "
                                                                                             "2) <> "
                                                                                             "(NEW.state = "
                                                                                             "2) "
                                                                                             "BEGIN"
                                                                                             " " TALLY_ADD(
                                                                                                 "(NEW.state "
                                                                                                 "= 2) - "
                                                                                                 "(OLD.state "
                                                                                                 "= 2)",
                                                                                                 "10") " END"
                                                                                                       ";";

/* Rows of attempts go with their jobs; what they were stays, by UTC day. saved 1: what was not bought. It is
 * a trigger, so that no way of forgetting goes past it and an attempt costs no write more. */
static const char schema_ledger[] =
    "CREATE TABLE ledger(day INTEGER NOT NULL, saved INTEGER NOT NULL, what TEXT NOT NULL, n INTEGER NOT "
    "NULL,"
    " PRIMARY KEY(day, saved, what)) STRICT, WITHOUT ROWID;"
    "CREATE TRIGGER attempts_forgotten AFTER DELETE ON attempts WHEN OLD.ended_ms <> 0 BEGIN"
    " INSERT INTO ledger(day, saved, what, n) VALUES(OLD.sent_ms / 86400000, 0, coalesce(OLD.verdict, ''), 1)"
    " ON CONFLICT(day, saved, what) DO UPDATE SET n = n + 1; END;";

static const struct migration store_steps[] = {
    {{schema_tables, schema_tally}}, /* from nothing to version 1 */
    {{schema_ledger}},
};
_Static_assert(sizeof store_steps / sizeof store_steps[0] == STORE_VERSION, "a step to every version");
const struct migrations store_migrations = {store_steps, STORE_VERSION};

/* ---- is it ours ---- */

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum store_rc newer(int64_t version, int newest, const char *path, char *message, size_t size)
{
    snprintf(message, size, "%s was written by a newer program (version %lld, this one knows %d): left alone",
             path, (long long)version, newest);
    return STORE_NEWER;
}

static enum store_rc foreign(const char *path, char *message, size_t size)
{
    snprintf(message, size, "%s is not a state of flowspool", path);
    return STORE_BROKEN;
}

static ssize_t read_header(const char *path, unsigned char *header, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    ssize_t got = pread(fd, header, size, 0);
    int saved = errno;
    close(fd);
    errno = saved;
    return got;
}

enum store_rc schema_peek(const char *path, int newest, char *message, size_t size)
{
    unsigned char header[100];
    ssize_t got = read_header(path, header, sizeof header);
    if (got < 0 && errno == ENOENT) {
        snprintf(message, size, "there is no state (%s)", path);
        return STORE_ABSENT;
    }
    if (got < 0) {
        snprintf(message, size, "%s cannot be read: %s", path, strerror(errno));
        return STORE_BROKEN;
    }
    if (got == 0) { /* the first start ended before it wrote anything */
        snprintf(message, size, "there is no state (%s is empty)", path);
        return STORE_ABSENT;
    }
    if (got < (ssize_t)sizeof header || memcmp(header, "SQLite format 3", 16) != 0)
        return foreign(path, message, size);
    uint32_t version = big_endian(header + 60);
    uint32_t application = big_endian(header + 68);
    if (application == 0) /* may say more in its write-ahead log */
        return STORE_OK;
    if (application != APPLICATION_ID)
        return foreign(path, message, size);
    return version > (uint32_t)newest ? newer(version, newest, path, message, size) : STORE_OK;
}

static enum store_rc broken(const struct connection *c, const char *what, char *message, size_t size)
{
    snprintf(message, size, "%s: %s: %s", sqlite3_db_filename(c->db, "main"), what, c->message);
    return STORE_BROKEN;
}

enum store_rc schema_version(struct connection *c, int newest, int64_t *version, char *message, size_t size)
{
    const char *path = sqlite3_db_filename(c->db, "main");
    int64_t application = 0, objects = 0;
    /* One transaction: a command may look while the daemon is creating it. */
    if (connection_exec(c, "BEGIN") != SQLITE_OK ||
        connection_number(c, "PRAGMA application_id", &application) != SQLITE_OK ||
        connection_number(c, "PRAGMA user_version", version) != SQLITE_OK ||
        connection_number(c, "SELECT count(*) FROM sqlite_schema", &objects) != SQLITE_OK ||
        connection_exec(c, "COMMIT") != SQLITE_OK)
        return broken(c, "the state cannot be read", message, size);
    if (application == 0 && *version == 0 && objects == 0) {
        *version = -1;
        return STORE_OK;
    }
    if (application != APPLICATION_ID || *version < 1)
        return foreign(path, message, size);
    return *version > newest ? newer(*version, newest, path, message, size) : STORE_OK;
}

/* ---- to the newest version ---- */

static int sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

/* VACUUM INTO writes a whole, compact copy, but syncs nothing. */
static enum store_rc back_up(struct connection *c, const char *dir, char *message, size_t size)
{
    char copy[PATH_MAX], kept[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s/state.db.bak.tmp", dir) >= (int)sizeof copy ||
        snprintf(kept, sizeof kept, "%s/state.db.bak", dir) >= (int)sizeof kept) {
        snprintf(message, size, "the path of the state directory is too long");
        return STORE_BROKEN;
    }
    unlink(copy);
    struct query q = query_on(c, "VACUUM INTO ?");
    query_text(&q, copy);
    if (query_run(&q) != SQLITE_OK) {
        unlink(copy);
        return broken(c, "no backup could be made before migrating", message, size);
    }
    if (sync_path(copy, 0) != 0 || rename(copy, kept) != 0 || sync_path(dir, O_DIRECTORY) != 0) {
        snprintf(message, size, "%s: no backup could be made before migrating: %s", kept, strerror(errno));
        return STORE_BROKEN;
    }
    return STORE_OK;
}

static int apply_steps(struct connection *c, int from, const struct migrations *m)
{
    int rc = connection_exec(c, "BEGIN IMMEDIATE");
    for (int v = from; v < m->count; v++)
        for (size_t part = 0; part < MIGRATION_PARTS && rc == SQLITE_OK; part++)
            if (m->steps[v].parts[part] != NULL)
                rc = connection_exec(c, m->steps[v].parts[part]);
    char stamp[120];
    snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, m->count);
    if (rc == SQLITE_OK)
        rc = connection_exec(c, stamp);
    if (!sqlite3_get_autocommit(c->db))
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

enum store_rc schema_migrate(struct connection *c, const char *dir, const struct migrations *m, char *message,
                             size_t size)
{
    int64_t version;
    enum store_rc rc = schema_version(c, m->count, &version, message, size);
    if (rc != STORE_OK)
        return rc;
    if (version == m->count)
        return STORE_OK;
    bool blank = version < 0;
    if (!blank)
        rc = back_up(c, dir, message, size);
    if (rc != STORE_OK)
        return rc;
    if (apply_steps(c, blank ? 0 : (int)version, m) != SQLITE_OK)
        return broken(c, blank ? "the state cannot be created" : "migrating failed, nothing was changed",
                      message, size);
    if (blank && sync_path(dir, O_DIRECTORY) != 0) {
        snprintf(message, size, "%s cannot be synced: %s", dir, strerror(errno));
        return STORE_BROKEN;
    }
    return STORE_OK;
}
