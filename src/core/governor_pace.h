/* governor_pace - an even pace at a rate that is learned.
 *
 * Where a window is much shorter than the network's jitter can tell, or no header names a limit, requests
 * are not counted but spaced. The rate creeps up with every send that waited for it and is cut for each
 * flight of requests that were refused, and a little for a few more of the same flight, so that about one in
 * a hundred is.
 */
#ifndef FLOWSPOOL_CORE_GOVERNOR_PACE_H
#define FLOWSPOOL_CORE_GOVERNOR_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pacer {
    double rate;   /* sends per ms; 0: none is learned */
    double most;   /* never faster; 0: no bound */
    bool climbing; /* not refused yet: the rate may still be far off */
    int64_t climbed_ms;
    bool coarse;    /* the steps stay large: the rate is not known to be constant */
    int64_t cut_ms; /* requests sent before are of a flight that was cut for */
    int cuts;
    int again;      /* refused of the flight that was cut for last */
    int quiet;      /* sends since the last cut */
    int64_t due_ms; /* the next send, and the fraction of a ms that is still owed */
    double due_fraction;
};

void pacer_set(struct pacer *p, double rate, int64_t now_ms);
/* Before asking for the time of the next send. */
void pacer_climb(struct pacer *p, int64_t now_ms);
/* A send is taken now, `interval_ms` after which the next is due. True: it had waited for the pace. */
bool pacer_step(struct pacer *p, double interval_ms, int64_t now_ms);
/* A send that waited was not refused so far. */
void pacer_grow(struct pacer *p);
/* A request that was sent then was refused; false: of a flight that was cut for before. */
bool pacer_cut(struct pacer *p, int64_t sent_ms, int64_t now_ms);

#endif
