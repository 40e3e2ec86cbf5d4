#include "cases.h"

#define FIXED   SERVER_FIXED
#define FIRST   SERVER_FIRST
#define SLIDING SERVER_SLIDING
#define LOG     SERVER_LOG
#define TOKEN   SERVER_TOKEN

#define LIMIT(k, n, w, c) .server = (k), .limit = (n), .window = (w), .cap = (c)

/* The scenario's fields, and efficiency mean and worst, percent refused. */
#define ROW(group, name, mean, worst, refused, ...)                                                          \
    {                                                                                                        \
        group, name, {__VA_ARGS__},                                                                          \
        {                                                                                                    \
            mean, worst, refused                                                                             \
        }                                                                                                    \
    }

const struct row rows[] = {
    ROW("known server", "sliding 10/1s", .95, .92, 1.5, LIMIT(SLIDING, 10, 1, 512)),
    ROW("known server", "sliding 50/1s", .95, .92, 1.5, LIMIT(SLIDING, 50, 1, 1024)),
    ROW("3,000 jobs", "sliding 10/1s, 3,000 jobs", .943, 0, 1.5, LIMIT(SLIDING, 10, 1, 512), .jobs = 3000,
        .seconds = 4000),
    ROW("3,000 jobs", "sliding 50/1s, 3,000 jobs", .943, 0, 1.5, LIMIT(SLIDING, 50, 1, 1024), .jobs = 3000,
        .seconds = 4000),
    ROW("60/60s", "fixed 60/60s", .99, .95, 1, LIMIT(FIXED, 60, 60, 256)),
    ROW("60/60s", "first 60/60s", .99, .95, 1, LIMIT(FIRST, 60, 60, 256)),
    ROW("60/60s", "sliding 60/60s", .99, .95, 1, LIMIT(SLIDING, 60, 60, 256)),
    ROW("60/60s", "log 60/60s", .99, .95, 1, LIMIT(LOG, 60, 60, 256)),
    ROW("60/60s", "token 60/60s", .99, .95, 1, LIMIT(TOKEN, 60, 60, 256)),
    ROW("600/60s", "fixed 600/60s", .99, .97, .3, LIMIT(FIXED, 600, 60, 1024)),
    ROW("600/60s", "first 600/60s", .99, .97, .3, LIMIT(FIRST, 600, 60, 1024)),
    ROW("600/60s", "sliding 600/60s", .99, .97, .3, LIMIT(SLIDING, 600, 60, 1024)),
    ROW("600/60s", "log 600/60s", .99, .97, .3, LIMIT(LOG, 600, 60, 1024)),
    ROW("600/60s", "token 600/60s", .99, .97, .3, LIMIT(TOKEN, 600, 60, 1024)),
    ROW("10/60s", "fixed 10/60s", .98, .95, 5, LIMIT(FIXED, 10, 60, 256)),
    ROW("10/60s", "first 10/60s", .98, .95, 5, LIMIT(FIRST, 10, 60, 256)),
    ROW("10/60s", "sliding 10/60s", .98, .95, 5, LIMIT(SLIDING, 10, 60, 256)),
    ROW("10/60s", "log 10/60s", .98, .95, 5, LIMIT(LOG, 10, 60, 256)),
    ROW("10/60s", "token 10/60s", .98, .95, 5, LIMIT(TOKEN, 10, 60, 256)),
    ROW("5/10s", "fixed 5/10s", .97, .92, 2.5, LIMIT(FIXED, 5, 10, 256)),
    ROW("5/10s", "first 5/10s", .97, .92, 2.5, LIMIT(FIRST, 5, 10, 256)),
    ROW("5/10s", "sliding 5/10s", .97, .92, 2.5, LIMIT(SLIDING, 5, 10, 256)),
    ROW("5/10s", "log 5/10s", .97, .92, 2.5, LIMIT(LOG, 5, 10, 256)),
    ROW("5/10s", "token 5/10s", .97, .92, 2.5, LIMIT(TOKEN, 5, 10, 256)),
    ROW("foreign", "fixed 60/60s, 20% foreign", .97, 0, 4, LIMIT(FIXED, 60, 60, 256), .foreign = .2),
    ROW("foreign", "sliding 60/60s, 20% foreign", .97, 0, 4, LIMIT(SLIDING, 60, 60, 256), .foreign = .2),
    ROW("foreign", "log 60/60s, 20% foreign", .97, 0, 4, LIMIT(LOG, 60, 60, 256), .foreign = .2),
    ROW("foreign", "token 60/60s, 20% foreign", .97, 0, 4, LIMIT(TOKEN, 60, 60, 256), .foreign = .2),
    ROW("foreign", "sliding 60/60s, in bursts", .97, 0, 4, LIMIT(SLIDING, 60, 60, 256), .foreign = .2,
        .foreign_bursts = true),
    ROW("foreign", "sliding 10/1s, 20% foreign", .97, 0, 4, LIMIT(SLIDING, 10, 1, 512), .foreign = .2),
    ROW("change", "sliding 60/60s, limit x5", .95, 0, 2, LIMIT(SLIDING, 60, 60, 512), .change_at = 400,
        .change = 5),
    ROW("change", "fixed 60/60s, limit x5", .95, 0, 2, LIMIT(FIXED, 60, 60, 512), .change_at = 400,
        .change = 5),
    ROW("change", "sliding 60/60s, limit /3", .95, 0, 2, LIMIT(SLIDING, 60, 60, 512), .change_at = 400,
        .change = 1.0 / 3),
    ROW("change", "fixed 60/60s, limit /3", .95, 0, 2, LIMIT(FIXED, 60, 60, 512), .change_at = 400,
        .change = 1.0 / 3),
    ROW("change", "sliding 10/1s, limit x5", .95, 0, 2, LIMIT(SLIDING, 10, 1, 1024), .change_at = 400,
        .change = 5),
    ROW("change", "sliding 10/1s, limit /3", .95, 0, 2, LIMIT(SLIDING, 10, 1, 512), .change_at = 400,
        .change = 1.0 / 3),
    ROW("garbage", "fixed 60/60s, 10% garbage", .95, 0, 2, LIMIT(FIXED, 60, 60, 256), .garbage = .1),
    ROW("garbage", "sliding 60/60s, 10% garbage", .95, 0, 2, LIMIT(SLIDING, 60, 60, 256), .garbage = .1),
    ROW("garbage", "sliding 10/1s, 10% garbage", .95, 0, 2, LIMIT(SLIDING, 10, 1, 512), .garbage = .1),
    ROW("headerless", "fixed 60/60s, no headers", .92, 0, 3, LIMIT(FIXED, 60, 60, 256),
        .headers = HEADERS_NONE),
    ROW("headerless", "sliding 60/60s, no headers", .92, 0, 3, LIMIT(SLIDING, 60, 60, 256),
        .headers = HEADERS_NONE),
    ROW("headerless", "sliding 10/1s, no headers", .85, 0, 3, LIMIT(SLIDING, 10, 1, 512),
        .headers = HEADERS_NONE),
    ROW("no limit", "no limit, no headers", .99, 0, 0, LIMIT(SERVER_NONE, 0, 0, 256),
        .headers = HEADERS_NONE),
    ROW("no limit", "no limit, 0/0", .99, 0, 0, LIMIT(SERVER_NONE, 0, 0, 256), .headers = HEADERS_ZERO),
    ROW("cold", "400 jobs at 10/1s, 2 s", .93, 0, 3, LIMIT(SLIDING, 10, 1, 512), .jobs = 400, .seconds = 2000,
        .median = 2),
    ROW("cold", "2,000 jobs at 50/1s, 3 s", .93, 0, 3, LIMIT(SLIDING, 50, 1, 1024), .jobs = 2000,
        .seconds = 2000, .median = 3),
    ROW("cold", "300 jobs at 10/1s, no headers", .80, 0, 12, LIMIT(SLIDING, 10, 1, 512), .jobs = 300,
        .seconds = 2000, .median = 2, .headers = HEADERS_NONE),
    ROW("cold", "240 jobs, log 60/10s, 1.3 s", .88, 0, 6, LIMIT(LOG, 60, 10, 512), .jobs = 240,
        .seconds = 2000, .median = 1.3),
    ROW("warm", "sliding 10/1s, warm", .95, .92, 1.5, LIMIT(SLIDING, 10, 1, 512), .warm = true),
    ROW("warm", "sliding 50/1s, warm", .95, .92, 1.5, LIMIT(SLIDING, 50, 1, 1024), .warm = true),
    ROW("warm", "fixed 60/60s, warm", .99, .95, 1, LIMIT(FIXED, 60, 60, 256), .warm = true),
    ROW("warm", "sliding 60/60s, warm", .99, .95, 1, LIMIT(SLIDING, 60, 60, 256), .warm = true),
    ROW("warm", "log 60/60s, warm", .99, .95, 1, LIMIT(LOG, 60, 60, 256), .warm = true),
    ROW("warm", "token 600/60s, warm", .99, .97, .3, LIMIT(TOKEN, 600, 60, 1024), .warm = true),
    ROW("warm", "400 jobs at 10/1s, 2 s, warm", .93, 0, 3, LIMIT(SLIDING, 10, 1, 512), .jobs = 400,
        .seconds = 2000, .median = 2, .warm = true),
    ROW("other", "slots 20, no headers", 0, 0, -1, LIMIT(SERVER_SLOTS, 20, 0, 256), .headers = HEADERS_NONE),
    ROW("other", "sliding 10/1s, at reply", 0, 0, -1, LIMIT(SLIDING, 10, 1, 512), .stamp_reply = true),
    ROW("other", "fixed 60/60s, at reply", 0, 0, -1, LIMIT(FIXED, 60, 60, 256), .stamp_reply = true),
    ROW("other", "sliding 60/60s, Retry-After", 0, 0, -1, LIMIT(SLIDING, 60, 60, 256), .retry_after = true),
    ROW("other", "fixed 60/60s, server forgets", 0, 0, -1, LIMIT(FIXED, 60, 60, 256), .forget_at = 130,
        .forget_every = 170),
    ROW("other", "fixed 60/60s, clock set", 0, 0, -1, LIMIT(FIXED, 60, 60, 256), .jump_at = 415, .jump = 17),
    ROW("other", "sliding 10/1s, 429 storm", 0, 0, -1, LIMIT(SLIDING, 10, 1, 512), .storm_at = 300,
        .storm = 60),
    ROW("other", "fixed 30/45s", 0, 0, -1, LIMIT(FIXED, 30, 45, 256)),
    ROW("other", "log 100/90s", 0, 0, -1, LIMIT(LOG, 100, 90, 256)),
    ROW("other", "log 5/1s", 0, 0, -1, LIMIT(LOG, 5, 1, 256)),
    ROW("other", "fixed 300/600s", 0, 0, -1, LIMIT(FIXED, 300, 600, 512), .seconds = 3600),
};

const int row_count = sizeof rows / sizeof rows[0];
