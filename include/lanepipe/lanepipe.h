/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lanepipe: lock-free buffer pipeline, C interface.
 *
 * Conventions
 *  - A function whose first parameter is a pointer to an object is a method of that object.
 *  - Inputs come first, outputs last. Outputs are written only when the call succeeds or, for counts, as documented.
 *  - Every pointer is checked for null; misuse gives a negative status and never an abort.
 *  - Enumerations are passed in as uint32_t and checked.
 *  - Structures that start with struct_size are set by the caller to sizeof of the structure.
 *  - Items under LANEPIPE_HOST are in the host library only; the rest is in the device archive too.
 */

#ifndef LANEPIPE_LANEPIPE_H_
#define LANEPIPE_LANEPIPE_H_

/* Generated from src/capi by `make header`; do not edit. */

#include <stddef.h>
#include <stdint.h>
/* The host library is the default; device images define LANEPIPE_DEVICE. */
#if !defined(LANEPIPE_DEVICE) && !defined(LANEPIPE_HOST)
#define LANEPIPE_HOST 1
#endif


// Architecture a2a3.
#define LANEPIPE_ARCH_A2A3 0

// Architecture a5.
#define LANEPIPE_ARCH_A5 1

// `lanepipe_device_wait_t::state`: nothing was waited for yet.
#define LANEPIPE_DEVICE_WAIT_FRESH 0

// The budget runs since `lanepipe_device_wait_t::start`.
#define LANEPIPE_DEVICE_WAIT_RUNNING 1

// It is used up: every further wait is one look.
#define LANEPIPE_DEVICE_WAIT_TIMED_OUT 2

// The same after less than the budget, because the host is taken for dead.
#define LANEPIPE_DEVICE_WAIT_HOST_GONE 3

// Other subtasks of the task are to come.
#define LANEPIPE_FIN_NOT_LAST 0

// The last subtask; nothing is deferred, the caller completes the task.
#define LANEPIPE_FIN_LAST_INLINE 1

// The last subtask; the task is the consumer's, the caller does not touch it any more.
#define LANEPIPE_FIN_HANDED_OVER 2

#if defined(LANEPIPE_HOST)
// Level of failures and misuse.
#define LANEPIPE_LOG_ERROR 1
#endif

#if defined(LANEPIPE_HOST)
// Level of conditions that the library handles and a maintainer may want to know of.
#define LANEPIPE_LOG_WARN 2
#endif

#if defined(LANEPIPE_HOST)
// Level of normal, rare events.
#define LANEPIPE_LOG_INFO 3
#endif

#if defined(LANEPIPE_HOST)
// Level of details.
#define LANEPIPE_LOG_DEBUG 4
#endif

// Bytes of a mailbox.
#define LANEPIPE_MAILBOX_SIZE 262272

// Alignment of a mailbox in bytes. The C++ runtime declares 64; 64 keep producers and consumer on lines of their own.
#define LANEPIPE_MAILBOX_ALIGN 8

// Messages that a mailbox holds.
#define LANEPIPE_MAILBOX_CAPACITY 4096

// Producers that may push at once.
#define LANEPIPE_MAILBOX_MAX_PRODUCERS 256

// Most conditions of one slab, and of one call.
#define LANEPIPE_SLAB_CAPACITY 64

// `kind` of a message that carries a condition.
#define LANEPIPE_MESSAGE_CONDITION 0

// `kind` of the message that ends a task's conditions.
#define LANEPIPE_MESSAGE_NORMAL_DONE 1

#if defined(LANEPIPE_HOST)
// Most shards a pool can have.
#define LANEPIPE_MAX_SHARDS 64
#endif

#if defined(LANEPIPE_HOST)
// Most buffer kinds a pool can have.
#define LANEPIPE_MAX_KINDS 64
#endif

#if defined(LANEPIPE_HOST)
// Largest payload of a ready element in bytes.
#define LANEPIPE_MAX_PAYLOAD 1024
#endif

#if defined(LANEPIPE_HOST)
// Largest ring capacity.
#define LANEPIPE_MAX_RING_CAPACITY (1 << 20)
#endif

#if defined(LANEPIPE_HOST)
// As a shard argument: all live shards, or dealt round robin.
#define LANEPIPE_ALL_SHARDS UINT32_MAX
#endif

#if defined(LANEPIPE_HOST)
// As a time limit: none.
#define LANEPIPE_FOREVER UINT64_MAX
#endif

#if defined(LANEPIPE_HOST)
// Pool flag: pointers unknown to the pool and buffers that are already in another place are refused.
#define LANEPIPE_POOL_STRICT 1
#endif

#if defined(LANEPIPE_HOST)
// Pool flag: calls that push to or pop from one queue end detect another thread inside such a call of the same end and
// are refused then (`LANEPIPE_E_OVERLAP`), and calls by hand on ends that threads of a running profiler hold are refused
// (`LANEPIPE_E_OWNER`). Costs one atomic exchange per call.
#define LANEPIPE_POOL_CHECK_OVERLAP 2
#endif

#if defined(LANEPIPE_HOST)
// Pool flag: buffers have no identity. Their ids are 0, the ledger and the audit see none of them, any address that
// resolves is as good as any other, and a buffer that is in two places goes unnoticed. Not with `LANEPIPE_POOL_STRICT`.
#define LANEPIPE_POOL_UNTRACKED 4
#endif

#if defined(LANEPIPE_HOST)
// State of a profiler: never started, or stopped.
#define LANEPIPE_PROFILER_STOPPED 0
#endif

#if defined(LANEPIPE_HOST)
// State of a profiler: threads run.
#define LANEPIPE_PROFILER_RUNNING 1
#endif

#if defined(LANEPIPE_HOST)
// State of a profiler: a stop began and has not finished.
#define LANEPIPE_PROFILER_STOPPING 2
#endif

#if defined(LANEPIPE_HOST)
// Most device ready queues.
#define LANEPIPE_MAX_QUEUES 64
#endif

#if defined(LANEPIPE_HOST)
// Most instances (free queues).
#define LANEPIPE_MAX_INSTANCES (1 << 16)
#endif

#if defined(LANEPIPE_HOST)
// Most entries in one `resolve` call.
#define LANEPIPE_MAX_ENTRIES 8
#endif

#if defined(LANEPIPE_HOST)
// Most elements in one `collect` call.
#define LANEPIPE_MAX_COLLECT 64
#endif

#if defined(LANEPIPE_HOST)
// As `lanepipe_site_t::instance`: the entry is not acceptable.
#define LANEPIPE_REJECT UINT32_MAX
#endif

#if defined(LANEPIPE_HOST)
// As `lanepipe_site_t::instance`: the entry is acceptable, but there is no free queue to fill. Untracked pools only.
#define LANEPIPE_NO_FREE_QUEUE (UINT32_MAX - 1)
#endif

#if defined(LANEPIPE_HOST)
// As `lanepipe_instance_t::queue`: not known yet; that of its first entry counts. Untracked pools only.
#define LANEPIPE_ANY_QUEUE UINT32_MAX
#endif

#if defined(LANEPIPE_HOST)
// Role of a thread: polls device words, one per profiler.
#define LANEPIPE_ROLE_SENTINEL 0
#endif

#if defined(LANEPIPE_HOST)
// Role of a thread: device ready queues to ready ring, one per shard.
#define LANEPIPE_ROLE_DRAIN 1
#endif

#if defined(LANEPIPE_HOST)
// Role of a thread: done rings to recycled lanes, and allocation, one per profiler.
#define LANEPIPE_ROLE_REPLENISH 2
#endif

#if defined(LANEPIPE_HOST)
// Role of a thread: ready ring to the collect callback, one per shard.
#define LANEPIPE_ROLE_COLLECT 3
#endif

#if defined(LANEPIPE_HOST)
// Backpressure: no gate is driven; a lane waits for a buffer, and demand words bring one.
#define LANEPIPE_BACKPRESSURE_NONE 0
#endif

#if defined(LANEPIPE_HOST)
// Backpressure: the freeze protocol. All lanes of the device park while one is out of room or buffers, until the ready
// queues are drained and every free queue is full again.
#define LANEPIPE_BACKPRESSURE_COMMON 1
#endif

#if defined(LANEPIPE_HOST)
// Profiler flag: the replenish thread polls device words too, and there is no sentinel thread.
#define LANEPIPE_PROFILER_MERGED_SENTINEL 1
#endif

#if defined(LANEPIPE_HOST)
// Profiler flag: start leaves the free queues as they are.
#define LANEPIPE_PROFILER_PREFILLED 2
#endif

#if defined(LANEPIPE_HOST)
// Profiler flag: a lane below its watermark is filled by allocation at once, whatever is on its way back, and with at
// least as many buffers as a free queue has slots.
#define LANEPIPE_PROFILER_EAGER 4
#endif

// Alignment of memory for a ring, in bytes.
#define LANEPIPE_RING_ALIGN 64

// Largest element in bytes.
#define LANEPIPE_RING_MAX_ELEMENT_SIZE 4096

// Most elements of a ring.
#define LANEPIPE_RING_MAX_CAPACITY (1 << 24)

#if defined(LANEPIPE_HOST)
// Length of `lanepipe_error_t::message` in bytes, terminator included.
#define LANEPIPE_ERROR_MESSAGE_SIZE 240
#endif

#if defined(LANEPIPE_HOST)
// Flag of `lanepipe_pool_take_entry`: the tail is brought from the device first. Without it the host's copy is good enough.
#define LANEPIPE_STEP_REFRESH 1
#endif

// `lanepipe_device_region_t::budget`: 30 s of the architecture's counter.
#define LANEPIPE_DEVICE_BUDGET_OF_ARCH UINT64_MAX

// `lanepipe_dep_gen_submit_t::flags`: submitted in a manual scope.
#define LANEPIPE_DEP_GEN_MANUAL_SCOPE 1

// `lanepipe_dep_gen_submit_t::flags`: dispatched early.
#define LANEPIPE_DEP_GEN_EARLY_DISPATCH 2

// `lanepipe_args_dump_info_t::role`: read by the task.
#define LANEPIPE_ARGS_DUMP_ROLE_INPUT 0

// `lanepipe_args_dump_info_t::role`: written by the task.
#define LANEPIPE_ARGS_DUMP_ROLE_OUTPUT 1

// `lanepipe_args_dump_info_t::role`: both.
#define LANEPIPE_ARGS_DUMP_ROLE_INOUT 2

// `lanepipe_args_dump_info_t::stage`: the task is not dispatched yet.
#define LANEPIPE_ARGS_DUMP_STAGE_BEFORE_DISPATCH 0

// `lanepipe_args_dump_info_t::stage`: the task has completed.
#define LANEPIPE_ARGS_DUMP_STAGE_AFTER_COMPLETION 1

// `ArgDirection` of the C++ runtime: a scalar.
#define LANEPIPE_ARG_DIRECTION_SCALAR 0

// `ArgDirection` of the C++ runtime: a tensor that the task reads.
#define LANEPIPE_ARG_DIRECTION_IN 1

// `ArgDirection` of the C++ runtime: a tensor that the task writes.
#define LANEPIPE_ARG_DIRECTION_OUT 2

// `ArgDirection` of the C++ runtime: a tensor that the task reads and writes.
#define LANEPIPE_ARG_DIRECTION_INOUT 3

// Words of `lanepipe_args_dump_tables_t`.
#define LANEPIPE_ARGS_DUMP_TABLES_WORDS 294920

// Tasks of each of its tables.
#define LANEPIPE_ARGS_DUMP_TABLES_TASKS 32768

// Most scalars of a task.
#define LANEPIPE_ARGS_DUMP_MAX_SCALARS 32

// A task of a matrix core.
#define LANEPIPE_CORE_TYPE_AIC 0

// A task of a vector core.
#define LANEPIPE_CORE_TYPE_AIV 1

// The end of a heap that allocates.
#define LANEPIPE_HEAP_SIDE_ALLOC 0

// The end of a heap that reclaims.
#define LANEPIPE_HEAP_SIDE_RECLAIM 1

// `lanepipe_swimlane_sched_phase_t::kind`: completions were looked for.
#define LANEPIPE_SCHED_PHASE_COMPLETE 0

// Tasks were dispatched.
#define LANEPIPE_SCHED_PHASE_DISPATCH 1

// Tasks were released.
#define LANEPIPE_SCHED_PHASE_RELEASE 2

// Dummy tasks were dealt with.
#define LANEPIPE_SCHED_PHASE_DUMMY 4

// Tasks were dispatched early.
#define LANEPIPE_SCHED_PHASE_EARLY_DISPATCH 5

// Dependencies were resolved.
#define LANEPIPE_SCHED_PHASE_RESOLVE 6

// A task that no core runs is complete.
#define LANEPIPE_SCHED_PHASE_DUMMY_TASK 7

// Work was drained.
#define LANEPIPE_SCHED_PHASE_DRAIN 8

// Preparation of a drain.
#define LANEPIPE_SCHED_PHASE_DRAIN_PREPARE 9

// Publication of a drain.
#define LANEPIPE_SCHED_PHASE_DRAIN_PUBLISH 10

// Asynchronous completions were polled.
#define LANEPIPE_SCHED_PHASE_ASYNC_POLL 11

// A task was skipped by its predicate.
#define LANEPIPE_SCHED_PHASE_PREDICATED_SKIP 12

// A graph was prepared.
#define LANEPIPE_SCHED_PHASE_GRAPH_PREPARE 13

// Version of the binary interface. Grows with every change that breaks a caller compiled earlier; it is the number in
// the shared library's SONAME.
#define LANEPIPE_ABI_VERSION 0

// a2a3, tensormap_and_ringbuffer.
#define LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER 0

// a2a3, host_build_graph.
#define LANEPIPE_VARIANT_A2A3_HOST_BUILD_GRAPH 1

// a5, tensormap_and_ringbuffer.
#define LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER 2

// a5, host_build_graph.
#define LANEPIPE_VARIANT_A5_HOST_BUILD_GRAPH 3

// Bytes of a wait list.
#define LANEPIPE_WAIT_LIST_SIZE 198680

// Alignment of a wait list in bytes.
#define LANEPIPE_WAIT_LIST_ALIGN 8

// Alignment of a side area in bytes.
#define LANEPIPE_WAIT_SIDE_ALIGN 64

// Most messages that a side area holds for tasks and conditions that the list has no room for.
#define LANEPIPE_WAIT_MAX_OVERFLOW (1 << 20)

// Flag of `lanepipe_wait_ops_t`, for a list without a side area: whoever assigns one entry to another copies its live
// conditions and leaves the other slots as they are, so that unused slots of live entries may hold messages.
#define LANEPIPE_WAIT_COPY_KEEPS_REST 1

// Flag of `lanepipe_wait_side_init`: completed tasks are not remembered, because tokens come back in one run.
#define LANEPIPE_WAIT_TOKENS_COME_BACK 1

// Result of a poll: not yet.
#define LANEPIPE_WAIT_PENDING 0

// Result of a poll: the condition holds.
#define LANEPIPE_WAIT_READY 1

// Result of a poll: it never will.
#define LANEPIPE_WAIT_FAILED 2

// The condition is malformed or has failed.
#define LANEPIPE_WAIT_ERROR_INVALID 101

// Neither the list nor what holds messages for it has room.
#define LANEPIPE_WAIT_ERROR_OVERFLOW 102

// A condition could not be registered, or a message makes no sense.
#define LANEPIPE_WAIT_ERROR_REGISTRATION 103

#if defined(LANEPIPE_HOST)
// Subsystem: tasks and phases. Its kinds are `LANEPIPE_KIND_*`; every other subsystem has one kind, 0.
#define LANEPIPE_SUBSYSTEM_SWIMLANE 0
#endif

#if defined(LANEPIPE_HOST)
// Subsystem: performance counters; an instance per core.
#define LANEPIPE_SUBSYSTEM_PMU 1
#endif

#if defined(LANEPIPE_HOST)
// Subsystem: submits and their dependencies; one instance.
#define LANEPIPE_SUBSYSTEM_DEP_GEN 2
#endif

#if defined(LANEPIPE_HOST)
// Subsystem: arguments and their contents; an instance per scheduler thread.
#define LANEPIPE_SUBSYSTEM_ARGS_DUMP 3
#endif

#if defined(LANEPIPE_HOST)
// Subsystem: scopes; one instance.
#define LANEPIPE_SUBSYSTEM_SCOPE_STATS 4
#endif

#if defined(LANEPIPE_HOST)
// Kind of the swimlane: tasks as the control thread saw them; an instance per core.
#define LANEPIPE_KIND_AICPU_TASK 0
#endif

#if defined(LANEPIPE_HOST)
// Kind of the swimlane: phases of a scheduler; an instance per scheduler thread, from level 3 on.
#define LANEPIPE_KIND_SCHED_PHASE 1
#endif

#if defined(LANEPIPE_HOST)
// Kind of the swimlane: phases of the orchestrator; one instance, from level 3 on.
#define LANEPIPE_KIND_ORCH_PHASE 2
#endif

#if defined(LANEPIPE_HOST)
// Kind of the swimlane: tasks as the core saw them; an instance per core.
#define LANEPIPE_KIND_AICORE_TASK 3
#endif

#if defined(LANEPIPE_HOST)
// Largest arena of one thread in bytes.
#define LANEPIPE_COLLECTOR_MAX_ARENA 4294967296
#endif

#if defined(LANEPIPE_HOST)
// Most buffers of one instance.
#define LANEPIPE_COLLECTOR_MAX_BUFFERS (1 << 12)
#endif

#if defined(LANEPIPE_HOST)
// Collector flag: the replenish thread polls device words too, and there is no sentinel thread.
#define LANEPIPE_COLLECTOR_MERGED_SENTINEL 1
#endif

#if defined(LANEPIPE_HOST)
// Flag of records: of a buffer that the device never handed over, or that was left in a ready queue.
#define LANEPIPE_RECORDS_RECOVERED 1
#endif

#if defined(LANEPIPE_HOST)
// Verdict: the layout has no total to compare with.
#define LANEPIPE_BOOKS_NONE 0
#endif

#if defined(LANEPIPE_HOST)
// Verdict: everything is accounted for.
#define LANEPIPE_BOOKS_BALANCED 1
#endif

#if defined(LANEPIPE_HOST)
// Verdict: of one instance at least, something is not.
#define LANEPIPE_BOOKS_UNBALANCED 2
#endif

#if defined(LANEPIPE_HOST)
// As a kind argument: the sum over all kinds.
#define LANEPIPE_ALL_KINDS UINT32_MAX
#endif

#if defined(LANEPIPE_HOST)
// As an instance argument: the sum over all instances.
#define LANEPIPE_ALL_INSTANCES UINT32_MAX
#endif

