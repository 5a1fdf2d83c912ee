// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Used by two translation units: the wrapper is header-only, and including it twice changes nothing.
#ifndef WRAPPER_SECOND_INCLUDE_HPP_
#define WRAPPER_SECOND_INCLUDE_HPP_

#include "lanepipe/lanepipe.hpp"
#include "lanepipe/lanepipe.hpp"

namespace wrapper_test {

// Creates and destroys a pool in another translation unit.
lanepipe::Status create_elsewhere(const lanepipe::PoolConfig &config);

} // namespace wrapper_test

#endif // WRAPPER_SECOND_INCLUDE_HPP_
