#!/bin/bash
# From a fresh Debian 12 to the first results: installs what is missing, builds, serves the endpoint on
# this machine with flowspool-sandbox, runs the jobs in jobs/ through flowspoold into a scratch spool and
# shows what came out. Nothing is sent to the network but to the package mirror; nothing is left running.
set -euo pipefail
unset CDPATH
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

bin=build/release/bin
sandbox=

say() {
    printf '\n== %s\n' "$*"
}

# Runs a command quietly; only when it fails is its output worth reading.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        echo "Failed: $*" >&2
        return 1
    fi
    rm -f "$log"
}

stop_sandbox() {
    [ -n "$sandbox" ] || return 0
    kill "$sandbox" 2>/dev/null || true
    wait "$sandbox" 2>/dev/null || true
    sandbox=
}
trap stop_sandbox EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "1. Packages"
contrib/install-packages.sh contrib/debian-packages.txt </dev/null
# shellcheck source=contrib/environment.sh
. contrib/environment.sh

say "2. Build, into build/release"
quietly cmake --preset release -DFLOWSPOOL_TESTS=OFF
quietly cmake --build --preset release
"$bin/flowspoold" --version

say "3. An endpoint on this machine"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/flowspool-quickstart.XXXXXX")
spool=$scratch/spool
mkdir "$spool"
key_file=$scratch/api-key
(umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$key_file")
# Ends with this script, however that ends.
setpriv --pdeathsig TERM "$bin/flowspool-sandbox" --port 0 --port-file "$scratch/port" \
    --workflows contrib/sandbox-workflows.yaml --key-file "$key_file" --latency uniform:200ms,900ms \
    --limiter sliding --limit 10 --window 1s >"$scratch/sandbox.log" 2>&1 </dev/null &
sandbox=$!
for ((i = 0; i < 100; i++)); do
    [ ! -s "$scratch/port" ] || break
    kill -0 "$sandbox" 2>/dev/null || break
    sleep 0.1
done
if [ ! -s "$scratch/port" ]; then
    cat "$scratch/sandbox.log" >&2
    echo "The sandbox did not start: see above." >&2
    exit 1
fi
endpoint=http://127.0.0.1:$(cat "$scratch/port")
echo "flowspool-sandbox answers at $endpoint, 10 requests a second, 0.2 to 0.9 s each."

say "4. The jobs, into the spool $spool"
cp jobs/*.yaml jobs/*.yml "$spool/"
jobs=$(cat "$spool"/*.y*ml | grep -c '^workflow:')
ls "$spool"
echo "$jobs jobs in $(find "$spool" -maxdepth 1 -name '*.y*ml' | wc -l) files."

say "5. flowspoold --once"
status=0
setpriv --pdeathsig TERM "$bin/flowspoold" --spool "$spool" --endpoint "$endpoint" --api-key-file "$key_file" \
    --once </dev/null || status=$?
stop_sandbox

say "6. What came out"
find "$spool" -maxdepth 1 \( -name '*.result.json' -o -name '*.error.*' \) -printf '%f\n' | sort
results=$(find "$spool" -maxdepth 1 -name '*.result.json' | wc -l)
example=$spool/story.result.json
if [ -f "$example" ]; then
    echo
    echo "$example:"
    /usr/bin/python3 -m json.tool --no-ensure-ascii "$example"
fi
echo
if [ "$status" -ne 0 ] || [ "$results" -ne "$jobs" ]; then
    echo "Not every job got a result: $results of $jobs, flowspoold ended with status $status. See $scratch" >&2
    exit 1
fi
echo "Each of the $jobs jobs has its result beside it in"
echo "  $spool"
echo "Nothing is left running. Remove $scratch when you have seen enough."
