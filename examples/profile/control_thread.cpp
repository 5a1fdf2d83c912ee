// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What a control thread does, hook by hook. A core is simulated by the thread that owns it.
#include <algorithm>
#include <thread>

#include "lanepipe/staging_ring.h"

#include "clock.hpp"
#include "device.hpp"

namespace profile {
namespace {

constexpr uint32_t kStagingSlots = 2;
constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kRingHeap = uint64_t{1} << 40;
// Looks at the time limit once in so many events.
constexpr uint64_t kEventsPerLook = 64;

} // namespace

void Parked::add(const Parked &other) {
    count += other.count;
    total_ns += other.total_ns;
    max_ns = std::max(max_ns, other.max_ns);
}

ControlThread::ControlThread(Device &device, uint32_t index) : device_(device), index_(index) {
    const Load &load = device.load_;
    clock_.ns_per_tick = kNanosecondsPerSecond / load.arch->clock_hz;
    for (lanepipe_device_thread_t &end : ends_) {
        end = lanepipe_device_thread_t{};
        end.struct_size = sizeof(end);
        end.index = static_cast<int32_t>(index);
        end.context = &clock_;
        end.now = now;
        end.relax = relax;
    }
    for (uint32_t core = 0; core < load.cores; ++core) {
        if (load.core_to_thread[core] == index) {
            cores_.push_back(static_cast<int32_t>(core));
        }
    }
}

bool ControlThread::is_orchestrator() const { return index_ == device_.load_.orchestrator(); }

uint64_t ControlThread::now(void *clock) { return now_ns() / static_cast<const Clock *>(clock)->ns_per_tick; }

// A device thread has a processor of its own, a simulated one shares it with the host: it yields first, then naps.
void ControlThread::relax(void *context) {
    Clock &clock = *static_cast<Clock *>(context);
    if (clock.rounds == 0) {
        clock.since_ns = now_ns();
    }
    if (++clock.rounds < 64) {
        std::this_thread::yield();
    } else {
        sleep_ns(20000);
    }
}

template <typename Call> lanepipe_status_t ControlThread::hook(uint32_t subsystem, Call &&call) {
    const lanepipe_status_t status = call(&ends_[subsystem]);
    if (clock_.rounds != 0) {
        const uint64_t ns = now_ns() - clock_.since_ns;
        parked_[subsystem].add(Parked{1, ns, ns});
        clock_.rounds = 0;
    }
    if (status < 0 || status == LANEPIPE_CLOSED) {
        device_.note_refusal(status);
    }
    return status;
}

template <typename Call> void ControlThread::record(uint32_t flow, uint32_t instance, Call &&call) {
    Tally &tally = device_.tallies_[flow][instance];
    const lanepipe_status_t status = hook(subsystem_of(flow), call);
    ++tally.offered;
    tally.mismatch += status == LANEPIPE_MISMATCH ? 1 : 0;
}

void ControlThread::run(uint64_t start_ns) {
    const uint64_t begin = now_ns();
    const Load &load = device_.load_;
    const std::unique_ptr<EventSource> source = load.source(index_);
    if (is_orchestrator()) {
        prepare_orchestrator();
    }
    Event event;
    for (uint64_t number = 0; (!is_over_ || in_flight_ != 0) && source->next(event); ++number) {
        is_over_ = is_over_ || !wait_for(event, start_ns, number);
        // In the end tasks that were dispatched are still waited for; others never begin.
        if (!is_over_ || is_in_flight(event)) {
            handle(event);
        }
    }
    if (device_.options_.flush) {
        is_orchestrator() ? flush_orchestrator() : flush_scheduler();
    }
    is_orchestrator() ? end_orchestrator() : end_cores();
    run_ns_ = now_ns() - begin;
    finished_.store(true, std::memory_order_release);
}

// Waits until the event is due. False if the program is over before.
bool ControlThread::wait_for(const Event &event, uint64_t start_ns, uint64_t number) const {
    const Load &load = device_.load_;
    const uint64_t end = load.limit_ns != 0 ? start_ns + load.limit_ns : UINT64_MAX;
    if (load.cycles_per_ns != 0) {
        const uint64_t due =
            start_ns + static_cast<uint64_t>(static_cast<double>(event.recorded_at()) / load.cycles_per_ns);
        for (uint64_t now = now_ns(); now < std::min(due, end); now = now_ns()) {
            sleep_ns(std::min(due, end) - now);
        }
        if (due >= end) {
            return false;
        }
    }
    return end == UINT64_MAX || number % kEventsPerLook != 0 || now_ns() < end;
}

bool ControlThread::is_in_flight(const Event &event) const {
    return event.type == Event::kTaskEvent &&
           device_.cores_[event.unit]->finished < device_.cores_[event.unit]->dispatched;
}

void ControlThread::handle(const Event &event) {
    switch (event.type) {
    case Event::kDispatchEvent:
        dispatch(event);
        break;
    case Event::kTaskEvent:
        finish(event);
        break;
    case Event::kSchedEvent:
        schedule(event);
        break;
    case Event::kScopeEvent:
        scope(event);
        break;
    default:
        submit(event);
        break;
    }
    progress_.store(progress_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void ControlThread::dispatch(const Event &task) {
    Device::Core &core = *device_.cores_[task.unit];
    const uint32_t reg = Contents::reg_of(core.dispatched);
    dump_arguments(task);
    if (device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE)) {
        // A task without a place is counted as lost at the flush.
        Tally &tally = device_.tallies_[kAicore][task.unit];
        const lanepipe_status_t status = hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_on_aicore_dispatch(&device_.swimlane_, thread, &core.stream, reg);
        });
        ++tally.offered;
        // The core: is done with the task before, takes this one, a place for its record, then acknowledges.
        device_.commit_record(core);
        uint64_t &place = core.reserved[reg % core.reserved.size()];
        place = 0;
        const lanepipe_status_t reserved = lanepipe_swimlane_aicore_reserve(&core.local, core.head, &place);
        if (status == LANEPIPE_OK || reserved != LANEPIPE_EMPTY) {
            device_.expect_ok(reserved);
        }
        (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_on_aicore_ack(&device_.swimlane_, thread, &core.stream, reg);
        });
    }
    ++core.dispatched;
    ++in_flight_;
}

