// A platform of one thread, whose clock and relax hint run a simulated host.
#ifndef LANEPIPE_TESTS_DEVICE_WORLD_H_
#define LANEPIPE_TESTS_DEVICE_WORLD_H_

#include "platform_hooks.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <utility>

namespace device_test {

// The platform under one thread of the device. Time passes at each look at the clock, and at no other moment; the host
// acts at each look and at each relax hint, which is all that a wait does between two looks at shared memory.
class World {
  public:
    World() {
        platform_hooks::hooks = {this, [](void *context) { return static_cast<World *>(context)->clock(); },
                                 [](void *context) { static_cast<World *>(context)->hint(); },
                                 [](void *context, platform_hooks::Barrier barrier) {
                                     auto *const world = static_cast<World *>(context);
                                     if (world->on_barrier) {
                                         world->on_barrier(barrier);
                                     }
                                 }};
    }
    ~World() { platform_hooks::hooks = {}; }
    World(const World &) = delete;
    World &operator=(const World &) = delete;

    uint64_t now = 1000;
    uint64_t step = 1;
    uint64_t reads = 0;
    uint64_t hints = 0;
    // Polls after which a wait counts as endless. The process ends then: a wait may be in the middle of foreign frames.
    uint64_t limit = 200000;
    // At every poll; before the steps of the script.
    std::function<void()> host;
    std::function<void(platform_hooks::Barrier)> on_barrier;

    // Adds a step of the host's script: once `condition` holds at a poll, `action` is run. One step per poll.
    void when(std::function<bool()> condition, std::function<void()> action) {
        script_.emplace_back(std::move(condition), std::move(action));
    }
    void then(std::function<void()> action) {
        when([] { return true; }, std::move(action));
    }
    void pause(int polls) {
        for (int poll = 0; poll < polls; ++poll) {
            then([] {});
        }
    }
    bool script_done() const { return script_.empty(); }
    uint64_t polls() const { return reads + hints; }

  private:
    uint64_t clock() {
        now += step;
        ++reads;
        poll();
        return now;
    }
    void hint() {
        ++hints;
        poll();
    }
    void poll() {
        if (polls() > limit) {
            std::fprintf(stderr, "a wait does not end\n");
            std::_Exit(1);
        }
        if (host) {
            host();
        }
        if (!script_.empty() && script_.front().first()) {
            const std::function<void()> action = std::move(script_.front().second);
            script_.pop_front();
            action();
        }
    }

    std::deque<std::pair<std::function<bool()>, std::function<void()>>> script_;
};

} // namespace device_test

#endif // LANEPIPE_TESTS_DEVICE_WORLD_H_
