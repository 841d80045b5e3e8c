// The small matrices that the folds of trig.h leave, computed once for a size and a scaling.
//
// The kernels are compiled several times with different instruction sets, and the linker keeps one
// copy of an inline function: so this header holds plain data only, and tables.cpp, compiled once
// for any processor, makes it.
#pragma once

#include <cstdint>

namespace orthowatt {

// rows × cols, in blocks of `block` rows, each block column by column, padded with zeros.
template <class T> struct Dense {
    const T* values;
    int rows, cols, block;
};

constexpr int kMaxLevels = 32;

// Types II (analysis) and III (synthesis) by halving: a level of size s folds into two transforms
// of size s / 2, the second of values scaled by `cosines`; the smallest size is two dense products.
// Sine transforms run as cosine transforms with alternating signs and reversed coefficients.
template <class T> struct TrigTable {
    int n, analysis, sine, levels;
    const T* cosines[kMaxLevels];    // 2 cos(π(2i + 1) / 2s), s / 2 of them; null for a level
    Dense<T> large_odd[kMaxLevels];  // too large for that, whose odd coefficients are dense
    Dense<T> even, odd;              // of the smallest size
    const T* weights;              // of the coefficients
};

template <class T> struct HartleyTable {
    int n, levels;
    Dense<T> cosine_level[kMaxLevels], sine_level[kMaxLevels];
    Dense<T> cosine_base, sine_base;
};

// One axis of a transform, made by orthowatt_plan and never freed: sizes repeat in a program.
struct Plan {
    int kind;
    int64_t n;
    int m;         // Walsh-Hadamard: n = 2^k · m
    double scale;  // Walsh-Hadamard only; elsewhere it is in the tables
    TrigTable<float> trig32;
    TrigTable<double> trig64;
    HartleyTable<float> hartley32;
    HartleyTable<double> hartley64;
};

enum Kind { kWht = 0, kTrig = 1, kHartley = 2 };

}  // namespace orthowatt
