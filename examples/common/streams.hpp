// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What a device is to do: streams of events, recorded or made up, and their order in time.
#ifndef DEMO_STREAMS_HPP_
#define DEMO_STREAMS_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "run_file.hpp"

namespace demo {

// A number of events, in the order in which their records are written. Never changes.
class Stream {
  public:
    virtual ~Stream() = default;
    virtual uint64_t size() const = 0;
    virtual Event at(uint64_t index) const = 0;
};

// Events of a run, over and over; each round begins `period` cycles after the one before.
class RecordedStream : public Stream {
  public:
    RecordedStream(std::vector<Event> events, uint64_t loops, uint64_t period)
        : events_(std::move(events)), loops_(loops), period_(period) {}

    uint64_t size() const override { return events_.size() * loops_; }
    Event at(uint64_t index) const override {
        Event event = events_[index % events_.size()];
        event.shift(index / events_.size() * period_);
        return event;
    }

  private:
    std::vector<Event> events_;
    uint64_t loops_;
    uint64_t period_;
};

// One unit's events at an even rate.
class SyntheticStream : public Stream {
  public:
    SyntheticStream(Event::Type type, uint32_t unit, uint64_t interval, uint64_t events)
        : type_(type), unit_(unit), interval_(interval), events_(events) {}

    uint64_t size() const override { return events_; }
    Event at(uint64_t index) const override;

  private:
    Event::Type type_;
    uint32_t unit_;
    uint64_t interval_; // cycles
    uint64_t events_;
};

// Cycles between two of `rate` events a second.
inline uint64_t interval_of(uint64_t clock_hz, double rate) {
    const auto interval = static_cast<uint64_t>(static_cast<double>(clock_hz) / rate);
    return interval == 0 ? 1 : interval;
}

// Events of one control thread, in the order in which their records are written. Used by that thread only.
class EventSource {
  public:
    virtual ~EventSource() = default;
    virtual bool next(Event &event) = 0;
};

// Several streams in one, by the time of their events.
class MergedSource : public EventSource {
  public:
    void add(std::shared_ptr<const Stream> stream);
    bool next(Event &event) override;

  private:
    struct Head {
        std::shared_ptr<const Stream> stream;
        uint64_t index;
        Event event;
    };

    static bool later(const Head &a, const Head &b);
    void push(Head head);

    std::vector<Head> heads_;
};

} // namespace demo

#endif // DEMO_STREAMS_HPP_
