// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The host: one collector for each subsystem that takes part, from the first allocation to the last release.
#ifndef PROFILE_HOST_HPP_
#define PROFILE_HOST_HPP_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lanepipe/collector.hpp"

#include "device.hpp"
#include "device_memory.hpp"
#include "host_threads.hpp"
#include "load.hpp"
#include "log_printer.hpp"
#include "options.hpp"
#include "receiver.hpp"

namespace profile {

class Host {
  public:
    // All of these outlive the host.
    Host(const Load &load, const Options &options, DeviceMemory &memory, Receiver &receiver);

    // Each is false, with a message, if it fails.
    bool open(std::string &error);
    bool start(std::string &error);
    // After the device has ended: stops, recovers what the device never handed over, makes the books.
    bool finish(std::string &error);
    bool close(std::string &error);

    const std::array<Launch, kSubsystems> &launches() const { return launches_; }

    // After finish().
    bool books(uint32_t flow, uint32_t instance, lanepipe::Books &books) const;
    lanepipe::Books books(uint32_t subsystem) const;
    lanepipe::GateStats gates(uint32_t subsystem) const;
    uint64_t corrupt_queues(uint32_t subsystem) const;
    // Threads of all cores as the swimlane's header tells them. False if it cannot be read.
    bool core_threads(std::vector<uint32_t> &threads) const;
    const std::vector<ThreadUsage> &usages(uint32_t subsystem) const { return ends_[subsystem].usages.all(); }

  private:
    // One subsystem's.
    struct End {
        ThreadUsages usages;
        HostThreads threads{Measure{&usages}};
        lanepipe::Collector collector; // gone before its threads' factory
    };

    bool create(uint32_t subsystem, std::string &error);

    const Load &load_;
    const Options &options_;
    DeviceMemory &memory_;
    Receiver &receiver_;
    LogPrinter log_;
    std::array<End, kSubsystems> ends_;
    std::array<Launch, kSubsystems> launches_{};
};

} // namespace profile

#endif // PROFILE_HOST_HPP_
