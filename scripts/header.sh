#!/usr/bin/env bash
# Checks that include/lanepipe/lanepipe.h is what src/capi generates; with --bless, writes it.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
"") cargo check --features header ;;
--bless) LANEPIPE_BLESS=1 cargo check --features header ;;
*)
    echo "usage: $0 [--bless]" >&2
    exit 2
    ;;
esac
