// Which lanes a transform runs in: inner columns, or rows turned into columns by a transposition;
// one plane at a time where both axes lie next to each other in memory.
#pragma once

#include "wht.h"

namespace ORTHOWATT_ISA {

// A tensor seen as (outer, n1, n2, inner), contiguous; a 1-D transform has n1 = 1.
struct Shape {
    ptrdiff_t outer, n1, n2, inner;
};

// One axis or two over a tile whose points are registers: `first` over n1, `second` over n2.
template <class T, class Axis> struct Tile {
    using V = typename Lanes<T>::V;
    const Axis *first, *second;  // first is null for a 1-D transform
    ptrdiff_t n1, n2;

    ptrdiff_t points() const { return n1 * n2; }
    // in, out: points `step` apart in row-major (n1, n2) order.
    template <class S>
    void run(const S* in, S* out, ptrdiff_t step, bool streaming, V* work) const {
        const Rows<S> rows{in, step};
        if (!first) return (*second)(rows, rows, OutRows<S>{out, step, streaming}, work);
        T* middle = reinterpret_cast<T*>(work);
        constexpr ptrdiff_t lanes = kLanes<T>;
        work += points();
        for (ptrdiff_t i = 0; i < n1; i++) {
            const Rows<S> row{in + i * n2 * step, step};
            (*second)(row, row, OutRows<T>{middle + i * n2 * lanes, lanes, false}, work);
        }
        for (ptrdiff_t j = 0; j < n2; j++) {
            // The odd part of a two-dimensional Hartley transform comes from the mirrored column.
            const ptrdiff_t k = Axis::kMirrors && j ? n2 - j : j;
            (*first)(Rows<T>{middle + j * lanes, n2 * lanes}, Rows<T>{middle + k * lanes, n2 * lanes},
                     OutRows<S>{out + j * step, n2 * step, streaming}, work);
        }
    }
};

// --- lanes are inner columns -----------------------------------------------------------------

// Transforms the columns [column, column + lanes) of one outer index.
template <class S, class T, class Axis>
void columns(const S* src, S* dst, const Shape& s, const Tile<T, Axis>& tile, ptrdiff_t unit,
             bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    const ptrdiff_t blocks = (s.inner + lanes - 1) / lanes;
    const ptrdiff_t column = unit % blocks * lanes, left = s.inner - column;
    const ptrdiff_t offset = unit / blocks * tile.points() * s.inner + column;
    src += offset;
    dst += offset;
    if (left >= lanes) {
        const bool whole = (s.inner * sizeof(S)) % kBytes == 0;
        return tile.run(src, dst, s.inner, streaming && whole, work);
    }
    auto *in = work, *out = work + tile.points();
    for (ptrdiff_t i = 0; i < tile.points(); i++) in[i] = load_part(src + i * s.inner, int(left));
    tile.run(reinterpret_cast<T*>(in), reinterpret_cast<T*>(out), lanes, false,
             work + 2 * tile.points());
    for (ptrdiff_t i = 0; i < tile.points(); i++) store_part(dst + i * s.inner, out[i], int(left));
}

// --- lanes are rows --------------------------------------------------------------------------

// Blocks of `lanes` positions that cover 0 … n - 1; the last one overlaps the one before it.
template <int Width, class F> inline void blocks(ptrdiff_t n, F&& f) {
    ptrdiff_t i = 0;
    for (; i + Width <= n; i += Width) f(i, Width);
    if (i == n) return;
    if (n >= Width) f(n - Width, Width);
    else f(ptrdiff_t(0), int(n));
}

// A square of lanes × lanes in registers: read with `get`, transposed, handed to `put`.
template <class T, class Get, class Put>
inline __attribute__((always_inline)) void turn_square(Get&& get, Put&& put) {
    constexpr int lanes = kLanes<T>;
    typename Lanes<T>::V r[lanes];
    unroll<lanes>([&](auto i) { r[i] = get(i); });
    transpose<T>(r);
    unroll<lanes>([&](auto i) { put(i, r[i]); });
}

// `count` rows of `length` contiguous elements -> registers whose lanes are the rows.
template <class S, class T>
void gather_rows(const S* src, ptrdiff_t length, ptrdiff_t stride, int count,
                 typename Lanes<T>::V* out) {
    constexpr int lanes = kLanes<T>;
    blocks<lanes>(length, [&](ptrdiff_t c, int width) {
        const S* p = src + c;
        auto* to = out + c;
        if (width == lanes && count == lanes)
            turn_square<T>([&](int i) { return load(p + i * stride); },
                           [&](int i, auto v) { to[i] = v; });
        else
            turn_square<T>([&](int i) { return load_part(p + i * stride, i < count ? width : 0); },
                           [&](int i, auto v) { if (i < width) to[i] = v; });
    });
}

// The way back: element j of row i goes to dst[i * stride + j].
template <class S, class T>
void scatter_rows(const typename Lanes<T>::V* in, ptrdiff_t length, ptrdiff_t stride, int count,
                  S* dst, bool streaming) {
    constexpr int lanes = kLanes<T>;
    blocks<lanes>(length, [&](ptrdiff_t c, int width) {
        const auto* from = in + c;
        S* p = dst + c;
        if (width == lanes && count == lanes && !streaming)
            turn_square<T>([&](int i) { return from[i]; },
                           [&](int i, auto v) { store(p + i * stride, v); });
        else
            turn_square<T>([&](int i) { return from[i < width ? i : 0]; },
                           [&](int i, auto v) {
                               if (i >= count) return;
                               if (width < lanes) store_part(p + i * stride, v, width);
                               else if (streaming) stream(p + i * stride, v);
                               else store(p + i * stride, v);
                           });
    });
}

// One block of `lanes` rows, each row a whole n1 × n2 plane (or, with n1 = 1, a line).
template <class S, class T, class Axis>
void rows(const S* src, S* dst, const Shape& s, const Tile<T, Axis>& tile, ptrdiff_t unit,
          bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    const ptrdiff_t length = tile.points(), start = unit * lanes;
    const int count = int(s.outer - start < lanes ? s.outer - start : lanes);
    auto *in = work, *out = work + length;
    gather_rows<S, T>(src + start * length, length, length, count, in);
    T *from = reinterpret_cast<T*>(in), *to = reinterpret_cast<T*>(out);
    tile.run(from, to, lanes, false, work + 2 * length);
    const bool whole = (length * sizeof(S)) % kBytes == 0;
    scatter_rows<S, T>(out, length, length, count, dst + start * length, streaming && whole);
}

// --- one plane -------------------------------------------------------------------------------

// Copies a finished plane past the cache; both ends by ordinary stores where not aligned.
template <class S> void stream_copy(const S* src, S* dst, ptrdiff_t count) {
    constexpr ptrdiff_t width = kBytes / sizeof(S);
    using Bytes = typename Lanes<float>::V;
    ptrdiff_t i = 0;
    while (i < count && reinterpret_cast<uintptr_t>(dst + i) % kBytes) dst[i] = src[i], i++;
    for (; i + width <= count; i += width) {
        Bytes v;
        std::memcpy(&v, src + i, kBytes);
        stream(reinterpret_cast<float*>(dst + i), v);
    }
    for (; i < count; i++) dst[i] = src[i];
}

// A plane of at least `lanes` rows and columns: rows through a transposition, then columns. The
// last block of each overlaps the one before it, which repeats work but needs no partial register.
template <class S, class T, class Axis>
void plane(const S* src, S* dst, const Shape& s, const Tile<T, Axis>& tile, ptrdiff_t unit,
           bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    const ptrdiff_t n1 = s.n1, n2 = s.n2, size = n1 * n2;
    src += unit * size;
    dst += unit * size;
    const ptrdiff_t padded = (size + lanes - 1) / lanes;  // registers that hold a plane
    T *middle = reinterpret_cast<T*>(work), *mirror = middle + padded * lanes;
    work += padded * (Axis::kMirrors ? 2 : 1);
    auto *in = work, *out = work + n2;
    blocks<lanes>(n1, [&](ptrdiff_t r, int) {
        gather_rows<S, T>(src + r * n2, n2, n2, lanes, in);
        T *from = reinterpret_cast<T*>(in), *to = reinterpret_cast<T*>(out);
        const Rows<T> line{from, lanes};
        (*tile.second)(line, line, OutRows<T>{to, lanes, false}, work + 2 * n2);
        scatter_rows<T, T>(out, n2, n2, lanes, middle + r * n2, false);
        if constexpr (Axis::kMirrors) {
            in[0] = out[0];
            for (ptrdiff_t k = 1; k < n2; k++) in[k] = out[n2 - k];
            scatter_rows<T, T>(in, n2, n2, lanes, mirror + r * n2, false);
        }
    });
    if (!Axis::kMirrors) mirror = middle;
    const bool direct = streaming && sizeof(S) == sizeof(T) && (n2 * sizeof(S)) % kBytes == 0;
    S* to = streaming && !direct ? reinterpret_cast<S*>(work) : dst;
    auto* scratch = work + padded;
    // Columns touch no new memory, so the next plane can come meanwhile.
    const char* next = reinterpret_cast<const char*>(src + size);
    const ptrdiff_t share = unit + 1 < s.outer ? size * ptrdiff_t(sizeof(S)) / n2 * lanes : 0;
    blocks<lanes>(n2, [&](ptrdiff_t c, int) {
        for (ptrdiff_t i = 0; i < share; i += 64) __builtin_prefetch(next + i);
        next += share;
        const Rows<T> even{middle + c, n2}, odd{mirror + c, n2};
        (*tile.first)(even, odd, OutRows<S>{to + c, n2, direct}, scratch);
    });
    if (to != dst) stream_copy(to, dst, size);
}

}  // namespace ORTHOWATT_ISA