// Outcome of every call. 0 is success, positive values are normal outcomes, negative ones misuse or failure. Numbers
// are fixed for ever; new ones are only added.
enum lanepipe_status_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Done.
    LANEPIPE_OK = 0,
    // No room; nothing was stored beyond the count reported.
    LANEPIPE_FULL = 1,
    // Nothing there.
    LANEPIPE_EMPTY = 2,
    // The time limit passed first.
    LANEPIPE_TIMED_OUT = 3,
    // The object was closed; what it still held has been taken.
    LANEPIPE_CLOSED = 4,
    // The object is in use and the call can be repeated later.
    LANEPIPE_BUSY = 5,
    // An element is claimed but not published yet; repeat later.
    LANEPIPE_AGAIN = 6,
    // A record was dropped and counted.
    LANEPIPE_DROPPED = 7,
    // A record did not belong to the expected owner and was counted as such.
    LANEPIPE_MISMATCH = 8,
    // A required pointer or callback is null.
    LANEPIPE_E_NULL = -1,
    // An argument is out of its range.
    LANEPIPE_E_INVALID = -2,
    // `struct_size` is smaller than the first version of the structure, or not a size this library knows.
    LANEPIPE_E_STRUCT_SIZE = -3,
    // An address is not aligned as required.
    LANEPIPE_E_MISALIGNED = -4,
    // A size or count is above its cap, or a size computation overflows.
    LANEPIPE_E_TOO_LARGE = -5,
    // Memory could not be allocated.
    LANEPIPE_E_NO_MEMORY = -6,
    // The object is not in a state that allows the call.
    LANEPIPE_E_STATE = -7,
    // Two threads were inside calls of one queue end at once.
    LANEPIPE_E_OVERLAP = -8,
    // The queue end belongs to another thread now.
    LANEPIPE_E_OWNER = -9,
    // The kind is out of range.
    LANEPIPE_E_KIND = -10,
    // The pointer is unknown to the pool.
    LANEPIPE_E_UNKNOWN_POINTER = -11,
    // The buffer is already in another place.
    LANEPIPE_E_DUPLICATE = -12,
    // Foreign memory holds a value that it cannot hold.
    LANEPIPE_E_CORRUPT = -13,
    // A callback of the caller reported failure.
    LANEPIPE_E_CALLBACK = -14,
    // The operating system refused; `lanepipe_error_t::system_error` has the number.
    LANEPIPE_E_SYSTEM = -15,
    // The thread factory did not deliver a thread.
    LANEPIPE_E_THREAD = -16,
    // Not available in this build or on this platform.
    LANEPIPE_E_UNSUPPORTED = -17,
    // Header and library have different ABI versions.
    LANEPIPE_E_VERSION = -18,
    // An audit found a buffer in no place or in more than one.
    LANEPIPE_E_CONSERVATION = -19,
    // An internal error was caught at the boundary; the object is poisoned.
    LANEPIPE_E_PANIC = -20,
    // An earlier `LANEPIPE_E_PANIC` left the object unusable; it can only be destroyed.
    LANEPIPE_E_POISONED = -21,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lanepipe_status_t lanepipe_status_t;
#else
typedef int32_t lanepipe_status_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

#if defined(LANEPIPE_HOST)
// A collector. Opaque.
typedef struct lanepipe_collector_t lanepipe_collector_t;
#endif

// A completion mailbox in memory of the caller, with the layout of the C++ runtime's `AICoreCompletionMailbox`. Opaque.
typedef struct lanepipe_mailbox_t lanepipe_mailbox_t;

#if defined(LANEPIPE_HOST)
// A pool. Opaque.
typedef struct lanepipe_pool_t lanepipe_pool_t;
#endif

#if defined(LANEPIPE_HOST)
// A profiler. Opaque.
typedef struct lanepipe_profiler_t lanepipe_profiler_t;
#endif

// The consumer end of a ring: one thread at a time, the same until it is handed over with synchronisation. Opaque.
typedef struct lanepipe_ring_consumer_t lanepipe_ring_consumer_t;

// The producer end of a ring: one thread at a time, the same until it is handed over with synchronisation. Opaque.
typedef struct lanepipe_ring_producer_t lanepipe_ring_producer_t;

// A wait list in memory of the caller, with the layout of the C++ runtime's `AsyncWaitList`. Opaque.
typedef struct lanepipe_wait_list_t lanepipe_wait_list_t;

// A side area of a wait list: what makes a list fast and lets it hold more. Opaque, in memory of the caller. Belongs to one
// list, which is then changed by functions of this section alone. One call at a time is in it: whoever calls from within a
// callback gets `LANEPIPE_E_OVERLAP`, and nothing has happened.
//
// Each call looks whether somebody else has written over the area. Where its messages lie follows from the address that is
// passed; how many there are and can be carries a check sum: if that is wrong, or the area was copied from elsewhere, each call
// gives `LANEPIPE_E_CORRUPT` and does nothing, until the area is made anew. A message in it that is not what was put there is
// error 103 in each drain. What the area knows of the list is compared with the public fields, and no access leaves list and
// area for it. Not looked for are bytes that change while a call runs, and wrong entries of the tables that find a token or tell
// which conditions wait: for those, tasks may wait for ever or be taken for others.
typedef struct lanepipe_wait_side_t lanepipe_wait_side_t;

#if defined(LANEPIPE_HOST)
// The words of the two backpressure gates, by host addresses inside the shared region. The device raises a contended word
// when a lane finds its ready queue full (rq) or its free queue empty (fq); lanes park while a freeze word is set.
typedef struct lanepipe_gates_t {
    // Freeze word of the push gate; written by the host only.
    uint32_t *rq_freeze;
    // Contended word of the push gate; set by the device, cleared by the host.
    uint32_t *rq_contended;
    // Freeze word of the pop gate.
    uint32_t *fq_freeze;
    // Contended word of the pop gate.
    uint32_t *fq_contended;
} lanepipe_gates_t;
#endif

// A lane's end of a ready queue. Words in shared memory, 4-aligned; read during a call only.
typedef struct lanepipe_device_ready_t {
    // `sizeof(lanepipe_device_ready_t)`.
    uint32_t struct_size;
    // Entries of the ring, at least 2; one less can be pending.
    uint32_t size;
    // Written by the host.
    uint32_t *head;
    // Written by the lane.
    uint32_t *tail;
} lanepipe_device_ready_t;

// The gates of a shared region. Words in shared memory, 4-aligned; read during a call only.
typedef struct lanepipe_device_gates_t {
    // `sizeof(lanepipe_device_gates_t)`.
    uint32_t struct_size;
    // Words at `heads`; 0: none.
    uint32_t head_count;
    // Heads of the region's ready queues, by which a host is seen to be alive; may be null with `head_count` 0.
    uint32_t *heads;
    // `rq_freeze_active`.
    uint32_t *push_freeze;
    // `rq_contended`.
    uint32_t *push_contended;
    // `fq_freeze_active`.
    uint32_t *pop_freeze;
    // `fq_contended`.
    uint32_t *pop_contended;
} lanepipe_device_gates_t;

// Ticks of a monotonic clock; may wrap.
typedef uint64_t (*lanepipe_device_now_fn_t)(void *context);

// Passes a moment.
typedef void (*lanepipe_device_relax_fn_t)(void *context);

// What all lanes of a region remember of a host that let a wait time out. All zero: nothing. Aligned to 8, shared between
// threads, used by the library only.
typedef struct lanepipe_device_latch_t {
    // Not for the caller.
    uint64_t key;
    // Not for the caller.
    uint64_t print;
    // Not for the caller.
    uint64_t since;
} lanepipe_device_latch_t;

// One budget of time, for all waits of one operation. Set by the caller before the first, one thread's.
typedef struct lanepipe_device_wait_t {
    // `sizeof(lanepipe_device_wait_t)`.
    uint32_t struct_size;
    // One of `LANEPIPE_DEVICE_WAIT_*` in the low byte, kept by the calls; `LANEPIPE_DEVICE_WAIT_FRESH` at first.
    uint32_t state;
    // Ticks of `now`; 0: one look.
    uint64_t budget;
    // When the budget began, by `now`. Kept by the calls, unless the caller begins with `LANEPIPE_DEVICE_WAIT_RUNNING`.
    uint64_t start;
    // Passed to the functions.
    void *context;
    // The clock; read at the first look in vain and every few looks after it. Not null.
    lanepipe_device_now_fn_t now;
    // Called once between two looks; null: a hint to the processor.
    lanepipe_device_relax_fn_t relax;
    // The memory of a dead host, by which each further wait in vain has an eighth of the patience of the one before, as
    // long as the host shows no sign of life; null: each budget is waited for whole.
    struct lanepipe_device_latch_t *latch;
} lanepipe_device_wait_t;

// A lane's end of a free queue. Words in shared memory, aligned to their size; read during a call only.
typedef struct lanepipe_device_free_t {
    // `sizeof(lanepipe_device_free_t)`.
    uint32_t struct_size;
    // Slots, a power of two.
    uint32_t slot_count;
    // Written by the lane.
    uint32_t *head;
    // Written by the host.
    uint32_t *tail;
    // Written by the host.
    uint64_t *slots;
} lanepipe_device_free_t;

// A question about a slot; 0 is no.
typedef int32_t (*lanepipe_fin_ask_fn_t)(void *context, void *slot);

// The token of a slot's task.
typedef uint64_t (*lanepipe_fin_token_fn_t)(void *context, void *slot);

// Marks a slot.
typedef void (*lanepipe_fin_mark_fn_t)(void *context, void *slot);

// A question about the run; 0 is no.
typedef int32_t (*lanepipe_fin_run_fn_t)(void *context);

// Passes a moment.
typedef void (*lanepipe_fin_spin_fn_t)(void *context);

// What is known of slots, and what a full ring is waited for with. The functions about slots may be null: then the fields
// of the variant's `PTO2TaskSlotState` are used. Read during the call only.
typedef struct lanepipe_fin_ops_t {
    // `sizeof(lanepipe_fin_ops_t)`.
    uint32_t struct_size;
    // One of `LANEPIPE_VARIANT_*`.
    uint32_t variant;
    // Passed to the functions.
    void *context;
    // Whether the slot has a payload.
    lanepipe_fin_ask_fn_t has_payload;
    // The task's token.
    lanepipe_fin_token_fn_t token;
    // Sets the slot's deferred flag.
    lanepipe_fin_mark_fn_t mark_deferred;
    // Whether it is set.
    lanepipe_fin_ask_fn_t is_deferred;
    // Counts a subtask, with acquire and release in one operation; whether it was the last.
    lanepipe_fin_ask_fn_t subtask_done;
    // Whether the task has one subtask only; null: no. Then its sentinel goes out with its conditions.
    lanepipe_fin_ask_fn_t is_sole;
    // Whether the run is over; null: no. Asked while the ring is full.
    lanepipe_fin_run_fn_t should_abort;
    // Makes room in a full ring, for instance by `lanepipe_wait_list_drain` under the list's lock or by
    // `lanepipe_wait_list_poll`; whether it may have. The wait is no call on the list, so that both run; unless the wait
    // itself is in a callback of the list. May be null.
    lanepipe_fin_run_fn_t help;
    // Passes a moment; null: a hint to the processor.
    lanepipe_fin_spin_fn_t spin;
} lanepipe_fin_ops_t;

// What became of a subtask.
typedef struct lanepipe_fin_result_t {
    // `sizeof(lanepipe_fin_result_t)`, set by the caller.
    uint32_t struct_size;
    // One of `LANEPIPE_FIN_*`; meaningful with `LANEPIPE_OK`.
    uint32_t outcome;
    // The error to latch, or 0.
    int32_t error;
    // Messages pushed.
    uint32_t pushed;
    // Messages that a full ring refused at first.
    uint32_t skipped;
    // Always 0.
    uint32_t reserved;
} lanepipe_fin_result_t;

#if defined(LANEPIPE_HOST)
// Takes one message: terminated UTF-8 text without line end, valid during the call. Called from any thread that uses the
// object, several at once, never with a lock held and never on a fault-free hot path.
typedef void (*lanepipe_log_fn_t)(void *context, uint32_t level, const char *message);
#endif

#if defined(LANEPIPE_HOST)
// Where messages go.
typedef struct lanepipe_log_sink_t {
    // The function; null: no messages.
    lanepipe_log_fn_t write;
    // Passed to `write`. Must stay valid as long as the sink is in use.
    void *context;
    // Messages above this level are not made. 0 to `LANEPIPE_LOG_DEBUG`.
    uint32_t max_level;
    // Must be 0.
    uint32_t reserved;
} lanepipe_log_sink_t;
#endif

// A condition as a kernel lists it, with the layout of the C++ runtime's `DeferredCompletionEntry`.
typedef struct lanepipe_slab_entry_t {
    // Counter, record or handle.
    uint64_t addr;
    // Value of the backend.
    uint64_t backend_cookie;
    // Threshold.
    uint32_t expected_value;
    // Engine.
    uint32_t engine;
    // Selects the backend.
    int32_t completion_type;
    // Not looked at.
    uint32_t reserved;
} lanepipe_slab_entry_t;

// A message, with the layout of the C++ runtime's `AICoreCompletionMsgView`. All values are carried as they are.
typedef struct lanepipe_message_t {
    // Id of the task.
    uint64_t task_token;
    // Counter, record or handle; of `LANEPIPE_MESSAGE_NORMAL_DONE` the address of the slot state.
    uint64_t addr;
    // Value of the backend.
    uint64_t backend_cookie;
    // Threshold.
    uint32_t expected_value;
    // Engine.
    uint32_t engine;
    // Selects the backend.
    int32_t completion_type;
    // `LANEPIPE_MESSAGE_CONDITION` or `LANEPIPE_MESSAGE_NORMAL_DONE`; whatever stands in the slot.
    uint32_t kind;
} lanepipe_message_t;

// What an observer sees of a mailbox. Exact at rest.
typedef struct lanepipe_mailbox_stats_t {
    // `sizeof(lanepipe_mailbox_stats_t)`, set by the caller.
    uint32_t struct_size;
    // Tickets that are claimed and not consumed, 0 to `LANEPIPE_MAILBOX_CAPACITY`.
    uint32_t pending;
    // Tickets claimed.
    uint64_t head;
    // Messages consumed.
    uint64_t tail;
    // 1 if the oldest ticket is claimed and not published: nothing can be popped until its producer goes on. Else 0.
    uint32_t gap;
    // Such tickets that the consumer met, since the memory was cleared.
    uint32_t gaps;
    // How often a consumer found another one at work (`LANEPIPE_E_OVERLAP`), since the memory was cleared.
    uint32_t overlaps;
    // Number of the run that `lanepipe_mailbox_init_empty` began last; 0 if none.
    uint32_t run;
} lanepipe_mailbox_stats_t;

#if defined(LANEPIPE_HOST)
// Geometry of a pool, fixed for its life but for the number of live shards.
typedef struct lanepipe_pool_config_t {
    // `sizeof(lanepipe_pool_config_t)`.
    uint32_t struct_size;
    // Shards, 1 to `LANEPIPE_MAX_SHARDS`. All are live until `lanepipe_pool_set_shards`.
    uint32_t shards;
    // Buffer kinds, 1 to `LANEPIPE_MAX_KINDS`.
    uint32_t kinds;
    // Bytes of caller payload in a ready element, 0 to `LANEPIPE_MAX_PAYLOAD`, a multiple of 8. 32 and 40 are fastest.
    uint32_t payload_size;
    // Elements in each ready ring, 1 to `LANEPIPE_MAX_RING_CAPACITY`; the limit is exact. The same holds for the next two.
    uint32_t ready_capacity;
    // Elements in each done ring.
    uint32_t done_capacity;
    // Elements in each recycled lane.
    uint32_t recycled_capacity;
    // `LANEPIPE_POOL_*` flags.
    uint32_t flags;
    // Blocks are allocated in multiples of this many bytes, a power of two; 0 is 64.
    size_t block_granularity;
    // Where messages go; a zeroed sink keeps the pool silent.
    struct lanepipe_log_sink_t log;
} lanepipe_pool_config_t;
#endif

#if defined(LANEPIPE_HOST)
// Detail of a failed call that creates an object. Owned and zeroed by the caller, who sets `struct_size`.
typedef struct lanepipe_error_t {
    // `sizeof(lanepipe_error_t)`, set by the caller.
    uint32_t struct_size;
    // Status that the call returned (a `lanepipe_status_t`).
    int32_t status;
    // Error number of the operating system, or 0.
    int32_t system_error;
    // Always 0.
    uint32_t reserved;
    // What was wrong, as terminated UTF-8 text.
    char message[LANEPIPE_ERROR_MESSAGE_SIZE];
} lanepipe_error_t;
#endif

#if defined(LANEPIPE_HOST)
// Allocates `size` bytes of device memory; null when there is none. Runs on the thread that calls an allocating
// function, on the caller of `lanepipe_profiler_start` and on the replenish thread; never on a drain or collect thread.
typedef void *(*lanepipe_alloc_fn_t)(void *context, size_t size);
#endif

#if defined(LANEPIPE_HOST)
// Makes `size` bytes at device address `dev` visible to the host and stores their host address. 0 is success. Threads as
// for `lanepipe_alloc_fn_t`.
typedef int32_t (*lanepipe_register_fn_t)(void *context, void *dev, size_t size, int32_t device_id, void **host);
#endif

#if defined(LANEPIPE_HOST)
// Frees an allocation. The result is ignored. Threads as for `lanepipe_alloc_fn_t`.
typedef int32_t (*lanepipe_free_fn_t)(void *context, void *dev);
#endif

#if defined(LANEPIPE_HOST)
// Copies `size` bytes between device and host memory. 0 is success. Called from several threads at once.
typedef int32_t (*lanepipe_copy_fn_t)(void *context, void *destination, const void *source, size_t size);
#endif

#if defined(LANEPIPE_HOST)
// How the pool reaches device memory. Copied by the call that takes it; `context` must stay valid until the next such
// call or the pool's destruction.
//
// With shared virtual memory both copy callbacks are null and the host address of a buffer is where the device writes.
// With host shadows both are set and every access to device memory goes through them. With one of them, transfers in its
// direction copy and those in the other do nothing, for who drives a pool by hand; a profiler does not start then.
typedef struct lanepipe_memory_t {
    // `sizeof(lanepipe_memory_t)`.
    uint32_t struct_size;
    // Passed to `register_memory`.
    int32_t device_id;
    // Passed to every callback of this structure.
    void *context;
    // Null: the pool cannot allocate.
    lanepipe_alloc_fn_t alloc;
    // Null: the host address of an allocation is its device address.
    lanepipe_register_fn_t register_memory;
    // Null: allocations are never given back by the pool.
    lanepipe_free_fn_t free_memory;
    // Host to device. Null with shared virtual memory.
    lanepipe_copy_fn_t copy_to_device;
    // Device to host. Null with shared virtual memory.
    lanepipe_copy_fn_t copy_from_device;
    // Device address of the shared region that holds queues and free queues.
    void *shm_dev;
    // Host address of the shared region (its shadow where copy callbacks are set).
    void *shm_host;
    // Bytes in the shared region.
    size_t shm_size;
} lanepipe_memory_t;
#endif

#if defined(LANEPIPE_HOST)
// A buffer on its way through the pool.
typedef struct lanepipe_buffer_t {
    // Device address.
    void *dev;
    // Kind, below the pool's `kinds`.
    uint32_t kind;
    // Identity in the ledger, as `lanepipe_pool_register` or `lanepipe_pool_resolve` tell it; 0: not tracked.
    uint32_t id;
} lanepipe_buffer_t;
#endif

#if defined(LANEPIPE_HOST)
// What the pool knows of an address.
typedef struct lanepipe_resolved_t {
    // Host address; null if the pool knows none.
    void *host;
    // Identity in the ledger, 0 if the address is not that of a tracked buffer.
    uint32_t id;
    // 1 if the address is known, else 0.
    uint32_t known;
} lanepipe_resolved_t;
#endif

#if defined(LANEPIPE_HOST)
// Releases the allocation at device address `base`.
typedef void (*lanepipe_release_fn_t)(void *context, void *base);
#endif

#if defined(LANEPIPE_HOST)
// Where all tracked buffers are. Exact at rest; while a profiler runs, a snapshot without a common instant.
typedef struct lanepipe_pool_audit_t {
    // `sizeof(lanepipe_pool_audit_t)`.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // Buffers tracked.
    uint64_t total;
    // At the device, or with the caller.
    uint64_t device;
    // Held by a drain thread.
    uint64_t drain;
    // In ready rings.
    uint64_t ready;
    // Held by a collect thread.
    uint64_t collect;
    // In done rings.
    uint64_t done;
    // Held by the replenish thread.
    uint64_t replenish;
    // In recycled lanes.
    uint64_t recycled;
    // Parked, to be brought back into circulation.
    uint64_t retired;
    // Parked until teardown because their address cannot be trusted.
    uint64_t quarantined;
    // Buffers found in no place, in a place other than the ledger's, or in two places. 0 in a sound pool.
    uint64_t errors;
} lanepipe_pool_audit_t;
#endif

#if defined(LANEPIPE_HOST)
// A device ready queue, by host addresses inside the shared region. Indices run modulo `capacity`; one slot stays empty, so
// that a queue of capacity 1 never holds an entry.
typedef struct lanepipe_ready_queue_t {
    // First entry.
    void *entries;
    // Next entry to take; written by the host only.
    uint32_t *head;
    // Next entry to fill; written by the device only.
    uint32_t *tail;
    // Modulus of the indices, 1 or more.
    uint32_t capacity;
    // Bytes from one entry to the next, a multiple of 8 up to 256.
    uint32_t entry_size;
    // Offset of the 64-bit buffer address in an entry, a multiple of 8.
    uint32_t pointer_offset;
    // Must be 0.
    uint32_t reserved;
} lanepipe_ready_queue_t;
#endif

