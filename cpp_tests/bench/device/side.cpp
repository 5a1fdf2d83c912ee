// One side of the instruction counts: the engine of the header that the include path finds, on modules of two
// subsystems' shapes whose hooks say nothing. Runs `rounds` rounds of one kind of work and ends.
#include "../../device/subsystems.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

// A clock is one load here.
volatile uint64_t ticks = 1;

struct QuietPmu : subsystems::Pmu {
    static void on_switch_complete(Context, subsystems::PmuState *, subsystems::PmuBuffer *) {}
};

template <typename M> class Bench {
  public:
    Bench() {
        state_->current_buf_ptr = address(buffers_[0].get());
        next_ = address(buffers_[1].get());
    }

    // What the host does for one switch: it takes what was published and gives another buffer.
    __attribute__((noinline)) void host() {
        auto &queue = state_->free_queue;
        header_->queue_heads[0] = header_->queue_tails[0];
        const uint32_t tail = queue.tail;
        queue.buffer_ptrs[tail % M::kSlotCount] = next_;
        queue.tail = tail + 1;
    }
    // As the host, without a device: takes the buffer back.
    __attribute__((noinline)) void undo() { state_->free_queue.head = state_->free_queue.tail; }

    __attribute__((noinline)) void switch_buffer() {
        next_ = state_->current_buf_ptr;
        profiling_device::DeviceProfilerEngine<M>::switch_buffer(context(), state_.get());
    }

    // As subsystems append: looks for the buffer, switches a full one, fills the record, counts it.
    __attribute__((noinline)) bool append(uint64_t value) {
        using Buffer = typename M::Buffer;
        auto *buffer = reinterpret_cast<Buffer *>(state_->current_buf_ptr);
        state_->total_record_count = state_->total_record_count + 1;
        if (buffer == nullptr) {
            buffer =
                profiling_device::DeviceProfilerEngine<M>::pop_free(context(), state_.get(), state_->current_buf_seq);
        } else if (buffer->count >= Buffer::kCapacity) {
            profiling_device::DeviceProfilerEngine<M>::switch_buffer(context(), state_.get());
            buffer = reinterpret_cast<Buffer *>(state_->current_buf_ptr);
        }
        if (buffer == nullptr) {
            M::account_dropped(context(), state_.get(), 1);
            return false;
        }
        for (uint64_t &word : buffer->records[buffer->count].words) {
            word = value;
        }
        buffer->count = buffer->count + 1;
        wmb();
        return true;
    }
    bool stands_before_switch() const {
        return reinterpret_cast<typename M::Buffer *>(state_->current_buf_ptr)->count == M::Buffer::kCapacity;
    }
    void rewind() {
        reinterpret_cast<typename M::Buffer *>(state_->current_buf_ptr)->count = 0;
        next_ = address(buffers_[state_->current_buf_ptr == address(buffers_[0].get())].get());
    }
    void give_other() {
        next_ = address(buffers_[state_->current_buf_ptr == address(buffers_[0].get())].get());
        host();
    }
    uint32_t seq() const { return state_->current_buf_seq; }
    uint32_t lost() const { return state_->dropped_record_count; }

  private:
    static uint64_t address(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
    typename M::Context context() {
        typename M::Context context{};
        context.header = header_.get();
        return context;
    }

    std::unique_ptr<typename M::DataHeader> header_ = std::make_unique<typename M::DataHeader>();
    std::unique_ptr<typename M::State> state_ = std::make_unique<typename M::State>();
    std::unique_ptr<typename M::Buffer> buffers_[2] = {std::make_unique<typename M::Buffer>(),
                                                       std::make_unique<typename M::Buffer>()};
    uint64_t next_ = 0;
};

template <typename M> int run(const char *work, uint32_t rounds) {
    Bench<M> bench;
    if (std::strcmp(work, "host") == 0) {
        for (uint32_t round = 0; round < rounds; ++round) {
            bench.host();
            bench.undo();
        }
        return 0;
    }
    if (std::strcmp(work, "switch") == 0) {
        for (uint32_t round = 0; round < rounds; ++round) {
            bench.host();
            bench.switch_buffer();
        }
        return bench.seq() == rounds && bench.lost() == 0 ? 0 : 1;
    }
    // Records that fill no buffer, or all of a stream with its switches.
    const bool stream = std::strcmp(work, "stream") == 0;
    for (uint32_t round = 0; round < rounds; ++round) {
        if (bench.stands_before_switch()) {
            if (stream) {
                bench.give_other();
            } else {
                bench.rewind();
            }
        }
        if (!bench.append(round)) {
            return 1;
        }
    }
    return stream == (bench.seq() != 0) && bench.lost() == 0 ? 0 : 1;
}

} // namespace

uint64_t get_sys_cnt_aicpu() { return ticks; }

extern "C" void lanepipe_device_abort() { std::abort(); }

int main(int argc, char **argv) {
    if (argc != 4) {
        std::fputs("side (pmu | scope_stats) (host | switch | append | stream) ROUNDS\n", stderr);
        return 2;
    }
    const auto rounds = static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10));
    return std::strcmp(argv[1], "pmu") == 0 ? run<QuietPmu>(argv[2], rounds)
                                            : run<subsystems::ScopeStats>(argv[2], rounds);
}
