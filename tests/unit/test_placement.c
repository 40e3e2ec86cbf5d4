/* Placement: the next step of one outcome, and that such steps, in any order, cut by crashes, over names that
 * change all the time, bring every outcome to where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/placement.h"

/* ---- one step ---- */

static const struct step_case {
    const char *name;
    struct placement p;
    size_t nthere;
    struct placement there[2];
    enum placement_step want;
    size_t in_way;
} steps[] = {
    {.name = "in place", .p = {"a", "a", NULL, true, true, false}, .want = PLACEMENT_NONE},
    {.name = "superseded", .p = {"a", "b", NULL, false, true, false}, .want = PLACEMENT_NONE},
    {.name = "elsewhere", .p = {"a", "b", NULL, true, true, false}, .want = PLACEMENT_MOVE},
    {.name = "kept", .p = {"a", NULL, "k", true, true, false}, .want = PLACEMENT_MOVE},
    {.name = "kept, and still in place", .p = {"a", "a", "k", true, true, false}, .want = PLACEMENT_MOVE},
    {.name = "a result that is nowhere", .p = {"a", NULL, NULL, true, true, false}, .want = PLACEMENT_RECORD},
    {.name = "an error that is nowhere", .p = {"a", NULL, NULL, true, false, false}, .want = PLACEMENT_WRITE},
    {.name = "a result in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 1,
     .there = {{"c", "a", NULL, true, true, false}},
     .want = PLACEMENT_KEEP},
    {.name = "a superseded result in the way",
     .p = {"a", NULL, NULL, true, false, false},
     .nthere = 1,
     .there = {{"a", "a", NULL, false, true, false}},
     .want = PLACEMENT_KEEP},
    {.name = "an error that is to move is in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 1,
     .there = {{"c", "a", NULL, true, false, false}},
     .want = PLACEMENT_KEEP},
    {.name = "an error that may have been charged is in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 1,
     .there = {{"a", "a", NULL, false, false, true}},
     .want = PLACEMENT_KEEP},
    {.name = "a superseded error is not in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 1,
     .there = {{"a", "a", NULL, false, false, false}},
     .want = PLACEMENT_MOVE},
    {.name = "what is kept is not in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 1,
     .there = {{"c", "a", "k", true, true, false}},
     .want = PLACEMENT_MOVE},
    {.name = "the second is in the way",
     .p = {"a", "b", NULL, true, true, false},
     .nthere = 2,
     .there = {{"c", "a", "k", true, true, false}, {"d", "a", NULL, true, true, false}},
     .want = PLACEMENT_KEEP,
     .in_way = 1},
    {.name = "nothing is in the way of what is only to be noted",
     .p = {"a", NULL, NULL, true, true, false},
     .nthere = 1,
     .there = {{"c", "a", NULL, true, true, false}},
     .want = PLACEMENT_RECORD},
};

static void every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step_case *c = &steps[i];
        size_t in_way = 99;
        enum placement_step got = placement_next(&c->p, c->there, c->nthere, &in_way);
        if (got != c->want || (got == PLACEMENT_KEEP && in_way != c->in_way))
            fail_msg("%s: step %d, in the way %zu", c->name, (int)got, in_way);
    }
}

/* ---- many steps: jobs that trade names, files that say whose they are ---- */

#define JOBS 7

static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"};
static const char *const kept_names[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6"};
#define NAMES (sizeof names / sizeof names[0])

enum { NO_FILE = -1 };

struct model {
    struct placement jobs[JOBS];  /* what is recorded */
    int spool[NAMES], kept[JOBS]; /* what lies there: whose outcome it is */
    bool collected[JOBS];         /* somebody took it, or a copy of it, from the spool */
    bool alike;                   /* all have the same request: a file does not tell them apart */
    uint64_t random;
};

static uint64_t draw(struct model *m, uint64_t below)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->random >> 33) % below;
}

static size_t index_of(const char *name)
{
    return (size_t)(name[1] - '0');
}

/* Current jobs have the names of a permutation; now and then one has none, as if its file had been replaced.
 */
