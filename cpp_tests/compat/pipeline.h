// A started pipeline in a test: device threads with both gates, a collector that keeps what it is given, and a thread
// factory that knows which of the framework's threads is which.
#ifndef CPP_TESTS_COMPAT_PIPELINE_H_
#define CPP_TESTS_COMPAT_PIPELINE_H_

#include "device.h"

#include <stdexcept>

namespace sim {

// The device.

// Device thread q: fills buffers of all kinds in turn for its instance q, as the device half of the contract (1.7) does
// it. Waits are bounded in polls, not in time.
template <typename M> class DeviceThread {
  public:
    struct Limits {
        int64_t parked = std::numeric_limits<int64_t>::max(); // polls until it leaves an open freeze
        int64_t full = std::numeric_limits<int64_t>::max();   // polls for a ready slot until it drops the record
        bool mark = true;                                     // raises contended words
        std::function<bool()> may_publish;                    // asked until true, before each record
    };

    DeviceThread(Rig<M> &rig, int q, uint64_t records, Limits limits = Limits())
        : rig_(rig), q_(q), records_(records), limits_(limits), thread_([this] { run(); }) {}

    ~DeviceThread() {
        stop();
        join();
    }

    DeviceThread(const DeviceThread &) = delete;
    DeviceThread &operator=(const DeviceThread &) = delete;

    void stop() { stop_ = true; }

    void join() {
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    // Waits until all records are out; false if the device is stuck.
    bool finish() {
        const bool done = eventually([this] { return done_.load(); }) || eventually([this] { return done_.load(); });
        stop();
        join();
        return done && !stopped_early_;
    }

    uint64_t published() const { return published_; }
    uint64_t dropped() const { return dropped_; }
    uint64_t gave_up_after_publishing() const { return gave_up_; }
    // The buffers it has taken and not published, once the thread has ended.
    const std::vector<void *> &held() const { return held_; }

    // The sequence numbers of queue q start here.
    static constexpr uint64_t first_sequence(int q) { return static_cast<uint64_t>(q) << 32; }

  private:
    void run() {
        void *current[M::kBufferKinds] = {};
        for (uint64_t i = 0; i < records_; ++i) {
            const int kind = static_cast<int>(i % M::kBufferKinds);
            while (!stop_ && limits_.may_publish && !limits_.may_publish()) {
                std::this_thread::yield();
            }
            if (current[kind] == nullptr && (current[kind] = take(kind)) == nullptr) {
                stopped_early_ = true;
                break;
            }
            if (!publish(current[kind], kind)) {
                if (stop_) {
                    stopped_early_ = true;
                    break;
                }
                continue;
            }
            current[kind] = nullptr;
        }
        for (void *buffer : current) {
            if (buffer != nullptr) {
                held_.push_back(buffer);
            }
        }
        done_ = true;
    }

    bool poll(int64_t &left) {
        std::this_thread::yield();
        return !stop_ && left-- > 0;
    }

    // Pop gate. No bound while no freeze is open.
    void *take(int kind) {
        bool marked = false;
        int64_t left = limits_.parked;
        while (!stop_) {
            if (void *const buffer = rig_.take_free(kind, q_)) {
                return buffer;
            }
            if (!marked && limits_.mark) {
                store(rig_.dev->backpressure.fq_contended, 1);
                marked = true;
            }
            while (load(rig_.dev->backpressure.fq_freeze_active) != 0 && poll(left)) {
            }
            std::this_thread::yield();
        }
        return nullptr;
    }

    // Push gate. False: the record is dropped or counts as dropped, and the buffer stays the current one.
    bool publish(void *buffer, int kind) {
        bool marked = false;
        int64_t left = limits_.full;
        const uint64_t sequence = first_sequence(q_) + published_;
        while (!rig_.publish(q_, buffer, kind, q_, sequence)) {
            if (!marked && limits_.mark) {
                store(rig_.dev->backpressure.rq_contended, 1);
                marked = true;
            }
            if (!poll(left)) {
                ++dropped_;
                return false;
            }
        }
        ++published_;
        left = limits_.parked;
        while (load(rig_.dev->backpressure.rq_freeze_active) != 0) {
            if (!poll(left)) {
                if (stop_) {
                    return true;
                }
                ++gave_up_;
                return false;
            }
        }
        return true;
    }

    Rig<M> &rig_;
    const int q_;
    const uint64_t records_;
    const Limits limits_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> done_{false};
    std::atomic<bool> stopped_early_{false};
    std::atomic<uint64_t> published_{0};
    std::atomic<uint64_t> dropped_{0};
    std::atomic<uint64_t> gave_up_{0};
    std::vector<void *> held_;
    std::thread thread_;
};

// Threads.

// Position in which the factory made the running thread; -1 on any other thread.
inline int &factory_index() {
    static thread_local int index = -1;
    return index;
}

// Makes the framework's threads. Threads may outlive a start() that fails, so the counts live on the heap.
class Threads {
  public:
    profiling_common::ThreadFactory factory() {
        return [counts = counts_](std::function<void()> body) {
            const int index = counts->created;
            if (index == counts->fail_at) {
                throw std::runtime_error("no thread");
            }
            ++counts->created;
            ++counts->alive;
            return std::thread([counts, index, body = std::move(body)] {
                factory_index() = index;
                body();
                --counts->alive;
            });
        };
    }

    int created() const { return counts_->created; }
    int alive() const { return counts_->alive; }

    // The index-th thread from now on is not made.
    void fail_at(int index) { counts_->fail_at = index; }
    void restart_count() { counts_->created = 0; }

  private:
    struct Counts {
        std::atomic<int> created{0};
        std::atomic<int> alive{0};
        std::atomic<int> fail_at{-1};
    };
    std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

// Collectors.

struct Delivery {
    uint64_t sequence;
    uint32_t queue;
    int kind;
    int shard;
    void *dev_ptr;
    bool intact;  // the contents were those of the sequence number, before and after the hook
    bool mapped;  // the host address was that of resolve_host_ptr
    bool overlap; // another call for the same shard was under way
    std::thread::id thread;
    int factory_index;
};

// What a collector keeps. One entry per call, in the order of their ends.
class Record {
  public:
    template <typename Manager> void take(const Manager &manager, const ReadyInfo &info, int shard) {
        const bool overlap = inside_[shard].fetch_add(1) != 0;
        const bool mapped =
            info.host_buffer_ptr != nullptr && info.host_buffer_ptr == manager.resolve_host_ptr(info.dev_buffer_ptr);
        const size_t size = buffer_size(info.kind);
        bool intact = is_filled(info.host_buffer_ptr, size, info.sequence);
        if (hook) {
            hook(info, shard);
        }
        intact = intact && is_filled(info.host_buffer_ptr, size, info.sequence);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            deliveries_.push_back(Delivery{info.sequence, info.queue, info.kind, shard, info.dev_buffer_ptr, intact,
                                           mapped, overlap, std::this_thread::get_id(), factory_index()});
        }
        ++total_;
        --inside_[shard];
    }

    std::vector<Delivery> deliveries() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return deliveries_;
    }

    void forget() {
        std::lock_guard<std::mutex> lock(mutex_);
        deliveries_.clear();
        total_ = 0;
    }

    uint64_t total() const { return total_; }

    // Called within the callback; set while no thread runs.
    std::function<void(const ReadyInfo &, int shard)> hook;

  private:
    mutable std::mutex mutex_;
    std::vector<Delivery> deliveries_;
    std::atomic<uint64_t> total_{0};
    std::atomic<int> inside_[kRows] = {};
};

// Members that collectors read and write, under the names that they rely on.
#define SIM_OPEN_MEMBERS(Base)                                                                                         \
    using Base::alloc_cb_;                                                                                             \
    using Base::alloc_paired_buffer;                                                                                   \
    using Base::copy_from_device_;                                                                                     \
    using Base::copy_to_device_;                                                                                       \
    using Base::device_id_;                                                                                            \
    using Base::execution_complete_;                                                                                   \
    using Base::free_cb_;                                                                                              \
    using Base::manager_;                                                                                              \
    using Base::queue_count_;                                                                                          \
    using Base::register_cb_;                                                                                          \
    using Base::release_one_buffer;                                                                                    \
    using Base::shard_count_;                                                                                          \
    using Base::shm_dev_;                                                                                              \
    using Base::shm_host_;                                                                                             \
    using Base::shm_size_;                                                                                             \
    using Base::thread_num_set_

// Learns its shard from the callback and has a release predicate.
template <typename M, int IdleSeconds = 30>
class ShardCollector : public profiling_common::ProfilerBase<ShardCollector<M, IdleSeconds>, M> {
    using Base = profiling_common::ProfilerBase<ShardCollector<M, IdleSeconds>, M>;

