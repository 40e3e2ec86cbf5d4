#include "core/joborder.h"

#include <stddef.h>

static bool has_ended(const struct joborder_job *j)
{
    return j->state == JOB_DONE || j->state == JOB_FAILED;
}

static bool is_on_its_way(const struct joborder_job *j)
{
    return j->state == JOB_SENT || j->state == JOB_REPLIED;
}

static bool has(const struct joborder_job *j, int bit)
{
    return (j->blocked & bit) != 0;
}

static struct joborder_effect refuse(const char *why)
{
    return (struct joborder_effect){.why = why};
}

static struct joborder_effect refuse_for_now(const char *why)
{
    return (struct joborder_effect){.why = why, .again = true};
}

static struct joborder_effect at_once(void)
{
    return (struct joborder_effect){0};
}

static struct joborder_effect after_attempt(const struct joborder_job *j)
{
    return (struct joborder_effect){.in_flight = is_on_its_way(j)};
}

static struct joborder_effect hold(const struct joborder_job *j)
{
    if (has_ended(j) && has(j, JOB_ASKED_AGAIN))
        return refuse_for_now("its file is being read, to run it again");
    if (has_ended(j) || j->ending)
        return refuse("it has ended");
    if (has(j, JOB_BLOCK_CANCEL))
        return refuse("it is being cancelled");
    if (j->state == JOB_WAITING && has(j, JOB_BLOCK_MISSING))
        return refuse("its file is gone");
    return after_attempt(j);
}

static struct joborder_effect release(const struct joborder_job *j)
{
    if (has(j, JOB_BLOCK_HOLD_FILE))
        return refuse("its file's name holds it: rename it back, without .hold");
    if (has(j, JOB_BLOCK_CANCEL))
        return refuse("it is being cancelled");
    if (!has(j, JOB_BLOCK_HOLD))
        return refuse(has_ended(j) || j->ending ? "it has ended" : "it is not held");
    return at_once();
}

static struct joborder_effect cancel(const struct joborder_job *j)
{
    if (has_ended(j) && has(j, JOB_ASKED_AGAIN)) /* it stays as it ended */
        return at_once();
    if (has_ended(j) || j->ending)
        return refuse("it has ended");
    if (j->state == JOB_WAITING && has(j, JOB_BLOCK_MISSING))
        return refuse("its file is gone: it is not sent, and soon forgotten");
    return after_attempt(j);
}

static struct joborder_effect retry(const struct joborder_job *j, bool force)
{
    if (j->ending)
        return refuse_for_now("its outcome is being written");
    if (!has_ended(j) && has(j, JOB_BLOCK_CANCEL))
        return at_once();
    if (j->state == JOB_DONE && !force && !has(j, JOB_ASKED_AGAIN))
        return refuse("it has a result; --force buys it again");
    if (is_on_its_way(j))
        return refuse("it is on its way");
    if (has(j, JOB_BLOCK_MISSING))
        return refuse("its file is gone");
    if (has(j, JOB_BLOCK_HOLD_FILE))
        return refuse("it is held: rename its file back first");
    if (!has_ended(j) && has(j, JOB_BLOCK_CONFLICT))
        return refuse("its file is refused: rename one of the two whose outcomes have the same name");
    if (has_ended(j))
        return at_once();
    return refuse(has(j, JOB_BLOCK_HOLD) ? "it is held; to let it go: flowspool release"
                                         : "it is waiting already");
}

struct joborder_bits joborder_bits(enum order_kind order)
{
    switch (order) {
    case ORDER_RETRY: /* what was held, or being cancelled, runs */
        return (struct joborder_bits){JOB_ASKED_AGAIN, JOB_BLOCK_HOLD | JOB_BLOCK_CANCEL};
    case ORDER_CANCEL:
        return (struct joborder_bits){JOB_BLOCK_CANCEL, JOB_ASKED_AGAIN};
    case ORDER_HOLD:
        return (struct joborder_bits){JOB_BLOCK_HOLD, 0};
    case ORDER_RELEASE:
        return (struct joborder_bits){0, JOB_BLOCK_HOLD};
    case ORDER_STATUS:
    case ORDER_PAUSE:
    case ORDER_RESUME:
    case ORDER_PRUNE:
    case ORDER_TUNE:
        break;
    }
    return (struct joborder_bits){0, 0};
}

struct joborder_effect joborder_judge(enum order_kind order, bool force, const struct joborder_job *job)
{
    if (has(job, JOB_BLOCK_SUPERSEDED))
        return refuse("its file holds another job now");
    switch (order) {
    case ORDER_RETRY:
        return retry(job, force);
    case ORDER_CANCEL:
        return cancel(job);
    case ORDER_HOLD:
        return hold(job);
    case ORDER_RELEASE:
        return release(job);
    case ORDER_STATUS:
    case ORDER_PAUSE:
    case ORDER_RESUME:
    case ORDER_PRUNE:
    case ORDER_TUNE:
        break;
    }
    return refuse("this order is not about jobs");
}