void ControlThread::finish(const Event &task) {
    Device::Core &core = *device_.cores_[task.unit];
    const uint64_t position = core.finished;
    const uint32_t reg = Contents::reg_of(position);
    const bool has_swimlane = device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE);
    if (device_.has(LANEPIPE_SUBSYSTEM_PMU)) {
        // The core: closes the counting window, hands its counters over where it does so itself, then reports.
        const PmuRecord &counters = core.registers.counters = device_.contents_.pmu(task, position);
        const uint64_t every = device_.options_.mismatch;
        if (device_.load_.arch->has_staging_ring && (every == 0 || (position + 1) % every != 0)) {
            auto *slot = static_cast<PmuRecord *>(
                lanepipe_staging_slot(reinterpret_cast<void *>(core.staging), kStagingSlots, sizeof(PmuRecord), reg));
            slot->cycles = counters.cycles;
            std::copy(std::begin(counters.counters), std::end(counters.counters), slot->counters);
            lanepipe_staging_publish64(slot, &slot->token, reg);
        }
    }
    if (has_swimlane) {
        (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_on_aicore_ack(&device_.swimlane_, thread, &core.stream, reg);
        });
    }
    dump_arguments(task);
    if (has_swimlane && device_.options_.level >= 2) {
        const TaskRecord record = device_.contents_.task(task, position);
        this->record(kTask, task.unit, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_complete_task(&device_.swimlane_, thread, static_cast<int32_t>(task.unit), reg,
                                                   record.dispatch, record.finish);
        });
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_PMU)) {
        append_counters(task, position);
    }
    if (has_swimlane) {
        // The core writes its record after it has reported the task, and before it acknowledges the next: as late as
        // that, so that the buffers rotate while it is due.
        core.record = device_.contents_.aicore(task, position);
        core.has_record = true;
    }
    ++core.finished;
    --in_flight_;
}

void ControlThread::append_counters(const Event &task, uint64_t position) {
    const Device::Core &core = *device_.cores_[task.unit];
    const PmuRecord &counters = core.registers.counters;
    record(kPmu, task.unit, [&](lanepipe_device_thread_t *thread) {
        return device_.load_.arch->has_staging_ring
                   ? lanepipe_pmu_complete_record(&device_.pmu_, thread, static_cast<int32_t>(task.unit),
                                                  Contents::reg_of(position), counters.token, counters.function,
                                                  counters.core_type)
                   : lanepipe_pmu_record_task(&device_.pmu_, thread, &core.counters, &device_.registers_,
                                              counters.token, counters.function, counters.core_type);
    });
}

