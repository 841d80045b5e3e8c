// How a column transform reads and writes: one register a point, points `step` elements apart.
#pragma once

#include "lanes.h"

namespace ORTHOWATT_ISA {

template <class S> struct Rows {
    using V = VecOf<S>;
    const S* p;
    ptrdiff_t step;
    V get(ptrdiff_t i) const { return load(p + i * step); }
};

// `streaming` sends whole aligned registers past the cache.
template <class S> struct OutRows {
    using V = VecOf<S>;
    S* p;
    ptrdiff_t step;
    bool streaming;
    void put(ptrdiff_t i, V v) const {
        if (streaming) stream(p + i * step, v);
        else store(p + i * step, v);
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

}  // namespace ORTHOWATT_ISA
