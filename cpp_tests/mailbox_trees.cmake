# The C++ runtime's directories as they are: headers that include their siblings with quotes lie side by side. Links
# into the source tree make up
#
#   LANEPIPE_MAILBOX_ORIGINAL/<variant>    everything, the reference of the two headers included
#   LANEPIPE_MAILBOX_STANDIN/<variant>     the same without the two headers, which come from elsewhere

set(LANEPIPE_MAILBOX_VARIANTS
    a2a3_tensormap_and_ringbuffer a2a3_host_build_graph a5_tensormap_and_ringbuffer a5_host_build_graph)
set(LANEPIPE_MAILBOX_SHORT_a2a3_tensormap_and_ringbuffer a2t)
set(LANEPIPE_MAILBOX_SHORT_a2a3_host_build_graph a2h)
set(LANEPIPE_MAILBOX_SHORT_a5_tensormap_and_ringbuffer a5t)
set(LANEPIPE_MAILBOX_SHORT_a5_host_build_graph a5h)
set(LANEPIPE_MAILBOX_ORIGINAL "${CMAKE_CURRENT_BINARY_DIR}/mailbox_trees/original")
set(LANEPIPE_MAILBOX_STANDIN "${CMAKE_CURRENT_BINARY_DIR}/mailbox_trees/standin")
# The drop-in headers; @VARIANT@ stands for the variant.
set(LANEPIPE_MAILBOX_DROP_IN
    "${PROJECT_SOURCE_DIR}/include/lanepipe/compat/mailbox/@VARIANT@/mailbox"
    "${PROJECT_SOURCE_DIR}/include/lanepipe/compat/mailbox/@VARIANT@/wait")

# lanepipe_mailbox_tree(tree directories...)
function(lanepipe_mailbox_tree tree)
    file(REMOVE_RECURSE "${tree}")
    foreach(directory IN LISTS ARGN)
        file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${directory}" "${directory}/*.h")
        foreach(header IN LISTS headers)
            get_filename_component(place "${tree}/${header}" DIRECTORY)
            file(MAKE_DIRECTORY "${place}")
            file(CREATE_LINK "${directory}/${header}" "${tree}/${header}" SYMBOLIC)
        endforeach()
    endforeach()
endfunction()

foreach(variant IN LISTS LANEPIPE_MAILBOX_VARIANTS)
    set(standin "${CMAKE_CURRENT_SOURCE_DIR}/runtime/scheduler" "${CMAKE_CURRENT_SOURCE_DIR}/runtime/${variant}")
    set(reference
        "${CMAKE_CURRENT_SOURCE_DIR}/reference/mailbox/common" "${CMAKE_CURRENT_SOURCE_DIR}/reference/mailbox/${variant}")
    lanepipe_mailbox_tree("${LANEPIPE_MAILBOX_STANDIN}/${variant}" ${standin})
    lanepipe_mailbox_tree("${LANEPIPE_MAILBOX_ORIGINAL}/${variant}" ${standin} ${reference})
endforeach()
