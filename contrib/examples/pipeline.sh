#!/bin/sh
# Runs a workflow for each line of standard input, all at once, and prints the results in the order of the lines.
#
#   printf '%s\n' 'a dog' 'a cat' | FLOWSPOOL_SPOOL=/var/spool/flowspool pipeline.sh wf_story story
#
# The status is 1 when a job failed; the others are printed all the same. This starts a process a line, so it is for
# hundreds of lines. For more, submit them with --name and wait once: flowspool wait 'batch-*.yaml'
set -eu

if [ $# -ne 2 ]; then
    echo "usage: pipeline.sh WORKFLOW KEY < LINES" >&2
    exit 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The same line twice is two jobs, for it is submitted under two names.
count=0
while IFS= read -r line; do
    count=$((count + 1))
    (
        status=0
        flowspool submit --wait "$1" "$2=$line" >"$scratch/$count" || status=$?
        echo "$status" >"$scratch/$count.status"
    ) &
done
wait

failed=0
number=0
while [ "$number" -lt "$count" ]; do
    number=$((number + 1))
    cat "$scratch/$number"
    [ "$(cat "$scratch/$number.status")" = 0 ] || failed=1
done
exit "$failed"
