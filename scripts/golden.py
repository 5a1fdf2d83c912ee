#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Counts what each recorded run must come to in each subsystem, for data/golden.json.

usage: golden.py RUN.jsonl...

The rules are those of the recorded runs (each line says which records it becomes); numbers of records per buffer are the
hardware's. The file is committed and compared with what collectors deliver, so that a new number is looked at by a person.
"""

import collections
import json
import sys

CAPACITY = {
    "task": 1000,
    "aicore": 1024,
    "sched": 16384,
    "orch": 16384,
    "pmu": 512,
    "dep_gen": 1024,
    "args_dump": 256,
    "scope_stats": 512,
}


def instances(header, lines):
    """Records by stream, then by (control thread, unit)."""
    owner = header["core_to_thread"]
    orchestrator = header["threads"] - 1
    counts = {stream: collections.Counter() for stream in CAPACITY}
    dispatcher = {}
    for event in sorted((line for line in lines if line["k"] == "task"), key=lambda line: line["dispatch"]):
        # A submit's arguments are dumped where its first task is dispatched.
        dispatcher.setdefault(event["token"], owner[event["core"]])
    for event in lines:
        if event["k"] == "task":
            for stream in ("task", "aicore", "pmu"):
                counts[stream][owner[event["core"]], event["core"]] += 1
        elif event["k"] == "sched":
            counts["sched"][event["thread"], event["thread"]] += 1
        elif event["k"] == "orch":
            counts["orch"][orchestrator, 0] += 1
        elif event["k"] == "submit":
            counts["dep_gen"][orchestrator, 0] += 1
            thread = dispatcher[event["token"]]
            counts["args_dump"][thread, thread] += event["args"]
        elif event["k"] == "scope":
            counts["scope_stats"][orchestrator, 0] += 1
    return counts


def golden(path):
    with open(path, encoding="utf-8") as file:
        header, *lines = [json.loads(line) for line in file]
    streams = {}
    for stream, counts in instances(header, lines).items():
        threads = collections.Counter()
        for (thread, _), count in counts.items():
            threads[thread] += count
        streams[stream] = {
            "records": sum(counts.values()),
            "buffers": sum(-(-count // CAPACITY[stream]) for count in counts.values()),
            "by_thread": [threads[thread] for thread in range(header["threads"])],
        }
    return header["run"], streams


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    runs = dict(golden(path) for path in sorted(sys.argv[1:]))
    parts = []
    for run, streams in runs.items():
        lines = ",\n".join(f'    "{stream}": {json.dumps(counts)}' for stream, counts in streams.items())
        parts.append(f'  "{run}": {{\n{lines}\n  }}')
    print("{\n" + ",\n".join(parts) + "\n}")


if __name__ == "__main__":
    main()
