// SPDX-License-Identifier: MIT OR Apache-2.0
#include "run_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace demo {
namespace {

// A line of the file: one flat JSON object whose values are whole numbers, strings or arrays of these. Nothing else
// occurs in a recorded run, and anything else is an error.
class JsonLine {
  public:
    bool parse(const std::string &text) {
        text_ = &text;
        at_ = 0;
        fields_.clear();
        error_.clear();
        if (!expect('{')) {
            return false;
        }
        if (!peek('}')) {
            do {
                Field field;
                if (!string(field.key) || !expect(':') || !value(field)) {
                    return false;
                }
                fields_.push_back(std::move(field));
            } while (accept(','));
        }
        if (!expect('}')) {
            return false;
        }
        skip_space();
        return at_ == text.size() || fail("text after the object");
    }

    bool number(const char *key, uint64_t limit, uint64_t &out) {
        const Field *field = find(key);
        if (field == nullptr || field->type != Field::kNumber) {
            return fail(std::string("no number \"") + key + "\"");
        }
        if (field->number > limit) {
            return fail(std::string("\"") + key + "\" is above " + std::to_string(limit));
        }
        out = field->number;
        return true;
    }

    bool number(const char *key, uint32_t limit, uint32_t &out) {
        uint64_t wide = 0;
        if (!number(key, uint64_t{limit}, wide)) {
            return false;
        }
        out = static_cast<uint32_t>(wide);
        return true;
    }

    bool text(const char *key, std::string &out) {
        const Field *field = find(key);
        if (field == nullptr || field->type != Field::kString) {
            return fail(std::string("no string \"") + key + "\"");
        }
        out = field->text;
        return true;
    }

    bool numbers(const char *key, std::vector<uint64_t> &out) {
        const Field *field = find(key);
        if (field == nullptr || field->type != Field::kNumbers) {
            return fail(std::string("no list of numbers \"") + key + "\"");
        }
        out = field->numbers;
        return true;
    }

    bool texts(const char *key, std::vector<std::string> &out) {
        const Field *field = find(key);
        if (field == nullptr || field->type != Field::kStrings) {
            return fail(std::string("no list of strings \"") + key + "\"");
        }
        out = field->texts;
        return true;
    }

    bool fail(const std::string &message) {
        error_ = message;
        return false;
    }

    const std::string &error() const { return error_; }

  private:
    struct Field {
        enum Type { kNumber, kString, kNumbers, kStrings };
        std::string key;
        Type type = kNumber;
        uint64_t number = 0;
        std::string text;
        std::vector<uint64_t> numbers;
        std::vector<std::string> texts;
    };

    const Field *find(const char *key) const {
        for (const Field &field : fields_) {
            if (field.key == key) {
                return &field;
            }
        }
        return nullptr;
    }

    void skip_space() {
        while (at_ < text_->size() && std::strchr(" \t\r", (*text_)[at_]) != nullptr) {
            ++at_;
        }
    }

    bool peek(char c) {
        skip_space();
        return at_ < text_->size() && (*text_)[at_] == c;
    }

    bool accept(char c) {
        if (!peek(c)) {
            return false;
        }
        ++at_;
        return true;
    }

    bool expect(char c) { return accept(c) || fail(std::string("expected '") + c + "'" + position()); }

    std::string position() const { return " at column " + std::to_string(at_ + 1); }

    bool string(std::string &out) {
        if (!expect('"')) {
            return false;
        }
        const size_t end = text_->find('"', at_);
        if (end == std::string::npos) {
            return fail("string without end");
        }
        out = text_->substr(at_, end - at_);
        if (out.find('\\') != std::string::npos) {
            return fail("escape sequences are not supported");
        }
        at_ = end + 1;
        return true;
    }

