// One register of lanes, written with the vector types of GCC and Clang, so that the same source
// compiles to AVX-512, AVX2, SSE2 or NEON; included once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace ORTHOWATT_ISA {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kRadix = 16;  // butterflies of 16 inputs fit in the 32 registers
#elif defined(__AVX2__)
constexpr int kBytes = 32;
constexpr int kRadix = 8;
#else
constexpr int kBytes = 16;
constexpr int kRadix = 8;
#endif

// T is the type that is computed in: float or double.
template <class T> struct Lanes;
template <> struct Lanes<float> {
    using V __attribute__((vector_size(kBytes), may_alias)) = float;
    using Index __attribute__((vector_size(kBytes))) = int32_t;
};
template <> struct Lanes<double> {
    using V __attribute__((vector_size(kBytes), may_alias)) = double;
    using Index __attribute__((vector_size(kBytes))) = int64_t;
};
template <class T> constexpr int kLanes = kBytes / int(sizeof(T));

// Storage types: float, double, and the two 16-bit formats by their bits.
struct Bf16 { uint16_t bits; };
struct Fp16 { uint16_t bits; };
template <class S> struct Compute { using T = float; };
template <> struct Compute<double> { using T = double; };

template <class S> using VecOf = typename Lanes<typename Compute<S>::T>::V;

// --- one element -----------------------------------------------------------------------------

inline float from_bits(uint32_t bits) { float x; std::memcpy(&x, &bits, 4); return x; }
inline uint32_t to_bits(float x) { uint32_t bits; std::memcpy(&bits, &x, 4); return bits; }

inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float widen(Bf16 x) { return from_bits(uint32_t(x.bits) << 16); }
inline float widen(Fp16 x) {
    const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, rest = uint32_t(x.bits & 0x7fff) << 13;
    if (rest >= 0x0f800000) return from_bits(sign | 0x70000000 | rest);  // infinity, NaN
    // 2^112 shifts the exponent's bias from 15 to 127, and normalises subnormals on the way.
    return from_bits(sign | to_bits(from_bits(rest) * from_bits(0x77800000)));
}

inline void narrow(float x, float* p) { *p = x; }
inline void narrow(double x, double* p) { *p = x; }
inline void narrow(float x, Bf16* p) {
    const uint32_t bits = to_bits(x);
    const bool nan = (bits & 0x7fffffff) > 0x7f800000;
    const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);  // to nearest, ties to even
    p->bits = uint16_t(nan ? (bits >> 16) | 0x40 : rounded >> 16);
}
inline void narrow(float x, Fp16* p) {
    const uint32_t bits = to_bits(x), sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
    uint32_t half;
    if (size > 0x7f800000) half = 0x7e00;
    else if (size >= 0x477ff000) half = 0x7c00;  // 65520 and above round to infinity
    else if (size < 0x38800000)                  // subnormal: let the adder round
        half = to_bits(from_bits(size) + 0.5f) - to_bits(0.5f);
    else half = (size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13;
    p->bits = uint16_t(sign | half);
}

// --- one register ----------------------------------------------------------------------------

template <class S> inline VecOf<S> load(const S* p) {
    VecOf<S> v;
    if constexpr (sizeof(S) == sizeof(v[0])) {
        std::memcpy(&v, p, kBytes);
#if defined(__AVX512F__)
    } else if constexpr (std::is_same_v<S, Fp16>) {
        v = (VecOf<S>)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
    } else {
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p));
        v = (VecOf<S>)_mm512_slli_epi32(wide, 16);
#elif defined(__AVX2__)
    } else if constexpr (std::is_same_v<S, Fp16>) {
        v = (VecOf<S>)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
    } else {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p));
        v = (VecOf<S>)_mm256_slli_epi32(wide, 16);
#else
    } else {
        for (int i = 0; i < int(kBytes / 4); i++) v[i] = widen(p[i]);
#endif
    }
    return v;
}

template <class S> inline void store(S* p, VecOf<S> v) {
    if constexpr (sizeof(S) == sizeof(v[0])) {
        std::memcpy(p, &v, kBytes);
#if defined(__AVX512F__)
    } else if constexpr (std::is_same_v<S, Fp16>) {
        _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph((__m512)v, 0));
    } else {
        const __m512i bits = (__m512i)v;
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        __m512i r = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
        r = _mm512_srli_epi32(r, 16);
        const __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
        r = _mm512_mask_or_epi32(r, nan, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
        _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(r));
    }
#else
    } else {
        for (int i = 0; i < int(kBytes / 4); i++) narrow(float(v[i]), p + i);
    }
#endif
}

// Part of a register, `count` lanes from the front; the others read as 0 and are not written.
template <class S> inline VecOf<S> load_part(const S* p, int count) {
    VecOf<S> v = {};
    for (int i = 0; i < count; i++) v[i] = widen(p[i]);
    return v;
}
template <class S> inline void store_part(S* p, VecOf<S> v, int count) {
    for (int i = 0; i < count; i++) narrow(v[i], p + i);
}

// Past the cache, for a result that is larger than it; p is aligned to a whole register.
template <class S> inline void stream(S* p, VecOf<S> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(S) == sizeof(v[0])) { _mm512_stream_si512((__m512i*)p, (__m512i)v); return; }
#elif defined(__AVX2__)
    if constexpr (sizeof(S) == sizeof(v[0])) { _mm256_stream_si256((__m256i*)p, (__m256i)v); return; }
#endif
    store(p, v);
}
inline void stream_fence() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

// --- exchanging lanes ------------------------------------------------------------------------

template <int Step, class V, std::size_t... I>
inline V swap_lanes(V v, std::index_sequence<I...>) {
    return __builtin_shufflevector(v, v, int(I ^ Step)...);
}
template <int Step, class V, std::size_t... I>
inline V lower_block(V a, V b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, int(I & Step ? sizeof...(I) + (I ^ Step) : I)...);
}
template <int Step, class V, std::size_t... I>
inline V upper_block(V a, V b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, int(I & Step ? sizeof...(I) + I : I ^ Step)...);
}

// r[i][j] -> r[j][i] in log2(N) rounds of two-register shuffles.
template <class T, int Step = 1> inline void transpose(typename Lanes<T>::V* r) {
    constexpr int n = kLanes<T>;
    constexpr auto lanes = std::make_index_sequence<n>{};
    if constexpr (Step < n) {
#pragma GCC unroll 16
        for (int i = 0; i < n; i++) {
            if (i & Step) continue;
            const auto a = r[i], b = r[i + Step];
            r[i] = lower_block<Step>(a, b, lanes);
            r[i + Step] = upper_block<Step>(a, b, lanes);
        }
        transpose<T, Step * 2>(r);
    }
}

}  // namespace ORTHOWATT_ISA
