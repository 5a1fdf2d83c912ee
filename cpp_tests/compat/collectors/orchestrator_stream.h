// DepGen and ScopeStats: one kind, one instance, produced by the orchestrator's thread and collected by one thread with
// the plain callback. They differ in geometry and in how they keep their region.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_ORCHESTRATOR_STREAM_H_
#define CPP_TESTS_COMPAT_COLLECTORS_ORCHESTRATOR_STREAM_H_

#include "common.h"

namespace collectors {

template <typename Self, uint32_t Slots> struct OrchestratorModule {
    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kReadyQueueSize = 8;
    static constexpr uint32_t kHostPoolQueueSize = kA5 ? 20 : 16;
    static constexpr uint32_t kHostRecycledQueueSize = kA5 ? 20 : 16;
    static constexpr uint32_t kSlotCount = Slots;

    using ReadyEntry = collectors::ReadyEntry;
    using ReadyBufferInfo = collectors::ReadyInfo;
    using FreeQueue = collectors::FreeQueue<Slots>;
    using Instance = collectors::Instance<Slots>;

    struct DataHeader {
        DfxBackpressureHeader backpressure;
        Instance stream;
        volatile uint32_t queue_heads[kThreads];
        volatile uint32_t queue_tails[kThreads];
        ReadyEntry queues[kThreads][kReadyQueueSize];
    };
    using Region = DataHeader;

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }
    static int batch_size(int) { return 1; }

    static Instance *instance(void *shm_host, uint32_t, uint32_t index) {
        return index == 0 ? &header_from_shm(shm_host)->stream : nullptr;
    }

    static std::optional<profiling_common::EntrySite<Self>> resolve_entry(void *, DataHeader *header, int q,
                                                                          const ReadyEntry &entry) {
        if (entry.instance != 0) {
            return std::nullopt;
        }
        return profiling_common::EntrySite<Self>{
            0, &header->stream.free_queue, Self::buffer_bytes(0),
            ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr, 0, 0,
                            static_cast<uint32_t>(q)}};
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        cb(0, &header->stream.free_queue, Self::buffer_bytes(0));
    }
};

struct DepGenModule : OrchestratorModule<DepGenModule, 4> {
    static constexpr const char *kSubsystemName = "DepGen";
    static size_t buffer_bytes(int) { return scaled(4784192); }
};

struct ScopeStatsModule : OrchestratorModule<ScopeStatsModule, 8> {
    static constexpr const char *kSubsystemName = "ScopeStats";
    static size_t buffer_bytes(int) { return scaled(41024); }
};

class DepGen : public profiling_common::ProfilerBase<DepGen, DepGenModule> {
  public:
    using Module = DepGenModule;
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "DepGen";

    ~DepGen() {
        stop();
        finalize();
    }

    bool initialize(const Platform &platform, const Config &config) {
        if (is_initialized() || config.threads < 1) {
            return false;
        }
        platform_ = platform;
        set_aicpu_thread_num(config.threads);
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, nullptr, nullptr, 0, platform.device_id);
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, [this](void *ptr) {
            if (platform_.unregister != nullptr) {
                platform_.unregister(ptr, device_id_);
            }
            return platform_.free(ptr);
        });
        // Straight into the member; a failure below has to take it back.
        shm_dev_ = alloc_paired_buffer(sizeof(Module::DataHeader), &shm_host_);
        if (shm_dev_ == nullptr || !fill(config)) {
            shm_dev_ = nullptr;
            shm_host_ = nullptr;
            return false;
        }
        guard.commit();
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, shm_dev_, shm_host_, sizeof(Module::DataHeader),
                           platform.device_id);
        tally_.reset(1);
        return true;
    }

    bool is_initialized() const { return shm_host_ != nullptr; }

    void on_buffer_collected(const ReadyBufferInfo &info) {
        tally_.take(0, 0, 0, info.host_buffer_ptr, Module::buffer_bytes(0), reconciling_);
    }

    void reconcile_counters() {
        if (manager_.shared_mem_dev() != nullptr) {
            manager_.mirror_shm_from_device();
        }
        account_ = Account();
        const Module::Instance &stream = Module::header_from_shm(shm_host_)->stream;
        account_.total = stream.total_records;
        account_.dropped = stream.dropped_records;
        void *const current = reinterpret_cast<void *>(static_cast<uintptr_t>(stream.current_buffer));
        void *const view = current != nullptr ? manager_.resolve_host_ptr(current) : nullptr;
        if (view != nullptr && manager_.copy_buffer_from_device(view, current, Module::buffer_bytes(0)) == 0) {
            reconciling_ = true;
            on_buffer_collected(ReadyBufferInfo{current, view, 0, 0, 0});
            reconciling_ = false;
            ++account_.left_over;
        }
        tally_.close_run();
        account_.collected = tally_.total();
        account_.mismatches = tally_.mismatches();
    }

    const Account &account() const { return account_; }
    const Tally &tally() const { return tally_; }
    void *region() const { return shm_dev_; }
    void *region_view() const { return shm_host_; }

    void finalize() {
        if (!is_initialized()) {
            return;
        }
        stop();
        const auto release = [this](void *ptr) { release_one_buffer(ptr, platform_.unregister, platform_.free); };
        manager_.release_owned_buffers(release);
        release_instance(Module::header_from_shm(shm_host_)->stream, release);
        release(shm_dev_);
        manager_.clear_mappings();
        shm_dev_ = nullptr;
        clear_memory_context();
    }

  private:
    bool fill(const Config &config) {
        std::memset(shm_host_, 0, sizeof(Module::DataHeader));
        const auto alloc = [this] {
            void *view = nullptr;
            void *const buffer = alloc_paired_buffer(Module::buffer_bytes(0), &view);
            if (buffer != nullptr) {
                std::memset(view, 0, kBufferHeader);
            }
            return buffer;
        };
        // The shard of the last thread, which folds to the only one.
        return prime(Module::header_from_shm(shm_host_)->stream, 0, config.buffers_per_instance, config.threads - 1,
                     manager_, alloc) &&
               (!platform_.copy_to_device ||
                platform_.copy_to_device(shm_dev_, shm_host_, sizeof(Module::DataHeader)) == 0);
    }

    // Hides the base's member of that name, which the memory context fills.
    void *shm_dev_ = nullptr;
    Platform platform_;
    Tally tally_;
    Account account_;
    bool reconciling_ = false;
};

