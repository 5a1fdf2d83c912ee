# Lets lanepipe's headers stand in for the C++ runtime's own, target by target:
#
#   lanepipe_swap(<target> [BUFFER_POOL] [PROFILER] [MAILBOX] [DEVICE_ENGINE]
#                 [VARIANT <variant>] [ORIGINALS <dir>] [DEVICE])
#
#   BUFFER_POOL    "host/buffer_pool_manager.h"
#   PROFILER       "host/profiler_base.h"; needs BUFFER_POOL
#   MAILBOX        "aicore_completion_mailbox.h" and "pto_async_wait.h"; needs VARIANT
#   DEVICE_ENGINE  "aicpu/profiler_device_engine.h"; needs DEVICE
#
#   VARIANT       the scheduler that the target is part of: a2a3_tensormap_and_ringbuffer, a2a3_host_build_graph,
#                 a5_tensormap_and_ringbuffer or a5_host_build_graph
#   ORIGINALS     the directory that holds the two headers of a host_build_graph variant, with their siblings
#   DEVICE        the target goes into a device image: it links lanepipe::device instead of lanepipe::lanepipe
#
# Without units the target follows the options LANEPIPE_SWAP_<unit>: with VARIANT that of MAILBOX, with DEVICE that of
# DEVICE_ENGINE, with neither those of the host's two units. With all of them off it is compiled as if it had not been
# named.
#
# All but MAILBOX: the unit's directory below include/lanepipe/swap comes by -iquote, which precedes every -I. The guards
# of the host's two originals are defined, so that they declare nothing if they are reached some other way; that of
# DEVICE_ENGINE has lanepipe's guard or defines the engine a second time.
# MAILBOX: the runtime's headers include their siblings with quotes, which no include path precedes. So lanepipe's two
# headers come by -include at the start of each source. The originals of tensormap_and_ringbuffer then find their guards
# defined and declare nothing. Those of host_build_graph have `#pragma once` only: a directory of links below the build
# tree holds everything that ORIGINALS holds, with lanepipe's two headers in the originals' place; it comes by -iquote,
# and sources of the target that lie in ORIGINALS are compiled from there. An original that is reached all the same
# defines the classes a second time, which the compiler refuses.
#
# A source file of lanepipe's, compiled into the target, includes the headers and fails if they are not lanepipe's. All
# this holds for targets that link a swapped library too: whoever sees its classes must see the same headers. Targets
# that disagree cannot be linked.

# Options and functions behave alike in projects of any age.
cmake_policy(VERSION 3.21)

option(LANEPIPE_SWAP_BUFFER_POOL "lanepipe_swap(): host/buffer_pool_manager.h by lanepipe" OFF)
option(LANEPIPE_SWAP_PROFILER "lanepipe_swap(): host/profiler_base.h by lanepipe; needs LANEPIPE_SWAP_BUFFER_POOL" OFF)
option(LANEPIPE_SWAP_MAILBOX "lanepipe_swap(): aicore_completion_mailbox.h and pto_async_wait.h by lanepipe" OFF)
option(LANEPIPE_SWAP_DEVICE_ENGINE "lanepipe_swap(): aicpu/profiler_device_engine.h by lanepipe" OFF)

function(lanepipe_swap target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "DEVICE" "VARIANT;ORIGINALS" "")
    set(known BUFFER_POOL PROFILER MAILBOX DEVICE_ENGINE)
    set(header_BUFFER_POOL host/buffer_pool_manager.h)
    set(header_PROFILER host/profiler_base.h)
    set(units "${arg_UNPARSED_ARGUMENTS}")
    set(how "")
    if(units STREQUAL "")
        _lanepipe_swap_options(units)
        set(how " (options LANEPIPE_SWAP_*)")
    endif()
    list(REMOVE_DUPLICATES units)
    _lanepipe_swap_refuse("${target}" "${known}" "${units}")
    _lanepipe_swap_refuse_variant("${target}" "${units}" "${how}")
    _lanepipe_swap_seen(again)
    if(again)
        return()
    endif()
    _lanepipe_swap_report()
    if(NOT units)
        return()
    endif()

    get_target_property(include lanepipe::headers INTERFACE_INCLUDE_DIRECTORIES)
    set(overlay "")
    _lanepipe_swap_quoted()
    if("MAILBOX" IN_LIST units)
        _lanepipe_swap_mailbox()
    endif()
    _lanepipe_swap_link()

    # What follows the call in this directory may still change the target.
    cmake_language(EVAL CODE
        "cmake_language(DEFER CALL _lanepipe_swap_finish [[${target}]] [[${arg_ORIGINALS}]] [[${overlay}]])")
endfunction()

# The following macros are the steps of lanepipe_swap() and see its variables.

