#!/usr/bin/env bash
# Builds one file of a C++ suite (compat/freeze: cpp_tests/compat/freeze_test.cpp) against the debug library and runs the
# cases that match; for the mutants beside this file.
set -euo pipefail
suite=$1
out=$CMAKE_BUILD/suites
mkdir -p "$out"
{
    cargo rustc --quiet --lib --crate-type staticlib
    make -f cpp_tests/mutants/suite.mk SUITE="$suite" OUT="$out" LIBRARY="$CARGO_TARGET_DIR/debug/liblanepipe.a"
} >"$out/build.log" 2>&1 || {
    cat "$out/build.log"
    exit 1
}
exec timeout 60 "$out/$suite" --gtest_filter="$2"
