#!/bin/bash
# Installs the Debian packages that the given lists name, one a line, as far as they are missing.
# Root, or sudo, is needed only when something is missing.
#
#   contrib/install-packages.sh LIST...
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: $0 LIST..." >&2
    exit 2
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This script knows Debian and its relatives only. What is needed elsewhere, by its Debian names:" >&2
    cat "$@" >&2
    exit 1
fi

mapfile -t wanted < <(cat "$@")
installed=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' 2>/dev/null |
    sed -n 's/^\([^ :]*\)[^ ]* installed$/\1/p')
missing=()
for package in "${wanted[@]}"; do
    grep -qxF -e "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "Every package that is needed is installed."
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "These packages are missing; install them as root, or run this as root:" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing ${#missing[@]} missing packages: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Color=0)
umask 022 # what packages create is for everybody
log=$(mktemp /tmp/flowspool-apt.XXXXXX)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "The packages could not be installed: see above." >&2
    exit 1
fi
