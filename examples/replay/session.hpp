// SPDX-License-Identifier: MIT OR Apache-2.0
//
// One load from the first allocation to the checked books.
#ifndef REPLAY_SESSION_HPP_
#define REPLAY_SESSION_HPP_

#include <string>

#include "books.hpp"
#include "load.hpp"
#include "options.hpp"
#include "trace.hpp"

namespace replay {

enum class SessionResult { kDone, kFailed, kImpossible };

// Runs `load`. kDone: `outcome` holds the books, balanced or not. kFailed: the pipeline reported failure; kImpossible:
// the options cannot be honoured with this load; `error` says why in one line.
SessionResult run_session(Load &load, const Options &options, Trace &trace, std::FILE *trace_file, Outcome &outcome,
                          std::string &error);

} // namespace replay

#endif // REPLAY_SESSION_HPP_
