// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What every demonstrator can be asked for.
#ifndef DEMO_COMMON_OPTIONS_HPP_
#define DEMO_COMMON_OPTIONS_HPP_

#include <string>
#include <vector>

#include "option_table.hpp"
#include "runs.hpp"

namespace demo {

struct CommonOptions {
    bool help = false;
    bool list_runs = false;
    bool quiet = false;
    std::vector<std::string> runs; // names or files
    std::string runs_dir;
    std::string json;
};

// Adds the options that set them.
void add_common(OptionTable &table, CommonOptions &options);

// Reads the runs that are named, or all. Without a directory of runs that is looked for; `program` is where the program
// is. False, with a message of one line, if one cannot be read.
bool load_wanted(const std::string &program, const CommonOptions &options, std::vector<Run> &runs, std::string &error);

} // namespace demo

#endif // DEMO_COMMON_OPTIONS_HPP_
