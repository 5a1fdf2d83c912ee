// One kind of buffers, one instance per core. Initialised in two styles: with raw allocations and mappings of its own
// (a2a3), or with paired buffers, a rollback guard and a staging ring per core (a5).
#ifndef CPP_TESTS_COMPAT_COLLECTORS_PMU_H_
#define CPP_TESTS_COMPAT_COLLECTORS_PMU_H_

#include "common.h"

namespace collectors {

struct PmuModule {
    static constexpr int kBufferKinds = 1;
    static constexpr int kMaxCollectorThreads = kThreads;
    static constexpr uint32_t kReadyQueueSize = kA5 ? 216 : 144;
    static constexpr uint32_t kHostPoolQueueSize = kReadyQueueSize;
    static constexpr uint32_t kHostRecycledQueueSize = kReadyQueueSize;
    static constexpr uint32_t kSlotCount = 4;
    static constexpr const char *kSubsystemName = "PMU";

    using ReadyEntry = collectors::ReadyEntry;
    using ReadyBufferInfo = collectors::ReadyInfo;
    using FreeQueue = collectors::FreeQueue<kSlotCount>;
    using Instance = collectors::Instance<kSlotCount>;

    struct DataHeader {
        volatile uint32_t core_count;
        volatile uint32_t queue_tails[kThreads];
        volatile uint32_t queue_heads[kThreads];
        DfxBackpressureHeader backpressure;
        ReadyEntry queues[kThreads][kReadyQueueSize];
        Instance cores[kCores];
        volatile uint64_t staging[kCores]; // device address of the ring that the core writes to
    };
    using Region = DataHeader;

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }
    static size_t buffer_bytes(int) { return scaled(32832); }
    static int batch_size(int) { return 1; }
    static int recycled_warm_target(int) { return 1; }

    static Instance *instance(void *shm_host, uint32_t, uint32_t index) {
        DataHeader *const header = header_from_shm(shm_host);
        return index < header->core_count ? &header->cores[index] : nullptr;
    }

    static std::optional<profiling_common::EntrySite<PmuModule>> resolve_entry(void *, DataHeader *header, int q,
                                                                               const ReadyEntry &entry) {
        if (entry.instance >= bounded(header->core_count, kCores)) {
            return std::nullopt;
        }
        profiling_common::EntrySite<PmuModule> site;
        site.kind = 0;
        site.free_queue = &header->cores[entry.instance].free_queue;
        site.buffer_size = buffer_bytes(0);
        site.info = ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr, 0,
                                    entry.instance, static_cast<uint32_t>(q)};
        return site;
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (uint32_t i = 0; i < bounded(header->core_count, kCores); ++i) {
            cb(0, &header->cores[i].free_queue, buffer_bytes(0));
        }
    }
};

class Pmu : public profiling_common::ProfilerBase<Pmu, PmuModule> {
    using Base = profiling_common::ProfilerBase<Pmu, PmuModule>;

  public:
    using Module = PmuModule;
    enum class Style { kRaw, kPaired };
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "PMU";
    static constexpr size_t kStagingBytes = 4096;

    explicit Pmu(Style style = Style::kPaired) : style_(style) {}
    ~Pmu() {
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
        execution_complete_.store(false, std::memory_order_release);
        return style_ == Style::kRaw ? initialize_raw() : initialize_paired();
    }

    // True already when a raw initialisation has failed half way: finalize cleans up.
    bool is_initialized() const { return shm_host_ != nullptr; }

    void start(const profiling_common::ThreadFactory &factory) {
        tally_.reset(manager_.shard_count());
        Base::start(factory);
    }

    void on_buffer_collected(const ReadyBufferInfo &info, int collector_shard) {
        tally_.take(collector_shard, 0, info.instance, info.host_buffer_ptr, Module::buffer_bytes(0), reconciling_);
    }

    void reconcile_counters() {
        if (manager_.shared_mem_dev() != nullptr) {
            manager_.mirror_shm_from_device();
        }
        account_ = Account();
        reconciling_ = true;
        Module::DataHeader *const header = Module::header_from_shm(shm_host_);
        for (uint32_t i = 0; i < static_cast<uint32_t>(config_.cores); ++i) {
            Module::Instance &core = header->cores[i];
            account_.total += core.total_records;
            account_.dropped += core.dropped_records;
            void *const current = reinterpret_cast<void *>(static_cast<uintptr_t>(core.current_buffer));
            void *const view = current != nullptr ? manager_.resolve_host_ptr(current) : nullptr;
            if (view != nullptr && manager_.copy_buffer_from_device(view, current, Module::buffer_bytes(0)) == 0) {
                on_buffer_collected(ReadyBufferInfo{current, view, 0, i, 0}, 0);
                ++account_.left_over;
            }
        }
        reconciling_ = false;
        tally_.close_run();
        account_.collected = tally_.total();
        account_.mismatches = tally_.mismatches();
    }

