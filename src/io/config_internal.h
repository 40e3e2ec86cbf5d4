/* config_internal - what the files of config share; nobody else includes it.
 *
 * config_keys.c  the table of keys: default, range, meaning, and how a value is read
 * config.c       the file, the overrides, and what must fit together
 */
#ifndef FLOWSPOOL_IO_CONFIG_INTERNAL_H
#define FLOWSPOOL_IO_CONFIG_INTERNAL_H

#include <stddef.h>

#include "io/config.h"

#define CONFIG_KEYS 35

enum key_kind {
    KEY_TEXT,
    KEY_BOOL,
    KEY_INT,      /* int */
    KEY_COUNT,    /* int64_t */
    KEY_NUMBER,   /* double */
    KEY_DURATION, /* int64_t ms */
    KEY_SIZE,     /* int64_t bytes */
    KEY_PERCENT,  /* int */
    KEY_CHOICE,   /* by key: int for inputs_as, bool for on_ambiguous */
};

struct key {
    const char *name; /* "rate.limit" is the key limit of the mapping rate */
    enum key_kind kind;
    size_t offset;
    const char *preset; /* default, as one would write it */
    int64_t min, max;   /* in the unit stored; not for text, bool, choice */
    const char *range;  /* min and max as people write them */
    const char *what;
};

extern const struct key config_keys[CONFIG_KEYS];
/* NULL: there is none of that name. */
const struct key *config_find_key(const char *name);
/* The key that somebody may have meant, or NULL. */
const char *config_similar_key(const char *name);
/* What a value of this key is, for messages: "a duration such as 10s, 5m or 8h". */
const char *config_kind_name(const struct key *k);
/* False: not a value of this key, or no memory. */
bool config_set_value(struct config *c, const struct key *k, const char *text);

#endif
