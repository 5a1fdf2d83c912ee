// Log macros of the runtime. The functions are supplied by the program that is linked; see unified_log.cpp for the one
// the suites use.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_COMMON_UNIFIED_LOG_H_
#define SRC_COMMON_PLATFORM_INCLUDE_COMMON_UNIFIED_LOG_H_

#if defined(__GNUC__)
#define UNIFIED_LOG_PRINTF_ATTR __attribute__((format(printf, 2, 3)))
#else
#define UNIFIED_LOG_PRINTF_ATTR
#endif

#ifdef __cplusplus
extern "C" {
#endif

void unified_log_error(const char *func, const char *fmt, ...) UNIFIED_LOG_PRINTF_ATTR;
void unified_log_warn(const char *func, const char *fmt, ...) UNIFIED_LOG_PRINTF_ATTR;
void unified_log_timing(const char *func, const char *fmt, ...) UNIFIED_LOG_PRINTF_ATTR;
void unified_log_info(const char *func, const char *fmt, ...) UNIFIED_LOG_PRINTF_ATTR;
void unified_log_debug(const char *func, const char *fmt, ...) UNIFIED_LOG_PRINTF_ATTR;

#ifdef __cplusplus
}
#endif

#define UNIFIED_LOG_STRINGIZE_IMPL(x) #x
#define UNIFIED_LOG_STRINGIZE(x) UNIFIED_LOG_STRINGIZE_IMPL(x)

// File and line are glued to the format as literals: strict C++17 has no comma-eliding variadic macro.
#define UNIFIED_LOG_PREFIX "[" __FILE__ ":" UNIFIED_LOG_STRINGIZE(__LINE__) "] "

#define LOG_ERROR(...) unified_log_error(__func__, UNIFIED_LOG_PREFIX __VA_ARGS__)
#define LOG_WARN(...) unified_log_warn(__func__, UNIFIED_LOG_PREFIX __VA_ARGS__)
#define LOG_TIMING(...) unified_log_timing(__func__, UNIFIED_LOG_PREFIX __VA_ARGS__)
#define LOG_INFO(...) unified_log_info(__func__, UNIFIED_LOG_PREFIX __VA_ARGS__)
#define LOG_DEBUG(...) unified_log_debug(__func__, UNIFIED_LOG_PREFIX __VA_ARGS__)

#endif // SRC_COMMON_PLATFORM_INCLUDE_COMMON_UNIFIED_LOG_H_
