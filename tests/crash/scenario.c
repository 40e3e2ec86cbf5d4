#include "scenario.h"

#include <signal.h>
#include <string.h>

#define JOB(workflow, key) "workflow: wf_" workflow "\ninputs: {key: " key "}\n"
/* Longer than max_job_size below: refused at once, while one that does not parse might still be written. */
#define COMMENT_64  "# ..............................................................\n"
#define COMMENT_512 COMMENT_64 COMMENT_64 COMMENT_64 COMMENT_64 COMMENT_64 COMMENT_64 COMMENT_64 COMMENT_64
#define TOO_LONG    COMMENT_512 COMMENT_512 COMMENT_64

const struct scenario scenarios[] = {
    {
        .name = "plain",
        .about = "three jobs",
        .files = {{"a.yaml", JOB("ok", "a")}, {"b.yaml", JOB("slow", "b")}, {"c.yaml", JOB("ok", "c")}},
        .wants = {{"a", "a", NULL, 0}, {"b", "b", NULL, 0}, {"c", "c", NULL, 0}},
    },
    {
        .name = "retries",
        .about = "429, 500, 404, and a reply that is cut",
        .files = {{"busy.yaml", JOB("busy", "busy")},
                  {"fault.yaml", JOB("fault", "fault")},
                  {"broken.yaml", JOB("broken", "broken")},
                  {"gone.yaml", JOB("gone", "gone")},
                  {"cut.yaml", JOB("cut", "cut")}},
        .wants = {{"busy", "busy", NULL, 0},
                  {"fault", "fault", NULL, 0},
                  {"broken", "broken", "server_error", 0},
                  {"gone", "gone", "workflow_not_found", 0},
                  {"cut", "cut", NULL, 1}},
    },
    {
        .name = "documents",
        .about = "a file of three, a refused one, replies too big for memory and for the daemon",
        .files = {{"d.yaml", JOB("ok", "d1") "---\n" JOB("fat", "d2") "---\n" JOB("slow", "d3")},
                  {"bad.yaml", TOO_LONG},
                  {"huge.yaml", JOB("huge", "huge")},
                  {"fat.yaml", JOB("fat", "fat")}},
        .wants = {{"d.1", "d1", NULL, 0},
                  {"d.2", "d2", NULL, 0},
                  {"d.3", "d3", NULL, 0},
                  {"bad", NULL, "invalid_job", 0},
                  {"huge", "huge", "response_too_large", 0},
                  {"fat", "fat", NULL, 0}},
        .config = "max_response_size: 256KiB\nmax_response_memory: 64KiB\nmax_job_size: 1KiB\n",
    },
    {
        .name = "drain",
        .about = "SIGTERM with requests in flight and jobs left",
        .files = {{"a.yaml", JOB("slow", "a")},
                  {"b.yaml", JOB("slow", "b")},
                  {"c.yaml", JOB("ok", "c")},
                  {"d.yaml", JOB("slow", "d")}},
        .wants = {{"a", "a", NULL, 0}, {"b", "b", NULL, 0}, {"c", "c", NULL, 0}, {"d", "d", NULL, 0}},
        .config = "max_concurrency: 2\n",
        .signal = SIGTERM,
        .at_posts = 2,
        .stays = true,
    },
    {
        .name = "reload",
        .about = "SIGHUP with another configuration and requests in flight",
        .files = {{"a.yaml", JOB("slow", "a")}, {"b.yaml", JOB("slow", "b")}, {"c.yaml", JOB("ok", "c")}},
        .wants = {{"a", "a", NULL, 0}, {"b", "b", NULL, 0}, {"c", "c", NULL, 0}},
        .config = "max_concurrency: 2\n",
        .signal = SIGHUP,
        .at_posts = 2,
        .reload = true,
    },
    {
        .name = "recovery",
        .about = "a start after a kill: jobs in flight, a reply without an outcome, new jobs",
        .files = {{"n1.yaml", JOB("never", "n1")},
                  {"n2.yaml", JOB("never", "n2")},
                  {"p.yaml", JOB("ok", "p")},
                  {"e.yaml", JOB("gone", "e")}},
        .prepare = PREPARE_KILLED,
        .in_the_way = "p.result.json",
        .later = {{"z.yaml", JOB("ok", "z")}},
        .wants = {{"n1", "n1", NULL, 0},
                  {"n2", "n2", NULL, 0},
                  {"p", "p", NULL, 0},
                  {"e", "e", "workflow_not_found", 0},
                  {"z", "z", NULL, 0}},
    },
    {
        .name = "moved",
        .about = "a start after jobs with results were renamed, edited, and changed places",
        .files = {{"a.yaml", JOB("ok", "a")},
                  {"b.yaml", JOB("ok", "b")},
                  {"m.yaml", JOB("ok", "m1") "---\n" JOB("ok", "m2")}},
        .prepare = PREPARE_FINISHED,
        .renames = {{"a.yaml", "c.yaml"}},
        .later = {{"b.yaml", JOB("ok", "b2")}, {"m.yaml", JOB("ok", "m2") "---\n" JOB("ok", "m1")}},
        .wants = {{"c", "a", NULL, 0}, {"b", "b2", NULL, 0}, {"m.1", "m2", NULL, 0}, {"m.2", "m1", NULL, 0}},
        .kept = "b sale 1",
        .outcomes_move = true,
    },
    {
        .name = "full",
        .about = "the disk is full while requests are in flight, and during the next start",
        .files = {{"a.yaml", JOB("slow", "a")}, {"b.yaml", JOB("slow", "b")}, {"c.yaml", JOB("ok", "c")}},
        .wants = {{"a", "a", NULL, 0}, {"b", "b", NULL, 0}, {"c", "c", NULL, 0}},
        .config = "max_concurrency: 2\n",
        .at_posts = 2,
        .fill = true,
    },
    {
        .name = "second",
        .about = "a second daemon starts while the first is at work",
        .files = {{"a.yaml", JOB("ok", "a")}, {"b.yaml", JOB("slow", "b")}},
        .wants = {{"a", "a", NULL, 0}, {"b", "b", NULL, 0}},
        .second = true,
    },
};
const size_t nscenarios = sizeof scenarios / sizeof scenarios[0];

const struct scenario *scenario_find(const char *name)
{
    for (size_t i = 0; i < nscenarios; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    return NULL;
}
