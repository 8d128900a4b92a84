#include "simulation/variates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hbm_fast {
namespace {

#include "math/elementary.inl"

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

double exponential(Stream& stream) { return -log_of(stream.uniform()); }

double normal(Stream& stream) {
  // Box & Muller 1958; the second variate is dropped, so that a stream holds no hidden state.
  const double radius = std::sqrt(-2.0 * log_of(stream.uniform()));
  double sine = 0.0;
  double cosine = 0.0;
  sin_cos_turn(stream.uniform(), sine, cosine);
  return radius * cosine;
}

double log_gamma_variate(Stream& stream, double shape) {
  if (shape == 1.0) return log_of(exponential(stream));
  // Marsaglia & Tsang 2000 (doi:10.1145/358407.358414) at shape + 1 where shape < 1. The proposal is accepted where an
  // Exp(1) exceeds h; what remains of it is then a fresh Exp(1) (it has no memory), and serves as -log U in the boost
  // G(a) = G(a + 1) U^(1/a), taken on the log scale, where it cannot underflow.
  const bool boost = shape < 1.0;
  const double d = (boost ? shape + 1.0 : shape) - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normal(stream);
    const double e = exponential(stream);
    const double t = 1.0 + c * x;
    if (t <= 0.0) continue;
    const double log_t = log_of(t);
    const double x2 = x * x;
    // at large d the differences below would be rounding alone; what they are is this, within 1e-12
    const double h = d > 1e8 ? x2 * x2 / (108.0 * d) : d * (t * t * t - 1.0 - 3.0 * log_t) - 0.5 * x2;
    if (e > h) return log_of(d) + 3.0 * log_t - (boost ? (e - h) / shape : 0.0);
  }
}

void log_dirichlet(Stream& stream, const double* concentration, std::size_t n_categories, double* log_theta) {
  double largest = -infinity;
  for (std::size_t k = 0; k < n_categories; ++k) {
    log_theta[k] = concentration[k] > 0.0 ? log_gamma_variate(stream, concentration[k]) : -infinity;
    largest = std::max(largest, log_theta[k]);
  }
  double rest = -1.0;  // the largest itself is counted below
  for (std::size_t k = 0; k < n_categories; ++k) rest += log_theta[k] == largest ? 1.0 : 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) rest += log_theta[k] == largest ? 0.0 : exp_of(log_theta[k] - largest);
  const double log_sum = log1p_of(rest);
  for (std::size_t k = 0; k < n_categories; ++k) log_theta[k] = (log_theta[k] - largest) - log_sum;
}

std::int64_t uniform_integer(Stream& stream, std::int64_t low, std::int64_t high) {
  // Lemire 2019, doi:10.1145/3230636
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  if (range == 0) return static_cast<std::int64_t>(stream.bits());
  for (;;) {
    const auto product = static_cast<unsigned __int128>(stream.bits()) * range;
    const auto fraction = static_cast<std::uint64_t>(product);
    if (fraction >= range || fraction >= (0 - range) % range) return low + static_cast<std::int64_t>(product >> 64);
  }
}

}  // namespace hbm_fast