class ScopeStats : public profiling_common::ProfilerBase<ScopeStats, ScopeStatsModule> {
  public:
    using Module = ScopeStatsModule;
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "ScopeStats";

    ~ScopeStats() {
        stop();
        finalize();
    }

    bool initialize(const Platform &platform, const Config &config) {
        if (is_initialized() || config.threads < 1) {
            return false;
        }
        num_threads_ = config.threads;
        unregister_ = platform.unregister;
        set_aicpu_thread_num(num_threads_);
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, nullptr, nullptr, 0, platform.device_id);
        // Kept beside the stash, which the context below replaces.
        free_ = platform.free;
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, [this](void *ptr) {
            if (unregister_ != nullptr) {
                unregister_(ptr, device_id_);
            }
            return free_(ptr);
        });
        void *host = nullptr;
        void *const dev = alloc_paired_buffer(sizeof(Module::DataHeader), &host);
        if (dev == nullptr) {
            return false;
        }
        std::memset(host, 0, sizeof(Module::DataHeader));
        Module::DataHeader *const header = Module::header_from_shm(host);
        const auto alloc = [this] {
            void *view = nullptr;
            return alloc_paired_buffer(Module::buffer_bytes(0), &view);
        };
        if (!prime(header->stream, 0, config.buffers_per_instance, num_threads_ - 1, manager_, alloc)) {
            return false;
        }
        if (platform.copy_to_device && platform.copy_to_device(dev, host, sizeof(Module::DataHeader)) != 0) {
            return false;
        }
        guard.commit();
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, dev, host, sizeof(Module::DataHeader), platform.device_id);
        records_.reset(1);
        return true;
    }

    bool is_initialized() const { return shm_host_ != nullptr; }

    void on_buffer_collected(const ReadyBufferInfo &info) {
        records_.take(0, 0, 0, info.host_buffer_ptr, Module::buffer_bytes(0), reconciling_);
    }

    void reconcile_counters() {
        if (manager_.shared_mem_dev() != nullptr) {
            manager_.mirror_shm_from_device();
        }
        account_ = Account();
        const Module::Instance &stream = Module::header_from_shm(shm_host_)->stream;
        account_.total = stream.total_records;
        account_.dropped = stream.dropped_records;
        void *const current = reinterpret_cast<void *>(static_cast<uintptr_t>(stream.current_buffer));
        void *const view = current != nullptr ? manager_.resolve_host_ptr(current) : nullptr;
        if (view != nullptr && manager_.copy_buffer_from_device(view, current, Module::buffer_bytes(0)) == 0) {
            reconciling_ = true;
            on_buffer_collected(ReadyBufferInfo{current, view, 0, 0, 0});
            reconciling_ = false;
            ++account_.left_over;
        }
        records_.close_run();
        account_.collected = records_.total();
        account_.mismatches = records_.mismatches();
    }

    const Account &account() const { return account_; }
    const Tally &tally() const { return records_; }
    void *region() const { return shm_dev_; }
    void *region_view() const { return shm_host_; }

    void finalize() {
        if (!is_initialized()) {
            return;
        }
        stop();
        const auto release = [this](void *ptr) { release_one_buffer(ptr, unregister_, free_cb_); };
        release_instance(Module::header_from_shm(shm_host_)->stream, release);
        manager_.release_owned_buffers(release);
        release(shm_dev_);
        manager_.clear_mappings();
        clear_memory_context();
    }

  private:
    int num_threads_ = 0;
    profiling_common::ProfUnregisterCallback unregister_ = nullptr;
    profiling_common::ProfFreeCallback free_;
    Tally records_;
    Account account_;
    bool reconciling_ = false;
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_ORCHESTRATOR_STREAM_H_