#if defined(LANEPIPE_HOST)
// A device free queue, by host addresses inside the shared region. Counters grow without bound and wrap at 2^32; the slot of
// a counter is its remainder modulo `slot_count`, so that only with a power of two the wrap passes unseen.
typedef struct lanepipe_free_queue_t {
    // Next slot to take; written by the device only.
    uint32_t *head;
    // Next slot to fill; written by the host only.
    uint32_t *tail;
    // Buffer addresses.
    uint64_t *slots;
    // Slots, 1 or more.
    uint32_t slot_count;
    // Must be 0.
    uint32_t reserved;
} lanepipe_free_queue_t;
#endif

#if defined(LANEPIPE_HOST)
// A producer of buffers on the device: one free queue, one kind, one ready queue for the whole run.
typedef struct lanepipe_instance_t {
    // Its free queue.
    struct lanepipe_free_queue_t free_queue;
    // Its kind.
    uint32_t kind;
    // The ready queue on which it publishes, or `LANEPIPE_ANY_QUEUE`.
    uint32_t queue;
} lanepipe_instance_t;
#endif

#if defined(LANEPIPE_HOST)
// A buffer kind.
typedef struct lanepipe_kind_t {
    // Bytes of a buffer; no more than any buffer of the kind has, whoever allocated it. 0 if an instance that is added later
    // is to tell.
    size_t buffer_size;
    // Buffers in one allocated block, 1 or more; with an untracked pool 0 is allowed, and only watermarks allocate then.
    uint32_t batch_size;
    // Buffers below which a lane is refilled by allocation; 0: never.
    uint32_t warm_target;
    // Buffers of this kind beyond which none is allocated; 0: no limit. Unless the profiler is eager, buffers are only
    // allocated while none of the kind is on its way back.
    uint32_t max_buffers;
    // Must be 0.
    uint32_t reserved;
} lanepipe_kind_t;
#endif

#if defined(LANEPIPE_HOST)
// An entry of a device ready queue as `resolve` sees it.
typedef struct lanepipe_entry_t {
    // The entry's bytes, a private copy.
    const void *bytes;
    // Device address of the buffer.
    void *dev;
    // Host address of the buffer. Null: the address is not that of a buffer at the device, and the entry is rejected
    // whatever the answer; an instance in the answer still gets its free queue refilled.
    void *host;
    // Kind under which the pool knows the buffer; `UINT32_MAX` if it does not.
    uint32_t kind;
    // Identity in the ledger, 0 if unknown.
    uint32_t id;
} lanepipe_entry_t;
#endif

#if defined(LANEPIPE_HOST)
// What `resolve` answers for an entry.
typedef struct lanepipe_site_t {
    // Index of the instance that published the entry, `LANEPIPE_REJECT`, which it is preset to, or `LANEPIPE_NO_FREE_QUEUE`.
    uint32_t instance;
    // Kind of the buffer with `LANEPIPE_NO_FREE_QUEUE`; else not looked at.
    uint32_t kind;
    // Bytes of contents to bring to the host before the buffer is collected, up to the kind's `buffer_size`.
    size_t content_size;
    // Points at zeroed memory of the pool's payload size, to be filled by the callback.
    void *payload;
    // Device address of the buffer, preset to the entry's. In an untracked pool the callback may name another one.
    void *dev;
} lanepipe_site_t;
#endif

#if defined(LANEPIPE_HOST)
// Interprets `count` entries of device ready queue `queue`. Drain thread of the queue's shard. Must not block, throw, or
// start, stop or destroy its profiler.
typedef void (*lanepipe_resolve_fn_t)(void *context,
                                      uint32_t queue,
                                      const struct lanepipe_entry_t *entries,
                                      size_t count,
                                      struct lanepipe_site_t *sites);
#endif

#if defined(LANEPIPE_HOST)
// Takes `count` buffers with their payloads (back to back). Collect thread of `shard`: calls with one shard never
// overlap. May block; the buffers go back into circulation when it returns. Must not throw, or start, stop or destroy
// its profiler.
typedef void (*lanepipe_collect_fn_t)(void *context,
                                      uint32_t shard,
                                      const struct lanepipe_buffer_t *buffers,
                                      const void *payloads,
                                      size_t count);
#endif

#if defined(LANEPIPE_HOST)
// Names the kind under which a collected buffer returns; one out of range counts as the kind it came with. Collect thread
// of `shard`, after `collect`. Must not throw.
typedef uint32_t (*lanepipe_kind_of_fn_t)(void *context,
                                          uint32_t shard,
                                          const struct lanepipe_buffer_t *buffer,
                                          const void *payload);
#endif

#if defined(LANEPIPE_HOST)
// Says (not 0) that the gates may open as far as the subsystem is concerned. Replenish thread, in every round, freeze or
// not. Must not block or throw.
typedef uint32_t (*lanepipe_release_ready_fn_t)(void *context);
#endif

#if defined(LANEPIPE_HOST)
// Adds instances. Replenish thread, before the refill of a freeze. Must not block or throw.
typedef void (*lanepipe_refresh_fn_t)(void *context);
#endif

#if defined(LANEPIPE_HOST)
// Learns that nothing has come for `idle_ns` since the last buffer; once per burst. Collect thread of `shard`. Must not
// throw.
typedef void (*lanepipe_idle_fn_t)(void *context, uint32_t shard);
#endif

#if defined(LANEPIPE_HOST)
// Body of a thread of lanepipe. Never unwinds.
typedef void (*lanepipe_thread_entry_fn_t)(void *argument);
#endif

#if defined(LANEPIPE_HOST)
// Creates a thread that calls `entry(argument)` once, and stores a handle for `join`. 0 is success. Called by the thread
// that calls `lanepipe_profiler_start`.
typedef int32_t (*lanepipe_thread_create_fn_t)(void *context,
                                               uint32_t role,
                                               uint32_t index,
                                               lanepipe_thread_entry_fn_t entry,
                                               void *argument,
                                               void **thread);
#endif

#if defined(LANEPIPE_HOST)
// Waits for a thread whose `entry` has returned or is about to; it returns only after the thread has ended.
// Called by the thread that calls `lanepipe_profiler_stop` or a failing `lanepipe_profiler_start`, for the sentinel first,
// then for drain threads, replenish and collect threads, each role once all its threads are about to end.
typedef void (*lanepipe_thread_join_fn_t)(void *context, void *thread);
#endif

#if defined(LANEPIPE_HOST)
// What a profiler is made of. Copied; the arrays are copied too.
typedef struct lanepipe_profiler_config_t {
    // `sizeof(lanepipe_profiler_config_t)`.
    uint32_t struct_size;
    // Device ready queues, 1 to `LANEPIPE_MAX_QUEUES`. Queue q belongs to shard q modulo the pool's live shards.
    uint32_t queue_count;
    // Instances known from the start, 0 to `max_instances`.
    uint32_t instance_count;
    // Kinds; those of the pool.
    uint32_t kind_count;
    // Most elements in one `collect` call, 1 to `LANEPIPE_MAX_COLLECT`; 0 is 1.
    uint32_t collect_batch;
    // `LANEPIPE_PROFILER_*` flags.
    uint32_t flags;
    // Most instances, those added later included, up to `LANEPIPE_MAX_INSTANCES`; 0 is `instance_count`. Room costs address
    // space only.
    uint32_t max_instances;
    // Tries of a failing contents copy before the buffer goes back without being collected; 0 is 3.
    uint32_t copy_tries;
    // `LANEPIPE_BACKPRESSURE_*` policy.
    uint32_t backpressure;
    // Must be 0.
    uint32_t reserved;
    // `queue_count` ready queues.
    const struct lanepipe_ready_queue_t *queues;
    // `instance_count` instances.
    const struct lanepipe_instance_t *instances;
    // `kind_count` kinds.
    const struct lanepipe_kind_t *kinds;
    // Shortest polling interval in nanoseconds, for entries that come singly or fast; 0 is 50,000. In steady traffic that leaves
    // the device most of its buffers it grows up to four times that, to no more than 250,000 and the longest.
    uint64_t poll_min_ns;
    // Longest polling interval in nanoseconds, reached after `quiet_ns` without traffic; 0 is 2,000,000.
    uint64_t poll_max_ns;
    // Silence before the polling interval grows, in nanoseconds; 0 is 100,000,000.
    uint64_t quiet_ns;
    // Time after a shard's last buffer at which `idle` is called, in nanoseconds; 0: never.
    uint64_t idle_ns;
    // The gates that `LANEPIPE_BACKPRESSURE_COMMON` drives; else not looked at.
    struct lanepipe_gates_t gates;
    // Passed to every callback of this structure but the thread factory. Must stay valid until the profiler is destroyed.
    void *context;
    // Interprets entries.
    lanepipe_resolve_fn_t resolve;
    // Takes buffers.
    lanepipe_collect_fn_t collect;
    // Names the kind under which a collected buffer returns. Null: the kind it came with.
    lanepipe_kind_of_fn_t kind_of;
    // Says whether the subsystem agrees that the gates open. Null: it always does.
    lanepipe_release_ready_fn_t release_ready;
    // Adds instances that the device has brought into use (`lanepipe_profiler_add_instance`). Null: there are none.
    lanepipe_refresh_fn_t refresh;
    // Learns that a shard has fallen silent. Null: nobody.
    lanepipe_idle_fn_t idle;
    // Passed to the thread factory. Must stay valid until the profiler is destroyed.
    void *thread_context;
    // The thread factory.
    lanepipe_thread_create_fn_t thread_create;
    // Its counterpart.
    lanepipe_thread_join_fn_t thread_join;
} lanepipe_profiler_config_t;
#endif

#if defined(LANEPIPE_HOST)
// Counters of one device ready queue and what became of its entries. They grow from creation on; read while threads run
// they are a snapshot without a common instant.
typedef struct lanepipe_queue_stats_t {
    // `sizeof(lanepipe_queue_stats_t)`.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // Entries taken from the queue.
    uint64_t taken;
    // Entries passed to the ready ring.
    uint64_t delivered;
    // Entries refused by `resolve`, with an unknown address, or published twice.
    uint64_t rejected;
    // Entries whose contents could not be copied for good.
    uint64_t copy_failed;
    // Buffers put into free queues.
    uint64_t refilled;
    // Times a free queue was left empty because its lane was.
    uint64_t starved;
    // Times the ready ring was full.
    uint64_t ready_full;
    // Failed transfers of queue words, retried.
    uint64_t transfer_failed;
    // Scans that found indices out of range.
    uint64_t corrupt;
    // Most elements that the ready ring held right after one of the queue's was added.
    uint64_t ready_peak;
} lanepipe_queue_stats_t;
#endif

#if defined(LANEPIPE_HOST)
// Counters of one shard's collect side and of the pipeline as a whole.
typedef struct lanepipe_shard_stats_t {
    // `sizeof(lanepipe_shard_stats_t)`.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // Elements collected.
    uint64_t collected;
    // Calls of `collect`.
    uint64_t collect_calls;
    // Buffers retired because the done ring was full.
    uint64_t done_full;
    // Buffers put into this shard's lanes.
    uint64_t recycled;
    // Buffers that the replenish thread allocated for this shard's lanes.
    uint64_t allocated;
} lanepipe_shard_stats_t;
#endif

#if defined(LANEPIPE_HOST)
// Counters of the backpressure gates; all 0 without `LANEPIPE_BACKPRESSURE_COMMON`.
typedef struct lanepipe_gate_stats_t {
    // `sizeof(lanepipe_gate_stats_t)`.
    uint32_t struct_size;
    // Always 0.
    uint32_t reserved;
    // Freezes: times that no gate was shut and then one was.
    uint64_t freezes;
    // Nanoseconds in freezes that have ended.
    uint64_t frozen_ns;
    // Buffers put into free queues within freezes.
    uint64_t refilled;
    // Refills of one free queue that failed.
    uint64_t refill_failed;
    // Failed pushes of gate words.
    uint64_t push_failed;
} lanepipe_gate_stats_t;
#endif

#if defined(LANEPIPE_HOST)
// The last fault of a worker thread.
typedef struct lanepipe_fault_t {
    // `sizeof(lanepipe_fault_t)`.
    uint32_t struct_size;
    // What happened (a `lanepipe_status_t`), 0 if nothing ever did.
    int32_t status;
    // `LANEPIPE_ROLE_*` of the thread.
    uint32_t role;
    // Queue for the drain role, shard for others.
    uint32_t index;
    // Device address or index concerned, or 0.
    uint64_t value;
    // Faults so far.
    uint64_t count;
} lanepipe_fault_t;
#endif

// A core's staging ring: an address that stays for the whole run, and the form of its slots. Read during a call only.
typedef struct lanepipe_staging_ring_t {
    // `sizeof(lanepipe_staging_ring_t)`.
    uint32_t struct_size;
    // Slots, at least 1. Two do for at most two tasks in flight.
    uint32_t slot_count;
    // Bytes of a slot, a multiple of 8.
    uint32_t slot_size;
    // Where a slot's id word is, in bytes.
    uint32_t id_offset;
    // Bytes of the id word: 4 or 8. Of 8 the low half is compared.
    uint32_t id_size;
    // The slots, 8-aligned; null: the core has no ring.
    void *slots;
} lanepipe_staging_ring_t;

// What became of a core's tasks: `collected + dropped + mismatch == total`. Owned by the control thread; counters wrap at
// 2^32.
typedef struct lanepipe_staging_books_t {
    // Tasks that were asked for.
    uint32_t total;
    // Records that were copied.
    uint32_t collected;
    // Tasks without a ring, or without a place for the record.
    uint32_t dropped;
    // Tasks that their slot did not hold: the core did not publish them.
    uint32_t mismatch;
} lanepipe_staging_books_t;

// What a core keeps of its stream, with the layout of the C++ runtime's `ChipSwimlaneAicoreLocalState`. Made by
// `lanepipe_swimlane_aicore_init`; the core's.
typedef struct lanepipe_swimlane_aicore_t {
    // Buffer that it fills; 0: none.
    uint64_t cached_buf;
    // Its sequence number.
    uint32_t cached_buf_seq;
    // Records that are reserved in it.
    uint32_t slot_within_buf;
} lanepipe_swimlane_aicore_t;

// The arguments of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
typedef struct lanepipe_args_dump_t {
    // Not for the caller.
    uint64_t words[16];
} lanepipe_args_dump_t;

// A subsystem's region for one launch. Read by the init calls only.
typedef struct lanepipe_device_region_t {
    // `sizeof(lanepipe_device_region_t)`.
    uint32_t struct_size;
    // `LANEPIPE_ARCH_*`.
    uint32_t arch;
    // Address of the region's header, 64-aligned; 0: the subsystem is off.
    uint64_t base;
    // Most ticks of the threads' clocks that one wait takes; 0: one look; `LANEPIPE_DEVICE_BUDGET_OF_ARCH`.
    uint64_t budget;
} lanepipe_device_region_t;

// Why a thread lost records, and what else went wrong. Counters wrap at 2^32.
typedef struct lanepipe_device_losses_t {
    // Records of buffers that found no room in the ready queue in time.
    uint32_t no_room;
    // Records of buffers that were not offered because the host is taken for dead.
    uint32_t host_gone;
    // Records of buffers for which there is no ready queue: the thread's index is out of range.
    uint32_t no_queue;
    // Records for which there was no buffer.
    uint32_t no_buffer;
    // Records refused before they had a buffer: no index of the orchestrator, no room in the arena, no staging ring.
    uint32_t refused;
    // Records that were shortened. They are not lost.
    uint32_t truncated;
    // Publications that the push gate did not let go on in time. Nothing is lost.
    uint32_t gate_timeouts;
    // Slots of free queues that held no buffer. Nothing is lost.
    uint32_t null_slots;
} lanepipe_device_losses_t;

// A control thread in one subsystem. Filled by the caller for each launch; used by that thread only.
typedef struct lanepipe_device_thread_t {
    // `sizeof(lanepipe_device_thread_t)`.
    uint32_t struct_size;
    // Index of its ready queue; below 0: it has none yet.
    int32_t index;
    // Zero at first; counted by the calls.
    struct lanepipe_device_losses_t losses;
    // Passed to the functions.
    void *context;
    // The clock; read only while something is waited for. Not null. Called while the thread object is lent to the call: it
    // neither reads nor writes the object, and makes no call with it.
    lanepipe_device_now_fn_t now;
    // Called once between two looks; null: a hint to the processor. As for `now`, the thread object is not for it.
    lanepipe_device_relax_fn_t relax;
} lanepipe_device_thread_t;

// An argument, with the layout of the C++ runtime's `ArgsDumpInfo`. Read during the call only.
typedef struct lanepipe_args_dump_info_t {
    // Identity of the task.
    uint64_t task_id;
    // `LANEPIPE_ARGS_DUMP_ROLE_*`.
    uint8_t role;
    // `LANEPIPE_ARGS_DUMP_STAGE_*`.
    uint8_t stage;
    // Type of the elements.
    uint8_t dtype;
    // Dimensions; the first five are looked at.
    uint8_t ndims;
    // Number of the argument.
    uint32_t arg_index;
    // Address of a tensor's elements.
    uint64_t buffer_addr;
    // Bits of a scalar.
    uint64_t scalar_value;
    // Functions of the task.
    int32_t func_ids[3];
    // How many of them there are.
    int32_t func_count;
    // 0 tensor, 1 scalar.
    uint8_t kind;
    // Stored as they are.
    uint8_t flags;
    // Whether level 3 stores the contents.
    uint8_t capture_payload;
    // Not looked at.
    uint8_t pad[5];
    // First element, in elements from `buffer_addr`.
    uint64_t start_offset;
    // Elements per dimension.
    uint32_t shapes[5];
    // Elements from one to the next, per dimension.
    uint32_t strides[5];
} lanepipe_args_dump_info_t;

// The submits of one launch. Memory of the caller, 8-aligned; all zero: off. The orchestrator's.
typedef struct lanepipe_dep_gen_t {
    // Not for the caller.
    uint64_t words[24];
} lanepipe_dep_gen_t;

// A submit. Read during the call only.
typedef struct lanepipe_dep_gen_submit_t {
    // `sizeof(lanepipe_dep_gen_submit_t)`.
    uint32_t struct_size;
    // `LANEPIPE_DEP_GEN_*`.
    uint32_t flags;
    // Identity of the task.
    uint64_t task_id;
    // `tensor_count` pointers to 128 bytes each; a null one, and all of a null array, are stored as zeros.
    const void *const *tensors;
    // `tensor_count` bytes; null: the record's bytes stay as they are.
    const uint8_t *arg_types;
    // `dep_count` ids of tasks; null: none.
    const uint64_t *deps;
    // Three kernels; null: stored as -1 each.
    const int32_t *kernel_ids;
    // Tensors; below 0: none, at most 32 are stored.
    int32_t tensor_count;
    // Dependencies; below 0: none.
    int32_t dep_count;
    // Blocks; below 1 is stored as 1.
    int32_t block_num;
    // Must be 0.
    uint32_t reserved;
} lanepipe_dep_gen_submit_t;

// Masks of arguments and types of scalars of as many tasks as `LANEPIPE_ARGS_DUMP_TABLES_TASKS`. Memory of the caller (2.3 MB, for
// instance a static object), all zero at first, and zeroed again after a launch that died inside of
// `lanepipe_args_dump_tables_begin`; shared by all threads.
typedef struct lanepipe_args_dump_tables_t {
    // Not for the caller.
    uint64_t words[LANEPIPE_ARGS_DUMP_TABLES_WORDS];
} lanepipe_args_dump_tables_t;

// The counters of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
typedef struct lanepipe_pmu_t {
    // Not for the caller.
    uint64_t words[16];
} lanepipe_pmu_t;

