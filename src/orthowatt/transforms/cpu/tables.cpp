// Makes the tables of tables.h: cosines and sines with the angle reduced in whole numbers first.
#include "tables.h"

#include <cmath>
#include <new>

#include "abi.h"

namespace orthowatt {
namespace {

// Hartley sizes up to these, whose half is even or odd, are no further folded.
constexpr int kSmallest = 8, kSmallestOdd = 14;

double cosine(int64_t num, int64_t den) {  // cos(π num / (4 den))
    return std::cos(M_PI * double(num % (8 * den)) / (4.0 * double(den)));
}
double sine(int64_t num, int64_t den) {
    return std::sin(M_PI * double(num % (8 * den)) / (4.0 * double(den)));
}

template <class T, class Entry> Dense<T> make(int rows, int cols, Entry&& entry) {
    // Maps of 7 · 2^k are common in networks: seven rows at a time waste nothing there.
    const int block = rows <= 4 ? 4 : rows % 7 == 0 && rows % 8 ? 7 : 8;
    const size_t size = size_t((rows + block - 1) / block) * block * cols;
    T* values = new T[size + 1]();
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            values[size_t(r / block) * block * cols + size_t(c) * block + r % block] =
                T(entry(r, c));
    return {values, rows, cols, block};
}

constexpr int kSplitAbove = 16;

bool has_small(int n) { return n == 7 || n == 8 || n == 14 || n == 16; }

// The matrices of small.h, column by column: of the odd coefficients for each fold, then the rest.
template <class T> const T* make_small(int n, bool analysis) {
    T *values = new T[size_t(n) * n], *next = values;
    const auto append = [&](int size, auto&& entry) {
        for (int c = 0; c < size; c++)
            for (int r = 0; r < size; r++)
                *next++ = T(analysis ? entry(r, c) : entry(c, r));
    };
    int whole = n;
    for (; n > 4; n -= n / 2) {
        whole = n;
        append(n / 2, [&](int k, int i) {
            return cosine(2 * int64_t(2 * k + 1) * (2 * i + 1), n);
        });
    }
    append(n, [&](int k, int i) { return cosine(4 * int64_t(k) * (2 * i + 1), whole); });
    return values;
}

template <class T> void fill(TrigTable<T>& t, int n, bool analysis) {
    const auto table_of = [&](int size) {
        auto* table = new TrigTable<T>();
        fill(*table, size, analysis);
        return table;
    };
    const auto odd_part = [&] {
        return make<T>(n / 2, n / 2, [&](int r, int c) {
            const int k = analysis ? r : c, i = analysis ? c : r;
            return cosine(2 * int64_t(2 * k + 1) * (2 * i + 1), n);
        });
    };
    t.n = n, t.analysis = analysis;
    if (n > kSplitAbove && n % 2 == 0) {
        t.half = table_of(n / 2);
        if (n % 4) {
            t.large_odd = odd_part();
            return;
        }
        t.quarter = table_of(n / 4);
        T* turn = new T[n];
        for (int i = 0; i < n / 4; i++) {
            const double c = cosine(2 * (2 * int64_t(i) + 1), n), s = sine(2 * (2 * int64_t(i) + 1), n);
            const double sign = i % 2 ? -1.0 : 1.0;
            turn[4 * i] = T(c), turn[4 * i + 1] = T(s);
            turn[4 * i + 2] = T(sign * s), turn[4 * i + 3] = T(sign * c);
        }
        t.turn = turn;
    } else if (has_small(n)) {
        t.small = make_small<T>(n, analysis);
    } else {
        const int up = n - n / 2;
        const auto entry = [&](int k, int i) { return cosine(4 * int64_t(k) * (2 * i + 1), n); };
        t.even = make<T>(up, up, [&](int r, int c) { return analysis ? entry(r, c) : entry(c, r); });
        t.odd = odd_part();
    }
}

template <class T>
void fill(TrigTable<T>& t, int n, bool analysis, bool is_sine, const double* weights) {
    fill(t, n, analysis);
    t.sine = is_sine;
    T* scaled = new T[n];
    for (int k = 0; k < n; k++) scaled[k] = T(weights[is_sine ? n - 1 - k : k]);
    t.weights = scaled;
}

constexpr int kThirdFrom = 7;  // below, a dense product is as fast

template <class T> void fill(HartleyTable<T>& t, int n, double scale) {
    t.n = n, t.levels = 0, t.scale = T(scale);
    int size = n;
    for (; size % 2 == 0 && size > (size % 4 ? kSmallestOdd : kSmallest); size /= 2, t.levels++) {
        const int m = size / 2, up = (m + 1) / 2, down = m / 2, current = size;
        if (m % 2 == 0 && down >= kThirdFrom) {
            auto* third = new TrigTable<T>();
            fill(*third, down, false);
            t.third[t.levels] = third;
            continue;
        }
        t.cosine_level[t.levels] = make<T>(up, up, [&](int j, int c) {
            return scale * cosine(8 * int64_t(c) * (2 * j + 1), current);
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
