#include "hbm_fast/laplace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hbm_fast/variates.hpp"

namespace hbm_fast {
namespace {

constexpr int max_newton_steps = 1000;  // a handful, but for priors far from alpha = 1

double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void normalise(std::vector<double>& direction) {
  const double length = std::sqrt(dot(direction.data(), direction.data(), direction.size()));
  for (double& w : direction) w /= length;
}

// - d^2 log p(log alpha) / d(log alpha)^2 of the prior; for a bounded one, of the normal as wide as its support.
double prior_curvature(const AlphaPrior& prior, double log_alpha) {
  if (prior.kind == AlphaKind::log_uniform || prior.kind == AlphaKind::power) {
    const double width = std::log(prior.upper / prior.lower);
    return 12.0 / (width * width);
  }
  constexpr double h = 1e-4;
  return (prior.log_density_slope(log_alpha - h) - prior.log_density_slope(log_alpha + h)) / (2.0 * h);
}

}  // namespace

void Whitening::to_coordinates(const double* z, double* y) const {
  const double along = (stretch - 1.0) * dot(direction.data(), z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) y[k] = centre[k] + scale[k] * (z[k] + along * direction[k]);
}

void Whitening::from_coordinates(const double* y, double* z) const {
  for (std::size_t k = 0; k < dimension(); ++k) z[k] = (y[k] - centre[k]) / scale[k];
  const double along = (1.0 - 1.0 / stretch) * dot(direction.data(), z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) z[k] -= along * direction[k];
}

void Whitening::pull_back(const double* gradient_y, double* gradient_z) const {
  for (std::size_t k = 0; k < dimension(); ++k) gradient_z[k] = scale[k] * gradient_y[k];
  const double along = (stretch - 1.0) * dot(direction.data(), gradient_z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) gradient_z[k] += along * direction[k];
}

Whitening whitening_at(const PosteriorDensity& density, const double* y) {
  const std::size_t dimension = density.dimension();
  const std::size_t n_categories = density.n_categories();
  const ModelView& model = density.model();
  const bool alpha_fixed = model.alpha.kind == AlphaKind::fixed;
  std::vector<double> log_beta(n_categories);
  const double log_alpha = density.parameters(y, log_beta.data());

  Whitening result{std::vector<double>(y, y + dimension), std::vector<double>(dimension, 1.0),
                   std::vector<double>(dimension, 1.0), 1.0};
  if (model.beta.fixed && alpha_fixed) return result;

  // On y = log(alpha beta) the negative Hessian at the mode is diag(d) + c beta beta^T, with
  // d_k = b_k + sum_j c_kj (a_k/(a_k+j))^2 and c = - sum_j C_j (A/(A+j))^2 - sum b + the prior's part.
  std::vector<double> concentration(n_categories), d(n_categories);
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    total += concentration[k] = std::exp(std::clamp(log_alpha + log_beta[k], -300.0, 300.0));
  }
  const double shared = total * total * density.statistics().hessian(concentration.data(), d.data());
  double prior_mass = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double b = model.beta.fixed ? 0.0 : model.beta.values[k];
    d[k] = b - concentration[k] * concentration[k] * d[k];
    prior_mass += b;
  }
  if (model.beta.fixed) {
    double curvature = prior_curvature(model.alpha, log_alpha) - shared;
    double slope = model.alpha.log_density_slope(log_alpha);  // at the mode it balances the likelihood's slope
    for (std::size_t k = 0; k < n_categories; ++k) curvature += d[k];
    curvature += slope;
    result.scale[0] = 1.0 / std::sqrt(std::max(curvature, 1e-4));
    return result;
  }
  for (std::size_t k = 0; k < dimension; ++k) result.scale[k] = 1.0 / std::sqrt(d[k]);
  if (alpha_fixed) {  // along (1, ..., 1) lies the auxiliary standard normal
    double sum = 0.0;
    for (std::size_t k = 0; k < dimension; ++k) {
      result.direction[k] = 1.0 / result.scale[k];
      sum += result.direction[k] * result.direction[k];
    }
    result.stretch = std::sqrt(sum);
  } else {
    double q = 0.0;
    for (std::size_t k = 0; k < dimension; ++k) {
      result.direction[k] = std::exp(log_beta[k]) * result.scale[k];
      q += result.direction[k] * result.direction[k];
    }
    const double c = model.alpha.log_density_slope(log_alpha) + prior_curvature(model.alpha, log_alpha) - prior_mass - shared;
    // Positive definite at the mode; elsewhere held away from singular.
    result.stretch = 1.0 / std::sqrt(std::max(1.0 + c * q, 1e-3));
  }
  normalise(result.direction);
  return result;
}

Whitening laplace(PosteriorDensity& density) {
  const std::size_t dimension = density.dimension();
  const ModelView& model = density.model();
  std::vector<double> y(dimension), proposal(dimension), gradient(dimension), step(dimension);

  // Start: alpha = 1 (inside its support), beta by the number of groups that show each category.
  double log_alpha = 0.0;
  if (model.alpha.lower > 0.0) {
    const double low = std::log(model.alpha.lower);
    const double high = std::log(model.alpha.upper);
    log_alpha = std::clamp(0.0, low + 0.1 * (high - low), high - 0.1 * (high - low));
  }
  std::vector<double> log_beta(density.n_categories());
  double sum = 0.0;
  for (std::size_t k = 0; k < density.n_categories(); ++k) {
    const double weight = model.beta.values[k] + density.statistics().n_positive(k);
    log_beta[k] = std::log(weight);
    sum += weight;
  }
  for (double& b : log_beta) b -= std::log(sum);
  density.coordinates(log_alpha, log_beta.data(), y.data());

  double value = density.value(y.data(), gradient.data());
  for (int i = 0; i < max_newton_steps; ++i) {
    const Whitening here = whitening_at(density, y.data());
    Whitening linear = here;
    std::fill(linear.centre.begin(), linear.centre.end(), 0.0);
    here.pull_back(gradient.data(), step.data());
    const double expected = dot(step.data(), step.data(), dimension);  // twice the gain of a full step
    if (expected < 1e-8) break;
    linear.to_coordinates(step.data(), step.data());
    // No coordinate moves by more than 8 (a factor e^8) at once.
    double longest = 0.0;
    for (const double s : step) longest = std::max(longest, std::abs(s));
    double length = std::min(1.0, 8.0 / longest);
    bool moved = false;
    for (; length > 1e-6; length *= 0.5) {
      for (std::size_t k = 0; k < dimension; ++k) proposal[k] = y[k] + length * step[k];
      const double proposed = density.value(proposal.data(), nullptr);
      if (proposed >= value + 1e-4 * length * expected) {
        y = proposal;
        moved = true;
        break;
      }
    }
    if (!moved) break;
    value = density.value(y.data(), gradient.data());
  }
  return whitening_at(density, y.data());
}

double draw_start(PosteriorDensity& density, const Whitening& whitening, Stream& stream, double* z, double* y) {
  const std::size_t dimension = whitening.dimension();
  double spread = 1.0;
  for (int attempt = 0; attempt < 20; ++attempt, spread *= 0.7) {
    for (std::size_t k = 0; k < dimension; ++k) z[k] = spread * normal(stream);
    whitening.to_coordinates(z, y);
    const double value = density.value(y, nullptr);
    if (std::isfinite(value)) return value;
  }
  std::fill(z, z + dimension, 0.0);
  whitening.to_coordinates(z, y);
  return density.value(y, nullptr);
}

}  // namespace hbm_fast
