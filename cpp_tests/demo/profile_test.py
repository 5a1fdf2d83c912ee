#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of the demonstrator of the five subsystems as a program: golden counts, floods, losses, exit codes.

usage: profile_test.py PROGRAM RUNS_DIR [UNITTEST ARGUMENT]...

What a recorded run must come to stands in golden.json beside the runs' directory.
"""

import json
import os
import tempfile

import program
from program import events, run

SUBSYSTEMS = {
    "swimlane": ["task", "sched", "orch", "aicore"],
    "pmu": ["pmu"],
    "dep_gen": ["dep_gen"],
    "args_dump": ["args_dump"],
    "scope_stats": ["scope_stats"],
}
FLOWS = [flow for flows in SUBSYSTEMS.values() for flow in flows]


def golden():
    with open(os.path.join(program.RUNS_DIR, os.pardir, "golden.json"), encoding="utf-8") as file:
        return json.load(file)


class ProfileCase(program.ProgramCase):
    def check(self, outcome, flows=None, loss=False):
        """What holds of every run whose books balance."""
        self.assertTrue(outcome["balanced"])
        self.assertEqual(outcome["findings"], [])
        self.assertEqual([flow["flow"] for flow in outcome["flows"]], flows or FLOWS)
        for books in outcome["flows"] + [lane for flow in outcome["flows"] for lane in flow["lanes"]]:
            self.assertEqual(
                books["collected"] + books["dropped"] + books["mismatch"] + books["lost"],
                books["total"] + books["overflow"],
            )
            self.assertEqual(books["damaged"] + books["repeated"] + books["lost"], 0)
            if not loss:
                self.assertEqual(books["dropped"] + books["mismatch"], 0)
        for subsystem in outcome["subsystems"]:
            losses = subsystem["losses"]
            reasons = ("no_room", "host_gone", "no_queue", "no_buffer", "refused")
            self.assertEqual(sum(losses[reason] for reason in reasons), subsystem["dropped"])
            self.assertEqual(losses["null_slots"], 0)
        if outcome["memory"] == "svm":
            self.assertEqual(outcome["copies"], 0)
        else:
            self.assertGreater(outcome["copies"], 0)

    def check_golden(self, outcome, loops=1):
        """Every record and every buffer of a recorded run, by control thread."""
        expected = golden()[outcome["run"]]
        self.check(outcome)
        for flow in outcome["flows"]:
            with self.subTest(run=outcome["run"], flow=flow["flow"]):
                counts = expected[flow["flow"]]
                self.assertEqual(flow["collected"], counts["records"] * loops)
                self.assertEqual([lane["collected"] for lane in flow["lanes"]], [n * loops for n in counts["by_thread"]])
                self.assertEqual(flow["recovered"], 0)
                if loops == 1:
                    self.assertEqual(flow["buffers"], counts["buffers"])

    def flow(self, outcome, name):
        return next(flow for flow in outcome["flows"] if flow["flow"] == name)

    def subsystem(self, outcome, name):
        return next(each for each in outcome["subsystems"] if each["subsystem"] == name)


class Recorded(ProfileCase):
    """Every recorded run in both kinds of memory comes to the golden counts."""

    def test_svm(self):
        result = self.summary("--memory", "svm", "all")
        self.assertEqual([outcome["run"] for outcome in result["runs"]], program.RUNS)
        self.assertEqual(sorted(golden()), program.RUNS)
        for outcome in result["runs"]:
            self.check_golden(outcome)

    def test_shadow(self):
        result = self.summary("--memory", "shadow", "all")
        self.assertEqual([outcome["run"] for outcome in result["runs"]], program.RUNS)
        for outcome in result["runs"]:
            self.check_golden(outcome)

    def test_geometry_and_memory_follow_the_architecture(self):
        result = self.summary("vector_5_a2a3", "vector_5_a5")
        self.assertEqual([outcome["memory"] for outcome in result["runs"]], ["svm", "shadow"])
        self.assertEqual([outcome["threads"] for outcome in result["runs"]], [4, 5])
        self.assertEqual([outcome["cores"] for outcome in result["runs"]], [72, 108])
        for outcome in result["runs"]:
            self.check_golden(outcome)

    def test_loops(self):
        # Tasks enough that buffers of every kind but the largest are used up.
        result = self.summary("--loops", 12, "bgemm_1000")
        outcome = result["runs"][0]
        self.check_golden(outcome, loops=12)
        self.assertGreater(self.flow(outcome, "task")["buffers"], 16)
        self.assertGreater(self.flow(outcome, "aicore")["buffers"], 16)
        self.assertEqual(self.flow(outcome, "dep_gen")["buffers"], 12)

    def test_paced(self):
        result = self.summary("--pace", "recorded", "--speed", 50, "vector_5_a2a3", "spmd_sync_246")
        for outcome in result["runs"]:
            self.check_golden(outcome)

    def test_some_subsystems(self):
        for names in ("pmu", "dep_gen,scope_stats", "args_dump,swimlane"):
            result = self.summary("--subsystems", names, "fanin_128")
            outcome = result["runs"][0]
            self.check(outcome, [flow for flow in FLOWS for name in names.split(",") if flow in SUBSYSTEMS[name]])
            for flow in outcome["flows"]:
                self.assertEqual(flow["collected"], golden()["fanin_128"][flow["flow"]]["records"])

    def test_levels(self):
        by_level = {1: ["aicore"], 2: ["task", "aicore"], 3: ["task", "sched", "aicore"], 4: SUBSYSTEMS["swimlane"]}
        for level, flows in by_level.items():
            result = self.summary("--subsystems", "swimlane", "--level", level, "fanin_128")
            self.check(result["runs"][0], flows)


class Flood(ProfileCase):
    """Made-up loads on the whole geometry."""

    def test_both_architectures(self):
        for arch, cores in (("a2a3", 72), ("a5", 108)):
            for memory in ("svm", "shadow"):
                with self.subTest(arch=arch, memory=memory):
                    result = self.summary("--flood", 100, "--arch", arch, "--memory", memory, "--events", 60000)
                    outcome = result["runs"][0]
                    self.check(outcome)
                    self.assertEqual(outcome["cores"], cores)
                    total = sum(self.flow(outcome, flow)["total"] for flow in ("task", "sched", "orch"))
                    total += self.flow(outcome, "dep_gen")["total"] + self.flow(outcome, "scope_stats")["total"]
                    self.assertEqual(total, 60000)
                    self.assertEqual(self.flow(outcome, "task")["total"], self.flow(outcome, "aicore")["total"])
                    self.assertEqual(self.flow(outcome, "task")["total"], self.flow(outcome, "pmu")["total"])

    def test_seconds(self):
        # Ends amid tasks, with and without time to spare.
        for flood in (0.01, 1):
            for arch in ("a2a3", "a5"):
                result = self.summary("--flood", flood, "--seconds", 0.2, "--arch", arch)
                outcome = result["runs"][0]
                self.check(outcome)
                self.assertGreater(self.flow(outcome, "task")["total"], 0)

    def test_submits_of_several_slots(self):
        result = self.summary("--flood", 100, "--subsystems", "dep_gen", "--events", 40000, "--deps", 1300)
        outcome = result["runs"][0]
        self.check(outcome, ["dep_gen"])
        flow = self.flow(outcome, "dep_gen")
        self.assertEqual(flow["overflow"], 3 * flow["total"])

    def test_cores_rotate_while_a_record_is_due(self):
        for memory in ("svm", "shadow"):
            result = self.summary(
                *("--flood", 1000, "--cores", 4, "--threads", 2, "--subsystems", "swimlane", "--level", 1),
                *("--events", 500000, "--memory", memory),
            )
            outcome = result["runs"][0]
            self.check(outcome, ["aicore"])
            flow = self.flow(outcome, "aicore")
            # Each core's buffers but the last are full, whatever was due when they were left.
            self.assertLessEqual(flow["buffers"], flow["total"] // 1024 + 4)
            self.assertGreater(flow["buffers"], 4 * 4)

    def test_arena_is_used_again(self):
        for memory in ("svm", "shadow"):
            result = self.summary(
                *("--flood", 100, "--subsystems", "args_dump", "--events", 30000, "--payload", 500, "--arena", 64),
                *("--memory", memory),
            )
            outcome = result["runs"][0]
            self.check(outcome, ["args_dump"])
            self.assertGreater(self.subsystem(outcome, "args_dump")["freezes"], 0)

    def test_contents_larger_than_the_arena_are_cut(self):
        result = self.summary(
            "--flood", 100, "--subsystems", "args_dump", "--events", 2000, "--payload", 5000, "--arena", 4
        )
        outcome = result["runs"][0]
        self.check(outcome, ["args_dump"])
        self.assertGreater(self.subsystem(outcome, "args_dump")["losses"]["truncated"], 0)


class Losses(ProfileCase):
    """Slow hosts and careless devices."""

    def test_slow_receiver_loses_nothing(self):
        # With two, fewer than a free queue has places for: nobody may take the buffers that another waits for.
        for buffers in (2, 5):
            for memory in ("svm", "shadow"):
                result = self.summary(
                    *("--slow-collector", 2, "--buffers", buffers, "--max-buffers", buffers, "--loops", 6),
                    *("--memory", memory, "bgemm_1000"),
                )
                self.check_golden(result["runs"][0], loops=6)

    def test_dropping_device_counts_what_it_drops(self):
        for memory in ("svm", "shadow"):
            result = self.summary(
                *("--slow-collector", 3, "--buffers", 1, "--max-buffers", 1, "--drop", "--memory", memory),
                *("--flood", 100, "--events", 200000),
            )
            outcome = result["runs"][0]
            self.check(outcome, loss=True)
            self.assertGreater(self.flow(outcome, "dep_gen")["dropped"], 0)
            for subsystem in outcome["subsystems"]:
                self.assertEqual(subsystem["parked"]["count"], 0)

    def test_dropped_submits_of_several_slots(self):
        # One that finds no place counts as one, whatever slots it needs, and its position is missing.
        for memory in ("svm", "shadow"):
            result = self.summary(
                *("--slow-collector", 3, "--buffers", 1, "--max-buffers", 1, "--drop", "--memory", memory),
                *("--flood", 100, "--events", 40000, "--deps", 1300, "--subsystems", "dep_gen"),
            )
            outcome = result["runs"][0]
            self.check(outcome, ["dep_gen"], loss=True)
            flow = self.flow(outcome, "dep_gen")
            self.assertGreater(flow["dropped"], 0)
            self.assertGreater(flow["overflow"], 0)

    def test_mismatch_is_no_drop(self):
        for memory in ("svm", "shadow"):
            result = self.summary(
                "--flood", 100, "--arch", "a5", "--events", 50000, "--mismatch", 3, "--memory", memory
            )
            outcome = result["runs"][0]
            self.check(outcome, loss=True)
            for flow in outcome["flows"]:
                self.assertEqual(flow["dropped"], 0)
                self.assertEqual(flow["mismatch"] > 0, flow["flow"] == "pmu")
            pmu = self.flow(outcome, "pmu")
            # Every third of each core's.
            self.assertLessEqual(abs(pmu["mismatch"] - pmu["total"] / 3), 108)

    def test_copies_that_fail_once_are_tried_again(self):
        for number in (1, 2, 7, 20):
            result = self.summary("--quiet", "--memory", "shadow", "--fail-content-copy", number, "bgemm_512")
            self.check_golden(result["runs"][0])

    def test_contents_that_cannot_be_copied_are_charged(self):
        result = self.summary(
            "--quiet", "--memory", "shadow", "--fail-content-copy", "1+1000000", "fanin_128", code=1
        )
        outcome = result["runs"][0]
        self.assertFalse(outcome["balanced"])
        for flow in outcome["flows"]:
            # Of a buffer whose count could not be copied either nobody knows how many records it held.
            self.assertLessEqual(flow["lost"], flow["total"])
            self.assertEqual(flow["collected"] + flow["damaged"] + flow["repeated"] + flow["dropped"], 0)
        for subsystem in outcome["subsystems"]:
            buffers = sum(golden()["fanin_128"][flow]["buffers"] for flow in SUBSYSTEMS[subsystem["subsystem"]])
            self.assertEqual(subsystem["lost_buffers"], buffers)

    def test_unflushed_buffers_are_recovered(self):
        for memory in ("svm", "shadow"):
            result = self.summary("--no-flush", "--memory", memory, "bgemm_512")
            outcome = result["runs"][0]
            self.check(outcome)
            for flow in outcome["flows"]:
                self.assertEqual(flow["collected"], golden()["bgemm_512"][flow["flow"]]["records"])
                self.assertGreater(flow["recovered"], 0)


class ExitCodes(ProfileCase):
    def test_bad_options(self):
        for arguments in (
            ["--nonsense"],
            ["-x"],
            ["--loops"],
            ["--loops", "0"],
            ["--loops", "-1"],
            ["--quiet=yes"],
            ["--speed", "2"],
            ["--pace", "sometimes"],
            ["--memory", "paper"],
            ["--arch", "a5"],
            ["--cores", "4"],
            ["--seconds", "1"],
            ["--events", "1"],
            ["--flood", "0"],
            ["--flood", "nan"],
            ["--flood", "1", "--arch", "a7"],
            ["--flood", "1", "--threads", "1"],
            ["--flood", "1", "--threads", "5"],
            ["--flood", "1", "--cores", "73"],
            ["--flood", "1", "--loops", "2"],
            ["--flood", "1", "--pace", "recorded"],
            ["--flood", "1", "bgemm_512"],
            ["--subsystems", ""],
            ["--subsystems", "pmu,"],
            ["--subsystems", "pmu,everything"],
            ["--subsystems", "pmu", "--level", "2"],
            ["--level", "0"],
            ["--level", "5"],
            ["--payload", "2000000"],
            ["--arena", "0"],
            ["--buffers", "0"],
            ["--buffers", "4", "--max-buffers", "3"],
            ["--shards", "0"],
            ["--shards", "5", "vector_5_a2a3"],
            ["--drop", "--budget", "1"],
            ["--mismatch", "3", "vector_5_a2a3"],
            ["--mismatch", "3", "--subsystems", "dep_gen", "vector_5_a5"],
            ["--budget", "0"],
            ["--slow-collector", "-5"],
            ["--memory", "svm", "--fail-content-copy", "3", "vector_5_a2a3"],
            ["--fail-content-copy", "3+", "vector_5_a5"],
            ["--device-memory", "1", "vector_5_a2a3"],
            ["--json", "", "vector_5_a5"],
            ["--json", "/nonexistent/summary.json", "vector_5_a5"],
            ["no_such_run"],
            ["./no/such/run.jsonl"],
        ):
            with self.subTest(arguments=arguments):
                self.refused(*arguments)

    def test_runs_that_fit_no_architecture(self):
        header, lines = events("vector_5_a2a3")
        task = next(i for i, line in enumerate(lines) if line["k"] == "task")
        sched = next(i for i, line in enumerate(lines) if line["k"] == "sched")
        cases = {
            "architecture": ({**header, "arch": "a7"}, {}),
            "threads": ({**header, "threads": 5}, {}),
            "one thread": ({**header, "threads": 1, "core_to_thread": [0] * 24}, None),
            "orchestrator owns a core": ({**header, "core_to_thread": [3] * 24}, {}),
            "orchestrator schedules": (header, {sched: {"thread": 3}}),
            "submit without a task": (header, {task: {"token": 999}}),
        }
        with tempfile.TemporaryDirectory() as directory:
            for name, (head, changes) in cases.items():
                with self.subTest(case=name):
                    path = os.path.join(directory, "bad.jsonl")
                    body = [line for line in lines if changes is not None or line["k"] == "task"]
                    body = [{**line, **(changes or {}).get(i, {})} for i, line in enumerate(body)]
                    with open(path, "w", encoding="utf-8") as file:
                        for line in [{**head, "events": len(body)}] + body:
                            file.write(json.dumps(line) + "\n")
                    self.refused(path)

    def test_bad_submits_and_scopes_name_file_and_line(self):
        header, lines = events("vector_5_a2a3")
        submit = next(i for i, line in enumerate(lines) if line["k"] == "submit")
        scope = next(i for i, line in enumerate(lines) if line["k"] == "scope")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "bad.jsonl")
            for position, change in (
                (submit, {"args": 33}),
                (submit, {"token": "x"}),
                (scope, {"phase": "middle"}),
                (scope, {"depth": 64}),
                (scope, {"ring": 4}),
            ):
                with self.subTest(change=change):
                    changed = [{**line, **(change if i == position else {})} for i, line in enumerate(lines)]
                    with open(path, "w", encoding="utf-8") as file:
                        for line in [header] + changed:
                            file.write(json.dumps(line) + "\n")
                    self.assertIn(f":{position + 2}:", self.refused(path))

    def test_unbalanced_books_end_with_1(self):
        result = run("--quiet", "--memory", "shadow", "--fail-content-copy", "1+100000", "vector_5_a2a3")
        self.assertEqual(result.returncode, 1)
        self.assertIn("books do not balance", result.stderr)

    def test_help_explains_every_option(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for option in ("--subsystems", "--flood", "--seconds", "--payload", "--drop", "--json", "--budget", "--memory"):
            self.assertIn(option + " ", result.stdout)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 120)

    def test_list_runs(self):
        result = run("--list-runs")
        self.assertEqual(result.returncode, 0)
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()[1:]], program.RUNS)

    def test_report_and_quiet(self):
        result = run("vector_5_a2a3")
        self.assertEqual(result.returncode, 0)
        for word in FLOWS + ["freezes", "host", "CPU", "throughput", "books"]:
            self.assertIn(word, result.stdout)
        result = run("--quiet", "vector_5_a2a3")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))


if __name__ == "__main__":
    program.main(__doc__)
