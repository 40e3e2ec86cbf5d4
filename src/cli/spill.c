#include "cli/spill.h"

#include <stdlib.h>
#include <string.h>

bool spill_open(struct spill *s)
{
    *s = (struct spill){.file = tmpfile()};
    return s->file != NULL;
}

void spill_close(struct spill *s)
{
    if (s->file != NULL)
        fclose(s->file);
    *s = (struct spill){0};
}

/* To the end, which is where it stands unless something was read: seeking empties the buffer. */
static bool begin(struct spill *s)
{
    if (s->reading && fseeko(s->file, 0, SEEK_END) != 0)
        return false;
    s->reading = false;
    return true;
}

int64_t spill_add_two(struct spill *s, const char *text, const char *more)
{
    size_t len = strlen(text), size = strlen(more) + 1;
    int64_t at = s->size;
    if (!begin(s) || fwrite(text, 1, len, s->file) != len || fwrite(more, 1, size, s->file) != size)
        return -1;
    s->size += (int64_t)(len + size);
    return at;
}

int64_t spill_add(struct spill *s, const char *text)
{
    return spill_add_two(s, text, "");
}

char *spill_get(struct spill *s, int64_t at)
{
    char *text = NULL;
    size_t room = 0;
    s->reading = true;
    if (fseeko(s->file, at, SEEK_SET) != 0)
        return NULL;
    if (getdelim(&text, &room, '\0', s->file) > 0)
        return text;
    free(text);
    return NULL;
}
