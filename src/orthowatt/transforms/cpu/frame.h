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
    // Registers from row to row of the middle: odd, for rows a power of two apart share a cache set.
    ptrdiff_t pitch() const { return n2 | 1; }
    ptrdiff_t padded() const { return n1 * pitch(); }
    // in, out: points `step` elements apart, rows `row`; `done(rows)` hears how many rows are
    // written. Columns come first, so that what leaves for memory leaves in its order.
    template <class S, class Done>
    void run(const S* in, S* out, ptrdiff_t step, ptrdiff_t row, bool streaming, V* work, Next next,
             Done&& done) const {
        if (!first) {
            const Rows<S> line{in, step};
            (*second)(line, line, OutRows<S, Next>{out, step, streaming, next}, work);
            return done(1);
        }
        T* middle = reinterpret_cast<T*>(work);
        constexpr ptrdiff_t lanes = kLanes<T>;
        const ptrdiff_t wide = pitch() * lanes;
        work += padded();
        for (ptrdiff_t j = 0; j < n2; j++) {
            const Rows<S> column{in + j * step, row};
            // Any order of fetching will do; this one is memory's own.
            const Next later = next.from(j * n1);
            (*first)(column, column, OutRows<T, Next>{middle + j * lanes, wide, false, later}, work);
        }
        for (ptrdiff_t i = 0; i < n1; i++) {
            // The odd part of a two-dimensional Hartley transform comes from the mirrored row.
            const ptrdiff_t k = Axis::kMirrors && i ? n1 - i : i;
            (*second)(Rows<T>{middle + i * wide, lanes}, Rows<T>{middle + k * wide, lanes},
                      OutRows<S>{out + i * row, step, streaming}, work);
            done(i + 1);
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
    const ptrdiff_t step = s.inner * ptrdiff_t(sizeof(S));
    const auto ignore = [](ptrdiff_t) {};
    if (left >= lanes) {
        const bool whole = step % kBytes == 0;
        const Next next{reinterpret_cast<const char*>(src + (left > lanes ? lanes : 0)), step};
        return tile.run(src, dst, s.inner, tile.n2 * s.inner, streaming && whole, work, next, ignore);
    }
    auto *in = work, *out = work + tile.points();
    for (ptrdiff_t i = 0; i < tile.points(); i++) in[i] = load_part(src + i * s.inner, int(left));
    tile.run(reinterpret_cast<T*>(in), reinterpret_cast<T*>(out), lanes, tile.n2 * lanes, false,
             work + 2 * tile.points(), Next{reinterpret_cast<const char*>(src), step}, ignore);
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

// `width` registers, whose lanes are `count` rows, to that many rows.
template <class S, class T>
void scatter_block(const typename Lanes<T>::V* from, int width, ptrdiff_t stride, int count, S* p,
                   bool streaming) {
    constexpr int lanes = kLanes<T>;
    if (width == lanes && count == lanes && !streaming)
        return turn_square<T>([&](int i) { return from[i]; },
                              [&](int i, auto v) { store(p + i * stride, v); });
    turn_square<T>([&](int i) { return from[i < width ? i : 0]; },
                   [&](int i, auto v) {
                       if (i >= count) return;
                       if (width < lanes) store_part(p + i * stride, v, width);
                       else if (streaming) stream(p + i * stride, v);
                       else store(p + i * stride, v);
                   });
}

// The way back: element j of row i goes to dst[i * stride + j].
template <class S, class T>
void scatter_rows(const typename Lanes<T>::V* in, ptrdiff_t length, ptrdiff_t stride, int count,
                  S* dst, bool streaming) {
    blocks<kLanes<T>>(length, [&](ptrdiff_t c, int width) {
        scatter_block<S, T>(in + c, width, stride, count, dst + c, streaming);
    });
}

// One block of `lanes` rows, each row a whole n1 × n2 plane (or, with n1 = 1, a line).
template <class S, class T, class Axis>
void rows(const S* src, S* dst, const Shape& s, const Tile<T, Axis>& tile, ptrdiff_t unit,
          bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    const ptrdiff_t length = tile.points(), start = unit * lanes;
    const int count = int(s.outer - start < lanes ? s.outer - start : lanes);
    // The first axis has read all of `in` before the second writes, so one buffer serves both.
    auto *in = work, *out = tile.first ? in : work + length;
    src += start * length;
    gather_rows<S, T>(src, length, length, count, in);
    const bool whole = (length * sizeof(S)) % kBytes == 0;
    if (start + lanes < s.outer) src += lanes * length;
    dst += start * length;
    ptrdiff_t sent = 0;
    T *from = reinterpret_cast<T*>(in), *to = reinterpret_cast<T*>(out);
    const Next next{reinterpret_cast<const char*>(src), lanes * ptrdiff_t(sizeof(S))};
    const ptrdiff_t row = tile.n2 * lanes;
    tile.run(from, to, lanes, row, false, work + 2 * length, next, [&](ptrdiff_t finished) {
        for (; sent + lanes <= finished * tile.n2; sent += lanes)
            scatter_block<S, T>(out + sent, lanes, length, count, dst + sent, streaming && whole);
    });
    if (sent == length) return;
    // The last block goes back over points that were sent already, where there are so many.
    const ptrdiff_t last = length >= lanes ? length - lanes : 0;
    scatter_block<S, T>(out + last, int(length - last), length, count, dst + last, false);
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

// Rows n1 - r, n1 - r - 1, … (row 0 for itself) as the lanes of registers.
template <class T>
void gather_mirrored(const T* plane, ptrdiff_t n1, ptrdiff_t n2, ptrdiff_t r,
                     typename Lanes<T>::V* out) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    blocks<lanes>(n2, [&](ptrdiff_t c, int) {
        turn_square<T>(
            [&](int i) { return load(plane + (r + i ? n1 - r - i : 0) * n2 + c); },
            [&](int i, auto v) { out[c + i] = v; });
    });
}

// A plane of at least `lanes` rows and columns: columns, then rows through a transposition. The
// last block of each overlaps the one before it, which repeats work but needs no partial register.
template <class S, class T, class Axis>
void plane(const S* src, S* dst, const Shape& s, const Tile<T, Axis>& tile, ptrdiff_t unit,
           bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    const ptrdiff_t n1 = s.n1, n2 = s.n2, size = n1 * n2;
    src += unit * size;
    dst += unit * size;
    const S* following = unit + 1 < s.outer ? src + size : src;
    T* middle = reinterpret_cast<T*>(work);
    work += (size + lanes - 1) / lanes;
    blocks<lanes>(n2, [&](ptrdiff_t c, int) {
        const Rows<S> column{src + c, n2};
        const Next next{reinterpret_cast<const char*>(following + c), n2 * ptrdiff_t(sizeof(S))};
        (*tile.first)(column, column, OutRows<T, Next>{middle + c, n2, false, next}, work);
    });
    const ptrdiff_t apart = n2 + kApart;
    auto *in = work, *out = in + apart, *odd = out + apart, *scratch = odd + 2 * apart;
    S* block = reinterpret_cast<S*>(odd + apart);
    ptrdiff_t sent = 0;
    blocks<lanes>(n1, [&](ptrdiff_t r, int) {
        gather_rows<T, T>(middle + r * n2, n2, n2, lanes, in);
        if constexpr (Axis::kMirrors) gather_mirrored<T>(middle, n1, n2, r, odd);
        const T *from = reinterpret_cast<T*>(in), *mirrored = reinterpret_cast<T*>(odd);
        (*tile.second)(Rows<T>{from, lanes}, Rows<T>{Axis::kMirrors ? mirrored : from, lanes},
                       OutRows<T>{reinterpret_cast<T*>(out), lanes, false}, scratch);
        if (!streaming) return scatter_rows<S, T>(out, n2, n2, lanes, dst + r * n2, false);
        scatter_rows<S, T>(out, n2, n2, lanes, block, false);
        stream_copy(block + (sent - r) * n2, dst + sent * n2, (r + lanes - sent) * n2);
        sent = r + lanes;
    });
}

}  // namespace ORTHOWATT_ISA
