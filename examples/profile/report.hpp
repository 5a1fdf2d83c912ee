// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Outcomes for people and for machines.
#ifndef PROFILE_REPORT_HPP_
#define PROFILE_REPORT_HPP_

#include <cstdio>
#include <vector>

#include "books.hpp"

namespace profile {

void print_report(std::FILE *file, const Outcome &outcome);

// False if `file` does not take it.
bool write_json(std::FILE *file, const std::vector<Outcome> &outcomes);

} // namespace profile

#endif // PROFILE_REPORT_HPP_
