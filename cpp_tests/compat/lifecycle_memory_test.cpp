// alloc_paired_buffer and release_one_buffer (contract, 4.6, 4.7), and what becomes of memory between init and
// finalise.
#include "pipeline.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using compat::expect_silent;
using log_capture::Level;
using sim::Memory;
using sim::Sharing;
using sim::WideModule;

namespace {

using Collector = sim::ShardCollector<WideModule>;
using Pipeline = sim::Pipeline<Collector, WideModule>;

class LifecycleMemory : public ::testing::TestWithParam<Sharing> {
  protected:
    // Strategies are chosen by the callbacks alone; the memory context has no shared region yet.
    Pipeline p_{GetParam(), 1};
};
INSTANTIATE_TEST_SUITE_P(All, LifecycleMemory,
                         ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

class LifecycleMemoryCopied : public LifecycleMemory {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleMemoryCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

TEST_P(LifecycleMemory, APairedBufferHasTheHostViewOfItsStrategy) {
    p_.stash(false);
    for (const size_t size : {size_t{8}, size_t{72}, size_t{4096}}) {
        void *view = nullptr;
        void *const buffer = p_.collector->alloc_paired_buffer(size, &view);
        ASSERT_NE(buffer, nullptr);
        ASSERT_NE(view, nullptr);
        EXPECT_EQ(p_.collector->manager().resolve_host_ptr(buffer), view);
        switch (GetParam()) {
        case Sharing::kIdentity:
            EXPECT_EQ(view, buffer);
            break;
        case Sharing::kMapped:
            EXPECT_EQ(view, p_.real(buffer));
            break;
        case Sharing::kShadow:
            for (size_t i = 0; i < size; ++i) {
                ASSERT_EQ(static_cast<const char *>(view)[i], 0);
            }
            break;
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(LifecycleMemory, RegistrationIsAskedWithSizeAndDevice) {
    p_.collector->set_memory_context(p_.alloc_callback(), p_.register_callback(), p_.free_callback(), p_.to_device(),
                                     p_.from_device(), nullptr, nullptr, 0, 42);
    void *view = nullptr;
    void *const buffer = p_.collector->alloc_paired_buffer(200, &view);
    const auto calls = p_.memory.calls(Memory::Op::kReg);
    if (GetParam() != Sharing::kMapped) {
        EXPECT_TRUE(calls.empty());
        return;
    }
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0].device, buffer);
    EXPECT_EQ(calls[0].size, 200u);
    EXPECT_EQ(calls[0].device_id, 42);
}

TEST_P(LifecycleMemory, WithoutAPlaceForTheViewThereIsNoBuffer) {
    EXPECT_EQ(p_.collector->alloc_paired_buffer(64, nullptr), nullptr);
    EXPECT_EQ(p_.memory.count(Memory::Op::kAlloc), 0u);
}

TEST_P(LifecycleMemory, WithoutAnAllocatorThereIsNoBuffer) {
    p_.collector->clear_memory_context();
    void *view = this;
    EXPECT_EQ(p_.collector->alloc_paired_buffer(64, &view), nullptr);
    EXPECT_EQ(view, nullptr);
}

TEST_P(LifecycleMemory, AFailedAllocationGivesNull) {
    p_.memory.alloc_fault.arm(1);
    void *view = this;
    EXPECT_EQ(p_.collector->alloc_paired_buffer(64, &view), nullptr);
    EXPECT_EQ(view, nullptr);
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 0u);
}

// Failed pairing, with and without a free callback: the device memory is given back, nothing stays tracked.
TEST_P(LifecycleMemory, AFailedPairingGivesTheAllocationBack) {
    if (GetParam() == Sharing::kIdentity) {
        return; // cannot fail
    }
    for (const bool with_free : {true, false}) {
        for (const bool null_view : {false, true}) {
            if (null_view && GetParam() == Sharing::kShadow) {
                continue;
            }
            Pipeline p(GetParam(), 1);
            p.collector->set_memory_context(p.alloc_callback(), p.register_callback(),
                                            with_free ? p.free_callback() : nullptr, p.to_device(), p.from_device(),
                                            nullptr, nullptr, 0, 0);
            (null_view ? p.memory.null_reg_fault : p.memory.reg_fault).arm(1);
            p.fail(">");
            const size_t live = p.memory.live();
            void *view = this;
            void *buffer = this;
            expect_logged(Level::kError, "pairing", [&] { buffer = p.collector->alloc_paired_buffer(72, &view); });
            EXPECT_EQ(buffer, nullptr);
            EXPECT_EQ(view, nullptr);
            EXPECT_EQ(p.memory.live(), live + (with_free ? 0 : 1));
            EXPECT_EQ(p.memory.bad_frees(), 0);
            const auto allocated = p.memory.calls(Memory::Op::kAlloc);
            ASSERT_EQ(allocated.size(), 1u);
            void *base = nullptr;
            EXPECT_FALSE(p.collector->manager().claim_release_pointer(const_cast<void *>(allocated[0].device), &base));
        }
    }
}

TEST_P(LifecycleMemoryCopied, AShadowedBufferIsZeroedOnTheDevice) {
    for (int round = 0; round < 2; ++round) {
        void *view = nullptr;
        p_.memory.reuse_addresses(true);
        void *const buffer = p_.collector->alloc_paired_buffer(136, &view);
        ASSERT_NE(buffer, nullptr);
        auto *const words = p_.real<uint64_t>(buffer);
        for (size_t i = 0; i < 136 / 8; ++i) {
            ASSERT_EQ(words[i], 0u);
            words[i] = 0x5555;
        }
        p_.collector->manager().free_buffer(buffer);
        p_.collector->release_one_buffer(buffer, nullptr, p_.free_callback());
    }
}

// With a registration callback copy callbacks do not make a shadow.
TEST_P(LifecycleMemoryCopied, ARegistrationTakesPrecedenceOverAShadow) {
    compat::Memory mapped(Sharing::kMapped);
    sim::registered_memory() = &mapped;
    p_.collector->set_memory_context([&](size_t size) { return mapped.alloc(size); }, sim::register_buffer,
                                     [&](void *ptr) { return mapped.free(ptr); }, p_.to_device(), p_.from_device(),
                                     nullptr, nullptr, 0, 0);
    p_.record();
    void *view = nullptr;
    void *const buffer = p_.collector->alloc_paired_buffer(64, &view);
    EXPECT_EQ(view, mapped.bytes<void>(buffer));
    EXPECT_EQ(p_.trace(), sim::Trace{});
    sim::registered_memory() = &p_.memory;
}

// release_one_buffer.

TEST_P(LifecycleMemory, EachAllocationIsReleasedOnceUnregisteredFirst) {
    void *view = nullptr;
    void *const single = p_.collector->alloc_paired_buffer(64, &view);
    p_.start();
    p_.stop();
    void *host = nullptr;
    void *const block = p_.collector->manager().alloc_and_register_block(512, &host);
    ASSERT_NE(block, nullptr);
    const auto unregister = GetParam() == Sharing::kMapped ? sim::unregister_buffer : nullptr;
    p_.memory.forget_calls();
    for (int round = 0; round < 3; ++round) {
        for (void *piece : {static_cast<void *>(static_cast<char *>(block) + 128), block, single,
                            static_cast<void *>(static_cast<char *>(block) + 511)}) {
            p_.collector->release_one_buffer(piece, unregister, p_.free_callback());
        }
    }
    std::vector<std::pair<Memory::Op, const void *>> expected;
    for (const void *ptr : {block, single}) {
        if (unregister != nullptr) {
            expected.emplace_back(Memory::Op::kUnregister, ptr);
        }
        expected.emplace_back(Memory::Op::kFree, ptr);
    }
    std::vector<std::pair<Memory::Op, const void *>> done;
    for (const Memory::Call &call : p_.memory.calls()) {
        done.emplace_back(call.op, call.device);
    }
    EXPECT_EQ(done, expected);
    EXPECT_EQ(p_.memory.frees_while_mapped(), 0);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(LifecycleMemory, NullAndUnknownPointersAreNotReleased) {
    log_capture::reset();
    p_.collector->release_one_buffer(nullptr, sim::unregister_buffer, p_.free_callback());
    p_.collector->release_one_buffer(compat::fake(7), sim::unregister_buffer, p_.free_callback());
    EXPECT_EQ(p_.memory.calls().size(), 0u);
    EXPECT_EQ(compat::complaints(), 0u);
}

TEST_P(LifecycleMemory, AFailedUnregistrationIsReportedAndTheMemoryFreed) {
    void *view = nullptr;
    void *const buffer = p_.collector->alloc_paired_buffer(64, &view);
    const size_t live = p_.memory.live();
    p_.memory.unregister_fault.arm(1);
    expect_logged(Level::kError, "unregister",
                  [&] { p_.collector->release_one_buffer(buffer, sim::unregister_buffer, p_.free_callback()); });
    EXPECT_EQ(p_.memory.live(), live - 1);
}

TEST_P(LifecycleMemory, EitherCallbackMayBeMissing) {
    void *view = nullptr;
    void *const first = p_.collector->alloc_paired_buffer(64, &view);
    void *const second = p_.collector->alloc_paired_buffer(64, &view);
    p_.memory.forget_calls();
    p_.collector->release_one_buffer(first, nullptr, nullptr);
    EXPECT_EQ(p_.memory.calls().size(), 0u);
    p_.collector->release_one_buffer(second, sim::unregister_buffer, nullptr);
    EXPECT_EQ(p_.memory.count(Memory::Op::kUnregister), 1u);
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 0u);
}

// Mappings and shadows stay until clear_mappings.
TEST_P(LifecycleMemory, AReleaseLeavesTheMappingAlone) {
    void *view = nullptr;
    void *const buffer = p_.collector->alloc_paired_buffer(64, &view);
    p_.collector->release_one_buffer(buffer, nullptr, p_.free_callback());
    EXPECT_EQ(p_.collector->manager().resolve_host_ptr(buffer), view);
    if (GetParam() == Sharing::kShadow) {
        std::memset(view, 1, 64);
    }
}

TEST_P(LifecycleMemory, ItMayBeCalledFromWithinReleaseOwnedBuffers) {
    p_.supply(8);
    p_.start();
    p_.burst(0);
    p_.stop();
    const size_t live = p_.memory.live();
    size_t released = 0;
    p_.collector->manager().release_owned_buffers([&](void *ptr) {
        ++released;
        p_.collector->release_one_buffer(ptr, nullptr, p_.free_callback());
    });
    EXPECT_GE(released, 4u);
    EXPECT_EQ(p_.memory.live(), live - released);
    EXPECT_EQ(p_.memory.bad_frees(), 0);
    // The rest is in the free queue.
    for (void *ptr : p_.free_content(0, 0)) {
        p_.collector->release_one_buffer(ptr, nullptr, p_.free_callback());
    }
    EXPECT_EQ(p_.memory.live(), live - 8);
    EXPECT_EQ(p_.memory.bad_frees(), 0);
}

// W21, W22.

TEST_P(LifecycleMemory, RefW21AClearedContextIsClearedInTheManagerToo) {
    p_.start();
    p_.stop();
    EXPECT_EQ(p_.collector->manager().shared_mem_dev(), p_.dev_address);
    p_.collector->clear_memory_context();
    EXPECT_EQ(p_.collector->manager().shared_mem_dev(), nullptr);
    EXPECT_EQ(p_.collector->manager().shared_mem_host(), nullptr);
    EXPECT_EQ(p_.collector->manager().device_id(), -1);
    // Nor does it reach the old callbacks.
    p_.memory.forget_calls();
    void *view = nullptr;
    p_.collector->manager().mirror_shm_from_device();
    p_.collector->manager().alloc_and_register_block(64, &view);
    EXPECT_EQ(p_.memory.calls().size(), 0u);
}

TEST_P(LifecycleMemory, ANewStashIsNotYetTheManagers) {
    p_.start();
    p_.stop();
    p_.stash();
    EXPECT_EQ(p_.collector->manager().shared_mem_dev(), p_.dev_address);
}

// W22: the shared region of the context, allocated directly and known to nobody else.
TEST_P(LifecycleMemory, RefW22TheStashedRegionIsReleasedOnce) {
    for (const bool mappings_cleared_first : {false, true}) {
        for (const bool started : {false, true}) {
            Pipeline p(GetParam(), 1);
            if (started) {
                p.start();
                p.stop();
            }
            if (mappings_cleared_first) {
                p.collector->manager().clear_mappings();
            }
            const auto freed = [&p] { return p.memory.calls(Memory::Op::kFree).size(); };
            const size_t before = freed();
            p.collector->release_one_buffer(p.dev_address, nullptr, p.free_callback());
            ASSERT_EQ(freed() - before, 1u);
            EXPECT_EQ(p.memory.calls(Memory::Op::kFree).back().device, p.dev_address);
            p.collector->release_one_buffer(p.dev_address, nullptr, p.free_callback());
            EXPECT_EQ(freed() - before, 1u);
            EXPECT_EQ(p.memory.bad_frees(), 0);
        }
    }
}

// A release through the normal claim is that one release.
TEST_P(LifecycleMemory, ATrackedRegionIsNotReleasedASecondTime) {
    for (const bool clear_between : {false, true}) {
        Pipeline p(GetParam(), 1);
        p.collector->manager().register_mapping(p.dev_address, p.host);
        p.collector->release_one_buffer(p.dev_address, nullptr, p.free_callback());
        EXPECT_EQ(p.memory.count(Memory::Op::kFree), 1u);
        if (clear_between) {
            p.collector->manager().clear_mappings();
        }
        p.collector->release_one_buffer(p.dev_address, nullptr, p.free_callback());
        EXPECT_EQ(p.memory.count(Memory::Op::kFree), 1u);
        EXPECT_EQ(p.memory.bad_frees(), 0);
    }
}

// However it was released, and whatever was forgotten since.
TEST_P(LifecycleMemory, ARegionThatTheManagerReleasedIsNotReleasedAgain) {
    for (const char *how : {"claim", "all", "free"}) {
        Pipeline p(GetParam(), 1);
        auto &manager = p.collector->manager();
        manager.set_memory_context(p.memory.ops(manager), nullptr, nullptr, 0, 0);
        manager.register_mapping(p.dev_address, p.host);
        if (std::string(how) == "claim") {
            void *base = nullptr;
            ASSERT_TRUE(manager.claim_release_pointer(p.dev_address, &base));
            ASSERT_EQ(base, p.dev_address);
            p.memory.free(base);
            manager.clear_mappings();
        } else if (std::string(how) == "all") {
            manager.release_all_owned([&p](void *base) { return p.memory.free(base); });
        } else {
            manager.free_buffer(p.dev_address);
        }
        EXPECT_EQ(p.memory.count(Memory::Op::kFree), 1u) << how;
        p.collector->release_one_buffer(p.dev_address, nullptr, p.free_callback());
        EXPECT_EQ(p.memory.count(Memory::Op::kFree), 1u) << how;
        EXPECT_EQ(p.memory.bad_frees(), 0) << how;
    }
}

// The same if the claim was made by somebody else.
TEST_P(LifecycleMemory, AClaimedRegionIsNotReleased) {
    p_.collector->manager().register_mapping(p_.dev_address, p_.host);
    void *base = nullptr;
    ASSERT_TRUE(p_.collector->manager().claim_release_pointer(p_.dev_address, &base));
    p_.collector->release_one_buffer(p_.dev_address, nullptr, p_.free_callback());
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 0u);
}

TEST_P(LifecycleMemory, AfterAClearedContextTheRegionIsUnknown) {
    p_.collector->clear_memory_context();
    p_.collector->release_one_buffer(p_.dev_address, nullptr, p_.free_callback());
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 0u);
}

// A new context counts as new, though it names the same region.
TEST_P(LifecycleMemory, RefW22ANewContextTracksItsRegionAgain) {
    p_.memory.reuse_addresses(true);
    p_.collector->release_one_buffer(p_.dev_address, nullptr, p_.free_callback());
    ASSERT_EQ(p_.memory.count(Memory::Op::kFree), 1u);
    ASSERT_EQ(p_.memory.alloc(sizeof(*p_.host)), p_.dev_address);
    p_.stash();
    p_.collector->release_one_buffer(p_.dev_address, nullptr, p_.free_callback());
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 2u);
    EXPECT_EQ(p_.memory.bad_frees(), 0);
}

TEST_P(LifecycleMemory, RefW22CommittedDirectPointersAreTracked) {
    void *const direct = p_.memory.alloc(64);
    {
        InitRollbackGuard<decltype(p_.collector->manager_)> guard(p_.collector->manager_, p_.free_callback());
        guard.add_direct_ptr(direct);
        guard.add_direct_ptr(nullptr);
        guard.commit();
    }
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 0u);
    p_.collector->release_one_buffer(direct, nullptr, p_.free_callback());
    p_.collector->release_one_buffer(direct, nullptr, p_.free_callback());
    EXPECT_EQ(p_.memory.count(Memory::Op::kFree), 1u);
    EXPECT_EQ(p_.memory.bad_frees(), 0);
}

} // namespace
