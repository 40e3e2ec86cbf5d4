#!/bin/bash
# Installs a build into an empty directory and uses the library from there as a stranger would.
#
#   tests/check_install.sh BUILD COMPILER LIBDIR
set -euo pipefail
build=$1 compiler=$2 libdir=$3

prefix=$(mktemp -d /tmp/flowspool-install.XXXXXX) # without spaces: pkg-config(1) quotes badly
trap 'rm -rf "$prefix"' EXIT
fail() {
    echo "$*" >&2
    exit 1
}

cmake --install "$build" --prefix "$prefix" >/dev/null
for file in bin/flowspool bin/flowspool-sandbox sbin/flowspoold include/flowspool/flowspool.h \
    "$libdir/libflowspool.a" "$libdir/libflowspool.so" "$libdir/libflowspool.so.0"; do
    [ -e "$prefix/$file" ] || fail "not installed: $file"
done
for page in flowspool.1 flowspool-sandbox.1 flowspool.yaml.5 flowspool-job.5 flowspoold.8; do
    [ -e "$prefix/share/man/man${page##*.}/$page" ] || fail "not installed: the manual page $page"
done

# Only public names, in both forms: a program that links the archive may have its own job_event().
for library in "-D $prefix/$libdir/libflowspool.so" "$prefix/$libdir/libflowspool.a"; do
    # shellcheck disable=SC2086 # the option and the file
    names=$(nm --extern-only --defined-only --format=posix $library | awk 'NF > 1 { print $1 }' | sort -u)
    grep -qx flowspool_check <<<"$names" || fail "$library does not export flowspool_check"
    strays=$(grep -v '^flowspool_' <<<"$names") && fail "$library exports $strays"
done

export PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
cat >"$prefix/use.c" <<'C'
#include <flowspool/flowspool.h>
#include <stdio.h>
#include <string.h>

/* A name that the library uses inside as well. */
int jobfile_parse(void);
int jobfile_parse(void)
{
    return 1;
}

int main(void)
{
    static const char text[] = "workflow: wf_a\ninputs: {}\n";
    struct flowspool_error *error = NULL;
    printf("%s\n", flowspool_version());
    return jobfile_parse() == 1 && flowspool_check(text, strlen(text), &error) == 1 ? 0 : 1;
}
C
flags() {
    pkg-config --define-variable=prefix="$prefix" "$@" flowspool
}
# shellcheck disable=SC2046 # each flag is a word
{
    "$compiler" "$prefix/use.c" $(flags --cflags --libs) -o "$prefix/use-shared"
    "$compiler" "$prefix/use.c" $(flags --cflags) "$prefix/$libdir/libflowspool.a" \
        $(flags --static --libs-only-l | sed 's/-lflowspool//') -o "$prefix/use-static"
}
version=$(pkg-config --modversion flowspool)
[ "$(LD_LIBRARY_PATH=$prefix/$libdir "$prefix/use-shared")" = "$version" ] || fail "the shared library does not work"
[ "$("$prefix/use-static")" = "$version" ] || fail "the archive does not work"

# The header is C++ as well.
"${CXX:-c++}" -x c++ -Wall -Wextra -Werror -fsyntax-only "$prefix/include/flowspool/flowspool.h"
