#!/bin/bash
# Installs what is missing, builds with gcc, with clang and with sanitizers, warnings being errors
# everywhere, and runs every test against the plain and the sanitized build in one run of ctest, whose
# own summary is the last line.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

build() {
    local preset=$1 log=build/$1.log
    printf '== Build %s\n' "$preset"
    mkdir -p build
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$log" 2>&1 </dev/null; then
        tail -n 80 "$log"
        echo "The build $preset failed; all of its output is in $log" >&2
        exit 1
    fi
}

echo "== Packages"
contrib/install-packages.sh contrib/debian-packages.txt </dev/null

build release
build release-clang
build asan

# ctest reads this file as it reads the ones that cmake writes: both builds become one run.
mkdir -p build/check
for preset in release asan; do
    printf 'subdirs("%s/build/%s")\n' "$PWD" "$preset"
done >build/check/CTestTestfile.cmake

echo "== Tests"
status=0
ctest --test-dir build/check --output-on-failure --no-tests=error -j 2 </dev/null 2>&1 | tee build/check.log || status=$?

left=$(find /proc -maxdepth 2 -name exe -lname "$PWD/build/*" 2>/dev/null || true)
if [ -n "$left" ]; then
    echo "The tests left programs of this build running:" >&2
    xargs ls -l <<<"$left" >&2
    status=1
fi

# Times and labels follow the summary in ctest's output; whoever reads only the last line reads this.
if ! grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' build/check.log | tail -n 1 | grep .; then
    echo "ctest gave no summary" >&2
    status=1
fi
exit "$status"
