// Callbacks that fail at their k-th call, once or for good, in every mode of memory and before every kind of teardown:
// no block is lost or freed twice, none is freed while registered, no shadow is lost (contract 2.5.6-2.5.8, H27-H29).
#include "support.h"

#include <cstring>
#include <memory>
#include <tuple>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
using Op = Memory::Op;

enum class Failing { kAlloc, kReg, kNullReg, kFree, kUnregister, kToDevice, kFromDevice };
enum class Teardown { kClaims, kAll, kFreeBuffer };

using Case = std::tuple<Sharing, Failing, Teardown>;

class Faults : public LogTest, public ::testing::WithParamInterface<Case> {
  protected:
    static constexpr size_t kRegion = 512;

    Fault &fault(Memory &memory) const {
        switch (std::get<1>(GetParam())) {
        case Failing::kAlloc:
            return memory.alloc_fault;
        case Failing::kReg:
            return memory.reg_fault;
        case Failing::kNullReg:
            return memory.null_reg_fault;
        case Failing::kFree:
            return memory.free_fault;
        case Failing::kUnregister:
            return memory.unregister_fault;
        case Failing::kToDevice:
            return memory.to_fault;
        default:
            return memory.from_fault;
        }
    }

    // A life of the manager: a region, blocks of several kinds, fields and buffers copied, buffers going round.
    void live(Memory &memory, Manager &manager, Ptrs &held) const {
        void *region_host = nullptr;
        void *const region = manager.alloc_and_register_block(kRegion, &region_host);
        ASSERT_EQ(region == nullptr, region_host == nullptr);
        manager.set_memory_context(memory.ops(manager), region, region_host, region == nullptr ? 0 : kRegion, 1);
        for (int round = 0; round < 3; ++round) {
            for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
                const size_t before = manager.recycled_count(kind);
                const size_t placed = manager.allocate_recycled_batch(kind, 100, 5, round - 1);
                // All of a block or none of it; what does not fit into lanes is parked.
                ASSERT_TRUE(placed == 0 || placed == 5);
                ASSERT_LE(manager.recycled_count(kind), before + placed);
            }
            if (region != nullptr) {
                auto *const word = static_cast<uint32_t *>(region_host) + round;
                const uint32_t before = *memory.bytes<uint32_t>(offset(region, 4 * static_cast<size_t>(round)));
                *word = 100;
                const int wrote = manager.write_range_to_device(word, sizeof(*word));
                const uint32_t after = *memory.bytes<uint32_t>(offset(region, 4 * static_cast<size_t>(round)));
                ASSERT_TRUE(wrote == 0 || wrote == Memory::kFailedRc);
                ASSERT_EQ(after, wrote == 0 ? 100 : before);
                const int read = manager.read_range_from_device(word, sizeof(*word));
                ASSERT_TRUE(read == 0 || read == Memory::kFailedRc);
                manager.mirror_shm_from_device();
            }
            for (int shard = 0; shard < 4; ++shard) {
                for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
                    void *const buffer = manager.pop_recycled(kind, shard);
                    if (buffer == nullptr) {
                        continue;
                    }
                    void *const host = manager.resolve_host_ptr(buffer);
                    ASSERT_NE(host, nullptr);
                    const int rc = manager.copy_buffer_from_device(host, buffer, 100);
                    ASSERT_TRUE(rc == 0 || rc == Memory::kFailedRc);
                    if (rc != 0) {
                        ASSERT_TRUE(manager.retire_unqueued_buffer(kind, buffer, shard));
                    } else if (shard == 3) {
                        held.push_back(buffer);
                    } else if (shard == 2) {
                        ASSERT_TRUE(manager.notify_copy_done(buffer, kind, shard));
                    } else {
                        ASSERT_TRUE(manager.push_to_ready(ReadyInfo{buffer, host, 0, kind}, shard));
                    }
                }
            }
            ReadyInfo ready{};
            for (int shard = 0; shard < 2; ++shard) {
                while (manager.try_pop_ready(ready, shard)) {
                    ASSERT_TRUE(manager.notify_copy_done(ready.dev_buffer_ptr, ready.kind, shard));
                }
            }
            manager.drain_done_into_recycled();
        }
        if (!held.empty()) {
            // One block goes early, with all its pieces wherever they are.
            void *const base = manager.release_pointer_for(held.back());
            memory.unregister(base, 1);
            manager.free_buffer(held.back());
        }
    }

    void tear_down(Memory &memory, Manager &manager, const Ptrs &held) const {
        const auto release = [&memory](void *base) {
            memory.unregister(base, 1);
            memory.free(base);
        };
        const auto release_claimed = [&manager, &release](void *ptr) {
            void *base = nullptr;
            if (manager.claim_release_pointer(ptr, &base)) {
                release(base);
            }
        };
        switch (std::get<2>(GetParam())) {
        case Teardown::kClaims:
            for (void *ptr : held) {
                release_claimed(ptr);
            }
            manager.release_owned_buffers(release_claimed);
            release_claimed(manager.shared_mem_dev());
            manager.clear_mappings();
            break;
        case Teardown::kAll:
            manager.release_all_owned(release);
            break;
        case Teardown::kFreeBuffer: {
            const auto free_buffer = [&memory, &manager](void *ptr) {
                memory.unregister(manager.release_pointer_for(ptr), 1);
                manager.free_buffer(ptr);
            };
            for (void *ptr : held) {
                free_buffer(ptr);
            }
            manager.release_owned_buffers(free_buffer);
            free_buffer(manager.shared_mem_dev());
            manager.clear_mappings();
            break;
        }
        }
    }

    // Returns whether the armed call happened at all.
    bool run(int k, int count) const {
        Memory memory(std::get<0>(GetParam()), size_t{1} << 20);
        fault(memory).arm(k, count);
        {
            Manager manager;
            Ptrs held;
            manager.set_memory_context(memory.ops(manager), nullptr, nullptr, 0, 1);
            live(memory, manager, held);
            tear_down(memory, manager, held);
            EXPECT_TRUE(manager.recycled_empty());
            // A second teardown finds nothing.
            const size_t calls = memory.calls().size();
            manager.release_owned_buffers([](void *) { ADD_FAILURE(); });
            manager.release_all_owned([](void *) { ADD_FAILURE(); });
            EXPECT_EQ(memory.calls().size(), calls);
        }
        // What the device refused to free stays there; nothing else does, and nothing was tried twice.
        size_t refused = 0;
        std::map<const void *, int> frees;
        for (const Memory::Call &call : memory.calls(Op::kFree)) {
            refused += call.failed ? 1 : 0;
            EXPECT_EQ(++frees[call.device], 1) << "k " << k << ", count " << count;
        }
        EXPECT_EQ(memory.live(), refused) << "k " << k << ", count " << count;
        EXPECT_EQ(memory.bad_frees(), 0) << "k " << k << ", count " << count;
        if (std::get<1>(GetParam()) != Failing::kUnregister) {
            EXPECT_EQ(memory.frees_while_mapped(), 0) << "k " << k << ", count " << count;
        }
        return fault(memory).calls() >= k;
    }
};

