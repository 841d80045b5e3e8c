// How a column transform reads and writes: one register a point, points `step` elements apart.
#pragma once

#include "lanes.h"

namespace ORTHOWATT_ISA {

// Registers between buffers, so that powers of two do not make a load wait for a store 4 KiB off.
constexpr ptrdiff_t kApart = 3;

template <class S> struct Rows {
    using V = VecOf<S>;
    const S* p;
    ptrdiff_t step;
    V get(ptrdiff_t i) const { return load(p + i * step); }
};

// What the next piece of work will read: for each point that is written now, one place to fetch
// into the second cache, so that memory and arithmetic go on at the same time.
struct Next {
    const char* p;
    ptrdiff_t step;  // bytes from point to point
    void fetch(ptrdiff_t i) const { __builtin_prefetch(p + i * step, 0, 2); }
    Next from(ptrdiff_t i) const { return {p + i * step, step}; }
};
struct Nothing {
    void fetch(ptrdiff_t) const {}
};

// `streaming` sends whole aligned registers past the cache.
template <class S, class Ahead = Nothing> struct OutRows {
    using V = VecOf<S>;
    S* p;
    ptrdiff_t step;
    bool streaming;
    Ahead next = {};
    void put(ptrdiff_t i, V v) const {
        next.fetch(i);
        if (streaming) stream(p + i * step, v);
        else store(p + i * step, v);
    }
    OutRows from(ptrdiff_t i) const {
        if constexpr (std::is_same_v<Ahead, Next>) return {p + i * step, step, streaming, next.from(i)};
        else return {p + i * step, step, streaming};
    }
};

// Registers of a contiguous line, each transformed by the Sylvester matrix of its own lanes:
// the innermost stages of a long Walsh-Hadamard transform.
template <class S> struct LaneRows {
    using T = typename Compute<S>::T;
    using V = VecOf<S>;
    const S* p;
    ptrdiff_t step;

    template <int Step> static V stages(V v) {
        if constexpr (Step < kLanes<T>) {
            constexpr auto lanes = std::make_index_sequence<kLanes<T>>{};
            v = v * signs<Step>(lanes) + swap_lanes<Step>(v, lanes);
            return stages<Step * 2>(v);
        }
        return v;
    }
    template <int Step, std::size_t... I> static V signs(std::index_sequence<I...>) {
        return V{(I & Step ? T(-1) : T(1))...};
    }
    V get(ptrdiff_t i) const { return stages<1>(load(p + i * step)); }
};

// The same stages at the end instead of the beginning.
template <class S> struct LaneOutRows {
    using V = VecOf<S>;
    OutRows<S, Next> out;
    void put(ptrdiff_t i, V v) const { out.put(i, LaneRows<S>::template stages<1>(v)); }
    LaneOutRows from(ptrdiff_t i) const { return {out.from(i)}; }
};

}  // namespace ORTHOWATT_ISA
