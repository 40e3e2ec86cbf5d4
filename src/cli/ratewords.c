#include "cli/ratewords.h"

#include <stdlib.h>
#include <string.h>

void rate_parts(struct paragraph *p, const char *separator, const struct learned *l, bool past)
{
    char words[LEARNED_WORDS_SIZE];
    learned_words(l, past, words);
    for (char *part = words, *next; part != NULL; part = next) {
        next = strstr(part, "; ");
        if (next != NULL) {
            *next = '\0';
            next += 2;
        }
        paragraph_part(p, separator, NULL, "%s", part);
        separator = ";";
    }
}

void rate_json(struct json_line *j, const struct learned *l)
{
    if (l == NULL) {
        json_raw(j, "learned", "null");
        return;
    }
    json_open(j, "learned");
    json_text(j, "mode", l->mode);
    json_known(j, "limit", l->limit);
    json_text(j, "window_kind", l->window_kind);
    json_known(j, "window_ms", l->window_ms);
    json_text(j, "source", l->source);
    json_number(j, "replies", l->replies);
    json_known(j, "after_ms", l->after_ms);
    json_real(j, "per_second", l->per_second);
    json_known(j, "last_429_ago_ms", l->last_429_ago_ms);
    json_close(j);
}

bool rate_stored(struct store *s, int64_t now_ms, struct arena *a, struct tuning *out)
{
    char *text = store_get(s, TUNING_STORED);
    bool read = text != NULL && tuning_parse(text, a, out);
    free(text);
    return read && out->at_ms > 0 && out->at_ms <= now_ms && out->learned.mode[0] != '\0';
}
