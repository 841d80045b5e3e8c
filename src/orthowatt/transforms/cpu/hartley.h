// Hartley transforms of columns: a cosine sum of the even part and a sine sum of the odd part. Their
// folds leave cosine transforms of type III.
#pragma once

#include "trig.h"

namespace ORTHOWATT_ISA {

using orthowatt::HartleyTable;

// y_k = Σ x_i (cos + sin)(2πik/n)
template <class T> struct HartleyAxis {
    using V = typename Lanes<T>::V;
    static constexpr bool kMirrors = true;
    const HartleyTable<T>* table;

    template <class In, class Out> void operator()(In even, In odd, Out out, V* work) const {
        const int n = table->n, half = n / 2;
        V *cosine = work, *sine = cosine + half + 1, *a = sine + half + 1, *rest = a + half + 1;
        a[0] = even.get(0);
        for (int i = 1; i <= half; i++)
            a[i] = 2 * i == n ? even.get(i) : even.get(i) + even.get(n - i);
        cosine_sums(a, cosine, rest);
        for (int i = 1; 2 * i < n; i++) a[i] = odd.get(i) - odd.get(n - i);
        sine_sums(a, sine, rest);
        out.put(0, cosine[0]);
        for (int k = 1; 2 * k < n; k++) {
            out.put(k, cosine[k] + sine[k]);
            out.put(n - k, cosine[k] - sine[k]);
        }
        if (n % 2 == 0) out.put(half, cosine[half]);
    }

    // sums[k] = Σ a_i cos(2πik/n) for 0 ≤ i, k ≤ n/2; every fold leaves the even k.
    void cosine_sums(V* a, V* sums, V* work) const {
        int size = table->n, stride = 1;
        for (int l = 0; l < table->levels; l++, stride *= 2) {
            const Dense<T>& level = table->cosine_level[l];
            const int m = size / 2, count = (m + 1) / 2;
            V* odd = work;
            for (int i = 0; i < count; i++) {
                const V front = a[i], back = a[m - i];
                a[i] = front + back;
                odd[i] = front - back;
            }
            const auto put = [&](ptrdiff_t j, V v) { sums[(2 * j + 1) * stride] = v; };
            if (const TrigTable<T>* third = table->third[l])
                synthesise_column(*third,
                                  [&](ptrdiff_t i) { return odd[i] * table->scale; }, put,
                                  work + count);
            else dense(level, odd, put);
            size = m;
        }
        dense(table->cosine_base, a, [&](int j, V v) { sums[j * stride] = v; });
    }

    // sums[k] = Σ a_i sin(2πik/n) for 0 < i, k < n/2, likewise. With i = m/2 - i' a sine sum of odd
    // k is a cosine sum with alternating signs.
    void sine_sums(V* a, V* sums, V* work) const {
        int size = table->n, stride = 1;
        for (int l = 0; l < table->levels; l++, stride *= 2) {
            const Dense<T>& level = table->sine_level[l];
            const int m = size / 2, count = m / 2;
            V* odd = work;
            if (m % 2 == 0) odd[0] = a[count];
            for (int i = 1; 2 * i < m; i++) {
                const V front = a[i], back = a[m - i];
                a[i] = front - back;
                odd[count - i] = front + back;
            }
            if (const TrigTable<T>* third = table->third[l])
                synthesise_column(*third,
                                  [&](ptrdiff_t i) { return odd[i] * table->scale; },
                                  [&](ptrdiff_t j, V v) {
                                      sums[(2 * j + 1) * stride] = j & 1 ? -v : v;
                                  }, work + count);
            else dense(level, odd, [&](int j, V v) { sums[(2 * j + 1) * stride] = v; });
            size = m;
        }
        dense(table->sine_base, a + 1, [&](int j, V v) { sums[(j + 1) * stride] = v; });
    }
};

}  // namespace ORTHOWATT_ISA
