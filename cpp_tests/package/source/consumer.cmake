# The programs that every consumer project builds: two languages, three libraries.
function(consumer name source library)
    add_executable(${name} "${CMAKE_CURRENT_LIST_DIR}/../source/${source}")
    target_link_libraries(${name} PRIVATE lanepipe::${library})
    target_compile_options(${name} PRIVATE -Wall -Wextra -pedantic -Werror)
    set_target_properties(${name} PROPERTIES
        C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
    add_test(NAME ${name} COMMAND ${name})
endfunction()

enable_testing()
consumer(c_static main_c.c lanepipe)
consumer(c_shared main_c.c shared)
consumer(cpp_static main_cpp.cpp lanepipe)
consumer(cpp_shared main_cpp.cpp shared)
consumer(c_device main_device.c device)
