#!/usr/bin/env bash
# Builds and runs the consumer projects in cpp_tests/package.
#
#   package.sh find_package BUILD WORK GENERATOR    installs BUILD below WORK and finds it with CMake
#   package.sh pkg_config BUILD WORK GENERATOR      the same with pkg-config
#   package.sh swap BUILD WORK GENERATOR            swaps a small runtime's headers, unit by unit and back again
#   package.sh swap_mailbox BUILD WORK GENERATOR    the same with the completion mailbox of each variant
#   package.sh swap_device BUILD WORK GENERATOR     the same with the device engine, on both architectures
#   package.sh swap_refused BUILD WORK GENERATOR    combinations and mixes that must end in an error
#   package.sh subdirectory - WORK GENERATOR        embeds the source tree
#   package.sh incremental - WORK GENERATOR         rebuilds what a touched source makes stale, and nothing else
set -euo pipefail

if (($# != 4)); then
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
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

# The small runtime, put together outside the tree: the collector, the runtime's facilities, the original headers.
assemble_runtime() {
    runtime=$work/runtime
    rm -rf "$runtime"
    mkdir -p "$runtime"
    cp -R "$consumers/swap/." "$runtime"
    cp -R "$root/cpp_tests/runtime/common" "$root/cpp_tests/runtime/aicpu" "$root/cpp_tests/runtime/host" \
        "$root/cpp_tests/reference/host" "$runtime/include"
    cp "$root/cpp_tests/runtime/unified_log.cpp" "$root/cpp_tests/runtime/log_capture.h" "$runtime/src"
}

# All commands of the consumer's build.
build_commands() {
    cat "$work/consumer/compile_commands.json"
    if [[ -f "$work/consumer/build.ninja" ]]; then
        ninja -C "$work/consumer" -t commands
    else
        cat "$work"/consumer/CMakeFiles/*.dir/link.txt
    fi
}

# swap_state NAME POOL PROFILER [OPTION...]: configures the consumer anew, builds it and runs it.
swap_state() {
    echo "--- $1"
    configure_build_run "$runtime" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
        "-DSWAP_EXPECT=$2;$3" "${@:4}" | tee "$work/swap.log"
    if ! grep -qF "lanepipe_swap(collectors): host/buffer_pool_manager.h by ${2/runtime/the C++ runtime}, \
host/profiler_base.h by ${3/runtime/the C++ runtime}" "$work/swap.log"; then
        echo "package: no report of what is swapped" >&2
        exit 1
    fi
    build_commands >"$work/$1.commands"
    # A program with lanepipe's pool has the library in it, and does not show it.
    local linked=runtime
    if nm "$work/consumer/replay" | grep ' [Tt] lanepipe_' >"$work/symbols.log"; then
        linked=lanepipe
    fi
    if [[ "$linked" != "$2" ]]; then
        echo "package: the program has the symbols of $linked, not of $2" >&2
        exit 1
    fi
    if nm -D --defined-only "$work/consumer/replay" | grep ' lanepipe_'; then
        echo "package: the program exports the symbols above" >&2
        exit 1
    fi
}

# The small scheduler of a variant, put together outside the tree: headers lie side by side.
assemble_scheduler() {
    scheduler=$work/scheduler
    rm -rf "$scheduler"
    mkdir -p "$scheduler/include"
    cp -R "$consumers/swap_mailbox/." "$scheduler"
    cp -R "$root/cpp_tests/runtime/common" "$scheduler/include"
    cp -R "$root/cpp_tests/runtime/scheduler/." "$root/cpp_tests/runtime/$1/." \
        "$root/cpp_tests/reference/mailbox/common/." "$root/cpp_tests/reference/mailbox/$1/." "$scheduler/runtime"
}

# mailbox_state VARIANT BY [OPTION...]: configures the scheduler anew, builds it and runs it.
mailbox_state() {
    echo "--- $1 by $2 ${*:3}"
    configure_build_run "$scheduler" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
        "-DMAILBOX_VARIANT=$1" "-DMAILBOX_EXPECT=$2" "${@:3}" | tee "$work/swap.log"
    if ! grep -qF "lanepipe_swap(scheduler): mailbox of $1 by ${2/runtime/the C++ runtime}" "$work/swap.log"; then
        echo "package: no report of what is swapped" >&2
        exit 1
    fi
    if nm -D --defined-only "$work/consumer/schedule" | grep ' lanepipe_'; then
        echo "package: the program exports the symbols above" >&2
        exit 1
    fi
}

# refused CASE MESSAGE: configuring, or else building, must fail with the message.
refused() {
    local text code=0
    text=$({ cmake -S "$consumers/swap_refused" -B "$work/consumer" -G "$generator" -DCASE="$1" \
        -DCMAKE_PREFIX_PATH="$prefix" -DRUNTIME="$runtime" -DSCHEDULER="$scheduler" && cmake --build "$work/consumer"; } 2>&1) || code=$?
    # CMake breaks lines.
    if ((code == 0)) || [[ "$(tr -s ' \n' ' ' <<<"$text")" != *"$2"* ]]; then
        echo "$text"
        echo "package: $1 did not end with \"$2\"" >&2
        exit 1
    fi
    echo "refused: $1"
}

case "$way" in
find_package)
    install_and_move
    configure_build_run "$consumers/find_package" -DCMAKE_PREFIX_PATH="$prefix"
    ;;
subdirectory)
    assemble_runtime
    configure_build_run "$consumers/subdirectory" -DLANEPIPE_SOURCE="$root" -DSWAP_SOURCE="$runtime" \
        "-DSWAP_EXPECT=lanepipe;lanepipe" -DLANEPIPE_SWAP_BUFFER_POOL=ON -DLANEPIPE_SWAP_PROFILER=ON
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
swap)
    install_and_move
    assemble_runtime
    # What the build looks like without lanepipe, for comparison.
    configure_build_run "$runtime" -DSWAP_PLAIN=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
    build_commands >"$work/plain.commands"
    swap_state before runtime runtime -DSWAP_PLAIN=OFF
    swap_state pool lanepipe runtime -DLANEPIPE_SWAP_BUFFER_POOL=ON
    # Users of lanepipe's headers see no warning.
    swap_state both lanepipe lanepipe -DLANEPIPE_SWAP_PROFILER=ON -DCMAKE_CXX_FLAGS=-Werror
    swap_state after runtime runtime -DLANEPIPE_SWAP_BUFFER_POOL=OFF -DLANEPIPE_SWAP_PROFILER=OFF -DCMAKE_CXX_FLAGS=
    cmp "$work/plain.commands" "$work/before.commands"
    cmp "$work/plain.commands" "$work/after.commands"
    ;;
swap_mailbox)
    install_and_move
    for variant in {a2a3,a5}_{tensormap_and_ringbuffer,host_build_graph}; do
        rm -rf "$work/consumer"
        assemble_scheduler "$variant"
        mailbox_state "$variant" runtime
        build_commands >"$work/before.commands"
        # Users of lanepipe's headers see no warning.
        mailbox_state "$variant" lanepipe -DLANEPIPE_SWAP_MAILBOX=ON -DCMAKE_CXX_FLAGS=-Werror
        mailbox_state "$variant" lanepipe -DMAILBOX_DEVICE=ON
        mailbox_state "$variant" runtime -DLANEPIPE_SWAP_MAILBOX=OFF -DMAILBOX_DEVICE=OFF -DCMAKE_CXX_FLAGS=
        build_commands >"$work/after.commands"
        cmp "$work/before.commands" "$work/after.commands"
    done
    ;;
swap_device)
    install_and_move
    runtime=$work/device
    rm -rf "$runtime"
    mkdir -p "$runtime/include"
    cp -R "$consumers/swap_device/." "$runtime"
    cp -R "$root/cpp_tests/runtime/common" "$root/cpp_tests/runtime/aicpu" "$root/cpp_tests/reference/device/aicpu" \
        "$runtime/include"
    device_state() {
        echo "--- $1 ${*:2}"
        configure_build_run "$runtime" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
            "-DDEVICE_EXPECT=$1" "${@:2}" | tee "$work/swap.log"
        if ! grep -qF "lanepipe_swap(collector): aicpu/profiler_device_engine.h by ${1/runtime/the C++ runtime}" \
            "$work/swap.log"; then
            echo "package: no report of what is swapped" >&2
            exit 1
        fi
    }
    for arch in a2a3 a5; do
        rm -rf "$work/consumer"
        device_state runtime "-DDEVICE_ARCH=$arch"
        build_commands >"$work/before.commands"
        device_state lanepipe -DLANEPIPE_SWAP_DEVICE_ENGINE=ON -DCMAKE_CXX_FLAGS=-Werror
        device_state runtime -DLANEPIPE_SWAP_DEVICE_ENGINE=OFF -DCMAKE_CXX_FLAGS=
        build_commands >"$work/after.commands"
        cmp "$work/before.commands" "$work/after.commands"
    done
    ;;
swap_refused)
    install_and_move
    assemble_runtime
    assemble_scheduler a5_host_build_graph
    refused profiler_alone "PROFILER needs BUFFER_POOL"
    refused profiler_alone_by_option "PROFILER needs BUFFER_POOL"
    refused unknown_unit "unknown unit BUFFERS. There are BUFFER_POOL, PROFILER, MAILBOX, DEVICE_ENGINE."
    refused engine_alone "DEVICE_ENGINE needs DEVICE"
    refused engine_original_first "profiler_device_engine.h was included first"
    refused engine_beside_mailbox "with other units before: DEVICE_ENGINE for the device, now MAILBOX of"
    refused no_target "there is no such target"
    refused alias "the target is an alias. Name part."
    refused no_sources "the target compiles no sources"
    refused twice "swapped with other units before: BUFFER_POOL, now BUFFER_POOL+PROFILER"
    refused old_language "headers are C++17, but CXX_STANDARD is 14"
    refused linked_differently 'does not match the INTERFACE_LANEPIPE_SWAP_HOST property requirement of dependency "part"'
    refused linked_unswapped 'does not match the INTERFACE_LANEPIPE_SWAP_HOST property requirement of dependency "part"'
    refused old_flag "the target must be compiled as C++17"
    refused other_iquote "host/buffer_pool_manager.h is not lanepipe's; another -iquote directory comes first"
    refused angle_include "profiling_common"
    refused mailbox_alone "MAILBOX needs VARIANT"
    refused mailbox_unknown_variant "unknown variant a5_graph. There are a2a3_tensormap_and_ringbuffer,"
    refused mailbox_no_originals "MAILBOX of a5_host_build_graph needs ORIGINALS"
    refused mailbox_other_directory "there is no aicore_completion_mailbox.h in"
    refused mailbox_not_named "MAILBOX is not among the units"
    refused mailbox_host_in_device "BUFFER_POOL is of the host"
    refused mailbox_variants_meet 'does not match the INTERFACE_LANEPIPE_SWAP_MAILBOX property requirement of dependency "part"'
    refused mailbox_archives_meet 'does not match the INTERFACE_LANEPIPE_SWAP_ARCHIVE property requirement of dependency "part"'
    refused mailbox_half "pto_async_wait.h is lanepipe's, aicore_completion_mailbox.h is not; swap both"
    refused mailbox_original_reached "redefinition of"
    refused mailbox_original_first "pto_async_wait.h was included first"
    ;;
*)
    echo "package: unknown way $way" >&2
    exit 2
    ;;
esac
