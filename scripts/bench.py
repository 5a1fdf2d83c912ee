#!/usr/bin/env python3
"""Runs the benchmarks and prints a table: target, measured, met. Exits 0 whatever the figures are.

A benchmark (a `cargo bench` target, or a program in cpp_tests/bench) prints each comparison as

    bench NAME OURS THEIRS RATIO

where a ratio above 1 is in lanepipe's favour, for rates and for times alike. The targets stand below; a comparison
without one is shown, a target without a comparison is not met.

  scripts/bench.py BUILD [WORD...]    BUILD: a CMake build directory; WORD: only programs whose name contains it
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 1800


def ratio(least, text):
    return text, lambda ours, theirs, ratio: ratio >= least


# NAME: what is demanded, and whether (ours, theirs, ratio) meets it.
TARGETS = {
    "spsc_items": ratio(1.0, "two threads, item by item: at least rtrb"),
    "spsc_chunks": ratio(1.0, "two threads, in chunks: at least rtrb"),
    "alone_items": ratio(1.0, "one thread, item by item: at least rtrb"),
    "alone_chunks": ratio(1.0, "one thread, in chunks: at least rtrb"),
    "capi_batch16": ratio(0.5, "C ABI, batches of 16: at least half of the Rust ring"),
    "ready_handoff": ratio(4.0, "ready hand-off, blocking pop: at least 4x the reference"),
    "wake_latency_ns": (
        "wake of a sleeper: within 1.15x + 1 us of a bare futex",
        lambda ours, theirs, ratio: ours <= 1.15 * theirs + 1000.0,
    ),
    "trip_items": ratio(1 / 1.25, "trip of a buffer, item by item: at most 1.25x the reference's time"),
    "trip_batches": ratio(2.0, "trip of a buffer, in batches: at most half the reference's time"),
    "lookup": ratio(20.0, "address lookup: at most 0.05x the reference's time"),
}


def comparisons(title, command):
    """Runs one benchmark, shows what else it prints, and returns (name, ours, theirs, ratio) for each comparison."""
    print(f"== {title}", flush=True)
    try:
        process = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"{title} has not ended after {TIMEOUT} s")
        return []
    found = []
    for line in process.stdout.splitlines():
        print(line, flush=True)
        match = re.fullmatch(r"bench (\w+) (\S+) (\S+) (\S+)", line)
        if match:
            found.append((match.group(1), *(float(match.group(field)) for field in (2, 3, 4))))
    if process.returncode != 0:
        print(f"{title} ended with exit code {process.returncode}")
    return found


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    programs = Path(arguments[0]).resolve() / "cpp_tests/bench"
    words = arguments[1:]
    measured = []
    for source in sorted((ROOT / "benches").glob("*.rs")):
        if not words or any(word in source.stem for word in words):
            measured += comparisons(f"cargo bench {source.stem}", ["cargo", "bench", "--quiet", "--bench", source.stem])
    for program in sorted(programs.glob("*")) if programs.is_dir() else []:
        if program.is_file() and os.access(program, os.X_OK) and (not words or any(w in program.name for w in words)):
            measured += comparisons(program.name, [str(program)])

    rows = [("benchmark", "target", "measured", "met")]
    met = 0
    for name, ours, theirs, value in measured:
        target, meets = TARGETS.get(name, ("-", None))
        good = meets is not None and meets(ours, theirs, value)
        met += good
        rows.append((name, target, f"{ours:g} against {theirs:g}, ratio {value:g}",
                     "-" if meets is None else "yes" if good else "no"))
    seen = {name for name, *_ in measured}
    if not words:
        rows += [(name, target, "not measured", "no") for name, (target, _) in TARGETS.items() if name not in seen]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(f"{met} of {len(TARGETS)} targets met")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
