// What the contract says BufferPoolManager does, as plain containers, for one thread.
#ifndef CPP_TESTS_COMPAT_MODEL_H_
#define CPP_TESTS_COMPAT_MODEL_H_

#include "support.h"

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace compat {

template <typename Module> class Model {
  public:
    using Manager = profiling_common::BufferPoolManager<Module>;
    using DoneInfo = profiling_common::DoneInfo;
    static constexpr int kShards = Manager::kMaxCollectorShards;
    static constexpr int kKinds = Module::kBufferKinds;

    int live = kShards;

    int fold(int index) const { return index < 0 ? 0 : index % live; }

    void set_shard_count(int n) { live = std::max(1, std::min(n, kShards)); }

    // Rings and lanes

    bool push_ready(const ReadyInfo &item, int index) {
        return push(ready_[fold(index)], item, Manager::kReadyQueueCapacity);
    }

    std::optional<ReadyInfo> pop_ready(int index) { return pop(ready_[fold(index)]); }

    bool push_done(void *ptr, int kind, int index) {
        return push(done_[fold(index)], DoneInfo{ptr, kind}, Manager::kPoolQueueCapacity);
    }

    std::optional<DoneInfo> pop_done(int index) { return pop(done_[fold(index)]); }

    bool push_lane(int kind, void *ptr, int index) {
        return push(lanes_[fold(index)][kind], ptr, Manager::kRecycledQueueCapacity);
    }

    void *pop_lane(int kind, int index) { return pop(lanes_[fold(index)][kind]).value_or(nullptr); }

    void *pop_startup(int kind) {
        for (int shard = 0; shard < live; ++shard) {
            if (void *ptr = pop_lane(kind, shard)) {
                return ptr;
            }
        }
        return nullptr;
    }

    void retire(int kind, void *ptr, int index) { retired_[fold(index)][kind].push_back(ptr); }

    size_t lane_size(int kind, int index) const { return lanes_[fold(index)][kind].size(); }

    size_t kind_size(int kind) const {
        size_t sum = 0;
        for (int shard = 0; shard < live; ++shard) {
            sum += lanes_[shard][kind].size();
        }
        return sum;
    }

    size_t drain_one(int index) {
        const int shard = fold(index);
        size_t placed = 0;
        while (const auto item = pop(done_[shard])) {
            place(item->kind, item->dev_ptr, shard);
            ++placed;
        }
        return placed;
    }

    // Empty if some buffer finds neither its target lane nor its origin with room while another live lane has some:
    // the contract leaves open where it goes then.
    std::optional<size_t> drain_all() {
        Model after = *this;
        size_t placed = 0;
        for (int origin = 0; origin < live; ++origin) {
            while (const auto item = after.pop(after.done_[origin])) {
                const int target = after.route(item->kind, origin);
                if (!after.push_lane(item->kind, item->dev_ptr, target) &&
                    !after.push_lane(item->kind, item->dev_ptr, origin)) {
                    if (after.kind_size(item->kind) < static_cast<size_t>(live) * Manager::kRecycledQueueCapacity) {
                        return std::nullopt;
                    }
                    after.retire(item->kind, item->dev_ptr, origin);
                }
                ++placed;
            }
        }
        *this = after;
        return placed;
    }

    void place(int kind, void *ptr, int index) {
        if (!push_lane(kind, ptr, index)) {
            retire(kind, ptr, index);
        }
    }

    // Address tables. Ranges never overlap here.

    void add_mapping(void *dev, void *host) { exact_[dev] = host; }

    void add_block(void *dev, size_t size, void *host) {
        exact_[dev] = host;
        ranges_[address(dev)] = {size, host};
    }

    std::optional<void *> resolve(void *dev) const {
        const auto known = exact_.find(dev);
        if (known != exact_.end()) {
            return known->second;
        }
        const auto range = range_of(dev);
        if (range == ranges_.end()) {
            return std::nullopt;
        }
        return offset(range->second.host, address(dev) - range->first);
    }

    void *base_of(void *dev) const {
        const auto range = range_of(dev);
        return range == ranges_.end() ? dev : reinterpret_cast<void *>(range->first);
    }

    bool is_tracked(void *dev) const { return range_of(dev) != ranges_.end() || exact_.count(dev) != 0; }

    // First: whether the claim is the first one; second: the base.
    std::pair<bool, void *> claim(void *dev) {
        if (dev == nullptr || !is_tracked(dev)) {
            return {false, nullptr};
        }
        return {claimed_.insert(base_of(dev)).second, base_of(dev)};
    }

    bool holds_shadow(void *dev) const {
        const auto known = exact_.find(dev);
        return known != exact_.end() && shadows_.count(known->second) != 0;
    }

    void add_shadow(void *host) { shadows_.insert(host); }

    // The device block and the shadow that free_buffer releases.
    struct Freed {
        void *base = nullptr;
        void *shadow = nullptr;
    };
    Freed free_buffer(void *dev) {
        Freed freed;
        if (dev == nullptr || !is_tracked(dev) || claimed_.count(base_of(dev)) != 0) {
            return freed;
        }
        freed.base = base_of(dev);
        const auto known = exact_.find(freed.base);
        if (known != exact_.end()) {
            if (shadows_.erase(known->second) != 0) {
                freed.shadow = known->second;
            }
            exact_.erase(known);
        }
        ranges_.erase(address(freed.base));
        return freed;
    }

    // Teardown

    Ptrs release_owned() {
        std::vector<void *> met;
        for (auto &shard : lanes_) {
            for (auto &lane : shard) {
                met.insert(met.end(), lane.begin(), lane.end());
                lane.clear();
            }
        }
        for (auto &shard : retired_) {
            for (auto &pool : shard) {
                met.insert(met.end(), pool.rbegin(), pool.rend());
                pool.clear();
            }
        }
        for (auto &ring : done_) {
            for (const DoneInfo &item : ring) {
                met.push_back(item.dev_ptr);
            }
            ring.clear();
        }
        for (auto &ring : ready_) {
            for (const ReadyInfo &item : ring) {
                met.push_back(item.dev_buffer_ptr);
            }
            ring.clear();
        }
        Ptrs bases;
        std::set<void *> seen;
        for (void *ptr : met) {
            if (seen.insert(base_of(ptr)).second) {
                bases.push_back(base_of(ptr));
            }
        }
        return bases;
    }

    // Shadows that clearing frees.
    std::set<void *> clear_mappings() {
        std::set<void *> freed;
        freed.swap(shadows_);
        exact_.clear();
        ranges_.clear();
        claimed_.clear();
        return freed;
    }

    Ptrs mapped_bases() const {
        std::set<uintptr_t> bases;
        for (const auto &mapping : exact_) {
            if (mapping.first != nullptr) {
                bases.insert(address(base_of(mapping.first)));
            }
        }
        Ptrs ascending;
        for (const uintptr_t base : bases) {
            ascending.push_back(reinterpret_cast<void *>(base));
        }
        return ascending;
    }

    void discard_queues() { release_owned(); }

  private:
    struct Range {
        size_t size;
        void *host;
    };

    template <typename Queue, typename Item> static bool push(Queue &queue, const Item &item, size_t capacity) {
        if (queue.size() >= capacity) {
            return false;
        }
        queue.push_back(item);
        return true;
    }

    template <typename Item> static std::optional<Item> pop(std::deque<Item> &queue) {
        if (queue.empty()) {
            return std::nullopt;
        }
        const Item item = queue.front();
        queue.pop_front();
        return item;
    }

    int route(int kind, int origin) const {
        const int warm_target = Module::warm_target[kind];
        if (warm_target <= 0) {
            return origin;
        }
        const size_t wanted = std::min(static_cast<size_t>(warm_target), Manager::kRecycledQueueCapacity);
        int best = origin;
        size_t best_deficit = 0;
        for (int step = 1; step <= live; ++step) {
            const int shard = (origin + step) % live;
            const size_t held = lanes_[shard][kind].size();
            const size_t deficit = held < wanted ? wanted - held : 0;
            if (deficit > best_deficit) {
                best = shard;
                best_deficit = deficit;
            }
        }
        return best;
    }

    typename std::map<uintptr_t, Range>::const_iterator range_of(const void *dev) const {
        auto after = ranges_.upper_bound(address(dev));
        if (after == ranges_.begin()) {
            return ranges_.end();
        }
        --after;
        return address(dev) - after->first < after->second.size ? after : ranges_.end();
    }

    std::deque<ReadyInfo> ready_[kShards];
    std::deque<DoneInfo> done_[kShards];
    std::deque<void *> lanes_[kShards][kKinds];
    std::vector<void *> retired_[kShards][kKinds];
    std::map<void *, void *> exact_;
    std::map<uintptr_t, Range> ranges_;
    std::set<void *> claimed_;
    std::set<void *> shadows_;
};

} // namespace compat

#endif // CPP_TESTS_COMPAT_MODEL_H_
