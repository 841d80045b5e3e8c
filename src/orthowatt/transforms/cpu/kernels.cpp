// Compiled once for each instruction set (ORTHOWATT_ISA names it); exports one table of functions.
#include "abi.h"
#include "frame.h"
#include "trig.h"
#include "wht.h"

namespace ORTHOWATT_ISA {

using orthowatt::Plan;

enum class Frame { line, plane, rows, columns };

// A power of two over a contiguous line: the innermost stages run inside the registers.
template <class S, class T>
void line(const S* src, S* dst, ptrdiff_t length, ptrdiff_t unit, T scale, bool streaming,
          typename Lanes<T>::V* work) {
    constexpr ptrdiff_t lanes = kLanes<T>;
    src += unit * length;
    dst += unit * length;
    const OutRows<S> out{dst, lanes, streaming};
    sylvester(length / lanes, LaneRows<S>{src, lanes}, out, typename Lanes<T>::V{} + scale, work);
}

template <class T> Frame frame_of(const orthowatt_call& c) {
    constexpr int64_t lanes = kLanes<T>;
    const auto *one = static_cast<const Plan*>(c.plan1), *two = static_cast<const Plan*>(c.plan2);
    if (c.inner > 1) return Frame::columns;
    // Two Sylvester matrices in a row are the Sylvester matrix of the whole plane.
    const bool sylvester = two->kind == orthowatt::kWht && two->m == 1 && (!one || one->m == 1);
    if (sylvester && c.n1 * c.n2 >= lanes) return Frame::line;
    return one && c.n1 >= lanes && c.n2 >= lanes ? Frame::plane : Frame::rows;
}

template <class T> int64_t units_of(const orthowatt_call& c) {
    constexpr int64_t lanes = kLanes<T>;
    switch (frame_of<T>(c)) {
        case Frame::columns: return c.outer * ((c.inner + lanes - 1) / lanes);
        case Frame::rows: return (c.outer + lanes - 1) / lanes;
        default: return c.outer;
    }
}

template <class T> size_t work_of(const orthowatt_call& c) {
    const int64_t longest = c.n1 > c.n2 ? c.n1 : c.n2;
    // middle and mirrored plane, the rows of one block in and out, and the axis's own work
    return size_t(4 * c.n1 * c.n2 + 8 * longest + 4 * kLanes<T>) * kBytes;
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
                           scale, streaming, work);
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
        case 1: return run_typed<double>(c, begin, end, streaming, work);
        case 2: return run_typed<Bf16>(c, begin, end, streaming, work);
        default: return run_typed<Fp16>(c, begin, end, streaming, work);
    }
}

}  // namespace ORTHOWATT_ISA

namespace orthowatt {
extern const Kernels ORTHOWATT_TABLE = {ORTHOWATT_ISA::units, ORTHOWATT_ISA::work_bytes,
                                        ORTHOWATT_ISA::run};
}
