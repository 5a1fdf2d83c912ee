#!/usr/bin/env python3
"""Checks docs/verification.md against the source.

Every edge label in the source (`Edge::new("module.name", ...)`) needs a table row in docs/verification.md that names the
label and at least one model (`loom_...`); the named models exist; and some model weakens the edge and sees it fail
(`must_fail("module.name"`). A row about a label that no longer exists is an error as well.

Every invariant of the host pipeline (H1 to H38) and of the device engine (D1 to D40) needs a row that names tests and mutants;
the named tests exist, and the named mutants exist in cpp_tests/mutants and break that invariant. The rows of the completion
mailbox's invariants (M) are checked in the same way.
"""

import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import mutants  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/verification.md"
INVARIANTS = [f"H{number}" for number in range(1, 39)] + [f"D{number}" for number in range(1, 41)] + [f"M{number}" for number in range(1, 40)]
LABEL = r"[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*"


def without_comments(text):
    """Line comments may show the macros of the ordering table without declaring an edge."""
    return re.sub(r"^\s*//.*$", "", text, flags=re.M)


def source():
    """Labels with the place that declares them, labels that a model weakens, and model names."""
    labels, weakened, models = {}, set(), set()
    problems = []
    for path in sorted((ROOT / "src").rglob("*.rs")):
        text = without_comments(path.read_text(encoding="utf-8"))
        for match in re.finditer(r'\bEdge::new\(\s*("?)([^",)]*)', text):
            place = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            quoted, label = match.groups()
            if not quoted or not re.fullmatch(LABEL, label):
                problems.append(f'{place}: the label of an edge is a literal "module.name", not {label or "empty"}')
            elif label in labels:
                problems.append(f"{place}: {label} is declared at {labels[label]} already")
            else:
                labels[label] = place
        weakened.update(re.findall(r'\bmust_fail\(\s*"([^"]+)"', text))
        models.update(re.findall(r"\bfn (loom_\w+)", text))
    return labels, weakened, models, problems


def rows():
    """Table rows as (line number, labels in the first column, text)."""
    for number, line in enumerate(DOCUMENT.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("|"):
            cells = line.strip().strip("|").split("|")
            yield number, re.findall(rf"`({LABEL})`", cells[0]), line


def test_names():
    """C++ cases as Suite.Case, and Rust test functions."""
    names = set()
    for path in (ROOT / "cpp_tests").rglob("*_test.cpp"):
        text = path.read_text(encoding="utf-8")
        names.update(f"{suite}.{case}" for suite, case in re.findall(r"\bTEST(?:_[FP])?\((\w+), (\w+)\)", text))
        names.update(f"{suite}.{case}" for suite, case in re.findall(r"\bTYPED_TEST\((\w+), (\w+)\)", text))
    for path in (ROOT / "src").rglob("*.rs"):
        names.update(re.findall(r"\bfn (\w+)[<(]", path.read_text(encoding="utf-8")))
    return names


def check_invariants():
    """Problems with the tables of invariants."""
    problems = []
    broken_by = {mutant["name"]: mutants.invariants(mutant) for mutant in mutants.committed()}
    tests = test_names()
    described = set()
    for number, line in enumerate(DOCUMENT.read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or not re.fullmatch(r"[HMD][0-9]+", cells[0]):
            continue
        invariant, _, tested, broken = cells
        where = f"docs/verification.md:{number}: {invariant}"
        described.add(invariant)
        for column, cell in (("test", tested), ("mutant", broken)):
            if "`" not in cell:
                problems.append(f"{where} has no {column}")
        problems += [f"{where}: there is no test {name}" for name in re.findall(r"`([^`]+)`", tested) if name not in tests]
        problems += [f"{where}: no mutant {name} breaks it"
                     for name in re.findall(r"`([^`]+)`", broken) if invariant not in broken_by.get(name, [])]
    return problems + [f"docs/verification.md has no row for {name}" for name in INVARIANTS if name not in described]


def main():
    labels, weakened, models, problems = source()
    if not DOCUMENT.exists():
        print(f"{DOCUMENT.relative_to(ROOT)} is missing; the source has {len(labels)} edges")
        return 1
    documented = set()
    for number, row_labels, text in rows():
        where = f"docs/verification.md:{number}"
        named = set(re.findall(r"\bloom_(?!tests\b)\w+", text))
        for label in row_labels:
            documented.add(label)
            if label not in labels:
                problems.append(f"{where}: the source has no edge {label}")
            if not named:
                problems.append(f"{where}: {label} has no model (loom_...)")
        problems += [f"{where}: the source has no model {name}" for name in sorted(named - models)]
    for label, place in labels.items():
        if label not in documented:
            problems.append(f"{place}: docs/verification.md has no row for {label}")
        if label not in weakened:
            problems.append(f'{place}: no model weakens {label} (must_fail("{label}", ...))')
    problems += [f"must_fail names {label}, which is no edge" for label in sorted(weakened - labels.keys())]

    problems += check_invariants()

    for problem in problems:
        print(problem)
    print(f"{len(labels)} edges, {len(models)} models, {len(INVARIANTS)} invariants, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
