#!/usr/bin/env python3
"""Applies each committed mutant to a copy of the tree and checks that its test turns red.

A mutant is a table in cpp_tests/mutants/*.toml:

    [[mutant]]
    name = "ring-publish-early"             # unique
    file = "src/ring/index.rs"
    search = "text that stands there once"
    replace = "what it becomes"
    test = "cargo test --lib ring::"        # must be green before and red after
    timeout = 300                           # seconds, optional; a test that hangs counts as red
    invariant = ["H5", "H25"]               # optional, H: host pipeline, M: mailbox, D: device engine;
                                            # docs/verification.md has a row for each

Tests run in the copy with CARGO_TARGET_DIR=build/mutants/target, so that each compiles only what the mutant changed; the
variable $CMAKE_BUILD is a build directory kept for the C++ suites. A mutant that does not compile, does not apply, or
whose test is red without it is an error, not a success.

  scripts/mutants.py [WORD...]    all, or those whose name contains one of the words or that break invariant WORD
"""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("LANEPIPE_BUILD_ROOT", ROOT / "build")).resolve() / "mutants"
TREE = BUILD / "tree"
INVARIANT = re.compile(r"H([1-9]|[12][0-9]|3[0-8])|M([1-9]|[12][0-9]|3[0-9])|D([1-9]|[1-3][0-9]|40)")
# What cargo and GoogleTest print once a test program runs; a mutant that does not compile prints none of it.
TEST_RAN = re.compile(r"^test result: |^\[==========\]|^test .* \.\.\. FAILED|tests? failed out of|panicked at", re.M)


def copy_tree():
    """Brings the copy up to date; unchanged files keep their times, and so what was built from them."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True).stdout
    names = {name.decode() for name in listed.split(b"\0") if name}
    names = {name for name in names if (ROOT / name).is_file()}
    for name in names:
        write(TREE / name, (ROOT / name).read_bytes(), (ROOT / name).stat().st_mode)
    for path in sorted(TREE.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(TREE)) not in names:
            path.unlink()


def write(path, content, mode=None):
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if mode is not None:
        path.chmod(mode)


def run(command, timeout):
    """Exit code (124: not finished in time) and output."""
    env = {**os.environ, "CARGO_TARGET_DIR": str(BUILD / "target"), "CMAKE_BUILD": str(BUILD / "cmake")}
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=TREE, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return 124, output
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def judge(mutant, green):
    """One word on the outcome; "red" is the good one."""
    path = TREE / mutant["file"]
    if not path.is_file():
        return "NO SUCH FILE"
    original = path.read_text(encoding="utf-8")
    count = original.count(mutant["search"])
    if count != 1:
        return f"SEARCH TEXT FOUND {count} TIMES"
    if not green[mutant["test"]]:
        return "TEST IS RED WITHOUT IT"
    write(path, original.replace(mutant["search"], mutant["replace"]).encode())
    try:
        code, output = run(mutant["test"], mutant.get("timeout", 300))
    finally:
        write(path, original.encode())
    if code == 0:
        return "SURVIVED"
    if code == 124:
        return "red (hangs)"
    if not TEST_RAN.search(output):
        print(output[-3000:])
        return "NO TEST RAN"
    return "red"


def is_green(command, timeout):
    # The first run of a command compiles everything.
    code, output = run(command, timeout + 900)
    if code != 0:
        print(output[-3000:])
    return code == 0


def invariants(mutant):
    """The invariants that a mutant breaks, H1 to H38, M1 to M39 or D1 to D40."""
    named = mutant.get("invariant", [])
    return [named] if isinstance(named, str) else named


def committed():
    """All mutants in the tree."""
    mutants = []
    for path in sorted((ROOT / "cpp_tests/mutants").glob("*.toml")):
        for mutant in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []):
            missing = {"name", "file", "search", "replace", "test"} - mutant.keys()
            if missing:
                sys.exit(f"{path}: a mutant lacks {', '.join(sorted(missing))}")
            if not all(INVARIANT.fullmatch(name) for name in invariants(mutant)):
                sys.exit(f"{path}: {mutant['name']} names an unknown invariant")
            mutants.append(mutant)
    names = [mutant["name"] for mutant in mutants]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        sys.exit(f"names used twice: {', '.join(sorted(doubled))}")
    return mutants


def main(words):
    mutants = committed()
    if words:
        mutants = [mutant for mutant in mutants
                   if any(word in mutant["name"] or word in invariants(mutant) for word in words)]
    if not mutants:
        sys.exit("no mutants")

    BUILD.mkdir(parents=True, exist_ok=True)
    copy_tree()
    # All tests first, on one build; then mutants with the same test stand together: what it needs is compiled once.
    mutants.sort(key=lambda mutant: mutant["test"])
    limits = {}
    for mutant in mutants:
        limits[mutant["test"]] = max(mutant.get("timeout", 300), limits.get(mutant["test"], 0))
    green = {command: is_green(command, limit) for command, limit in limits.items()}
    bad = 0
    for mutant in mutants:
        start = time.monotonic()
        outcome = judge(mutant, green)
        bad += not outcome.startswith("red")
        print(f"{mutant['name']:44} {outcome:28} {time.monotonic() - start:5.0f} s", flush=True)
    print(f"{len(mutants) - bad} of {len(mutants)} mutants are red")
    return 1 if bad else 0


if __name__ == "__main__":
    # Ended from outside, it ends what it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
