// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the five subsystems' demonstrator checks: it has to notice every byte that is not what an event said.
#include "profile/books.hpp"
#include "profile/contents.hpp"
#include "profile/load.hpp"
#include "profile/receiver.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace profile {
namespace {

class ProfileReceiver : public ::testing::TestWithParam<uint32_t> {
  protected:
    ProfileReceiver() {
        options_.flood = 1;
        options_.events = 200000;
        options_.arch = "a5";
        options_.payload = 40;
        options_.deps = 3;
        std::string error;
        EXPECT_TRUE(flood_load(options_, load_, error)) << error;
        contents_ = std::make_unique<Contents>(load_, options_);
        receiver_ = std::make_unique<Receiver>(*contents_, 0);
    }

    // Record number `position` of instance 0 as a device writes it.
    std::vector<unsigned char> record(uint32_t flow, uint64_t position) {
        std::vector<unsigned char> bytes(kRecordSizes[flow], 0xee);
        const auto put = [&bytes](const auto &from) { std::memcpy(bytes.data(), &from, sizeof(from)); };
        if (flow == kArgsDump) {
            const auto [event, argument] = argument_event(position);
            put(contents_->argument_record(event, position, argument));
            return bytes;
        }
        const Event event = load_.stream(flow, 0)->at(position);
        switch (flow) {
        case kTask:
            put(contents_->task(event, position));
            break;
        case kAicore:
            put(contents_->aicore(event, position));
            break;
        case kSched:
            put(contents_->sched(event, position));
            break;
        case kOrch:
            put(contents_->orch(event, position));
            break;
        case kPmu:
            put(contents_->pmu(event, position));
            break;
        case kScopeStats:
            put(contents_->scope(event, position));
            break;
        default: {
            Contents::Submit submit;
            contents_->submit(event, position, submit);
            auto slot = std::make_unique<DepGenRecord>();
            slot->token = event.token;
            slot->tensors = static_cast<uint16_t>(event.arguments);
            slot->deps = static_cast<uint16_t>(submit.deps.size());
            std::copy(submit.deps.begin(), submit.deps.end(), slot->explicit_deps);
            std::copy(submit.types.begin(), submit.types.end(), slot->arg_types);
            std::copy(std::begin(submit.kernels), std::end(submit.kernels), slot->kernels);
            slot->blocks = static_cast<uint32_t>(submit.blocks);
            std::copy(submit.tensors.begin(), submit.tensors.end(), &slot->tensor[0][0]);
            put(*slot);
        }
        }
        return bytes;
    }

    // Bytes of a record that say something.
    static std::vector<size_t> meaningful(uint32_t flow) {
        static const std::vector<std::pair<size_t, size_t>> ranges[kFlows] = {
            {{0, 20}},
            {{0, 48}},
            {{0, 28}},
            {{0, 32}},
            {{0, 64}},
            // Three dependencies, types, kernels and blocks, three tensors.
            {{0, 40}, {528, 531}, {560, 576}, {576, 960}},
            // A tensor of one dimension; its place in the arena is the collector's matter.
            {{0, 11}, {12, 19}, {32, 57}, {64, 76}, {92, 96}},
            // The name up to its end.
            {{0, 9}, {32, 80}}};
        std::vector<size_t> bytes;
        for (const auto &[begin, end] : ranges[flow]) {
            for (size_t at = begin; at < end; ++at) {
                bytes.push_back(at);
            }
        }
        return bytes;
    }

    void send(uint32_t flow, const std::vector<unsigned char> &bytes, uint32_t flags = 0) {
        lanepipe_records_t records{};
        records.struct_size = sizeof(records);
        records.kind = kind_of(flow);
        records.count = 1;
        records.record_size = kRecordSizes[flow];
        records.records = bytes.data();
        records.flags = flags;
        lanepipe_payload_t payload{};
        if (flow == kArgsDump) {
            ArgsDumpRecord record;
            std::memcpy(&record, bytes.data(), sizeof(record));
            payload_ = payload_of(record);
            payload = lanepipe_payload_t{payload_.data(), payload_.size()};
            records.payloads = &payload;
        }
        receiver_->sink(subsystem_of(flow)).take(records);
    }

    // Contents of the tensor that a record tells.
    std::vector<unsigned char> payload_of(const ArgsDumpRecord &record) const {
        const auto begin = contents_->payloads().begin() + static_cast<ptrdiff_t>(record.start_offset % 251);
        return std::vector<unsigned char>(begin, begin + options_.payload);
    }

    const ReceivedBooks &books(uint32_t flow) const { return receiver_->books(flow, 0); }
    void renew() { receiver_ = std::make_unique<Receiver>(*contents_, 0); }

    Options options_;
    Load load_;
    std::unique_ptr<Contents> contents_;
    std::unique_ptr<Receiver> receiver_;
    std::vector<unsigned char> payload_;

