// Entry points: the choice of an instruction set, work space, and threads.
#include "abi.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "tables.h"

namespace orthowatt {
namespace {

// Results larger than this leave the cache before anyone reads them.
constexpr int64_t kStreamBytes = int64_t(16) << 20;
// Below this much data a second thread costs more than it brings.
constexpr int64_t kParallelBytes = int64_t(128) << 10;

std::atomic<const Kernels*> chosen{nullptr};
std::atomic<const char*> chosen_name{nullptr};

const Kernels* select(const char* wanted) {
    const auto allowed = [&](const char* name) { return !wanted || !std::strcmp(wanted, name); };
    const Kernels* found = &kBaseline;
    const char* name = "baseline";
#if defined(ORTHOWATT_X86)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("f16c");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && allowed("avx512")) found = &kAvx512, name = "avx512";
    else if (avx2 && allowed("avx2")) found = &kAvx2, name = "avx2";
#endif
    chosen_name = name;
    chosen = found;
    return found;
}

// Each thread's own scratch, kept for the next call; freed when the thread ends.
struct Scratch {
    void* memory = nullptr;
    size_t size = 0;
    ~Scratch() { std::free(memory); }
    void* get(size_t bytes) {
        if (bytes <= size) return memory;
        std::free(memory);
        bytes = (bytes + 4095) / 4096 * 4096;
        memory = std::aligned_alloc(4096, bytes);
        size = memory ? bytes : 0;
        return memory;
    }
};
thread_local Scratch scratch;

struct Job {
    const orthowatt_call* call;
    const Kernels* kernels;
    size_t work_bytes;
    bool streaming;
    std::atomic<bool> failed{false};
};

void run_part(void* data, int64_t begin, int64_t end) {
    Job& job = *static_cast<Job*>(data);
    void* work = scratch.get(job.work_bytes);
    if (!work) job.failed = true;
    else job.kernels->run(*job.call, begin, end, job.streaming, work);
}

struct Copy {
    const Kernels* kernels;
    const char* src;
    char* dst;
    int64_t bytes;
};
constexpr int64_t kCopyUnit = int64_t(64) << 10;

void copy_part(void* data, int64_t begin, int64_t end) {
    const Copy& copy = *static_cast<Copy*>(data);
    const int64_t first = begin * kCopyUnit, last = end * kCopyUnit;
    const int64_t stop = last < copy.bytes ? last : copy.bytes;
    copy.kernels->copy(copy.src + first, copy.dst + first, stop - first);
}

int64_t element_size(int32_t dtype) { return dtype == 1 ? 8 : dtype == 0 ? 4 : 2; }

}  // namespace
}  // namespace orthowatt

using namespace orthowatt;

extern "C" const char* orthowatt_select(const char* wanted) {
    select(wanted);
    return chosen_name;
}

extern "C" int32_t orthowatt_run(const void* plan1, const void* plan2, const void* src, void* dst,
                                 int64_t outer, int64_t n1, int64_t n2, int64_t inner,
                                 int32_t dtype, int32_t threads) {
    if (!plan2 || dtype < 0 || dtype > 3) return 2;
    const orthowatt_call call{plan1, plan2, src, dst, outer, n1, n2, inner, dtype, threads};
    const Kernels* kernels = chosen;
    if (!kernels) kernels = select(nullptr);
    const int64_t bytes = outer * n1 * n2 * inner * element_size(dtype);
    const bool aligned = reinterpret_cast<uintptr_t>(dst) % 64 == 0;
    Job job{&call, kernels, kernels->work_bytes(call), aligned && bytes >= kStreamBytes};
    const int64_t units = kernels->units(call);
    if (bytes < kParallelBytes || threads < 2) run_part(&job, 0, units);
    else parallel(units, threads, run_part, &job);
    return job.failed ? 1 : 0;
}

extern "C" int32_t orthowatt_stream_copy(const void* src, void* dst, int64_t bytes,
                                         int32_t threads) {
    const Kernels* kernels = chosen;
    if (!kernels) kernels = select(nullptr);
    Copy copy{kernels, static_cast<const char*>(src), static_cast<char*>(dst), bytes};
    parallel((bytes + kCopyUnit - 1) / kCopyUnit, threads, copy_part, &copy);
    return 0;
}

extern "C" int64_t orthowatt_scratch(const void* plan1, const void* plan2, int64_t outer,
                                     int64_t n1, int64_t n2, int64_t inner, int32_t dtype) {
    const orthowatt_call call{plan1, plan2, nullptr, nullptr, outer, n1, n2, inner, dtype, 1};
    const Kernels* kernels = chosen;
    if (!kernels) kernels = select(nullptr);
    return int64_t(kernels->work_bytes(call));
}
