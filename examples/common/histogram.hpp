// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Distribution of durations in bounded memory, about 3 % wide classes.
#ifndef DEMO_HISTOGRAM_HPP_
#define DEMO_HISTOGRAM_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace demo {

class Histogram {
  public:
    void add(uint64_t value) {
        ++classes_[index(value)];
        ++count_;
        max_ = std::max(max_, value);
    }

    void add(const Histogram &other) {
        for (size_t i = 0; i < classes_.size(); ++i) {
            classes_[i] += other.classes_[i];
        }
        count_ += other.count_;
        max_ = std::max(max_, other.max_);
    }

    uint64_t count() const { return count_; }
    uint64_t max() const { return max_; }

    // Smallest value that `share` (0 to 1) of all values do not exceed; 0 if there are none.
    uint64_t quantile(double share) const {
        const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(count_) * share + 0.5));
        uint64_t seen = 0;
        for (size_t i = 0; i < classes_.size(); ++i) {
            seen += classes_[i];
            if (seen >= wanted) {
                return std::min(upper(i), max_);
            }
        }
        return max_;
    }

  private:
    static constexpr unsigned kBits = 5;
    static constexpr uint64_t kPerOctave = uint64_t{1} << kBits;

    static size_t index(uint64_t value) {
        if (value < kPerOctave) {
            return value;
        }
        const unsigned shift = 63 - static_cast<unsigned>(__builtin_clzll(value)) - kBits;
        return (shift + 1) * kPerOctave + (value >> shift) - kPerOctave;
    }

    static uint64_t upper(size_t index) {
        if (index < kPerOctave) {
            return index;
        }
        const size_t shift = index / kPerOctave - 1;
        return ((index % kPerOctave + kPerOctave + 1) << shift) - 1;
    }

    std::vector<uint64_t> classes_ = std::vector<uint64_t>((64 - kBits + 1) * kPerOctave);
    uint64_t count_ = 0;
    uint64_t max_ = 0;
};

} // namespace demo

#endif // DEMO_HISTOGRAM_HPP_
