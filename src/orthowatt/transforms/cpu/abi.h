// The plain C interface that Python calls through ctypes; no torch, no C++ types.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// dtype: 0 float, 1 double, 2 bfloat16, 3 float16. The tensor is contiguous as
// (outer, n1, n2, inner); a 1-D transform has plan1 null and n1 = 1.
struct orthowatt_call {
    const void *plan1, *plan2;
    const void* src;
    void* dst;
    int64_t outer, n1, n2, inner;
    int32_t dtype, threads;
};

// Plans of one axis; null when there is no memory. They are never freed.
void* orthowatt_plan_wht(int64_t n, int32_t m, double scale);
void* orthowatt_plan_trig(int64_t n, int32_t analysis, int32_t sine, const double* weights);
void* orthowatt_plan_hartley(int64_t n, double scale);

// 0 done, 1 no memory for the work space, 2 a dtype or kind that is not known.
int32_t orthowatt_run(const void* plan1, const void* plan2, const void* src, void* dst,
                      int64_t outer, int64_t n1, int64_t n2, int64_t inner, int32_t dtype,
                      int32_t threads);

// Bytes of scratch that each thread of such a call keeps.
int64_t orthowatt_scratch(const void* plan1, const void* plan2, int64_t outer, int64_t n1,
                          int64_t n2, int64_t inner, int32_t dtype);

// A copy past the cache by the same threads: what the transforms are measured against.
int32_t orthowatt_stream_copy(const void* src, void* dst, int64_t bytes, int32_t threads);

// "avx512", "avx2" or "baseline": what this processor runs; `wanted` forces a lower one (or null).
const char* orthowatt_select(const char* wanted);
}

namespace orthowatt {

// One compiled instruction set.
struct Kernels {
    int64_t (*units)(const orthowatt_call&);      // independent pieces of work; < 0: unknown call
    size_t (*work_bytes)(const orthowatt_call&);  // scratch that each thread needs
    void (*run)(const orthowatt_call&, int64_t begin, int64_t end, bool streaming, void* work);
    void (*copy)(const void* src, void* dst, int64_t bytes);  // past the cache
};

extern const Kernels kBaseline;
#if defined(ORTHOWATT_X86)
extern const Kernels kAvx2, kAvx512;
#endif

// Runs body(begin, end) over 0 … count - 1 in `threads` threads; each index runs exactly once.
void parallel(int64_t count, int threads, void (*body)(void*, int64_t, int64_t), void* data);

}  // namespace orthowatt