// A core whose counters are programmed. Made by `lanepipe_pmu_core_init`; used by the control thread that owns the core.
typedef struct lanepipe_pmu_core_t {
    // Number of the core.
    int32_t index;
    // Not for the caller.
    uint32_t reserved;
    // Its register base; 0: it has none.
    uint64_t base;
    // Not for the caller.
    uint64_t words[2];
} lanepipe_pmu_core_t;

// Reads the register `offset` bytes behind `base`.
typedef uint32_t (*lanepipe_pmu_read_fn_t)(void *context, uint64_t base, uint32_t offset);

// Writes it.
typedef void (*lanepipe_pmu_write_fn_t)(void *context, uint64_t base, uint32_t offset, uint32_t value);

// Access to registers. Both functions are given.
typedef struct lanepipe_pmu_registers_t {
    // `sizeof(lanepipe_pmu_registers_t)`.
    uint32_t struct_size;
    // Must be 0.
    uint32_t reserved;
    // Passed to the functions.
    void *context;
    // Reads.
    lanepipe_pmu_read_fn_t read;
    // Writes.
    lanepipe_pmu_write_fn_t write;
} lanepipe_pmu_registers_t;

// The scopes of one launch. Memory of the caller, 8-aligned; all zero: off. The orchestrator's.
typedef struct lanepipe_scope_stats_t {
    // Not for the caller.
    uint64_t words[272];
} lanepipe_scope_stats_t;

// What a scope's begin or end reports. Read during the call only.
typedef struct lanepipe_scope_sample_t {
    // `sizeof(lanepipe_scope_sample_t)`.
    uint32_t struct_size;
    // Ring of the scope; heap positions of another than 0 to 3 are stored as they are.
    int32_t ring_id;
    // First task.
    int32_t task_start;
    // End of the tasks.
    int32_t task_end;
    // Offset in the heap up to which memory is reclaimed, in bytes.
    uint64_t heap_start;
    // Offset in the heap up to which memory is allocated, in bytes.
    uint64_t heap_end;
    // First entry of the dependency pool.
    int32_t dep_pool_start;
    // End of its entries.
    int32_t dep_pool_end;
    // Entries of the tensor map in use.
    int32_t tensormap_used;
    // Not looked at.
    uint32_t reserved;
} lanepipe_scope_sample_t;

// The swimlane of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
typedef struct lanepipe_swimlane_t {
    // Not for the caller.
    uint64_t words[16];
} lanepipe_swimlane_t;

// A phase of a scheduler thread. Times in ticks of the control processors' counter. Read during the call only.
typedef struct lanepipe_swimlane_sched_phase_t {
    // `sizeof(lanepipe_swimlane_sched_phase_t)`.
    uint32_t struct_size;
    // `LANEPIPE_SCHED_PHASE_*`.
    uint32_t kind;
    // Begin.
    uint64_t start_time;
    // End.
    uint64_t end_time;
    // Round of the scheduler's loop.
    uint32_t loop_iter;
    // Tasks that it dealt with.
    uint32_t tasks_processed;
    // Hits and misses, or the low and the high half of a task's id.
    uint32_t data[2];
    // Depths of the shared queues at the begin.
    int16_t shared_at_start[3];
    // And at the end.
    int16_t shared_at_end[3];
    // Not looked at.
    uint32_t reserved;
} lanepipe_swimlane_sched_phase_t;

// A core's own stream as its control thread keeps it, with the buffers that wait for the core's next acknowledgement. Made by
// `lanepipe_swimlane_core_init`; used by the control thread that owns the core.
typedef struct lanepipe_swimlane_core_t {
    // Number of the core.
    int32_t index;
    // Not for the caller.
    uint32_t reserved;
    // Not for the caller.
    uint64_t words[14];
} lanepipe_swimlane_core_t;

// Completes the task whose slot state is at `slot`. 0, or an error code, after which the task stays. `*stream_done` is 0
// before and says how many host tasks that completed. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
typedef int32_t (*lanepipe_wait_complete_fn_t)(void *context, void *slot, int32_t thread, int32_t *stream_done);

// Releases a completed slot. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
typedef void (*lanepipe_wait_release_fn_t)(void *context, void *slot, int32_t thread);

// Polls a condition (`CompletionCondition`): `LANEPIPE_WAIT_PENDING`, `_READY`, or `_FAILED` with `*error` set. Runs under the
// list's lock; what it may call: `lanepipe_wait_ops_t`.
typedef int32_t (*lanepipe_wait_poll_fn_t)(void *context, const void *condition, int32_t *error);

// Retires a condition that holds; once per condition. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
typedef void (*lanepipe_wait_retire_fn_t)(void *context, void *condition);

// Drops `bytes` of the device's cache from `line` on. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
typedef void (*lanepipe_wait_invalidate_fn_t)(void *context, size_t line, size_t bytes);

// Tells of a failure and of the task and condition or message that it is about. Runs under the list's lock; what it may call:
// `lanepipe_wait_ops_t`.
typedef void (*lanepipe_wait_report_fn_t)(void *context,
                                          int32_t error,
                                          uint64_t token,
                                          uint64_t addr,
                                          uint32_t engine,
                                          int32_t completion_type);

// What a list is used with. Read during the call only.
//
// The functions run in the midst of a call, on its thread. The list is in use then: calls that are given its side area give
// `LANEPIPE_E_OVERLAP` and do nothing, `lanepipe_wait_list_poll` and `_try_lock` give `LANEPIPE_BUSY`. Pushes into the mailbox,
// `lanepipe_wait_list_get_count`, `lanepipe_wait_test_condition` and calls on other lists work as ever. A list without a side
// area has no place for such a mark: of the calls for whoever has the lock, only `lanepipe_wait_list_find` and `_get_info` may
// be made there, and the caller sees to it. No function unlocks the list, takes messages from its mailbox, makes its side area
// anew, waits for room in the ring (`lanepipe_fin_subtask`: nobody drains meanwhile), or leaves by an exception or `longjmp`.
typedef struct lanepipe_wait_ops_t {
    // `sizeof(lanepipe_wait_ops_t)`.
    uint32_t struct_size;
    // One of `LANEPIPE_VARIANT_*`.
    uint32_t variant;
    // `LANEPIPE_WAIT_COPY_KEEPS_REST` or 0.
    uint32_t flags;
    // Messages drained per call at most; 0 is 4096.
    uint32_t budget;
    // Passed to the functions.
    void *context;
    // Null: nothing is completed, entries wait for somebody who completes them.
    lanepipe_wait_complete_fn_t complete;
    // Null: completed slots are not collected for release.
    lanepipe_wait_release_fn_t release;
    // Null: the built-in backends of the variant.
    lanepipe_wait_poll_fn_t poll;
    // May be null.
    lanepipe_wait_retire_fn_t retire;
    // May be null.
    lanepipe_wait_invalidate_fn_t invalidate;
    // May be null.
    lanepipe_wait_report_fn_t report;
} lanepipe_wait_ops_t;

// Where completed slots are collected for a later release by the caller. Full, it is emptied on the spot through
// `lanepipe_wait_ops_t::release`, last in, first out. With capacity 0 or null pointers a slot is released at once.
typedef struct lanepipe_wait_release_t {
    // Room for `capacity` slots.
    void **slots;
    // Slots collected.
    int32_t *count;
    // 0 or more.
    int32_t capacity;
    // Must be 0.
    uint32_t reserved;
} lanepipe_wait_release_t;

// What a drain or a pass did.
typedef struct lanepipe_wait_result_t {
    // `sizeof(lanepipe_wait_result_t)`, set by the caller.
    uint32_t struct_size;
    // Host tasks completed: the sum of `stream_done`.
    int32_t completed;
    // Tasks completed, nodes inside of graphs included.
    int32_t resolved;
    // Messages consumed.
    int32_t drained;
    // 0, `LANEPIPE_WAIT_ERROR_*`, or what `complete` or `poll` gave.
    int32_t error;
    // Messages of completed tasks that were dropped.
    uint32_t ignored;
    // Messages that are held beside the list.
    uint32_t parked;
    // 1 if messages may have been left in the ring, because of the budget or for want of room; else 0.
    uint32_t more;
    // Slot of the first failure, or null.
    void *failed_slot;
    // Token of the first failure.
    uint64_t failed_token;
    // Address of the first failure's condition.
    uint64_t failed_addr;
    // Engine of the first failure's condition.
    uint32_t failed_engine;
    // Type of the first failure's condition.
    int32_t failed_type;
} lanepipe_wait_result_t;

// What waits.
typedef struct lanepipe_wait_info_t {
    // `sizeof(lanepipe_wait_info_t)`, set by the caller.
    uint32_t struct_size;
    // Tasks in the list.
    uint32_t tasks;
    // Conditions that do not hold yet.
    uint64_t conditions;
    // Token of the task that has waited longest, without a side area of one that waits; 0 if `tasks` is 0.
    uint64_t oldest_token;
    // Messages that are held beside the list.
    uint32_t parked;
    // Always 0.
    uint32_t reserved;
    // Refused attempts, as producers counted them in the list.
    uint64_t skipped;
} lanepipe_wait_info_t;

#if defined(LANEPIPE_HOST)
// Contents of a dumped argument.
typedef struct lanepipe_payload_t {
    // The bytes; null: there are none, or they were lost.
    const void *data;
    // Their number, as the record has it; 0: there are none.
    uint64_t size;
} lanepipe_payload_t;
#endif

#if defined(LANEPIPE_HOST)
// A run of records of one buffer, in the order in which they were written. Slots of a core's buffer without a record (a
// `start_time` of 0) are left out: a buffer with holes comes in several runs.
typedef struct lanepipe_records_t {
    // `sizeof(lanepipe_records_t)`.
    uint32_t struct_size;
    // Kind.
    uint32_t kind;
    // Core or thread within the kind; else 0.
    uint32_t instance;
    // Shard that collected them.
    uint32_t shard;
    // Sequence number of the buffer.
    uint32_t buffer_seq;
    // `LANEPIPE_RECORDS_*` flags.
    uint32_t flags;
    // How many, 1 or more.
    uint32_t count;
    // Bytes from one record to the next.
    uint32_t record_size;
    // `count` records, aligned to 8; to 64 if they were stored.
    const void *records;
    // Arguments: the contents of each of the `count` records. Else null.
    const struct lanepipe_payload_t *payloads;
} lanepipe_records_t;
#endif

#if defined(LANEPIPE_HOST)
// Takes a run of records, which is valid during the call. Collect thread of the shard: calls for one instance never
// overlap, and come in the order of its buffers. For recovered records the caller of `lanepipe_collector_recover`. May
// block; the buffer goes back into circulation when it returns. Must not throw, or call the collector but for its counters.
typedef void (*lanepipe_collector_sink_fn_t)(void *context, const struct lanepipe_records_t *records);
#endif

#if defined(LANEPIPE_HOST)
// What a collector is made of. Copied; the array is copied too.
typedef struct lanepipe_collector_config_t {
    // `sizeof(lanepipe_collector_config_t)`.
    uint32_t struct_size;
    // `LANEPIPE_SUBSYSTEM_*`.
    uint32_t subsystem;
    // `LANEPIPE_ARCH_*`.
    uint32_t arch;
    // Cores, for swimlane and counters: 1 to the most of the architecture; the number that the device is told. Else not
    // looked at.
    uint32_t cores;
    // Control threads, the orchestrator included: ready queues in use, 1 to the most of the architecture.
    uint32_t threads;
    // Of these, scheduler threads, which are the first; 0: all.
    uint32_t scheduler_threads;
    // Ready queue of the orchestrator plus 1; 0: that of the last thread.
    uint32_t orchestrator;
    // Swimlane: 1 to 4 (`ChipSwimlaneLevel`). Arguments: 1 to 3 (`DumpArgsLevel`). Else 0.
    uint32_t level;
    // Counters: `PmuEventType`; 0: the default. Else not looked at.
    uint32_t event_type;
    // Pairs of drain and collect threads, up to `threads`; 0: `threads`, or 1 where one thread produces everything.
    uint32_t shards;
    // Buffers per instance that creation allocates, up to `LANEPIPE_COLLECTOR_MAX_BUFFERS`; 0: as the C++ runtime. Start
    // allocates more until the free queues are full or the most is reached.
    uint32_t buffers_per_instance;
    // Buffers per instance at most, likewise; 0: twice as many as creation allocates. A kind's instances share the limit,
    // so that where there are several it is no less than one can hold: the slots of its free queue and an active buffer,
    // and in the cores' stream three more that wait for a core.
    uint32_t max_buffers_per_instance;
    // `LANEPIPE_COLLECTOR_*` flags.
    uint32_t flags;
    // Must be 0.
    uint32_t reserved;
    // For swimlane and counters, else not looked at: the ready queue of the thread that owns each core, `cores` entries
    // below `threads`; a core's entries are refused on any other queue. Null: core c is taken to belong to scheduler
    // thread c / 3 modulo their number, until its first entry of a run tells.
    const uint32_t *core_to_thread;
    // Arguments: bytes of a thread's arena, a multiple of 64 up to `LANEPIPE_COLLECTOR_MAX_ARENA`; 0: 128 MiB.
    uint64_t arena_size;
    // Records and payloads beyond this many bytes are counted and not stored; 0: 1 GiB.
    uint64_t max_stored_bytes;
    // How device memory is reached. The collector allocates the shared region, so `shm_dev`, `shm_host` and `shm_size` are 0.
    struct lanepipe_memory_t memory;
    // Where messages go.
    struct lanepipe_log_sink_t log;
    // Takes records. Null: they are stored, to be read by `lanepipe_collector_read`.
    lanepipe_collector_sink_fn_t sink;
    // Passed to `sink`. Must stay valid until the collector is destroyed.
    void *sink_context;
    // Passed to the thread factory. Must stay valid until the collector is destroyed.
    void *thread_context;
    // The thread factory, as a profiler's.
    lanepipe_thread_create_fn_t thread_create;
    // Its counterpart.
    lanepipe_thread_join_fn_t thread_join;
} lanepipe_collector_config_t;
#endif

#if defined(LANEPIPE_HOST)
// Where the device finds a subsystem: what goes into its launch arguments.
typedef struct lanepipe_collector_region_t {
    // `sizeof(lanepipe_collector_region_t)`.
    uint32_t struct_size;
    // Bit of `KernelArgs::enable_profiling_flag`.
    uint32_t profiling_flag;
    // Device address of the region: one of the `*_data_base` fields.
    uint64_t base;
    // Bytes of the region.
    uint64_t size;
    // Host address of the region: the same bytes, or the shadow where memory is copied.
    void *host;
    // Device address of `chip_swimlane_aicore_rotation_table` (filled by the device), or on a5 of `aicore_pmu_ring_addrs`
    // (filled already); else 0.
    uint64_t table;
    // 64-bit entries of the table: the cores.
    uint64_t table_count;
} lanepipe_collector_region_t;
#endif

#if defined(LANEPIPE_HOST)
// A kind of a subsystem.
typedef struct lanepipe_kind_info_t {
    // `sizeof(lanepipe_kind_info_t)`.
    uint32_t struct_size;
    // Instances that are collected; 0 at a level that does not record the kind.
    uint32_t instances;
    // Bytes of a record.
    uint32_t record_size;
    // Records of a buffer.
    uint32_t capacity;
    // Bytes of a buffer.
    uint64_t buffer_size;
} lanepipe_kind_info_t;
#endif

#if defined(LANEPIPE_HOST)
// The books of one instance, or of several together: `collected + lost + dropped + mismatch == total + overflow`, modulo
// 2^32 per instance, since the device's counters wrap. Records unless it says otherwise.
typedef struct lanepipe_books_t {
    // `sizeof(lanepipe_books_t)`.
    uint32_t struct_size;
    // `LANEPIPE_BOOKS_*`.
    uint32_t verdict;
    // Device: attempts. Cores' stream: dispatches. 0 where there is no such counter (arguments).
    uint64_t total;
    // Device: not recorded.
    uint64_t dropped;
    // Device: not left by the core in time (counters, a5).
    uint64_t mismatch;
    // Device: slots beyond the first of a submit, which `total` does not count.
    uint64_t overflow;
    // Brought to the host, recovered ones included.
    uint64_t collected;
    // Of these, brought by `lanepipe_collector_recover`.
    uint64_t recovered;
    // Of those collected, not stored: beyond `max_stored_bytes`, or memory was short.
    uint64_t not_stored;
    // Handed over by the device, but not to be copied.
    uint64_t lost;
    // Buffers of these, and those whose count could not be read.
    uint64_t lost_buffers;
    // Buffers whose count was above what they hold.
    uint64_t clamped;
    // Slots of a core's buffers without a record, those of recovered buffers aside. Not collected.
    uint64_t empty;
    // Ready entries refused: an index, kind or address that cannot be, a foreign ready queue, or published twice. Only in
    // the sum over everything are those that name no instance, those on a foreign queue, and those with a bad address or kind
    // of an instance whose queue was not known yet.
    uint64_t rejected;
    // In active buffers: neither handed over nor recovered.
    uint64_t unflushed;
    // Payloads brought to the host.
    uint64_t payloads;
    // Payloads that were not.
    uint64_t payloads_lost;
    // The right side of the equation less the left one.
    int64_t unaccounted;
} lanepipe_books_t;
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

#if defined(LANEPIPE_HOST)
// The first half of one tick of the freeze protocol, by hand: looks at both contended words, shuts gates, and tells what
// the second half can be. `heads` and `tails` are the indices of `count` ready queues of `capacity` entries, 1 to
// `LANEPIPE_MAX_QUEUES`, each an array inside the shared region; queues with an index out of range are left out.
//
// `LANEPIPE_OK`: a gate is shut, the queues are drained, no top-up is under way and none can begin: fill all free queues
// (`lanepipe_pool_refill`), then call `lanepipe_pool_end_freeze_tick`. `LANEPIPE_EMPTY`: no gate is shut.
// `LANEPIPE_BUSY`: a gate is shut, and this tick can do no more. `LANEPIPE_E_STATE`: a tick has been begun and not ended.
// The one thread that drives the gates; never blocks but in the copy callbacks.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_pool_begin_freeze_tick(const struct lanepipe_pool_t *pool,
                                                  const struct lanepipe_gates_t *gates,
                                                  uint32_t *heads,
                                                  uint32_t *tails,
                                                  uint32_t count,
                                                  uint32_t capacity);
#endif

#if defined(LANEPIPE_HOST)
// The second half of a tick that the first half answered with `LANEPIPE_OK`: opens the gates if `published`, the number of
// buffers that the refill published, is 0 and `release_ready` (not 0) says that the subsystem agrees. `LANEPIPE_OK`: the gates
// are open; `LANEPIPE_BUSY`: they stay shut until a later tick; `LANEPIPE_E_STATE`: no first half. The same thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_pool_end_freeze_tick(const struct lanepipe_pool_t *pool,
                                                const struct lanepipe_gates_t *gates,
                                                uint64_t published,
                                                uint32_t release_ready);
#endif

// First half of a publication: waits for room in the ready queue, whatever the push gate says, and gives the index of the
// entry to be filled, below `size`, and the head that was seen (`head` may be null). While there is no room the push gate's
// signal is raised, if neither signal nor freeze is up. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state`
// telling why: nothing is published then. `gates` may be null: then nobody is told. The lane's thread; blocks for up to
// the budget.
//
// # Safety
//
// `ready`, `gates` and `wait` are null or as described; `tail` is null or writable, `head` likewise.
lanepipe_status_t lanepipe_device_ready_begin(const struct lanepipe_device_ready_t *ready,
                                              const struct lanepipe_device_gates_t *gates,
                                              struct lanepipe_device_wait_t *wait,
                                              uint32_t *tail,
                                              uint32_t *head);

// Second half: publishes the entry at `tail`, which `lanepipe_device_ready_begin` gave and the caller has filled. The buffer
// is the host's from here on. To be followed by `lanepipe_device_push_gate`. `LANEPIPE_E_INVALID` if `tail` is not below
// `size`. The lane's thread; never blocks.
//
// # Safety
//
// `ready` is null or as described.
lanepipe_status_t lanepipe_device_ready_commit(const struct lanepipe_device_ready_t *ready,
                                               uint32_t tail);

