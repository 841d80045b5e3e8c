// Cosine transforms of the smallest sizes, wholly in registers: fold after fold, and what the folds
// leave as small products. The matrices lie one behind the other in the order of their use.
#pragma once

#include "wht.h"

namespace ORTHOWATT_ISA {

// put(j, Σ_c matrix[j][c] x[c]); the matrix lies column by column.
template <int N, class T, class V, class Put>
inline __attribute__((always_inline)) void product(const T* m, const V* x, Put&& put) {
    V sum[N];
    unroll<N>([&](auto r) { sum[r] = x[0] * m[r]; });
    unroll<N - 1>([&](auto c) {
        unroll<N>([&](auto r) { sum[r] += x[c + 1] * m[(c + 1) * N + r]; });
    });
    unroll<N>([&](auto r) { put(r, sum[r]); });
}

// Type II of x, which is lost: sums have the even coefficients, differences the odd ones.
template <int N, class T, class V, class Put>
inline __attribute__((always_inline)) void analyse_small(const T* m, V* x, Put&& put) {
    if constexpr (N <= 4) {
        product<N>(m, x, put);
    } else {
        constexpr int half = N / 2, up = N - half;
        V difference[half];
        unroll<half>([&](auto i) {
            difference[i] = x[i] - x[N - 1 - i];
            x[i] = x[i] + x[N - 1 - i];
        });
        product<half>(m, difference, [&](int j, V v) { put(2 * j + 1, v); });
        analyse_small<up>(m + half * half, x, [&](int j, V v) { put(2 * j, v); });
    }
}

// Type III into x: every step above, transposed.
template <int N, class T, class V, class Get>
inline __attribute__((always_inline)) void synthesise_small(const T* m, Get&& get, V* x) {
    if constexpr (N <= 4) {
        V y[N];
        unroll<N>([&](auto k) { y[k] = get(k); });
        product<N>(m, y, [&](int i, V v) { x[i] = v; });
    } else {
        constexpr int half = N / 2, up = N - half;
        V y[half], odd[half];
        unroll<half>([&](auto j) { y[j] = get(2 * j + 1); });
        product<half>(m, y, [&](int i, V v) { odd[i] = v; });
        synthesise_small<up>(m + half * half, [&](int j) { return get(2 * j); }, x);
        unroll<half>([&](auto i) {
            x[N - 1 - i] = x[i] - odd[i];
            x[i] = x[i] + odd[i];
        });
    }
}

// From memory to memory, each compiled once: x(i) = x[i], y(k) = y[k * stride].
template <int N, class T, class V>
__attribute__((noinline)) void analyse_points(const T* m, const V* x, V* y, ptrdiff_t stride) {
    V r[N];
    unroll<N>([&](auto i) { r[i] = x[i]; });
    analyse_small<N>(m, r, [&](int k, V v) { y[k * stride] = v; });
}
template <int N, class T, class V>
__attribute__((noinline)) void synthesise_points(const T* m, const V* y, ptrdiff_t stride, V* x) {
    V r[N];
    synthesise_small<N>(m, [&](int k) { return y[k * stride]; }, r);
    unroll<N>([&](auto i) { x[i] = r[i]; });
}

template <class T, class V>
inline void analyse_small(int n, const T* m, const V* x, V* y, ptrdiff_t stride) {
    switch (n) {
        case 7: return analyse_points<7>(m, x, y, stride);
        case 8: return analyse_points<8>(m, x, y, stride);
        case 14: return analyse_points<14>(m, x, y, stride);
        default: return analyse_points<16>(m, x, y, stride);
    }
}
template <class T, class V>
inline void synthesise_small(int n, const T* m, const V* y, ptrdiff_t stride, V* x) {
    switch (n) {
        case 7: return synthesise_points<7>(m, y, stride, x);
        case 8: return synthesise_points<8>(m, y, stride, x);
        case 14: return synthesise_points<14>(m, y, stride, x);
        default: return synthesise_points<16>(m, y, stride, x);
    }
}

}  // namespace ORTHOWATT_ISA
