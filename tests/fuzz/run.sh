#!/bin/sh
# Runs every fuzz target for a while and prints what it did: executions, how many a second, findings.
#
#   tests/fuzz/run.sh [SECONDS [TARGET...]]      60 seconds each, all of them
#
# What is found is kept in build/fuzz/findings, the inputs that reach new code in build/fuzz/corpus, from where
# the next run goes on. A finding becomes a seed in tests/fuzz/corpus/TARGET when it is fixed.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "${JOBS:-2}" >/dev/null
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi

build=build/fuzz
found=0
mkdir -p $build/findings
printf '%-14s %12s %9s %9s\n' target executions exec/s findings
for target in "$@"; do
    case $target in
    governor) longest=3000 ;;
    headers) longest=200 ;;
    reply) longest=2048 ;;
    *) longest=8192 ;;
    esac
    corpus=$build/corpus/$target log=$build/findings/$target.log
    mkdir -p "$corpus"
    status=0
    UBSAN_OPTIONS=print_stacktrace=1 nice $build/tests/fuzz_"$target" -max_total_time="$seconds" \
        -max_len=$longest -timeout=30 -rss_limit_mb=512 -malloc_limit_mb=64 -print_final_stats=1 -artifact_prefix=$build/findings/"$target"- \
        "$corpus" tests/fuzz/corpus/"$target" >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    findings=$(find $build/findings -name "$target-*" -newer "$build/tests/fuzz_$target" | wc -l)
    printf '%-14s %12s %9s %9s\n' "$target" "${runs:--}" "${rate:--}" "$findings"
    if [ "$status" -ne 0 ]; then
        found=1
        grep -m1 -E 'not true|ERROR|runtime error' "$log" || tail -n 3 "$log"
    fi
done
exit $found
