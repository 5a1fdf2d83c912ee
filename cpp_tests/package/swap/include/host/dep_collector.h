// A collector in the form of the C++ runtime's: it knows its base by the runtime's names only.
#ifndef HOST_DEP_COLLECTOR_H_
#define HOST_DEP_COLLECTOR_H_

#include <cstdint>
#include <optional>

// As in the runtime, this directory itself has no host/ below it.
#include "host/profiler_base.h"

#include "dep_device.h"
#include "dep_layout.h"

struct DepReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    uint32_t queue;
    uint64_t sequence;
};

struct DepModule {
    using DataHeader = DepHeader;
    using ReadyEntry = DepEntry;
    using ReadyBufferInfo = DepReadyInfo;
    using FreeQueue = DepFreeQueue;

    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kReadyQueueSize = kDepReadySize;
    static constexpr uint32_t kSlotCount = kDepSlots;
    static constexpr uint32_t kHostPoolQueueSize = 32;
    static constexpr uint32_t kHostRecycledQueueSize = 32;
    static constexpr const char *kSubsystemName = "Dep";

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }

    static constexpr int batch_size(int) { return 1; }

    static std::optional<profiling_common::EntrySite<DepModule>> resolve_entry(void *, DataHeader *header, int q,
                                                                               const ReadyEntry &entry) {
        profiling_common::EntrySite<DepModule> site;
        site.kind = 0;
        site.free_queue = &header->free_queue;
        site.buffer_size = sizeof(DepBuffer);
        site.info = {reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr,
                     static_cast<uint32_t>(q), entry.sequence};
        return site;
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        cb(0, &header->free_queue, sizeof(DepBuffer));
    }
};

class DepCollector : public profiling_common::ProfilerBase<DepCollector, DepModule> {
  public:
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "Dep";

    DepCollector() = default;
    ~DepCollector();

    // With `shadowed` every access to device memory is a copy, else host and device share it.
    bool init(DeviceMemory &memory, bool shadowed, int aicpu_threads);
    void on_buffer_collected(const DepReadyInfo &info);
    // After stop(): takes what the device left in its current buffer. False if the device's counters do not add up.
    bool reconcile_counters();
    void finalize();

    DepHeader *device_header() { return static_cast<DepHeader *>(shm_dev_); }
    uint32_t collected() const { return collected_; }
    bool in_order() const { return in_order_; }

  private:
    void take_records(const DepBuffer &buffer);

    bool shadowed_ = false;
    uint32_t collected_ = 0;
    uint64_t next_sequence_ = 0;
    bool in_order_ = true;
};

// Where this library's headers came from: "runtime" or "lanepipe".
const char *collector_pool_by();
const char *collector_profiler_by();

#endif // HOST_DEP_COLLECTOR_H_
