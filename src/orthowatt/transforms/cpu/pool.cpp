// A small pool of threads of its own: torch's OpenMP runtime stays untouched.
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "abi.h"

namespace orthowatt {
namespace {

struct Pool {
    std::mutex busy;  // one job at a time; a second caller works alone instead of waiting
    std::mutex lock;
    std::condition_variable wake, done;
    std::vector<std::thread> threads;
    void (*body)(void*, int64_t, int64_t) = nullptr;
    void* data = nullptr;
    int64_t count = 0, next = 0, chunk = 1;
    int wanted = 0, active = 0;
    uint64_t generation = 0;

    void work() {
        for (;;) {
            int64_t begin, end;
            {
                std::lock_guard<std::mutex> hold(lock);
                if (next >= count) return;
                begin = next;
                end = next = std::min(count, next + chunk);
            }
            body(data, begin, end);
        }
    }
    void loop(int index) {
        uint64_t seen = 0;
        for (;;) {
            {
                std::unique_lock<std::mutex> hold(lock);
                wake.wait(hold, [&] { return generation != seen; });
                seen = generation;
                if (index >= wanted) continue;
            }
            work();
            std::lock_guard<std::mutex> hold(lock);
            if (--active == 0) done.notify_one();
        }
    }
    void run(int64_t total, int parts) {
        {
            std::lock_guard<std::mutex> hold(lock);
            count = total;
            next = 0;
            chunk = std::max<int64_t>(1, total / (int64_t(parts) * 8));
            wanted = active = parts - 1;
            while (int(threads.size()) < wanted) {
                const int index = int(threads.size());
                threads.emplace_back([this, index] { loop(index); });
                threads.back().detach();
            }
            generation++;
        }
        wake.notify_all();
        work();
        std::unique_lock<std::mutex> hold(lock);
        done.wait(hold, [&] { return active == 0; });
    }
};

Pool* pool = nullptr;
std::once_flag once;

// A forked child has none of its parent's threads: it starts with a pool of its own.
void after_fork() { pool = new Pool; }

void start() {
    pool = new Pool;
    pthread_atfork(nullptr, nullptr, after_fork);
}

}  // namespace

void parallel(int64_t count, int threads, void (*body)(void*, int64_t, int64_t), void* data) {
    std::call_once(once, start);
    const int parts = int(std::min<int64_t>(threads, count));
    std::unique_lock<std::mutex> own(pool->busy, std::try_to_lock);
    if (parts < 2 || !own.owns_lock()) return body(data, 0, count);
    pool->body = body;
    pool->data = data;
    pool->run(count, parts);
}

}  // namespace orthowatt
