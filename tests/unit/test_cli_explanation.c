/* Why a job does not run: every reason, and which comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/explanation.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define NOW      1000000000

static char path[] = "sub/a.yaml", stem[] = "sub/a", workflow[] = "wf_a", odd[] = "it's.yaml",
            ambiguous[] = "ambiguous", expired[] = "expired", message[] = "why it failed";

static const struct status_hold workflow_hold = {.kind = STATUS_WORKFLOW,
                                                 .workflow = "wf_a",
                                                 .cause = "server_errors",
                                                 .reason = "",
                                                 .next_probe_ms = 5000};
static const struct status_hold other_workflow = {.kind = STATUS_WORKFLOW,
                                                  .workflow = "wf_b",
                                                  .cause = "server_errors",
                                                  .reason = "",
                                                  .next_probe_ms = 5000};
static const struct status_hold its_directory = {
    .kind = STATUS_DIRECTORY, .cause = "outcomes_cannot_be_written", .reason = "sub", .next_probe_ms = -1};
static const struct status_hold the_spool = {
    .kind = STATUS_DIRECTORY, .cause = "outcomes_cannot_be_written", .reason = ".", .next_probe_ms = -1};
static const struct status_hold paused = {
    .kind = STATUS_GATE, .cause = "paused", .reason = "", .next_probe_ms = -1};
static const struct status_hold account = {
    .kind = STATUS_ACCOUNT, .cause = "unauthorized", .reason = "no", .next_probe_ms = -1, .probing = true};

/* Reasons by their words, the first one first. */
static const struct {
    const char *name;
    struct job_row row;
    struct explain_job job;
    enum ask_rc daemon;
    const struct status_hold *hold;
    const char *words;
    const char *part; /* of the first sentence */
} cases[] = {
    {"done", {.state = JOB_DONE}, {0}, ASK_NOBODY, NULL, "done", "sub/a.result.json"},
    {"failed",
     {.state = JOB_FAILED, .code = ambiguous, .message = message},
     {0},
     ASK_ANSWERED,
     &paused,
     "failed",
     "why it failed"},
    {"sent", {.state = JOB_SENT}, {.sent_ms = NOW - 5000}, ASK_ANSWERED, &paused, "in_flight", "sent 5s ago"},
    {"asked again",
     {.state = JOB_FAILED, .blocked = 32},
     {0},
     ASK_ANSWERED,
     NULL,
     "asked_again",
     "as flowspool retry was told: "},
    {"asked again, no daemon",
     {.state = JOB_DONE, .blocked = 32},
     {0},
     ASK_NOBODY,
     NULL,
     "asked_again no_daemon",
     "when flowspoold starts"},
    {"sent, then cancelled",
     {.state = JOB_SENT, .blocked = 16},
     {.sent_ms = NOW - 5000},
     ASK_ANSWERED,
     NULL,
     "in_flight cancelling",
     "sent 5s ago"},
    {"sent, then held",
     {.state = JOB_SENT, .blocked = 4},
     {.sent_ms = NOW - 5000},
     ASK_ANSWERED,
     NULL,
     "in_flight held",
     "sent 5s ago"},
    {"sent, and the daemon died",
     {.state = JOB_SENT},
     {.sent_ms = NOW - 5000},
     ASK_NOBODY,
     NULL,
     "cut_off",
     "may have been charged"},
    {"answered", {.state = JOB_REPLIED}, {0}, ASK_ANSWERED, &paused, "answered", "is being written"},
    {"answered, no room",
     {.state = JOB_REPLIED},
     {0},
     ASK_ANSWERED,
     &its_directory,
     "answered directory",
     ""},
    {"answered, and the daemon died",
     {.state = JOB_REPLIED},
     {0},
     ASK_NOBODY,
     NULL,
     "answered",
     "no flowspoold runs"},
    {"next", {0}, {.before = 0}, ASK_ANSWERED, NULL, "next", "it is next"},
    {"in the queue",
     {0},
     {.before = 8},
     ASK_ANSWERED,
     NULL,
     "turn",
     "8 jobs go first; at 2.0/s its turn comes in about 4s"},
    {"one before it", {0}, {.before = 1}, ASK_ANSWERED, NULL, "turn", "1 job goes first;"},
    {"no daemon", {0}, {0}, ASK_NOBODY, NULL, "no_daemon", "no flowspoold runs"},
    {"stuck", {0}, {0}, ASK_SILENT, NULL, "no_answer", "does not answer"},
    {"not ours to ask", {0}, {0}, ASK_REFUSED, NULL, "unknown", "no permission to ask it"},
    {"held by its file", {.blocked = 2}, {0}, ASK_ANSWERED, NULL, "held_file", "sub/a.yaml.hold"},
    {"held", {.blocked = 4}, {0}, ASK_ANSWERED, NULL, "held", "by flowspool hold"},
    {"held twice", {.blocked = 6}, {0}, ASK_NOBODY, NULL, "held_file held no_daemon", ""},
    {"cancelled", {.blocked = 16}, {0}, ASK_ANSWERED, NULL, "cancelling", "flowspool cancel"},
    {"its file is gone",
     {.blocked = 1},
     {.missing_ms = NOW - 60000},
     ASK_ANSWERED,
     NULL,
     "missing",
     "gone for 1m; the job is forgotten in 9m"},
    {"gone for long",
     {.blocked = 1},
     {.missing_ms = NOW - 6000000},
     ASK_ANSWERED,
     NULL,
     "missing",
     "forgets the job soon"},
    {"gone, since when is not known", {.blocked = 1}, {0}, ASK_ANSWERED, NULL, "missing", "its file is gone"},
    {"not_before",
     {.due_ms = NOW + 5000, .not_before_ms = NOW + 5000},
     {0},
     ASK_ANSWERED,
     NULL,
     "not_before",
     ", in 5s"},
    {"backoff",
     {.due_ms = NOW + 5000},
     {.verdict = "server_error"},
     ASK_ANSWERED,
     NULL,
     "backoff",
     "the service failed; it is tried again at "},
    {"its time has come", {.due_ms = NOW - 1}, {0}, ASK_ANSWERED, NULL, "next", ""},
    {"expires", {.expires_ms = NOW + 5000}, {0}, ASK_ANSWERED, NULL, "next expires", ""},
    {"expired", {.expires_ms = NOW - 5000}, {0}, ASK_NOBODY, NULL, "expired no_daemon", "5s ago"},
    {"after another", {0}, {.waits_for_old = true}, ASK_ANSWERED, NULL, "predecessor", "ends first"},
    {"its workflow", {0}, {0}, ASK_ANSWERED, &workflow_hold, "workflow", "; asked again in 5s"},
    {"another workflow", {0}, {0}, ASK_ANSWERED, &other_workflow, "next", ""},
    {"its directory", {0}, {0}, ASK_ANSWERED, &its_directory, "directory", "in the directory sub"},
    {"another directory", {0}, {0}, ASK_ANSWERED, &the_spool, "next", ""},
    {"a gate", {0}, {0}, ASK_ANSWERED, &paused, "paused", "flowspool resume"},
    {"a gate, and held", {.blocked = 4}, {0}, ASK_ANSWERED, &paused, "held paused", ""},
    {"the account", {0}, {0}, ASK_ANSWERED, &account, "account", "one request asks now"},
};

