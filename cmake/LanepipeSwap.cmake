# Lets lanepipe's headers stand in for the C++ runtime's own, target by target:
#
#   lanepipe_swap(<target> [BUFFER_POOL] [PROFILER])
#
#   BUFFER_POOL   "host/buffer_pool_manager.h"
#   PROFILER      "host/profiler_base.h"; needs BUFFER_POOL
#
# Without units the target follows the options LANEPIPE_SWAP_BUFFER_POOL and LANEPIPE_SWAP_PROFILER. With both off it is
# compiled as if it had not been named.
#
# The unit's directory below include/lanepipe/swap comes by -iquote, which precedes every -I, and the original header's
# guard is defined, so that the original declares nothing if it is reached some other way. A source file of lanepipe's,
# compiled into the target, includes the headers and fails if they are not lanepipe's. All this holds for targets that
# link a swapped library too: whoever sees its classes must see the same headers. Targets that disagree cannot be linked.

# Options and functions behave alike in projects of any age.
cmake_policy(VERSION 3.21)

option(LANEPIPE_SWAP_BUFFER_POOL "lanepipe_swap(): host/buffer_pool_manager.h by lanepipe" OFF)
option(LANEPIPE_SWAP_PROFILER "lanepipe_swap(): host/profiler_base.h by lanepipe; needs LANEPIPE_SWAP_BUFFER_POOL" OFF)

function(lanepipe_swap target)
    set(known BUFFER_POOL PROFILER)
    set(header_BUFFER_POOL host/buffer_pool_manager.h)
    set(header_PROFILER host/profiler_base.h)

    set(units "${ARGN}")
    set(how "")
    if(units STREQUAL "")
        foreach(unit IN LISTS known)
            if(LANEPIPE_SWAP_${unit})
                list(APPEND units ${unit})
            endif()
        endforeach()
        set(how " (options LANEPIPE_SWAP_*)")
    endif()
    list(REMOVE_DUPLICATES units)
    _lanepipe_swap_refuse("${target}" "${known}" "${units}")

    # One name per combination, whatever the order of the units.
    set(swapped "")
    set(report "")
    foreach(unit IN LISTS known)
        if(unit IN_LIST units)
            list(APPEND swapped ${unit})
            list(APPEND report "${header_${unit}} by lanepipe")
        else()
            list(APPEND report "${header_${unit}} by the C++ runtime")
        endif()
    endforeach()
    list(JOIN report ", " report)
    list(JOIN swapped "+" combination)
    if(NOT swapped)
        set(combination "none")
    endif()

    get_target_property(before ${target} LANEPIPE_SWAP)
    if(before STREQUAL combination)
        return()
    elseif(before)
        message(FATAL_ERROR "lanepipe_swap(${target}): the target was swapped with other units before: "
                            "${before}, now ${combination}. Call it once.")
    endif()
    # CMake compares these over everything that is linked, and refuses what differs.
    set_target_properties(${target} PROPERTIES LANEPIPE_SWAP "${combination}" INTERFACE_LANEPIPE_SWAP "${combination}")
    set_property(TARGET ${target} APPEND PROPERTY COMPATIBLE_INTERFACE_STRING LANEPIPE_SWAP)
    message(STATUS "lanepipe_swap(${target}): ${report}${how}")
    if(NOT swapped)
        return()
    endif()

    get_target_property(include lanepipe::headers INTERFACE_INCLUDE_DIRECTORIES)
    foreach(unit IN LISTS swapped)
        string(TOLOWER "${unit}" directory)
        string(MAKE_C_IDENTIFIER "SRC_COMMON_PLATFORM_INCLUDE_${header_${unit}}_" guard)
        string(TOUPPER "${guard}" guard)
        target_compile_options(${target} BEFORE PUBLIC
            "$<$<COMPILE_LANGUAGE:CXX>:-iquote${include}/lanepipe/swap/${directory}>")
        target_compile_definitions(${target} PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:${guard}=1>")
    endforeach()
    set(check "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/swap/check.cpp")
    target_sources(${target} PRIVATE "${check}")
    # It looks at what the headers define, so it stands alone.
    set_source_files_properties("${check}" TARGET_DIRECTORY ${target} PROPERTIES
        SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
    # Not by target_link_libraries: its two signatures cannot be mixed, and the target may use either.
    set_property(TARGET ${target} APPEND PROPERTY LINK_LIBRARIES lanepipe::lanepipe)
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES lanepipe::lanepipe)

    # What follows the call in this directory may still change the target.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL _lanepipe_swap_finish [[${target}]])")
endfunction()

# Stops at targets and units that cannot be swapped.
function(_lanepipe_swap_refuse target known units)
    set(call "lanepipe_swap(${target})")
    list(JOIN known " and " names)
    foreach(unit IN LISTS units)
        if(unit MATCHES "^(MAILBOX|DEVICE_ENGINE)$")
            message(FATAL_ERROR "${call}: ${unit} is not part of this version of lanepipe, which has ${names}.")
        elseif(NOT unit IN_LIST known)
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

# Checks a swapped target once its directory has been read. What comes from elsewhere, such as the compiler's default,
# swap/check.cpp finds.
function(_lanepipe_swap_finish target)
    get_target_property(standard ${target} CXX_STANDARD)
    if(standard AND standard MATCHES "^(98|11|14)$")
        message(FATAL_ERROR "lanepipe_swap(${target}): lanepipe's headers are C++17, but CXX_STANDARD is ${standard}.")
    endif()

    # Libraries whose objects go into the same program or shared object.
    set(unswapped "")
    get_target_property(libraries ${target} LINK_LIBRARIES)
    foreach(library IN LISTS libraries)
        if(TARGET ${library})
            get_target_property(library_type ${library} TYPE)
            get_target_property(imported ${library} IMPORTED)
            get_target_property(combination ${library} LANEPIPE_SWAP)
            if(library_type MATCHES "^(STATIC|OBJECT)_LIBRARY$" AND NOT imported AND NOT combination)
                list(APPEND unswapped "${library}")
            endif()
        endif()
    endforeach()
    if(unswapped)
        list(JOIN unswapped ", " unswapped)
        message(STATUS "lanepipe_swap(${target}): links ${unswapped} as it is; swap it too if it includes these headers")
    endif()
endfunction()
