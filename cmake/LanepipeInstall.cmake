# Install rules: headers, libraries, CMake package, pkg-config file, licences.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_lanepipe_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/lanepipe")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${LANEPIPE_STATIC_LIBRARY}" "${LANEPIPE_DEVICE_LIBRARY}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
get_filename_component(_lanepipe_shared "${LANEPIPE_SHARED_LIBRARY}" NAME)
set(LANEPIPE_SONAME "${_lanepipe_shared}")
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    string(APPEND LANEPIPE_SONAME ".${LANEPIPE_ABI}")
    set(_lanepipe_real "${_lanepipe_shared}.${LANEPIPE_ABI}.${PROJECT_VERSION_MINOR}.${PROJECT_VERSION_PATCH}")
    install(PROGRAMS "${LANEPIPE_SHARED_LIBRARY}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" RENAME "${_lanepipe_real}")
    set(_lanepipe_links "${PROJECT_BINARY_DIR}/links")
    file(MAKE_DIRECTORY "${_lanepipe_links}")
    file(CREATE_LINK "${_lanepipe_real}" "${_lanepipe_links}/${LANEPIPE_SONAME}" SYMBOLIC)
    file(CREATE_LINK "${LANEPIPE_SONAME}" "${_lanepipe_links}/${_lanepipe_shared}" SYMBOLIC)
    install(FILES "${_lanepipe_links}/${LANEPIPE_SONAME}" "${_lanepipe_links}/${_lanepipe_shared}"
            DESTINATION "${CMAKE_INSTALL_LIBDIR}")
else()
    install(PROGRAMS "${LANEPIPE_SHARED_LIBRARY}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE-MIT" "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

get_filename_component(LANEPIPE_STATIC_NAME "${LANEPIPE_STATIC_LIBRARY}" NAME)
get_filename_component(LANEPIPE_DEVICE_NAME "${LANEPIPE_DEVICE_LIBRARY}" NAME)
set(LANEPIPE_SHARED_NAME "${_lanepipe_shared}")
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/lanepipe-config.cmake.in" "${PROJECT_BINARY_DIR}/lanepipe-config.cmake"
    INSTALL_DESTINATION "${_lanepipe_cmake_dir}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# While the major version is 0, a minor version may break its users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/lanepipe-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
        "${PROJECT_BINARY_DIR}/lanepipe-config.cmake"
        "${PROJECT_BINARY_DIR}/lanepipe-config-version.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/LanepipeTargets.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/LanepipeSwap.cmake"
        DESTINATION "${_lanepipe_cmake_dir}")
install(FILES
        "${PROJECT_SOURCE_DIR}/cmake/swap/check_device_engine.cpp"
        "${PROJECT_SOURCE_DIR}/cmake/swap/check_host.cpp"
        "${PROJECT_SOURCE_DIR}/cmake/swap/check_mailbox.cpp"
        DESTINATION "${_lanepipe_cmake_dir}/swap")

# The prefix in the pkg-config file is relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH LANEPIPE_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" LANEPIPE_PC_PREFIX "${LANEPIPE_PC_PREFIX}")
foreach(_lanepipe_dir INCLUDE LIB)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${_lanepipe_dir}DIR}")
        set(LANEPIPE_PC_${_lanepipe_dir}DIR "${CMAKE_INSTALL_${_lanepipe_dir}DIR}")
    else()
        set(LANEPIPE_PC_${_lanepipe_dir}DIR "\${prefix}/${CMAKE_INSTALL_${_lanepipe_dir}DIR}")
    endif()
endforeach()
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(LANEPIPE_PC_PRIVATE "-lgcc_s -lutil -lrt -lpthread -lm -ldl")
else()
    set(LANEPIPE_PC_PRIVATE "-lpthread -lm")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/lanepipe.pc.in" "${PROJECT_BINARY_DIR}/lanepipe.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/lanepipe.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