# Units that the options ask for.
macro(_lanepipe_swap_options out)
    set(followed "")
    if(arg_VARIANT)
        list(APPEND followed MAILBOX)
    endif()
    if(arg_DEVICE)
        list(APPEND followed DEVICE_ENGINE)
    endif()
    if(NOT followed)
        set(followed BUFFER_POOL PROFILER)
    endif()
    foreach(unit IN LISTS followed)
        if(LANEPIPE_SWAP_${unit})
            list(APPEND ${out} ${unit})
        endif()
    endforeach()
endmacro()

# Whether the same call was made before; another one is refused.
macro(_lanepipe_swap_seen out)
    set(now "${units}")
    list(SORT now)
    list(JOIN now "+" now)
    if(NOT now)
        set(now "none")
    endif()
    if(arg_VARIANT)
        string(APPEND now " of ${arg_VARIANT}")
    endif()
    if(arg_ORIGINALS)
        string(APPEND now " in ${arg_ORIGINALS}")
    endif()
    if(arg_DEVICE)
        string(APPEND now " for the device")
    endif()
    get_target_property(before ${target} LANEPIPE_SWAP)
    set(${out} FALSE)
    if(before STREQUAL now)
        set(${out} TRUE)
    elseif(before)
        message(FATAL_ERROR "lanepipe_swap(${target}): the target was swapped with other units before: "
                            "${before}, now ${now}. Call it once.")
    endif()
    set_target_properties(${target} PROPERTIES LANEPIPE_SWAP "${now}")
endmacro()

# Says whose each header is, to the user and to everything that links the target.
macro(_lanepipe_swap_report)
    # One name per combination, whatever the order of the units.
    set(swapped "")
    set(report "")
    foreach(unit IN ITEMS BUFFER_POOL PROFILER)
        if(unit IN_LIST units)
            list(APPEND swapped ${unit})
            list(APPEND report "${header_${unit}} by lanepipe")
        elseif("BUFFER_POOL" IN_LIST units OR NOT (arg_VARIANT OR arg_DEVICE))
            list(APPEND report "${header_${unit}} by the C++ runtime")
        endif()
    endforeach()
    if(swapped OR NOT (arg_VARIANT OR arg_DEVICE))
        list(JOIN swapped "+" host)
        if(NOT swapped)
            set(host "none")
        endif()
        _lanepipe_swap_agree(${target} LANEPIPE_SWAP_HOST "${host}")
    endif()
    if("MAILBOX" IN_LIST units)
        list(APPEND report "mailbox of ${arg_VARIANT} by lanepipe")
        _lanepipe_swap_agree(${target} LANEPIPE_SWAP_MAILBOX "${arg_VARIANT}")
    elseif(arg_VARIANT)
        list(APPEND report "mailbox of ${arg_VARIANT} by the C++ runtime")
        _lanepipe_swap_agree(${target} LANEPIPE_SWAP_MAILBOX "none")
    endif()
    if("DEVICE_ENGINE" IN_LIST units)
        list(APPEND report "aicpu/profiler_device_engine.h by lanepipe")
        _lanepipe_swap_agree(${target} LANEPIPE_SWAP_DEVICE_ENGINE "lanepipe")
    elseif(arg_DEVICE AND how)
        list(APPEND report "aicpu/profiler_device_engine.h by the C++ runtime")
        _lanepipe_swap_agree(${target} LANEPIPE_SWAP_DEVICE_ENGINE "none")
    endif()
    list(JOIN report ", " report)
    message(STATUS "lanepipe_swap(${target}): ${report}${how}")
endmacro()

