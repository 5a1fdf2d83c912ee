// One kind of buffers per thread, and an arena per thread that holds what the records point to. A freeze ends only when
// every published payload is on disk, because the device then starts its arenas anew.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_ARGS_DUMP_H_
#define CPP_TESTS_COMPAT_COLLECTORS_ARGS_DUMP_H_

#include "common.h"

namespace collectors {

struct ArgsDumpModule {
    static constexpr int kBufferKinds = 1;
    static constexpr int kMaxCollectorThreads = kThreads;
    static constexpr uint32_t kReadyQueueSize = kA5 ? 80 : 64;
    static constexpr uint32_t kHostPoolQueueSize = kA5 ? 40 : 32;
    static constexpr uint32_t kHostRecycledQueueSize = kA5 ? 40 : 32;
    static constexpr uint32_t kSlotCount = 4;
    static constexpr const char *kSubsystemName = "ArgsDump";

    using ReadyEntry = collectors::ReadyEntry;
    using ReadyBufferInfo = collectors::ReadyInfo;
    using FreeQueue = collectors::FreeQueue<kSlotCount>;
    using Instance = collectors::Instance<kSlotCount>;

    struct DataHeader {
        volatile uint32_t queue_heads[kThreads];
        volatile uint32_t queue_tails[kThreads];
        volatile uint32_t thread_count;
        DfxBackpressureHeader backpressure;
        volatile uint64_t arena[kThreads];              // device addresses
        volatile uint64_t payloads_published[kThreads]; // device
        volatile uint64_t payloads_completed[kThreads]; // collector
        ReadyEntry queues[kThreads][kReadyQueueSize];
        Instance threads[kThreads];
    };
    using Region = DataHeader;

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }
    static size_t buffer_bytes(int) { return scaled(32832); }
    static int batch_size(int) { return 4; }

    static Instance *instance(void *shm_host, uint32_t, uint32_t index) {
        DataHeader *const header = header_from_shm(shm_host);
        return index < header->thread_count ? &header->threads[index] : nullptr;
    }

    static std::optional<profiling_common::EntrySite<ArgsDumpModule>> resolve_entry(void *, DataHeader *header, int q,
                                                                                    const ReadyEntry &entry) {
        if (entry.instance >= bounded(header->thread_count, kThreads)) {
            return std::nullopt;
        }
        return profiling_common::EntrySite<ArgsDumpModule>{
            0, &header->threads[entry.instance].free_queue, buffer_bytes(0),
            ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr, 0,
                            entry.instance, static_cast<uint32_t>(q)}};
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (uint32_t i = 0; i < bounded(header->thread_count, kThreads); ++i) {
            cb(0, &header->threads[i].free_queue, buffer_bytes(0));
        }
    }
};

class ArgsDump : public profiling_common::ProfilerBase<ArgsDump, ArgsDumpModule> {
    using Base = profiling_common::ProfilerBase<ArgsDump, ArgsDumpModule>;

  public:
    using Module = ArgsDumpModule;
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "ArgsDump";

    ~ArgsDump() {
        stop();
        finalize();
    }

    static size_t arena_bytes() { return scaled(size_t{134217728}); }

    // Payload of a record: where it lies, and what it is.
    static size_t arena_offset(uint64_t record) { return record * 8 % (arena_bytes() / 8 * 8); }
    static uint64_t payload(uint32_t thread, uint64_t record) { return (record + 1) * 0x9e3779b97f4a7c15u + thread; }