  private:
    // The event and the number of the argument that a thread dumps at `position`.
    std::pair<Event, uint32_t> argument_event(uint64_t position) {
        const std::unique_ptr<EventSource> source = load_.source(0);
        Event event;
        for (uint64_t at = 0; source->next(event);) {
            const bool is_task = event.type == Event::kTaskEvent || event.type == Event::kDispatchEvent;
            for (uint32_t argument = 0; is_task && argument < event.arguments; ++argument) {
                if (Contents::is_dumped_at(event, argument) && at++ == position) {
                    return {event, argument};
                }
            }
        }
        ADD_FAILURE() << "no argument " << position;
        return {};
    }
};

TEST_P(ProfileReceiver, TakesWhatEventsSay) {
    const uint32_t flow = GetParam();
    for (uint64_t position = 0; position < 9; ++position) {
        send(flow, record(flow, position), position == 8 ? LANEPIPE_RECORDS_RECOVERED : 0);
    }
    EXPECT_EQ(books(flow).records, 9u);
    EXPECT_EQ(books(flow).next, 9u);
    EXPECT_EQ(books(flow).damaged + books(flow).repeated + books(flow).missing, 0u);
    EXPECT_EQ(books(flow).recovered, 1u);
    EXPECT_EQ(books(flow).payloads, flow == kArgsDump ? 9u : 0u);
}

TEST_P(ProfileReceiver, NoticesEveryByte) {
    const uint32_t flow = GetParam();
    for (const size_t at : meaningful(flow)) {
        renew();
        send(flow, record(flow, 0));
        std::vector<unsigned char> bytes = record(flow, 1);
        bytes[at] ^= 0x40;
        send(flow, bytes);
        // What tells the position may look like a gap or a repetition instead.
        EXPECT_NE(books(flow).damaged + books(flow).repeated + books(flow).missing, 0u) << "byte " << at;
        EXPECT_EQ(books(flow).arrived(), 2u) << "byte " << at;
    }
}

TEST_P(ProfileReceiver, NoticesGapsAndRepetitions) {
    const uint32_t flow = GetParam();
    send(flow, record(flow, 0));
    send(flow, record(flow, 4));
    EXPECT_EQ(books(flow).missing, 3u);
    send(flow, record(flow, 4));
    send(flow, record(flow, 2));
    EXPECT_EQ(books(flow).repeated, 2u);
    send(flow, record(flow, 5));
    EXPECT_EQ(books(flow).records, 3u);
    EXPECT_EQ(books(flow).damaged, 0u);
}

INSTANTIATE_TEST_SUITE_P(EachFlow, ProfileReceiver, ::testing::Range(0u, kFlows),
                         [](const auto &info) { return std::string(kFlowNames[info.param]); });

using ProfileReceiverAlone = ProfileReceiver;

TEST_F(ProfileReceiverAlone, NoticesContentsOfTensors) {
    const std::vector<unsigned char> bytes = record(kArgsDump, 0);
    ArgsDumpRecord record;
    std::memcpy(&record, bytes.data(), sizeof(record));
    std::vector<unsigned char> contents = payload_of(record);
    contents.back() ^= 1;
    lanepipe_payload_t payload{contents.data(), contents.size()};
    lanepipe_records_t records{};
    records.count = 1;
    records.record_size = sizeof(record);
    records.records = bytes.data();
    records.payloads = &payload;
    receiver_->sink(LANEPIPE_SUBSYSTEM_ARGS_DUMP).take(records);
    EXPECT_EQ(books(kArgsDump).damaged, 1u);

    renew();
    payload = lanepipe_payload_t{nullptr, contents.size()};
    receiver_->sink(LANEPIPE_SUBSYSTEM_ARGS_DUMP).take(records);
    EXPECT_EQ(books(kArgsDump).payloads_lost, 1u);
}

// Submits of three slots each.
class ProfileReceiverOfChains : public ProfileReceiver {
  protected:
    ProfileReceiverOfChains() {
        options_.deps = kDepGenBaseDeps + kDepGenOverflowDeps + 1;
        contents_ = std::make_unique<Contents>(load_, options_);
        renew();
    }

    void send_base(uint64_t position) {
        const Event event = load_.submits->at(position);
        contents_->submit(event, position, submit_);
        std::vector<unsigned char> bytes(sizeof(DepGenRecord));
        auto *slot = reinterpret_cast<DepGenRecord *>(bytes.data());
        slot->token = event.token;
        slot->flags = kDepGenHasOverflow;
        slot->tensors = static_cast<uint16_t>(event.arguments);
        slot->deps = kDepGenBaseDeps;
        std::copy(submit_.deps.begin(), submit_.deps.begin() + kDepGenBaseDeps, slot->explicit_deps);
        std::copy(submit_.types.begin(), submit_.types.end(), slot->arg_types);
        std::copy(std::begin(submit_.kernels), std::end(submit_.kernels), slot->kernels);
        slot->blocks = static_cast<uint32_t>(submit_.blocks);
        std::copy(submit_.tensors.begin(), submit_.tensors.end(), &slot->tensor[0][0]);
        send(kDepGen, bytes);
    }

