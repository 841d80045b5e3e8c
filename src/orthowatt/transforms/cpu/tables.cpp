// Makes the tables of tables.h: cosines and sines with the angle reduced in whole numbers first.
#include "tables.h"

#include <cmath>
#include <new>

#include "abi.h"

namespace orthowatt {
namespace {

constexpr int kSmallest = 8;  // sizes up to this are folded once and no further

double cosine(int64_t num, int64_t den) {  // cos(π num / (4 den))
    return std::cos(M_PI * double(num % (8 * den)) / (4.0 * double(den)));
}
double sine(int64_t num, int64_t den) {
    return std::sin(M_PI * double(num % (8 * den)) / (4.0 * double(den)));
}

template <class T, class Entry> Dense<T> make(int rows, int cols, Entry&& entry) {
    // Maps of 7 · 2^k are common in networks: seven rows at a time waste nothing there.
    const int block = rows % 7 == 0 && rows % 8 ? 7 : 8;
    const size_t size = size_t((rows + block - 1) / block) * block * cols;
    T* values = new T[size + 1]();
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            values[size_t(r / block) * block * cols + size_t(c) * block + r % block] =
                T(entry(r, c));
    return {values, rows, cols, block};
}

// Halving saves the larger part of a dense product, but adds its roundings up along the
// coefficients: to this size they stay below half a unit of fp16.
constexpr int kHalveAbove = 16, kHalveUpTo = 64;

template <class T>
void fill(TrigTable<T>& t, int n, bool analysis, bool is_sine, const double* weights) {
    t.n = n, t.analysis = analysis, t.sine = is_sine, t.levels = 0;
    T* scaled = new T[n];
    for (int k = 0; k < n; k++) scaled[k] = T(weights[is_sine ? n - 1 - k : k]);
    t.weights = scaled;
    // analysis finds the differences in reversed order, synthesis wants them straight
    const auto odd_part = [&](int size) {
        const int half = size / 2;
        const auto entry = [&](int j, int i) {
            return cosine(2 * int64_t(2 * j + 1) * (2 * i + 1), size);
        };
        return analysis
                   ? make<T>(half, half, [&](int j, int c) { return entry(j, half - 1 - c); })
                   : make<T>(half, half, [&](int i, int j) { return entry(j, i); });
    };
    int size = n;
    for (; size % 2 == 0 && size > kHalveAbove; size /= 2, t.levels++) {
        if (size > kHalveUpTo) {
            t.large_odd[t.levels] = odd_part(size);
            continue;
        }
        T* cosines = new T[size / 2];
        for (int i = 0; i < size / 2; i++)
            cosines[i] = T(2 * cosine(2 * (2 * int64_t(i) + 1), size));
        t.cosines[t.levels] = cosines;
    }
    const int up = size - size / 2;
    const auto entry = [&](int j, int i) { return cosine(4 * int64_t(j) * (2 * i + 1), size); };
    t.even = make<T>(up, up, [&](int r, int c) { return analysis ? entry(r, c) : entry(c, r); });
    t.odd = odd_part(size);
}

template <class T> void fill(HartleyTable<T>& t, int n, double scale) {
    t.n = n, t.levels = 0;
    int size = n;
    for (; size % 2 == 0 && size > kSmallest; size /= 2, t.levels++) {
        const int m = size / 2, up = (m + 1) / 2, down = m / 2, current = size;
        t.cosine_level[t.levels] = make<T>(up, up, [&](int j, int c) {
            return scale * cosine(8 * int64_t(up - 1 - c) * (2 * j + 1), current);
        });
        t.sine_level[t.levels] = make<T>(down, down, [&](int j, int c) {
            return scale * sine(8 * int64_t(down - c) * (2 * j + 1), current);
        });
    }
    t.cosine_base = make<T>(size / 2 + 1, size / 2 + 1, [&](int k, int i) {
        return scale * cosine(8 * int64_t(i) * k, size);
    });
    const int sines = (size - 1) / 2;
    t.sine_base = make<T>(sines, sines, [&](int k, int i) {
        return scale * sine(8 * int64_t(i + 1) * (k + 1), size);
    });
}

}  // namespace
}  // namespace orthowatt

using namespace orthowatt;

extern "C" void* orthowatt_plan_wht(int64_t n, int32_t m, double scale) {
    Plan* plan = new (std::nothrow) Plan();
    if (!plan) return nullptr;
    plan->kind = kWht, plan->n = n, plan->m = m, plan->scale = scale;
    return plan;
}

extern "C" void* orthowatt_plan_trig(int64_t n, int32_t analysis, int32_t sine,
                                     const double* weights) {
    Plan* plan = new (std::nothrow) Plan();
    if (!plan) return nullptr;
    plan->kind = kTrig, plan->n = n;
    fill(plan->trig32, int(n), analysis, sine, weights);
    fill(plan->trig64, int(n), analysis, sine, weights);
    return plan;
}

extern "C" void* orthowatt_plan_hartley(int64_t n, double scale) {
    Plan* plan = new (std::nothrow) Plan();
    if (!plan) return nullptr;
    plan->kind = kHartley, plan->n = n;
    fill(plan->hartley32, int(n), scale);
    fill(plan->hartley64, int(n), scale);
    return plan;
}