# Units whose headers come by -iquote.
macro(_lanepipe_swap_quoted)
    foreach(unit IN ITEMS BUFFER_POOL PROFILER DEVICE_ENGINE)
        if(unit IN_LIST units)
            string(TOLOWER "${unit}" directory)
            target_compile_options(${target} BEFORE PUBLIC
                "$<$<COMPILE_LANGUAGE:CXX>:-iquote${include}/lanepipe/swap/${directory}>")
        endif()
    endforeach()
    foreach(unit IN LISTS swapped)
        string(MAKE_C_IDENTIFIER "SRC_COMMON_PLATFORM_INCLUDE_${header_${unit}}_" guard)
        string(TOUPPER "${guard}" guard)
        target_compile_definitions(${target} PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:${guard}=1>")
    endforeach()
endmacro()

# The mailbox's headers come by -include, and with an overlay where the originals have no guards.
macro(_lanepipe_swap_mailbox)
    if(arg_VARIANT MATCHES "_host_build_graph$")
        set(overlay "${CMAKE_CURRENT_BINARY_DIR}/lanepipe_swap/${target}")
        _lanepipe_swap_overlay("${overlay}" "${arg_ORIGINALS}"
            "${include}/lanepipe/compat/mailbox/${arg_VARIANT}/mailbox/aicore_completion_mailbox.h"
            "${include}/lanepipe/compat/mailbox/${arg_VARIANT}/wait/pto_async_wait.h")
        # GCC replaces links that it reaches from system headers, which lanepipe's are, by what they point to.
        target_compile_options(${target} BEFORE PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:-iquote${overlay}>"
            "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-canonical-system-headers>")
    endif()
    target_compile_options(${target} PUBLIC
        "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include \"${include}/lanepipe/swap/mailbox/${arg_VARIANT}.h\">")
endmacro()

# The archive, and the sources that check what the target sees.
macro(_lanepipe_swap_link)
    # Two archives in one program would be two copies of what both have.
    if(arg_DEVICE)
        set(library device)
    else()
        set(library lanepipe)
    endif()
    _lanepipe_swap_agree(${target} LANEPIPE_SWAP_ARCHIVE "lanepipe::${library}")
    # Not by target_link_libraries: its two signatures cannot be mixed, and the target may use either.
    set_property(TARGET ${target} APPEND PROPERTY LINK_LIBRARIES lanepipe::${library})
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES lanepipe::${library})

    set(checks "")
    if(swapped)
        list(APPEND checks host)
    endif()
    if("MAILBOX" IN_LIST units)
        list(APPEND checks mailbox)
    endif()
    if("DEVICE_ENGINE" IN_LIST units)
        list(APPEND checks device_engine)
    endif()
    foreach(check IN LISTS checks)
        set(check "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/swap/check_${check}.cpp")
        target_sources(${target} PRIVATE "${check}")
        # It looks at what the headers define, so it stands alone.
        set_source_files_properties("${check}" TARGET_DIRECTORY ${target} PROPERTIES
            SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
    endforeach()
endmacro()

# CMake compares the property over everything that is linked, and refuses what differs.
function(_lanepipe_swap_agree target property value)
    set_target_properties(${target} PROPERTIES ${property} "${value}" INTERFACE_${property} "${value}")
    set_property(TARGET ${target} APPEND PROPERTY COMPATIBLE_INTERFACE_STRING ${property})
endfunction()

# Stops at targets and units that cannot be swapped.
function(_lanepipe_swap_refuse target known units)
    set(call "lanepipe_swap(${target})")
    list(JOIN known ", " names)
    foreach(unit IN LISTS units)
        if(NOT unit IN_LIST known)
            message(FATAL_ERROR "${call}: unknown unit ${unit}. There are ${names}.")
        endif()
    endforeach()
    if("PROFILER" IN_LIST units AND NOT "BUFFER_POOL" IN_LIST units)
        message(FATAL_ERROR "${call}: PROFILER needs BUFFER_POOL, because lanepipe's host/profiler_base.h works on "
                            "lanepipe's pool only. Name both units, or set LANEPIPE_SWAP_BUFFER_POOL to ON.")
    endif()

    if(NOT TARGET ${target})
        message(FATAL_ERROR "${call}: there is no such target. Call it after add_library() or add_executable().")
    endif()
    get_target_property(aliased ${target} ALIASED_TARGET)
    if(aliased)
        message(FATAL_ERROR "${call}: the target is an alias. Name ${aliased}.")
    endif()
    get_target_property(imported ${target} IMPORTED)
    get_target_property(type ${target} TYPE)
    if(imported OR NOT type MATCHES "^(EXECUTABLE|(STATIC|SHARED|MODULE|OBJECT)_LIBRARY)$")
        message(FATAL_ERROR "${call}: the target compiles no sources. Name the targets whose sources include the headers.")
    endif()

    if(NOT units)
        return()
    endif()
    get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
    if(NOT "CXX" IN_LIST languages)
        message(FATAL_ERROR "${call}: the project has not enabled the language CXX.")
    endif()
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "^(GNU|Clang|AppleClang)$" OR CMAKE_CXX_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC")
        message(FATAL_ERROR "${call}: GCC or Clang is needed, not ${CMAKE_CXX_COMPILER_ID}.")
    endif()
endfunction()

# Stops at variants that do not exist or lack what they need. Sees the caller's arguments, and makes ORIGINALS absolute.
function(_lanepipe_swap_refuse_variant target units how)
    set(call "lanepipe_swap(${target})")
    set(variants a2a3_tensormap_and_ringbuffer a2a3_host_build_graph a5_tensormap_and_ringbuffer a5_host_build_graph)
    list(JOIN variants ", " names)
    list(APPEND arg_KEYWORDS_MISSING_VALUES "")
    foreach(keyword IN ITEMS VARIANT ORIGINALS)
        if(keyword IN_LIST arg_KEYWORDS_MISSING_VALUES)
            message(FATAL_ERROR "${call}: ${keyword} has no value.")
        endif()
    endforeach()
    if(arg_VARIANT AND NOT arg_VARIANT IN_LIST variants)
        message(FATAL_ERROR "${call}: unknown variant ${arg_VARIANT}. There are ${names}.")
    endif()
    if("MAILBOX" IN_LIST units AND NOT arg_VARIANT)
        message(FATAL_ERROR "${call}: MAILBOX needs VARIANT, because the schedulers' headers differ. There are ${names}.")
    endif()
    if(arg_VARIANT AND NOT how AND NOT "MAILBOX" IN_LIST units)
        message(FATAL_ERROR "${call}: VARIANT says which mailbox to swap, but MAILBOX is not among the units.")
    endif()
    if("DEVICE_ENGINE" IN_LIST units AND NOT arg_DEVICE)
        message(FATAL_ERROR "${call}: DEVICE_ENGINE needs DEVICE, because lanepipe's engine comes with its device archive.")
    endif()
    if(arg_DEVICE AND "BUFFER_POOL" IN_LIST units)
        message(FATAL_ERROR "${call}: BUFFER_POOL is of the host, and DEVICE asks for the device archive.")
    endif()
    if(NOT "MAILBOX" IN_LIST units)
        return()
    endif()

    if(arg_VARIANT MATCHES "_host_build_graph$" AND NOT arg_ORIGINALS)
        message(FATAL_ERROR "${call}: MAILBOX of ${arg_VARIANT} needs ORIGINALS, the directory of "
                            "aicore_completion_mailbox.h and pto_async_wait.h.")
    endif()
    if(arg_ORIGINALS)
        get_filename_component(arg_ORIGINALS "${arg_ORIGINALS}" ABSOLUTE)
        foreach(header IN ITEMS aicore_completion_mailbox.h pto_async_wait.h)
            if(NOT EXISTS "${arg_ORIGINALS}/${header}")
                message(FATAL_ERROR "${call}: there is no ${header} in ${arg_ORIGINALS}.")
            endif()
        endforeach()
        set(arg_ORIGINALS "${arg_ORIGINALS}" PARENT_SCOPE)
    endif()
endfunction()

# _lanepipe_swap_overlay(overlay originals replacement...): a directory of links to everything in `originals`, but to the
# replacements where their names stand.
function(_lanepipe_swap_overlay overlay originals)
    file(REMOVE_RECURSE "${overlay}")
    file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE "${originals}" "${originals}/*")
    foreach(file IN LISTS files)
        get_filename_component(directory "${overlay}/${file}" DIRECTORY)
        file(MAKE_DIRECTORY "${directory}")
        file(CREATE_LINK "${originals}/${file}" "${overlay}/${file}" SYMBOLIC)
    endforeach()
    foreach(replacement IN LISTS ARGN)
        get_filename_component(name "${replacement}" NAME)
        file(CREATE_LINK "${replacement}" "${overlay}/${name}" SYMBOLIC)
    endforeach()
