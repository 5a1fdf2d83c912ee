// SPDX-License-Identifier: MIT OR Apache-2.0
#include "trace.hpp"

#include <algorithm>
#include <cinttypes>
#include <tuple>

namespace replay {
namespace {

void print_time(std::FILE *file, const char *key, uint64_t ns) {
    std::fprintf(file, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, static_cast<unsigned>(ns % 1000));
}

void print_event(std::FILE *file, const TraceEvent &event, uint64_t origin_ns) {
    // An event before the origin belongs to the start of the pipeline.
    const uint64_t origin = event.process == kProgramProcess ? 0 : std::min(origin_ns, event.at_ns);
    std::fprintf(file, ",\n{\"ph\":\"%c\",\"pid\":%u,\"tid\":%u,\"name\":\"%s\",\"cat\":\"%s\"", event.type,
                 event.process, event.track, event.name, event.category);
    print_time(file, "ts", event.at_ns - origin);
    if (event.type == 'X') {
        print_time(file, "dur", event.duration_ns);
    } else if (event.type == 'i') {
        std::fputs(",\"s\":\"t\"", file);
    } else {
        std::fprintf(file, ",\"id\":\"0x%" PRIx64 "\"", event.id);
    }
    if (event.argument != nullptr) {
        std::fprintf(file, ",\"args\":{\"%s\":%" PRIu64 "}", event.argument, event.value);
    }
    std::fputs("}", file);
}

} // namespace

TraceSink &Trace::add_sink() {
    sinks_.emplace_back();
    sinks_.back().on = on;
    return sinks_.back();
}

void Trace::name_process(uint32_t process, const std::string &name) {
    if (on) {
        processes_.push_back({process, 0, name});
    }
}

void Trace::name_track(uint32_t process, uint32_t track, const std::string &name) {
    if (on) {
        tracks_.push_back({process, track, name});
    }
}

bool Trace::write(std::FILE *file, uint64_t origin_ns) const {
    std::vector<const TraceEvent *> sorted;
    for (const TraceSink &sink : sinks_) {
        for (const TraceEvent &event : sink.events()) {
            sorted.push_back(&event);
        }
    }
    // A span before those that it holds. Stable, because begin and end of an empty span are at one instant.
    std::stable_sort(sorted.begin(), sorted.end(), [](const TraceEvent *a, const TraceEvent *b) {
        return std::make_tuple(a->process, a->track, a->at_ns, b->duration_ns) <
               std::make_tuple(b->process, b->track, b->at_ns, a->duration_ns);
    });
    std::fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", file);
    std::fputs("{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"trace\",\"args\":{}}", file);
    for (const Name &name : processes_) {
        std::fprintf(file,
                     ",\n{\"ph\":\"M\",\"pid\":%u,\"tid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}",
                     name.process, name.text.c_str());
        std::fprintf(
            file, ",\n{\"ph\":\"M\",\"pid\":%u,\"tid\":0,\"name\":\"process_sort_index\",\"args\":{\"sort_index\":%u}}",
            name.process, name.process);
    }
    for (const Name &name : tracks_) {
        std::fprintf(file,
                     ",\n{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}",
                     name.process, name.track, name.text.c_str());
        std::fprintf(
            file, ",\n{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%u}}",
            name.process, name.track, name.track);
    }
    for (const TraceEvent *event : sorted) {
        print_event(file, *event, origin_ns);
    }
    std::fputs("\n]}\n", file);
    return std::fflush(file) == 0 && std::ferror(file) == 0;
}

} // namespace replay
