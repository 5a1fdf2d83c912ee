#!/usr/bin/env python3
"""Runs the tests, step by step, and ends with one line `N passed, N failed`.

  scripts/test.py quick             what `make test` runs
  scripts/test.py full              what `make test-full` runs
  scripts/test.py STEP...           single steps
  scripts/test.py --list            names the steps

Test cases are counted from each tool's own output: cargo's result lines and ctest's JUnit file. A check of the lint step
counts only when it fails, and so does a step that does not get as far as running its cases. Output goes to
build/logs/STEP.log; of a step that fails, the log's end is shown.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("LANEPIPE_BUILD_ROOT", ROOT / "build")).resolve()
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
JOBS = os.environ.get("JOBS", str(os.cpu_count() or 2))
# Preemptions per execution in the larger loom runs; the models have their own, smaller bounds.
LOOM_FULL_PREEMPTIONS = os.environ.get("LOOM_FULL_PREEMPTIONS", "4")
DEBIAN_CARGO = "CARGO_EXECUTABLE=/usr/bin/cargo"
MINUTE = 60
# Of build/gcc, which several steps share.
GCC_OPTIONS = ["-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++", "-DLANEPIPE_TEST_REFERENCES=OFF"]
# Of instrumented and emulated suites: more would cost the compilers twice the time, and these gain nothing by it.
LIGHT_OPTIONS = [f"-DCMAKE_{language}_FLAGS_RELWITHDEBINFO=-O1 -g1 -DNDEBUG" for language in ("C", "CXX")]


class Step:
    """One step's log, its counts and the processes it runs."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0
        BUILD.joinpath("logs").mkdir(parents=True, exist_ok=True)
        self.log_path = BUILD / "logs" / f"{name}.log"
        self.log = open(self.log_path, "w", encoding="utf-8", errors="replace")

    def run(self, *command, env=None, timeout=10 * MINUTE):
        """Runs a command into the log. Returns its exit code and output; failure to end in time is code 124."""
        command = [str(part) for part in command]
        prefix = "".join(f"{key}={value!r} " for key, value in (env or {}).items())
        print(f"$ {prefix}{' '.join(command)}", file=self.log, flush=True)
        start = self.log_path.stat().st_size
        # A session of its own, so that a hanging test's children end with it.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            # Negative models panic on purpose, thousands of frames deep in all.
            env={**os.environ, "RUST_BACKTRACE": "0", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = 124
            print(f"not finished after {timeout} s", file=self.log, flush=True)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(start)
            output = log.read()
        if code != 0:
            self.show(command, code, output)
        return code, output

    def show(self, command, code, output):
        print(f"--- {self.name}: exit code {code}: {' '.join(command)}")
        for line in output.rstrip().splitlines()[-60:]:
            print(f"    {line}")

    def check(self, *command, **options):
        """A command that must succeed; counted only if it fails."""
        code, _ = self.run(*command, **options)
        if code != 0:
            self.failed += 1
        return code == 0

    def cargo_test(self, *arguments, cargo="cargo", **options):
        code, output = self.run(cargo, "test", *arguments, **options)
        failed = 0
        for match in re.finditer(r"^test result: \w+\. (\d+) passed; (\d+) failed;", output, re.M):
            self.passed += int(match.group(1))
            failed += int(match.group(2))
        if code != 0 and failed == 0:
            failed = 1
        self.failed += failed

    def cmake(self, name, *options, build_type="RelWithDebInfo", generator="Ninja", env=None, target=None):
        """Configures and builds in build/NAME. Returns the directory, or None if that failed."""
        directory = BUILD / name
        configured = self.check(
            "cmake", "-S", ROOT, "-B", directory, "-G", generator,
            f"-DCMAKE_BUILD_TYPE={build_type}", "-DLANEPIPE_WERROR=ON", *options, env=env)
        command = ["cmake", "--build", directory, "-j", JOBS]
        if target:
            command += ["--target", *target]
        if configured and self.check(*command, env=env, timeout=60 * MINUTE):
            return directory
        return None

    def ctest(self, directory, *arguments, timeout=20 * MINUTE, **options):
        junit = directory / "junit.xml"
        junit.unlink(missing_ok=True)
        code, _ = self.run(
            "ctest", "--test-dir", directory, "-j", JOBS, "--output-on-failure", "--no-tests=error",
            "--output-junit", junit, *arguments, timeout=timeout, **options)
        tests = failed = 0
        if junit.exists():
            suite = ElementTree.parse(junit).getroot()
            number = lambda key: int(suite.get(key, 0))
            failed = number("failures")
            tests = number("tests") - number("disabled") - number("skipped")
        if code != 0 and failed == 0:
            failed = 1
        self.passed += max(tests - failed, 0)
        self.failed += failed

    def require_symbol(self, file, symbol):
        """Shows that a sanitizer was really on."""
        _, output = self.run("nm", file)
        if not re.search(rf"\b{symbol}", output):
            print(f"--- {self.name}: {file} has no {symbol}")
            self.failed += 1


# --- what `make test` runs ------------------------------------------------------------------------------------------


def rust(step):
    """Unit and documentation tests of the crate."""
    step.cargo_test()


def features(step):
    """Unit tests over the portable wait, and of the no_std half."""
    step.cargo_test("--lib", "--features", "portable-wait")
    step.cargo_test("--lib", "--no-default-features")


def loom(step, preemptions=None):
    """Loom models, each with its negative runs, at the models' own bounds."""
    env = {"RUSTFLAGS": "--cfg loom"}
    if preemptions:
        env["LOOM_MAX_PREEMPTIONS"] = preemptions
    step.cargo_test("--profile", "model", "--target-dir", TARGET / "loom", "--lib", "loom_",
                    env=env, timeout=(120 if preemptions else 15) * MINUTE)


def gcc(step):
    """C and C++ suites with GCC, release library; the references' runs are left to the other builds."""
    directory = step.cmake("gcc", *GCC_OPTIONS)
    if directory:
        step.ctest(directory)


def lint(step):
    """Formatting, warnings of all feature sets, header, symbols, verification table, shell scripts."""
    step.check("cargo", "fmt", "--check")
    deny = ["--", "-D", "warnings"]
    step.check("cargo", "clippy", "--all-targets", *deny)
    step.check("cargo", "clippy", "--all-targets", "--features", "portable-wait", *deny)
    step.check("cargo", "clippy", "--lib", "--no-default-features", "--profile", "device", *deny)
    step.check("cargo", "clippy", "--lib", "--tests", "--profile", "model", "--target-dir", TARGET / "loom", *deny,
               env={"RUSTFLAGS": "--cfg loom"})
    step.check("scripts/header.sh")
    sources = sorted(
        str(path.relative_to(ROOT))
        for directory in ("cpp_tests", "examples", "include", "benches", "cmake")
        for path in (ROOT / directory).rglob("*")
        # The C header is cbindgen's.
        if path.suffix in (".h", ".hpp", ".c", ".cpp") and path != ROOT / "include/lanepipe/lanepipe.h")
    step.check("clang-format-14", "--dry-run", "-Werror", *sources)
    if step.cmake("gcc", *GCC_OPTIONS,
                  target=["lanepipe_cargo", "lanepipe_cargo_device"]):
        for kind, pattern in {
            "shared": "cargo/*/release/liblanepipe.so",
            "static": "cargo/*/release/liblanepipe.a",
            "device": "cargo-device/*/device/liblanepipe_device.a",
        }.items():
            for file in (BUILD / "gcc").glob(pattern):
                step.check("scripts/check_symbols.py", kind, file)
    step.check("scripts/check_verification.py")
    scripts = [*sorted(map(str, (ROOT / "scripts").glob("*.sh"))), ".ci/run"]
    if shutil.which("shellcheck"):
        step.check("shellcheck", *scripts)
    else:
        for script in scripts:
            step.check("bash", "-n", script)


# --- what `make test-full` adds -------------------------------------------------------------------------------------


def debug(step):
    """C and C++ suites with GCC and the debug library, whose checks of ownership are on."""
    directory = step.cmake("debug", "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++", build_type="Debug")
    if directory:
        step.ctest(directory)


def clang(step):
    """C and C++ suites with Clang 14."""
    directory = step.cmake("clang", "-DCMAKE_C_COMPILER=clang-14", "-DCMAKE_CXX_COMPILER=clang++-14")
    if directory:
        step.ctest(directory)


def sanitized(step, name, compiler, flags, cargo, exclude, env):
    directory = step.cmake(
        name, *LIGHT_OPTIONS,
        f"-DCMAKE_C_COMPILER={compiler[0]}", f"-DCMAKE_CXX_COMPILER={compiler[1]}",
        f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}",
        # GoogleTest with the same flags; symbols and packages are the plain build's concern.
        "-DLANEPIPE_GTEST_SOURCE=/usr/src/googletest", "-DLANEPIPE_CHECK_SYMBOLS=OFF", "-DLANEPIPE_INSTALL=OFF",
        *cargo)
    if directory:
        step.require_symbol(directory / "cpp_tests/abi/abi_static_tests", f"__{name}_init")
        step.ctest(directory, *exclude, timeout=60 * MINUTE, env=env)


