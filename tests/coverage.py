#!/usr/bin/python3
"""Prints which branches of src/ the tests of an instrumented build took.

    coverage.py BUILD                 a line for each part of src/ and for each file of core
    coverage.py BUILD --missing FILE  the branches of one file that were never taken: line and text

The same file may be compiled into several programs: a branch counts as taken when one of them took it.
"""

import argparse
import collections
import gzip
import json
import pathlib
import subprocess
import tempfile


def counts(build, tree):
    """{file: {(line, number of the branch): times taken}} and the lines that ran, of all files of src/."""
    branches = collections.defaultdict(collections.Counter)
    lines = collections.defaultdict(collections.Counter)
    notes = sorted(path.resolve() for path in build.rglob("*.gcno") if "/src/" in path.as_posix())
    with tempfile.TemporaryDirectory() as scratch:
        for first in range(0, len(notes), 40):
            subprocess.run(["gcov", "--branch-probabilities", "--json-format", "--hash-filenames",
                            *map(str, notes[first:first + 40])], cwd=scratch, check=True, capture_output=True)
        for report in pathlib.Path(scratch).glob("*.gcov.json.gz"):
            with gzip.open(report) as stream:
                for file in json.load(stream)["files"]:
                    path = (tree / file["file"]).resolve()
                    if path.is_relative_to(tree / "src"):
                        add(file, branches[path], lines[path])
    return branches, lines


def add(file, branches, lines):
    of_line = collections.Counter()  # an inlined function has its lines several times
    for line in file["lines"]:
        number = line["line_number"]
        lines[number] += line["count"]
        for branch in line["branches"]:
            branches[number, of_line[number]] += branch["count"]
            of_line[number] += 1


def row(name, branches, lines):
    taken, ran = sum(map(bool, branches)), sum(map(bool, lines))
    share = 100 * taken / len(branches) if branches else 100
    print(f"{name:<28} {taken:6} {len(branches):6} {share:6.1f} %  {100 * ran / len(lines):6.1f} %")


def table(branches, lines, tree):
    parts = collections.defaultdict(lambda: ([], []))
    for path in sorted(lines):
        part, name = path.relative_to(tree / "src").parts[0], path.stem
        for key in ["src/" + part, "all"] + ([f"  {name}"] if part == "core" and path.suffix == ".c" else []):
            parts[key][0].extend(branches[path].values())
            parts[key][1].extend(lines[path].values())
    print(f"{'':<28} {'taken':>6} {'of':>6} {'branches':>8}  {'lines':>8}")
    for name in sorted(key for key in parts if key.startswith("  ")):
        row(name, *parts[name])
    for name in sorted(key for key in parts if key.startswith("src/")) + ["all"]:
        row(name, *parts[name])


def missing(branches, path):
    text = path.read_text(encoding="utf-8").splitlines()
    never = collections.Counter(line for (line, _), count in branches[path].items() if count == 0)
    for line in sorted(never):
        print(f"{path.name}:{line}: {never[line]}: {text[line - 1].strip()}")


def main():
    parser = argparse.ArgumentParser(description="Prints which branches the tests took.")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--missing", type=pathlib.Path, action="append", default=[])
    arguments = parser.parse_args()
    tree = pathlib.Path(__file__).resolve().parent.parent
    branches, lines = counts(arguments.build, tree)
    if not arguments.missing:
        table(branches, lines, tree)
    for path in arguments.missing:
        missing(branches, path.resolve())


if __name__ == "__main__":
    main()
