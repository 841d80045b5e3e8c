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

    ptrdiff_t work_size() const { return 3 * table->n; }

    template <class In, class Out> void operator()(In in, In, Out out, V* work) const {
        if (table->analysis) analyse(in, out, work);
        else synthesise(in, out, work);
    }

    // DCT-II: sums go on to the next level, differences give the odd coefficients.
    template <class In, class Out> void analyse(In in, Out out, V* a) const {
        const int n = table->n;
        const bool flip = table->sine;
        for (int i = 0; i < n; i++) a[i] = flip && i & 1 ? -in.get(i) : in.get(i);
        const auto put = [&](ptrdiff_t k, V v) { out.put(flip ? n - 1 - k : k, v); };
        int size = n, stride = 1;
        for (int l = 0; l < table->levels; l++) {
            const Dense<T>& level = table->level[l];
            fold(a, size);
            dense(level, a + (size + 1) / 2, [&](int j, V v) { put((2 * j + 1) * stride, v); });
            size = (size + 1) / 2;
            stride *= 2;
        }
        dense(table->base, a, [&](int j, V v) { put(j * stride, v); });
    }

    // DCT-III, the transposed flow: from the even coefficients outwards.
    template <class In, class Out> void synthesise(In in, Out out, V* a) const {
        const int n = table->n;
        const bool flip = table->sine;
        V *x = a + n, *odd = x + n;
        const auto get = [&](ptrdiff_t k) { return in.get(flip ? n - 1 - k : k); };
        int stride = 1 << table->levels;
        for (int j = 0; j < table->base.cols; j++) x[j] = get(ptrdiff_t(j) * stride);
        dense(table->base, x, [&](int i, V v) { a[i] = v; });
        for (int l = table->levels - 1; l >= 0; l--) {
            const Dense<T>& level = table->level[l];
            stride /= 2;
            const int half = level.cols, size = (n + stride - 1) / stride;
            for (int j = 0; j < half; j++) x[j] = get((2 * j + 1) * ptrdiff_t(stride));
            dense(level, x, [&](int i, V v) { odd[i] = v; });
            for (int i = 0; i < half; i++) {
                const V e = a[i], o = odd[i];
                a[i] = e + o;
                a[size - 1 - i] = e - o;
            }
        }
        for (int i = 0; i < n; i++) out.put(i, flip && i & 1 ? -a[i] : a[i]);
    }

    // a[i] + a[n-1-i] to the front, a[i] - a[n-1-i] to the back (in reversed order).
    static void fold(V* a, int n) {
        for (int i = 0; i < n / 2; i++) {
            const V front = a[i], back = a[n - 1 - i];
            a[i] = front + back;
            a[n - 1 - i] = front - back;
        }
    }
};

// y_k = Σ x_i (cos + sin)(2πik/n): a cosine sum of the even part, a sine sum of the odd part.
template <class T> struct HartleyAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = true;
    const HartleyTable<T>* table;

    ptrdiff_t work_size() const { return 2 * table->n + 8; }

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
