// SPDX-License-Identifier: MIT OR Apache-2.0
#include "options.hpp"

#include <cmath>
#include <cstdlib>
#include <functional>
#include <set>

#include "layout.hpp"

namespace replay {
namespace {

bool parse_count(const std::string &text, uint64_t low, uint64_t high, uint64_t &out, std::string &error) {
    uint64_t value = 0;
    bool good = !text.empty() && text.size() <= 18;
    for (const char c : text) {
        good = good && c >= '0' && c <= '9';
        value = good ? value * 10 + static_cast<uint64_t>(c - '0') : 0;
    }
    if (!good || value < low || value > high) {
        error = "needs a whole number from " + std::to_string(low) + " to " + std::to_string(high) + ", not \"" + text +
                "\"";
        return false;
    }
    out = value;
    return true;
}

bool parse_real(const std::string &text, double low, double high, double &out, std::string &error) {
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value) || value < low || value > high) {
        error = "needs a number from " + std::to_string(low) + " to " + std::to_string(high) + ", not \"" + text + "\"";
        return false;
    }
    out = value;
    return true;
}

// One of the words of `words`; `out` is its position.
bool parse_word(const std::string &text, const std::vector<std::string> &words, size_t &out, std::string &error) {
    for (size_t i = 0; i < words.size(); ++i) {
        if (words[i] == text) {
            out = i;
            return true;
        }
    }
    error = "needs one of";
    for (const std::string &word : words) {
        error += " " + word;
    }
    error += ", not \"" + text + "\"";
    return false;
}

struct Option {
    const char *name;
    const char *value; // null for a flag
    const char *help;
    std::function<bool(Options &, const std::string &, std::string &)> apply;
};

template <typename T> auto count(T Options::*field, uint64_t low, uint64_t high) {
    return [=](Options &options, const std::string &text, std::string &error) {
        uint64_t value = 0;
        if (!parse_count(text, low, high, value, error)) {
            return false;
        }
        options.*field = static_cast<T>(value);
        return true;
    };
}

auto real(double Options::*field, double low, double high) {
    return [=](Options &options, const std::string &text, std::string &error) {
        return parse_real(text, low, high, options.*field, error);
    };
}

auto text(std::string Options::*field) {
    return [=](Options &options, const std::string &value, std::string &error) {
        options.*field = value;
        error = "needs a value";
        return !value.empty();
    };
}

auto flag(bool Options::*field, bool value = true) {
    return [=](Options &options, const std::string &, std::string &) {
        options.*field = value;
        return true;
    };
}

bool apply_pace(Options &options, const std::string &text, std::string &error) {
    size_t choice = 0;
    if (!parse_word(text, {"flat-out", "recorded"}, choice, error)) {
        return false;
    }
    options.recorded_pace = choice == 1;
    return true;
}

bool apply_memory(Options &options, const std::string &text, std::string &error) {
    size_t choice = 0;
    if (!parse_word(text, {"svm", "shadow"}, choice, error)) {
        return false;
    }
    options.memory = choice == 0 ? Options::kSvm : Options::kShadow;
    return true;
}

bool apply_arch(Options &options, const std::string &text, std::string &error) {
    size_t choice = 0;
    if (!parse_word(text, {"a2a3", "a5"}, choice, error)) {
        return false;
    }
    options.arch = text;
    return true;
}

bool apply_starved(Options &options, const std::string &text, std::string &error) {
    size_t choice = 0;
    if (!parse_word(text, {"wait", "drop"}, choice, error)) {
        return false;
    }
    options.drop = choice == 1;
    return true;
}

bool apply_records(Options &options, const std::string &text, std::string &error) {
    if (text == "real") {
        options.records_per_buffer = 0;
        return true;
    }
    if (!count(&Options::records_per_buffer, 1, 65536)(options, text, error)) {
        error += ", and not \"real\"";
        return false;
    }
    return true;
}

bool apply_device_memory(Options &options, const std::string &text, std::string &error) {
    uint64_t mib = 0;
    if (!parse_count(text, 1, 65536, mib, error)) {
        return false;
    }
    options.device_memory = mib << 20;
    return true;
}

bool apply_fail(Options &options, const std::string &text, std::string &error) {
    const size_t plus = text.find('+');
    return parse_count(text.substr(0, plus), 1, 1000000000, options.fail_copy, error) &&
           (plus == std::string::npos ||
            parse_count(text.substr(plus + 1), 1, 1000000000, options.fail_copy_count, error));
}

