#!/usr/bin/env python3
"""What the C header declares for the host or for the device, read from the preprocessed header.

Used as a module by check_symbols.py and as a program by cpp_tests/header/CMakeLists.txt.
"""

import argparse
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"

# Functions that the image supplies to the device archive.
IMPORTED = {"lanepipe_device_abort"}


def preprocess(side, compiler=None):
    """The header's own text after preprocessing, without what it includes."""
    compiler = compiler or os.environ.get("CC", "cc")
    define = {"host": "-DLANEPIPE_HOST=1", "device": "-DLANEPIPE_DEVICE=1"}[side]
    text = subprocess.run(
        [compiler, "-E", "-xc", "-std=c99", define, "-I", str(INCLUDE), "-"],
        input="#include <lanepipe/lanepipe.h>\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    own = []
    inside = False
    for line in text.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            inside = marker.group(1).endswith("lanepipe/lanepipe.h")
        elif inside:
            own.append(line)
    return "\n".join(own)


def declarations(text):
    """Splits at the semicolons outside braces."""
    depth = 0
    start = 0
    for i, c in enumerate(text):
        depth += {"{": 1, "}": -1}.get(c, 0)
        if c == ";" and depth == 0:
            yield " ".join(text[start:i].split())
            start = i + 1


def functions(side, compiler=None):
    """Names of the functions that the library defines."""
    found = set()
    for declaration in declarations(preprocess(side, compiler)):
        if declaration.startswith("typedef") or "{" in declaration:
            continue
        name = re.search(r"\b(lanepipe_\w+) ?\(", declaration)
        if name:
            found.add(name.group(1))
    return found - IMPORTED


def structs(side, compiler=None):
    """Names of the complete structures."""
    pattern = re.compile(r"typedef struct (\w+) \{")
    return [m.group(1) for d in declarations(preprocess(side, compiler)) if (m := pattern.match(d))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["host", "device"])
    parser.add_argument("what", choices=["functions", "structs"])
    parser.add_argument("--cc", help="C compiler (default: $CC or cc)")
    arguments = parser.parse_args()
    names = functions(arguments.side, arguments.cc) if arguments.what == "functions" else structs(
        arguments.side, arguments.cc)
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main()
