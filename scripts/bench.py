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
def bare_futex(text):
    return text, lambda ours, theirs, ratio: ours <= 1.15 * theirs + 1000.0


TARGETS = {
    "spsc_items": ratio(1.0, "two threads, item by item: at least rtrb"),
    "spsc_chunks": ratio(1.0, "two threads, in chunks: at least rtrb"),
    "alone_items": ratio(1.0, "one thread, item by item: at least rtrb"),
    "alone_chunks": ratio(1.0, "one thread, in chunks: at least rtrb"),
    "capi_batch16_items": ratio(0.5, "C ABI, batches of 16: at least half of rtrb item by item"),
    "capi_batch16_chunks": ratio(0.5, "C ABI, batches of 16: at least half of rtrb in chunks of 16"),
    "handoff_items": ratio(4.0, "ready hand-off, blocking pop, item by item: at least 4x the reference"),
    "handoff_batches": ratio(4.0, "ready hand-off, blocking pop, batches of 16: at least 4x the reference"),
    "wake_latency_ns": bare_futex("wake of a sleeper: within 1.15x + 1 us of a bare futex"),
    "capi_wake_ns": bare_futex("the same through the C ABI, no time limit"),
    "capi_wake_timed_ns": bare_futex("the same through the C ABI, time limit 100 ms"),
    "trip_items": ratio(1 / 1.25, "trip of a buffer, item by item: at most 1.25x the reference's time"),
    "trip_batches": ratio(2.0, "trip of a buffer, batches of 16: at most half the reference's time"),
    "lookup_items": ratio(20.0, "address lookup, one by one: at most 0.05x the reference's time"),
    **{f"pipeline_{figure}_{plain}{lanes}": ratio(least, f"pipeline flat out, lanes: {lanes}{how}: {what}")
       for figure, least, what in (("rate", 3.0, "at least 3x the reference's buffers/s"),
                                   ("cpu", 4.0, "at most a quarter of its CPU s per million buffers"))
       for plain, how in (("", ", warm"), ("plain_", "")) for lanes in (1, 2, 4)},
    "jitter_cpu": ratio(1 / 1.5, "single entries, Poisson, mean 1 ms: CPU at most 1.5x a thread that only sleeps, % of a core"),
    "jitter_p50_us": ratio(1.0, "the same: p50 at most half the polling interval + 30 us"),
    "silence_percent": ratio(1.0, "after 100 ms of silence: at most 1 % of a core"),
    "silence_first_us": ratio(1.0, "the same: first entry within the cap of 2 ms and two wake-ups, worst case"),
    "stop_idle_ms": ratio(1.0, "stop of an idle pipeline: p50 under 2 ms"),
    "mailbox_push_1": ratio(1.0, "mailbox, 1 producer, one message per call: at least the reference inlined"),
    **{f"mailbox_push_{producers}": ratio(1.3, f"mailbox, {producers} producers, one message per call: at least 1.3x")
       for producers in (2, 4)},
    **{f"mailbox_slab_{producers}": ratio(1.5, f"mailbox, {producers} producers, 3 conditions in one claim + sentinel: at least 1.5x")
       for producers in (2, 4)},
    "mailbox_drain": ratio(5.0, "mailbox, drain of a full ring over 64 tasks: at least 5x the reference"),
    "mailbox_pass": ratio(2.0, "mailbox, poll pass over 64 tasks with 8 pending conditions: at least 2x the reference"),
    "mailbox_start_dirty": ratio(0.8, "mailbox, start on dirty memory: at memory speed (memset)"),
    "mailbox_restart": ratio(1.0, "mailbox, start on memory that was started before: under 1 us"),
    **{f"device_append_{module}": ratio(1 / 1.05, f"device, record into a {module} buffer: at most 1.05x the reference's instructions")
       for module in ("pmu", "scope_stats")},
    **{f"device_stream_{module}": ratio(1 / 1.05, f"device, record of a {module} stream with its switches: at most 1.05x")
       for module in ("pmu", "scope_stats")},
    **{f"device_switch_{module}": ratio(1 / 1.15, f"device, switch of a {module} buffer: at most 1.15x the reference's instructions")
       for module in ("pmu", "scope_stats")},
    "lookup_batches": ratio(20.0, "address lookup, 8 per call: at most 0.05x the reference's time"),
}


def shared_library(build):
    """The shared library of the build, for benchmarks that load it; empty without one."""
    found = sorted(build.glob("cargo/*/*/liblanepipe.so"))
    return str(found[0]) if found else ""


def comparisons(title, command, library):
    """Runs one benchmark, shows what else it prints, and returns (name, ours, theirs, ratio) for each comparison."""
    print(f"== {title}", flush=True)
    try:
        process = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT,
            env={**os.environ, "LANEPIPE_BENCH_LIBRARY": library})
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
    build = Path(arguments[0]).resolve()
    library = shared_library(build)
    programs = build / "cpp_tests/bench"
    words = arguments[1:]
    measured = []
    for source in sorted((ROOT / "benches").glob("*.rs")):
        if not words or any(word in source.stem for word in words):
            measured += comparisons(f"cargo bench {source.stem}", ["cargo", "bench", "--quiet", "--bench", source.stem],
                                    library)
    for program in sorted(programs.glob("*")) if programs.is_dir() else []:
        if program.is_file() and os.access(program, os.X_OK) and (not words or any(w in program.name for w in words)):
            measured += comparisons(program.name, [str(program)], library)

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