    // A further slot of the last one, the last with the one dependency that is left.
    void send_further(uint64_t position, bool is_last, uint16_t last_deps = 1) {
        std::vector<unsigned char> bytes(sizeof(DepGenOverflow));
        auto *slot = reinterpret_cast<DepGenOverflow *>(bytes.data());
        slot->token = load_.submits->at(position).token;
        slot->flags = kDepGenIsOverflow | (is_last ? kDepGenLastOverflow : 0);
        slot->deps = is_last ? last_deps : kDepGenOverflowDeps;
        std::copy_n(is_last ? submit_.deps.end() - 1 : submit_.deps.begin() + kDepGenBaseDeps,
                    is_last ? 1 : kDepGenOverflowDeps, slot->explicit_deps);
        send(kDepGen, bytes);
    }

    void send_all(uint64_t position) {
        send_base(position);
        send_further(position, false);
        send_further(position, true);
    }

    // Findings, if device and collector counted `submits`, so many further slots, and losses.
    size_t findings(uint64_t submits, uint64_t further, uint64_t dropped = 0) {
        receiver_->finish();
        lanepipe::Books books;
        books.total = submits;
        books.overflow = further;
        books.dropped = dropped;
        books.collected = receiver_->books(kDepGen, 0).arrived();
        std::vector<std::string> found;
        compare(kDepGen, 0, contents_->slots_of_submit(), submits, Tally{submits, 0}, books,
                receiver_->books(kDepGen, 0), found);
        return found.size();
    }

  private:
    Contents::Submit submit_;
};

TEST_F(ProfileReceiverOfChains, FollowsSubmitsOfSeveralSlots) {
    ASSERT_EQ(contents_->slots_of_submit(), 3u);
    send_all(0);
    EXPECT_EQ(books(kDepGen).records, 3u);
    // Slots beyond the last, with a dependency and without.
    send_further(0, true);
    send_further(0, true, 0);
    EXPECT_EQ(books(kDepGen).damaged, 2u);
}

TEST_F(ProfileReceiverOfChains, WholeChainsBalance) {
    send_all(0);
    send_all(1);
    EXPECT_EQ(findings(2, 4), 0u);
    EXPECT_EQ(books(kDepGen).records, 6u);
}

TEST_F(ProfileReceiverOfChains, AChainWithoutItsEndDoesNotBalance) {
    // At the next submit.
    send_base(0);
    send_further(0, false);
    send_all(1);
    EXPECT_EQ(books(kDepGen).damaged, 1u);
    EXPECT_EQ(books(kDepGen).records, 4u);
    // Even if device and collector know of no more slots.
    EXPECT_NE(findings(2, 3), 0u);

    // At the end.
    renew();
    send_all(0);
    send_base(1);
    EXPECT_EQ(books(kDepGen).damaged, 0u);
    EXPECT_NE(findings(2, 2), 0u);
    EXPECT_EQ(books(kDepGen).damaged, 1u);
    EXPECT_EQ(books(kDepGen).records, 3u);
}

TEST_F(ProfileReceiverOfChains, SubmitsThatAreMissingAreTheLostOnes) {
    // One without a place, which counts once; one in a lost buffer, of which each slot counts.
    send_all(0);
    send_all(3);
    EXPECT_EQ(findings(4, 6, 1 + 3), 0u);
    // Sums that add up, but not to the submits that are missing.
    EXPECT_NE(findings(5, 5, 1 + 3), 0u);
}

TEST_F(ProfileReceiverAlone, TooFewOfferedRecordsDoNotBalance) {
    send(kArgsDump, record(kArgsDump, 0));
    lanepipe::Books counted;
    counted.collected = 1;
    for (const uint64_t expected : {1, 2}) {
        std::vector<std::string> found;
        compare(kArgsDump, 0, 1, expected, Tally{1, 0}, counted, books(kArgsDump), found);
        EXPECT_EQ(found.size(), expected - 1);
    }
}

TEST_F(ProfileReceiverAlone, CountsRecordsOfNobody) {
    const std::vector<unsigned char> bytes = record(kPmu, 0);
    lanepipe_records_t records{};
    records.count = 1;
    records.record_size = sizeof(PmuRecord);
    records.records = bytes.data();
    records.instance = load_.cores;
    receiver_->sink(LANEPIPE_SUBSYSTEM_PMU).take(records);
    records.instance = 0;
    records.kind = 1;
    receiver_->sink(LANEPIPE_SUBSYSTEM_PMU).take(records);
    records.kind = 0;
    records.record_size = 32;
    receiver_->sink(LANEPIPE_SUBSYSTEM_PMU).take(records);
    EXPECT_EQ(receiver_->strangers(), 3u);
}

} // namespace
} // namespace profile
