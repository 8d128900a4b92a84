#include "regression/whitening.hpp"

#include <algorithm>
#include <cmath>

#include "math/sum.hpp"

namespace hbm_fast {
namespace {

constexpr double first_scale = 0.5;
constexpr int most_rounds = 40;
constexpr double settled_scale = 0.01;  // relative change of a scale: the whitening need not be exact
constexpr double settled_gain = 1e-3;

ArrowFactor factor_of(ArrowMatrix information) {
  ArrowFactor factor;
  for (double damping = 1e-6; !factor.factor(information) && damping < 1e6; damping *= 10.0)
    information.add_to_diagonal(damping);
  return factor;
}

// One Newton step of (theta, z) with known scales; returns its gain by the quadratic approximation.
double newton_step(RegressionDensity& density, std::vector<double>& y, const ArrowFactor& factor) {
  std::vector<double> gradient(y.size());
  const double before = density.value(y.data(), gradient.data());
  std::fill_n(gradient.begin() + static_cast<std::ptrdiff_t>(density.n_theta()), density.n_scales(), 0.0);
  std::vector<double> step = gradient;
  factor.solve(step.data());
  factor.solve_transposed(step.data());
  const double gain = dot(step, gradient);
  std::vector<double> next(y.size());
  for (double fraction = 1.0; fraction > 1e-6; fraction *= 0.5) {
    for (std::size_t i = 0; i < y.size(); ++i) next[i] = y[i] + fraction * step[i];
    if (density.value(next.data(), nullptr) > before) {
      y.swap(next);
      break;
    }
  }
  return gain;
}

// Scales at the mode of their expected log posterior, the intercepts kept; returns the largest relative change.
double update_scales(const RegressionDensity& density, std::vector<double>& y, const ArrowFactor& factor) {
  const std::size_t n_intercepts = density.n_intercepts();
  std::vector<double> squares(density.n_scales());
  std::vector<double> sizes(density.n_scales());
  std::vector<double> variances(n_intercepts);
  const double* z = y.data() + density.n_common();
  for (std::size_t s = 0; s < density.n_subjects(); ++s, z += n_intercepts) {
    factor.block_variances(s, variances.data());
    for (std::size_t i = 0; i < n_intercepts; ++i) {
      squares[density.scale_of(i)] += z[i] * z[i] + variances[i];
      sizes[density.scale_of(i)] += 1.0;
    }
  }
  const double prior = density.scale_sd() * density.scale_sd();
  double change = 0.0;
  for (std::size_t t = 0; t < squares.size(); ++t) {
    double& scale = y[density.n_theta() + t];
    const double square = squares[t] * scale * scale;
    const double rest = sizes[t] - 1.0;  // 1 of the logarithm
    // the root v of v^2 / prior + rest v = square
    const double variance = 2.0 * square / (rest + std::sqrt(rest * rest + 4.0 * square / prior));
    const double ratio = std::clamp(std::sqrt(variance) / scale, 0.1, 10.0);
    scale *= ratio;
    squares[t] = 1.0 / ratio;
    change = std::max(change, std::abs(ratio - 1.0));
  }
  double* to = y.data() + density.n_common();
  for (std::size_t s = 0; s < density.n_subjects(); ++s, to += n_intercepts) {
    for (std::size_t i = 0; i < n_intercepts; ++i) to[i] *= squares[density.scale_of(i)];
  }
  return change;
}

}  // namespace

RegressionWhitening whiten(RegressionDensity& density, const std::vector<double>& theta, const Poll& poll) {
  std::vector<double> y(density.dimension());
  std::copy(theta.begin(), theta.end(), y.begin());
  std::fill_n(y.begin() + static_cast<std::ptrdiff_t>(density.n_theta()), density.n_scales(), first_scale);
  for (int i = 0; i < most_rounds && density.n_subjects() != 0; ++i) {
    if (poll) poll();
    const ArrowFactor factor = factor_of(density.information(y.data(), true));
    const double gain = newton_step(density, y, factor);
    const double change = update_scales(density, y, factor);
    if (gain < settled_gain && change < settled_scale) break;
  }
  ArrowFactor factor = factor_of(density.information(y.data(), false));
  return {std::move(y), std::move(factor)};
}

}  // namespace hbm_fast
