#!/usr/bin/env bash
# Builds the suite of the C interface in $CMAKE_BUILD and runs the cases that match; for the mutants beside this file.
set -euo pipefail
mkdir -p "$CMAKE_BUILD"
log=$CMAKE_BUILD/build.log
{
    cmake -S . -B "$CMAKE_BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DLANEPIPE_BUILD_EXAMPLES=OFF
    cmake --build "$CMAKE_BUILD" --target capi_tests
} >"$log" 2>&1 || {
    cat "$log"
    exit 1
}
exec timeout 60 "$CMAKE_BUILD/cpp_tests/capi_tests" --gtest_filter="$1"
