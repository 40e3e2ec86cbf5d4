#include "cli/namewords.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/names.h"

const char *name_ignored_words(const char *name)
{
    switch (name_classify(name)) {
    case NAME_JOB:
    case NAME_HELD_JOB:
        return NULL;
    case NAME_JOB_LIKE:
        return "its name does not end in .yaml or .yml";
    case NAME_OURS_TEMP:
        return "its name is that of a temporary of flowspoold's";
    case NAME_CONFLICT:
        return "a program that synchronises files has put it aside as a conflicting copy";
    case NAME_OTHER:
        break;
    }
    if (name[0] == '.' || name[0] == '_')
        return "its name begins with '.' or '_'";
    /* Whatever else is taken for unfinished or a copy. */
    return strcasestr(name, ".yaml") != NULL || strcasestr(name, ".yml") != NULL
               ? "its name is that of an unfinished file or of a copy"
               : "its name does not end in .yaml or .yml";
}

const char *path_ignored_words(const char *path)
{
    char part[NAME_MAX + 1];
    for (const char *slash = strchr(path, '/'); slash != NULL; path = slash + 1, slash = strchr(path, '/')) {
        size_t len = (size_t)(slash - path);
        if (len >= sizeof part)
            return "its directory's name is too long";
        memcpy(part, path, len);
        part[len] = '\0';
        if (!name_is_scanned_dir(part))
            return "it lies in a directory whose name begins with '.', '_', '@', '#' or '~'";
    }
    return NULL;
}
