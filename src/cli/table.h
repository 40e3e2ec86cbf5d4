/* table - rows in columns that fit a width. The first rows decide how wide each column is; later ones are cut
 * to that, so that a table of any length needs little memory. */
#ifndef FLOWSPOOL_CLI_TABLE_H
#define FLOWSPOOL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 6
#define TABLE_SAMPLE      200

struct table_column {
    const char *title;
    size_t least; /* columns it keeps when there is not enough room; 0: never cut */
};

struct table;
/* columns must outlive the table. NULL: no memory. */
struct table *table_open(FILE *out, const struct table_column *columns, size_t count, size_t width);
/* One cell a column, without control characters. colour: of the cell in the column `coloured`, or NULL.
 * False: no memory. */
bool table_row(struct table *t, const char *const cells[], size_t coloured, const char *colour);
/* Prints what is kept back; the title too when there was no row. False: no memory. */
bool table_close(struct table *t);

#endif
