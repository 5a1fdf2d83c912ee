// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The five device subsystems for C++17: thin values over lanepipe.h, for the host's and the device's archive alike.
//
// As in lanepipe.hpp, argument order, thread rules and meaning of every call are those of the C function that it
// forwards to. A subsystem's object is off until its begin() succeeds, and again after its end(), which its destructor
// calls, too; of ScopeStats these are begin_launch() and end_launch(), for begin() and end() are those of a scope. What
// begins is refused with LANEPIPE_E_VERSION, and nothing done, unless abi_matches(). Threads keep references to an
// object, so that it is neither copied nor moved; what a thread keeps of itself or of a core is not copied either,
// since two copies would publish the same buffers twice.
#ifndef LANEPIPE_SUBSYSTEMS_HPP_
#define LANEPIPE_SUBSYSTEMS_HPP_

#include "base.hpp"

#include <cstdint>
#include <type_traits>
#include <utility>

namespace lanepipe {

using DeviceLosses = lanepipe_device_losses_t;
using DepGenSubmit = Sized<lanepipe_dep_gen_submit_t>;
using ScopeSample = Sized<lanepipe_scope_sample_t>;
using SchedPhase = Sized<lanepipe_swimlane_sched_phase_t>;

enum class Arch : uint32_t { kA2a3 = LANEPIPE_ARCH_A2A3, kA5 = LANEPIPE_ARCH_A5 };

// Starts zeroed.
struct ArgsDumpInfo : lanepipe_args_dump_info_t {
    constexpr ArgsDumpInfo() noexcept : lanepipe_args_dump_info_t{} {}
};

// A subsystem's region for one launch.
struct DeviceRegion : Sized<lanepipe_device_region_t> {
    DeviceRegion(Arch architecture, uint64_t address, uint64_t ticks = LANEPIPE_DEVICE_BUDGET_OF_ARCH) noexcept {
        arch = static_cast<uint32_t>(architecture);
        base = address;
        budget = ticks;
    }
};

namespace detail {

template <typename T, typename = void> struct HasRelax : std::false_type {};
template <typename T> struct HasRelax<T, std::void_t<decltype(std::declval<T &>().relax())>> : std::true_type {};

// Begins with a call of the library, if it is the header's.
template <typename... Parameters, typename... Arguments>
Status begin(lanepipe_status_t (*call)(Parameters...), Arguments... arguments) noexcept {
    return abi_matches() ? call(arguments...) : LANEPIPE_E_VERSION;
}

// What all objects of subsystems have in common.
template <typename Raw, lanepipe_status_t (*Finalize)(Raw *)> class Launch {
  public:
    Launch(const Launch &) = delete;
    Launch &operator=(const Launch &) = delete;

    Status end() noexcept { return Finalize(&raw_); }
    Raw *capi() noexcept { return &raw_; }

  protected:
    Launch() noexcept = default;
    ~Launch() { (void)Finalize(&raw_); }

    Raw raw_{};
};

} // namespace detail

// A control thread in one subsystem, for one launch. A clock has `uint64_t now()`, and may have `void relax()`, which
// is called between two looks; it outlives the thread. Neither throws or uses the thread.
class DeviceThread {
  public:
    // Index of its ready queue; below 0: not known yet.
    template <typename Clock> DeviceThread(int32_t index, Clock &clock) noexcept {
        raw_.index = index;
        raw_.context = &clock;
        raw_.now = [](void *context) noexcept -> uint64_t { return static_cast<Clock *>(context)->now(); };
        if constexpr (detail::HasRelax<Clock>::value) {
            raw_.relax = [](void *context) noexcept { static_cast<Clock *>(context)->relax(); };
        }
    }
    DeviceThread(const DeviceThread &) = delete;
    DeviceThread &operator=(const DeviceThread &) = delete;

    void set_index(int32_t index) noexcept { raw_.index = index; }
    int32_t index() const noexcept { return raw_.index; }
    const DeviceLosses &losses() const noexcept { return raw_.losses; }

    lanepipe_device_thread_t *capi() noexcept { return &raw_; }

  private:
    Sized<lanepipe_device_thread_t> raw_;
};

// A core whose counters are programmed; a base of 0: it has no registers.
class PmuCore {
  public:
    PmuCore(int32_t index, uint64_t register_base) noexcept {
        (void)lanepipe_pmu_core_init(&raw_, index, register_base);
    }
    PmuCore(const PmuCore &) = delete;
    PmuCore &operator=(const PmuCore &) = delete;

    lanepipe_pmu_core_t *capi() noexcept { return &raw_; }
    const lanepipe_pmu_core_t *capi() const noexcept { return &raw_; }

