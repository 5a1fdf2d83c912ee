#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of the demonstrator as a program: exit codes, books against the recorded runs, traces.

usage: replay_test.py PROGRAM RUNS_DIR [UNITTEST ARGUMENT]...

What a run must produce is computed here from the .jsonl files, independently of the program. Nothing is judged by time.
"""

import collections
import json
import os
import tempfile

import program
from program import events, run


def golden(name):
    """Records by (thread, kind) and by instance."""
    header, lines = events(name)
    lanes = collections.Counter()
    instances = collections.Counter()
    for event in lines:
        if event["k"] == "task":
            thread = header["core_to_thread"][event["core"]]
            for kind in ("task", "aicore"):
                lanes[thread, kind] += 1
                instances[kind, event["core"]] += 1
        elif event["k"] == "sched":
            lanes[event["thread"], "sched"] += 1
            instances["sched", event["thread"]] += 1
        elif event["k"] == "orch":
            lanes[header["threads"] - 1, "orch"] += 1
            instances["orch", 0] += 1
    return lanes, instances


class ReplayCase(program.ProgramCase):
    def check_books(self, outcome, loops=1, records_per_buffer=16, loss=False):
        """Lane by lane against the recorded run."""
        lanes, instances = golden(outcome["run"])
        produced = collections.Counter()
        for lane in outcome["lanes"]:
            produced[lane["thread"], lane["kind"]] = lane["produced"]
            self.assertEqual(lane["collected"] + lane["dropped"] + lane["mismatch"], lane["produced"])
            self.assertEqual(lane["mismatch"], 0)
            self.assertEqual(lane["repeated"], 0)
        self.assertEqual(+produced, collections.Counter({lane: n * loops for lane, n in lanes.items()}))
        total = outcome["total"]
        self.assertEqual(total["produced"], loops * sum(lanes.values()))
        self.assertTrue(outcome["balanced"])
        if not loss:
            self.assertEqual(total["collected"], total["produced"])
            self.assertEqual(total["dropped"], 0)
            # Every instance fills its buffers to the brim and flushes the rest.
            expected = sum(-(-n * loops // records_per_buffer) for n in instances.values())
            self.assertEqual(total["buffers_published"], expected)
            self.assertEqual(total["buffers_collected"], expected)
        audit = outcome["audit"]
        self.assertEqual(audit["errors"], 0)
        self.assertEqual(
            audit["total"],
            audit["device"] + audit["done"] + audit["recycled"] + audit["retired"] + audit["quarantined"],
        )
        self.assertEqual(audit["device"], sum(outcome["at_device"].values()))
        self.assertEqual(sum(q["delivered"] for q in outcome["queues"]), total["buffers_collected"])
        self.assertEqual(outcome["latency_ns"]["count"], total["buffers_collected"])
        roles = collections.Counter(thread["role"] for thread in outcome["threads_cpu"])
        shards = outcome["shards"]
        self.assertEqual(roles, {"sentinel": 1, "drain": shards, "replenish": 1, "collect": shards})


class Recorded(ReplayCase):
    """Every recorded run, flat out, in both kinds of memory."""

    def test_svm(self):
        result = self.summary("--memory", "svm", "all")
        self.assertEqual([outcome["run"] for outcome in result["runs"]], program.RUNS)
        for outcome in result["runs"]:
            with self.subTest(run=outcome["run"]):
                self.assertEqual(outcome["copies"], 0)
                self.check_books(outcome)

    def test_shadow(self):
        result = self.summary("--memory", "shadow", "all")
        self.assertEqual([outcome["run"] for outcome in result["runs"]], program.RUNS)
        for outcome in result["runs"]:
            with self.subTest(run=outcome["run"]):
                self.assertGreater(outcome["copies"], 0)
                self.check_books(outcome)

    def test_memory_follows_the_architecture(self):
        result = self.summary("vector_5_a2a3", "vector_5_a5")
        self.assertEqual([outcome["memory"] for outcome in result["runs"]], ["svm", "shadow"])
        self.assertEqual([outcome["threads"] for outcome in result["runs"]], [4, 5])

    def test_buffer_sizes(self):
        # 1 switches at each record, 15 and 16 around a boundary, the largest never fills.
        for size in (1, 3, 15, 16, 4096):
            for memory in ("svm", "shadow"):
                with self.subTest(size=size, memory=memory):
                    result = self.summary("--memory", memory, "--records-per-buffer", size, "--loops", 2, "bgemm_512")
                    self.check_books(result["runs"][0], loops=2, records_per_buffer=size)

    def test_loops(self):
        for memory in ("svm", "shadow"):
            result = self.summary("--memory", memory, "--loops", 40, "bgemm_1000", "fanin_128")
            for outcome in result["runs"]:
                self.check_books(outcome, loops=40)

    def test_folded_shards(self):
        for shards in (1, 2, 3):
            result = self.summary("--shards", shards, "--loops", 5, "bgemm_1000")
            self.check_books(result["runs"][0], loops=5)

    def test_paced(self):
        result = self.summary("--pace", "recorded", "--speed", 4, "spmd_sync_246", "fanin_128")
        for outcome in result["runs"]:
            self.check_books(outcome)


class Pressure(ReplayCase):
    """Small rings and pools, slow collectors, lossy devices."""

    def test_small_queues(self):
        for slots in (2, 3, 8):
            for ring in (1, 5):
                with self.subTest(slots=slots, ring=ring):
                    result = self.summary(
                        "--ready-slots", slots, "--ring", ring, "--records-per-buffer", 4, "--loops", 3, "bgemm_1000"
                    )
                    self.check_books(result["runs"][0], loops=3, records_per_buffer=4)

    def test_small_pools(self):
        for buffers, shards in ((1, 1), (2, 1), (1, 4), (2, 4), (5, 4)):
            for memory in ("svm", "shadow"):
                with self.subTest(buffers=buffers, shards=shards, memory=memory):
                    result = self.summary(
                        *("--pool-buffers", buffers, "--no-grow", "--shards", shards, "--memory", memory),
                        *("--records-per-buffer", 4, "bgemm_1000"),
                    )
                    outcome = result["runs"][0]
                    self.check_books(outcome, records_per_buffer=4)
                    # 24 cores twice, 4 threads, 1 orchestrator; nothing was added.
                    self.assertEqual(outcome["audit"]["total"], 53 * buffers)
                    self.assertEqual(outcome["seeded_buffers"], 53 * buffers)

    def test_one_buffer_rotates(self):
        result = self.summary(
            *("--synthetic", "--threads", 1, "--cores", 1, "--rate-sched", 0, "--rate-orch", 0),
            *("--events", 2000, "--records-per-buffer", 2, "--pool-buffers", 1, "--no-grow"),
        )
        outcome = result["runs"][0]
        self.assertTrue(outcome["balanced"])
        self.assertEqual(outcome["total"]["collected"], 4000)
        self.assertEqual(outcome["total"]["buffers_published"], 2000)
        self.assertEqual(outcome["audit"]["total"], 4)

    def test_slow_collector_waits(self):
        result = self.summary(
            *("--slow-collector", 1, "--ring", 4, "--ready-slots", 8, "--pool-buffers", 2, "--no-grow"),
            *("--shards", 1, "fanin_128"),
        )
        self.check_books(result["runs"][0])

    def test_slow_collector_with_dropping_device(self):
        for memory in ("svm", "shadow"):
            result = self.summary(
                *("--slow-collector", 2, "--starved", "drop", "--pool-buffers", 1, "--no-grow", "--ready-slots", 4),
                *("--records-per-buffer", 2, "--memory", memory, "bgemm_1000"),
            )
            outcome = result["runs"][0]
            self.check_books(outcome, loss=True)
            self.assertGreater(outcome["total"]["dropped_device"], 0)
            self.assertEqual(outcome["total"]["dropped_host"], 0)
            self.assertEqual(outcome["waits"]["free_buffer"]["count"], 0)
            self.assertEqual(outcome["waits"]["ready_slot"]["count"], 0)

    def test_growing_pool(self):
        result = self.summary("--pool-buffers", 1, "--records-per-buffer", 1, "--loops", 2, "bgemm_512")
        outcome = result["runs"][0]
        self.check_books(outcome, loops=2, records_per_buffer=1)
        self.assertGreater(outcome["audit"]["total"], outcome["seeded_buffers"])


class Faults(ReplayCase):
    """Copy callbacks that fail."""

    def test_any_copy_once(self):
        for number in (1, 2, 3, 5, 8, 13, 50, 200):
            with self.subTest(number=number):
                result = self.summary("--quiet", "--memory", "shadow", "--fail-copy", number, "bgemm_512")
                outcome = result["runs"][0]
                self.check_books(outcome, loss=True)
                self.assertEqual(outcome["failed_copies"], 1)

    def test_contents_once_is_retried(self):
        result = self.summary("--quiet", "--memory", "shadow", "--fail-content-copy", 7, "bgemm_512")
        self.check_books(result["runs"][0])
        self.assertEqual(result["runs"][0]["failed_copies"], 1)

    def test_contents_for_long_are_charged(self):
        # One shard, so that the failures in a row meet the tries for one buffer after the other.
        result = self.summary(
            "--quiet", "--memory", "shadow", "--shards", 1, "--fail-content-copy", "20+60", "bgemm_1000"
        )
        outcome = result["runs"][0]
        self.check_books(outcome, loss=True)
        self.assertEqual(outcome["failed_copies"], 60)
        lost = sum(queue["copy_failed"] for queue in outcome["queues"])
        self.assertGreater(lost, 0)
        total = outcome["total"]
        self.assertEqual(total["buffers_published"] - total["buffers_collected"], lost)
        self.assertGreater(total["dropped_host"], 0)
        self.assertEqual(total["dropped_device"], 0)

    def test_copies_that_fail_for_good_end_the_run_with_1(self):
        result = run("--quiet", "--memory", "shadow", "--fail-copy", "20+1000000000", "--stall-limit", 0.2, "bgemm_512")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("books do not balance", result.stderr)


class Synthetic(ReplayCase):
    def test_counts_bound_it(self):
        for memory in ("svm", "shadow"):
            result = self.summary("--synthetic", "--events", 100000, "--memory", memory, "--device-memory", 512)
            outcome = result["runs"][0]
            self.assertTrue(outcome["balanced"])
            kinds = collections.Counter()
            for lane in outcome["lanes"]:
                kinds[lane["kind"]] += lane["produced"]
                self.assertEqual(lane["collected"], lane["produced"])
            self.assertEqual(kinds["task"], kinds["aicore"])
            self.assertEqual(kinds["task"] + kinds["sched"] + kinds["orch"], 100000)

    def test_single_kind_and_many_threads(self):
        result = self.summary(
            *("--synthetic", "--threads", 12, "--cores", 30, "--rate-task", 0, "--rate-orch", 0, "--rate-sched", 5),
            *("--events", 6000, "--records-per-buffer", 8, "--shards", 5),
        )
        outcome = result["runs"][0]
        self.assertEqual(outcome["total"]["collected"], 6000)
        self.assertEqual(sum(1 for lane in outcome["lanes"] if lane["produced"]), 11)

    def test_paced(self):
        result = self.summary("--synthetic", "--pace", "recorded", "--events", 20000, "--records-per-buffer", 64)
        self.assertTrue(result["balanced"])


class Trace(ReplayCase):
    def trace(self, *arguments):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "trace.json")
            outcome = self.summary("--trace", path, *arguments)["runs"][0]
            with open(path, encoding="utf-8") as file:
                return outcome, json.load(file)["traceEvents"]

    def check(self, outcome, trace):
        names = {}
        last = {}
        open_spans = {}
        nested = collections.defaultdict(list)
        counts = collections.Counter()
        buffers = 0
        for event in trace:
            track = event["pid"], event["tid"]
            if event["ph"] == "M":
                names[track, event["name"]] = event["args"]
                continue
            counts[event["ph"], event["cat"]] += 1
            self.assertGreaterEqual(event["ts"], last.get(track, 0), "times on a track go back")
            last[track] = event["ts"]
            self.assertIn((track, "thread_name"), names)
            self.assertIn(((event["pid"], 0), "process_name"), names)
            if event["ph"] == "b":
                key = event["cat"], event["id"]
                self.assertNotIn(key, open_spans)
                open_spans[key] = event["name"]
            elif event["ph"] == "e":
                self.assertEqual(open_spans.pop((event["cat"], event["id"])), event["name"])
            elif event["ph"] == "X" and event["cat"] != "thread":
                self.assertGreaterEqual(event["dur"], 0)
                # Complete spans of a track follow each other or hold each other.
                ends = nested[track]
                while ends and ends[-1] <= event["ts"] + 0.0015:
                    ends.pop()
                if ends:
                    self.assertLessEqual(event["ts"] + event["dur"], ends[-1] + 0.0015)
                ends.append(event["ts"] + event["dur"])
            if event["cat"] == "collect":
                buffers += event["args"]["buffers"]
        self.assertEqual(open_spans, {})

        kinds = collections.Counter()
        for lane in outcome["lanes"]:
            kinds[lane["kind"]] += lane["collected"]
        self.assertEqual(counts["b", "task"], kinds["task"])
        self.assertEqual(counts["b", "sched"], kinds["sched"])
        self.assertEqual(counts["X", "aicore"], kinds["aicore"])
        self.assertEqual(counts["X", "orch"], kinds["orch"])
        total = outcome["total"]
        self.assertEqual(counts["X", "fill"], total["buffers_published"])
        self.assertEqual(counts["i", "switch"], total["buffers_published"])
        self.assertEqual(buffers, total["buffers_collected"])
        self.assertEqual(counts["X", "thread"], len(outcome["threads_cpu"]))
        waits = sum(wait["count"] for wait in outcome["waits"].values())
        self.assertEqual(counts["X", "wait"], waits)
        return names

    def test_every_run(self):
        for name in program.RUNS:
            with self.subTest(run=name):
                outcome, trace = self.trace(name)
                self.check_books(outcome)
                names = self.check(outcome, trace)
                processes = {args["name"] for (_, key), args in names.items() if key == "process_name"}
                self.assertEqual(processes, {"program (time of the run)", "device", "host"})
                tracks = {args["name"] for (_, key), args in names.items() if key == "thread_name"}
                for wanted in ("core 0", "scheduler 0", "orchestrator", "control thread 0", "drain 0", "collect 0"):
                    self.assertIn(wanted, tracks)

    def test_program_times_are_those_of_the_run(self):
        _, trace = self.trace("bgemm_512")
        header, lines = events("bgemm_512")
        micros = 1e6 / header["clock_hz"]
        wanted = sorted(round(e["start"] * micros, 3) for e in lines if e["k"] == "task")
        seen = sorted(round(e["ts"], 3) for e in trace if e.get("cat") == "aicore")
        self.assertEqual(len(wanted), len(seen))
        for left, right in zip(wanted, seen):
            self.assertAlmostEqual(left, right, delta=0.002)

    def test_loops_and_losses(self):
        outcome, trace = self.trace("--loops", 3, "fanin_128")
        self.check(outcome, trace)
        outcome, trace = self.trace(
            *("--starved", "drop", "--pool-buffers", 1, "--no-grow", "--slow-collector", 1, "fanin_128")
        )
        self.check(outcome, trace)

    def test_small_queues(self):
        outcome, trace = self.trace("--ready-slots", 8, "--records-per-buffer", 2, "--memory", "shadow", "bgemm_512")
        self.check(outcome, trace)


class ExitCodes(ReplayCase):
    def test_bad_options(self):
        for arguments in (
            ["--nonsense"],
            ["-x"],
            ["--loops"],
            ["--loops", "0"],
            ["--loops", "many"],
            ["--loops", "-1"],
            ["--loops", "99999999999999999999"],
            ["--quiet=yes"],
            ["--speed", "2"],
            ["--pace", "recorded", "--speed", "0"],
            ["--pace", "recorded", "--speed", "nan"],
            ["--pace", "sometimes"],
            ["--memory", "paper"],
            ["--arch", "a5"],
            ["--threads", "4"],
            ["--synthetic", "--arch", "a7"],
            ["--synthetic", "--threads", "65"],
            ["--synthetic", "--cores", "0"],
            ["--synthetic", "--loops", "2"],
            ["--synthetic", "bgemm_512"],
            ["--synthetic", "--rate-task", "0", "--rate-sched", "0", "--rate-orch", "0"],
            ["--synthetic", "--rate-task", "-1"],
            ["--records-per-buffer", "0"],
            ["--records-per-buffer", "unreal"],
            ["--pool-buffers", "0"],
            ["--ready-slots", "1"],
            ["--ring", "0"],
            ["--starved", "panic"],
            ["--stall-limit", "0"],
            ["--slow-collector", "-5"],
            ["--shards", "0"],
            ["--shards", "5", "bgemm_512"],
            ["--memory", "shadow", "--fail-copy", "0", "bgemm_512"],
            ["--memory", "shadow", "--fail-copy", "3+", "bgemm_512"],
            ["--memory", "shadow", "--fail-copy", "3", "--fail-content-copy", "3", "bgemm_512"],
            ["--memory", "svm", "--fail-copy", "3", "bgemm_512"],
            ["--device-memory", "1", "--records-per-buffer", "real", "bgemm_512"],
            ["--json", "", "vector_5_a5"],
            ["--json", "/nonexistent/summary.json", "vector_5_a5"],
            ["--trace", "/nonexistent/trace.json", "vector_5_a5"],
            ["--trace", "trace.json", "vector_5_a5", "vector_5_a2a3"],
            ["no_such_run"],
            ["./no/such/run.jsonl"],
        ):
            with self.subTest(arguments=arguments):
                self.refused(*arguments)

    def test_no_runs(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(run(runs_dir=directory).returncode, 2)

    def test_bad_runs_name_file_and_line(self):
        header, lines = events("vector_5_a2a3")
        head = json.dumps(header)
        body = [json.dumps(line) for line in lines]
        task = next(i for i, line in enumerate(lines) if line["k"] == "task")
        sched = next(i for i, line in enumerate(lines) if line["k"] == "sched")

        def changed(position, **fields):
            return [head] + body[:position] + [json.dumps({**lines[position], **fields})] + body[position + 1 :]

        cases = {
            "empty": ([], ""),
            "no header": (body, ":1:"),
            "cut line": ([head] + body[:-1] + [body[-1][:-3]], f":{len(body) + 1}:"),
            "not JSON": ([head, "what?"], ":2:"),
            "missing events": ([head] + body[:-1], "announced"),
            "unknown event": (changed(0, k="gossip"), ":2:"),
            "unknown phase": (changed(sched, phase="lunch"), f":{sched + 2}:"),
            "core out of range": (changed(task, core=24), f":{task + 2}:"),
            "negative time": (changed(task, start=-1), f":{task + 2}:"),
            "times out of order": (changed(task, finish=0), f":{task + 2}:"),
            "huge time": (changed(task, finish=1 << 62), f":{task + 2}:"),
            "number out of range": (changed(task, finish=1 << 70), f":{task + 2}:"),
            "thread out of range": (changed(sched, thread=4), f":{sched + 2}:"),
            "owner out of range": ([json.dumps({**header, "core_to_thread": [9] * 24})] + body, ":1:"),
            "types missing": ([json.dumps({**header, "core_types": []})] + body, ":1:"),
            "unknown type": ([json.dumps({**header, "core_types": ["gpu"] * 24})] + body, ":1:"),
            "owners missing": ([json.dumps({**header, "core_to_thread": []})] + body, ":1:"),
            "no clock": ([json.dumps({**header, "clock_hz": 0})] + body, ":1:"),
        }
        with tempfile.TemporaryDirectory() as directory:
            for name, (text, where) in cases.items():
                with self.subTest(case=name):
                    path = os.path.join(directory, "bad.jsonl")
                    with open(path, "w", encoding="utf-8") as file:
                        file.write("".join(line + "\n" for line in text))
                    message = self.refused(path)
                    self.assertIn(path, message)
                    self.assertIn(where, message)

    def test_help_explains_every_option(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for option in ("--speed", "--pace", "--loops", "--synthetic", "--memory", "--trace", "--json", "--fail-copy"):
            self.assertIn(option + " ", result.stdout)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 120)

    def test_list_runs(self):
        result = run("--list-runs")
        self.assertEqual(result.returncode, 0)
        listed = [line.split()[0] for line in result.stdout.splitlines()[1:]]
        self.assertEqual(listed, program.RUNS)

    def test_report_and_quiet(self):
        result = run("vector_5_a2a3")
        self.assertEqual(result.returncode, 0)
        for word in ("throughput", "latency", "sentinel", "drain", "replenish", "collect", "parked", "books", "pool"):
            self.assertIn(word, result.stdout)
        result = run("--quiet", "vector_5_a2a3")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))


if __name__ == "__main__":
    program.main(__doc__)