    bool whole_number(uint64_t &out) {
        skip_space();
        const size_t begin = at_;
        out = 0;
        while (at_ < text_->size() && (*text_)[at_] >= '0' && (*text_)[at_] <= '9') {
            const auto digit = static_cast<uint64_t>((*text_)[at_] - '0');
            if (out > (UINT64_MAX - digit) / 10) {
                return fail("number out of range" + position());
            }
            out = out * 10 + digit;
            ++at_;
        }
        return at_ != begin || fail("expected a whole number, a string or a list" + position());
    }

    bool value(Field &field) {
        if (peek('"')) {
            field.type = Field::kString;
            return string(field.text);
        }
        if (!accept('[')) {
            return whole_number(field.number);
        }
        field.type = peek('"') ? Field::kStrings : Field::kNumbers;
        if (peek(']')) {
            return accept(']');
        }
        do {
            std::string text;
            uint64_t number = 0;
            if (field.type == Field::kStrings ? !string(text) : !whole_number(number)) {
                return false;
            }
            if (field.type == Field::kStrings) {
                field.texts.push_back(std::move(text));
            } else {
                field.numbers.push_back(number);
            }
        } while (accept(','));
        return expect(']');
    }

    const std::string *text_ = nullptr;
    size_t at_ = 0;
    std::vector<Field> fields_;
    std::string error_;
};

// Cycles above this would overflow when a run is looped or scaled.
constexpr uint64_t kMaxCycles = uint64_t{1} << 48;

bool read_header(JsonLine &line, Run &run, uint64_t &events) {
    uint64_t first = 0;
    uint64_t last = 0;
    std::vector<uint64_t> owners;
    std::vector<std::string> types;
    if (!line.text("run", run.name) || !line.text("arch", run.arch) ||
        !line.number("clock_hz", uint64_t{1} << 40, run.clock_hz) ||
        !line.number("threads", kMaxThreads, run.threads) || !line.number("cores", kMaxCores, run.cores) ||
        !line.numbers("core_to_thread", owners) || !line.texts("core_types", types) ||
        !line.number("events", uint64_t{1} << 32, events) || !line.number("first_cycle", UINT64_MAX, first) ||
        !line.number("last_cycle", UINT64_MAX, last)) {
        return false;
    }
    if (run.clock_hz == 0 || run.threads == 0 || run.cores == 0 || last < first || last - first > kMaxCycles) {
        return line.fail("clock, threads, cores or cycles make no sense");
    }
    if (owners.size() != run.cores) {
        return line.fail("\"core_to_thread\" does not have one thread for each core");
    }
    for (const uint64_t owner : owners) {
        if (owner >= run.threads) {
            return line.fail("\"core_to_thread\" names a thread that does not exist");
        }
        run.core_to_thread.push_back(static_cast<uint32_t>(owner));
    }
    if (types.size() != run.cores) {
        return line.fail("\"core_types\" does not have one type for each core");
    }
    for (const std::string &type : types) {
        if (type != "aic" && type != "aiv") {
            return line.fail("unknown type of core \"" + type + "\"");
        }
        run.is_cube.push_back(type == "aic");
    }
    run.first_cycle = first;
    run.duration = last - first;
    return true;
}

bool read_task(JsonLine &line, const Run &run, Event &event) {
    event.type = Event::kTaskEvent;
    if (!line.number("core", run.cores - 1, event.unit) || !line.number("reg", UINT32_MAX, event.reg) ||
        !line.number("token", UINT64_MAX, event.token) || !line.number("dispatch", kMaxCycles, event.dispatch) ||
        !line.number("start", kMaxCycles, event.start) || !line.number("end", kMaxCycles, event.end) ||
        !line.number("finish", kMaxCycles, event.finish)) {
        return false;
    }
    return (event.dispatch <= event.start && event.start <= event.end && event.end <= event.finish) ||
           line.fail("times of the task are not in order");
}

bool read_span(JsonLine &line, Event &event) {
    if (!line.number("start", kMaxCycles, event.start) || !line.number("end", kMaxCycles, event.end)) {
        return false;
    }
    return event.start <= event.end || line.fail("ends before it starts");
}

bool read_sched(JsonLine &line, const Run &run, Event &event) {
    event.type = Event::kSchedEvent;
    std::string phase;
    if (!line.number("thread", run.threads - 1, event.unit) || !line.text("phase", phase) || !read_span(line, event) ||
        !line.number("loop", UINT32_MAX, event.loop) || !line.number("tasks", UINT32_MAX, event.tasks) ||
        !line.number("hit", UINT32_MAX, event.hit) || !line.number("miss", UINT32_MAX, event.miss)) {
        return false;
    }
    const auto *found = std::find(kPhaseNames.begin(), kPhaseNames.end(), phase);
    if (found == kPhaseNames.end()) {
        return line.fail("unknown phase \"" + phase + "\"");
    }
    event.phase = static_cast<uint32_t>(found - kPhaseNames.begin());
    return true;
}

bool read_submit(JsonLine &line, Event &event) {
    event.type = Event::kSubmitEvent;
    if (!line.number("token", UINT64_MAX, event.token) || !line.number("args", kMaxArguments, event.arguments) ||
        !line.number("at", kMaxCycles, event.end)) {
        return false;
    }
    event.start = event.end;
    return true;
}

bool read_scope(JsonLine &line, Event &event) {
    event.type = Event::kScopeEvent;
    std::string phase;
    if (!line.text("phase", phase) || !line.number("depth", kMaxScopeDepth - 1, event.depth) ||
        !line.number("ring", 3u, event.ring) || !line.number("heap_start", UINT64_MAX, event.heap_start) ||
        !line.number("heap_end", UINT64_MAX, event.heap_end) || !line.number("at", kMaxCycles, event.end)) {
        return false;
    }
    if (phase != "begin" && phase != "end") {
        return line.fail("unknown phase \"" + phase + "\"");
    }
    event.begins = phase == "begin";
    event.start = event.end;
    return true;
}

bool read_event(JsonLine &line, Run &run) {
    std::string type;
    if (!line.text("k", type)) {
        return false;
    }
    Event event;
    if (type == "task") {
        if (!read_task(line, run, event)) {
            return false;
        }
    } else if (type == "sched") {
        if (!read_sched(line, run, event)) {
            return false;
        }
    } else if (type == "orch") {
        event.type = Event::kOrchEvent;
        if (!line.number("submit", UINT32_MAX, event.index) || !line.number("token", UINT64_MAX, event.token) ||
            !read_span(line, event)) {
            return false;
        }
    } else if (type == "submit") {
        if (!read_submit(line, event)) {
            return false;
        }
    } else if (type == "scope") {
        if (!read_scope(line, event)) {
            return false;
        }
    } else {
        return line.fail("unknown event \"" + type + "\"");
    }
    // The recorded duration can be short of an event that ends last.
    run.duration = std::max(run.duration, event.recorded_at());
    run.events.push_back(event);
    return true;
}

} // namespace

bool load_run(const std::string &path, Run &run, std::string &error) {
    std::ifstream file(path);
    if (!file) {
        error = path + ": " + std::strerror(errno);
        return false;
    }
    run = Run();
    JsonLine line;
    std::string text;
    uint64_t number = 0;
    uint64_t announced = 0;
    while (std::getline(file, text)) {
        ++number;
        const bool good = line.parse(text) && (number == 1 ? read_header(line, run, announced) : read_event(line, run));
        if (!good) {
            error = path + ":" + std::to_string(number) + ": " + line.error();
            return false;
        }
    }
    if (number == 0) {
        error = path + ": no header line";
        return false;
    }
    if (number - 1 != announced) {
        error = path + ": " + std::to_string(announced) + " events announced, " + std::to_string(number - 1) + " found";
        return false;
    }
    return true;
}

std::vector<std::string> list_runs(const std::string &directory) {
    std::vector<std::string> names;
    std::error_code failed;
    for (const auto &entry : std::filesystem::directory_iterator(directory, failed)) {
        if (entry.path().extension() == ".jsonl") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace demo
