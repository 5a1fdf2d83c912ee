// Comparison of statuses by name, for either half of the library.
#ifndef LANEPIPE_TESTS_CAPI_STATUS_H_
#define LANEPIPE_TESTS_CAPI_STATUS_H_

#include <lanepipe/lanepipe.h>

#include <gtest/gtest.h>

namespace capi {

inline testing::AssertionResult same_status(const char *, const char *text, lanepipe_status_t want,
                                            lanepipe_status_t got) {
    if (want == got)
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << text << " is " << lanepipe_status_name(got) << ", not "
                                       << lanepipe_status_name(want);
}

#define EXPECT_STATUS(want, call) EXPECT_PRED_FORMAT2(capi::same_status, want, call)
#define ASSERT_STATUS(want, call) ASSERT_PRED_FORMAT2(capi::same_status, want, call)

} // namespace capi

#endif // LANEPIPE_TESTS_CAPI_STATUS_H_
