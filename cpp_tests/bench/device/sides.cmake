# The programs whose instructions bench_device_instructions counts: one file, with the reference header and with
# lanepipe's, as a device image is built.

# lanepipe_bench_device_side(side INCLUDE directory [LIBRARIES targets])
function(lanepipe_bench_device_side side)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "INCLUDE" "LIBRARIES")
    set(target lanepipe_bench_device_${side})
    add_executable(${target} "${CMAKE_CURRENT_SOURCE_DIR}/bench/device/side.cpp")
    lanepipe_strict(${target})
    target_compile_options(${target} PRIVATE -O3 -fPIC)
    target_include_directories(${target} PRIVATE "${arg_INCLUDE}" "${LANEPIPE_RUNTIME_DIR}")
    target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} lanepipe_test_runtime)
    add_dependencies(lanepipe_benchmarks ${target})
endfunction()

if(EXISTS "${DEVICE_COMPAT}/aicpu/profiler_device_engine.h")
    lanepipe_bench_device_side(reference INCLUDE "${DEVICE_REFERENCE}")
    lanepipe_bench_device_side(compat INCLUDE "${DEVICE_COMPAT}" LIBRARIES lanepipe::device)
else()
    list(FILTER sources EXCLUDE REGEX "bench_device_")
endif()
