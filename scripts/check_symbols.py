#!/usr/bin/env python3
"""Compares the symbols of a built library with what the C header declares.

shared   exports exactly the header's functions, under the right SONAME
static   defines exactly those lanepipe_* globals
device   the same for the device half; what an image links in of it leaves undefined only memory functions and the
         abort hook, holds no panic and no thread-local storage
hidden   an object that links the static library exports nothing of it
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# No cache files in the source tree.
sys.dont_write_bytecode = True
import c_header  # noqa: E402

DEVICE_IMPORTS = {"memcpy", "memset", "memcmp", "memmove"} | c_header.IMPORTED


class Checker:
    def __init__(self, arguments):
        self.arguments = arguments
        self.failed = False

    def fail(self, text):
        print(f"{self.arguments.file}: {text}")
        self.failed = True

    def tool(self, name, *parameters):
        command = [self.arguments.prefix + name, *map(str, parameters)]
        # nm warns about members without symbols.
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    def nm(self, *parameters):
        """Pairs of type letter and name."""
        for line in self.tool("nm", *parameters).splitlines():
            match = re.match(r"(?:[0-9a-f]+)? +([A-Za-z]) (\S.*)$", line)
            if match:
                yield match.group(1), match.group(2)

    def compare(self, what, found, declared):
        for name in sorted(found - declared):
            self.fail(f"{what} {name}, which the header does not declare")
        for name in sorted(declared - found):
            self.fail(f"lacks {name}, which the header declares")

    def shared(self):
        names = {name.split("@")[0] for _, name in self.nm("-D", "--defined-only", self.arguments.file)}
        self.compare("exports", names, c_header.functions("host", self.arguments.cc))
        dynamic = self.tool("readelf", "-d", "-W", self.arguments.file)
        soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic)
        wanted = f"liblanepipe.so.{abi()}"
        if not soname or soname.group(1) != wanted:
            self.fail(f"SONAME is {soname.group(1) if soname else 'absent'}, not {wanted}")
        return f"{len(names)} functions, {wanted}"

    def static(self, side="host"):
        found = {n for t, n in self.nm("-g", "--defined-only", self.arguments.file) if n.startswith("lanepipe_")}
        self.compare("defines", found, c_header.functions(side, self.arguments.cc))
        return f"{len(found)} functions, {Path(self.arguments.file).stat().st_size} bytes"

    def device(self):
        report = self.static("device")
        roots = sorted(c_header.functions("device", self.arguments.cc))
        with tempfile.TemporaryDirectory() as directory:
            image = Path(directory) / "image.o"
            # The members that the functions reach, without what they never call.
            undefined = [f"--undefined={name}" for name in roots]
            self.tool("ld", "-r", "--gc-sections", *undefined, self.arguments.file, "-o", image)
            for kind, name in self.nm(image):
                if kind in "Uw" and name not in DEVICE_IMPORTS:
                    self.fail(f"needs {name}")
            for _, name in self.nm("-C", image):
                if "core::panicking" in name or "core::option::" in name and "fail" in name:
                    self.fail(f"can panic: {name}")
            if re.search(r" TLS ", self.tool("readelf", "-s", "-W", image)):
                self.fail("has thread-local storage")
            size = self.tool("size", image).splitlines()[1].split()
            report += f"; linked: text {size[0]}, data {size[1]}, bss {size[2]}"
        # The library's own object, whether an image links it or not.
        for member in self.tool("ar", "t", self.arguments.file).split():
            if not member.startswith("lanepipe"):
                continue
            with tempfile.TemporaryDirectory() as directory:
                archive = Path(self.arguments.file).resolve()
                subprocess.run([self.arguments.prefix + "ar", "x", archive, member], cwd=directory, check=True)
                for _, name in self.nm("-C", Path(directory) / member):
                    if "core::panicking" in name:
                        self.fail(f"{member} can panic: {name}")
        return report

    def hidden(self):
        names = {name.split("@")[0] for _, name in self.nm("-D", "--defined-only", self.arguments.file)}
        for name in sorted(names - set(self.arguments.allow)):
            self.fail(f"exports {name}")
        return f"{len(names)} exports"


def abi():
    text = (c_header.INCLUDE / "lanepipe/lanepipe.h").read_text()
    return re.search(r"^#define LANEPIPE_ABI_VERSION (\d+)", text, re.M).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["shared", "static", "device", "hidden"])
    parser.add_argument("file")
    parser.add_argument("--cc", help="C compiler (default: $CC or cc)")
    parser.add_argument("--prefix", default="", help="prefix of nm, ld and the other tools, for cross builds")
    parser.add_argument("--allow", nargs="*", default=[], help="hidden: names that the object itself exports")
    checker = Checker(parser.parse_args())
    report = getattr(checker, checker.arguments.kind)()
    print(f"{Path(checker.arguments.file).name} ({checker.arguments.kind}): {report}")
    return 1 if checker.failed else 0


if __name__ == "__main__":
    sys.exit(main())
