// Four kinds of buffers: tasks and AICore records per core, scheduler phases per thread, orchestrator phases. The
// device tells at launch how many of the latter two there are.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_CHIP_SWIMLANE_H_
#define CPP_TESTS_COMPAT_COLLECTORS_CHIP_SWIMLANE_H_

#include "common.h"

namespace collectors {

struct ChipSwimlaneModule {
    static constexpr int kBufferKinds = 4;
    static constexpr int kMaxCollectorThreads = kThreads;
    static constexpr uint32_t kReadyQueueSize = kA5 ? 1456 : 992;
    static constexpr uint32_t kHostPoolQueueSize = kA5 ? 1366 : 920;
    static constexpr uint32_t kHostRecycledQueueSize = kA5 ? 864 : 576;
    static constexpr uint32_t kSlotCount = 4;
    static constexpr const char *kSubsystemName = "ChipSwimlane";

    enum Kind { kTask = 0, kSchedulerPhase = 1, kOrchestratorPhase = 2, kAiCore = 3 };

    using ReadyEntry = collectors::ReadyEntry;
    using ReadyBufferInfo = collectors::ReadyInfo;
    using FreeQueue = collectors::FreeQueue<kSlotCount>;
    using Instance = collectors::Instance<kSlotCount>;

    struct DataHeader {
        volatile uint32_t queue_heads[kThreads];
        volatile uint32_t queue_tails[kThreads];
        volatile uint32_t core_count;         // host, at init
        volatile uint32_t scheduler_count;    // device, at launch
        volatile uint32_t orchestrator_count; // device, at launch
        DfxBackpressureHeader backpressure;
        ReadyEntry queues[kThreads][kReadyQueueSize];
    };
    struct Region {
        DataHeader header;
        Instance tasks[kCores];
        Instance ai_cores[kCores];
        Instance schedulers[kThreads];
        Instance orchestrators[1];
    };

    static DataHeader *header_from_shm(void *shm_host) { return &static_cast<Region *>(shm_host)->header; }

    static size_t buffer_bytes(int kind) {
        constexpr size_t kBytes[] = {32064, 1048640, 524352, 32832};
        return scaled(kBytes[kind]);
    }

    static constexpr int batch_size(int kind) {
        constexpr int kBatch[] = {4, 2, 4, 1};
        return kBatch[kind];
    }

    static int recycled_warm_target(int kind, int shard_count) {
        return kind == kTask ? 2 * ((kCores + shard_count - 1) / shard_count) : kind == kAiCore ? 1 : 0;
    }

    static int kind_of(const ReadyBufferInfo &info) { return info.kind; }

    // nullptr if there is no such instance.
    static Instance *instance(void *shm_host, uint32_t kind, uint32_t index) {
        auto *const region = static_cast<Region *>(shm_host);
        const DataHeader &header = region->header;
        switch (kind) {
        case kTask:
            return index < header.core_count ? &region->tasks[index] : nullptr;
        case kAiCore:
            return index < header.core_count ? &region->ai_cores[index] : nullptr;
        case kSchedulerPhase:
            return index < kThreads ? &region->schedulers[index] : nullptr;
        case kOrchestratorPhase:
            return index < 1 ? &region->orchestrators[index] : nullptr;
        default:
            return nullptr;
        }
    }

    static std::optional<profiling_common::EntrySite<ChipSwimlaneModule>>
    resolve_entry(void *shm_host, DataHeader *, int q, const ReadyEntry &entry) {
        Instance *const found = instance(shm_host, entry.kind, entry.instance);
        if (found == nullptr) {
            return std::nullopt;
        }
        const int kind = static_cast<int>(entry.kind);
        return profiling_common::EntrySite<ChipSwimlaneModule>{
            kind, &found->free_queue, buffer_bytes(kind),
            ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr, kind,
                            entry.instance, static_cast<uint32_t>(q)}};
    }

    template <typename Cb> static void for_each_instance(void *shm_host, DataHeader *header, Cb &&cb) {
        auto *const region = static_cast<Region *>(shm_host);
        const uint32_t cores = bounded(header->core_count, kCores);
        for (uint32_t i = 0; i < cores; ++i) {
            cb(kTask, &region->tasks[i].free_queue, buffer_bytes(kTask));
        }
        for (uint32_t i = 0; i < cores; ++i) {
            cb(kAiCore, &region->ai_cores[i].free_queue, buffer_bytes(kAiCore));
        }
        for (uint32_t i = 0; i < bounded(header->scheduler_count, kThreads); ++i) {
            cb(kSchedulerPhase, &region->schedulers[i].free_queue, buffer_bytes(kSchedulerPhase));
        }
        for (uint32_t i = 0; i < bounded(header->orchestrator_count, 1); ++i) {
            cb(kOrchestratorPhase, &region->orchestrators[i].free_queue, buffer_bytes(kOrchestratorPhase));
        }
    }

    template <typename Mgr> static void refresh_replenish_metadata(Mgr &mgr, DataHeader *header) {
        mgr.read_range_from_device(&header->scheduler_count, sizeof(header->scheduler_count));
        mgr.read_range_from_device(&header->orchestrator_count, sizeof(header->orchestrator_count));
    }

    static constexpr int owner_shard(int kind, int index, int threads) {
        return kind == kTask || kind == kAiCore ? (index / 3) % threads : kind == kSchedulerPhase ? index : threads - 1;
    }
};

