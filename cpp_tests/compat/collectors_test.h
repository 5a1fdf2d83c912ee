// A collector with memory, platform callbacks and the device threads that feed it.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_TEST_H_
#define CPP_TESTS_COMPAT_COLLECTORS_TEST_H_

#include "collectors/args_dump.h"
#include "collectors/chip_swimlane.h"
#include "collectors/orchestrator_stream.h"
#include "collectors/pmu.h"
#include "collectors/producer.h"
#include "pipeline.h"

namespace collectors {

using compat::Memory;
using compat::Sharing;

// A subsystem on a platform.
template <typename Collector, Sharing kSharing> struct Case {
    using C = Collector;
    static constexpr Sharing kWhere = kSharing;
    static std::unique_ptr<C> make() { return std::make_unique<C>(); }
    static constexpr bool kGuarded = true;     // init rolls back
    static constexpr bool kLeaksOnRef = false; // W22
};
template <Pmu::Style kStyle, Sharing kSharing> struct PmuCase {
    using C = Pmu;
    static constexpr Sharing kWhere = kSharing;
    static std::unique_ptr<C> make() { return std::make_unique<C>(kStyle); }
    static constexpr bool kGuarded = kStyle == Pmu::Style::kPaired;
    static constexpr bool kLeaksOnRef = true;
};

template <typename T> class Harness {
  public:
    using C = typename T::C;
    using M = typename C::Module;

    explicit Harness(size_t capacity = size_t{256} << 20) : memory(T::kWhere, capacity) {
        sim::registered_memory() = &memory;
        platform.alloc = [this](size_t size) { return memory.alloc(size); };
        platform.free = [this](void *ptr) { return memory.free(ptr); };
        if (T::kWhere == Sharing::kMapped) {
            platform.reg = sim::register_buffer;
            platform.unregister = sim::unregister_buffer;
        }
        if (T::kWhere == Sharing::kShadow) {
            platform.copy_to_device = [this](void *dst, const void *src, size_t size) {
                return memory.copy_to_device(dst, src, size);
            };
            platform.copy_from_device = [this](void *dst, const void *src, size_t size) {
                return memory.copy_from_device(dst, src, size);
            };
        }
        platform.device_id = 3;
        log_capture::reset();
    }

    bool initialize(const Config &wanted) {
        config = wanted;
        return collector->initialize(platform, config);
    }

    // The device starts: its threads take over their instances and say how many phases there are.
    void launch() {
        producers.clear();
        for (int t = 0; t < config.threads; ++t) {
            producers.push_back(std::make_unique<Producer<C>>(memory, collector->region(), t));
        }
        if constexpr (std::is_same<C, ChipSwimlane>::value) {
            auto *const header = M::header_from_shm(producers[0]->template real<void>(collector->region()));
            const uint32_t schedulers = config.level >= 2 ? static_cast<uint32_t>(config.threads) : 0;
            __atomic_store_n(&header->scheduler_count, schedulers, __ATOMIC_RELAXED);
            __atomic_store_n(&header->orchestrator_count, config.level >= 3 ? 1u : 0u, __ATOMIC_RELAXED);
            for (int core = 0; core < config.cores; ++core) {
                for (int kind : {M::kTask, M::kAiCore}) {
                    producer(kind, core).own(kind, static_cast<uint32_t>(core));
                }
            }
            for (int t = 0; config.level >= 2 && t < config.threads; ++t) {
                producer(M::kSchedulerPhase, t).own(M::kSchedulerPhase, static_cast<uint32_t>(t));
            }
            if (config.level >= 3) {
                producer(M::kOrchestratorPhase, 0).own(M::kOrchestratorPhase, 0);
            }
        } else if constexpr (std::is_same<C, Pmu>::value) {
            for (int core = 0; core < config.cores; ++core) {
                producers[static_cast<size_t>(core / 3 % config.threads)]->own(0, static_cast<uint32_t>(core));
            }
        } else if constexpr (std::is_same<C, ArgsDump>::value) {
            for (int t = 0; t < config.threads; ++t) {
                producers[static_cast<size_t>(t)]->own(0, static_cast<uint32_t>(t));
            }
        } else {
            producers.back()->own(0, 0);
        }
    }

    // `records` per instance; false if a device thread got stuck.
    bool play(uint64_t records, bool mark = true) {
        for (auto &producer : producers) {
            producer->run(records, mark);
        }
        bool finished = true;
        for (auto &producer : producers) {
            finished = producer->finish() && finished;
        }
        return finished;
    }

    // Drives everything on the calling thread: drain, collect and return what the device has published.
    void pump() {
        using Algorithms = profiling_common::ProfilerAlgorithms<M>;
        auto &manager = collector->manager();
        auto *const header = M::header_from_shm(manager.shared_mem_host());
        for (int q = 0; q < config.threads; ++q) {
            ReadyEntry entry{};
            while (Algorithms::try_pop_aicpu_entry(manager, header, q, entry, true)) {
                Algorithms::process_entry(manager, header, q, entry);
            }
        }
        for (int shard = 0; shard < manager.shard_count(); ++shard) {
            ReadyInfo info{};
            while (manager.try_pop_ready(info, shard)) {
                if constexpr (profiling_common::ProfilerDerivedShardAwareCollector<C, ReadyInfo>::value) {
                    collector->on_buffer_collected(info, shard);
                } else {
                    collector->on_buffer_collected(info);
                }
                EXPECT_TRUE(manager.notify_copy_done(info.dev_buffer_ptr, info.kind, shard));
            }
        }
        manager.drain_done_into_recycled();
    }

    // The context that start() would give the manager, without an allocator: nothing is to be allocated by hand.
    void lend_context() {
        profiling_common::MemoryOps ops;
        ops.free_ = platform.free;
        ops.copy_to_device = platform.copy_to_device;
        ops.copy_from_device = platform.copy_from_device;
        collector->manager().set_memory_context(std::move(ops), collector->region(), collector->region_view(),
                                                sizeof(typename M::Region), platform.device_id);
    }

    void start() { collector->start(threads.factory()); }

    // Every record that the device counted came, once and in order.
    void expect_balanced(uint64_t records_per_instance) {
        size_t instances = 0;
        for (const auto &producer : producers) {
            instances += producer->instances().size();
        }
        const Account &account = collector->account();
        EXPECT_EQ(account.total, records_per_instance * instances);
        EXPECT_EQ(account.dropped, 0u);
        EXPECT_EQ(account.collected + account.dropped, account.total);
        EXPECT_EQ(account.mismatches, 0u);
    }

    // Each block freed once, after its registration was undone.
    void expect_nothing_left() {
        EXPECT_EQ(memory.live(), 0u);
        expect_sound_frees();
    }
    void expect_sound_frees() {
        EXPECT_EQ(memory.bad_frees(), 0);
        EXPECT_EQ(memory.frees_while_mapped(), 0);
    }

    Memory memory;
    Platform platform;
    Config config;
    std::unique_ptr<C> collector = T::make();
    std::vector<std::unique_ptr<Producer<C>>> producers;
    sim::Threads threads;

  private:
    Producer<C> &producer(int kind, int index) {
        return *producers[static_cast<size_t>(ChipSwimlaneModule::owner_shard(kind, index, config.threads))];
    }
};

using AllCases =
    ::testing::Types<Case<ChipSwimlane, Sharing::kIdentity>, Case<ChipSwimlane, Sharing::kMapped>,
                     Case<ChipSwimlane, Sharing::kShadow>, PmuCase<Pmu::Style::kRaw, Sharing::kIdentity>,
                     PmuCase<Pmu::Style::kRaw, Sharing::kMapped>, PmuCase<Pmu::Style::kPaired, Sharing::kShadow>,
                     Case<ArgsDump, Sharing::kIdentity>, Case<ArgsDump, Sharing::kMapped>,
                     Case<ArgsDump, Sharing::kShadow>, Case<DepGen, Sharing::kIdentity>, Case<DepGen, Sharing::kMapped>,
                     Case<DepGen, Sharing::kShadow>, Case<ScopeStats, Sharing::kIdentity>,
                     Case<ScopeStats, Sharing::kMapped>, Case<ScopeStats, Sharing::kShadow>>;

struct CaseName {
    template <typename T> static std::string GetName(int) {
        std::string name = T::C::kSubsystemName;
        if (std::is_same<typename T::C, Pmu>::value) {
            name += T::kGuarded ? "Paired" : "Raw";
        }
        return name + compat::name_of(T::kWhere);
    }
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_TEST_H_