  public:
    static constexpr int kIdleTimeoutSec = IdleSeconds;
    static constexpr const char *kSubsystemName = "ShardCollector";
    SIM_OPEN_MEMBERS(Base);

    ~ShardCollector() {
        this->stop();
        this->manager_.clear_mappings();
    }

    void on_buffer_collected(const ReadyInfo &info, int shard) { record.take(this->manager_, info, shard); }
    // Both forms exist, so this one is not called.
    void on_buffer_collected(const ReadyInfo &) { ++plain_calls; }

    bool backpressure_release_ready() const {
        ++predicate_calls;
        return !release_ready || release_ready();
    }

    Record record;
    std::function<bool()> release_ready;
    std::atomic<int> plain_calls{0};
    mutable std::atomic<uint64_t> predicate_calls{0};
};

// One argument, no predicate, no timeout worth speaking of.
template <typename M> class PlainCollector : public profiling_common::ProfilerBase<PlainCollector<M>, M> {
    using Base = profiling_common::ProfilerBase<PlainCollector<M>, M>;

  public:
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "PlainCollector";
    SIM_OPEN_MEMBERS(Base);

    ~PlainCollector() {
        this->stop();
        this->manager_.clear_mappings();
    }

    void on_buffer_collected(const ReadyInfo &info) {
        record.take(this->manager_, info, static_cast<int>(info.queue) % this->manager_.shard_count());
    }

    Record record;
};

// Pipeline.

// A registration callback is a plain function; it reaches the memory of the pipeline under test through this.
inline Memory *&registered_memory() {
    static Memory *memory = nullptr;
    return memory;
}
inline int register_buffer(void *dev_ptr, size_t size, int device_id, void **host_ptr_out) {
    return registered_memory()->reg(dev_ptr, size, device_id, host_ptr_out);
}
inline int unregister_buffer(void *dev_ptr, int device_id) {
    return registered_memory()->unregister(dev_ptr, device_id);
}

// A collector with the region and the callbacks of one kind of sharing.
template <typename C, typename M> class Pipeline : public Rig<M> {
  public:
    using Limits = typename DeviceThread<M>::Limits;

    explicit Pipeline(Sharing sharing, int device_threads = kRows, size_t capacity = size_t{16} << 20)
        : Rig<M>(sharing, capacity), device_threads_(device_threads) {
        M::reset();
        registered_memory() = &this->memory;
        collector->set_aicpu_thread_num(device_threads);
        this->set(
            [](auto &h) -> auto & { return h.live_instances; }, static_cast<uint32_t>(device_threads));
        stash();
        log_capture::reset();
    }

    ~Pipeline() {
        collector.reset();
        M::reset();
    }

    profiling_common::ProfRegisterCallback register_callback() const {
        return this->memory.sharing() == Sharing::kMapped ? register_buffer : nullptr;
    }
    profiling_common::ProfAllocCallback alloc_callback() {
        return [this](size_t size) { return this->memory.alloc(size); };
    }
    profiling_common::ProfFreeCallback free_callback() {
        return [this](void *ptr) { return this->memory.free(ptr); };
    }

    void stash(bool with_shm = true) {
        collector->set_memory_context(alloc_callback(), register_callback(), free_callback(), this->to_device(),
                                      this->from_device(), with_shm ? this->dev_address : nullptr,
                                      with_shm ? static_cast<void *>(this->host) : nullptr, sizeof(*this->host), 0);
    }

    // As collectors do it: the first buffers of an instance into its free queue, the rest into the lane of its shard.
    void supply(int buffers_per_instance) {
        for (int kind = 0; kind < M::kBufferKinds; ++kind) {
            for (int q = 0; q < device_threads_; ++q) {
                for (int i = 0; i < buffers_per_instance; ++i) {
                    void *view = nullptr;
                    void *const buffer = collector->alloc_paired_buffer(buffer_size(kind), &view);
                    ASSERT_NE(buffer, nullptr);
                    pool.insert(buffer);
                    if (i < static_cast<int>(M::kSlotCount)) {
                        for (auto *header : {this->dev, this->host}) {
                            header->free_queues[kind][q].buffer_ptrs[i] = compat::address(buffer);
                            header->free_queues[kind][q].tail = static_cast<uint32_t>(i) + 1;
                        }
                    } else if (!collector->manager().push_recycled(kind, buffer, q)) {
                        ASSERT_TRUE(collector->manager().retire_unqueued_buffer(kind, buffer, q));
                    }
                }
            }
        }
    }

    void start() { collector->start(threads.factory()); }
    void stop() { collector->stop(); }

    // Publishes a free queue's worth of buffers of kind 0 without waiting for anybody, as far as there are buffers and
    // room in the ready queue.
    uint64_t burst(int q, uint64_t first = 0) {
        uint64_t published = 0;
        while (published < M::kSlotCount && !this->ready_full(q)) {
            void *const buffer = this->take_free(0, q);
            if (buffer == nullptr) {
                break;
            }
            EXPECT_TRUE(this->publish(q, buffer, 0, q, DeviceThread<M>::first_sequence(q) + first + published));
            ++published;
        }
        return published;
    }

    // `records` of every device thread, to the end; false if one got stuck.
    bool play(uint64_t records, Limits limits = Limits()) {
        std::vector<std::unique_ptr<DeviceThread<M>>> device;
        for (int q = 0; q < device_threads_; ++q) {
            device.push_back(std::make_unique<DeviceThread<M>>(*this, q, records, limits));
        }
        bool finished = true;
        for (auto &thread : device) {
            finished = thread->finish() && finished;
            held.insert(held.end(), thread->held().begin(), thread->held().end());
            dropped += thread->dropped();
            gave_up += thread->gave_up_after_publishing();
        }
        return finished;
    }

    // Device threads that publish only while their lane can replace what is in flight: without gates, and where a lane
    // that runs dry has nobody to serve it, no queue may starve.
    Limits paced() {
        Limits limits;
        limits.mark = false;
        limits.may_publish = [this] {
            // Collected first: what is in flight can only have become less when the lanes are read.
            const uint64_t collected = collector->record.total();
            const uint64_t published = published_;
            size_t least = std::numeric_limits<size_t>::max();
            for (int shard = 0; shard < collector->manager().shard_count(); ++shard) {
                least = std::min(least, collector->manager().recycled_count(0, shard));
            }
            if (least <= published - collected + kRows) {
                return false;
            }
            ++published_;
            return true;
        };
        return limits;
    }

    // For another run after record.forget().
    void restart_pacing() { published_ = 0; }

    // Every queue's sequence from 0 to count - 1, complete, in order, at the right shard, with its contents.
    void expect_delivered(const std::vector<uint64_t> &counts) {
        const uint32_t shards = static_cast<uint32_t>(collector->manager().shard_count());
        std::vector<uint64_t> next(counts.size(), 0);
        for (const Delivery &d : collector->record.deliveries()) {
            ASSERT_LT(d.queue, counts.size());
            ASSERT_EQ(d.sequence, DeviceThread<M>::first_sequence(static_cast<int>(d.queue)) + next[d.queue])
                << "queue " << d.queue;
            ++next[d.queue];
            ASSERT_EQ(static_cast<uint32_t>(d.shard), d.queue % shards);
            ASSERT_TRUE(d.intact);
            ASSERT_TRUE(d.mapped);
            ASSERT_FALSE(d.overlap);
        }
        EXPECT_EQ(next, counts);
    }

    // Where every buffer of the pool is at rest. The host's queues are emptied.
    std::multiset<void *> locate() {
        std::multiset<void *> places(held.begin(), held.end());
        collector->manager().release_owned_buffers([&places](void *ptr) { places.insert(ptr); });
        for (int i = 0; i < kInstances; ++i) {
            for (int kind = 0; kind < M::kBufferKinds; ++kind) {
                for (void *ptr : this->free_content(kind, i)) {
                    places.insert(ptr);
                }
            }
            for (void *ptr : this->ready_content(i)) {
                places.insert(ptr);
            }
        }
        return places;
    }

    // Holds where every block has one buffer: the pool of supply() and what was allocated since.
    void expect_conserved() {
        std::multiset<void *> whole;
        for (const Memory::Call &call : this->memory.calls(Memory::Op::kAlloc)) {
            if (!call.failed) {
                whole.insert(const_cast<void *>(call.device));
            }
        }
        EXPECT_EQ(locate(), whole);
    }

    std::unique_ptr<C> collector = std::make_unique<C>();
    Threads threads;
    std::set<void *> pool;
    std::vector<void *> held; // by device threads that have ended
    uint64_t dropped = 0;
    uint64_t gave_up = 0;

  private:
    const int device_threads_;
    std::atomic<uint64_t> published_{0}; // by paced threads
};

} // namespace sim

#endif // CPP_TESTS_COMPAT_PIPELINE_H_
