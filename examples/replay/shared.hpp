// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Clock, device memory, recorded runs and streams are those of all demonstrators.
#ifndef REPLAY_SHARED_HPP_
#define REPLAY_SHARED_HPP_

#include "clock.hpp"
#include "histogram.hpp"
#include "run_file.hpp"
#include "streams.hpp"
#include "words.hpp"

namespace replay {

using namespace demo;

} // namespace replay

#endif // REPLAY_SHARED_HPP_
