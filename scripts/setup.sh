#!/usr/bin/env bash
# Installs the Debian packages that are missing. Prints nothing when all is there.
#
#   setup.sh          what `make test`, `make demo` and `make bench` need
#   setup.sh --full   what `make test-full` needs on top: Clang, sanitizers with an instrumented Rust library, aarch64
set -euo pipefail

full=no
case "${1:-}" in
"") ;;
--full) full=yes ;;
*)
    echo "usage: $0 [--full]" >&2
    exit 2
    ;;
esac

missing=()

# need_command COMMAND PACKAGE: a tool that may come from elsewhere than a package.
need_command() {
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

# need_package PACKAGE...: libraries, and tools whose exact build matters.
need_package() {
    local package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" == "ii "* ]] || missing+=("$package")
    done
}

as_root() {
    if [[ "$(id -u)" == 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "setup: root rights are needed for: $*" >&2
        return 1
    fi
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is missing; install Rust 1.88 or newer (with rustfmt and clippy) through rustup" >&2
    exit 1
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: not a Debian system; install the tools listed in scripts/setup.sh by hand" >&2
    exit 0
fi

need_command gcc gcc
need_command g++ g++
need_command make make
need_command cmake cmake
need_command ninja ninja-build
need_command nm binutils
need_command python3 python3
need_command pkg-config pkg-config
need_command clang-format-14 clang-format-14
need_command valgrind valgrind
need_package libc6-dev libgtest-dev libbenchmark-dev

if [[ "$full" == yes ]]; then
    if ! dpkg --print-foreign-architectures | grep -qx arm64; then
        as_root dpkg --add-architecture arm64
        as_root apt-get update -qq
    fi
    need_command shellcheck shellcheck
    need_package clang-14 clang-22 libclang-rt-22-dev
    # One compiler for both: the instrumented build needs the standard library's source, aarch64 its Debian binary.
    need_package rustc-web cargo-web rust-web-src libstd-rust-web-dev:arm64
    need_package gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross qemu-user
fi

if ((${#missing[@]} == 0)); then
    exit 0
fi

install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

echo "setup: installing ${missing[*]}"
# The package lists may be absent or stale; they are fetched only then.
if ! install >/dev/null 2>&1; then
    as_root apt-get update -qq
    install
fi
