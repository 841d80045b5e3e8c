// Cosine, sine and Hartley transforms of columns: symmetric folds halve the work again and again,
// small dense products do what the folds leave. The matrices come ready made (see tables.h).
#pragma once

#include "rows.h"
#include "tables.h"
#include "wht.h"

namespace ORTHOWATT_ISA {

using orthowatt::Dense;
using orthowatt::HartleyTable;
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
    if (d.block == 7) dense_block<7>(d.values, d.rows, d.cols, x, put);
    else dense_block<8>(d.values, d.rows, d.cols, x, put);
}

template <class T> struct TrigAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = false;
    const TrigTable<T>* table;

    template <class In, class Out> void operator()(In in, In, Out out, V* work) const {
        const TrigTable<T>& t = *table;
        const int n = t.n;
        V *a = work, *y = work + n;
        if (t.analysis) {
            for (int i = 0; i < n; i++) a[i] = t.sine && i & 1 ? -in.get(i) : in.get(i);
            analyse(t, 0, n, a, y, 1);
            for (int k = 0; k < n; k++) out.put(t.sine ? n - 1 - k : k, y[k] * t.weights[k]);
        } else {
            for (int k = 0; k < n; k++) y[k] = in.get(t.sine ? n - 1 - k : k) * t.weights[k];
            synthesise(t, 0, n, y, 1, a, work + 2 * n);
            for (int i = 0; i < n; i++) out.put(i, t.sine && i & 1 ? -a[i] : a[i]);
        }
    }

    // DCT-II of a (overwritten) into y, `stride` apart. Sums have the even coefficients. With
    // θ = π(2i + 1) / 2n and d the differences, 2 cos θ · cos (2k + 1)θ = cos 2kθ + cos (2k + 2)θ:
    // the transform z of 2 cos θ · d is y_k + y_(k-1), so the odd ones are alternating sums of z.
    // (Kok 1997, "Fast algorithm for computing discrete cosine transform".)
    static void analyse(const TrigTable<T>& t, int level, int n, V* a, V* y, ptrdiff_t stride) {
        const int half = n / 2, up = n - half;
        for (int i = 0; i < half; i++) {
            const V front = a[i], back = a[n - 1 - i];
            a[i] = front + back;
            a[n - 1 - i] = front - back;  // in reversed order, which changes every second sign of z
        }
        if (level == t.levels) {
            dense(t.even, a, [&](int j, V v) { y[2 * j * stride] = v; });
            dense(t.odd, a + up, [&](int j, V v) { y[(2 * j + 1) * stride] = v; });
            return;
        }
        analyse(t, level + 1, half, a, y, 2 * stride);
        const T* cosines = t.cosines[level];
        if (!cosines) {
            dense(t.large_odd[level], a + half, [&](int j, V v) { y[(2 * j + 1) * stride] = v; });
            return;
        }
        for (int i = 0; i < half; i++) a[n - 1 - i] *= cosines[i];
        analyse(t, level + 1, half, a + half, y + stride, 2 * stride);
        V sum = y[stride] * T(0.5);
        y[stride] = sum;
        for (int k = 1; k < half; k++) {
            V& z = y[(2 * k + 1) * stride];
            sum = sum + z;
            z = k & 1 ? -sum : sum;
        }
    }

    // DCT-III of y, `stride` apart (overwritten), into a: every step above, transposed.
    static void synthesise(const TrigTable<T>& t, int level, int n, V* y, ptrdiff_t stride, V* a,
                           V* work) {
        const int half = n / 2, up = n - half;
        V *even = work, *odd = work + up;
        if (level == t.levels) {
            for (int j = 0; j < up; j++) even[j] = y[2 * j * stride];
            for (int j = 0; j < half; j++) odd[j] = y[(2 * j + 1) * stride];
            V* sums = odd + half;
            dense(t.even, even, [&](int i, V v) { sums[i] = v; });
            if (up > half) a[half] = sums[half];
            dense(t.odd, odd, [&](int i, V v) {
                a[i] = sums[i] + v;
                a[n - 1 - i] = sums[i] - v;
            });
            return;
        }
        synthesise(t, level + 1, half, y, 2 * stride, even, work + n);
        const T* cosines = t.cosines[level];
        if (!cosines) {
            V* x = work + n;
            for (int j = 0; j < half; j++) x[j] = y[(2 * j + 1) * stride];
            dense(t.large_odd[level], x, [&](int i, V v) { odd[i] = v; });
        } else {
            V sum = {};
            for (int k = half - 1; k > 0; k--) {
                V& x = y[(2 * k + 1) * stride];
                sum = x - sum;
                x = sum;
            }
            y[stride] = (y[stride] - sum) * T(0.5);
            synthesise(t, level + 1, half, y + stride, 2 * stride, odd, work + n);
            for (int i = 0; i < half; i++) odd[i] *= cosines[i];
        }
        for (int i = 0; i < half; i++) {
            const V e = even[i], o = odd[i];
            a[i] = e + o;
            a[n - 1 - i] = e - o;
        }
    }
};

// y_k = Σ x_i (cos + sin)(2πik/n): a cosine sum of the even part, a sine sum of the odd part.
template <class T> struct HartleyAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = true;
    const HartleyTable<T>* table;

    template <class In, class Out> void operator()(In even, In odd, Out out, V* work) const {
        const int n = table->n, half = n / 2;
        V *cosine = work, *sine = work + half + 1, *a = sine + half + 1;
        a[0] = even.get(0);
        for (int i = 1; i <= half; i++)
            a[i] = 2 * i == n ? even.get(i) : even.get(i) + even.get(n - i);
        int size = n, stride = 1;
        for (int l = 0; l < table->levels; l++) {
            const Dense<T>& level = table->cosine_level[l];
            const int m = size / 2, count = level.cols;
            for (int i = 0; i < count; i++) {
                const V front = a[i], back = a[m - i];
                a[i] = front + back;
                a[m - i] = front - back;
            }
            dense(level, a + m - count + 1, [&](int j, V v) { cosine[(2 * j + 1) * stride] = v; });
            size = m;
            stride *= 2;
        }
        dense(table->cosine_base, a, [&](int j, V v) { cosine[j * stride] = v; });
        for (int i = 1; 2 * i < n; i++) a[i] = odd.get(i) - odd.get(n - i);
        size = n, stride = 1;
        for (int l = 0; l < table->levels; l++) {
            const Dense<T>& level = table->sine_level[l];
            const int m = size / 2, count = level.cols;
            for (int i = 1; 2 * i < m; i++) {
                const V front = a[i], back = a[m - i];
                a[i] = front - back;
                a[m - i] = front + back;
            }
            dense(level, a + m - count, [&](int j, V v) { sine[(2 * j + 1) * stride] = v; });
            size = m;
            stride *= 2;
        }
        dense(table->sine_base, a + 1, [&](int j, V v) { sine[(j + 1) * stride] = v; });
        out.put(0, cosine[0]);
        for (int k = 1; 2 * k < n; k++) {
            out.put(k, cosine[k] + sine[k]);
            out.put(n - k, cosine[k] - sine[k]);
        }
        if (n % 2 == 0) out.put(half, cosine[half]);
    }
};

}  // namespace ORTHOWATT_ISA
