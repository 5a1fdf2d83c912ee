// SPDX-License-Identifier: MIT OR Apache-2.0
//
// One launch from beginning to end.
#ifndef PROFILE_SESSION_HPP_
#define PROFILE_SESSION_HPP_

#include <string>

#include "books.hpp"
#include "load.hpp"
#include "options.hpp"

namespace profile {

enum class SessionResult {
    kDone,       // `outcome` tells
    kImpossible, // an option cannot be honoured
    kFailed,
};

// `error` is set unless the result is kDone.
SessionResult run_session(const Load &load, const Options &options, Outcome &outcome, std::string &error);

} // namespace profile

#endif // PROFILE_SESSION_HPP_