bool apply_fail_content(Options &options, const std::string &text, std::string &error) {
    options.fail_content_only = true;
    return apply_fail(options, text, error);
}

const std::vector<Option> &table() {
    static const std::vector<Option> options = {
        {"help", nullptr, "Print this text.", flag(&Options::help)},
        {"list-runs", nullptr, "List the recorded runs and what they hold.", flag(&Options::list_runs)},
        {"runs-dir", "DIR",
         "Where recorded runs are. Default: the nearest data/runs above the working directory or the program.",
         text(&Options::runs_dir)},
        {"quiet", nullptr, "No progress and no report; errors only. --json still writes.", flag(&Options::quiet)},
        {"json", "FILE", "Write a summary for machines; \"-\" is standard output, and then nothing else goes there.",
         text(&Options::json)},
        {"trace", "FILE", "Write a trace of one run that opens in Perfetto. Grows with the number of records.",
         text(&Options::trace)},
        {"pace", "PACE",
         "recorded: events happen when they did (or, --synthetic, at the given rates). flat-out (default): as fast as "
         "possible.",
         apply_pace},
        {"speed", "X", "With --pace recorded: compress time by X, 0.001 to 1000000. Default 1.",
         real(&Options::speed, 0.001, 1e6)},
        {"loops", "K", "Replay each run K times in a row, without restart of the pipeline. Default 1.",
         count(&Options::loops, 1, 1000000000)},
        {"synthetic", nullptr, "Make up a load instead of replaying a run.", flag(&Options::synthetic)},
        {"arch", "ARCH", "Synthetic: a2a3 (default; 4 threads, 72 cores, svm) or a5 (5 threads, 108 cores, shadow).",
         apply_arch},
        {"threads", "N", "Synthetic: control threads, 1 to 64; the last one orchestrates.",
         count(&Options::threads, 1, kMaxThreads)},
        {"cores", "N", "Synthetic: cores, 1 to 1024.", count(&Options::cores, 1, kMaxCores)},
        {"events", "N", "Synthetic: events altogether, shared among the kinds by their rates. Default 1000000.",
         count(&Options::events, 1, 1000000000000)},
        {"rate-task", "R", "Synthetic: tasks a second on each core; 0 for none. Default 105000.",
         real(&Options::rate_task, 0, 1e9)},
        {"rate-sched", "R", "Synthetic: scheduler phases a second on each thread; 0 for none. Default 288000.",
         real(&Options::rate_sched, 0, 1e9)},
        {"rate-orch", "R", "Synthetic: orchestrator phases a second; 0 for none. Default 1310000.",
         real(&Options::rate_orch, 0, 1e9)},
        {"memory", "MODE",
         "svm: host and device share memory. shadow: the host sees copies only, device addresses fault. Default: as on "
         "the run's arch.",
         apply_memory},
        {"records-per-buffer", "N",
         "Records in a buffer of any kind, or \"real\" for the numbers of the hardware. Default 16 for runs, real with "
         "--synthetic.",
         apply_records},
        {"pool-buffers", "N", "Buffers of each instance that exist at the start, 1 to 4096. Default 8.",
         count(&Options::pool_buffers, 1, 4096)},
        {"no-grow", nullptr,
         "Never allocate buffers while running. With few buffers a lane can then wait for good, see --stall-limit.",
         flag(&Options::grow, false)},
        {"shards", "N", "Drain and collect threads of the pipeline, at most one for each control thread (default).",
         count(&Options::shards, 1, kMaxThreads)},
        {"ready-slots", "N", "Size of a device ready queue, one slot of it unused. Default 992 (a2a3), 1456 (a5).",
         count(&Options::ready_slots, 2, 65536)},
        {"ring", "N", "Capacity of the host's ready and done rings. Default 1024.", count(&Options::ring, 1, 1 << 20)},
        {"device-memory", "MB", "Memory of the device. Default 1024.", apply_device_memory},
        {"starved", "MODE",
         "What a lane does when it finds no free buffer or no ready slot. wait (default), or drop: lose records and "
         "count them.",
         apply_starved},
        {"stall-limit", "S",
         "A lane that waits this many seconds gives up and drops; the result is then 1. Default 60.",
         real(&Options::stall_limit, 0.001, 1e6)},
        {"slow-collector", "MS", "Make the collector sleep this long for every buffer.",
         count(&Options::slow_collector_ms, 0, 60000)},
        {"fail-copy", "N[+M]", "Shadow memory: the N-th copy callback of the running pipeline, and M-1 after it, fail.",
         apply_fail},
        {"fail-content-copy", "N[+M]", "The same, counting only copies of buffer contents.", apply_fail_content},
    };
    return options;
}

