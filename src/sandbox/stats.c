#include "sandbox/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void stats_init(struct stats *s)
{
    *s = (struct stats){0};
    tally_init(&s->requests, STATS_REQUESTS_MAX);
    tally_init(&s->workflows, STATS_WORKFLOWS_MAX);
}

void stats_reset(struct stats *s)
{
    uint64_t in_flight = s->in_flight;
    stats_free(s);
    stats_init(s);
    s->in_flight = in_flight;
    s->peak_in_flight = in_flight;
}

void stats_free(struct stats *s)
{
    tally_clear(&s->requests);
    tally_clear(&s->workflows);
}

static void print_statuses(FILE *out, const struct stats *s)
{
    const char *comma = "";
    fputs("\"by_status\":{", out);
    for (int status = 0; status < STATS_STATUS_MAX; status++) {
        if (s->by_status[status]) {
            fprintf(out, "%s\"%d\":%" PRIu64, comma, status, s->by_status[status]);
            comma = ",";
        }
    }
    fputs("},", out);
}

static void print_faults(FILE *out, const struct stats *s)
{
    const char *comma = "";
    fputs("\"faults\":{", out);
    for (int kind = FAULT_NONE + 1; kind < FAULT_KIND_COUNT; kind++) {
        if (s->faults[kind]) {
            fprintf(out, "%s\"%s\":%" PRIu64, comma, fault_kind_name((enum fault_kind)kind), s->faults[kind]);
            comma = ",";
        }
    }
    fputs("},", out);
}

/* Workflow ids that get this far are valid ones, so nothing needs to be escaped. */
static void print_purchases(FILE *out, const struct stats *s)
{
    const char *comma = "";
    fprintf(out, "\"purchases\":{\"total\":%" PRIu64 ",\"by_workflow\":{", s->runs);
    for (size_t i = 0; i < s->workflows.room; i++) {
        const struct tally_entry *e = s->workflows.slots[i];
        if (e && e->charged) {
            fprintf(out, "%s\"%s\":%" PRIu64, comma, e->workflow, e->charged);
            comma = ",";
        }
    }
    fputs("}}", out);
}

static void print_requests(FILE *out, const struct tally *t)
{
    const char *comma = "";
    fprintf(out, ",\"requests_dropped\":%" PRIu64 ",\"requests\":[", t->dropped);
    for (size_t i = 0; i < t->room; i++) {
        const struct tally_entry *e = t->slots[i];
        if (e) {
            fprintf(out,
                    "%s\n{\"workflow\":\"%s\",\"body_sha256\":\"%s\",\"posts\":%" PRIu64
                    ",\"charged\":%" PRIu64 "}",
                    comma, e->workflow, e->digest, e->posts, e->charged);
            comma = ",";
        }
    }
    fputs("]", out);
}

static void print_counters(FILE *out, const struct stats *s, const struct stats_context *context)
{
    fprintf(out, "{\"version\":1,\"uptime_ms\":%" PRId64 ",\"requests_total\":%" PRIu64 ",",
            context->uptime_ms, s->posts);
    print_statuses(out, s);
    fprintf(out, "\"runs\":%" PRIu64 ",\"rate_limited\":%" PRIu64 ",\"cached\":%" PRIu64 ",", s->runs,
            s->by_status[429], s->cached);
    fprintf(out, "\"in_flight\":%" PRIu64 ",\"peak_in_flight\":%" PRIu64 ",", s->in_flight,
            s->peak_in_flight);
    fprintf(out, "\"connections\":%u,\"connections_total\":%" PRIu64 ",", context->open_connections,
            s->connections);
    if (context->credits < 0) {
        fputs("\"credits\":null,", out);
    } else {
        fprintf(out, "\"credits\":%" PRId64 ",", context->credits);
    }
}

char *stats_json(const struct stats *s, const struct stats_context *context, bool with_requests, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out) {
        return NULL;
    }
    print_counters(out, s, context);
    print_faults(out, s);
    print_purchases(out, s);
    if (with_requests) {
        print_requests(out, &s->requests);
    }
    fputs("}\n", out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
