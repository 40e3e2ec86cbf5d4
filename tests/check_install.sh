#!/bin/bash
# Installs a build into an empty directory and uses the library from there as a stranger would.
#
#   tests/check_install.sh BUILD COMPILER LIBDIR
set -euo pipefail
build=$1 compiler=$2 libdir=$3

prefix=$(mktemp -d /tmp/flowspool-install.XXXXXX) # without spaces: pkg-config(1) quotes badly
started=()
on_exit() {
    [ "${#started[@]}" -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait
    rm -rf "$prefix"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
fail() {
    echo "$*" >&2
    exit 1
}

cmake --install "$build" --prefix "$prefix" >/dev/null
for file in bin/flowspool bin/flowspool-sandbox sbin/flowspoold include/flowspool/flowspool.h \
    "$libdir/libflowspool.a" "$libdir/libflowspool.so" "$libdir/libflowspool.so.0"; do
    [ -e "$prefix/$file" ] || fail "not installed: $file"
done
for example in submit_and_wait.c submit.py Makefile pipeline.sh; do
    [ -e "$prefix/share/doc/flowspool/examples/$example" ] || fail "not installed: the example $example"
done
for page in flowspool.1 flowspool-sandbox.1 libflowspool.3 flowspool.yaml.5 flowspool-job.5 flowspoold.8; do
    [ -e "$prefix/share/man/man${page##*.}/$page" ] || fail "not installed: the manual page $page"
done
for program in flowspool flowspoold flowspool-sandbox; do
    for file in "bash-completion/completions/$program" "fish/vendor_completions.d/$program.fish"; do
        [ -e "$prefix/share/$file" ] || fail "not installed: the completion $file"
    done
done
[ -e "$prefix/share/zsh/site-functions/_flowspool" ] || fail "not installed: the completion for zsh"

for file in lib/systemd/system/flowspoold.service lib/systemd/system/flowspoold@.service lib/sysusers.d/flowspool.conf \
    lib/tmpfiles.d/flowspool.conf share/doc/flowspool/examples/logrotate share/doc/flowspool/examples/owners.conf; do
    [ -e "$prefix/$file" ] || fail "not installed: $file"
done
grep -q '^ExecStart=/.*/flowspoold -c ' "$prefix/lib/systemd/system/flowspoold.service" ||
    fail "flowspoold.service starts no program"

# Only public names, in both forms: a program that links the archive may have its own job_event().
for library in "-D $prefix/$libdir/libflowspool.so" "$prefix/$libdir/libflowspool.a"; do
    # shellcheck disable=SC2086 # the option and the file
    names=$(nm --extern-only --defined-only --format=posix $library | awk 'NF > 1 { print $1 }' | sort -u)
    grep -qx flowspool_check <<<"$names" || fail "$library does not export flowspool_check"
    strays=$(grep -v '^flowspool_' <<<"$names") && fail "$library exports $strays"
done

# What only the programs need stays out of other people's programs.
needed=$(readelf --dynamic "$prefix/$libdir/libflowspool.so")
grep -q 'SONAME.*\[libflowspool\.so\.0\]' <<<"$needed" || fail "the shared library has no versioned soname"
strangers=$(grep -E 'NEEDED.*lib(uv|sqlite3|curl|microhttpd)' <<<"$needed") && fail "the library needs $strangers"

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
# build SOURCE PROGRAM: PROGRAM-shared and PROGRAM-static
# shellcheck disable=SC2046 # each flag is a word
build_both() {
    "$compiler" -Wall -Wextra -Werror "$1" $(flags --cflags --libs) -o "$2-shared"
    "$compiler" -Wall -Wextra -Werror "$1" $(flags --cflags) "$prefix/$libdir/libflowspool.a" \
        $(flags --static --libs-only-l | sed 's/-lflowspool//') -o "$2-static"
}
build_both "$prefix/use.c" "$prefix/use"
version=$(pkg-config --modversion flowspool)
[ "$(LD_LIBRARY_PATH=$prefix/$libdir "$prefix/use-shared")" = "$version" ] || fail "the shared library does not work"
[ "$("$prefix/use-static")" = "$version" ] || fail "the archive does not work"

# The header is C++ as well.
"${CXX:-c++}" -x c++ -Wall -Wextra -Werror -fsyntax-only "$prefix/include/flowspool/flowspool.h"

# The C example, from where it is installed, against the programs that are installed.
example=$prefix/example
build_both "$prefix/share/doc/flowspool/examples/submit_and_wait.c" "$example"
spool=$prefix/spool
mkdir "$spool"
(umask 077 && echo install-key >"$prefix/key")
wait_until() {
    local i
    for ((i = 0; i < 300; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}
"$prefix/bin/flowspool-sandbox" --port 0 --port-file "$prefix/port" --any-workflow --key-file "$prefix/key" \
    --limiter none >"$prefix/sandbox.log" 2>&1 </dev/null &
started+=($!)
wait_until test -s "$prefix/port" || fail "the sandbox does not start: $(cat "$prefix/sandbox.log")"
"$prefix/sbin/flowspoold" --spool "$spool" --endpoint "http://127.0.0.1:$(cat "$prefix/port")" \
    --api-key-file "$prefix/key" >"$prefix/daemon.log" 2>&1 </dev/null &
started+=($!)
for form in shared static; do
    printed=$(LD_LIBRARY_PATH=$prefix/$libdir timeout 60 "$example-$form" "$spool" wf_story "a $form dog") ||
        fail "the example ($form) fails; the daemon says: $(cat "$prefix/daemon.log")"
    grep -q "a $form dog" <<<"$printed" || fail "the example ($form) prints: $printed"
done
status=0
LD_LIBRARY_PATH=$prefix/$libdir "$example-shared" "$spool" 'wf bad' x 2>"$prefix/refused" || status=$?
[ "$status" -eq 1 ] || fail "the example ends with status $status for a bad workflow"
grep -q '^workflow must be' "$prefix/refused" || fail "the example says: $(cat "$prefix/refused")"
