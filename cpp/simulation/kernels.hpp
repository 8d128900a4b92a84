// The vector passes of the simulator, one table of functions per instruction-set level (simulation/kernels.isa.cpp).
// A lane is one group (few categories), or one category of one group (many); 64 lanes go in lock-step, each on its own
// stream, and what a lane draws depends on that lane alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"
#include "core/limits.hpp"

namespace hbm_fast {

inline constexpr std::size_t polya_lanes = 16;              // urns whose tables fit the first-level cache together
inline constexpr std::size_t largest_urn = 64;              // draws: 128 / K of 2 categories or more (urn_limit)
inline constexpr std::size_t largest_search = 256;          // steps of a search side by side; longer ones go alone
inline constexpr double largest_log_concentration = 700.0;  // its exp is finite

// Between these exp(x) is a normal number, and exp_of (elementary.inl) reaches it.
inline constexpr double least_exponent = -708.0;
inline constexpr double largest_exponent = 709.0;

// xoshiro256++ states, structure of arrays
struct alignas(64) LaneStates {
  std::uint64_t s[4][lane_count];
};

// Constants of a shape in the gamma pass (Marsaglia & Tsang 2000).
struct alignas(64) GammaShape {
  double d[lane_count];
  double c[lane_count];
  double log_d[lane_count];
  double boost[lane_count];  // 1 / shape below 1, else 0
};

struct SimulateKernels {
  // Stream(Address{a[i], b[i]}) for every lane.
  void (*seed)(const std::uint64_t* a, const std::uint64_t* b, LaneStates* lanes);
  // words (n_rows, 64): a column from each lane's stream
  void (*draw)(LaneStates* lanes, std::size_t n_rows, std::uint64_t* words);
  // logs of exponential variates, one from each word of (n_rows, 64)
  void (*log_exponentials)(const std::uint64_t* words, std::size_t n_rows, double* rows);
  // out = exp(log_alpha_beta), held between the smallest and the largest concentration; zero for -inf
  void (*concentrations)(const double* log_alpha_beta, std::size_t size, double* out);
  // out = exp(x); false where some x lies outside least_exponent..largest_exponent: there it is wrong.
  bool (*exponentials)(const double* x, std::size_t size, double* out);
  // A word for each address, by hashing alone: mix(mix(a) + b).
  void (*words)(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* words);
  // successes[i] of n[i] draws from a Polya urn with weights yes[i] and no[i]: beta-binomial.
  void (*urn)(LaneStates* lanes, const double* yes, const double* no, const double* n, std::size_t largest,
              double* successes);
  // The same for 16 urns, size <= 64 draws and n_rounds draws of such a number from each, by inversion:
  // word and successes (n_rounds, 16).
  void (*polya)(const double* yes, const double* no, std::size_t size, std::size_t n_rounds, const std::uint64_t* word,
                std::int64_t* successes);
  // successes[i] of n[i] <= 256 draws with odds yes[i] : no[i], by a search that takes as many steps: binomial; one
  // word each.
  void (*binomials)(LaneStates* lanes, const double* n, const double* yes, const double* no, double* successes);
  void (*prepare)(const double* shape, GammaShape* prepared);
  // to's lanes begin..end: copies of one lane of `from`
  void (*spread)(const GammaShape* from, std::size_t lane, std::size_t begin, std::size_t end, GammaShape* to);
  // logs of two Gamma variates for each lane, from the four next words of its stream
  void (*gamma_pair)(LaneStates* lanes, const GammaShape* first, const GammaShape* second, double* log_first,
                     double* log_second);
  // the same for one variate whose shape is tiny (the inverses of the shapes are given), from one word
  void (*gamma_tiny)(LaneStates* lanes, const double* shape, const double* inverse, double* log_gamma);
  // log_gamma (K, 64), one column a lane: log theta in its place, and theta
  void (*normalise_lanes)(double* log_gamma, std::size_t n_categories, double* theta);
  // the same for two categories, to results (64, 2), one row a lane
  void (*normalise_two)(const double* log_gamma, double* log_theta, double* theta);
  // log theta (or null) and theta of one group of `size` categories
  void (*normalise_row)(const double* log_gamma, std::size_t size, double* log_theta, double* theta);
};

HBM_KERNEL(const SimulateKernels, simulate_kernels)

}  // namespace hbm_fast
