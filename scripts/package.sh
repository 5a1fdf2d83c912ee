#!/usr/bin/env bash
# Builds and runs the consumer projects in cpp_tests/package.
#
#   package.sh find_package BUILD WORK GENERATOR    installs BUILD below WORK and finds it with CMake
#   package.sh pkg_config BUILD WORK GENERATOR      the same with pkg-config
#   package.sh subdirectory - WORK GENERATOR        embeds the source tree
#   package.sh incremental - WORK GENERATOR         rebuilds what a touched source makes stale, and nothing else
set -euo pipefail

if (($# != 4)); then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
way=$1
build=$2
work=$3
generator=$4
root=$(cd "$(dirname "$0")/.." && pwd)
consumers=$root/cpp_tests/package
cc=${CC:-cc}
cxx=${CXX:-c++}

rm -rf "$work/stage" "$work/moved" "$work/consumer"
mkdir -p "$work"

# Installs, checks the layout and moves the tree: an installation must not depend on where it was made.
install_and_move() {
    cmake --install "$build" --prefix "$work/stage" >"$work/install.log"
    mv "$work/stage" "$work/moved"
    prefix=$work/moved
    libdir=$(dirname "$(find "$prefix" -name liblanepipe.a)")
    local version major
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
    major=$(sed -n 's/^#define LANEPIPE_ABI_VERSION //p' "$root/include/lanepipe/lanepipe.h")
    [[ "$(readlink "$libdir/liblanepipe.so")" == "liblanepipe.so.$major" ]]
    [[ "$(readlink "$libdir/liblanepipe.so.$major")" == "liblanepipe.so.$major.${version#*.}" ]]
    [[ -f "$libdir/liblanepipe.so.$major" && -f "$libdir/liblanepipe_device.a" ]]
    [[ -f "$prefix/include/lanepipe/lanepipe.h" ]]
    if grep -rIlF -e "$work/stage" -e "$root" "$prefix"; then
        echo "package: the files above name the machine they were built on" >&2
        return 1
    fi
}

configure_build_run() {
    cmake -S "$1" -B "$work/consumer" -G "$generator" -DCMAKE_BUILD_TYPE=Release "${@:2}"
    cmake --build "$work/consumer"
    ctest --test-dir "$work/consumer" --output-on-failure --no-tests=error
}

case "$way" in
find_package)
    install_and_move
    configure_build_run "$consumers/find_package" -DCMAKE_PREFIX_PATH="$prefix"
    ;;
subdirectory)
    configure_build_run "$consumers/subdirectory" -DLANEPIPE_SOURCE="$root"
    # A second build has nothing to do.
    cmake --build "$work/consumer" >"$work/second.log"
    if grep -qE 'Building|Linking' "$work/second.log"; then
        cat "$work/second.log"
        echo "package: the second build was not empty" >&2
        exit 1
    fi
    ;;
incremental)
    # A copy, so that nobody's sources are touched.
    rm -rf "$work/tree"
    mkdir -p "$work/tree"
    tar -C "$root" -cf - --exclude=./build --exclude=./target --exclude=./.git . | tar -C "$work/tree" -xf -
    configure_build_run "$work/tree/cpp_tests/package/subdirectory" -DLANEPIPE_SOURCE="$work/tree"
    program=$work/consumer/c_static
    sleep 1
    touch "$work/before" "$work/tree/src/lib.rs"
    cmake --build "$work/consumer"
    if [[ ! "$program" -nt "$work/before" ]]; then
        echo "package: a touched source did not relink $program" >&2
        exit 1
    fi
    cmake --build "$work/consumer" >"$work/third.log"
    if grep -qE 'Building|Linking' "$work/third.log"; then
        cat "$work/third.log"
        echo "package: the build after the rebuild was not empty" >&2
        exit 1
    fi
    ;;
pkg_config)
    install_and_move
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    mkdir -p "$work/consumer"
    read -ra cflags <<<"$(pkg-config --cflags lanepipe)"
    read -ra shared <<<"$(pkg-config --libs lanepipe)"
    # Both libraries stand side by side; -l: asks for the archive.
    static_text=$(pkg-config --static --libs lanepipe)
    read -ra static <<<"${static_text/-llanepipe/-l:liblanepipe.a}"
    c=("$cc" -std=c99 -pedantic -Wall -Wextra -Werror "$consumers/source/main_c.c" "${cflags[@]}")
    cpp=("$cxx" -std=c++17 -pedantic -Wall -Wextra -Werror "$consumers/source/main_cpp.cpp" "${cflags[@]}")
    "${c[@]}" "${shared[@]}" -o "$work/consumer/c_shared"
    "${c[@]}" "${static[@]}" -o "$work/consumer/c_static"
    "${cpp[@]}" "${shared[@]}" -o "$work/consumer/cpp_shared"
    "${cpp[@]}" "${static[@]}" -o "$work/consumer/cpp_static"
    for program in c_static cpp_static; do
        "$work/consumer/$program"
    done
    for program in c_shared cpp_shared; do
        LD_LIBRARY_PATH=$libdir "$work/consumer/$program"
    done
    ;;
*)
    echo "package: unknown way $way" >&2
    exit 2
    ;;
esac