static void trade_names(struct model *m, bool all_current)
{
    size_t order[NAMES];
    for (size_t i = 0; i < NAMES; i++) {
        size_t j = draw(m, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < JOBS; i++) {
        m->jobs[i].current = all_current || draw(m, 4) != 0;
        if (m->jobs[i].current)
            m->jobs[i].stem = names[order[i]];
    }
}

enum crash { NO_CRASH, BEFORE_REMOVAL, BEFORE_RECORD };

/* As the publisher does it: kept first, then taken over, then removed. */
/* False: it was not there. */
static bool move_file(struct model *m, size_t job, enum crash crash)
{
    struct placement *p = &m->jobs[job];
    int *from = p->kept != NULL ? &m->kept[index_of(p->kept)] : &m->spool[index_of(p->placed)];
    int *to = &m->spool[index_of(p->stem)];
    int file = *from;
    bool own = file != NO_FILE && (m->alike || file == (int)job);
    if (!own)
        return false; /* collected, or done before a crash */
    if (*to != NO_FILE && *to != file)
        assert_int_equal(m->kept[*to], *to); /* else it would be lost */
    *to = file;
    if (crash == BEFORE_REMOVAL)
        return true;
    if (p->kept != NULL && p->placed != NULL && &m->spool[index_of(p->placed)] != to &&
        m->spool[index_of(p->placed)] == file)
        m->spool[index_of(p->placed)] = NO_FILE;
    if (from != to)
        *from = NO_FILE;
    return true;
}

static void record_absence(struct placement *p)
{
    p->placed = p->current ? p->stem : NULL;
    p->kept = NULL;
}

static void record_move(struct model *m, size_t job)
{
    struct placement *p = &m->jobs[job];
    for (size_t i = 0; i < JOBS; i++)
        if (i != job && m->jobs[i].placed != NULL && strcmp(m->jobs[i].placed, p->stem) == 0)
            m->jobs[i].placed = NULL;
    p->placed = p->stem;
    p->kept = NULL;
}

static void keep_file(struct model *m, size_t job, enum crash crash)
{
    struct placement *p = &m->jobs[job];
    int file = m->spool[index_of(p->placed)];
    if (m->alike ? file == NO_FILE
                 : file != (int)job) { /* its move was cut by a crash: it is there already */
        record_absence(p);
        return;
    }
    assert_int_equal(file, job);
    m->kept[job] = file;
    if (crash == NO_CRASH)
        p->kept = kept_names[job];
}

/* False: this job is where it belongs. */
static bool step(struct model *m, size_t job, enum crash crash)
{
    struct placement *p = &m->jobs[job], there[JOBS];
    size_t who[JOBS], n = 0, in_way = 0;
    for (size_t i = 0; i < JOBS; i++) {
        if (i == job || m->jobs[i].placed == NULL || strcmp(m->jobs[i].placed, p->stem) != 0)
            continue;
        who[n] = i;
        there[n++] = m->jobs[i];
    }
    switch (placement_next(p, there, n, &in_way)) {
    case PLACEMENT_NONE:
        return false;
    case PLACEMENT_KEEP:
        keep_file(m, who[in_way], crash);
        return true;
    case PLACEMENT_MOVE:
        if (!move_file(m, job, crash))
            record_absence(p);
        else if (crash == NO_CRASH)
            record_move(m, job);
        return true;
    case PLACEMENT_RECORD:
        assert_true(m->collected[job]);
        record_absence(p);
        return true;
    default:
        fail_msg("an outcome got lost");
        return false;
    }
}

static bool some_step_is_left(struct model *m)
{
    for (size_t i = 0; i < JOBS; i++)
        if (step(m, i, NO_CRASH))
            return true;
    return false;
}

/* After a crash every step that may have been cut is done again before names can change. */
static void start_again(struct model *m)
{
    size_t first = draw(m, JOBS);
    for (size_t i = 0; i < JOBS; i++)
        step(m, (first + i) % JOBS, NO_CRASH);
}

static void collect(struct model *m, size_t name)
{
    if (m->spool[name] == NO_FILE)
        return;
    m->collected[m->spool[name]] = true;
    m->spool[name] = NO_FILE;
}

static void play(uint64_t seed, bool alike)
{
    struct model m = {.alike = alike, .random = seed};
    for (size_t i = 0; i < NAMES; i++)
        m.spool[i] = i < JOBS ? (int)i : NO_FILE;
    for (size_t i = 0; i < JOBS; i++) {
        m.kept[i] = NO_FILE;
        m.jobs[i] = (struct placement){names[i], names[i], NULL, true, true, false};
    }
    for (int i = 0; i < 60; i++) {
        enum crash crash = draw(&m, 3) != 0 ? NO_CRASH : draw(&m, 2) == 0 ? BEFORE_REMOVAL : BEFORE_RECORD;
        step(&m, draw(&m, JOBS), crash);
        if (crash != NO_CRASH)
            start_again(&m);
        if (draw(&m, 6) == 0)
            trade_names(&m, false);
        if (!alike && draw(&m, 20) == 0)
            collect(&m, draw(&m, NAMES));
    }
    trade_names(&m, true);
    for (int i = 0; some_step_is_left(&m); i++)
        assert_true(i < 10 * JOBS);
    for (size_t i = 0; i < JOBS; i++) {
        int there = m.spool[index_of(m.jobs[i].stem)];
        if (there != (int)i && !(m.collected[i] && there == NO_FILE))
            fail_msg("seed %llu: outcome %zu is not at %s", (unsigned long long)seed, i, m.jobs[i].stem);
        assert_string_equal(m.jobs[i].placed, m.jobs[i].stem);
        assert_null(m.jobs[i].kept);
    }
}

static void every_outcome_gets_where_it_belongs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++)
        play(seed, false);
}

static void outcomes_of_the_same_request_are_not_mixed_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++)
        play(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step),
        cmocka_unit_test(every_outcome_gets_where_it_belongs),
        cmocka_unit_test(outcomes_of_the_same_request_are_not_mixed_up),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