void ControlThread::dump_arguments(const Event &task) {
    // After the end dispatches are left out, and so are all arguments: positions count them in the order of the
    // program.
    if (!device_.has(LANEPIPE_SUBSYSTEM_ARGS_DUMP) || is_over_) {
        return;
    }
    for (uint32_t argument = 0; argument < task.arguments; ++argument) {
        if (Contents::is_dumped_at(task, argument)) {
            lanepipe_args_dump_info_t info = device_.contents_.argument(task, positions_[kArgsDump]++, argument);
            info.buffer_addr = device_.payloads_;
            record(kArgsDump, index_, [&](lanepipe_device_thread_t *thread) {
                return lanepipe_args_dump_record(&device_.args_dump_, thread, &info);
            });
        }
    }
}

void ControlThread::schedule(const Event &event) {
    if (!device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE) || device_.options_.level < 3) {
        return;
    }
    const SchedRecord record = device_.contents_.sched(event, positions_[kSched]++);
    lanepipe_swimlane_sched_phase_t phase{};
    phase.struct_size = sizeof(phase);
    phase.kind = record.kind;
    phase.start_time = record.start;
    phase.end_time = record.end;
    phase.loop_iter = record.loop;
    phase.tasks_processed = record.tasks;
    std::copy(std::begin(record.data), std::end(record.data), phase.data);
    std::copy(std::begin(record.shared_at_start), std::end(record.shared_at_start), phase.shared_at_start);
    std::copy(std::begin(record.shared_at_end), std::end(record.shared_at_end), phase.shared_at_end);
    this->record(kSched, index_, [&](lanepipe_device_thread_t *thread) {
        return lanepipe_swimlane_record_sched_phase(&device_.swimlane_, thread, &phase);
    });
}

void ControlThread::submit(const Event &event) {
    if (event.type == Event::kOrchEvent) {
        if (device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE) && device_.options_.level >= 4) {
            const OrchRecord record = device_.contents_.orch(event, positions_[kOrch]++);
            this->record(kOrch, 0, [&](lanepipe_device_thread_t *thread) {
                return lanepipe_swimlane_record_orch_phase(&device_.swimlane_, thread, record.start, record.end,
                                                           record.token, record.submit);
            });
        }
        return;
    }
    if (!device_.has(LANEPIPE_SUBSYSTEM_DEP_GEN)) {
        return;
    }
    device_.contents_.submit(event, positions_[kDepGen]++, submit_);
    const void *tensors[kMaxArguments];
    for (uint32_t i = 0; i < event.arguments; ++i) {
        tensors[i] = &submit_.tensors[size_t{i} * 128];
    }
    lanepipe_dep_gen_submit_t submit{};
    submit.struct_size = sizeof(submit);
    submit.task_id = event.token;
    submit.tensors = tensors;
    submit.arg_types = submit_.types.data();
    submit.deps = submit_.deps.data();
    submit.kernel_ids = submit_.kernels;
    submit.tensor_count = static_cast<int32_t>(event.arguments);
    submit.dep_count = static_cast<int32_t>(submit_.deps.size());
    submit.block_num = submit_.blocks;
    record(kDepGen, 0, [&](lanepipe_device_thread_t *thread) {
        return lanepipe_dep_gen_record_submit(&device_.dep_gen_, thread, &submit);
    });
}

void ControlThread::scope(const Event &event) {
    if (!device_.has(LANEPIPE_SUBSYSTEM_SCOPE_STATS)) {
        return;
    }
    const ScopeRecord record = device_.contents_.scope(event, positions_[kScopeStats]++);
    lanepipe_scope_sample_t sample{};
    sample.struct_size = sizeof(sample);
    sample.ring_id = record.ring;
    sample.task_start = record.task_start;
    sample.task_end = record.task_end;
    sample.heap_start = record.heap_start;
    sample.heap_end = record.heap_end;
    sample.dep_pool_start = record.dep_pool_start;
    sample.dep_pool_end = record.dep_pool_end;
    sample.tensormap_used = record.tensormap_used;
    if (event.begins) {
        device_.expect_ok(lanepipe_scope_stats_set_pending_site(&device_.scope_stats_,
                                                                Contents::scope_path(event.depth), record.line));
    }
    this->record(kScopeStats, 0, [&](lanepipe_device_thread_t *thread) {
        return event.begins ? lanepipe_scope_stats_begin(&device_.scope_stats_, thread, &sample)
                            : lanepipe_scope_stats_end(&device_.scope_stats_, thread, &sample);
    });
}

