# Builds the libraries with cargo and defines the imported targets for the build tree.

find_package(Threads REQUIRED)
find_program(CARGO_EXECUTABLE cargo PATHS "$ENV{HOME}/.cargo/bin" REQUIRED
             DOC "cargo, Rust 1.85 or newer")

# Sets <out> to the Rust target. It is always passed to cargo, so that the output directory does not depend on the
# user's cargo configuration and flags for the library do not reach build scripts.
function(_lanepipe_rust_target out)
    set(${out} "${LANEPIPE_RUST_TARGET}" PARENT_SCOPE)
    if(LANEPIPE_RUST_TARGET)
        return()
    endif()
    if(CMAKE_CROSSCOMPILING)
        if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|x86_64)$")
            set(${out} "${CMAKE_SYSTEM_PROCESSOR}-unknown-linux-gnu" PARENT_SCOPE)
            return()
        endif()
        message(FATAL_ERROR "lanepipe: set LANEPIPE_RUST_TARGET to cross-compile for "
                            "${CMAKE_SYSTEM_NAME} on ${CMAKE_SYSTEM_PROCESSOR}")
    endif()
    get_filename_component(directory "${CARGO_EXECUTABLE}" DIRECTORY)
    find_program(LANEPIPE_RUSTC rustc HINTS "${directory}" REQUIRED)
    mark_as_advanced(LANEPIPE_RUSTC)
    execute_process(COMMAND "${LANEPIPE_RUSTC}" -vV OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    if(NOT text MATCHES "host: ([^\n]+)")
        message(FATAL_ERROR "lanepipe: ${LANEPIPE_RUSTC} -vV does not name its host")
    endif()
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# Sets <out> to the cargo profile of the host library.
function(_lanepipe_profile out)
    if(LANEPIPE_CARGO_PROFILE)
        set(profile "${LANEPIPE_CARGO_PROFILE}")
    elseif(CMAKE_CONFIGURATION_TYPES)
        message(FATAL_ERROR "lanepipe: ${CMAKE_GENERATOR} chooses the configuration at build time, but one build tree "
                            "holds one cargo profile. Set LANEPIPE_CARGO_PROFILE (release, dev), or use a "
                            "single-configuration generator.")
    elseif(CMAKE_BUILD_TYPE STREQUAL "Debug")
        set(profile dev)
    else()
        set(profile release)
    endif()
    set(${out} "${profile}" PARENT_SCOPE)
endfunction()

function(lanepipe_build_libraries)
    _lanepipe_rust_target(triple)
    _lanepipe_profile(profile)
    message(STATUS "lanepipe ${PROJECT_VERSION}: cargo profile ${profile}, ${triple}")

    # A make job server does not reach cargo through a custom command.
    set(env --unset=MAKEFLAGS --unset=MFLAGS ${LANEPIPE_CARGO_ENV})
    if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND profile STREQUAL "release")
        list(APPEND env CARGO_PROFILE_RELEASE_DEBUG=limited)
    endif()
    if(CMAKE_CROSSCOMPILING)
        string(TOUPPER "${triple}" upper)
        string(REPLACE "-" "_" upper "${upper}")
        if(CMAKE_C_COMPILER)
            list(APPEND env "CARGO_TARGET_${upper}_LINKER=${CMAKE_C_COMPILER}")
        else()
            list(APPEND env "CARGO_TARGET_${upper}_LINKER=${CMAKE_CXX_COMPILER}")
        endif()
    endif()
    set(common --lib --target ${triple} --manifest-path "${PROJECT_SOURCE_DIR}/Cargo.toml" ${LANEPIPE_CARGO_FLAGS})
    # As a dependency, the source tree is not this build's to change.
    if(NOT PROJECT_IS_TOP_LEVEL AND NOT "--locked" IN_LIST LANEPIPE_CARGO_FLAGS)
        list(APPEND common --locked)
    endif()
    # What cargo's dependency file does not name.
    set(manifests "${PROJECT_SOURCE_DIR}/Cargo.toml" "${PROJECT_SOURCE_DIR}/Cargo.lock" "${PROJECT_SOURCE_DIR}/build.rs")
    set(in_all "")
    if(PROJECT_IS_TOP_LEVEL OR LANEPIPE_INSTALL)
        set(in_all ALL)
    endif()

    # The host library. Both crate types in one invocation, and no rlib among them: it would switch LTO off.
    set(directory "${profile}")
    if(profile STREQUAL "dev")
        set(directory debug)
    endif()
    set(out "${PROJECT_BINARY_DIR}/cargo/${triple}/${directory}")
    set(static "${out}/${CMAKE_STATIC_LIBRARY_PREFIX}lanepipe${CMAKE_STATIC_LIBRARY_SUFFIX}")
    set(shared "${out}/${CMAKE_SHARED_LIBRARY_PREFIX}lanepipe${CMAKE_SHARED_LIBRARY_SUFFIX}")
    get_filename_component(soname "${shared}" NAME)
    set(link "")
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        # Programs in the build tree look for the SONAME beside the library.
        set(link COMMAND ${CMAKE_COMMAND} -E create_symlink "${soname}" "${shared}.${LANEPIPE_ABI}")
        string(APPEND soname ".${LANEPIPE_ABI}")
    endif()
    add_custom_command(
        # The shared library comes first: it is the target that cargo's dependency file names.
        OUTPUT "${shared}" "${static}"
        COMMAND ${CMAKE_COMMAND} -E env ${env} "${CARGO_EXECUTABLE}" rustc ${common} --profile ${profile}
                --target-dir "${PROJECT_BINARY_DIR}/cargo" --crate-type staticlib --crate-type cdylib
        # Cargo leaves the files alone if a touched source has not changed what they depend on.
        COMMAND ${CMAKE_COMMAND} -E touch "${shared}" "${static}"
        ${link}
        DEPFILE "${out}/${CMAKE_STATIC_LIBRARY_PREFIX}lanepipe.d"
        DEPENDS ${manifests}
        COMMENT "Building lanepipe (cargo, ${profile})"
        USES_TERMINAL VERBATIM)
    add_custom_target(lanepipe_cargo ${in_all} DEPENDS "${shared}" "${static}")

    # The device archive. Only a profile without unwinding links without Rust's runtime.
    set(device_out "${PROJECT_BINARY_DIR}/cargo-device/${triple}/device")
    set(device_cargo "${device_out}/${CMAKE_STATIC_LIBRARY_PREFIX}lanepipe${CMAKE_STATIC_LIBRARY_SUFFIX}")
    set(device "${device_out}/${CMAKE_STATIC_LIBRARY_PREFIX}lanepipe_device${CMAKE_STATIC_LIBRARY_SUFFIX}")
    set(device_rustc "")
    if(triple MATCHES "^aarch64-.*linux")
        # The helpers that choose atomics at run time ask the operating system, which a device image does not have.
        set(device_rustc -- -Ctarget-feature=-outline-atomics)
    endif()
    add_custom_command(
        OUTPUT "${device_cargo}" "${device}"
        COMMAND ${CMAKE_COMMAND} -E env ${env} "${CARGO_EXECUTABLE}" rustc ${common} --profile device
                --target-dir "${PROJECT_BINARY_DIR}/cargo-device" --no-default-features --crate-type staticlib
                ${device_rustc}
        COMMAND ${CMAKE_COMMAND} -E touch "${device_cargo}"
        COMMAND ${CMAKE_COMMAND} -E copy "${device_cargo}" "${device}"
        DEPFILE "${device_out}/${CMAKE_STATIC_LIBRARY_PREFIX}lanepipe.d"
        DEPENDS ${manifests}
        COMMENT "Building lanepipe for the device (cargo)"
        USES_TERMINAL VERBATIM)
    add_custom_target(lanepipe_cargo_device ${in_all} DEPENDS "${device_cargo}" "${device}")

    lanepipe_define_targets(
        INCLUDE "${PROJECT_SOURCE_DIR}/include"
        STATIC "${static}"
        SHARED "${shared}"
        SONAME "${soname}"
        DEVICE "${device}")
    add_dependencies(lanepipe::lanepipe lanepipe_cargo)
    add_dependencies(lanepipe::shared lanepipe_cargo)
    add_dependencies(lanepipe::device lanepipe_cargo_device)

    set(LANEPIPE_TRIPLE "${triple}" PARENT_SCOPE)
    set(LANEPIPE_STATIC_LIBRARY "${static}" PARENT_SCOPE)
    set(LANEPIPE_SHARED_LIBRARY "${shared}" PARENT_SCOPE)
    set(LANEPIPE_DEVICE_LIBRARY "${device}" PARENT_SCOPE)
endfunction()