endfunction()

# Finishes a swapped target once its directory has been read. What comes from elsewhere, such as the compiler's default,
# the checks in swap/ find.
function(_lanepipe_swap_finish target originals overlay)
    get_target_property(standard ${target} CXX_STANDARD)
    if(standard AND standard MATCHES "^(98|11|14)$")
        message(FATAL_ERROR "lanepipe_swap(${target}): lanepipe's headers are C++17, but CXX_STANDARD is ${standard}.")
    endif()

    # A source finds its siblings before all else.
    if(overlay)
        get_target_property(sources ${target} SOURCES)
        get_target_property(directory ${target} SOURCE_DIR)
        set(places "")
        foreach(source IN LISTS sources)
            get_filename_component(path "${source}" ABSOLUTE BASE_DIR "${directory}")
            string(FIND "${path}" "${originals}/" at)
            if(at EQUAL 0 AND EXISTS "${path}")
                file(RELATIVE_PATH path "${originals}" "${path}")
                set(source "${overlay}/${path}")
            endif()
            list(APPEND places "${source}")
        endforeach()
        set_property(TARGET ${target} PROPERTY SOURCES "${places}")
    endif()

    # Libraries whose objects go into the same program or shared object.
    set(unswapped "")
    get_target_property(libraries ${target} LINK_LIBRARIES)
    foreach(library IN LISTS libraries)
        if(TARGET ${library})
            get_target_property(library_type ${library} TYPE)
            get_target_property(imported ${library} IMPORTED)
            get_target_property(units ${library} LANEPIPE_SWAP)
            if(library_type MATCHES "^(STATIC|OBJECT)_LIBRARY$" AND NOT imported AND NOT units)
                list(APPEND unswapped "${library}")
            endif()
        endif()
    endforeach()
    if(unswapped)
        list(JOIN unswapped ", " unswapped)
        message(STATUS "lanepipe_swap(${target}): links ${unswapped} as it is; swap it too if it includes these headers")
    endif()
endfunction()
