// The library is opened with RTLD_GLOBAL, used and closed again and again, by threads that outlive every round.
// Afterwards nothing of it is left: no mapping, no thread, no memory, no file.
#include "api.h"

#include <gtest/gtest.h>

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr unsigned kThreads = 4;
// Rounds in which the loader still grows its tables of modules with thread-local storage, and rounds that must cost
// nothing any more.
constexpr int kWarmUp = 10;
constexpr int kRounds = kWarmUp + 10;
constexpr size_t kToleratedBytes = 64;

size_t entries(const char *directory) {
    DIR *dir = opendir(directory);
    if (dir == nullptr)
        return 0;
    size_t count = 0;
    while (const dirent *entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

// Lines of /proc/self/maps that contain `text`.
size_t mappings(const std::string &text) {
    std::ifstream maps("/proc/self/maps");
    size_t count = 0;
    for (std::string line; std::getline(maps, line);)
        count += line.find(text) != std::string::npos;
    return count;
}

// Chunks that malloc caches for a living thread count as allocated. The program starts itself again without that cache,
// so that only what nobody freed is left to count.
__attribute__((constructor)) void without_thread_caches(int, char **argv, char **) {
    constexpr char kVariable[] = "GLIBC_TUNABLES";
    if (getenv(kVariable) == nullptr) {
        setenv(kVariable, "glibc.malloc.tcache_count=0", 1);
        execv("/proc/self/exe", argv);
    }
}

size_t allocated() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

// Threads that each run one job per round and live until the end.
class Crew {
  public:
    explicit Crew(unsigned count) : results_(count) {
        for (unsigned i = 0; i < count; ++i)
            threads_.emplace_back([this, i] { loop(i); });
    }

    ~Crew() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            quit_ = true;
        }
        wake_.notify_all();
        for (std::thread &thread : threads_)
            thread.join();
    }

    // Lets all threads call run() at once. Null or the first complaint.
    const char *round(const Api &api) {
        std::unique_lock<std::mutex> lock(mutex_);
        api_ = &api;
        busy_ = threads_.size();
        ++round_;
        wake_.notify_all();
        done_.wait(lock, [this] { return busy_ == 0; });
        for (const char *result : results_)
            if (result != nullptr)
                return result;
        return nullptr;
    }

  private:
    void loop(unsigned index) {
        int seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return quit_ || round_ != seen; });
            if (quit_)
                return;
            seen = round_;
            const Api api = *api_;
            lock.unlock();
            const char *result = run(api, index + 1);
            lock.lock();
            results_[index] = result;
            if (--busy_ == 0)
                done_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::vector<std::thread> threads_;
    std::vector<const char *> results_;
    const Api *api_ = nullptr;
    size_t busy_ = 0;
    int round_ = 0;
    bool quit_ = false;
};

TEST(Load, AgainAndAgainAndNothingIsLeft) {
    ASSERT_EQ(mappings("liblanepipe"), 0u) << "the library is linked in, or was opened before";
    // glibc maps another arena whenever threads meet in malloc, and keeps it.
    mallopt(M_ARENA_MAX, 1);
    Crew crew(kThreads);
    const size_t threads = entries("/proc/self/task");
    const size_t files = entries("/proc/self/fd");
    size_t memory = 0;
    size_t maps = 0;

    for (int round = 0; round < kRounds; ++round) {
        SCOPED_TRACE(round);
        void *handle = dlopen(LANEPIPE_TEST_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
        ASSERT_NE(handle, nullptr) << dlerror();
        EXPECT_GT(mappings("liblanepipe"), 0u);
        Api api;
        const char *missing = api.resolve(handle);
        ASSERT_EQ(missing, nullptr) << missing;
        const char *complaint = crew.round(api);
        EXPECT_EQ(complaint, nullptr) << complaint;
        complaint = run(api, 0);
        EXPECT_EQ(complaint, nullptr) << complaint;
        ASSERT_EQ(dlclose(handle), 0) << dlerror();

        EXPECT_EQ(mappings("liblanepipe"), 0u) << "still mapped after dlclose";
        EXPECT_EQ(entries("/proc/self/task"), threads) << "a thread is left";
        EXPECT_EQ(entries("/proc/self/fd"), files) << "a file is left";
        if (round + 1 == kWarmUp) {
            memory = allocated();
            maps = mappings("");
        }
    }
    EXPECT_LE(allocated(), memory + kToleratedBytes) << "memory is left";
    EXPECT_LE(mappings(""), maps) << "a mapping is left";
}

} // namespace
