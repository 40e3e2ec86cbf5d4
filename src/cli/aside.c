#include "cli/aside.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"

FILE *aside_open(void)
{
    FILE *aside = tmpfile();
    if (aside == NULL)
        cli_complain("no temporary file: %s", strerror(errno));
    return aside;
}

static bool copy(FILE *from, FILE *to)
{
    char buf[1 << 16];
    size_t n;
    rewind(from);
    while ((n = fread(buf, 1, sizeof buf, from)) > 0)
        if (fwrite(buf, 1, n, to) != n)
            return false;
    return !ferror(from);
}

bool aside_close(FILE *aside, bool wanted)
{
    bool whole = fflush(aside) == 0 && !ferror(aside);
    bool ok = !wanted || (copy(aside, stdout) && whole);
    fclose(aside);
    return ok;
}