    const Account &account() const { return account_; }
    const Tally &tally() const { return tally_; }
    void *region() const { return Base::shm_dev_; }
    void *region_view() const { return shm_host_; }

    void finalize() {
        if (!is_initialized()) {
            return;
        }
        stop();
        const auto release = [this](void *ptr) { release_one_buffer(ptr, platform_.unregister, platform_.free); };
        Module::DataHeader *const header = Module::header_from_shm(shm_host_);
        manager_.release_owned_buffers(release);
        for (int i = 0; i < config_.cores; ++i) {
            release_instance(header->cores[i], release);
            if (style_ == Style::kPaired) {
                release(reinterpret_cast<void *>(static_cast<uintptr_t>(header->staging[i])));
            }
        }
        if (style_ == Style::kRaw) {
            // The region goes last, when the tables are gone already.
            manager_.clear_mappings();
            release(Base::shm_dev_);
        } else {
            release(Base::shm_dev_);
            manager_.clear_mappings();
        }
        clear_memory_context();
    }

  private:
    // Host view of a raw allocation: through the registration, or the address itself.
    void *host_view(void *dev, size_t size) {
        if (platform_.reg == nullptr) {
            return dev;
        }
        void *view = nullptr;
        return platform_.reg(dev, size, platform_.device_id, &view) == 0 ? view : nullptr;
    }

    bool initialize_raw() {
        void *const dev = platform_.alloc(sizeof(Module::DataHeader));
        if (dev == nullptr) {
            return false;
        }
        void *const host = host_view(dev, sizeof(Module::DataHeader));
        if (host == nullptr) {
            platform_.free(dev);
            return false;
        }
        // Before the buffers exist, and nothing rolls it back.
        set_memory_context(platform_.alloc, platform_.reg, platform_.free, nullptr, nullptr, dev, host,
                           sizeof(Module::DataHeader), platform_.device_id);
        std::memset(host, 0, sizeof(Module::DataHeader));
        Module::DataHeader *const header = Module::header_from_shm(host);
        header->core_count = static_cast<uint32_t>(config_.cores);
        for (int i = 0; i < config_.cores; ++i) {
            const bool primed =
                prime(header->cores[i], 0, config_.buffers_per_instance, owner_shard(i), manager_, [this]() -> void * {
                    void *const buffer = platform_.alloc(Module::buffer_bytes(0));
                    if (buffer == nullptr) {
                        return nullptr;
                    }
                    void *const view = host_view(buffer, Module::buffer_bytes(0));
                    if (view == nullptr) {
                        platform_.free(buffer);
                        return nullptr;
                    }
                    std::memset(view, 0, kBufferHeader);
                    manager_.register_mapping(buffer, view);
                    return buffer;
                });
            if (!primed) {
                return false;
            }
        }
        return true;
    }

    bool initialize_paired() {
        set_memory_context(platform_.alloc, platform_.reg, platform_.free, platform_.copy_to_device,
                           platform_.copy_from_device, nullptr, nullptr, 0, platform_.device_id);
        // There is no registration where this style is used, so nothing is to be unregistered.
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(
            manager_, [this](void *ptr) { return platform_.free(ptr); });
        void *host = nullptr;
        void *const dev = alloc_paired_buffer(sizeof(Module::DataHeader), &host);
        if (dev == nullptr) {
            return false;
        }
        std::memset(host, 0, sizeof(Module::DataHeader));
        Module::DataHeader *const header = Module::header_from_shm(host);
        header->core_count = static_cast<uint32_t>(config_.cores);
        for (int i = 0; i < config_.cores; ++i) {
            // Device memory without a host view, unknown to the manager.
            void *const staging = platform_.alloc(kStagingBytes);
            if (staging == nullptr) {
                return false;
            }
            guard.add_direct_ptr(staging);
            header->staging[i] = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(staging));
            const bool primed =
                prime(header->cores[i], 0, config_.buffers_per_instance, owner_shard(i), manager_, [this] {
                    void *view = nullptr;
                    void *const buffer = alloc_paired_buffer(Module::buffer_bytes(0), &view);
                    if (buffer != nullptr) {
                        std::memset(view, 0, kBufferHeader);
                    }
                    return buffer;
                });
            if (!primed) {
                return false;
            }
        }
        if (platform_.copy_to_device && platform_.copy_to_device(dev, host, sizeof(Module::DataHeader)) != 0) {
            return false;
        }
        guard.commit();
        set_memory_context(platform_.alloc, platform_.reg, platform_.free, platform_.copy_to_device,
                           platform_.copy_from_device, dev, host, sizeof(Module::DataHeader), platform_.device_id);
        return true;
    }

    int owner_shard(int core) const { return (core / 3) % config_.threads; }

    const Style style_;
    Platform platform_;
    Config config_;
    Tally tally_;
    Account account_;
    bool reconciling_ = false;
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_PMU_H_