  private:
    lanepipe_pmu_core_t raw_;
};

// Access to registers through an object with `uint32_t read(uint64_t base, uint32_t offset)` and
// `void write(uint64_t base, uint32_t offset, uint32_t value)`, which outlives it. Neither throws.
struct PmuRegisters : Sized<lanepipe_pmu_registers_t> {
    template <typename Access, typename = std::enable_if_t<!std::is_base_of_v<PmuRegisters, Access>>>
    explicit PmuRegisters(Access &access) noexcept {
        context = &access;
        read = [](void *self, uint64_t base, uint32_t offset) noexcept -> uint32_t {
            return static_cast<Access *>(self)->read(base, offset);
        };
        write = [](void *self, uint64_t base, uint32_t offset, uint32_t value) noexcept {
            static_cast<Access *>(self)->write(base, offset, value);
        };
    }
};

// Counters of tasks. Shared by the control threads.
class Pmu : public detail::Launch<lanepipe_pmu_t, lanepipe_pmu_finalize> {
  public:
    Status begin(const DeviceRegion &region, uint32_t core_count) noexcept {
        return detail::begin(lanepipe_pmu_init, &raw_, &region, core_count);
    }

    Status program(PmuCore &core, const PmuRegisters &registers) noexcept {
        return lanepipe_pmu_core_program(&raw_, core.capi(), &registers);
    }
    Status restore(PmuCore &core, const PmuRegisters &registers) noexcept {
        return lanepipe_pmu_core_restore(&raw_, core.capi(), &registers);
    }

    Status record_task(DeviceThread &thread, const PmuCore &core, const PmuRegisters &registers, uint64_t task_id,
                       uint32_t func_id, uint32_t core_type) noexcept {
        return lanepipe_pmu_record_task(&raw_, thread.capi(), core.capi(), &registers, task_id, func_id, core_type);
    }
    Status complete_record(DeviceThread &thread, int32_t core, uint32_t reg_task_id, uint64_t task_id, uint32_t func_id,
                           uint32_t core_type) noexcept {
        return lanepipe_pmu_complete_record(&raw_, thread.capi(), core, reg_task_id, task_id, func_id, core_type);
    }

    Status flush(DeviceThread &thread, int32_t core) noexcept { return lanepipe_pmu_flush(&raw_, thread.capi(), core); }
};

// Submits and what they depend on. The orchestrator's.
class DepGen : public detail::Launch<lanepipe_dep_gen_t, lanepipe_dep_gen_finalize> {
  public:
    Status begin(const DeviceRegion &region) noexcept { return detail::begin(lanepipe_dep_gen_init, &raw_, &region); }

    Status record_submit(DeviceThread &thread, const DepGenSubmit &submit) noexcept {
        return lanepipe_dep_gen_record_submit(&raw_, thread.capi(), &submit);
    }

    Status flush(DeviceThread &thread) noexcept { return lanepipe_dep_gen_flush(&raw_, thread.capi()); }
};

// Arguments of tasks and their contents. Shared by the control threads.
class ArgsDump : public detail::Launch<lanepipe_args_dump_t, lanepipe_args_dump_finalize> {
  public:
    Status begin(const DeviceRegion &region, uint32_t thread_count) noexcept {
        return detail::begin(lanepipe_args_dump_init, &raw_, &region, thread_count);
    }

    // 0 while off.
    uint32_t level() const noexcept {
        uint32_t level = 0;
        (void)lanepipe_args_dump_level(&raw_, &level);
        return level;
    }

    // Whether anything of a task with that mask of marked arguments is dumped; true while off.
    bool wants_task(uint64_t mask) const noexcept {
        uint32_t wanted = 0;
        (void)lanepipe_args_dump_wants_task(&raw_, mask, &wanted);
        return wanted != 0;
    }
    // The same of one argument.
    bool wants_arg(uint64_t mask, int32_t arg_index) const noexcept {
        uint32_t wanted = 0;
        (void)lanepipe_args_dump_wants_arg(&raw_, mask, arg_index, &wanted);
        return wanted != 0;
    }
    // Whether an argument has its bit in a mask; false for an index outside of 0 to 63.
    static bool has_arg_flag(uint64_t mask, int32_t arg_index) noexcept {
        uint32_t marked = 0;
        (void)lanepipe_args_dump_has_arg_flag(mask, arg_index, &marked);
        return marked != 0;
    }
    // LANEPIPE_ARGS_DUMP_ROLE_*, LANEPIPE_ARGS_DUMP_STAGE_*; false for what is none.
    static bool wants_stage(uint32_t role, uint32_t stage) noexcept {
        uint32_t wanted = 0;
        (void)lanepipe_args_dump_wants_stage(role, stage, &wanted);
        return wanted != 0;
    }
    // LANEPIPE_ARG_DIRECTION_*; LANEPIPE_EMPTY for a scalar.
    static Status role_of_direction(uint32_t direction, uint32_t &role) noexcept {
        return lanepipe_args_dump_role_of_direction(direction, &role);
    }

