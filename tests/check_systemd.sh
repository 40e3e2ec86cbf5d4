#!/bin/bash
# What systemd itself says of the units: that it understands them, and how much they expose.
#
#   tests/check_systemd.sh
set -euo pipefail
cd "$(dirname "$0")/.."

most=1.2 # of the units as they are
most_with_owners=2.0

scratch=$(mktemp -d /tmp/flowspool-systemd.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "$*" >&2
    exit 1
}

# The number in "→ Overall exposure level for UNIT: 1.1 OK"
exposure() {
    systemd-analyze security --no-pager --offline=true "$1" 2>/dev/null |
        sed -n 's/^.*Overall exposure level for [^:]*: \([0-9.]*\) .*$/\1/p'
}

check() { # UNIT MOST
    local unit=$1 score complaints
    complaints=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "${unit##*/}" || true)
    [ -z "$complaints" ] || fail "$complaints"
    score=$(exposure "$unit")
    [ -n "$score" ] || fail "${unit##*/}: systemd-analyze names no exposure"
    awk -v score="$score" -v most="$2" 'BEGIN { exit score > most }' ||
        fail "${unit##*/}: the exposure is $score, more than $2"
    echo "${unit##*/}: exposure $score"
}

for unit in flowspoold flowspoold@night; do
    sed 's|@FLOWSPOOLD@|/bin/true|' "contrib/systemd/${unit%night}.service" >"$scratch/$unit.service"
    check "$scratch/$unit.service" "$most"
done
cat "$scratch/flowspoold.service" contrib/systemd/owners.conf >"$scratch/flowspoold-owners.service"
check "$scratch/flowspoold-owners.service" "$most_with_owners"

# Longer than the daemon may take to stop, and not started again where that helps nobody.
grace=$(sed -n 's/.*{"shutdown_grace".*"\([0-9]*\)s".*/\1/p' src/io/config_keys.c)
for unit in "$scratch"/flowspoold{,@night}.service; do
    stop=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' "$unit")
    [ "$stop" -gt "$grace" ] || fail "${unit##*/}: TimeoutStopSec is $stop, shutdown_grace $grace"
    grep -q '^RestartPreventExitStatus=.*\b2\b.*\b4\b' "$unit" || fail "${unit##*/}: it restarts after 2 or 4"
done

mkdir -p "$scratch/root/etc"
: >"$scratch/root/etc/passwd"
: >"$scratch/root/etc/group"
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers --dry-run --root="$scratch/root" "$PWD/contrib/systemd/flowspool.sysusers.conf" >/dev/null 2>&1 ||
        fail "flowspool.sysusers.conf is not understood"
fi
