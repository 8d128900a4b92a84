// Numbers that several kernels share, each with its reason. A number of one kernel stands beside that kernel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hbm_fast {

// Elements that a vector loop takes side by side: shorter inner loops are unrolled before they are vectorised and stay
// scalar; with longer ones the arrays of a step leave the first-level cache.
inline constexpr std::size_t lane_count = 64;

// Items between two looks at the clock: a look costs less than 1 % of them, and Ctrl-C is answered within 0.5 s.
inline constexpr std::size_t items_per_poll = 4096;

// Above this, doubles skip integers.
inline constexpr std::uint64_t largest_exact_integer = std::uint64_t{1} << 53;

// Totals of simulated groups are 32-bit numbers; a round limit below 2^31.
inline constexpr std::int64_t largest_simulated_total = 2'000'000'000;

// Of weights times counts, in statistics that are fitted or sampled: beyond, the rounding of every slope exceeds one
// count, and sums near the largest double overflow.
inline constexpr double largest_weighted_sum = 1e18;

// From here on, log x! is above 1.4e7, and rounding leaves more than 1e-9 of differences of such.
inline constexpr double large_count = 1048576.0;

// The smallest concentration that a kernel computes with: a normal number, and log(u) / concentration is finite for
// every uniform u > 0. Smaller ones are raised to it, or their factor is taken apart.
inline constexpr double smallest_concentration = 1e-300;

// exp(log_alpha) and its square's inverse stay normal numbers in this range; outside it the likelihood is a power of
// alpha (below), or all factors alpha + j are alpha (above).
inline constexpr double log_alpha_range = 300.0;

// Above it all factors alpha + j are alpha, to double precision, and the likelihood is free of alpha.
inline constexpr double highest_log_alpha = 80.0;

// log(2 pi) / 2
inline constexpr double half_log_two_pi = 0.91893853320467274178;

// The vector loops of the likelihood take concentrations and sums of them in this range: up to four factors and their
// derivatives neither overflow nor vanish.
inline constexpr double smallest_vector_concentration = 1e-70;
inline constexpr double largest_vector_concentration = 1e70;
// Products of up to 31 and of up to 63 factors do not overflow below these.
inline constexpr double largest_short_product = 1e8;
inline constexpr double largest_long_product = 1e4;

}  // namespace hbm_fast
