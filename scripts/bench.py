#!/usr/bin/env python3
"""Runs the benchmarks and prints a table: target, measured, met. Exits 0 whatever the figures are.

A benchmark (a `cargo bench` target, or a program in build/release/cpp_tests/bench) reports each figure that has a target
as one line of tab-separated fields on its standard output:

    LANEPIPE_BENCH <tab> name <tab> target <tab> measured <tab> yes|no

  scripts/bench.py BUILD [WORD...]    BUILD: a CMake build directory; WORD: only benchmarks whose name contains it
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 1800


def figures(title, command):
    """Runs one benchmark, shows what it prints, and yields its figures."""
    print(f"== {title}", flush=True)
    rows = []
    try:
        process = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return [(title, "ends", f"not after {TIMEOUT} s", "no")]
    for line in process.stdout.splitlines():
        fields = line.split("\t")
        if fields[0] == "LANEPIPE_BENCH" and len(fields) == 5:
            rows.append(tuple(fields[1:]))
        else:
            print(line)
    if process.returncode != 0:
        rows.append((title, "exit code 0", f"exit code {process.returncode}", "no"))
    return rows


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    build, words = Path(arguments[0]), arguments[1:]
    wanted = lambda name: not words or any(word in name for word in words)
    rows = []
    for source in sorted((ROOT / "benches").glob("*.rs")):
        if wanted(source.stem):
            rows += figures(f"cargo bench {source.stem}", ["cargo", "bench", "--quiet", "--bench", source.stem])
    programs = sorted((build / "cpp_tests/bench").glob("*")) if (build / "cpp_tests/bench").is_dir() else []
    for program in programs:
        if program.is_file() and os.access(program, os.X_OK) and wanted(program.name):
            rows += figures(program.name, [str(program)])

    table = [("benchmark", "target", "measured", "met"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    print()
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    met = sum(row[3] == "yes" for row in rows)
    print(f"{met} of {len(rows)} targets met")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