TEST_P(Faults, AtEveryCallOnceAndForGood) {
    int reached = 0;
    for (int k = 1; run(k, 1) && !HasFatalFailure(); ++k) {
        ++reached;
        run(k, Fault::kForGood);
    }
    const Sharing sharing = std::get<0>(GetParam());
    const Failing failing = std::get<1>(GetParam());
    if ((failing == Failing::kToDevice || failing == Failing::kFromDevice) && sharing != Sharing::kShadow) {
        EXPECT_EQ(reached, 0) << "SVM copies nothing";
    } else {
        EXPECT_GT(reached, 2);
    }
}

std::string case_name(const ::testing::TestParamInfo<Case> &param) {
    const char *const failing[] = {"Alloc", "Reg", "NullReg", "Free", "Unregister", "ToDevice", "FromDevice"};
    const char *const teardown[] = {"Claims", "All", "FreeBuffer"};
    const auto [sharing, fails, ends] = param.param;
    return name_of(sharing) + std::string(failing[static_cast<size_t>(fails)]) + teardown[static_cast<size_t>(ends)];
}

INSTANTIATE_TEST_SUITE_P(
    Each, Faults,
    ::testing::Combine(::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                       ::testing::Values(Failing::kAlloc, Failing::kReg, Failing::kNullReg, Failing::kFree,
                                         Failing::kUnregister, Failing::kToDevice, Failing::kFromDevice),
                       ::testing::Values(Teardown::kClaims, Teardown::kAll, Teardown::kFreeBuffer)),
    case_name);

} // namespace
