// Random walks over the whole manager, every result compared with the model: what single cases do not combine.
#include "model.h"

#include <memory>
#include <random>

using namespace profiling_common;
using namespace compat;

namespace {

template <typename Module> class Walk : public ::testing::Test {
  protected:
    using Manager = BufferPoolManager<Module>;

    Walk() : memory(Sharing::kMapped, size_t{8} << 20) {}

    void SetUp() override {
        Module::reset();
        for (size_t i = 0; i < kShadows; ++i) {
            shadows.push_back(std::make_unique<Shadow>());
        }
        if (!Shadow::counted()) {
            GTEST_SKIP() << "free() is not redirected on this system";
        }
        memory.reuse_addresses(true);
        MemoryOps ops = memory.ops(manager);
        ops.copy_to_device = [](void *, const void *, size_t) { return 3; };
        manager.set_memory_context(ops, nullptr, nullptr, 0, 0);
    }

    int pick(int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }
    int index() { return pick(11) - 2; }
    int kind() { return pick(Module::kBufferKinds); }

    // Often something known, sometimes not: bases, pieces, the byte behind a block, small numbers.
    void *pointer() {
        if (!blocks.empty() && pick(3) != 0) {
            const auto &block = blocks[static_cast<size_t>(pick(static_cast<int>(blocks.size())))];
            return offset(block.first, static_cast<size_t>(pick(static_cast<int>(block.second) + 2)));
        }
        return fake(static_cast<uintptr_t>(pick(40)) + 1);
    }

    Shadow &shadow() { return *shadows[static_cast<size_t>(pick(kShadows))]; }

    void expect_frees(void *host) {
        for (size_t i = 0; i < kShadows; ++i) {
            expected_frees[i] += shadows[i]->get() == host ? 1 : 0;
        }
    }

    void step() {
        switch (pick(24)) {
        case 0:
        case 1: {
            const int at = index();
            const ReadyInfo item = info(pointer(), serial++);
            EXPECT_EQ(manager.push_to_ready(item, at), model.push_ready(item, at));
            break;
        }
        case 2: {
            const int at = index();
            const ReadyInfo item = info(pointer(), serial++);
            if (model.push_ready(item, at)) {
                manager.wait_push_to_ready(item, at);
            }
            break;
        }
        case 3:
        case 4: {
            const int at = index();
            ReadyInfo out = info(fake(77), 77);
            const auto expected = model.pop_ready(at);
            const bool popped = pick(2) == 0 ? manager.try_pop_ready(out, at)
                                             : manager.wait_pop_ready(out, std::chrono::milliseconds(-pick(2)), at);
            EXPECT_EQ(popped, expected.has_value());
            EXPECT_EQ(out.dev_buffer_ptr, expected ? expected->dev_buffer_ptr : fake(77));
            EXPECT_EQ(out.sequence, expected ? expected->sequence : 77);
            break;
        }
        case 5:
        case 6: {
            const int at = index();
            const int k = kind();
            void *const ptr = pointer();
            EXPECT_EQ(manager.notify_copy_done(ptr, k, at), model.push_done(ptr, k, at));
            break;
        }
        case 7: {
            const int at = index();
            DoneInfo out{fake(77), 77};
            const auto expected = model.pop_done(at);
            EXPECT_EQ(manager.try_pop_done(out, at), expected.has_value());
            EXPECT_EQ(out.dev_ptr, expected ? expected->dev_ptr : fake(77));
            EXPECT_EQ(out.kind, expected ? expected->kind : 77);
            break;
        }
        case 8: {
            const int at = index();
            EXPECT_EQ(manager.drain_done_into_recycled(at), model.drain_one(at));
            break;
        }
        case 9:
            Module::warm_target[kind()] = pick(8) - 2;
            if (const auto expected = model.drain_all()) {
                EXPECT_EQ(manager.drain_done_into_recycled(), *expected);
            }
            break;
        case 10: {
            const int at = index();
            const int k = kind();
            void *const ptr = pointer();
            EXPECT_EQ(manager.push_recycled(k, ptr, at), model.push_lane(k, ptr, at));
            break;
        }
        case 11:
        case 12: {
            const int at = index();
            const int k = kind();
            EXPECT_EQ(manager.pop_recycled(k, at), model.pop_lane(k, at));
            break;
        }
        case 13: {
            const int k = kind();
            EXPECT_EQ(manager.pop_recycled_for_startup(k), model.pop_startup(k));
            break;
        }
        case 14: {
            const int at = index();
            const int k = kind();
            void *const ptr = pointer();
            EXPECT_TRUE(manager.retire_unqueued_buffer(k, ptr, at));
            model.retire(k, ptr, at);
            break;
        }
        case 15:
            batch();
            break;
        case 16:
            single_block();
            break;
        case 17: {
            void *const ptr = pointer();
            if (!orphans && model.holds_shadow(ptr)) {
                break;
            }
            void *const host = pick(4) == 0 ? nullptr : fake(static_cast<uintptr_t>(1000 + pick(1000)));
            manager.register_mapping(ptr, host);
            model.add_mapping(ptr, host);
            break;
        }
        case 18: {
            void *const ptr = pointer();
            if (!orphans && model.holds_shadow(ptr)) {
                break;
            }
            Shadow &host = shadow();
            manager.add_malloc_shadow(host.get());
            manager.register_mapping(ptr, host.get());
            model.add_shadow(host.get());
            model.add_mapping(ptr, host.get());
            break;
        }
        case 19: {
            void *const ptr = pointer();
            void *base = fake(77);
            const auto expected = model.claim(ptr);
            EXPECT_EQ(manager.claim_release_pointer(ptr, &base), expected.first);
            EXPECT_EQ(base, expected.second);
            break;
        }
        case 20:
        case 21: {
            void *const ptr = pointer();
            memory.forget_calls();
            const auto expected = model.free_buffer(ptr);
            manager.free_buffer(ptr);
            const auto freed = memory.calls(Memory::Op::kFree);
            ASSERT_EQ(freed.size(), expected.base == nullptr ? 0u : 1u);
            if (expected.base != nullptr) {
                EXPECT_EQ(freed[0].device, expected.base);
                forget_block(expected.base);
                expect_frees(expected.shadow);
            }
            break;
        }
        case 22: {
            const int n = pick(7) - 1;
            manager.set_shard_count(n);
            model.set_shard_count(n);
            break;
        }
        case 23:
            if (pick(20) == 0) {
                tear_down();
            }
            break;
        }
    }

    void batch() {
        const int k = kind();
        const int count = pick(7) - 1;
        const int at = pick(2) == 0 ? -1 : index();
        const size_t size = static_cast<size_t>(pick(200));
        memory.forget_calls();
        if (pick(5) == 0) {
            (pick(2) == 0 ? memory.alloc_fault : memory.reg_fault).arm(1);
        }
        const size_t placed = manager.allocate_recycled_batch(k, size, count, at);
        memory.alloc_fault.disarm();
        memory.reg_fault.disarm();
        const auto registrations = memory.calls(Memory::Op::kReg);
        if (count <= 0 || size == 0) {
            EXPECT_EQ(placed, 0u);
            EXPECT_TRUE(memory.calls().empty());
            return;
        }
        if (registrations.empty() || registrations[0].failed) {
            EXPECT_EQ(placed, 0u);
            return;
        }
        const size_t stride = (size + 63) / 64 * 64;
        EXPECT_EQ(registrations[0].size, stride * static_cast<size_t>(count));
        EXPECT_EQ(placed, static_cast<size_t>(count));
        void *const base = const_cast<void *>(registrations[0].device);
        add_block(base, registrations[0].size, const_cast<void *>(registrations[0].host));
        for (int i = 0; i < count; ++i) {
            model.place(k, offset(base, stride * static_cast<size_t>(i)), at < 0 ? i : at);
        }
    }

    void single_block() {
        const size_t size = static_cast<size_t>(pick(300)) + 1;
        void *host = fake(77);
        memory.forget_calls();
        if (pick(5) == 0) {
            memory.null_reg_fault.arm(1);
        }
        void *const base = manager.alloc_and_register_block(size, &host);
        memory.null_reg_fault.disarm();
        if (memory.calls(Memory::Op::kReg).at(0).failed) {
            EXPECT_EQ(base, nullptr);
            EXPECT_EQ(host, nullptr);
            return;
        }
        EXPECT_EQ(host, memory.calls(Memory::Op::kReg)[0].host);
        add_block(base, size, host);
    }

    void add_block(void *base, size_t size, void *host) {
        model.add_block(base, size, host);
        blocks.emplace_back(base, size);
    }

    void forget_block(void *base) {
        memory.unregister(base, 0);
        blocks.erase(
            std::remove_if(blocks.begin(), blocks.end(), [base](const auto &block) { return block.first == base; }),
            blocks.end());
    }

    void compare() {
        EXPECT_EQ(manager.shard_count(), model.live);
        bool empty = true;
        for (int k = 0; k < Module::kBufferKinds; ++k) {
            EXPECT_EQ(manager.recycled_count(k), model.kind_size(k));
            empty = empty && model.kind_size(k) == 0;
            const int at = index();
            EXPECT_EQ(manager.recycled_count(k, at), model.lane_size(k, at));
        }
        EXPECT_EQ(manager.recycled_empty(), empty);
        void *const ptr = pointer();
        log_capture::reset();
        const auto expected = model.resolve(ptr);
        EXPECT_EQ(manager.resolve_host_ptr(ptr), expected.value_or(nullptr));
        if (expected) {
            EXPECT_EQ(log_capture::total(), 0u);
        }
        EXPECT_EQ(manager.release_pointer_for(ptr), model.base_of(ptr));
        EXPECT_EQ(manager.copy_buffer_to_device(ptr, ptr, 1), 3);
        for (size_t i = 0; i < kShadows; ++i) {
            EXPECT_EQ(shadows[i]->frees(), expected_frees[i]);
        }
    }

    void tear_down() {
        Ptrs released;
        const auto keep = [&released](void *ptr) { released.push_back(ptr); };
        const int way = pick(3);
        if (way == 0) {
            manager.release_owned_buffers(keep);
            EXPECT_EQ(released, model.release_owned());
            return;
        }
        if (way == 1) {
            manager.release_all_owned(keep);
            EXPECT_EQ(released, model.mapped_bases());
            model.discard_queues();
        } else {
            manager.clear_mappings();
        }
        for (void *host : model.clear_mappings()) {
            expect_frees(host);
        }
        while (!blocks.empty()) {
            EXPECT_EQ(memory.free(blocks.back().first), 0);
            forget_block(blocks.back().first);
        }
    }

    void walk(bool with_orphans) {
        orphans = with_orphans;
        for (unsigned seed = 1; seed <= 3; ++seed) {
            random.seed(seed);
            for (int i = 0; i < 8000; ++i) {
                ASSERT_NO_FATAL_FAILURE(step());
                compare();
                ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << i;
            }
        }
    }

    // Whether a mapping may be overwritten although it is what a shadow is known by.
    bool orphans = false;
    static constexpr int kShadows = 30;
    std::mt19937 random;
    std::vector<std::unique_ptr<Shadow>> shadows;
    int expected_frees[kShadows] = {};
    Memory memory;
    Manager manager;
    Model<Module> model;
    std::vector<std::pair<void *, size_t>> blocks;
    uint64_t serial = 0;
};

using Modules =
    ::testing::Types<OddModule, PoolModule<1, 1, 1, 1, 1>, PoolModule<2, 2, 8, 3, 8>, PoolModule<4, 5, 3, 20, 5>>;
TYPED_TEST_SUITE(Walk, Modules);

// Ranges never overlap: the device frees a block only after the manager forgot it.
TYPED_TEST(Walk, EveryStepMatchesTheModel) { this->walk(false); }

// With mappings overwritten that a shadow depended on.
TYPED_TEST(Walk, RefW23_EveryStepMatchesTheModelWithOrphanedShadows) { this->walk(true); }

} // namespace
