// Cosine and sine transforms of columns: symmetric folds halve the work again and again, small
// products do what the folds leave. The matrices come ready made (see tables.h).
#pragma once

#include "rows.h"
#include "small.h"
#include "tables.h"

namespace ORTHOWATT_ISA {

using orthowatt::Dense;
using orthowatt::TrigTable;

// put(j, Σ_c matrix[j][c] x[c]); the matrix lies in blocks of rows, each block column by column.
template <int Block, class T, class V, class Put>
inline void dense_block(const T* m, int rows, int cols, const V* x, Put&& put) {
    for (int row = 0; row < rows; row += Block, m += Block * cols) {
        V sum[Block] = {};
        for (int c = 0; c < cols; c++) {
            const V v = x[c];
            unroll<Block>([&](auto r) { sum[r] += v * m[c * Block + r]; });
        }
        const int count = rows - row < Block ? rows - row : Block;
        for (int r = 0; r < count; r++) put(row + r, sum[r]);
    }
}
template <class T, class V, class Put>
inline void dense(const Dense<T>& d, const V* x, Put&& put) {
    if (d.block == 4) dense_block<4>(d.values, d.rows, d.cols, x, put);
    else if (d.block == 7) dense_block<7>(d.values, d.rows, d.cols, x, put);
    else dense_block<8>(d.values, d.rows, d.cols, x, put);
}

// --- type II -----------------------------------------------------------------------------------

// x (overwritten) of a size that does not split, into y, `stride` apart.
template <class T, class V>
inline void analyse_base(const TrigTable<T>& t, V* x, V* y, ptrdiff_t stride) {
    if (t.small) return analyse_small(t.n, t.small, x, y, stride);
    const int n = t.n, half = n / 2, up = n - half;
    for (int i = 0; i < half; i++) {
        const V front = x[i], back = x[n - 1 - i];
        x[i] = front + back;
        x[n - 1 - i] = front - back;
    }
    for (int i = 0; i < half / 2; i++) std::swap(x[up + i], x[n - 1 - i]);
    dense(t.even, x, [&](int j, V v) { y[2 * j * stride] = v; });
    dense(t.odd, x + up, [&](int j, V v) { y[(2 * j + 1) * stride] = v; });
}

template <class T, class V>
void analyse(const TrigTable<T>& t, V* x, V* y, ptrdiff_t stride, V* work);

// Sums s, and differences d: as they are, or turned. With N = n/2 and θ = π(2i + 1) / 4N the odd
// coefficients are Σ d_i cos (2m + 1)θ, and cos (4k ± 1)θ = cos 4kθ cos θ ∓ sin 4kθ sin θ; as
// θ of N - 1 - i is π/2 - θ, each pair d_i, d_(N-1-i) turned by θ gives one value to a cosine and
// one to a sine transform of size N/2. (Plonka and Tasche 2005, "Fast and numerically stable
// algorithms for discrete cosine transforms".)
template <class T, class V, class Get>
inline void fold(const TrigTable<T>& t, Get&& get, V* s, V* d) {
    const int n = t.n, half = n / 2, quarter = n / 4;
    if (!t.quarter) {
        for (int i = 0; i < half; i++) {
            const V front = get(i), back = get(n - 1 - i);
            s[i] = front + back;
            d[i] = front - back;
        }
        return;
    }
    const T* turn = t.turn;
    for (int i = 0; i < quarter; i++, turn += 4) {
        const V a = get(i), b = get(half - 1 - i), c = get(half + i), e = get(n - 1 - i);
        s[i] = a + e;
        s[half - 1 - i] = b + c;
        const V outer = a - e, inner = b - c;
        d[i] = outer * turn[0] + inner * turn[1];
        d[quarter + i] = outer * turn[2] - inner * turn[3];
    }
}

// The odd coefficients from the folded differences.
template <class T, class V, class Put>
inline void analyse_odd(const TrigTable<T>& t, V* d, Put&& put, V* work) {
    if (!t.quarter) return dense(t.large_odd, d, [&](int m, V v) { put(2 * m + 1, v); });
    const int quarter = t.n / 4;
    V *u = work, *w = u + quarter;
    analyse(*t.quarter, d, u, 1, w + quarter);
    analyse(*t.quarter, d + quarter, w, 1, w + quarter);
    put(1, u[0]);
    for (int k = 1; k < quarter; k++) {
        put(4 * k - 1, u[k] + w[quarter - k]);
        put(4 * k + 1, u[k] - w[quarter - k]);
    }
    put(t.n - 1, w[0]);
}

// x (overwritten) into y, `stride` apart; work is room for 3n and 24 more.
template <class T, class V>
void analyse(const TrigTable<T>& t, V* x, V* y, ptrdiff_t stride, V* work) {
    if (!t.half) return analyse_base(t, x, y, stride);
    const int half = t.n / 2;
    V *s = work, *d = s + half, *rest = d + half + kApart;
    fold(t, [&](int i) { return x[i]; }, s, d);
    analyse_odd(t, d, [&](int k, V v) { y[k * stride] = v; }, rest);
    analyse(*t.half, s, y, 2 * stride, rest);
}

// get(0) … get(n - 1) -> put(k, coefficient), likewise.
template <class T, class V, class Get, class Put>
inline void analyse_column(const TrigTable<T>& t, Get&& get, Put&& put, V* work) {
    if (!t.half) {
        V* y = work + t.n;
        for (int i = 0; i < t.n; i++) work[i] = get(i);
        analyse_base(t, work, y, 1);
        for (int k = 0; k < t.n; k++) put(k, y[k]);
        return;
    }
    const int half = t.n / 2;
    V *s = work, *d = s + half, *rest = d + half + kApart;
    fold(t, get, s, d);
    analyse_odd(t, d, put, rest);
    analyse(*t.half, s, d, 1, rest);
    for (int k = 0; k < half; k++) put(2 * k, d[k]);
}

// --- type III: every step above, transposed ----------------------------------------------------

// y, `stride` apart, of a size that does not split, to x.
template <class T, class V>
inline void synthesise_base(const TrigTable<T>& t, const V* y, ptrdiff_t stride, V* x, V* work) {
    if (t.small) return synthesise_small(t.n, t.small, y, stride, x);
    const int n = t.n, half = n / 2, up = n - half;
    V *even = work, *odd = even + up, *sums = odd + half;
    for (int j = 0; j < up; j++) even[j] = y[2 * j * stride];
    for (int j = 0; j < half; j++) odd[j] = y[(2 * j + 1) * stride];
    dense(t.even, even, [&](int i, V v) { sums[i] = v; });
    if (up > half) x[half] = sums[half];
    dense(t.odd, odd, [&](int i, V v) {
        x[i] = sums[i] + v;
        x[n - 1 - i] = sums[i] - v;
    });
}

template <class T, class V>
void synthesise(const TrigTable<T>& t, const V* y, ptrdiff_t stride, V* x, V* work);

// The differences, still turned, from the odd coefficients get(k).
template <class T, class V, class Get>
inline void synthesise_odd(const TrigTable<T>& t, Get&& get, V* d, V* work) {
    const int quarter = t.n / 4;
    V *u = work, *w = u + quarter;
    if (!t.quarter) {
        for (int m = 0; m < t.n / 2; m++) u[m] = get(2 * m + 1);
        return dense(t.large_odd, u, [&](int i, V v) { d[i] = v; });
    }
    u[0] = get(1);
    for (int k = 1; k < quarter; k++) {
        const V before = get(4 * k - 1), after = get(4 * k + 1);
        u[k] = before + after;
        w[quarter - k] = before - after;
    }
    w[0] = get(t.n - 1);
    synthesise(*t.quarter, u, 1, d, w + quarter);
    synthesise(*t.quarter, w, 1, d + quarter, w + quarter);
}

// Sums s and differences d, turned back -> put(i, value).
template <class T, class V, class Put>
inline void unfold(const TrigTable<T>& t, const V* s, const V* d, Put&& put) {
    const int n = t.n, half = n / 2, quarter = n / 4;
    if (!t.quarter) {
        for (int i = 0; i < half; i++) {
            put(i, s[i] + d[i]);
            put(n - 1 - i, s[i] - d[i]);
        }
        return;
    }
    const T* turn = t.turn;
    for (int i = 0; i < quarter; i++, turn += 4) {
        const V u = d[i], w = d[quarter + i], front = s[i], back = s[half - 1 - i];
        const V outer = u * turn[0] + w * turn[2], inner = u * turn[1] - w * turn[3];
        put(i, front + outer);
        put(n - 1 - i, front - outer);
        put(half - 1 - i, back + inner);
        put(half + i, back - inner);
    }
}

// y, `stride` apart, to x; work is room for 3n and 24 more.
template <class T, class V>
void synthesise(const TrigTable<T>& t, const V* y, ptrdiff_t stride, V* x, V* work) {
    if (!t.half) return synthesise_base(t, y, stride, x, work);
    const int half = t.n / 2;
    V *s = work, *d = s + half, *rest = d + half + kApart;
    synthesise(*t.half, y, 2 * stride, s, rest);
    synthesise_odd(t, [&](int k) { return y[k * stride]; }, d, rest);
    unfold(t, s, d, [&](int i, V v) { x[i] = v; });
}

// get(0) … get(n - 1) -> put(i, value), likewise.
template <class T, class V, class Get, class Put>
inline void synthesise_column(const TrigTable<T>& t, Get&& get, Put&& put, V* work) {
    if (!t.half) {
        V* x = work + t.n;
        for (int k = 0; k < t.n; k++) work[k] = get(k);
        synthesise_base(t, work, 1, x, x + t.n);
        for (int i = 0; i < t.n; i++) put(i, x[i]);
        return;
    }
    const int half = t.n / 2;
    V *s = work, *d = s + half, *rest = d + half + kApart;
    for (int k = 0; k < half; k++) d[k] = get(2 * k);
    synthesise(*t.half, d, 1, s, rest);
    synthesise_odd(t, get, d, rest);
    unfold(t, s, d, put);
}

// --- a whole column ----------------------------------------------------------------------------

// Sine transforms run as cosine transforms with alternating signs and reversed coefficients.
template <class T> struct TrigAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = false;
    const TrigTable<T>* table;

    template <class In, class Out> void operator()(In in, In, Out out, V* work) const {
        const TrigTable<T>& t = *table;
        const auto place = [&](ptrdiff_t k) { return t.sine ? t.n - 1 - k : k; };
        const auto sign = [&](ptrdiff_t i, V v) { return t.sine && i & 1 ? -v : v; };
        if (t.analysis)
            analyse_column(t, [&](ptrdiff_t i) { return sign(i, in.get(i)); },
                           [&](ptrdiff_t k, V v) { out.put(place(k), v * t.weights[k]); }, work);
        else
            synthesise_column(t, [&](ptrdiff_t k) { return in.get(place(k)) * t.weights[k]; },
                              [&](ptrdiff_t i, V v) { out.put(i, sign(i, v)); }, work);
    }
};

}  // namespace ORTHOWATT_ISA
