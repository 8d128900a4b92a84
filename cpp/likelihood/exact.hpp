// The log pmf of one group without cancellation: slower than the vector loops, right for every concentration.
#pragma once

#include <cstddef>

namespace hbm_fast {

// The categories of one group that have counts, and what the others add.
struct Group {
  const double* counts;         // n positive counts
  const double* concentration;  // their concentrations
  std::size_t n;
  double other_concentration;  // sum of the concentrations of the categories without counts; may overflow
  double other_scaled;         // the same times concentration_scale
};

// Where the sum of a group's concentrations exceeds largest_concentration_sum, their products with totals and their sum
// may overflow: the sum is taken of what they are times concentration_scale.
constexpr double largest_concentration_sum = 1e280;
constexpr double concentration_scale = 0x1p-128;
constexpr double log_concentration_scale = -88.722839111672999628;  // -128 log 2

// From here on a concentration's rising factorial over totals up to 2^53 is a power to the last digit.
constexpr double power_from = 1e40;

// Of a group whose draws, `total` of them, all are of one category with concentration a; the others as in Group.
double log_pmf_of_pure(double a, double other_concentration, double other_scaled, double total);

double exact_log_pmf(const Group& group, bool coefficient);

}  // namespace hbm_fast