// Waits while the push gate is shut. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state` telling why; what was
// published is the host's all the same. `LANEPIPE_OK` without gates. The lane's thread; blocks for up to the budget.
//
// # Safety
//
// `gates` and `wait` are null or as described.
lanepipe_status_t lanepipe_device_push_gate(const struct lanepipe_device_gates_t *gates,
                                            struct lanepipe_device_wait_t *wait);

// Looks for a slot in the free queue: `LANEPIPE_OK` and its index, or `LANEPIPE_EMPTY`. Raises no signal: for the start, when
// the host may not run yet. The lane's thread; never blocks.
//
// # Safety
//
// `free` is null or as described, `head` null or writable.
lanepipe_status_t lanepipe_device_free_look(const struct lanepipe_device_free_t *free,
                                            uint32_t *head);

// Waits for a slot in the free queue and gives its index, and the tail that was seen (`tail` may be null). A slot that is
// there is given whatever the pop gate says. While there is none the gate's signal is raised, if neither signal nor freeze
// is up, and a shut gate is waited for. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state` telling why.
// `LANEPIPE_E_NULL` at once if the queue is empty and `gates` is null, since nobody could be told. The lane's thread;
// blocks for up to the budget.
//
// # Safety
//
// `free`, `gates` and `wait` are null or as described; `head` is null or writable, `tail` likewise.
lanepipe_status_t lanepipe_device_free_begin(const struct lanepipe_device_free_t *free,
                                             const struct lanepipe_device_gates_t *gates,
                                             struct lanepipe_device_wait_t *wait,
                                             uint32_t *head,
                                             uint32_t *tail);

// Takes the slot at index `head`, which one of the two calls above gave: the buffer's address, or 0 if the host put none
// there. The slot is the host's from here on. The lane's thread; never blocks.
//
// # Safety
//
// `free` is null or as described, `buffer` null or writable.
lanepipe_status_t lanepipe_device_free_take(const struct lanepipe_device_free_t *free,
                                            uint32_t head,
                                            uint64_t *buffer);

// Raises the pop gate's signal for something other than a free buffer; `lanepipe_device_release` waits for the answer, with the
// same budget. Nothing without gates. Any thread of the device; never blocks.
//
// # Safety
//
// `gates` and `wait` are null or as described.
lanepipe_status_t lanepipe_device_request_release(const struct lanepipe_device_gates_t *gates,
                                                  struct lanepipe_device_wait_t *wait);

// Waits until the pop gate is open and its signal is down. Several waits can share a budget that began at a time of the
// caller's: set `wait->start` and `LANEPIPE_DEVICE_WAIT_RUNNING`. `LANEPIPE_TIMED_OUT` when it is over; `LANEPIPE_OK` without
// gates. Any thread of the device; blocks for up to the budget.
//
// # Safety
//
// `gates` and `wait` are null or as described.
lanepipe_status_t lanepipe_device_release(const struct lanepipe_device_gates_t *gates,
                                          struct lanepipe_device_wait_t *wait);

// Forgets a host that was taken for dead: for the start of a run. Any thread; never blocks.
//
// # Safety
//
// `latch` is null or as described.
lanepipe_status_t lanepipe_device_latch_clear(struct lanepipe_device_latch_t *latch);

// One subtask of the task at `slot` has ended; `slab` (a `DeferredCompletionSlab`) is that of its core and buffer, made
// visible by the caller's barrier. Its conditions are pushed, the subtask is counted, the last one hands the task over.
//
// `LANEPIPE_OK` with `result->outcome`. `LANEPIPE_E_CORRUPT` if the slab holds an error or more conditions than it can: nothing
// was counted or pushed, `result->error` is what to latch. `LANEPIPE_E_NULL` with `result->error` 103 if a task defers and
// `mailbox` is null. `LANEPIPE_CLOSED` if `should_abort` said so. Any thread, for one subtask once; waits while the ring is
// full.
//
// # Safety
//
// `mailbox` is null or a mailbox, `slab` null or a slab. `ops` is null or readable, `result` null or writable. Functions are
// callable; `slot` is what they expect, or a slot state of the variant.
lanepipe_status_t lanepipe_fin_subtask(struct lanepipe_mailbox_t *mailbox,
                                       const struct lanepipe_fin_ops_t *ops,
                                       void *slot,
                                       void *slab,
                                       struct lanepipe_fin_result_t *result);

#if defined(LANEPIPE_HOST)
// Sets the sink for failures before a handle exists. Null takes it back. Any thread; the earlier sink may still be in
// use by calls that began before. Never blocks for long.
//
// # Safety
//
// `sink` is null or points at a sink whose function and context are valid as long as it is in use.
lanepipe_status_t lanepipe_log_set_global(const struct lanepipe_log_sink_t *sink);
#endif

// Bytes of a mailbox: `LANEPIPE_MAILBOX_SIZE`. Any thread.
size_t lanepipe_mailbox_size(void);

// Alignment that the C++ runtime declares for a mailbox, in bytes: reserve by it. `LANEPIPE_MAILBOX_ALIGN` is enough to use
// one. Any thread.
size_t lanepipe_mailbox_align(void);

// Messages that a mailbox holds: `LANEPIPE_MAILBOX_CAPACITY`. Any thread.
uint32_t lanepipe_mailbox_capacity(void);

// Gives `length` bytes at `memory` the type of a mailbox, for the version `abi_version` (`LANEPIPE_ABI_VERSION` of the
// caller's header) of this interface. Looks at no byte of the memory, which stays the caller's; its contents are those of a
// mailbox, all zero, or are made such with `lanepipe_mailbox_init_empty`. `LANEPIPE_E_VERSION` if the library is of another
// version, `LANEPIPE_E_MISALIGNED` below `LANEPIPE_MAILBOX_ALIGN`, `LANEPIPE_E_INVALID` if `length` is below
// `LANEPIPE_MAILBOX_SIZE`. Any thread; never blocks.
//
// # Safety
//
// `mailbox` is null or writable.
lanepipe_status_t lanepipe_mailbox_attach(void *memory,
                                          size_t length,
                                          uint32_t abi_version,
                                          struct lanepipe_mailbox_t **mailbox);

// Makes an empty mailbox of any bytes, in well under a microsecond if the memory proves to have been one made by this call
// (then the tickets go on, from well beyond the last one), otherwise by clearing all of it. Boot thread: nobody else uses
// the mailbox, and the caller publishes the start to other threads. Never blocks.
//
// # Safety
//
// `mailbox` is null or has `LANEPIPE_MAILBOX_SIZE` bytes of writable memory.
lanepipe_status_t lanepipe_mailbox_init_empty(struct lanepipe_mailbox_t *mailbox);

// Discards everything that was not consumed, claims that nobody published included. Boot thread, as for
// `lanepipe_mailbox_init_empty`. Never blocks.
//
// # Safety
//
// `mailbox` is null or a mailbox.
lanepipe_status_t lanepipe_mailbox_discard(struct lanepipe_mailbox_t *mailbox);

// `LANEPIPE_OK` if messages are pending, published or not; `LANEPIPE_EMPTY` otherwise. A hint. Stores nothing. Any thread;
// never blocks.
//
// # Safety
//
// `mailbox` is null or a mailbox.
lanepipe_status_t lanepipe_mailbox_has_pending(struct lanepipe_mailbox_t *mailbox);

// Publishes a condition of a task. `LANEPIPE_FULL` if there is no room, without any effect. Any thread, at most
// `LANEPIPE_MAILBOX_MAX_PRODUCERS` at once; lock-free.
//
// # Safety
//
// `mailbox` is null or a mailbox.
lanepipe_status_t lanepipe_mailbox_try_push_condition(struct lanepipe_mailbox_t *mailbox,
                                                      uint64_t task_token,
                                                      uint64_t addr,
                                                      uint64_t backend_cookie,
                                                      uint32_t expected_value,
                                                      uint32_t engine,
                                                      int32_t completion_type);

// Publishes the message that ends a task's conditions, which carries the address of its slot state. Otherwise as
// `lanepipe_mailbox_try_push_condition`.
//
// # Safety
//
// `mailbox` is null or a mailbox.
lanepipe_status_t lanepipe_mailbox_try_push_normal_done(struct lanepipe_mailbox_t *mailbox,
                                                        uint64_t task_token,
                                                        uint64_t slot_state_addr);

// Publishes conditions of a task, `count` (at most `LANEPIPE_SLAB_CAPACITY`) at `entries`, in order under consecutive
// tickets that one exchange takes. `*pushed` is written on `LANEPIPE_OK` and on `LANEPIPE_FULL`, when only as many of the
// first ones fitted: go on behind them. `entries` may be memory that a device writes; each is read once. Otherwise as
// `lanepipe_mailbox_try_push_condition`.
//
// # Safety
//
// `mailbox` is null or a mailbox, `entries` null or readable for `count` elements, `pushed` null or writable.
lanepipe_status_t lanepipe_mailbox_try_push_entries(struct lanepipe_mailbox_t *mailbox,
                                                    uint64_t task_token,
                                                    const struct lanepipe_slab_entry_t *entries,
                                                    uint32_t count,
                                                    uint32_t *pushed);

// As `lanepipe_mailbox_try_push_entries`, with the message that ends the task's conditions behind them, under the same
// exchange: for a task that has no other subtask. `*pushed` counts it, so that the call is repeated with what is left of
// `entries`, and none of them, until it gives `LANEPIPE_OK`.
//
// # Safety
//
// As for `lanepipe_mailbox_try_push_entries`.
lanepipe_status_t lanepipe_mailbox_try_push_task(struct lanepipe_mailbox_t *mailbox,
                                                 uint64_t task_token,
                                                 const struct lanepipe_slab_entry_t *entries,
                                                 uint32_t count,
                                                 uint64_t slot_state_addr,
                                                 uint32_t *pushed);

// Copies the oldest message and leaves it where it is. `*message` is written on `LANEPIPE_OK` only; otherwise as
// `lanepipe_mailbox_try_pop`.
//
// # Safety
//
// `mailbox` is null or a mailbox, `message` null or writable.
lanepipe_status_t lanepipe_mailbox_peek(struct lanepipe_mailbox_t *mailbox, struct lanepipe_message_t *message);

// Takes the oldest message. `*message` is written on `LANEPIPE_OK` only. `LANEPIPE_EMPTY` if there is none, `LANEPIPE_AGAIN`
// if the oldest is claimed by a producer and not published yet, `LANEPIPE_E_OVERLAP` if another thread consumes at the same
// time, which is misuse: this call has taken nothing then. Consumer: one thread at a time, the same until it is handed over
// with synchronisation. Wait-free.
//
// # Safety
//
// `mailbox` is null or a mailbox, `message` null or writable.
lanepipe_status_t lanepipe_mailbox_try_pop(struct lanepipe_mailbox_t *mailbox,
                                           struct lanepipe_message_t *message);

// Takes up to `max` messages in order, until there is none or one is not published yet, and gives all their slots back at
// once. `*popped` is written on `LANEPIPE_OK` only, when it is at least 1 unless `max` is 0. The memory at `messages` may be
// written beyond `*popped` and on any outcome. Otherwise as `lanepipe_mailbox_try_pop`.
//
// # Safety
//
// `mailbox` is null or a mailbox, `messages` null or writable for `max` elements, `popped` null or writable.
lanepipe_status_t lanepipe_mailbox_pop_batch(struct lanepipe_mailbox_t *mailbox,
                                             struct lanepipe_message_t *messages,
                                             uint32_t max,
                                             uint32_t *popped);

// What an observer sees. `*stats` has its `struct_size` set. Any thread; never blocks.
//
// # Safety
//
// `mailbox` is null or a mailbox, `stats` null or writable.
lanepipe_status_t lanepipe_mailbox_get_stats(struct lanepipe_mailbox_t *mailbox,
                                             struct lanepipe_mailbox_stats_t *stats);

#if defined(LANEPIPE_HOST)
// Creates a pool.
//
// `config` is copied. `error` may be null; else its `struct_size` is set by the caller. On success `*pool` is owned by
// the caller, who ends it with `lanepipe_pool_destroy`. Any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_create(const struct lanepipe_pool_config_t *config,
                                       struct lanepipe_error_t *error,
                                       struct lanepipe_pool_t **pool);
#endif

#if defined(LANEPIPE_HOST)
// Destroys a pool; calls no callback and leaves device memory alone. Null is allowed. `LANEPIPE_BUSY` while a profiler
// uses it. No other thread may be inside a call.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_destroy(struct lanepipe_pool_t *pool);
#endif

#if defined(LANEPIPE_HOST)
// Sets how the pool reaches device memory; mappings and queues stay. Only while no profiler runs on the pool.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_set_memory(struct lanepipe_pool_t *pool, const struct lanepipe_memory_t *memory);
#endif

#if defined(LANEPIPE_HOST)
// Sets the number of live shards, 1 to the configured number; shard arguments of other calls fold modulo this number. Only
// while no other thread uses the pool.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_set_shards(struct lanepipe_pool_t *pool,
                                           uint32_t shards);
#endif

#if defined(LANEPIPE_HOST)
// Number of live shards. Any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_get_shards(const struct lanepipe_pool_t *pool, uint32_t *shards);
#endif

#if defined(LANEPIPE_HOST)
// Sets how many buffers of `kind` each lane is to hold: a done buffer that is routed (`lanepipe_pool_recycle_done` with
// `LANEPIPE_ALL_SHARDS`) goes where most are missing. 0, the default: back to its own shard. More than a lane holds counts
// as what it holds. Any thread, also while others route; `lanepipe_profiler_start` sets it from its own configuration.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_set_warm_target(const struct lanepipe_pool_t *pool,
                                                uint32_t kind,
                                                uint32_t target);
#endif

#if defined(LANEPIPE_HOST)
// Stores up to `count` elements in the ready ring of `shard` and wakes its consumer. Drain thread of the shard; never
// blocks. `payloads` holds `count` payloads back to back and may be null if the payload size is 0. `*pushed` is written
// on `LANEPIPE_OK` and `LANEPIPE_FULL` (fewer than `count` fit). In an untracked pool `dev` of an element may be null.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_push_ready(const struct lanepipe_pool_t *pool,
                                           uint32_t shard,
                                           const struct lanepipe_buffer_t *buffers,
                                           const void *payloads,
                                           size_t count,
                                           size_t *pushed);
#endif

#if defined(LANEPIPE_HOST)
// As `lanepipe_pool_push_ready`, but waits for room up to `timeout_ns` nanoseconds (`LANEPIPE_FOREVER`: no limit).
// `*pushed` is also written on `LANEPIPE_TIMED_OUT`.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_wait_push_ready(const struct lanepipe_pool_t *pool,
                                                uint32_t shard,
                                                const struct lanepipe_buffer_t *buffers,
                                                const void *payloads,
                                                size_t count,
                                                uint64_t timeout_ns,
                                                size_t *pushed);
#endif

#if defined(LANEPIPE_HOST)
// Takes up to `max` elements, oldest first, from the ready ring of `shard` and wakes a waiting producer. Collect thread
// of the shard; never blocks. `LANEPIPE_EMPTY` if there is none. `*count` is written on `LANEPIPE_OK` and
// `LANEPIPE_EMPTY`.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_pop_ready(const struct lanepipe_pool_t *pool,
                                          uint32_t shard,
                                          struct lanepipe_buffer_t *buffers,
                                          void *payloads,
                                          size_t max,
                                          size_t *count);
#endif

#if defined(LANEPIPE_HOST)
// As `lanepipe_pool_pop_ready`, but waits for the first element up to `timeout_ns` nanoseconds. `LANEPIPE_TIMED_OUT`
// only if the ring was empty at return.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_wait_pop_ready(const struct lanepipe_pool_t *pool,
                                               uint32_t shard,
                                               struct lanepipe_buffer_t *buffers,
                                               void *payloads,
                                               size_t max,
                                               uint64_t timeout_ns,
                                               size_t *count);
#endif

#if defined(LANEPIPE_HOST)
// Stores up to `count` buffers in the done ring of `shard`. Collect thread of the shard; never blocks.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_push_done(const struct lanepipe_pool_t *pool,
                                          uint32_t shard,
                                          const struct lanepipe_buffer_t *buffers,
                                          size_t count,
                                          size_t *pushed);
#endif

#if defined(LANEPIPE_HOST)
// Takes up to `max` buffers, oldest first, from the done ring of `shard`. Replenish thread; never blocks.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_pop_done(const struct lanepipe_pool_t *pool,
                                         uint32_t shard,
                                         struct lanepipe_buffer_t *buffers,
                                         size_t max,
                                         size_t *count);
#endif

#if defined(LANEPIPE_HOST)
// Moves all done buffers into recycled lanes. With `LANEPIPE_ALL_SHARDS` each goes where the deficit is largest, with a
// shard only that ring is emptied into the shard's own lanes. What fits nowhere is retired, with a line of level error.
// `*moved` counts both. Replenish thread; never blocks on a hot-path thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_recycle_done(const struct lanepipe_pool_t *pool, uint32_t shard, size_t *moved);
#endif

#if defined(LANEPIPE_HOST)
// Stores up to `count` buffers in the recycled lanes of `shard`, each in the lane of its kind; stops at the first whose
// lane is full. Replenish thread, or the owner before start.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_push_recycled(const struct lanepipe_pool_t *pool,
                                              uint32_t shard,
                                              const struct lanepipe_buffer_t *buffers,
                                              size_t count,
                                              size_t *pushed);
#endif

#if defined(LANEPIPE_HOST)
// Takes up to `max` buffers, oldest first, from the recycled lane (`shard`, `kind`). Drain thread of the shard. Never
// blocks.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_pop_recycled(const struct lanepipe_pool_t *pool,
                                             uint32_t shard,
                                             uint32_t kind,
                                             struct lanepipe_buffer_t *buffers,
                                             size_t max,
                                             size_t *count);
#endif

#if defined(LANEPIPE_HOST)
// Parks a buffer that could not be passed on; the replenish thread brings it back. Any thread; takes a lock.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_retire(const struct lanepipe_pool_t *pool,
                                       uint32_t shard,
                                       const struct lanepipe_buffer_t *buffer);
#endif

#if defined(LANEPIPE_HOST)
// Parks a buffer whose address cannot be trusted. It waits for `lanepipe_pool_release_queued` or
// `lanepipe_pool_release_all`, nothing brings it back before, and it does not count against `max_buffers`. Any thread;
// takes a lock.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_quarantine(const struct lanepipe_pool_t *pool,
                                           uint32_t shard,
                                           const struct lanepipe_buffer_t *buffer);
#endif

#if defined(LANEPIPE_HOST)
// Takes the buffer of `kind` out that `lanepipe_pool_retire` parked last for `shard`, or for any shard with
// `LANEPIPE_ALL_SHARDS`. `LANEPIPE_EMPTY` if there is none. Replenish thread, or the owner while no thread runs; takes a
// lock.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_take_retired(const struct lanepipe_pool_t *pool,
                                             uint32_t shard,
                                             uint32_t kind,
                                             struct lanepipe_buffer_t *buffer);
#endif

#if defined(LANEPIPE_HOST)
// Moves retired buffers into lanes that have room, each where `lanepipe_pool_recycle_done` would bring it. Replenish
// thread, or the owner while no thread runs.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_recirculate(const struct lanepipe_pool_t *pool, size_t *placed);
#endif

#if defined(LANEPIPE_HOST)
// Buffers in the recycled lane (`shard`, `kind`); `LANEPIPE_ALL_SHARDS` sums the live shards. Any thread; exact at rest.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_get_recycled(const struct lanepipe_pool_t *pool,
                                             uint32_t shard,
                                             uint32_t kind,
                                             size_t *count);
#endif

#if defined(LANEPIPE_HOST)
// Allocates and registers one block of `count` buffers of `buffer_size` bytes, carves it at a stride of `buffer_size`
// rounded up to 64, and puts the buffers into the lanes of `shard` (`LANEPIPE_ALL_SHARDS`: dealt round robin), or parks
// them where a lane is full. `*placed` counts both. Replenish thread, or the owner before start.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_allocate(const struct lanepipe_pool_t *pool,
                                         uint32_t kind,
                                         size_t buffer_size,
                                         uint32_t count,
                                         uint32_t shard,
                                         size_t *placed);