const Option *find(const std::string &name) {
    for (const Option &option : table()) {
        if (name == option.name) {
            return &option;
        }
    }
    return nullptr;
}

bool check(const Options &options, const std::set<std::string> &given, std::string &error) {
    const auto refuse = [&error](const std::string &message) {
        error = message;
        return false;
    };
    for (const char *name : {"arch", "threads", "cores", "events", "rate-task", "rate-sched", "rate-orch"}) {
        if (given.count(name) != 0 && !options.synthetic) {
            return refuse(std::string("--") + name + " needs --synthetic");
        }
    }
    if (options.synthetic && !options.runs.empty()) {
        return refuse("--synthetic does not go with a recorded run (\"" + options.runs.front() + "\")");
    }
    if (options.synthetic && given.count("loops") != 0) {
        return refuse("--loops repeats recorded runs; use --events with --synthetic");
    }
    if (options.synthetic && options.rate_task + options.rate_sched + options.rate_orch <= 0) {
        return refuse("--synthetic needs a rate above 0");
    }
    if (given.count("speed") != 0 && !options.recorded_pace) {
        return refuse("--speed needs --pace recorded");
    }
    if (given.count("fail-copy") != 0 && given.count("fail-content-copy") != 0) {
        return refuse("--fail-copy and --fail-content-copy exclude each other");
    }
    return true;
}

} // namespace

bool parse_options(const std::vector<std::string> &arguments, Options &options, std::string &error) {
    std::set<std::string> given;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string &argument = arguments[i];
        if (argument.compare(0, 2, "--") != 0) {
            if (argument.size() > 1 && argument[0] == '-') {
                error = "unknown option " + argument + "; see --help";
                return false;
            }
            options.runs.push_back(argument);
            continue;
        }
        const size_t equals = argument.find('=');
        const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
        const Option *option = find(name);
        if (option == nullptr) {
            error = "unknown option --" + name + "; see --help";
            return false;
        }
        std::string value;
        if (option->value == nullptr) {
            if (equals != std::string::npos) {
                error = "--" + name + " takes no value";
                return false;
            }
        } else if (equals != std::string::npos) {
            value = argument.substr(equals + 1);
        } else if (i + 1 < arguments.size()) {
            value = arguments[++i];
        } else {
            error = "--" + name + " needs a value";
            return false;
        }
        if (!option->apply(options, value, error)) {
            error = "--" + name + " " + error;
            return false;
        }
        given.insert(name);
    }
    if (given.count("records-per-buffer") == 0 && !options.synthetic) {
        options.records_per_buffer = 16;
    }
    return check(options, given, error);
}

std::string help_text() {
    std::string text =
        "usage: lanepipe_replay [OPTION]... [RUN]...\n"
        "\n"
        "A simulated device replays recorded runs through lanepipe's host pipeline, then the books are\n"
        "checked: every record collected, dropped and counted, or reported. RUN is a name from --list-runs,\n"
        "a file, or \"all\" (default). Options take their value after a space or after \"=\".\n"
        "\n";
    for (const Option &option : table()) {
        std::string head =
            std::string("  --") + option.name + (option.value != nullptr ? std::string(" ") + option.value : "");
        head.resize(head.size() < 27 ? 27 : head.size() + 1, ' ');
        text += head;
        size_t column = head.size();
        std::string help = option.help;
        while (!help.empty()) {
            const size_t space = help.find(' ');
            const std::string word = help.substr(0, space);
            help = space == std::string::npos ? "" : help.substr(space + 1);
            if (column + word.size() > 110) {
                text += "\n" + std::string(27, ' ');
                column = 27;
            } else if (column != head.size()) {
                text += ' ';
                ++column;
            }
            text += word;
            column += word.size();
        }
        text += '\n';
    }
    return text +
           "\nExit code: 0 if the books balance, 1 if they do not or the pipeline failed, 2 if an option cannot be\n"
           "honoured.\n";
}

} // namespace replay
