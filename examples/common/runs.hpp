// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The recorded runs that a user names.
#ifndef DEMO_RUNS_HPP_
#define DEMO_RUNS_HPP_

#include <string>
#include <vector>

#include "run_file.hpp"

namespace demo {

// The nearest directory data/runs above the working directory or above the program; empty if there is none.
std::string find_runs(const std::string &program);

// Reads what `names` name: runs in `directory`, files, or "all". False, with a message of one line, if one cannot be
// read.
bool load_runs(const std::string &directory, const std::vector<std::string> &names, std::vector<Run> &runs,
               std::string &error);

// Prints a table of the runs to standard output.
void list_runs(const std::vector<Run> &runs);

} // namespace demo

#endif // DEMO_RUNS_HPP_