    Status record(DeviceThread &thread, const lanepipe_args_dump_info_t &info) noexcept {
        return lanepipe_args_dump_record(&raw_, thread.capi(), &info);
    }

    Status flush(DeviceThread &thread) noexcept { return lanepipe_args_dump_flush(&raw_, thread.capi()); }
};

// Masks of arguments and types of scalars: 2.3 MB, for instance a static object. Shared by all threads.
class ArgsDumpTables {
  public:
    ArgsDumpTables() noexcept = default;
    ArgsDumpTables(const ArgsDumpTables &) = delete;
    ArgsDumpTables &operator=(const ArgsDumpTables &) = delete;

    // `run`: new for each launch.
    Status begin(uint32_t run) noexcept { return detail::begin(lanepipe_args_dump_tables_begin, &raw_, run); }

    Status set_mask(uint64_t task_id, uint64_t mask, uint64_t flags) noexcept {
        return lanepipe_args_dump_set_task_mask(&raw_, task_id, mask, flags);
    }
    Status get_mask(uint64_t task_id, uint64_t &mask, uint64_t &flags) noexcept {
        return lanepipe_args_dump_get_task_mask(&raw_, task_id, &mask, &flags);
    }

    Status set_scalar_dtypes(uint64_t task_id, uint32_t count, const uint8_t *dtypes) noexcept {
        return lanepipe_args_dump_set_task_scalar_dtypes(&raw_, task_id, count, dtypes);
    }
    Status get_scalar_dtypes(uint64_t task_id, uint32_t &count,
                             uint8_t (&dtypes)[LANEPIPE_ARGS_DUMP_MAX_SCALARS]) noexcept {
        return lanepipe_args_dump_get_task_scalar_dtypes(&raw_, task_id, &count, dtypes);
    }

    lanepipe_args_dump_tables_t *capi() noexcept { return &raw_; }

  private:
    lanepipe_args_dump_tables_t raw_{};
};

// Scopes of the orchestrator; its own.
class ScopeStats : public detail::Launch<lanepipe_scope_stats_t, lanepipe_scope_stats_finalize> {
  public:
    Status begin_launch(const DeviceRegion &region) noexcept {
        return detail::begin(lanepipe_scope_stats_init, &raw_, &region);
    }
    Status set_enabled(bool enabled) noexcept { return lanepipe_scope_stats_set_enabled(&raw_, enabled ? 1 : 0); }

    Status set_pending_site(const char *file, int32_t line) noexcept {
        return lanepipe_scope_stats_set_pending_site(&raw_, file, line);
    }
    Status begin(DeviceThread &thread, const ScopeSample &sample) noexcept {
        return lanepipe_scope_stats_begin(&raw_, thread.capi(), &sample);
    }
    Status end(DeviceThread &thread, const ScopeSample &sample) noexcept {
        return lanepipe_scope_stats_end(&raw_, thread.capi(), &sample);
    }
    Status end_launch() noexcept { return Launch::end(); }

    Status note_heap_wrap(uint32_t side) noexcept { return lanepipe_scope_stats_note_heap_wrap(&raw_, side); }
    Status set_ring_capacity(int32_t ring, int32_t tasks, uint64_t heap, int32_t deps) noexcept {
        return lanepipe_scope_stats_set_ring_capacity(&raw_, ring, tasks, heap, deps);
    }
    Status set_tensormap_capacity(int32_t entries) noexcept {
        return lanepipe_scope_stats_set_tensormap_capacity(&raw_, entries);
    }

    // -1 outside of any scope.
    int32_t depth() const noexcept {
        int32_t depth = -1;
        (void)lanepipe_scope_stats_depth(&raw_, &depth);
        return depth;
    }

    Status on_fatal(DeviceThread &thread) noexcept { return lanepipe_scope_stats_on_fatal(&raw_, thread.capi()); }
    Status flush(DeviceThread &thread) noexcept { return lanepipe_scope_stats_flush(&raw_, thread.capi()); }
};

// A core's own stream as its control thread keeps it.
class SwimlaneCore {
  public:
    explicit SwimlaneCore(int32_t index) noexcept { (void)lanepipe_swimlane_core_init(&raw_, index); }
    SwimlaneCore(const SwimlaneCore &) = delete;
    SwimlaneCore &operator=(const SwimlaneCore &) = delete;

