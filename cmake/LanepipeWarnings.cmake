# lanepipe_strict(target): language levels and warnings of the project's own C and C++ code.
function(lanepipe_strict target)
    set_target_properties(${target} PROPERTIES
        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        # Warnings in the library's own headers count.
        NO_SYSTEM_FROM_IMPORTED ON)
    target_compile_options(${target} PRIVATE -Wall -Wextra)
    if(LANEPIPE_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
