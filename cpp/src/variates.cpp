#include "hbm_fast/variates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hbm_fast {

double exponential(Stream& stream) { return -std::log(stream.uniform()); }

double normal(Stream& stream) {
  // Marsaglia's polar method; the second variate is dropped, so that a stream holds no hidden state.
  for (;;) {
    const double x = 2.0 * stream.uniform() - 1.0;
    const double y = 2.0 * stream.uniform() - 1.0;
    const double s = x * x + y * y;
    if (s < 1.0 && s > 0.0) return x * std::sqrt(-2.0 * std::log(s) / s);
  }
}

double log_gamma_variate(Stream& stream, double shape) {
  // Marsaglia & Tsang 2000 (doi:10.1145/358407.358414) at shape + 1 where shape < 1, with the boost
  // G(a) = G(a + 1) U^(1/a) taken on the log scale, where it cannot underflow.
  const bool boost = shape < 1.0;
  const double d = (boost ? shape + 1.0 : shape) - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normal(stream);
    const double t = 1.0 + c * x;
    if (t <= 0.0) continue;
    const double log_v = 3.0 * std::log(t);
    if (std::log(stream.uniform()) < 0.5 * x * x + d - d * std::exp(log_v) + d * log_v) {
      return std::log(d) + log_v + (boost ? std::log(stream.uniform()) / shape : 0.0);
    }
  }
}

void log_dirichlet(Stream& stream, const double* concentration, std::size_t n_categories, double* log_theta) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < n_categories; ++k) {
    log_theta[k] = concentration[k] > 0.0 ? log_gamma_variate(stream, concentration[k])
                                          : -std::numeric_limits<double>::infinity();
    largest = std::max(largest, log_theta[k]);
  }
  double rest = 0.0;
  bool skipped = false;
  for (std::size_t k = 0; k < n_categories; ++k) {
    if (!skipped && log_theta[k] == largest) {
      skipped = true;
      continue;
    }
    rest += std::exp(log_theta[k] - largest);
  }
  const double log_sum = largest + std::log1p(rest);
  for (std::size_t k = 0; k < n_categories; ++k) log_theta[k] -= log_sum;
}

std::int64_t binomial(Stream& stream, std::int64_t n, double p) {
  if (n <= 0 || p <= 0.0) return 0;
  if (p >= 1.0) return n;
  // Devroye 1986, X.4.3: split at the median order statistic, a Beta(i, n + 1 - i), until n is small; exact at any n.
  std::int64_t successes = 0;
  while (n > 32) {
    const std::int64_t i = n / 2 + 1;
    const double log_a = log_gamma_variate(stream, static_cast<double>(i));
    const double log_b = log_gamma_variate(stream, static_cast<double>(n + 1 - i));
    const double y = 1.0 / (1.0 + std::exp(log_b - log_a));
    if (y <= p) {
      successes += i;
      n -= i;
      p = (p - y) / (1.0 - y);
    } else {
      n = i - 1;
      p = p / y;
    }
    if (p <= 0.0) return successes;
    if (p >= 1.0) return successes + n;
  }
  for (std::int64_t j = 0; j < n; ++j) successes += stream.uniform() < p;
  return successes;
}

}  // namespace hbm_fast
