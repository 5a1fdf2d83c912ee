// SPDX-License-Identifier: MIT OR Apache-2.0
//
// lanepipe for C++17: outcomes and structures that all parts of the wrapper use.
#ifndef LANEPIPE_BASE_HPP_
#define LANEPIPE_BASE_HPP_

#include "lanepipe.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace lanepipe {

// Outcome of a call; the values are the LANEPIPE_* enumerators of the C interface.
class [[nodiscard]] Status {
  public:
    constexpr Status() noexcept = default;
    constexpr Status(lanepipe_status_t value) noexcept : value_(value) {}

    constexpr bool ok() const noexcept { return value_ == LANEPIPE_OK; }

    // Misuse or failure. Normal outcomes such as LANEPIPE_FULL are neither ok() nor failed().
    constexpr bool failed() const noexcept { return value_ < LANEPIPE_OK; }

    constexpr lanepipe_status_t value() const noexcept { return value_; }

    const char *name() const noexcept { return lanepipe_status_name(static_cast<int32_t>(value_)); }

    friend constexpr bool operator==(Status a, Status b) noexcept { return a.value_ == b.value_; }
    friend constexpr bool operator!=(Status a, Status b) noexcept { return a.value_ != b.value_; }

  private:
    lanepipe_status_t value_ = LANEPIPE_OK;
};

// True if the library that is linked or loaded speaks the ABI of this header. Creating calls check it.
inline bool abi_matches() noexcept { return lanepipe_abi_version() == LANEPIPE_ABI_VERSION; }

// The library's version, "major.minor.patch".
inline const char *version() noexcept { return lanepipe_version(); }

// A C structure that starts zeroed and with its struct_size set.
template <typename Raw> struct Sized : Raw {
    static_assert(std::is_trivially_copyable_v<Raw>);
    constexpr Sized() noexcept : Raw{} { this->struct_size = static_cast<uint32_t>(sizeof(Raw)); }
};

#if defined(LANEPIPE_HOST)

// Detail of a failed call that creates an object.
class Error {
  public:
    // Empty if nothing failed.
    const char *message() const noexcept { return raw_.message; }
    Status status() const noexcept { return static_cast<lanepipe_status_t>(raw_.status); }
    int system_error() const noexcept { return raw_.system_error; }

    lanepipe_error_t *capi() noexcept { return &raw_; }

    // Replaces the contents.
    void set(lanepipe_status_t status, const char *message) noexcept {
        raw_ = Sized<lanepipe_error_t>();
        raw_.status = static_cast<int32_t>(status);
        std::strncpy(raw_.message, message, sizeof(raw_.message) - 1);
    }

  private:
    Sized<lanepipe_error_t> raw_;
};

#endif // LANEPIPE_HOST

} // namespace lanepipe

#endif // LANEPIPE_BASE_HPP_