class ChipSwimlane : public profiling_common::ProfilerBase<ChipSwimlane, ChipSwimlaneModule> {
    using Base = profiling_common::ProfilerBase<ChipSwimlane, ChipSwimlaneModule>;

  public:
    using Module = ChipSwimlaneModule;
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "ChipSwimlane";

    ~ChipSwimlane() {
        stop();
        finalize();
    }

    bool initialize(const Platform &platform, const Config &config) {
        if (is_initialized() || config.threads < 1 || config.cores > kCores) {
            return false;
        }
        platform_ = platform;
        config_ = config;
        set_aicpu_thread_num(config.threads);
        tally_.reset(manager_.shard_count());
        // Without a region pairing works, but start stays a no-op.
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, nullptr, nullptr, 0, platform.device_id);
        execution_complete_.store(false, std::memory_order_release);
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, [this](void *ptr) {
            if (platform_.unregister != nullptr) {
                platform_.unregister(ptr, device_id_);
            }
            return platform_.free(ptr);
        });
        void *host = nullptr;
        void *const dev = alloc_paired_buffer(sizeof(Module::Region), &host);
        if (dev == nullptr) {
            return false;
        }
        std::memset(host, 0, sizeof(Module::Region));
        auto *const region = static_cast<Module::Region *>(host);
        region->header.core_count = static_cast<uint32_t>(config.cores);
        if (!prime_all(*region)) {
            return false;
        }
        if (platform.copy_to_device && platform.copy_to_device(dev, host, sizeof(Module::Region)) != 0) {
            return false;
        }
        guard.commit();
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, dev, host, sizeof(Module::Region), platform.device_id);
        return true;
    }

    bool is_initialized() const { return shm_host_ != nullptr; }

    // The accumulators have one place per shard.
    void start(const profiling_common::ThreadFactory &factory) {
        tally_.reset(manager_.shard_count());
        Base::start(factory);
    }

    void on_buffer_collected(const ReadyBufferInfo &info, int shard) {
        tally_.take(shard, info.kind, info.instance, info.host_buffer_ptr, Module::buffer_bytes(info.kind),
                    reconciling_);
    }

    // After stop: what the device counted, and the buffers that it did not publish.
    void reconcile_counters() {
        if (manager_.shared_mem_dev() != nullptr) {
            manager_.mirror_shm_from_device();
        }
        account_ = Account();
        reconciling_ = true;
        for_each([this](int kind, uint32_t index, Module::Instance &instance) {
            account_.total += instance.total_records;
            account_.dropped += instance.dropped_records;
            void *const current = reinterpret_cast<void *>(static_cast<uintptr_t>(instance.current_buffer));
            if (current == nullptr) {
                return;
            }
            ReadyBufferInfo info{current, manager_.resolve_host_ptr(current), kind, index, 0};
            const size_t bytes = Module::buffer_bytes(kind);
            if (info.host_buffer_ptr != nullptr &&
                manager_.copy_buffer_from_device(info.host_buffer_ptr, current, bytes) == 0) {
                on_buffer_collected(info, 0);
                ++account_.left_over;
            }
        });
        reconciling_ = false;
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
        for_each([&release](int, uint32_t, Module::Instance &instance) { release_instance(instance, release); });
        manager_.release_owned_buffers(release);
        release(shm_dev_);
        manager_.clear_mappings();
        clear_memory_context();
    }

  private:
    bool prime_all(Module::Region &region) {
        bool primed = true;
        const auto fill = [this, &primed](int kind, int index, Module::Instance &instance) {
            primed = primed && prime(instance, kind, config_.buffers_per_instance,
                                     Module::owner_shard(kind, index, config_.threads), manager_, [this, kind] {
                                         void *view = nullptr;
                                         void *const buffer = alloc_paired_buffer(Module::buffer_bytes(kind), &view);
                                         if (buffer != nullptr) {
                                             std::memset(view, 0, kBufferHeader);
                                         }
                                         return buffer;
                                     });
        };
        for (int i = 0; i < config_.cores; ++i) {
            fill(Module::kTask, i, region.tasks[i]);
            fill(Module::kAiCore, i, region.ai_cores[i]);
        }
        for (int i = 0; i < (config_.level >= 2 ? config_.threads : 0); ++i) {
            fill(Module::kSchedulerPhase, i, region.schedulers[i]);
        }
        if (config_.level >= 3) {
            fill(Module::kOrchestratorPhase, 0, region.orchestrators[0]);
        }
        return primed;
    }

    template <typename Visit> void for_each(const Visit &visit) {
        auto *const region = static_cast<Module::Region *>(shm_host_);
        for (uint32_t i = 0; i < static_cast<uint32_t>(config_.cores); ++i) {
            visit(Module::kTask, i, region->tasks[i]);
            visit(Module::kAiCore, i, region->ai_cores[i]);
        }
        for (uint32_t i = 0; i < kThreads; ++i) {
            visit(Module::kSchedulerPhase, i, region->schedulers[i]);
        }
        visit(Module::kOrchestratorPhase, 0u, region->orchestrators[0]);
    }

    Platform platform_;
    Config config_;
    Tally tally_;
    Account account_;
    bool reconciling_ = false;
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_CHIP_SWIMLANE_H_
