// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Outcomes for people and for machines.
#ifndef REPLAY_REPORT_HPP_
#define REPLAY_REPORT_HPP_

#include <cstdio>
#include <vector>

#include "books.hpp"

namespace replay {

void print_report(std::FILE *file, const Outcome &outcome);

// False if `file` does not take it.
bool write_json(std::FILE *file, const std::vector<Outcome> &outcomes);

} // namespace replay

#endif // REPLAY_REPORT_HPP_
