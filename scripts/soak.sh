#!/usr/bin/env bash
# Passes SOAK_MESSAGES messages through the completion mailbox, then repeats the stress programs until SOAK_SECONDS have
# passed; stops at the first failure.
#
#   soak.sh BUILD    a CMake build directory
set -euo pipefail
build=$1
if ! LANEPIPE_SOAK_MESSAGES=${SOAK_MESSAGES:-100000000} "$build/cpp_tests/mailbox_soak_tests" >"$build/soak.log" 2>&1; then
    cat "$build/soak.log"
    echo "soak: failure in the mailbox"
    exit 1
fi
sed -n 's/^mailbox: /soak: mailbox: /p' "$build/soak.log"
seconds=${SOAK_SECONDS:-600}
end=$((SECONDS + seconds))
rounds=0
while ((SECONDS < end)); do
    if ! ctest --test-dir "$build" -L '^stress$' --schedule-random --output-on-failure --no-tests=error \
        >"$build/soak.log" 2>&1; then
        cat "$build/soak.log"
        echo "soak: failure in round $((rounds + 1))"
        exit 1
    fi
    rounds=$((rounds + 1))
done
echo "soak: $rounds rounds in $seconds s, no failure"
