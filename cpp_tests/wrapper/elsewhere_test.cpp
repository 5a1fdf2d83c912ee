// SPDX-License-Identifier: MIT OR Apache-2.0
#include "lanepipe/lanepipe.hpp"

#include "second_include.hpp"

namespace wrapper_test {

lanepipe::Status create_elsewhere(const lanepipe::PoolConfig &config) {
    lanepipe::Pool<> pool;
    return lanepipe::Pool<>::create(config, pool);
}

} // namespace wrapper_test
