// Walsh-Hadamard transforms of columns: radix butterflies for the Sylvester part, and for the
// orders 12, 20 and 28 the fast form of Paley's second construction.
#pragma once

#include "rows.h"

namespace ORTHOWATT_ISA {

template <int N, class F, std::size_t... I>
inline __attribute__((always_inline)) void unroll_indices(F&& f, std::index_sequence<I...>) {
    (f(std::integral_constant<int, int(I)>{}), ...);
}
template <int N, class F> inline __attribute__((always_inline)) void unroll(F&& f) {
    unroll_indices<N>(f, std::make_index_sequence<N>{});
}

// a + b·one and a - b·one, where `one` holds ones that the compiler cannot see through: they run
// in the multiply-add units, which on many cores work beside the adders. Half of the additions
// done so nearly doubles the rate; the result is the same, for a product with 1 is exact.
template <class V> struct Ones {
    V one;
    Ones() : one(V{} + 1) {
#if defined(__FMA__)
        asm volatile("" : "+v"(one));
#endif
    }
#if defined(__FMA__)
    V plus(V a, V b) const { return a + b * one; }
    V minus(V a, V b) const { return a - b * one; }
#else
    V plus(V a, V b) const { return a + b; }
    V minus(V a, V b) const { return a - b; }
#endif
};

// --- the Sylvester part ----------------------------------------------------------------------

// Order R in registers, on points `stride` apart, for every group of an n-point column.
template <int R, class In, class Out, class V = typename In::V>
inline void radix_pass(ptrdiff_t n, ptrdiff_t stride, In in, Out out, V scale) {
    const Ones<V> fused;
    for (ptrdiff_t block = 0; block < n; block += R * stride) {
        for (ptrdiff_t i = block; i < block + stride; i++) {
            V x[R];
            unroll<R>([&](auto r) { x[r] = in.get(i + r * stride); });
            unroll<R>([&](auto stage) {
                constexpr int step = 1 << stage;
                if constexpr (step < R)
                    unroll<R>([&](auto r) {
                        if constexpr (!(r & step)) {
                            const V a = x[r], b = x[r + step];
                            x[r] = a + b;
                            x[r + step] = fused.minus(a, b);
                        }
                    });
            });
            unroll<R>([&](auto r) { out.put(i + r * stride, x[r] * scale); });
        }
    }
}

template <class In, class Out, class V = typename In::V>
inline void radix_pass(int radix, ptrdiff_t n, ptrdiff_t stride, In in, Out out, V scale) {
    switch (radix) {
        case 1: return radix_pass<1>(n, stride, in, out, scale);
        case 2: return radix_pass<2>(n, stride, in, out, scale);
        case 4: return radix_pass<4>(n, stride, in, out, scale);
        case 8: return radix_pass<8>(n, stride, in, out, scale);
        default: return radix_pass<16>(n, stride, in, out, scale);
    }
}

// --- the orders 12, 20, 28 -------------------------------------------------------------------

// C + I, where C is the symmetric conference matrix of order Q + 1 over GF(Q).
template <int Q> struct Conference {
    int8_t c[Q + 1][Q + 1] = {};
    constexpr Conference() {
        int chi[Q] = {};
        for (int i = 1; i < Q; i++) chi[i] = -1;
        for (int i = 1; i < Q; i++) chi[square(i)] = 1;
        for (int a = 0; a <= Q; a++)
            for (int b = 0; b <= Q; b++)
                c[a][b] = int8_t(a == b || !a || !b ? 1 : chi[minus(a - 1, b - 1)]);
    }
    // GF(9) as GF(3)[x] / (x² + 1), elements numbered by base-3 digits; the others are prime.
    static constexpr int square(int a) {
        if (Q != 9) return a * a % Q;
        const int low = a % 3, high = a / 3;
        return (low * low + 2 * high * high) % 3 + 3 * (2 * low * high % 3);
    }
    static constexpr int minus(int a, int b) {
        if (Q != 9) return (a - b + Q) % Q;
        return (a % 3 - b % 3 + 3) % 3 + 3 * ((a / 3 - b / 3 + 3) % 3);
    }
};

template <int Q> inline constexpr Conference<Q> kConference;

// y += (C + I) x, four columns at a time: their eight sign patterns cost twelve additions, and
// every row then takes one of them.
template <int Q, int First, class V, class Get>
inline __attribute__((always_inline)) void conference_columns(V* y, Get x, Ones<V> fused) {
    constexpr int order = Q + 1, left = order - First;
    if constexpr (left > 0) {
        constexpr int width = left == 3 || left == 6 ? 3 : left < 4 ? left : 4;
        V pattern[8];
        const V a = x(First), b = x(First + 1);
        pattern[0] = a + b;
        pattern[1] = fused.minus(a, b);
        if constexpr (width >= 3) {
            V c = x(First + 2), d = c;
            if constexpr (width == 4) {
                const V last = x(First + 3);
                d = fused.minus(c, last);
                c = c + last;
                for (int i : {1, 0}) {
                    const V p = pattern[i];
                    pattern[i] = p + c, pattern[i + 2] = fused.minus(p, c);
                    pattern[i + 4] = p + d, pattern[i + 6] = fused.minus(p, d);
                }
            } else {
                for (int i : {1, 0}) {
                    const V p = pattern[i];
                    pattern[i] = p + c, pattern[i + 2] = fused.minus(p, c);
                }
            }
        }
        unroll<order>([&](auto row) {
            constexpr int r = row;
            constexpr bool minus = kConference<Q>.c[r][First] < 0;
            constexpr bool s1 = (kConference<Q>.c[r][First + 1] < 0) != minus;
            constexpr bool s2 =
                width > 2 && (kConference<Q>.c[r][First + (width > 2 ? 2 : 0)] < 0) != minus;
            constexpr bool s3 =
                width > 3 && (kConference<Q>.c[r][First + (width > 3 ? 3 : 0)] < 0) != minus;
            // ±c ± d reduces to ±(c + d) or ±(c - d): bit 2 picks which, bit 1 its sign.
            constexpr int index = s1 + (s2 ? 2 : 0) + (width > 3 && s2 != s3 ? 4 : 0);
            if constexpr (First == 0 && minus) y[row] = -pattern[index];
            else if constexpr (First == 0) y[row] = pattern[index];
            else if constexpr (r % 2 && minus) y[row] = fused.minus(y[row], pattern[index]);
            else if constexpr (r % 2) y[row] = fused.plus(y[row], pattern[index]);
            else if constexpr (minus) y[row] -= pattern[index];
            else y[row] += pattern[index];
        });
        conference_columns<Q, First + width>(y, x, fused);
    }
}

// H = [[C + I, C - I], [C - I, -C - I]] of order 2 (Q + 1), on each run of so many points.
template <int Q, class In, class Out, class V = typename In::V>
inline void paley_pass(ptrdiff_t n, In in, Out out, V scale) {
    constexpr int half = Q + 1;
    const Ones<V> fused;
    for (ptrdiff_t base = 0; base < n; base += 2 * half) {
        V x[2 * half], y[half];
        unroll<2 * half>([&](auto i) { x[i] = in.get(base + i); });
        conference_columns<Q, 0>(y, [&](int i) { return x[i] + x[i + half]; }, fused);
        unroll<half>([&](auto i) {
            const V b = x[i + half];
            out.put(base + i, fused.minus(y[i], b + b) * scale);
        });
        conference_columns<Q, 0>(y, [&](int i) { return fused.minus(x[i], x[i + half]); }, fused);
        unroll<half>([&](auto i) {
            const V a = x[i];
            out.put(base + half + i, fused.minus(y[i], a + a) * scale);
        });
    }
}

// --- a whole column --------------------------------------------------------------------------

template <class V> using Elements = std::remove_reference_t<decltype(V{}[0])>;

// A column of registers in the work space, to write and to read.
template <class V> inline auto to_work(V* work) {
    using T = Elements<V>;
    return OutRows<T>{reinterpret_cast<T*>(work), kLanes<T>, false};
}
template <class V> inline auto from_work(const V* work) {
    using T = Elements<V>;
    return Rows<T>{reinterpret_cast<const T*>(work), kLanes<T>};
}

// Even steps: 64 as 8 · 8, not 16 · 4.
inline int next_radix(ptrdiff_t left) {
    if (left <= kRadix) return int(left);
    if (left == 64) return 8;
    if (left == 32) return 4;
    return kRadix;
}

// Sylvester's matrix of order n, over points in steps of 1; `work` holds n registers. The passes
// over distant points come first; the last two go block by block, in the innermost cache.
template <class In, class Out, class V = typename In::V>
inline void sylvester(ptrdiff_t n, In in, Out out, V scale, V* work) {
    if (n <= kRadix) return radix_pass(int(n), n, 1, in, out, scale);
    const V one = V{} + Elements<V>(1);
    constexpr ptrdiff_t block = kRadix * kRadix;
    if (n <= block) {
        const int radix = next_radix(n);
        radix_pass(radix, n, 1, in, to_work(work), one);
        return radix_pass(int(n / radix), n, radix, from_work(work), out, scale);
    }
    bool first = true;
    for (ptrdiff_t left = n / block, stride = n; left > 1; first = false) {
        const int radix = next_radix(left);
        left /= radix;
        stride /= radix;
        if (first) radix_pass(radix, n, stride, in, to_work(work), one);
        else radix_pass(radix, n, stride, from_work(work), to_work(work), one);
    }
    for (ptrdiff_t i = 0; i < n; i += block) {
        radix_pass<kRadix>(block, kRadix, from_work(work + i), to_work(work + i), one);
        radix_pass<kRadix>(block, 1, from_work(work + i), out.from(i), scale);
    }
}

// H(n) = Sylvester(n / m) ⊗ H(m), m one of 1, 12, 20, 28.
template <class T> struct WhtAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = false;
    ptrdiff_t n;
    int m;
    T scale;

    template <class In, class Out> void operator()(In in, In, Out out, V* work) const {
        const V one = V{} + T(1), last = V{} + scale;
        if (m == 1) return sylvester(n, in, out, last, work);
        if (n == m) return paley(in, out, last);
        ptrdiff_t stride = m;
        for (ptrdiff_t left = n / m; left > 1;) {
            const int radix = next_radix(left);
            if (stride == m) radix_pass(radix, n, stride, in, to_work(work), one);
            else radix_pass(radix, n, stride, from_work(work), to_work(work), one);
            stride *= radix;
            left /= radix;
        }
        paley(from_work(work), out, last);
    }

    template <class In, class Out> void paley(In in, Out out, V factor) const {
        if (m == 12) paley_pass<5>(n, in, out, factor);
        else if (m == 20) paley_pass<9>(n, in, out, factor);
        else paley_pass<13>(n, in, out, factor);
    }
};

}  // namespace ORTHOWATT_ISA
