/* cases - the rows of the table, and what each is to reach. */
#ifndef FLOWSPOOL_SIM_CASES_H
#define FLOWSPOOL_SIM_CASES_H

#include "simulator.h"

struct target {
    double mean, worst; /* efficiency; 0: none */
    double refused;     /* share of all requests, in percent; < 0: none */
};

struct row {
    const char *group, *name;
    struct scenario scenario;
    struct target target;
};

extern const struct row rows[];
extern const int row_count;

#endif