#endif

#if defined(LANEPIPE_HOST)
// Allocates and registers one block outside the lanes. Replenish thread, or the owner before start.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_allocate_block(const struct lanepipe_pool_t *pool,
                                               size_t size,
                                               void **dev,
                                               void **host);
#endif

#if defined(LANEPIPE_HOST)
// Makes memory known that the caller allocated and registered himself, as `lanepipe_pool_allocate_block` does with its
// own: `dev`, and the `size` bytes from there on (0: the address alone). What was known of an earlier allocation at `dev`
// is forgotten, a claim included. `host` may be null: the address counts as known and resolves to null. Any thread, also
// while a profiler runs; takes the lock of the writers, which readers never wait for.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_map_block(const struct lanepipe_pool_t *pool,
                                          void *dev,
                                          void *host,
                                          size_t size);
#endif

#if defined(LANEPIPE_HOST)
// Makes a buffer that the caller allocated known to the pool, as being at the device. `id` may be null. An earlier mapping
// of the address is overwritten; the buffer keeps its identity. In an untracked pool `*id` becomes 0, and any `dev` will
// do, null too. Any thread, also while a profiler runs; takes the lock of the writers, which readers never wait for.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_register(const struct lanepipe_pool_t *pool,
                                         void *dev,
                                         void *host,
                                         uint32_t kind,
                                         uint32_t *id);
#endif

#if defined(LANEPIPE_HOST)
// Host addresses and identities of `count` device addresses, interior ones included. Lock-free, any thread. Unknown
// addresses are reported in `resolved`, not by the status.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_resolve(const struct lanepipe_pool_t *pool,
                                        const void *const *dev,
                                        size_t count,
                                        struct lanepipe_resolved_t *resolved);
#endif

#if defined(LANEPIPE_HOST)
// Copies `size` bytes at `host_field` in the shadow of the shared region to the device. Does nothing with shared virtual
// memory.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_write_shared(const struct lanepipe_pool_t *pool,
                                             const void *host_field,
                                             size_t size);
#endif

#if defined(LANEPIPE_HOST)
// Copies `size` bytes of the shared region from the device to its shadow at `host_field`. Does nothing with shared
// virtual memory.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_read_shared(const struct lanepipe_pool_t *pool, void *host_field, size_t size);
#endif

#if defined(LANEPIPE_HOST)
// The base of the allocation that `dev` belongs to: of the block that contains it, or itself if it was registered alone.
// `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no such address; that is an answer and leaves no line. Lock-free, any
// thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_get_base(const struct lanepipe_pool_t *pool,
                                         const void *dev,
                                         void **base);
#endif

#if defined(LANEPIPE_HOST)
// Claims the allocation that `dev` belongs to for release: of all who try, with whatever address inside it, one gets
// `LANEPIPE_OK`, the others `LANEPIPE_E_DUPLICATE`. `*base` is written in both cases. The claim stays until the address is
// allocated anew or mapped by `lanepipe_pool_map_block`, or all mappings are forgotten.
// `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no such address. Both refusals are answers and leave no line. Any thread;
// takes a lock.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_claim(const struct lanepipe_pool_t *pool,
                                      const void *dev,
                                      void **base);
#endif

#if defined(LANEPIPE_HOST)
// Hands host memory from `malloc` over to the pool, which frees it once: with the allocation whose host address it is
// (`lanepipe_pool_free`), or in `lanepipe_pool_clear_mappings` or `lanepipe_pool_release_all`; `lanepipe_pool_destroy`
// leaves it alone. The same memory again changes nothing. Any thread; takes a lock.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_adopt_shadow(const struct lanepipe_pool_t *pool, void *host);
#endif

#if defined(LANEPIPE_HOST)
// Claims the allocation that `dev` belongs to, forgets what is mapped at its base, calls `free_memory` of the memory
// context, if set, with the base, and frees its shadow. Addresses registered inside it stay known.
// `LANEPIPE_E_DUPLICATE`, and nothing done, if it was claimed before; `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no
// such address. Both are answers and leave no line. Afterwards the address may be allocated or registered again. Any
// thread, also while a profiler runs; nobody uses the allocation.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_free(const struct lanepipe_pool_t *pool, void *dev);
#endif

#if defined(LANEPIPE_HOST)
// Empties all queues of all configured shards and calls `release` once with the base of each distinct allocation that a
// buffer in one of them belongs to, or with its own address if the pool does not know it. In the order in which they are
// met: lanes by shard and kind, oldest first; parked buffers by shard and kind, newest first; done rings; ready rings.
// Mappings, claims and shadows stay. `release` may be null; it runs with no lock held and may call
// `lanepipe_pool_get_base`, `lanepipe_pool_claim` and `lanepipe_pool_resolve`. Only while no other thread uses the pool.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_release_queued(struct lanepipe_pool_t *pool,
                                               lanepipe_release_fn_t release,
                                               void *context);
#endif

#if defined(LANEPIPE_HOST)
// Empties all queues, calls `release` once for each distinct allocation that the pool knows, in ascending order and
// whatever was claimed, then frees all shadows and forgets all mappings. `release` as for
// `lanepipe_pool_release_queued`. Only while no other thread uses the pool.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_release_all(struct lanepipe_pool_t *pool, lanepipe_release_fn_t release, void *context);
#endif

#if defined(LANEPIPE_HOST)
// Frees all shadows and forgets mappings, claims and identities; for device memory that is freed already. Calls nothing.
// `LANEPIPE_E_STATE` if a queue of a tracked pool holds a buffer. Only while no other thread uses the pool.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_clear_mappings(struct lanepipe_pool_t *pool);
#endif

#if defined(LANEPIPE_HOST)
// Finds out where every tracked buffer is. `LANEPIPE_E_CONSERVATION`, with `*audit` written, if one is in no place or in
// two. While a profiler runs the counts come from the ledger alone and `errors` is 0; otherwise no other thread may be
// inside a call on a queue end.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_audit(const struct lanepipe_pool_t *pool,
                                      struct lanepipe_pool_audit_t *audit);
#endif

#if defined(LANEPIPE_HOST)
// Creates a profiler on `pool`, which must outlive it. Nothing is started. Any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_create(struct lanepipe_pool_t *pool,
                                           const struct lanepipe_profiler_config_t *config,
                                           struct lanepipe_error_t *error,
                                           struct lanepipe_profiler_t **profiler);
#endif

#if defined(LANEPIPE_HOST)
// Makes an instance known, while threads run too, and stores its index for `resolve` to answer; that of an instance known
// already if free queue and kind are the same. `buffer_size` counts if the kind has none. A running profiler fills the free
// queue when the instance first publishes, or in the next freeze. Any thread, `resolve` and `refresh` included; locks when
// it adds.
//
// `LANEPIPE_E_INVALID` for numbers out of range; `LANEPIPE_E_DUPLICATE` for a free queue known under another kind, unless
// the pool is untracked; `LANEPIPE_E_TOO_LARGE` beyond `max_instances`; `LANEPIPE_E_NO_MEMORY`.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_profiler_add_instance(struct lanepipe_profiler_t *profiler,
                                                 const struct lanepipe_instance_t *instance,
                                                 size_t buffer_size,
                                                 uint32_t *index);
#endif

#if defined(LANEPIPE_HOST)
// Fills every free queue, from the lanes of its shard or else from new blocks, as far as allocator and `max_buffers` allow
// (unless `LANEPIPE_PROFILER_PREFILLED`); then starts the threads: one drain per live shard, replenish, one collect per live
// shard, sentinel (unless `LANEPIPE_PROFILER_MERGED_SENTINEL`). None works before all have been created. On
// failure none is left running: `LANEPIPE_E_STATE` if it runs or is stopping or another profiler runs on the pool,
// `LANEPIPE_BUSY` while another thread is inside start or stop, `LANEPIPE_E_CORRUPT` if a ready head is out of range,
// `LANEPIPE_E_INVALID` if memory is copied and a queue is not inside the shared region, `LANEPIPE_E_THREAD` if the factory
// fails, `LANEPIPE_E_NO_MEMORY`. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_start(struct lanepipe_profiler_t *profiler);
#endif

#if defined(LANEPIPE_HOST)
// Delivers every entry that the device published before the call, then ends and joins all threads. The device must be
// quiet. `LANEPIPE_TIMED_OUT` after `timeout_ns` nanoseconds (`LANEPIPE_FOREVER`: no limit): the profiler stays in
// stopping, keeps its memory, and a later stop may finish. Success on a profiler that does not run. `LANEPIPE_BUSY` while
// another thread is inside start or stop. Works on a poisoned profiler too. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_stop(struct lanepipe_profiler_t *profiler,
                                         uint64_t timeout_ns);
#endif

#if defined(LANEPIPE_HOST)
// Destroys a profiler that does not run. Null is allowed. `LANEPIPE_BUSY` while threads run. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_destroy(struct lanepipe_profiler_t *profiler);
#endif

#if defined(LANEPIPE_HOST)
// `LANEPIPE_PROFILER_*` state. Any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_get_state(const struct lanepipe_profiler_t *profiler, uint32_t *state);
#endif

#if defined(LANEPIPE_HOST)
// Counters of device ready queue `queue`. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_get_queue_stats(const struct lanepipe_profiler_t *profiler,
                                                    uint32_t queue,
                                                    struct lanepipe_queue_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// Counters of shard `shard`. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_get_shard_stats(const struct lanepipe_profiler_t *profiler,
                                                    uint32_t shard,
                                                    struct lanepipe_shard_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// Counters of the gates. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_get_gate_stats(const struct lanepipe_profiler_t *profiler,
                                                   struct lanepipe_gate_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// The last fault of a worker thread. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_profiler_get_fault(const struct lanepipe_profiler_t *profiler,
                                              struct lanepipe_fault_t *fault);
#endif

// Bytes of memory for a ring of `capacity` elements of `element_size` bytes. Any thread.
//
// # Safety
//
// `size` is null or writable.
lanepipe_status_t lanepipe_ring_required_size(uint32_t capacity, uint32_t element_size, size_t *size);

// Makes an empty ring of `capacity` (exact limit, 1 to `LANEPIPE_RING_MAX_CAPACITY`) elements of `element_size` (1 to
// `LANEPIPE_RING_MAX_ELEMENT_SIZE`) bytes in `length` bytes of memory at `memory`, which is aligned to
// `LANEPIPE_RING_ALIGN` and stays the caller's. The ends lie in that memory and end with it. Any thread; nobody else uses
// the memory.
//
// # Safety
//
// `memory` is null or writable for `length` bytes; the other pointers are null or writable.
lanepipe_status_t lanepipe_ring_init(void *memory,
                                     size_t length,
                                     uint32_t capacity,
                                     uint32_t element_size,
                                     struct lanepipe_ring_producer_t **producer,
                                     struct lanepipe_ring_consumer_t **consumer);

// Finds a ring that `lanepipe_ring_init` made in memory at `memory`, for instance from the other side of a boundary.
// Checks that the memory holds a sound ring, not who uses it. Any thread.
//
// # Safety
//
// `memory` is null or readable for `length` bytes; the other pointers are null or writable.
lanepipe_status_t lanepipe_ring_attach(void *memory,
                                       size_t length,
                                       struct lanepipe_ring_producer_t **producer,
                                       struct lanepipe_ring_consumer_t **consumer);

#if defined(LANEPIPE_HOST)
// As `lanepipe_ring_init`, in memory of its own, where the check for overlap costs a call next to nothing while one and
// the same thread uses an end. The caller owns both ends and gives them back with `lanepipe_ring_destroy`.
//
// # Safety
//
// Pointers are null or writable.
lanepipe_status_t lanepipe_ring_create(uint32_t capacity,
                                       uint32_t element_size,
                                       struct lanepipe_ring_producer_t **producer,
                                       struct lanepipe_ring_consumer_t **consumer);
#endif

#if defined(LANEPIPE_HOST)
// Frees a ring made by `lanepipe_ring_create`, with what it still holds. Both ends null: nothing to do. No thread is
// inside a call.
//
// # Safety
//
// The ends are null or those of one ring made by `lanepipe_ring_create`, and are not used again.
lanepipe_status_t lanepipe_ring_destroy(struct lanepipe_ring_producer_t *producer,
                                        struct lanepipe_ring_consumer_t *consumer);
#endif

// Stores up to `count` elements, back to back at `elements`, with one index change. `*pushed` is written on
// `LANEPIPE_OK` and `LANEPIPE_FULL` (fewer than `count` fitted). `LANEPIPE_E_OVERLAP` if another thread is inside a call
// of this end. Owner of the end; never blocks.
//
// # Safety
//
// The end is null or live; `elements` is null or readable for `count` elements, `pushed` null or writable.
lanepipe_status_t lanepipe_ring_push(struct lanepipe_ring_producer_t *producer,
                                     const void *elements,
                                     size_t count,
                                     size_t *pushed);

// Takes up to `max` elements, oldest first, into the memory at `elements`, with one index change. `*popped` is written
// on `LANEPIPE_OK` and `LANEPIPE_EMPTY` (none). `LANEPIPE_E_OVERLAP` if another thread is inside a call of this end. Owner
// of the end; never blocks.
//
// # Safety
//
// The end is null or live; `elements` is null or writable for `max` elements, `popped` null or writable.
lanepipe_status_t lanepipe_ring_pop(struct lanepipe_ring_consumer_t *consumer,
                                    void *elements,
                                    size_t max,
                                    size_t *popped);

// Elements stored: exact at rest, never above the capacity. Either owner.
//
// # Safety
//
// The end is null or live; `count` is null or writable.
lanepipe_status_t lanepipe_ring_get_count(const struct lanepipe_ring_consumer_t *consumer, size_t *count);

// Gives every slot an id that matches no task, whatever an earlier run left there. Before the run, any thread. A null
// `slots` is `LANEPIPE_E_NULL`.
//
// # Safety
//
// `ring` is null or readable; its slots are writable memory of `slot_count * slot_size` bytes that nobody uses meanwhile.
lanepipe_status_t lanepipe_staging_ring_clear(const struct lanepipe_staging_ring_t *ring);

// Takes the record of task `id` and counts it in `books`. The core's control thread, after it saw the task finished and
// before it dispatches another for the same slot. Never waits.
//
// `LANEPIPE_OK`: all of the slot was copied to `out`, which may be unaligned. `LANEPIPE_MISMATCH`: the slot does not hold
// the task; nothing was copied. `LANEPIPE_DROPPED`: there are no slots, or `out` is null and the slot
// holds the task. Any other status: nothing was
// counted.
//
// # Safety
//
// `ring` is null or readable; its slots are memory of `slot_count * slot_size` bytes shared with the core as
// `staging_ring.h` says. `out` is null or writable for `slot_size` bytes, `books` null or readable and writable.
lanepipe_status_t lanepipe_staging_ring_take(const struct lanepipe_staging_ring_t *ring,
                                             uint32_t id,
                                             struct lanepipe_staging_books_t *books,
                                             void *out);

// Name of a status, for instance `"LANEPIPE_E_NULL"`.
//
// `status`: any value; unknown ones give `"LANEPIPE_E_UNKNOWN_STATUS"`. Returns a static string. Any thread, never
// blocks.
const char *lanepipe_status_name(int32_t status);

#if defined(LANEPIPE_HOST)
// Takes the oldest entry of a device ready queue and gives its slot back to the device; `entry` gets its bytes. `number` is
// for messages. With host shadows queue words go through the copy callbacks.
//
// `LANEPIPE_EMPTY`: there is none. `LANEPIPE_AGAIN`: the next one has no address yet. `LANEPIPE_E_CORRUPT`: an index is out
// of range. `LANEPIPE_E_CALLBACK`: a transfer failed, the entry stays queued, and the next call returns it even if the
// device has seen the head all the same. `entry` is meaningful on `LANEPIPE_OK` only. A fault that lasts from call to call is
// reported once. Drain thread of the queue's shard; never blocks but in the copy callbacks.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_take_entry(const struct lanepipe_pool_t *pool,
                                           const struct lanepipe_ready_queue_t *queue,
                                           uint32_t number,
                                           uint32_t flags,
                                           void *entry);
#endif

#if defined(LANEPIPE_HOST)
// Fills a device free queue from the lane (`shard`, `kind`) until it is full or the lane dry; `*published` counts the buffers
// and is written on every status but those of bad arguments. `gates` may be null, and so may its contended words.
//
// `LANEPIPE_OK`. `LANEPIPE_BUSY`, nothing published: a gate is shut, or another thread takes from the shard's lanes or fills
// the queue. `LANEPIPE_E_CALLBACK`: a transfer failed; what could not be published is parked. `LANEPIPE_E_CORRUPT`: the
// device's head is impossible. A fault that lasts from call to call is reported once. Drain thread of the shard; never
// blocks but in the copy callbacks, never allocates.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_top_up(const struct lanepipe_pool_t *pool,
                                       const struct lanepipe_free_queue_t *queue,
                                       const struct lanepipe_gates_t *gates,
                                       uint32_t kind,
                                       uint32_t shard,
                                       size_t *published);
#endif

#if defined(LANEPIPE_HOST)
// Fills a device free queue from the lanes of all live shards, else with parked buffers, else with blocks of `batch_size`
// buffers of `buffer_size` bytes (either 0: none are allocated), until it is full or nothing can be had. `*published` and
// the status are as for `lanepipe_pool_top_up`. The owner while no thread runs, or the replenish thread between
// `lanepipe_pool_begin_freeze_tick` and `lanepipe_pool_end_freeze_tick`.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_pool_refill(const struct lanepipe_pool_t *pool,
                                       const struct lanepipe_free_queue_t *queue,
                                       uint32_t kind,
                                       size_t buffer_size,
                                       uint32_t batch_size,
                                       size_t *published);
#endif

// A core at the beginning of a launch. Never blocks.
//
// # Safety
//
// `aicore` is null or writable.
lanepipe_status_t lanepipe_swimlane_aicore_init(struct lanepipe_swimlane_aicore_t *aicore);

// Reserves the record of a task that the core has received, before it acknowledges it: `record` is its address. `head` is what
// the table of `lanepipe_swimlane_init` holds for the core. `LANEPIPE_EMPTY`: there is no head, no buffer, or no room in it;
// `record` is 0 then. `LANEPIPE_E_MISALIGNED`: one of the addresses is none, and `record` is as it was. The core; never
// blocks.
//
// # Safety
//
// `aicore` is null or made by its init call; `head` is 0 or the address of a head of a region that is in use; `record` is null
// or writable.
lanepipe_status_t lanepipe_swimlane_aicore_reserve(struct lanepipe_swimlane_aicore_t *aicore,
                                                   uint64_t head,
                                                   uint64_t *record);

// Writes a reserved record; times in ticks of the core's counter, `start_time` not 0, or the host takes it for no record.
// `LANEPIPE_EMPTY` for a `record` of 0. The core, after it told that the task is finished and before it acknowledges the next one;
// never blocks.
//
// # Safety
//
// `record` is 0, or was reserved in this launch and not committed yet.
lanepipe_status_t lanepipe_swimlane_aicore_commit(uint64_t record,
                                                  uint64_t task_token,
                                                  uint32_t reg_task_id,
                                                  uint64_t receive_time,
                                                  uint64_t start_time,
                                                  uint64_t end_time);

// Begins a launch: takes the first buffer of each of `thread_count` control threads (1 to the most that the architecture has),
// and the level. Whatever the object held is forgotten. After a failure the object is off: `LANEPIPE_E_NULL` without a region,
// `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another architecture or count. The leader, before any thread uses the
// object; never blocks.
//
// # Safety
//
// `dump` is null or writable, `region` null or readable. As long as the object is used, the region and all it names, the arenas
// included, are memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
lanepipe_status_t lanepipe_args_dump_init(struct lanepipe_args_dump_t *dump,
                                          const struct lanepipe_device_region_t *region,
                                          uint32_t thread_count);

// The end of a launch: off. The leader, after the last call; never blocks.
//
// # Safety
//
// `dump` is null or writable.
lanepipe_status_t lanepipe_args_dump_finalize(struct lanepipe_args_dump_t *dump);

