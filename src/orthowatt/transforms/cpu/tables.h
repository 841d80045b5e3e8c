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

// Type II (analysis) or III (synthesis) of one size. A size that splits is one transform of half the
// size, for the even coefficients, and two of a quarter, for the odd ones, after a turn of pairs of
// differences; where a half is odd these are one dense product. Other sizes are small.h's, or two
// dense products. Sine transforms run as cosine transforms with signs and reversed coefficients.
template <class T> struct TrigTable {
    int n, analysis, sine;
    const T* weights;                  // of the coefficients; the topmost table's only
    const TrigTable<T> *half, *quarter;
    const T* turn;                     // cos θ, sin θ, ±sin θ, ±cos θ; θ = π(2i + 1) / 2n, i < n/4
    Dense<T> large_odd;
    const T* small;
    Dense<T> even, odd;
};

template <class T> struct HartleyTable {
    int n, levels;
    T scale;
    const TrigTable<T>* third[kMaxLevels];  // type III, for both sums of a level; or null and
    Dense<T> cosine_level[kMaxLevels], sine_level[kMaxLevels];  // dense products
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
