// Modules of the five subsystems' shapes (1.5) switched and flushed through the engine.
#include "subsystems.h"

#include "log_capture.h"
#include "world.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

using namespace subsystems;
using device_test::World;
using log_capture::Level;

namespace {

constexpr unsigned char kFill = 0xa5;

template <typename M> class Subsystem : public ::testing::Test {
  protected:
    using Engine = profiling_device::DeviceProfilerEngine<M>;
    using Buffer = typename M::Buffer;
    static constexpr uint32_t kCapacity = Buffer::kCapacity;
    static constexpr int kThread = static_cast<int>(kThreads) - 1;
    static constexpr uint32_t kIndex = 3; // Core, or thread of a phase pool.

    Subsystem() : region_(region()), header(reinterpret_cast<typename M::DataHeader *>(region_->bytes)) {
        std::memset(static_cast<void *>(region_), 0, sizeof *region_);
        std::memset(static_cast<void *>(header->queues), kFill, sizeof header->queues);
        state = reinterpret_cast<typename M::State *>(header + 1) + (per_thread() ? kThread : 0);
        context = make_context();
        world.step = M::kBackpressureWaitCycles / 10;
        ArgsDump::init();
        log_capture::reset();
    }

    static constexpr bool per_thread() { return std::is_same_v<M, ArgsDump>; }

    typename M::Context make_context() {
        if constexpr (std::is_same_v<typename M::DataHeader, SwimlaneHeader>) {
            return {header, kThread, kIndex, M::kKind, &cached};
        } else if constexpr (std::is_same_v<M, Pmu>) {
            return {header, kThread, static_cast<int>(kIndex)};
        } else {
            return {header, kThread};
        }
    }
    uint32_t expected_index() const {
        if constexpr (std::is_same_v<typename M::DataHeader, SwimlaneHeader> || std::is_same_v<M, Pmu>) {
            return kIndex;
        } else {
            return per_thread() ? kThread : 0;
        }
    }
    uint32_t expected_kind() const {
        if constexpr (std::is_same_v<typename M::DataHeader, SwimlaneHeader>) {
            return static_cast<uint32_t>(M::kKind);
        } else {
            return 0xa5a5a5a5; // Never written.
        }
    }
    // The cache of the module, where it has one (D8).
    void expect_cache(Buffer *buffer) {
        if constexpr (std::is_same_v<typename M::DataHeader, SwimlaneHeader>) {
            EXPECT_EQ(cached, buffer);
        } else if constexpr (std::is_same_v<M, ArgsDump>) {
            EXPECT_EQ(ArgsDump::local(kThread).cached, buffer);
        }
    }

    auto &words() { return M::words(state); }
    Buffer *active() { return reinterpret_cast<Buffer *>(words().current_buf_ptr); }
    Buffer *fresh() {
        // Untouched pages of a large buffer cost nothing.
        buffers_.emplace_back(static_cast<Buffer *>(std::aligned_alloc(64, sizeof(Buffer))), &std::free);
        buffers_.back()->count = 77;
        return buffers_.back().get();
    }
    void give(Buffer *buffer) {
        auto &queue = state->free_queue;
        ASSERT_LT(static_cast<uint32_t>(queue.tail - queue.head), M::kSlotCount);
        queue.buffer_ptrs[queue.tail % M::kSlotCount] = reinterpret_cast<uintptr_t>(buffer);
        queue.tail = queue.tail + 1;
    }
    void switch_buffer() { Engine::switch_buffer(context, state); }
    uint32_t tail() { return header->queue_tails[kThread]; }
    const Entry &newest() { return header->queues[kThread][(tail() + M::kReadyQueueSize - 1) % M::kReadyQueueSize]; }
    Buffer *take() {
        const uint32_t head = header->queue_heads[kThread];
        EXPECT_NE(head, tail());
        const Entry &entry = header->queues[kThread][head];
        header->queue_heads[kThread] = (head + 1) % M::kReadyQueueSize;
        return reinterpret_cast<Buffer *>(entry.buffer_ptr);
    }
    void fill_ready() {
        header->queue_tails[kThread] = 0;
        header->queue_heads[kThread] = 1;
    }

    // A record as the subsystem appends it: switched before the next one, one more pop, then lost.
    bool append() {
        ++total;
        Buffer *buffer = active();
        if (buffer == nullptr) {
            buffer = Engine::pop_free(context, state, words().current_buf_seq);
        } else if (buffer->count >= kCapacity) {
            switch_buffer();
            buffer = active();
        }
        if (buffer == nullptr || buffer->count >= kCapacity) {
            M::account_dropped(context, state, 1);
            return false;
        }
        auto &record = buffer->records[buffer->count];
        record.words[0] = total;
        if constexpr (std::is_same_v<M, ArgsDump>) {
            record.kind = total % 3 == 0;
            record.payload_size = total % 2;
        }
        buffer->count = buffer->count + 1;
        return true;
    }
    void flush() {
        if (words().current_buf_ptr != 0 && active()->count != 0) {
            if (Engine::enqueue_ready(context, words().current_buf_ptr, words().current_buf_seq) != 0) {
                M::account_dropped(context, state, active()->count);
                active()->count = 0;
            }
            words().current_buf_ptr = 0;
        }
    }

    struct Region {
        alignas(64) unsigned char bytes[sizeof(typename M::DataHeader) + kThreads * sizeof(typename M::State)];
    };
    // Addresses do not come back.
    static Region *region() {
        static std::deque<Region> regions;
        regions.emplace_back();
        return &regions.back();
    }

    Region *const region_;
    typename M::DataHeader *const header;
    World world;
    typename M::State *state;
    Buffer *cached = nullptr;
    typename M::Context context;
    uint64_t total = 0;

  private:
    std::vector<std::unique_ptr<Buffer, decltype(&std::free)>> buffers_;
};

using Modules = ::testing::Types<SwimlaneTask, SwimlaneSched, SwimlaneOrch, Pmu, DepGen, ArgsDump, ScopeStats>;
TYPED_TEST_SUITE(Subsystem, Modules);

// D12 and the columns of 1.5.
TYPED_TEST(Subsystem, SwitchesAroundItsRing) {
    auto *const first = this->fresh();
    this->give(first);
    ASSERT_EQ((TestFixture::Engine::try_pop_free(this->context, this->state, 0)), first);
    this->expect_cache(first);
    auto *spare = this->fresh();
    for (uint32_t turn = 0; turn < TypeParam::kReadyQueueSize + 5; ++turn) {
        auto *const full = this->active();
        full->count = turn % 2;
        if constexpr (std::is_same_v<TypeParam, ArgsDump>) {
            full->records[0].kind = 1;
        }
        this->give(spare);
        const uint32_t at = this->tail();
        this->switch_buffer();
        const Entry &entry = this->header->queues[this->kThread][at];
        ASSERT_EQ(entry.index, this->expected_index());
        ASSERT_EQ(entry.kind, this->expected_kind());
        ASSERT_EQ(entry.buffer_ptr, reinterpret_cast<uintptr_t>(full));
        ASSERT_EQ(entry.buffer_seq, turn);
        ASSERT_EQ(entry.pad, 0xa5a5a5a5u);
        ASSERT_EQ(this->tail(), (at + 1) % TypeParam::kReadyQueueSize);
        ASSERT_EQ(this->active(), spare);
        ASSERT_EQ(spare->count, 0u);
        ASSERT_EQ(this->words().current_buf_seq, turn + 1);
        this->expect_cache(spare);
        ASSERT_EQ(this->take(), full);
        spare = full;
    }
    EXPECT_EQ(this->world.hints, 0u);
    const size_t switches = TypeParam::kReadyQueueSize + 5;
    constexpr bool kSwimlane = std::is_same_v<typename TypeParam::DataHeader, SwimlaneHeader>;
    EXPECT_EQ(log_capture::count(Level::kInfo), kSwimlane ? switches : 0u);
    EXPECT_EQ(log_capture::count(Level::kDebug), (std::is_same_v<TypeParam, Pmu>) ? switches : 0u);
    EXPECT_EQ(log_capture::count(Level::kWarn) + log_capture::count(Level::kError), 0u);
    if (std::is_same_v<TypeParam, ArgsDump>) {
        EXPECT_EQ(ArgsDump::local(this->kThread).switches, switches);
    }
    // Of other threads' queues nothing was written.
    for (size_t thread = 0; thread + 1 < kThreads; ++thread) {
        EXPECT_EQ(this->header->queue_tails[thread], 0u);
        EXPECT_EQ(this->header->queues[thread][0].buffer_ptr, 0xa5a5a5a5a5a5a5a5u);
    }
}

// D26 and its like: nothing is lost while the host keeps up, and what is not delivered is counted.
TYPED_TEST(Subsystem, TheBooksBalance) {
    constexpr uint64_t kRecords = 3 * uint64_t{TestFixture::kCapacity} + 7;
    std::vector<typename TypeParam::Buffer *> spare{this->fresh(), this->fresh()};
    uint64_t collected = 0;
    uint64_t last = 0;
    const auto host = [&] {
        while (this->header->queue_heads[this->kThread] != this->tail()) {
            auto *const buffer = this->take();
            for (uint32_t record = 0; record < buffer->count; ++record) {
                ASSERT_GT(buffer->records[record].words[0], last);
                last = buffer->records[record].words[0];
            }
            collected += buffer->count;
            spare.push_back(buffer);
        }
        while (!spare.empty() && this->state->free_queue.tail - this->state->free_queue.head < TypeParam::kSlotCount) {
            this->give(spare.back());
            spare.pop_back();
        }
        this->header->backpressure.fq_contended = 0;
    };
    host();
    for (uint64_t record = 0; record < kRecords; ++record) {
        ASSERT_TRUE(this->append());
        if (this->active()->count == 1) {
            host();
        }
    }
    this->flush();
    host();
    EXPECT_EQ(collected, kRecords);
    EXPECT_EQ(this->words().dropped_record_count, 0u);
    EXPECT_EQ(this->words().current_buf_ptr, 0u);
    if constexpr (std::is_same_v<TypeParam, ArgsDump>) {
        uint64_t payloads = 0;
        for (uint64_t record = 1; record <= kRecords; ++record) {
            payloads += record % 3 != 0 && record % 2 != 0;
        }
        EXPECT_EQ(this->state->published_payload_count, payloads);
    }
}

// 2.7: the loss of a switch, with the whole budget of the architecture.
TYPED_TEST(Subsystem, AFullRingLosesOneBuffer) {
    this->give(this->fresh());
    ASSERT_TRUE(this->append());
    auto *const full = this->active();
    full->count = this->kCapacity;
    this->fill_ready();
    const uint64_t start = this->world.now;
    EXPECT_TRUE(this->append()); // The buffer is reused at once.
    EXPECT_GE(this->world.now - start, PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES);
    EXPECT_LE(this->world.now - start, 2 * PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES);
    EXPECT_EQ(this->active(), full);
    EXPECT_EQ(full->count, 1u);
    EXPECT_EQ(this->words().current_buf_seq, 0u);
    EXPECT_EQ(this->words().dropped_record_count, this->kCapacity);
    this->expect_cache(full);
    full->count = this->kCapacity;
    EXPECT_TRUE(this->append());
    EXPECT_EQ(this->words().dropped_record_count, 2 * this->kCapacity);
    constexpr bool kDump = std::is_same_v<TypeParam, ArgsDump>;
    constexpr bool kSilent = kDump || std::is_same_v<TypeParam, ScopeStats>;
    EXPECT_EQ(log_capture::count(Level::kError), kSilent ? 0u : 2u);
    EXPECT_EQ(log_capture::count(Level::kWarn), kDump ? 1u : 0u); // Once per thread and init.
    EXPECT_EQ(this->header->backpressure.rq_contended, 1u);
}

TYPED_TEST(Subsystem, LossesWrapOrSaturate) {
    this->give(this->fresh());
    ASSERT_TRUE(this->append());
    this->words().dropped_record_count = UINT32_MAX - 2;
    this->active()->count = 5;
    this->fill_ready();
    this->switch_buffer();
    EXPECT_EQ(this->words().dropped_record_count, (std::is_same_v<TypeParam, ArgsDump>) ? UINT32_MAX : 2u);
}

// D13, D14: the buffer is the host's, and a later record finds a new one.
TYPED_TEST(Subsystem, WithoutAReplacementThenWithOne) {
    this->give(this->fresh());
    ASSERT_TRUE(this->append());
    auto *const full = this->active();
    full->count = this->kCapacity;
    this->header->backpressure.fq_freeze_active = 1;
    EXPECT_FALSE(this->append());
    EXPECT_EQ(this->words().current_buf_ptr, 0u);
    EXPECT_EQ(this->words().current_buf_seq, 1u);
    EXPECT_EQ(this->words().dropped_record_count, 1u);
    EXPECT_EQ(full->count, this->kCapacity);
    this->expect_cache(nullptr);
    constexpr bool kWarns = std::is_same_v<TypeParam, SwimlaneSched> || std::is_same_v<TypeParam, SwimlaneOrch> ||
                            std::is_same_v<TypeParam, ArgsDump>;
    EXPECT_EQ(log_capture::count(Level::kWarn), kWarns ? 1u : 0u);
    EXPECT_EQ(this->take(), full);
    this->give(full);
    this->header->backpressure.fq_freeze_active = 0;
    EXPECT_TRUE(this->append());
    EXPECT_EQ(this->active(), full);
    EXPECT_EQ(full->count, 1u);
    EXPECT_EQ(this->words().current_buf_seq, 1u);
    this->flush();
    EXPECT_EQ(this->newest().buffer_seq, 1u);
}

// The AICore stream is no instance of the engine: it borrows two functions of the task's, and pops by itself.
TEST(SwimlaneAicore, BorrowsFromTheTaskInstance) {
    using Engine = profiling_device::DeviceProfilerEngine<SwimlaneTask>;
    World world;
    const auto header = std::make_unique<SwimlaneHeader>();
    SwimlanePool pool{};
    const auto old = std::make_unique<AicoreBuffer>();
    const auto next = std::make_unique<AicoreBuffer>();
    pool.head.current_buf_ptr = reinterpret_cast<uintptr_t>(old.get());
    pool.free_queue.buffer_ptrs[0] = reinterpret_cast<uintptr_t>(next.get());
    pool.free_queue.tail = 1;
    uint32_t head = 9;
    uint32_t tail = 9;
    ASSERT_TRUE(Engine::wait_for_free_queue_entry(header.get(), &pool.free_queue, &head, &tail));
    EXPECT_EQ(head, 0u);
    EXPECT_EQ(tail, 1u);
    EXPECT_EQ(pool.free_queue.head, 0u); // A wait takes nothing.
    old->count = AicoreBuffer::kCapacity;
    const SwimlaneTask::Context context{header.get(), 1, 17, Kind::kAicoreTask, nullptr};
    ASSERT_EQ(Engine::enqueue_ready(context, pool.head.current_buf_ptr, 4), 0);
    const Entry &entry = header->queues[1][0];
    EXPECT_EQ(entry.index, 17u);
    EXPECT_EQ(entry.kind, 3u);
    EXPECT_EQ(entry.buffer_ptr, reinterpret_cast<uintptr_t>(old.get()));
    EXPECT_EQ(entry.buffer_seq, 4u);
    EXPECT_EQ(pool.head.current_buf_ptr, reinterpret_cast<uintptr_t>(old.get()));
    EXPECT_EQ(pool.head.current_buf_seq, 0u);
}

// A cache is the caller's to have.
TEST(SwimlaneTaskWithoutCache, SwitchesToo) {
    using Engine = profiling_device::DeviceProfilerEngine<SwimlaneTask>;
    World world;
    const auto header = std::make_unique<SwimlaneHeader>();
    SwimlanePool pool{};
    const auto old = std::make_unique<TaskBuffer>();
    const auto next = std::make_unique<TaskBuffer>();
    pool.head.current_buf_ptr = reinterpret_cast<uintptr_t>(old.get());
    pool.free_queue.buffer_ptrs[0] = reinterpret_cast<uintptr_t>(next.get());
    pool.free_queue.tail = 1;
    Engine::switch_buffer({header.get(), 0, 1, Kind::kAicpuTask, nullptr}, &pool);
    EXPECT_EQ(pool.head.current_buf_ptr, reinterpret_cast<uintptr_t>(next.get()));
}

} // namespace
