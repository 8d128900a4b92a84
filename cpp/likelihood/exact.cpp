#include "likelihood/exact.hpp"

#include <cmath>
#include <limits>

#include "math/special.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

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
  const bool is_far = !(plain_sum <= largest_concentration_sum);
  const double scale =
      is_far ? concentration_scale : 1.0;  // of the sum alone: small concentrations are left as they are
  const double others = is_far ? group.other_scaled : group.other_concentration;
  ExactSum sum;
  for (std::size_t i = 0; i < group.n; ++i) sum.add(group.concentration[i] * scale);
  sum.add(others);
  const double a_sum = sum.high;
  const double scaled_total = total * scale;
  const double pooled = a_sum + scaled_total;
  // the ratio overflows where the concentrations are tiny
  const double log_ratio = total > 1e17 * a_sum ? std::log(total) - std::log(a_sum) : std::log1p(scaled_total / a_sum);
  double deviances = others * log_ratio / scale;
  double remainders = log_gamma_remainder(total) + std::log(total);
  if (!is_far) remainders += log_gamma_remainder(a_sum) - log_gamma_remainder(pooled);
  for (std::size_t i = 0; i < group.n; ++i) {
    const double a = group.concentration[i];
    const double x = group.counts[i];
    const double d = (difference_of_products(a * scale, total, a_sum, x) - sum.low * x) / pooled;
    deviances += deviance(a, (a + x) * (a_sum / pooled), d) + deviance(x, (a + x) * (scaled_total / pooled), -d);
    remainders += log_gamma_remainder(a + x) - log_gamma_remainder(a) - log_gamma_remainder(x) - std::log(x);
  }
  return remainders - deviances;
}

}  // namespace

double log_pmf_of_pure(double a, double other_concentration, double other_scaled, double total) {
  if (a + other_concentration <= largest_concentration_sum) return log_rising_shift(a, other_concentration, total);
  const double scaled = a * concentration_scale;
  const double sum = scaled + other_scaled;
  if (a < power_from) return log_rising(a, total) - total * (std::log(sum) - log_concentration_scale);
  return total * (other_scaled < scaled ? std::log1p(-other_scaled / sum) : std::log(scaled / sum));
}

double exact_log_pmf(const Group& group, bool coefficient) {
  double total = 0.0;
  for (std::size_t i = 0; i < group.n; ++i) {
    if (group.concentration[i] == 0.0) return -std::numeric_limits<double>::infinity();
    total += group.counts[i];
  }
  if (group.n == 0) return 0.0;
  if (group.n == 1)
    return 0.0 +
           log_pmf_of_pure(group.concentration[0], group.other_concentration, group.other_scaled, total);  // never -0
  const double value = log_pmf_by_deviance(group, total);
  return coefficient ? value : value - log_multinomial_coefficient(group, total);
}

}  // namespace hbm_fast
