// Compiled once for each instruction set (ORTHOWATT_ISA names it); exports one table of functions.
#include "abi.h"
#include "frame.h"
#include "hartley.h"
#include "trig.h"
#include "wht.h"

namespace ORTHOWATT_ISA {

using orthowatt::Plan;

// The largest plane of which one register a point, in and out, still fits in a core's cache.
constexpr int64_t kLanePlane = 64 * 64;

enum class Frame { line, plane, rows, columns };

// A power of two over a contiguous line: the innermost stages run inside the registers.
template <class S, class T>
void line(const S* src, S* dst, ptrdiff_t length, ptrdiff_t unit, ptrdiff_t count, T scale,
          bool streaming, typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    src += unit * length;
    dst += unit * length;
    const Next next{reinterpret_cast<const char*>(src + (unit + 1 < count ? length : 0)),
                    lanes * ptrdiff_t(sizeof(S))};
    const OutRows<S, Next> out{dst, lanes, streaming, next};
    const auto factor = typename Lanes<T>::V{} + scale;
    // Whichever side is passed through in order has the stages inside the registers.
    if (length / lanes > kRadix * kRadix)
        sylvester(length / lanes, Rows<S>{src, lanes}, LaneOutRows<S>{out}, factor, work);
    else sylvester(length / lanes, LaneRows<S>{src, lanes}, out, factor, work);
}

template <class T> Frame frame_of(const orthowatt_call& c) {
    constexpr int64_t lanes = kLanes<T>;
    const auto *one = static_cast<const Plan*>(c.plan1), *two = static_cast<const Plan*>(c.plan2);
    if (c.inner > 1) return Frame::columns;
    // Two Sylvester matrices in a row are the Sylvester matrix of the whole plane.
    const bool sylvester = two->kind == orthowatt::kWht && two->m == 1 && (!one || one->m == 1);
    if (sylvester && c.n1 * c.n2 >= lanes) return Frame::line;
    if (!one || c.n1 < lanes || c.n2 < lanes) return Frame::rows;
    // Planes of uneven width waste lanes one at a time, and none when each is a lane.
    const bool uneven = c.n1 % lanes || c.n2 % lanes;
    return uneven && c.outer >= lanes && c.n1 * c.n2 <= kLanePlane ? Frame::rows : Frame::plane;
}

template <class T> int64_t units_of(const orthowatt_call& c) {
    constexpr int64_t lanes = kLanes<T>;
    switch (frame_of<T>(c)) {
        case Frame::columns: return c.outer * ((c.inner + lanes - 1) / lanes);
        case Frame::rows: return (c.outer + lanes - 1) / lanes;
        default: return c.outer;
    }
}

// Scratch in registers: the buffers that frame.h carves out, then the axis's own work.
template <class T> size_t work_of(const orthowatt_call& c) {
    constexpr int64_t lanes = kLanes<T>;
    const int64_t points = c.n1 * c.n2, longest = c.n1 > c.n2 ? c.n1 : c.n2;
    const int64_t axis = 5 * longest + 64, plane = (points + lanes - 1) / lanes;
    switch (frame_of<T>(c)) {
        case Frame::line: return size_t(plane) * kBytes;
        // middle, then a block of rows: in, out, mirrored, finished
        case Frame::plane: return size_t(plane + 4 * (c.n2 + kApart) + axis) * kBytes;
        // in, out, and between two axes the middle
        default: return size_t((c.plan1 ? 3 : 2) * (points + c.n1) + axis) * kBytes;
    }
}

template <class S, class T, class Axis>
void run_frame(const orthowatt_call& c, const Axis* first, const Axis& second, int64_t begin,
               int64_t end, bool streaming, typename Lanes<T>::V* work) {
    const Shape shape{c.outer, c.n1, c.n2, c.inner};
    const Tile<T, Axis> tile{first, &second, c.n1, c.n2};
    const S* src = static_cast<const S*>(c.src);
    S* dst = static_cast<S*>(c.dst);
    const Frame frame = frame_of<T>(c);
    for (int64_t unit = begin; unit < end; unit++) {
        if (frame == Frame::columns) columns(src, dst, shape, tile, unit, streaming, work);
        else if (frame == Frame::plane) plane(src, dst, shape, tile, unit, streaming, work);
        else rows(src, dst, shape, tile, unit, streaming, work);
    }
    if (streaming) stream_fence();
}

template <class T> const TrigTable<T>* trig_of(const Plan* p) {
    if constexpr (sizeof(T) == 8) return &p->trig64;
    else return &p->trig32;
}
template <class T> const HartleyTable<T>* hartley_of(const Plan* p) {
    if constexpr (sizeof(T) == 8) return &p->hartley64;
    else return &p->hartley32;
}

template <class S, class T = typename Compute<S>::T>
void run_typed(const orthowatt_call& c, int64_t begin, int64_t end, bool streaming, void* memory) {
    auto* work = static_cast<typename Lanes<T>::V*>(memory);
    const auto *one = static_cast<const Plan*>(c.plan1), *two = static_cast<const Plan*>(c.plan2);
    if (two->kind == orthowatt::kWht) {
        if (frame_of<T>(c) == Frame::line) {
            const T scale = T(two->scale * (one ? one->scale : 1.0));
            for (int64_t unit = begin; unit < end; unit++)
                line<S, T>(static_cast<const S*>(c.src), static_cast<S*>(c.dst), c.n1 * c.n2, unit,
                           c.outer, scale, streaming, work);
            if (streaming) stream_fence();
            return;
        }
        const WhtAxis<T> second{two->n, two->m, T(two->scale)};
        const WhtAxis<T> first{c.n1, one ? one->m : 1, T(one ? one->scale : 1.0)};
        run_frame<S, T>(c, one ? &first : nullptr, second, begin, end, streaming, work);
    } else if (two->kind == orthowatt::kTrig) {
        const TrigAxis<T> second{trig_of<T>(two)}, first{one ? trig_of<T>(one) : nullptr};
        run_frame<S, T>(c, one ? &first : nullptr, second, begin, end, streaming, work);
    } else {
        const HartleyAxis<T> second{hartley_of<T>(two)}, first{one ? hartley_of<T>(one) : nullptr};
        run_frame<S, T>(c, one ? &first : nullptr, second, begin, end, streaming, work);
    }
}

int64_t units(const orthowatt_call& c) {
    return c.dtype == 1 ? units_of<double>(c) : units_of<float>(c);
}
size_t work_bytes(const orthowatt_call& c) {
    return c.dtype == 1 ? work_of<double>(c) : work_of<float>(c);
}
void run(const orthowatt_call& c, int64_t begin, int64_t end, bool streaming, void* work) {
    switch (c.dtype) {
        case 0: return run_typed<float>(c, begin, end, streaming, work);
        case 2: return run_typed<Bf16>(c, begin, end, streaming, work);
#if !defined(ORTHOWATT_FEW_TYPES)  // only a sanitized build has few
        case 1: return run_typed<double>(c, begin, end, streaming, work);
        default: return run_typed<Fp16>(c, begin, end, streaming, work);
#endif
    }
}

void copy(const void* src, void* dst, int64_t bytes) {
    stream_copy(static_cast<const char*>(src), static_cast<char*>(dst), bytes);
    stream_fence();
}

}  // namespace ORTHOWATT_ISA

namespace orthowatt {
extern const Kernels ORTHOWATT_TABLE = {ORTHOWATT_ISA::units, ORTHOWATT_ISA::work_bytes,
                                        ORTHOWATT_ISA::run, ORTHOWATT_ISA::copy};
}
