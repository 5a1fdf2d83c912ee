# The headers that the mailbox benchmarks compare, each side's loops in an object of their own: whatever both define has
# the side's name in front.

# lanepipe_bench_mailbox_side(side INCLUDES dirs LIBRARIES targets)
function(lanepipe_bench_mailbox_side side)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "INCLUDES;LIBRARIES")
    set(target lanepipe_bench_mailbox_${side})
    add_library(${target} OBJECT "${CMAKE_CURRENT_SOURCE_DIR}/bench/mailbox/header_side.cpp")
    lanepipe_strict(${target})
    target_include_directories(${target} PRIVATE ${arg_INCLUDES})
    target_link_libraries(${target} PRIVATE ${arg_LIBRARIES})
    target_compile_definitions(${target} PRIVATE BENCH_MAILBOX_SIDE=${side}_side)
    foreach(name IN ITEMS
            AICoreCompletionMailbox AICoreCompletionMailboxMessage AICoreCompletionMsgView AsyncPollResult
            AsyncWaitEntry AsyncWaitList CompletionBackendOps CompletionCondition completion_backend_ops_for
            PTO2Runtime PTO2SchedulerState)
        target_compile_definitions(${target} PRIVATE ${name}=${side}_${name})
    endforeach()
    target_sources(lanepipe_bench_mailbox INTERFACE $<TARGET_OBJECTS:${target}>)
endfunction()

set(variant a2a3_host_build_graph)
add_library(lanepipe_bench_mailbox INTERFACE)
lanepipe_bench_mailbox_side(reference INCLUDES "${LANEPIPE_MAILBOX_ORIGINAL}/${variant}")
string(REPLACE "@VARIANT@" "${variant}" includes "${LANEPIPE_MAILBOX_DROP_IN}")
lanepipe_bench_mailbox_side(compat INCLUDES ${includes} "${LANEPIPE_MAILBOX_STANDIN}/${variant}"
    LIBRARIES lanepipe::shared lanepipe_test_runtime)
