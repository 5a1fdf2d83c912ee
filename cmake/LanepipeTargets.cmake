# Defines the imported targets, in the build tree and in an installed package alike:
#
#   lanepipe::headers   the include directory
#   lanepipe::lanepipe  static host library; nothing of it is visible outside the object it is linked into
#   lanepipe::shared    shared host library
#   lanepipe::device    no_std device archive; the image supplies lanepipe_device_abort()
#
# lanepipe_define_targets(INCLUDE dir STATIC file SHARED file SONAME name DEVICE file)

function(lanepipe_define_targets)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "INCLUDE;STATIC;SHARED;SONAME;DEVICE" "")

    add_library(lanepipe::headers INTERFACE IMPORTED GLOBAL)
    target_include_directories(lanepipe::headers INTERFACE "${arg_INCLUDE}")

    add_library(lanepipe::lanepipe STATIC IMPORTED GLOBAL)
    set_target_properties(lanepipe::lanepipe PROPERTIES IMPORTED_LOCATION "${arg_STATIC}")
    # What `rustc --print native-static-libs` lists.
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        set(native Threads::Threads gcc_s util rt m dl)
        # The archive's name, not its path: the linker compares base names.
        target_link_options(lanepipe::lanepipe INTERFACE "LINKER:--exclude-libs,liblanepipe.a")
    else()
        set(native Threads::Threads ${CMAKE_DL_LIBS} m)
    endif()
    target_link_libraries(lanepipe::lanepipe INTERFACE lanepipe::headers ${native})

    add_library(lanepipe::shared SHARED IMPORTED GLOBAL)
    set_target_properties(lanepipe::shared PROPERTIES IMPORTED_LOCATION "${arg_SHARED}" IMPORTED_SONAME "${arg_SONAME}")
    target_link_libraries(lanepipe::shared INTERFACE lanepipe::headers)

    add_library(lanepipe::device STATIC IMPORTED GLOBAL)
    set_target_properties(lanepipe::device PROPERTIES IMPORTED_LOCATION "${arg_DEVICE}")
    target_compile_definitions(lanepipe::device INTERFACE LANEPIPE_DEVICE)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        target_link_options(lanepipe::device INTERFACE "LINKER:--exclude-libs,liblanepipe_device.a")
    endif()
    target_link_libraries(lanepipe::device INTERFACE lanepipe::headers)
endfunction()