    bool initialize(const Platform &platform, const Config &config) {
        if (is_initialized() || config.threads < 1) {
            return false;
        }
        platform_ = platform;
        config_ = config;
        set_aicpu_thread_num(config.threads);
        tally_.reset(manager_.shard_count());
        execution_complete_.store(false, std::memory_order_release);
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, nullptr, nullptr, 0, platform.device_id);
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, [this](void *ptr) {
            if (platform_.unregister != nullptr) {
                platform_.unregister(ptr, device_id_);
            }
            return platform_.free(ptr);
        });
        void *host = nullptr;
        void *const dev = alloc_paired_buffer(sizeof(Module::DataHeader), &host);
        if (dev == nullptr) {
            return false;
        }
        std::memset(host, 0, sizeof(Module::DataHeader));
        Module::DataHeader *const header = Module::header_from_shm(host);
        header->thread_count = static_cast<uint32_t>(config.threads);
        for (int t = 0; t < config.threads; ++t) {
            void *view = nullptr;
            void *const arena = alloc_paired_buffer(arena_bytes(), &view);
            if (arena == nullptr) {
                return false;
            }
            header->arena[t] = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(arena));
            const bool primed = prime(header->threads[t], 0, config.buffers_per_instance, t, manager_, [this] {
                void *buffer_view = nullptr;
                void *const buffer = alloc_paired_buffer(Module::buffer_bytes(0), &buffer_view);
                if (buffer != nullptr) {
                    std::memset(buffer_view, 0, kBufferHeader);
                }
                return buffer;
            });
            if (!primed) {
                return false;
            }
        }
        if (platform.copy_to_device && platform.copy_to_device(dev, host, sizeof(Module::DataHeader)) != 0) {
            return false;
        }
        guard.commit();
        for (auto &completed : completed_) {
            completed = 0;
        }
        set_memory_context(platform.alloc, platform.reg, platform.free, platform.copy_to_device,
                           platform.copy_from_device, dev, host, sizeof(Module::DataHeader), platform.device_id);
        return true;
    }

    bool is_initialized() const { return shm_host_ != nullptr; }

    void start(const profiling_common::ThreadFactory &factory) {
        tally_.reset(manager_.shard_count());
        Base::start(factory);
    }

    void on_buffer_collected(const ReadyBufferInfo &info, int shard) {
        const auto *buffer = static_cast<const Buffer *>(info.host_buffer_ptr);
        const uint32_t count = bounded(buffer->count, records_in(Module::buffer_bytes(0)));
        const uint32_t thread = info.instance;
        char *const arena =
            reinterpret_cast<char *>(static_cast<uintptr_t>(Module::header_from_shm(shm_host_)->arena[thread]));
        char *const view = static_cast<char *>(manager_.resolve_host_ptr(arena));
        for (uint32_t i = 0; i < count; ++i) {
            const size_t at = arena_offset(buffer->records[i]);
            uint64_t word = 0;
            if (manager_.copy_buffer_from_device(view + at, arena + at, sizeof(word)) == 0) {
                word = __atomic_load_n(reinterpret_cast<const uint64_t *>(view + at), __ATOMIC_ACQUIRE);
            }
            wrong_payloads_ += word != payload(thread, buffer->records[i]) ? 1 : 0;
        }
        tally_.take(shard, 0, thread, info.host_buffer_ptr, Module::buffer_bytes(0), reconciling_);
        // The records of a left-over buffer count when the device publishes it.
        completed_[thread] += reconciling_ ? 0 : count;
    }

    // False while no freeze is open. In a freeze: true once all published payloads have been read; the device learns
    // how many these are.
    bool backpressure_release_ready() const {
        Module::DataHeader *const header = Module::header_from_shm(shm_host_);
        auto &manager = const_cast<Manager &>(manager_);
        if (header->backpressure.rq_freeze_active == 0 && header->backpressure.fq_freeze_active == 0) {
            return false;
        }
        for (uint32_t t = 0; t < header->thread_count; ++t) {
            if (manager.read_range_from_device(&header->payloads_published[t], sizeof(uint64_t)) != 0 ||
                completed_[t] < __atomic_load_n(&header->payloads_published[t], __ATOMIC_ACQUIRE)) {
                return false;
            }
        }
        for (uint32_t t = 0; t < header->thread_count; ++t) {
            __atomic_store_n(&header->payloads_completed[t], completed_[t].load(), __ATOMIC_RELEASE);
            if (manager.write_range_to_device(&header->payloads_completed[t], sizeof(uint64_t)) != 0) {
                return false;
            }
        }
        ++releases_;
        return true;
    }

    void reconcile_counters() {
        if (manager_.shared_mem_dev() != nullptr) {
            manager_.mirror_shm_from_device();
        }
        account_ = Account();
        reconciling_ = true;
        Module::DataHeader *const header = Module::header_from_shm(shm_host_);
        for (uint32_t t = 0; t < static_cast<uint32_t>(config_.threads); ++t) {
            const Module::Instance &instance = header->threads[t];
            account_.total += instance.total_records;
            account_.dropped += instance.dropped_records;
            void *const current = reinterpret_cast<void *>(static_cast<uintptr_t>(instance.current_buffer));
            void *const view = current != nullptr ? manager_.resolve_host_ptr(current) : nullptr;
            if (view != nullptr && manager_.copy_buffer_from_device(view, current, Module::buffer_bytes(0)) == 0) {
                on_buffer_collected(ReadyBufferInfo{current, view, 0, t, 0}, 0);
                ++account_.left_over;
            }
        }
        reconciling_ = false;
        tally_.close_run();
        account_.collected = tally_.total();
        account_.mismatches = tally_.mismatches() + wrong_payloads_;
    }

    const Account &account() const { return account_; }
    const Tally &tally() const { return tally_; }
    void *region() const { return shm_dev_; }
    void *region_view() const { return shm_host_; }
    uint64_t releases() const { return releases_; }

    void finalize() {
        if (!is_initialized()) {
            return;
        }
        stop();
        const auto release = [this](void *ptr) { release_one_buffer(ptr, platform_.unregister, platform_.free); };
        Module::DataHeader *const header = Module::header_from_shm(shm_host_);
        manager_.release_owned_buffers(release);
        for (int t = 0; t < config_.threads; ++t) {
            release_instance(header->threads[t], release);
            release(reinterpret_cast<void *>(static_cast<uintptr_t>(header->arena[t])));
        }
        release(shm_dev_);
        manager_.clear_mappings();
        clear_memory_context();
    }

  private:
    Platform platform_;
    Config config_;
    Tally tally_;
    Account account_;
    bool reconciling_ = false;
    std::array<std::atomic<uint64_t>, kThreads> completed_{};
    std::atomic<uint64_t> wrong_payloads_{0};
    mutable std::atomic<uint64_t> releases_{0};
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_ARGS_DUMP_H_
