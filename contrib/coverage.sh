#!/bin/sh
# Which branches of src/ the tests take: builds the preset `coverage`, runs the unit tests and the fuzz targets'
# seeds, and prints a table. Programs that a test kills report nothing, so a few branches count for less.
#
#   contrib/coverage.sh                      unit tests
#   contrib/coverage.sh --all                integration tests too, which takes some ten minutes
#   contrib/coverage.sh [--all] FILE...      then the branches of these files that were never taken
set -eu
cd "$(dirname "$0")/.."

tests='^(unit|fuzz)[.]'
if [ "${1-}" = --all ]; then
    tests='^(unit|fuzz|integration)[.]'
    shift
fi

cmake --preset coverage >/dev/null
cmake --build --preset coverage -j "${JOBS:-2}"
find build/coverage -name '*.gcda' -delete
failed=
ctest --test-dir build/coverage -R "$tests" -j "${JOBS:-2}" --output-on-failure || failed=1

/usr/bin/python3 tests/coverage.py build/coverage
for file in "$@"; do
    /usr/bin/python3 tests/coverage.py build/coverage --missing "$file"
done
[ -z "$failed" ] || { echo "some tests failed: the table is of what they reached" >&2; exit 1; }
