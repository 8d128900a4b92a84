#include "group_log_pmf.hpp"

#include <cmath>
#include <limits>

#include "hbm_fast/special.hpp"

namespace hbm_fast {
namespace {

// A sum and what rounding took from it.
struct ExactSum {
  double high = 0.0;
  double low = 0.0;

  void add(double x) {
    const double sum = high + x;
    const double part = sum - high;
    low += (high - (sum - part)) + (x - part);
    high = sum;
  }
};

// a b - c d with one rounding of the result (Kahan)
double difference_of_products(double a, double b, double c, double d) {
  const double cd = c * d;
  return std::fma(a, b, -cd) + std::fma(-c, d, cd);
}

// Beyond this sum of concentrations a group is multinomial to every digit: they are scaled down, so that no product
// overflows. What a tiny one loses by that is a factor, since the pmf is proportional to it.
constexpr double largest_sum = 1e40;
constexpr double smallest_scaled = 1e-280;

// log M!/prod x! as an entropy and remainders, without cancellation; log x! = x log x - x + remainder(x) + log x
double log_multinomial_coefficient(const Group& group, double total) {
  double entropy = 0.0;
  double remainders = log_gamma_remainder(total) + std::log(total);
  for (std::size_t i = 0; i < group.n; ++i) {
    const double x = group.counts[i];
    entropy += x * (x > 0.5 * total ? -std::log1p(-(total - x) / total) : std::log(total / x));
    remainders -= log_gamma_remainder(x) + std::log(x);
  }
  return entropy + remainders;
}

// With p_k = (a_k + x_k) / (A + M) the leading parts of all log-gammas combine to
// -sum_k [deviance(a_k, A p_k) + deviance(x_k, M p_k)], a sum of one sign: the saddle-point form of Loader (2000, "Fast
// and accurate computation of binomial probabilities"), carried over to the Dirichlet-multinomial.
double log_pmf_by_deviance(const Group& group, double total) {
  double plain_sum = group.other_concentration;
  for (std::size_t i = 0; i < group.n; ++i) plain_sum += group.concentration[i];
  const double scale = plain_sum <= largest_sum ? 1.0 : std::isfinite(plain_sum) ? largest_sum / plain_sum : 1e-270;
  ExactSum sum;
  for (std::size_t i = 0; i < group.n; ++i) sum.add(group.concentration[i] * scale);
  sum.add(group.other_concentration * scale);
  const double a_sum = sum.high;
  const double pooled = a_sum + total;
  // the ratio overflows where the concentrations are tiny
  const double log_ratio = total > 1e17 * a_sum ? std::log(total) - std::log(a_sum) : std::log1p(total / a_sum);
  double deviances = group.other_concentration * scale * log_ratio;
  double remainders = log_gamma_remainder(a_sum) + log_gamma_remainder(total) + std::log(total) - log_gamma_remainder(pooled);
  for (std::size_t i = 0; i < group.n; ++i) {
    double a = group.concentration[i] * scale;
    const double x = group.counts[i];
    if (scale < 1.0 && a < smallest_scaled) {
      remainders += std::log(group.concentration[i]) + std::log(scale / smallest_scaled);
      a = smallest_scaled;
    }
    const double p = (a + x) / pooled;
    const double d = (difference_of_products(a, total, a_sum, x) - sum.low * x) / pooled;
    deviances += deviance(a, a_sum * p, d) + deviance(x, total * p, -d);
    remainders += log_gamma_remainder(a + x) - log_gamma_remainder(a) - log_gamma_remainder(x) - std::log(x);
  }
  return remainders - deviances;
}

}  // namespace

double careful_log_pmf(const Group& group, bool coefficient) {
  double total = 0.0;
  for (std::size_t i = 0; i < group.n; ++i) {
    if (group.concentration[i] == 0.0) return -std::numeric_limits<double>::infinity();
    total += group.counts[i];
  }
  if (group.n == 0) return 0.0;
  if (group.n == 1) return 0.0 + log_rising_shift(group.concentration[0], group.other_concentration, total);  // never -0
  const double value = log_pmf_by_deviance(group, total);
  return coefficient ? value : value - log_multinomial_coefficient(group, total);
}

}  // namespace hbm_fast
