#!/bin/bash
# Installs what is missing, builds with gcc, with clang and with sanitizers, warnings being errors
# everywhere, and runs every test against the plain and the sanitized build, the unit tests against the one
# by clang too, and clang-tidy, in one run of ctest, whose own summary is the last line. About ten minutes on
# two cores. Leaves nothing running, also when it is interrupted.
# shellcheck disable=SC2317 # what the trap calls is reached
set -euo pipefail
unset CDPATH
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() {
    printf '== %s\n' "$*"
}

build() {
    local preset=$1 log=build/$1.log begun=$SECONDS
    mkdir -p build
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$log" 2>&1 </dev/null; then
        tail -n 80 "$log"
        echo "The build $preset failed; all of its output is in $PWD/$log" >&2
        exit 1
    fi
    say "Built $preset in $((SECONDS - begun)) s"
}

# The processes of this run: programs built here, and whatever has the mark that ctest hands on. Those that
# ran before are somebody else's.
earlier=
mark=
ours_running() {
    {
        find /proc -maxdepth 2 -name exe -printf '%h %l\n' 2>/dev/null |
            awk -v here="$PWD/build/" 'index(substr($0, index($0, " ") + 1), here) == 1 { print $1 }'
        [ -z "$mark" ] || grep -lzxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null | sed 's,/environ$,,'
    } | sed 's,^/proc/,,' | sort -u | grep -vxF -e "$earlier" || true
}

end_ours() {
    local pid i
    for i in TERM TERM TERM TERM KILL; do
        [ -n "$(ours_running)" ] || return 0
        for pid in $(ours_running); do
            kill -s "$i" "$pid" 2>/dev/null || true
        done
        sleep 0.5
    done
}

ctest=
scratch=
on_exit() {
    local status=$?
    trap '' INT TERM HUP
    if [ -n "$ctest" ]; then
        kill -s TERM -- "-$ctest" 2>/dev/null || true
    fi
    [ -z "$mark" ] || end_ours
    if [ -n "$scratch" ]; then
        # What a test that was ended had mounted.
        awk -v here="$scratch/" 'index($5, here) == 1 { print $5 }' /proc/self/mountinfo |
            xargs -r -d '\n' umount -l || true
        [ "$status" -eq 1 ] || rm -rf "$scratch"
    fi
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

say "Packages"
contrib/install-packages.sh contrib/debian-packages.txt </dev/null
# shellcheck source=contrib/environment.sh
. contrib/environment.sh

earlier=$(ours_running)
if [ -n "$earlier" ]; then
    say "Programs built here are running already; they are left alone: $(tr '\n' ' ' <<<"$earlier")"
fi

build release
build release-clang
build asan

# ctest reads this file as it reads the ones that cmake writes: the builds become one run. clang-tidy runs by
# itself: it uses every processor, and tests that measure would notice.
mkdir -p build/check
{
    printf 'subdirs([==[%s]==])\n' "$PWD/build/release" "$PWD/build/asan" "$PWD/build/release-clang"
    printf 'add_test(tree.tidy cmake --build [==[%s]==] --target tidy)\n' "$PWD/build/release-clang"
    echo 'set_tests_properties(tree.tidy PROPERTIES TIMEOUT 600 RUN_SERIAL TRUE)'
} >build/check/CTestTestfile.cmake

# Integration tests mostly wait, so more of them run than there are processors.
jobs=$((3 * $(nproc)))
[ "$jobs" -le 16 ] || jobs=16

say "Tests, $jobs at a time"
scratch=$(mktemp -d /tmp/flowspool-check.XXXXXX)
chmod 755 "$scratch" # a test becomes another user
mark=CHECK_OF_FLOWSPOOL=$scratch
status=0
# A process group of its own, which can be ended as one; in the background, so that a signal is acted upon
# at once. What another compiler may do to the whole shows in the parts, in seconds.
set -m
env "$mark" TMPDIR="$scratch" ctest --test-dir build/check --exclude-regex '^clang:(integration|tree|crash|sim)\.' \
    --output-on-failure --no-tests=error -j "$jobs" -O build/check.log </dev/null 2>&1 &
ctest=$!
set +m
wait "$ctest" || status=$?
ctest=

left=$(ours_running)
if [ -n "$left" ]; then
    echo "The tests left these running:" >&2
    for pid in $left; do
        echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")" >&2 || true
    done
    status=1
fi
if [ "$status" -ne 0 ]; then
    status=1
    echo "What the tests wrote is in $scratch, their output in $PWD/build/check.log" >&2
fi

# Times and labels follow the summary in ctest's output; whoever reads only the last line reads this.
if ! grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' build/check.log | tail -n 1 | grep .; then
    echo "ctest gave no summary" >&2
    status=1
fi
exit "$status"