    lanepipe_swimlane_core_t *capi() noexcept { return &raw_; }

  private:
    lanepipe_swimlane_core_t raw_;
};

// A core in simulation.
class SwimlaneAicore {
  public:
    SwimlaneAicore() noexcept { (void)lanepipe_swimlane_aicore_init(&raw_); }
    SwimlaneAicore(const SwimlaneAicore &) = delete;
    SwimlaneAicore &operator=(const SwimlaneAicore &) = delete;

    Status reserve(uint64_t head, uint64_t &record) noexcept {
        return lanepipe_swimlane_aicore_reserve(&raw_, head, &record);
    }
    static Status commit(uint64_t record, uint64_t task_token, uint32_t reg_task_id, uint64_t receive_time,
                         uint64_t start_time, uint64_t end_time) noexcept {
        return lanepipe_swimlane_aicore_commit(record, task_token, reg_task_id, receive_time, start_time, end_time);
    }

    lanepipe_swimlane_aicore_t *capi() noexcept { return &raw_; }

  private:
    lanepipe_swimlane_aicore_t raw_;
};

// Tasks as control threads and cores saw them, and phases. Shared by the control threads.
class Swimlane : public detail::Launch<lanepipe_swimlane_t, lanepipe_swimlane_finalize> {
  public:
    // `table`: one word per core, or null.
    Status begin(const DeviceRegion &region, uint32_t core_count, uint64_t *table) noexcept {
        return detail::begin(lanepipe_swimlane_init, &raw_, &region, core_count, table);
    }
    Status begin_phases(uint32_t sched_threads, uint32_t orch_threads) noexcept {
        return detail::begin(lanepipe_swimlane_init_phases, &raw_, sched_threads, orch_threads);
    }

    // 0 while off.
    uint32_t level() const noexcept {
        uint32_t level = 0;
        (void)lanepipe_swimlane_level(&raw_, &level);
        return level;
    }

    Status on_aicore_dispatch(DeviceThread &thread, SwimlaneCore &core, uint32_t reg_task_id) noexcept {
        return lanepipe_swimlane_on_aicore_dispatch(&raw_, thread.capi(), core.capi(), reg_task_id);
    }
    Status on_aicore_ack(DeviceThread &thread, SwimlaneCore &core, uint32_t reg_task_id) noexcept {
        return lanepipe_swimlane_on_aicore_ack(&raw_, thread.capi(), core.capi(), reg_task_id);
    }
    Status complete_task(DeviceThread &thread, int32_t core, uint32_t reg_task_id, uint64_t dispatch_time,
                         uint64_t finish_time) noexcept {
        return lanepipe_swimlane_complete_task(&raw_, thread.capi(), core, reg_task_id, dispatch_time, finish_time);
    }
    Status record_sched_phase(DeviceThread &thread, const SchedPhase &phase) noexcept {
        return lanepipe_swimlane_record_sched_phase(&raw_, thread.capi(), &phase);
    }
    Status record_orch_phase(DeviceThread &thread, uint64_t start_time, uint64_t end_time, uint64_t task_id,
                             uint32_t submit_idx) noexcept {
        return lanepipe_swimlane_record_orch_phase(&raw_, thread.capi(), start_time, end_time, task_id, submit_idx);
    }

    Status init_core_assignments(uint32_t core_count) noexcept {
        return lanepipe_swimlane_init_core_assignments(&raw_, core_count);
    }
    Status write_core_assignments(int32_t thread_index, const int32_t *cores, uint32_t core_count) noexcept {
        return lanepipe_swimlane_write_core_assignments(&raw_, thread_index, cores, core_count);
    }

    Status flush_tasks(DeviceThread &thread, int32_t core) noexcept {
        return lanepipe_swimlane_flush_tasks(&raw_, thread.capi(), core);
    }
    Status flush_core(DeviceThread &thread, SwimlaneCore &core, uint32_t &published, uint32_t &lost) noexcept {
        return lanepipe_swimlane_flush_core(&raw_, thread.capi(), core.capi(), &published, &lost);
    }
    Status flush_sched_phases(DeviceThread &thread) noexcept {
        return lanepipe_swimlane_flush_sched_phases(&raw_, thread.capi());
    }
    Status flush_orch_phases(DeviceThread &thread) noexcept {
        return lanepipe_swimlane_flush_orch_phases(&raw_, thread.capi());
    }
};

} // namespace lanepipe

#endif // LANEPIPE_SUBSYSTEMS_HPP_
