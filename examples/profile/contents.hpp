// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the records of an event hold. Where a record has room for it, it holds its position in its instance's stream, so
// that loss, repetition and reordering show; everything else follows from event and position.
#ifndef PROFILE_CONTENTS_HPP_
#define PROFILE_CONTENTS_HPP_

#include <cstdint>
#include <vector>

#include "load.hpp"
#include "options.hpp"
#include "records.hpp"

namespace profile {

class Contents {
  public:
    Contents(const Load &load, const Options &options);

    // Cores count their tasks from 1.
    static uint32_t reg_of(uint64_t position) { return static_cast<uint32_t>(position + 1); }

    TaskRecord task(const Event &event, uint64_t position) const;
    AicoreRecord aicore(const Event &event, uint64_t position) const;
    SchedRecord sched(const Event &event, uint64_t position) const;
    OrchRecord orch(const Event &event, uint64_t position) const;
    PmuRecord pmu(const Event &event, uint64_t position) const;
    ScopeRecord scope(const Event &event, uint64_t position) const;
    // Path and line of the scope's place in the source.
    static const char *scope_path(uint32_t depth);
    static int32_t scope_line(uint32_t depth) { return static_cast<int32_t>(100 + depth); }

    // A submit as it is offered: tensors of 128 bytes each, one after the other, and all its dependencies.
    struct Submit {
        std::vector<uint8_t> tensors;
        std::vector<uint8_t> types;
        std::vector<uint64_t> deps;
        int32_t kernels[3];
        int32_t blocks;
    };
    void submit(const Event &event, uint64_t position, Submit &out) const;
    uint32_t slots_of_submit() const;

    // Argument number `argument` of a task, the `position`-th that its control thread dumps. Inputs are dumped before
    // the dispatch, the last argument is the output and dumped after the completion.
    static bool is_dumped_at(const Event &event, uint32_t argument) {
        const bool is_output = argument + 1 == event.arguments;
        return is_output == (event.type == Event::kTaskEvent);
    }
    lanepipe_args_dump_info_t argument(const Event &event, uint64_t position, uint32_t argument) const;
    // The record of it, but for the place in the arena.
    ArgsDumpRecord argument_record(const Event &event, uint64_t position, uint32_t argument) const;
    // Contents of all tensors: each is a piece that begins at `start_offset`.
    const std::vector<uint8_t> &payloads() const { return payloads_; }

    const Load &load() const { return load_; }

  private:
    const Load &load_;
    uint32_t payload_;
    uint64_t arena_;
    uint32_t deps_;
    std::vector<uint8_t> payloads_;
};

// Position that a record tells; low bits of it, as far as the record has room.
uint64_t position_in(uint32_t flow, const void *record);

} // namespace profile

#endif // PROFILE_CONTENTS_HPP_