// The level that the region's header had at the start: 0 off, 1 marked arguments, 2 all, 3 all but the contents of tensors
// that are not marked. 0 while off. Any thread; never blocks.
//
// # Safety
//
// `dump` is null or made by its init call, `level` null or writable.
lanepipe_status_t lanepipe_args_dump_level(const struct lanepipe_args_dump_t *dump,
                                           uint32_t *level);

// Records an argument of a task, with its contents if it is a tensor whose contents are wanted; contents beyond the arena are
// shortened (losses `truncated`). `LANEPIPE_DROPPED`: counted as lost, for want of a buffer, or because the arena was not
// released in time (losses `refused`). `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: the launch has no such
// thread, or a role, stage or kind that does not exist. Does not look at the level's selection of arguments. The control thread;
// blocks for up to the budget per wait, and only when a buffer is full or missing or the arena starts anew.
//
// # Safety
//
// `dump` is null or made by its init call, `thread` null or the calling thread's, `info` null or readable. All elements that a
// tensor's shape and strides reach are readable and lie outside of the arena.
lanepipe_status_t lanepipe_args_dump_record(struct lanepipe_args_dump_t *dump,
                                            struct lanepipe_device_thread_t *thread,
                                            const struct lanepipe_args_dump_info_t *info);

// Hands what the thread has recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a thread. The control
// thread, at the end of its loop; blocks for up to the budget.
//
// # Safety
//
// `dump` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_args_dump_flush(struct lanepipe_args_dump_t *dump,
                                           struct lanepipe_device_thread_t *thread);

// Begins a launch: takes the first buffer if one is there. Whatever the object held is forgotten. After a failure the object
// is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another architecture. The
// orchestrator; never blocks.
//
// # Safety
//
// `dep_gen` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are
// memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
lanepipe_status_t lanepipe_dep_gen_init(struct lanepipe_dep_gen_t *dep_gen,
                                        const struct lanepipe_device_region_t *region);

// The end of a launch, whether the subsystem was on or not: off. The orchestrator; never blocks.
//
// # Safety
//
// `dep_gen` is null or writable.
lanepipe_status_t lanepipe_dep_gen_finalize(struct lanepipe_dep_gen_t *dep_gen);

// Records a submit. `LANEPIPE_DROPPED`: counted as lost, because there is no buffer or the thread has no index yet (losses
// `refused`). One with more dependencies than a buffer holds, or more than 32 tensors, is shortened (losses `truncated`).
// `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: unknown flags, or `reserved` is not 0. The orchestrator;
// blocks for up to the budget per wait, and only when a buffer is full or missing.
//
// # Safety
//
// `dep_gen` is null or made by its init call, `thread` null or the calling thread's, `submit` null or as described.
lanepipe_status_t lanepipe_dep_gen_record_submit(struct lanepipe_dep_gen_t *dep_gen,
                                                 struct lanepipe_device_thread_t *thread,
                                                 const struct lanepipe_dep_gen_submit_t *submit);

// Hands what is recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active. `LANEPIPE_DROPPED`: counted as
// lost. `LANEPIPE_CLOSED` while off. The orchestrator, at the end; blocks for up to the budget.
//
// # Safety
//
// `dep_gen` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_dep_gen_flush(struct lanepipe_dep_gen_t *dep_gen,
                                         struct lanepipe_device_thread_t *thread);

// Whether anything of a task with that mask of marked arguments is dumped: `*wanted` is 0 at level 1 without a mark, else 1, also
// while off. Any thread; never blocks.
//
// # Safety
//
// `dump` is null or made by its init call, `wanted` null or writable.
lanepipe_status_t lanepipe_args_dump_wants_task(const struct lanepipe_args_dump_t *dump,
                                                uint64_t mask,
                                                uint32_t *wanted);

// Whether argument `arg_index` of a task with that mask of marked arguments is dumped: `*wanted` is 1 if it is marked, and outside
// of level 1 always, also while off; else 0. Any thread; never blocks.
//
// # Safety
//
// `dump` is null or made by its init call, `wanted` null or writable.
lanepipe_status_t lanepipe_args_dump_wants_arg(const struct lanepipe_args_dump_t *dump,
                                               uint64_t mask,
                                               int32_t arg_index,
                                               uint32_t *wanted);

// Whether argument `arg_index` has its bit in a mask: `*marked` is 0 or 1; 0 for an index outside of 0 to 63. Any thread; never
// blocks.
//
// # Safety
//
// `marked` is null or writable.
lanepipe_status_t lanepipe_args_dump_has_arg_flag(uint64_t mask,
                                                  int32_t arg_index,
                                                  uint32_t *marked);

// Whether an argument of `role` (`LANEPIPE_ARGS_DUMP_ROLE_*`) is dumped at `stage` (`LANEPIPE_ARGS_DUMP_STAGE_*`): `*wanted` is 1
// for an input before the dispatch, an output after the completion, what is both at both; else 0. `LANEPIPE_E_INVALID`: no such
// role or stage. Any thread; never blocks.
//
// # Safety
//
// `wanted` is null or writable.
lanepipe_status_t lanepipe_args_dump_wants_stage(uint32_t role,
                                                 uint32_t stage,
                                                 uint32_t *wanted);

// The role (`LANEPIPE_ARGS_DUMP_ROLE_*`) of an argument with that `direction` (`LANEPIPE_ARG_DIRECTION_*`). `LANEPIPE_EMPTY`: a
// scalar has none, and `*role` is as it was. `LANEPIPE_E_INVALID`: no such direction. Any thread; never blocks.
//
// # Safety
//
// `role` is null or writable.
lanepipe_status_t lanepipe_args_dump_role_of_direction(uint32_t direction,
                                                       uint32_t *role);

// Empties the tables for a run, once for each number that differs from the last one. The number is the same for all threads of a
// launch and new for each launch, from a counter of the host for instance: one that may come again, as an address does, leaves the
// tables of the last run; 0 is none. `LANEPIPE_BUSY`: another thread is at it; nobody stores or looks before it has seen
// `LANEPIPE_OK`, or has met at a barrier a thread that has. After a launch that died inside of this call it stays so for every
// number, until the memory is zeroed again while no thread uses it. `LANEPIPE_E_INVALID`: 0. Any thread, at the launch, when
// nobody stores or looks; never blocks.
//
// # Safety
//
// `tables` is null or memory of tables.
lanepipe_status_t lanepipe_args_dump_tables_begin(struct lanepipe_args_dump_tables_t *tables,
                                                  uint32_t run);

// Stores which arguments of a task are dumped, one bit each, and their flags. `LANEPIPE_EMPTY`: a mask of 0 is not stored; one that the
// task has stays. `LANEPIPE_FULL`: there is no place for another task. `LANEPIPE_E_INVALID`: `UINT64_MAX` is no id. Any thread,
// before others hear of the task; never blocks.
//
// # Safety
//
// `tables` is null or memory of tables.
lanepipe_status_t lanepipe_args_dump_set_task_mask(struct lanepipe_args_dump_tables_t *tables,
                                                   uint64_t task_id,
                                                   uint64_t mask,
                                                   uint64_t flags);

// Mask and flags of a task; each output may be null. `LANEPIPE_EMPTY`: none are stored, and both are 0. Any thread that has heard of the
// task; never blocks.
//
// # Safety
//
// `tables` is null or memory of tables, `mask` and `flags` are null or writable.
lanepipe_status_t lanepipe_args_dump_get_task_mask(struct lanepipe_args_dump_tables_t *tables,
                                                   uint64_t task_id,
                                                   uint64_t *mask,
                                                   uint64_t *flags);

// Stores the types of a task's `count` scalars, one byte each. `LANEPIPE_EMPTY`: none are not stored; those that the task has
// stay. `LANEPIPE_FULL`: there is no place for another task. `LANEPIPE_E_INVALID`: more than `LANEPIPE_ARGS_DUMP_MAX_SCALARS`,
// of which nothing is read, or `UINT64_MAX`, which is no id. `LANEPIPE_E_NULL`: `dtypes` is null and `count` is not 0. Any
// thread, before others hear of the task; never blocks.
//
// # Safety
//
// `tables` is null or memory of tables, `dtypes` null or readable for `count` bytes.
lanepipe_status_t lanepipe_args_dump_set_task_scalar_dtypes(struct lanepipe_args_dump_tables_t *tables,
                                                            uint64_t task_id,
                                                            uint32_t count,
                                                            const uint8_t *dtypes);

// Number and types of a task's scalars. `LANEPIPE_EMPTY`: none are stored, and the outputs are as they were. Any thread that has heard
// of the task; never blocks.
//
// # Safety
//
// `tables` is null or memory of tables, `count` null or writable, `dtypes` null or writable for
// `LANEPIPE_ARGS_DUMP_MAX_SCALARS` bytes.
lanepipe_status_t lanepipe_args_dump_get_task_scalar_dtypes(struct lanepipe_args_dump_tables_t *tables,
                                                            uint64_t task_id,
                                                            uint32_t *count,
                                                            uint8_t *dtypes);

// Begins a launch: takes the first buffer of each of `core_count` cores, at most as many as the architecture has, and on a5 clears
// the cores' staging rings, whose addresses the host has put into their states. Whatever the object held is forgotten. After a
// failure the object is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another
// architecture or too many cores. The leader, before any thread uses the object; never blocks.
//
// # Safety
//
// `pmu` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are memory
// of the subsystem's layout, which everybody else accesses as the C++ runtime does.
lanepipe_status_t lanepipe_pmu_init(struct lanepipe_pmu_t *pmu,
                                    const struct lanepipe_device_region_t *region,
                                    uint32_t core_count);

// The end of a launch: off. The leader, after the last call; never blocks.
//
// # Safety
//
// `pmu` is null or writable.
lanepipe_status_t lanepipe_pmu_finalize(struct lanepipe_pmu_t *pmu);

// A core at the beginning of a launch; `register_base` 0: it has no registers. What the memory held is forgotten, so that a core
// that is programmed is restored first. Never blocks.
//
// # Safety
//
// `core` is null or writable.
lanepipe_status_t lanepipe_pmu_core_init(struct lanepipe_pmu_core_t *core,
                                         int32_t index,
                                         uint64_t register_base);

// Selects the events that the region's header asks for (those of the pipe utilisation if it names none that exist), clears
// the counters and switches them on. `LANEPIPE_EMPTY` for a core without registers, `LANEPIPE_CLOSED` while off.
// `LANEPIPE_E_STATE`, and nothing touched: it is programmed and was not restored. `LANEPIPE_E_INVALID`: `reserved` is not 0. The
// core's control thread; never blocks.
//
// # Safety
//
// `pmu` and `core` are null or made by their init calls; `registers` is null or readable.
lanepipe_status_t lanepipe_pmu_core_program(struct lanepipe_pmu_t *pmu,
                                            struct lanepipe_pmu_core_t *core,
                                            const struct lanepipe_pmu_registers_t *registers);

// Puts the control registers back, once after `lanepipe_pmu_core_program`. `LANEPIPE_EMPTY` for a core without registers,
// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID`: `reserved` is not 0. The core's control thread, before the core is told
// to exit and before `lanepipe_pmu_finalize`; never blocks.
//
// # Safety
//
// As for `lanepipe_pmu_core_program`.
lanepipe_status_t lanepipe_pmu_core_restore(struct lanepipe_pmu_t *pmu,
                                            struct lanepipe_pmu_core_t *core,
                                            const struct lanepipe_pmu_registers_t *registers);

// Records a finished task of `core` with what its counters show now; they are read only if there is a place for them. On a2a3;
// elsewhere `LANEPIPE_E_UNSUPPORTED`. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_EMPTY`: the core has no registers,
// nothing was counted. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: no such core or `core_type`
// (`LANEPIPE_CORE_TYPE_*`), or `reserved` is not 0. The core's control thread, after it saw the task finished; blocks for up
// to the budget per wait, and only when a buffer is full or missing.
//
// # Safety
//
// `pmu` and `core` are null or made by their init calls; `thread` is null or the calling thread's, `registers` null or readable.
lanepipe_status_t lanepipe_pmu_record_task(struct lanepipe_pmu_t *pmu,
                                           struct lanepipe_device_thread_t *thread,
                                           const struct lanepipe_pmu_core_t *core,
                                           const struct lanepipe_pmu_registers_t *registers,
                                           uint64_t task_id,
                                           uint32_t func_id,
                                           uint32_t core_type);

// Records a finished task of `core` with what the core left in its staging ring for `reg_task_id`. On a5; elsewhere
// `LANEPIPE_E_UNSUPPORTED`. `LANEPIPE_MISMATCH`: counted as such, the core did not leave it. `LANEPIPE_DROPPED`: counted as lost,
// for want of a buffer or of a ring. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: no such core or
// `core_type` (`LANEPIPE_CORE_TYPE_*`). The core's control thread, after it saw the task finished and before it dispatches the next
// one for the same slot; blocks for up to the budget per wait, and only when a buffer is full or missing.
//
// # Safety
//
// `pmu` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_pmu_complete_record(struct lanepipe_pmu_t *pmu,
                                               struct lanepipe_device_thread_t *thread,
                                               int32_t core,
                                               uint32_t reg_task_id,
                                               uint64_t task_id,
                                               uint32_t func_id,
                                               uint32_t core_type);

// Hands what `core` has recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control
// thread, at the end of its loop; blocks for up to the budget.
//
// # Safety
//
// `pmu` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_pmu_flush(struct lanepipe_pmu_t *pmu,
                                     struct lanepipe_device_thread_t *thread,
                                     int32_t core);

// Begins a launch, enabled. The first buffer is taken by the first record; the region is left alone. Whatever the object held
// is forgotten. After a failure the object is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`,
// `LANEPIPE_E_INVALID` for another architecture. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are
// memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
lanepipe_status_t lanepipe_scope_stats_init(struct lanepipe_scope_stats_t *scopes,
                                            const struct lanepipe_device_region_t *region);

// The end of a launch: off. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or writable.
lanepipe_status_t lanepipe_scope_stats_finalize(struct lanepipe_scope_stats_t *scopes);

// Whether scopes are recorded (0 or 1); capacities and flushes do not depend on it. `LANEPIPE_CLOSED` while off. The
// orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call.
lanepipe_status_t lanepipe_scope_stats_set_enabled(struct lanepipe_scope_stats_t *scopes, uint32_t enabled);

// Where in the source the next recorded scope stands: path of the file (what follows its last `/` or `\` is stored, at most 31
// bytes; null: stored as `(unknown)`) and line. `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call; `file` is null or a terminated text that stays as it is until the scope has ended.
lanepipe_status_t lanepipe_scope_stats_set_pending_site(struct lanepipe_scope_stats_t *scopes,
                                                        const char *file,
                                                        int32_t line);

// A scope begins. `LANEPIPE_DROPPED`: counted as lost, because there is no buffer or the thread has no index yet (losses `refused`).
// `LANEPIPE_FULL`: 64 scopes are open; nothing is recorded or counted, and its end will not be either. `LANEPIPE_CLOSED`: off
// or disabled, nothing was counted. The orchestrator; blocks for up to the budget per wait, and only when a buffer is full or
// missing.
//
// # Safety
//
// `scopes` is null or made by its init call, `thread` null or the calling thread's, `sample` null or readable.
lanepipe_status_t lanepipe_scope_stats_begin(struct lanepipe_scope_stats_t *scopes,
                                             struct lanepipe_device_thread_t *thread,
                                             const struct lanepipe_scope_sample_t *sample);

// The innermost scope ends; as `lanepipe_scope_stats_begin`. `LANEPIPE_FULL`: the end of a scope beyond the 64th. `LANEPIPE_EMPTY`: no
// scope is open. Nothing is counted then.
//
// # Safety
//
// As for `lanepipe_scope_stats_begin`.
lanepipe_status_t lanepipe_scope_stats_end(struct lanepipe_scope_stats_t *scopes,
                                           struct lanepipe_device_thread_t *thread,
                                           const struct lanepipe_scope_sample_t *sample);

// The heap of the innermost scope's ring wrapped on `side` (`LANEPIPE_HEAP_SIDE_*`). `LANEPIPE_CLOSED` while off; ignored while
// disabled, outside of any scope, and for a ring that is none. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call.
lanepipe_status_t lanepipe_scope_stats_note_heap_wrap(struct lanepipe_scope_stats_t *scopes,
                                                      uint32_t side);

// Capacities of a ring (0 to 3), in tasks, bytes of heap and dependencies: for the host, and to unroll heap positions.
// `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call.
lanepipe_status_t lanepipe_scope_stats_set_ring_capacity(struct lanepipe_scope_stats_t *scopes,
                                                         int32_t ring,
                                                         int32_t tasks,
                                                         uint64_t heap,
                                                         int32_t deps);

// Entries of the tensor map, for the host. `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call.
lanepipe_status_t lanepipe_scope_stats_set_tensormap_capacity(struct lanepipe_scope_stats_t *scopes, int32_t entries);

// Depth of the innermost recorded scope, from 0; -1 outside of any, and while off. The orchestrator; never blocks.
//
// # Safety
//
// `scopes` is null or made by its init call, `depth` null or writable.
lanepipe_status_t lanepipe_scope_stats_depth(const struct lanepipe_scope_stats_t *scopes, int32_t *depth);

// A fatal error: tells the host through the region's header, and flushes. As `lanepipe_scope_stats_flush`; `LANEPIPE_CLOSED` while
// disabled, too.
//
// # Safety
//
// `scopes` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_scope_stats_on_fatal(struct lanepipe_scope_stats_t *scopes,
                                                struct lanepipe_device_thread_t *thread);

// Hands what is recorded to the host; may be called again. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off. The orchestrator, at the end; blocks for up to the budget.
//
// # Safety
//
// `scopes` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_scope_stats_flush(struct lanepipe_scope_stats_t *scopes,
                                             struct lanepipe_device_thread_t *thread);

// Begins a launch: takes the first buffers of `core_count` cores, and the level; fills `table` (one word per core, or null)
// with the addresses of the cores' heads. There are no phases yet. Whatever the object held is forgotten. After a failure the
// object is off and the table as it was: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED` (a table that is not null
// is aligned even for no cores), `LANEPIPE_E_INVALID` for another architecture or too many cores. The leader, before any
// thread uses the object and before the cores look at the table; never blocks.
//
// # Safety
//
// `swimlane` is null or writable, `region` null or readable, `table` null or writable for `core_count` words. As long as the
// object is used, the region and all it names are memory of the subsystem's layout, which everybody else accesses as the C++
// runtime does.
lanepipe_status_t lanepipe_swimlane_init(struct lanepipe_swimlane_t *swimlane,
                                         const struct lanepipe_device_region_t *region,
                                         uint32_t core_count,
                                         uint64_t *table);

// The end of a launch: off. The leader, after the last call; never blocks.
//
// # Safety
//
// `swimlane` is null or writable.
lanepipe_status_t lanepipe_swimlane_finalize(struct lanepipe_swimlane_t *swimlane);

// The level that the region's header had at the start: 0 off, 1 the cores' stream, 2 tasks, 3 phases of the schedulers, 4 of the
// orchestrator, each with those below. 0 while off. The record calls do not look at it. Any thread; never blocks.
//
// # Safety
//
// `swimlane` is null or made by its init call, `level` null or writable.
lanepipe_status_t lanepipe_swimlane_level(const struct lanepipe_swimlane_t *swimlane,
                                          uint32_t *level);

// Records a finished task of `core` as its control thread saw it; times in ticks of the control processors' counter. Hands the
// buffer over if that filled it. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was counted.
// `LANEPIPE_E_INVALID`: no such core. Level 2 and above. The core's control thread; blocks for up to the budget per wait, and only
// when a buffer is full or missing.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_complete_task(struct lanepipe_swimlane_t *swimlane,
                                                  struct lanepipe_device_thread_t *thread,
                                                  int32_t core,
                                                  uint32_t reg_task_id,
                                                  uint64_t dispatch_time,
                                                  uint64_t finish_time);

