// SPDX-License-Identifier: MIT OR Apache-2.0
#include "common_options.hpp"

namespace demo {

void add_common(OptionTable &table, CommonOptions &options) {
    table.add("help", nullptr, "Print this text.", OptionTable::flag(options.help));
    table.add("list-runs", nullptr, "List the recorded runs and what they hold.", OptionTable::flag(options.list_runs));
    table.add("runs-dir", "DIR",
              "Where recorded runs are. Default: the nearest data/runs above the working directory or the program.",
              OptionTable::text(options.runs_dir));
    table.add("quiet", nullptr, "No progress and no report; errors only. --json still writes.",
              OptionTable::flag(options.quiet));
    table.add("json", "FILE",
              "Write a summary for machines; \"-\" is standard output, and then nothing else goes there.",
              OptionTable::text(options.json));
}

bool load_wanted(const std::string &program, const CommonOptions &options, std::vector<Run> &runs, std::string &error) {
    const std::string directory = options.runs_dir.empty() ? find_runs(program) : options.runs_dir;
    const std::vector<std::string> names = options.runs.empty() ? std::vector<std::string>{"all"} : options.runs;
    return load_runs(directory, names, runs, error);
}

} // namespace demo
