// SPDX-License-Identifier: MIT OR Apache-2.0
#include "streams.hpp"

#include <algorithm>

namespace demo {

Event SyntheticStream::at(uint64_t index) const {
    Event event;
    event.type = type_;
    event.unit = unit_;
    event.token = index;
    event.reg = static_cast<uint32_t>(index + 1);
    event.loop = static_cast<uint32_t>(index);
    event.index = event.loop;
    event.tasks = 1;
    event.phase = static_cast<uint32_t>(index % kPhaseNames.size());
    event.dispatch = index * interval_;
    event.start = event.dispatch + interval_ / 8;
    event.end = event.start + interval_ / 2;
    event.finish = event.dispatch + interval_;
    return event;
}

bool MergedSource::later(const Head &a, const Head &b) { return a.event.recorded_at() > b.event.recorded_at(); }

void MergedSource::push(Head head) {
    if (head.index != head.stream->size()) {
        head.event = head.stream->at(head.index);
        heads_.push_back(std::move(head));
        std::push_heap(heads_.begin(), heads_.end(), later);
    }
}

void MergedSource::add(std::shared_ptr<const Stream> stream) { push(Head{std::move(stream), 0, Event()}); }

bool MergedSource::next(Event &event) {
    if (heads_.empty()) {
        return false;
    }
    std::pop_heap(heads_.begin(), heads_.end(), later);
    Head head = std::move(heads_.back());
    heads_.pop_back();
    event = head.event;
    ++head.index;
    push(std::move(head));
    return true;
}

} // namespace demo