def asan(step):
    """Suites under address, leak and undefined-behaviour sanitizers, Rust instrumented for the first two."""
    sanitized(
        step, "asan", ("gcc", "g++"), "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer",
        ["-DLANEPIPE_CARGO_ENV=RUSTC_BOOTSTRAP=1;"
         "RUSTFLAGS=-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer"],
        # Nothing can be unmapped while the sanitizer's run-time library keeps track of it.
        ["-LE", "^load$"],
        {"ASAN_OPTIONS": "detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"})


def tsan(step):
    """Suites under the thread sanitizer with an instrumented Rust library, standard library included."""
    sanitized(
        # The library's headers are GCC 12's, and use among themselves what this compiler calls deprecated.
        step, "tsan", ("clang-22", "clang++-22"), "-fsanitize=thread -Wno-deprecated-declarations",
        [f"-D{DEBIAN_CARGO}", "-DLANEPIPE_RUST_TARGET=x86_64-unknown-linux-gnutsan",
         "-DLANEPIPE_CARGO_FLAGS=-Zbuild-std=std,panic_unwind",
         "-DLANEPIPE_CARGO_ENV=RUSTC_BOOTSTRAP=1;RUSTC=/usr/bin/rustc"],
        # The references keep the races that the C++ runtime has.
        ["-LE", "^(load|reference)$"],
        {"TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1"})


