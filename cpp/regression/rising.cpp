#include "regression/rising.hpp"

#include <cmath>

#include "math/special.hpp"

namespace hbm_fast {
namespace {

constexpr double direct_limit = 16.0;
// From here on six terms of Stirling's series leave 1e-14.
constexpr double smallest_stirling = 10.0;
// From here on a / n is so large that the sums of (j / (a+j))^2 are those of (j / a)^2 to 12 digits.
constexpr double far_ratio = 1e6;
// From here on every factor is a itself.
constexpr double largest = 1e100;

// Sums over 0 < j < n, their factors multiplied into one logarithm.
Rising direct(double log_a, double a, double n) {
  double product = 1.0;
  double slope = 1.0;
  double curvature = 0.0;
  double shortfall = 0.0;
  double third = 0.0;
  for (double j = 1.0; j < n; j += 1.0) {
    const double z = a + j;
    const double r = 1.0 / z;
    const double share = j * r;
    product *= z;
    slope += a * r;
    shortfall += share;
    curvature += a * r * share;
    third += a * r * share * (share - a * r);
  }
  return {log_a + std::log(product), slope, curvature, shortfall, third};
}

struct StirlingSums {
  double logs, reciprocals, squares, cubes;
};

// Of the parts of log-gamma and its derivatives beyond the leading ones (DLMF 5.11.1, 5.11.2), in s = 1/z. The last is
// half the third derivative, as sums of cubes are half its differences.
StirlingSums stirling_tails(double s) {
  const double q = s * s;
  const double logs =
      s * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q * (1.0 / 1188 - q * (691.0 / 360360))))));
  const double reciprocals =
      q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q * (1.0 / 132 - q * (691.0 / 32760))))));
  const double squares =
      s * q * (1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * (5.0 / 66 - q * (691.0 / 2730))))));
  const double cubes =
      q * q * (1.0 / 4 - q * (1.0 / 12 - q * (1.0 / 12 - q * (3.0 / 20 - q * (5.0 / 12 - q * (691.0 / 420))))));
  return {logs, reciprocals, squares, cubes};
}

// Sums of log(z + j), 1 / (z + j), its square and its cube over 0 <= j < n, as differences; z >= smallest_stirling.
StirlingSums stirling_sums(double z, double n) {
  const double end = z + n;
  const double s0 = 1.0 / z;
  const double s1 = 1.0 / end;
  const double log_ratio = std::log1p(n * s0);
  const double step = n * s0 * s1;
  const StirlingSums t0 = stirling_tails(s0);
  const StirlingSums t1 = stirling_tails(s1);
  return {n * (std::log(end) - 1.0) + (z - 0.5) * log_ratio + (t1.logs - t0.logs),
          log_ratio + 0.5 * step + (t0.reciprocals - t1.reciprocals),
          step + 0.5 * step * (s0 + s1) + (t0.squares - t1.squares),
          0.5 * step * (s0 + s1) + 0.5 * step * (s0 * s0 + s0 * s1 + s1 * s1) + (t0.cubes - t1.cubes)};
}

}  // namespace

Rising rising(double log_a, double a, double n) {
  if (n <= 0.0) return {0.0, 0.0, 0.0, 0.0, 0.0};
  if (!(a < largest)) return {n * log_a, n, 0.0, 0.0, 0.0};
  if (n <= direct_limit && a < 1e20) return direct(log_a, a, n);
  if (a > far_ratio * n) {
    const double shortfall = digamma_shortfall(a, n) * a;
    const double squares = (n - 1.0) * n * (2.0 * n - 1.0) / (6.0 * a * a);
    return {log_rising(a, n), n - shortfall, shortfall - squares, shortfall, 3.0 * squares - shortfall};
  }
  // The first factors one by one, so that a may be small; Stirling's series beyond.
  const double few = a < smallest_stirling ? smallest_stirling : 0.0;
  Rising result = few > 0.0 ? direct(log_a, a, few) : Rising{0.0, 0.0, 0.0, 0.0, 0.0};
  const StirlingSums sums = stirling_sums(a + few, n - few);
  const double slope = a * sums.reciprocals;
  result.value += sums.logs;
  result.slope += slope;
  result.curvature += slope - a * a * sums.squares;
  result.shortfall += (n - few) - slope;
  result.third += slope - a * a * (3.0 * sums.squares - 2.0 * a * sums.cubes);
  return result;
}

double rising_value(double log_a, double a, double n) {
  if (n <= 0.0) return 0.0;
  return a < 1.0 ? log_a + log_rising(a + 1.0, n - 1.0) : a < largest ? log_rising(a, n) : n * log_a;
}

}  // namespace hbm_fast