void ControlThread::prepare_orchestrator() {
    if (device_.has(LANEPIPE_SUBSYSTEM_SCOPE_STATS)) {
        for (int32_t ring = 0; ring < 4; ++ring) {
            device_.expect_ok(
                lanepipe_scope_stats_set_ring_capacity(&device_.scope_stats_, ring, 1024, kRingHeap, 4096));
        }
        device_.expect_ok(lanepipe_scope_stats_set_tensormap_capacity(&device_.scope_stats_, 65536));
    }
}

void ControlThread::flush_scheduler() {
    if (device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE)) {
        for (const int32_t core : cores_) {
            (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
                return lanepipe_swimlane_flush_tasks(&device_.swimlane_, thread, core);
            });
        }
        if (device_.options_.level >= 3) {
            (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
                return lanepipe_swimlane_flush_sched_phases(&device_.swimlane_, thread);
            });
        }
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_ARGS_DUMP)) {
        (void)hook(LANEPIPE_SUBSYSTEM_ARGS_DUMP, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_args_dump_flush(&device_.args_dump_, thread);
        });
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_PMU)) {
        for (const int32_t core : cores_) {
            (void)hook(LANEPIPE_SUBSYSTEM_PMU, [&](lanepipe_device_thread_t *thread) {
                return lanepipe_pmu_flush(&device_.pmu_, thread, core);
            });
        }
    }
}

// The counters are put back before the cores are told to exit; what these have recorded is in place when they have
// acknowledged it, not before.
void ControlThread::end_cores() {
    for (const int32_t index : cores_) {
        Device::Core &core = *device_.cores_[index];
        if (device_.has(LANEPIPE_SUBSYSTEM_PMU)) {
            device_.expect_ok(lanepipe_pmu_core_restore(&device_.pmu_, &core.counters, &device_.registers_));
        }
    }
    for (const int32_t index : cores_) {
        Device::Core &core = *device_.cores_[index];
        if (device_.has(LANEPIPE_SUBSYSTEM_PMU)) {
            device_.misprogrammed_ += core.registers.is_restored() ? 0 : 1;
        }
        device_.commit_record(core);
    }
    if (!device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE) || !device_.options_.flush) {
        return;
    }
    for (const int32_t index : cores_) {
        (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_flush_core(&device_.swimlane_, thread, &device_.cores_[index]->stream, nullptr,
                                                nullptr);
        });
    }
}

void ControlThread::flush_orchestrator() {
    if (device_.has(LANEPIPE_SUBSYSTEM_DEP_GEN)) {
        (void)hook(LANEPIPE_SUBSYSTEM_DEP_GEN,
                   [&](lanepipe_device_thread_t *thread) { return lanepipe_dep_gen_flush(&device_.dep_gen_, thread); });
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_SCOPE_STATS)) {
        (void)hook(LANEPIPE_SUBSYSTEM_SCOPE_STATS, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_scope_stats_flush(&device_.scope_stats_, thread);
        });
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE) && device_.options_.level >= 4) {
        (void)hook(LANEPIPE_SUBSYSTEM_SWIMLANE, [&](lanepipe_device_thread_t *thread) {
            return lanepipe_swimlane_flush_orch_phases(&device_.swimlane_, thread);
        });
    }
}

void ControlThread::end_orchestrator() {
    if (device_.has(LANEPIPE_SUBSYSTEM_SWIMLANE) && device_.options_.level >= 3) {
        device_.expect_ok(lanepipe_swimlane_init_core_assignments(&device_.swimlane_, device_.load_.cores));
        for (uint32_t thread = 0; thread < device_.load_.schedulers(); ++thread) {
            const std::vector<int32_t> &cores = device_.threads_[thread]->cores_;
            device_.expect_ok(lanepipe_swimlane_write_core_assignments(
                &device_.swimlane_, static_cast<int32_t>(thread), cores.data(), static_cast<uint32_t>(cores.size())));
        }
    }
    if (device_.has(LANEPIPE_SUBSYSTEM_SCOPE_STATS)) {
        device_.expect_ok(lanepipe_scope_stats_finalize(&device_.scope_stats_));
    }
    // Whether the subsystem is on or not.
    device_.expect_ok(lanepipe_dep_gen_finalize(&device_.dep_gen_));
}

} // namespace profile
