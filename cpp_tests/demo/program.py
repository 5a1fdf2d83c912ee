# SPDX-License-Identifier: MIT OR Apache-2.0
"""A demonstrator as a program under test. Nothing is judged by time."""

import json
import os
import subprocess
import sys
import unittest

PROGRAM = ""
RUNS_DIR = ""
RUNS = []
TIMEOUT = 240
# Runs the program where the processor does not.
EMULATOR = os.environ.get("LANEPIPE_TEST_EMULATOR", "").split()


def run(*arguments, runs_dir=None):
    command = [*EMULATOR, PROGRAM, "--runs-dir", runs_dir or RUNS_DIR, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def events(name):
    """Header and events of a recorded run."""
    with open(os.path.join(RUNS_DIR, name + ".jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[0], lines[1:]


class ProgramCase(unittest.TestCase):
    def summary(self, *arguments, code=0):
        result = run("--json", "-", *arguments)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout[-2000:])
        return json.loads(result.stdout)

    def refused(self, *arguments):
        """Exit code 2 and one line that says why."""
        result = run(*arguments)
        self.assertEqual(result.returncode, 2, (arguments, result.stderr))
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith(os.path.basename(PROGRAM) + ": "), result.stderr)
        return result.stderr


def main(doc):
    """usage: NAME_test.py PROGRAM RUNS_DIR [UNITTEST ARGUMENT]..."""
    global PROGRAM, RUNS_DIR, RUNS
    if len(sys.argv) < 3:
        sys.exit(doc)
    PROGRAM, RUNS_DIR = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    RUNS = sorted(name[: -len(".jsonl")] for name in os.listdir(RUNS_DIR) if name.endswith(".jsonl"))
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