static void words_of(const struct explanation *e, char *buf, size_t size)
{
    buf[0] = '\0';
    for (size_t i = 0; i < e->count; i++)
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", i > 0 ? " " : "", e->reasons[i].word);
}

static struct explain_state state_of(enum ask_rc daemon, const struct status *status)
{
    return (struct explain_state){.now_ms = NOW,
                                  .forget_after_ms = 600000,
                                  .daemon = daemon,
                                  .daemon_reason = "no permission to ask it",
                                  .status = status};
}

static void test_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[128];
        struct arena a = {0};
        struct explanation e = {.arena = &a};
        struct status status = {.per_second = 2,
                                .cap = 8,
                                .in_flight = 2,
                                .cap_reason = "max_concurrency",
                                .holds = cases[i].hold,
                                .nholds = cases[i].hold != NULL};
        const struct explain_state s = state_of(cases[i].daemon, &status);
        struct job_row r = cases[i].row;
        struct explain_job j = cases[i].job;
        r.path = path, r.stem = stem, r.workflow = workflow;
        j.row = &r;
        j.verdict = j.verdict != NULL ? j.verdict : "";
        explain_job(&e, &s, &j);
        words_of(&e, words, sizeof words);
        if (strcmp(words, cases[i].words) != 0 || strstr(e.reasons[0].why, cases[i].part) == NULL)
            fail_msg("%s: %s: %s", cases[i].name, words, e.reasons[0].why);
        assert_false(e.no_memory);
        arena_free(&a);
    }
}

static void test_what_to_do(void **state)
{
    static const struct {
        struct job_row row;
        const char *todo;
    } todos[] = {
        {{.path = path, .blocked = 4}, "flowspool release sub/a.yaml"},
        {{.path = odd, .blocked = 4}, "flowspool release 'it'\\''s.yaml'"},
        {{.path = odd, .blocked = 2}, "in the spool: mv 'it'\\''s.yaml.hold' 'it'\\''s.yaml'"},
        {{.path = path, .state = JOB_FAILED, .code = ambiguous}, "flowspool retry sub/a.yaml"},
        {{.path = path, .state = JOB_FAILED, .code = expired},
         "give it a later 'expires': a job file that is written again runs again"},
        {{.path = path, .state = JOB_FAILED}, "correct the job file: written again, it runs again"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(todos); i++) {
        struct arena a = {0};
        struct explanation e = {.arena = &a};
        const struct status status = {0};
        const struct explain_state s = state_of(ASK_ANSWERED, &status);
        struct job_row r = todos[i].row;
        r.stem = stem;
        explain_job(&e, &s, &(struct explain_job){.row = &r, .verdict = ""});
        assert_string_equal(e.reasons[0].todo, todos[i].todo);
        arena_free(&a);
    }
}

static void test_what_outlives_the_daemon(void **state)
{
    char words[128];
    struct arena a = {0};
    struct explanation e = {.arena = &a};
    struct explain_state s = state_of(ASK_NOBODY, NULL);
    struct job_row r = {.path = path, .stem = stem};
    (void)state;
    s.paused = s.lost_state = true;
    s.account = "402";
    explain_job(&e, &s, &(struct explain_job){.row = &r, .verdict = ""});
    words_of(&e, words, sizeof words);
    assert_string_equal(words, "no_daemon paused lost-state account");
    assert_int_equal(e.before, -1);
    arena_free(&a);
}

static void test_reasons_without_end(void **state)
{
    struct status_hold many[STATUS_HOLDS_MAX];
    struct arena a = {0};
    struct explanation e = {.arena = &a};
    struct job_row r = {.path = path, .stem = stem, .blocked = 4};
    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = paused;
    const struct status status = {.holds = many, .nholds = COUNT(many)};
    const struct explain_state s = state_of(ASK_ANSWERED, &status);
    explain_job(&e, &s, &(struct explain_job){.row = &r, .verdict = ""});
    assert_int_equal(e.count, REASONS_MAX);
    assert_string_equal(e.reasons[0].word, "held");
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_what_to_do),
        cmocka_unit_test(test_what_outlives_the_daemon),
        cmocka_unit_test(test_reasons_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