// Hands the tasks of `core` to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active. `LANEPIPE_DROPPED`: counted as
// lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control thread, at the end of its loop;
// blocks for up to the budget. The core's own stream has `lanepipe_swimlane_flush_core`.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_flush_tasks(struct lanepipe_swimlane_t *swimlane,
                                                struct lanepipe_device_thread_t *thread,
                                                int32_t core);

// Opens the phases of `sched_threads` scheduler threads (at most as many as the architecture has) and `orch_threads` (0 or 1)
// orchestrators: takes the first buffer of each. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` for other counts,
// `LANEPIPE_E_STATE`, and nothing touched, if they are open. The leader, once after `lanepipe_swimlane_init` and before any
// thread uses the object; never blocks.
//
// # Safety
//
// `swimlane` is null or made by its init call.
lanepipe_status_t lanepipe_swimlane_init_phases(struct lanepipe_swimlane_t *swimlane,
                                                uint32_t sched_threads,
                                                uint32_t orch_threads);

// Records a phase of the scheduler that `thread` is. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was
// counted. `LANEPIPE_E_INVALID`: no such kind, or the launch has no phases of this thread. Level 3 and above. The scheduler thread;
// blocks for up to the budget per wait, and only when a buffer is full or missing.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's, `phase` null or readable.
lanepipe_status_t lanepipe_swimlane_record_sched_phase(struct lanepipe_swimlane_t *swimlane,
                                                       struct lanepipe_device_thread_t *thread,
                                                       const struct lanepipe_swimlane_sched_phase_t *phase);

// Records submit `submit_idx` of the orchestrator that `thread` is; times in ticks of the control processors' counter.
// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: the launch has no
// phases of an orchestrator, or the thread has no index yet; nothing was counted. Level 4. The orchestrator; blocks for up to the
// budget per wait, and only when a buffer is full or missing.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_record_orch_phase(struct lanepipe_swimlane_t *swimlane,
                                                      struct lanepipe_device_thread_t *thread,
                                                      uint64_t start_time,
                                                      uint64_t end_time,
                                                      uint64_t task_id,
                                                      uint32_t submit_idx);

// No core of `core_count` is assigned to a thread yet, in the region's header. Nothing without phases. `LANEPIPE_CLOSED` while
// off, `LANEPIPE_E_INVALID` for more cores than the architecture has. One thread, before
// `lanepipe_swimlane_write_core_assignments`; never blocks.
//
// # Safety
//
// `swimlane` is null or made by its init call.
lanepipe_status_t lanepipe_swimlane_init_core_assignments(struct lanepipe_swimlane_t *swimlane,
                                                          uint32_t core_count);

// The cores of a control thread, for the region's header; numbers out of range are passed over. Nothing without phases.
// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` for an index outside of the architecture's threads. One thread at a time; never
// blocks.
//
// # Safety
//
// `swimlane` is null or made by its init call, `cores` null or readable for `core_count` numbers.
lanepipe_status_t lanepipe_swimlane_write_core_assignments(struct lanepipe_swimlane_t *swimlane,
                                                           int32_t thread_index,
                                                           const int32_t *cores,
                                                           uint32_t core_count);

// Hands the phases of the scheduler that `thread` is to the host; as `lanepipe_swimlane_flush_tasks`.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_flush_sched_phases(struct lanepipe_swimlane_t *swimlane,
                                                       struct lanepipe_device_thread_t *thread);

// Hands the submits of the orchestrator that `thread` is to the host; as `lanepipe_swimlane_flush_tasks`.
//
// # Safety
//
// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_flush_orch_phases(struct lanepipe_swimlane_t *swimlane,
                                                      struct lanepipe_device_thread_t *thread);

// A core's stream at the beginning of a launch. Never blocks.
//
// # Safety
//
// `core` is null or writable.
lanepipe_status_t lanepipe_swimlane_core_init(struct lanepipe_swimlane_core_t *core, int32_t index);

// A task is about to be dispatched to the core: before the register is written. Rotates the core's buffers if the active one is
// used up. `LANEPIPE_DROPPED`: the core has no place for the task's record, which the flush counts as lost. `LANEPIPE_CLOSED`:
// off, nothing was counted. `LANEPIPE_E_INVALID`: no such core. The core's control thread; blocks for up to the budget per wait,
// and only for a rotation.
//
// # Safety
//
// `swimlane` and `core` are null or made by their init calls, `thread` is null or the calling thread's.
lanepipe_status_t lanepipe_swimlane_on_aicore_dispatch(struct lanepipe_swimlane_t *swimlane,
                                                       struct lanepipe_device_thread_t *thread,
                                                       struct lanepipe_swimlane_core_t *core,
                                                       uint32_t reg_task_id);

// The core acknowledged or finished a task: publishes the buffers that waited for it. `LANEPIPE_FULL`: one found no room and waits
// on, nothing is lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. After every event of the core. Its
// control thread; blocks for up to the budget, and only if a buffer waited.
//
// # Safety
//
// As for `lanepipe_swimlane_on_aicore_dispatch`.
lanepipe_status_t lanepipe_swimlane_on_aicore_ack(struct lanepipe_swimlane_t *swimlane,
                                                  struct lanepipe_device_thread_t *thread,
                                                  struct lanepipe_swimlane_core_t *core,
                                                  uint32_t reg_task_id);

// Hands all that the core recorded to the host: `published` and `lost` (each may be null) records of it. `LANEPIPE_OK` if any was
// published and none lost, `LANEPIPE_DROPPED` if any was counted as lost, `LANEPIPE_EMPTY` for none at all; the counts are written in
// each of the three. A buffer that finds no room is counted as lost and kept: a further call hands it over if there is room then,
// takes it out of the count of lost records and adds it to `published`; until then it returns `LANEPIPE_DROPPED`.
// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control thread, after the
// core acknowledged its exit: nothing else proves that the last record is in place. Blocks for up to the budget per buffer.
//
// # Safety
//
// `swimlane` and `core` are null or made by their init calls, `thread` is null or the calling thread's, `published` and `lost`
// null or writable.
lanepipe_status_t lanepipe_swimlane_flush_core(struct lanepipe_swimlane_t *swimlane,
                                               struct lanepipe_device_thread_t *thread,
                                               struct lanepipe_swimlane_core_t *core,
                                               uint32_t *published,
                                               uint32_t *lost);

// The library's `LANEPIPE_ABI_VERSION`. Any thread, never blocks.
uint32_t lanepipe_abi_version(void);

// The library's version, "major.minor.patch". A static string. Any thread, never blocks.
const char *lanepipe_version(void);

// Bytes of a wait list: `LANEPIPE_WAIT_LIST_SIZE`. Any thread.
size_t lanepipe_wait_list_size(void);

// Bytes of a side area that holds `overflow` messages, 0 to `LANEPIPE_WAIT_MAX_OVERFLOW`. Any thread.
//
// # Safety
//
// `size` is null or writable.
lanepipe_status_t lanepipe_wait_side_required_size(uint32_t overflow, size_t *size);

// Makes a side area in `length` bytes at `memory`, which is aligned to `LANEPIPE_WAIT_SIDE_ALIGN` and stays the caller's.
// It holds up to `overflow` messages. `flags` is `LANEPIPE_WAIT_TOKENS_COME_BACK` or 0: then messages of tasks that were
// completed lately are dropped and counted. Any thread; nobody else uses the memory, and no call is in it.
//
// # Safety
//
// `memory` is null or writable for `length` bytes; `side` is null or writable.
lanepipe_status_t lanepipe_wait_side_init(void *memory,
                                          size_t length,
                                          uint32_t overflow,
                                          uint32_t flags,
                                          struct lanepipe_wait_side_t **side);

// Makes the list empty and free, and forgets what its side area (may be null) holds. For memory of any contents. Nobody else
// uses the list; the caller publishes the start. From within a callback `LANEPIPE_E_OVERLAP`, as all calls with a side area.
//
// # Safety
//
// `list` is null or has `LANEPIPE_WAIT_LIST_SIZE` bytes; `side` is null or a side area.
lanepipe_status_t lanepipe_wait_list_reset(struct lanepipe_wait_list_t *list,
                                           struct lanepipe_wait_side_t *side);

// One attempt to become the list's consumer: `LANEPIPE_OK`, or `LANEPIPE_BUSY`, in which case nothing was stored. A lock
// word that is neither 0 nor 1 counts as free. Any thread; wait-free.
//
// # Safety
//
// `list` is null or a wait list.
lanepipe_status_t lanepipe_wait_list_try_lock(struct lanepipe_wait_list_t *list);

// Ends being the list's consumer. Whoever has the lock, not from within a callback; wait-free.
//
// # Safety
//
// `list` is null or a wait list.
lanepipe_status_t lanepipe_wait_list_unlock(struct lanepipe_wait_list_t *list);

// Finds the first live entry of task `token`: its address (`AsyncWaitEntry`), or `LANEPIPE_EMPTY`. `side` is the list's side
// area or null. From within a callback `LANEPIPE_E_OVERLAP` with a side area. Whoever has the lock; wait-free.
//
// # Safety
//
// `list` is null or a wait list, `side` null or its side area, `entry` null or writable.
lanepipe_status_t lanepipe_wait_list_find(struct lanepipe_wait_list_t *list,
                                          struct lanepipe_wait_side_t *side,
                                          uint64_t token,
                                          void **entry);

// Appends a condition to `entry` (an `AsyncWaitEntry`, of the list or apart), `*error` 0; or `LANEPIPE_FULL` with `*error`
// 103. In a full entry conditions that hold are dropped and those that include each other merged. From within a callback
// `LANEPIPE_E_OVERLAP` with a side area; without one it is not called there. Whoever has the lock.
//
// # Safety
//
// `list` is null or a wait list, `side` null or its side area, `entry` null or an entry, `error` null or writable.
lanepipe_status_t lanepipe_wait_list_append(struct lanepipe_wait_list_t *list,
                                            struct lanepipe_wait_side_t *side,
                                            void *entry,
                                            uint64_t addr,
                                            uint64_t backend_cookie,
                                            uint32_t expected_value,
                                            uint32_t engine,
                                            int32_t completion_type,
                                            int32_t *error);

// Moves messages from `mailbox` into `list`. `side` is the list's side area, or null: then the list's own unused slots
// hold what it has no room for. `mailbox` may be null: nothing is drained. `ops` may be null: nothing is completed.
// `release` may be null. `thread` is passed to the functions.
//
// A message that cannot be stored stays in the ring; `result->error` says why, and does so again in the next call.
// `LANEPIPE_OK` whenever the call ran; `LANEPIPE_E_OVERLAP` if another consumer was at work on the ring, with `*result` written,
// too. From within a callback of a call with the same side area it does nothing: `LANEPIPE_E_OVERLAP`, all counts of `*result`
// are 0; without a side area it is not called there. Whoever has the lock; at most `ops->budget` messages, never blocks.
//
// # Safety
//
// `list` is null or a wait list, `side` null or its side area, `mailbox` null or a mailbox. Structures are null or
// readable, `result` null or writable. Functions are callable; addresses in conditions are those of live words.
lanepipe_status_t lanepipe_wait_list_drain(struct lanepipe_wait_list_t *list,
                                           struct lanepipe_wait_side_t *side,
                                           struct lanepipe_mailbox_t *mailbox,
                                           const struct lanepipe_wait_ops_t *ops,
                                           const struct lanepipe_wait_release_t *release,
                                           int32_t thread,
                                           struct lanepipe_wait_result_t *result);

// Tries the lock, drains as `lanepipe_wait_list_drain` does, polls the conditions of all tasks once, completes those that
// have everything, and unlocks. `LANEPIPE_BUSY` if somebody else has the lock: all counts of `*result` are 0. A failure of
// the drain ends the call before anything is polled; counts are kept. From within a callback it is `LANEPIPE_BUSY`, too: the
// lock is held. Any thread; never blocks.
//
// # Safety
//
// As for `lanepipe_wait_list_drain`.
lanepipe_status_t lanepipe_wait_list_poll(struct lanepipe_wait_list_t *list,
                                          struct lanepipe_wait_side_t *side,
                                          struct lanepipe_mailbox_t *mailbox,
                                          const struct lanepipe_wait_ops_t *ops,
                                          const struct lanepipe_wait_release_t *release,
                                          int32_t thread,
                                          struct lanepipe_wait_result_t *result);

// Tests a condition (`CompletionCondition`) with the built-in backends of `variant`: `*state` is `LANEPIPE_WAIT_PENDING`,
// `_READY` or `_FAILED`, then with `*error`. `invalidate` may be null. Whoever has the lock.
//
// # Safety
//
// `condition` is null or a condition whose words live; the other pointers are null or writable.
lanepipe_status_t lanepipe_wait_test_condition(uint32_t variant,
                                               void *condition,
                                               lanepipe_wait_invalidate_fn_t invalidate,
                                               void *context,
                                               int32_t *state,
                                               int32_t *error);

// What waits, for a watchdog that must not take a task's wait for a hang. `side` is the list's side area or null. Whoever
// has the lock, or at rest; from within a callback `LANEPIPE_E_OVERLAP` with a side area.
//
// # Safety
//
// `list` is null or a wait list, `side` null or its side area, `info` null or writable.
lanepipe_status_t lanepipe_wait_list_get_info(struct lanepipe_wait_list_t *list,
                                              struct lanepipe_wait_side_t *side,
                                              struct lanepipe_wait_info_t *info);

// Tasks in the list, for a gate. Any thread, a hint without the lock; wait-free.
//
// # Safety
//
// `list` is null or a wait list, `tasks` null or writable.
lanepipe_status_t lanepipe_wait_list_get_count(struct lanepipe_wait_list_t *list, uint32_t *tasks);

#if defined(LANEPIPE_HOST)
// Allocates the shared region, the buffers, and arenas, staging rings or tables where the subsystem has them, and writes the
// region on the device, too. Nothing is started. One collector serves one run; a further run has a further one. Allocates
// and copies; any thread.
//
// `LANEPIPE_E_INVALID` for a value out of range, `LANEPIPE_E_NULL` for a missing callback, `LANEPIPE_E_MISALIGNED` for an
// allocation that is not aligned to 64 bytes, `LANEPIPE_E_NO_MEMORY`, `LANEPIPE_E_TOO_LARGE`, `LANEPIPE_E_CALLBACK`;
// everything is given back then, and `error`, unless it is null, tells more.
//
// # Safety
//
// Pointers are null or valid as described. What the configuration names stays valid until the collector is destroyed.
lanepipe_status_t lanepipe_collector_create(const struct lanepipe_collector_config_t *config,
                                            struct lanepipe_error_t *error,
                                            struct lanepipe_collector_t **collector);
#endif

#if defined(LANEPIPE_HOST)
// Where the device finds the subsystem. Any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_region(const struct lanepipe_collector_t *collector,
                                                struct lanepipe_collector_region_t *region);
#endif

#if defined(LANEPIPE_HOST)
// Fills the free queues and starts the threads, as `lanepipe_profiler_start` does; the device's initialisers run afterwards.
// After a stop it goes on with the same region. `LANEPIPE_E_STATE` while it runs, and once
// `lanepipe_collector_recover` was called; `LANEPIPE_BUSY` while another thread is inside start, stop, recover or reconcile;
// `LANEPIPE_E_THREAD` if the factory fails, `LANEPIPE_E_CORRUPT` for a ready head that is out of range, and
// `LANEPIPE_E_NO_MEMORY`: nothing is left running. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_start(struct lanepipe_collector_t *collector);
#endif

#if defined(LANEPIPE_HOST)
// Collects every entry that the device published before the call, then ends and joins all threads, as
// `lanepipe_profiler_stop` does. The device must be quiet. `LANEPIPE_TIMED_OUT` after `timeout_ns` nanoseconds
// (`LANEPIPE_FOREVER`: no limit): a later stop may finish. `LANEPIPE_BUSY` while another thread is inside start or stop.
// Success on a collector that does not run. Works on a poisoned collector too. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_stop(struct lanepipe_collector_t *collector,
                                          uint64_t timeout_ns);
#endif

#if defined(LANEPIPE_HOST)
// `LANEPIPE_PROFILER_*` state. Any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_state(const struct lanepipe_collector_t *collector, uint32_t *state);
#endif

#if defined(LANEPIPE_HOST)
// Gives back everything: threads are gone already, records, buffers, region. The device must not use any of it any more.
// Null is allowed. `LANEPIPE_BUSY` while threads run. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_destroy(struct lanepipe_collector_t *collector);
#endif

#if defined(LANEPIPE_HOST)
// Run `position` of the stored records of an instance, from 0 on in the order in which they came; `LANEPIPE_EMPTY` beyond
// the last. The records stay valid until the collector is started or destroyed. `LANEPIPE_E_STATE` while threads run,
// `LANEPIPE_E_INVALID` for an instance that there is not, `LANEPIPE_BUSY` while another thread is inside start, recover,
// reconcile or read. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_read(const struct lanepipe_collector_t *collector,
                                          uint32_t kind,
                                          uint32_t instance,
                                          uint64_t position,
                                          struct lanepipe_records_t *records);
#endif

#if defined(LANEPIPE_HOST)
// What the collector knows of a kind. `LANEPIPE_E_INVALID` for one that there is not. Any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_kind(const struct lanepipe_collector_t *collector,
                                              uint32_t kind,
                                              struct lanepipe_kind_info_t *info);
#endif

#if defined(LANEPIPE_HOST)
// Collects what the device never handed over: entries left in ready queues after failed transfers, then the records in
// active buffers. Each once, whatever was collected before; a second call finds nothing more. Stores how many records this
// call brought in `records`, unless that is null. The device must be quiet, and the run is over: no start afterwards.
// `LANEPIPE_E_STATE` while threads run, `LANEPIPE_BUSY` while another thread is inside start, recover, reconcile or read,
// `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied: what could be delivered has been, and another
// call may go on. Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_recover(struct lanepipe_collector_t *collector,
                                             uint64_t *records);
#endif

#if defined(LANEPIPE_HOST)
// Reads the device's counters and makes the books, any number of times; messages tell what the run lost. The device must
// be quiet. `LANEPIPE_E_STATE` while threads run, `LANEPIPE_BUSY` as for `lanepipe_collector_recover`,
// `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied, `LANEPIPE_E_NO_MEMORY`: earlier books stay.
// Owner thread.
//
// # Safety
//
// Pointers are null or valid as described, and the calling thread has the role described.
lanepipe_status_t lanepipe_collector_reconcile(struct lanepipe_collector_t *collector);
#endif

#if defined(LANEPIPE_HOST)
// What the last `lanepipe_collector_reconcile` found, of one instance, or summed up over `LANEPIPE_ALL_INSTANCES` of a kind
// or `LANEPIPE_ALL_KINDS`. `LANEPIPE_E_STATE` before the first, `LANEPIPE_E_INVALID` for an instance that there is not. Any
// thread; takes a lock.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_books(const struct lanepipe_collector_t *collector,
                                               uint32_t kind,
                                               uint32_t instance,
                                               struct lanepipe_books_t *books);
#endif

#if defined(LANEPIPE_HOST)
// Records collected so far. Any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_collected(const struct lanepipe_collector_t *collector, uint64_t *records);
#endif

#if defined(LANEPIPE_HOST)
// Counters of device ready queue `queue`; `copy_failed` stays 0, since the books tell what was lost. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_queue_stats(const struct lanepipe_collector_t *collector,
                                                     uint32_t queue,
                                                     struct lanepipe_queue_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// Counters of shard `shard`. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_shard_stats(const struct lanepipe_collector_t *collector,
                                                     uint32_t shard,
                                                     struct lanepipe_shard_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// Counters of the gates. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_gate_stats(const struct lanepipe_collector_t *collector,
                                                    struct lanepipe_gate_stats_t *stats);
#endif

#if defined(LANEPIPE_HOST)
// The last fault of a worker thread. Lock-free, any thread.
//
// # Safety
//
// Pointers are null or valid as described.
lanepipe_status_t lanepipe_collector_get_fault(const struct lanepipe_collector_t *collector,
                                               struct lanepipe_fault_t *fault);
#endif

#if !defined(LANEPIPE_HOST)
// Supplied by the device image: called if the library meets an internal error, which no function can reach.
extern void lanepipe_device_abort(void);
#endif

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LANEPIPE_LANEPIPE_H_ */