def loom_full(step):
    """Loom models with more preemptions."""
    loom(step, LOOM_FULL_PREEMPTIONS)


def aarch64(step):
    """Crate tests and suites for aarch64 under user-mode emulation; barriers in the code of the device archive."""
    # No -L for the emulator: two C libraries would be mixed, and thread creation hangs.
    env = {
        "RUSTC": "/usr/bin/rustc",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER": "aarch64-linux-gnu-gcc",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER": "qemu-aarch64",
    }
    step.cargo_test("--release", "--lib", "--target", "aarch64-unknown-linux-gnu",
                    "--target-dir", BUILD / "aarch64-cargo", cargo="/usr/bin/cargo", env=env, timeout=30 * MINUTE)
    directory = step.cmake(
        "aarch64", *LIGHT_OPTIONS,
        f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/cmake/toolchains/aarch64-linux-gnu.cmake",
        "-DLANEPIPE_GTEST_SOURCE=/usr/src/googletest", f"-D{DEBIAN_CARGO}",
        "-DLANEPIPE_CARGO_ENV=RUSTC=/usr/bin/rustc")
    if directory:
        for archive in directory.glob("cargo-device/*/device/liblanepipe_device.a"):
            step.check("scripts/check_barriers.py", archive)
        # Mappings and timing are the emulator's there.
        step.ctest(directory, "-LE", "^(load|stress)$", timeout=60 * MINUTE)


def package(step):
    """Consumer projects: installed and embedded, with Ninja and with Make; incremental builds."""
    directory = step.cmake("gcc", *GCC_OPTIONS)
    if not directory:
        return
    for generator in ("Ninja", "Unix Makefiles"):
        work = BUILD / "package" / generator.split()[-1].lower()
        for way in ("find_package", "pkg_config", "subdirectory", "incremental", "swap", "swap_mailbox",
                    "swap_device", "swap_refused"):
            code, _ = step.run("scripts/package.sh", way, directory, work / way, generator)
            step.passed += code == 0
            step.failed += code != 0


QUICK = [rust, features, loom, gcc, lint]
FULL = [*QUICK, debug, clang, asan, tsan, loom_full, aarch64, package]
STEPS = {function.__name__.replace("_", "-"): function for function in FULL}


def main(arguments):
    if arguments in ([], ["-h"], ["--help"]):
        print(__doc__)
        return 2
    if arguments == ["--list"]:
        for name, function in STEPS.items():
            print(f"{name:10} {function.__doc__}")
        return 0
    chosen = []
    for argument in arguments:
        group = {"quick": QUICK, "full": FULL}.get(argument) or [STEPS.get(argument)]
        if group == [None]:
            print(f"no step {argument}; --list names them", file=sys.stderr)
            return 2
        chosen += group
    passed = failed = 0
    for function in chosen:
        name = function.__name__.replace("_", "-")
        print(f"=== {name}: {function.__doc__}", flush=True)
        start = time.monotonic()
        step = Step(name)
        function(step)
        step.log.close()
        print(f"=== {name}: {step.passed} passed, {step.failed} failed, {time.monotonic() - start:.0f} s", flush=True)
        passed += step.passed
        failed += step.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 and chosen != [lint] else 0


if __name__ == "__main__":
    # Ended from outside, the runner ends what it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
