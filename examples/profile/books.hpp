// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The books of one run: what the device, the collectors and the receiver each counted, and whether it agrees.
#ifndef PROFILE_BOOKS_HPP_
#define PROFILE_BOOKS_HPP_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "device.hpp"
#include "host.hpp"
#include "receiver.hpp"

namespace profile {

// Records of one flow of one lane (control thread), or sums of these.
struct LaneBooks {
    uint64_t total = 0; // offered by the device
    uint64_t collected = 0;
    uint64_t dropped = 0; // by the device
    uint64_t mismatch = 0;
    uint64_t overflow = 0; // further slots of submits
    uint64_t lost = 0;     // by the host
    uint64_t recovered = 0;
    uint64_t buffers = 0;
    uint64_t bytes = 0;
    uint64_t damaged = 0;
    uint64_t repeated = 0;

    bool balanced() const { return collected + dropped + mismatch + lost == total + overflow; }
    void add(const LaneBooks &other);
};

// Why a control thread lost records of a subsystem, and how long it waited for the host.
struct DeviceBooks {
    lanepipe_device_losses_t losses{};
    Parked parked;

    void add(const DeviceBooks &other);
};

// What concerns a subsystem as a whole.
struct SubsystemBooks {
    LaneBooks sum;
    DeviceBooks device;
    std::vector<DeviceBooks> threads;
    uint64_t freezes = 0;
    uint64_t frozen_ns = 0;
    uint64_t payloads = 0;
    uint64_t lost_buffers = 0; // whose contents could not be copied
    uint64_t host_cpu_ns = 0;
    uint64_t host_threads = 0;
};

struct Outcome {
    std::string name;
    std::string arch;
    bool shadow = false;
    uint32_t threads = 0;
    uint32_t cores = 0;
    std::array<bool, kSubsystems> takes_part{};

    // By flow, then by control thread.
    std::array<std::vector<LaneBooks>, kFlows> lanes;
    std::array<LaneBooks, kFlows> flows;
    std::array<SubsystemBooks, kSubsystems> subsystems;

    uint64_t events = 0;
    uint64_t run_ns = 0;    // program's begin to the books
    uint64_t device_ns = 0; // longest control thread
    uint64_t copies = 0;
    uint64_t copied_bytes = 0;

    std::vector<std::string> findings; // why the books do not balance
    bool balanced() const { return findings.empty(); }
};

// Compares what the device, the collector and the receiver counted of one instance; fills `findings`. A submit takes up
// `slots` records, 1 in other flows. `expected` records should have been offered; UINT64_MAX: nobody knows.
LaneBooks compare(uint32_t flow, uint32_t instance, uint64_t slots, uint64_t expected, const Tally &tally,
                  const lanepipe::Books &books, const ReceivedBooks &received, std::vector<std::string> &findings);

// Takes the counts after Host::finish() and Receiver::finish(), and compares them; fills `findings`.
void take_books(const Contents &contents, const Options &options, const Device &device, const Host &host,
                const Receiver &receiver, Outcome &outcome);

} // namespace profile

#endif // PROFILE_BOOKS_HPP_
