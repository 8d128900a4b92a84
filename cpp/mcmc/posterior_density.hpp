// The posterior of (alpha, beta) given the counts, theta integrated out, as a smooth function of K real numbers.
//
// Coordinates y. Where alpha is free y_k = v + log beta_k with v a function of log alpha, so that v = logsumexp(y) and
//   log p(y) = log p(v) + sum_k b_k log beta_k + log-likelihood,   log beta_k = y_k - v,
// b the Dirichlet's concentration (the Jacobian of y -> (v, beta) turns b_k - 1 into b_k). v is log alpha, or its logit
// between the bounds of the prior (AlphaCoordinate).
// Where alpha is fixed, y keeps its K numbers and logsumexp(y) is an auxiliary standard normal, independent of beta.
// Where beta is fixed, y is the one number v. Everything is on the log scale: no concentration underflows.
#pragma once

#include <cstddef>
#include <vector>

#include "priors/prior.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

// v, the real number that stands for log alpha. Without bounds v = log alpha; with bounds
//   log alpha = low + width p,  p = 1 / (1 + exp(-(v - shift) / scale)),
// so that no chain meets a wall.
struct AlphaCoordinate {
  bool bounded = false;
  double low = 0.0;
  double width = 0.0;
  double shift = 0.0;
  double scale = 1.0;

  // v = log alpha with slope 1 at log_alpha, a point inside the bounds of the prior (anywhere, where it has none).
  static AlphaCoordinate around(const AlphaPrior& prior, double log_alpha);

  double log_alpha(double v) const;
  double inverse(double log_alpha) const;
  double slope(double v) const;  // d log alpha / dv
  double log_slope(double v) const;
  double log_slope_derivative(double v) const;  // d log slope / dv
  double log_slope_curvature(double v) const;   // - d^2 log slope / dv^2
};

// One per thread: it owns scratch space. The statistics and the model must outlive it.
class PosteriorDensity {
 public:
  PosteriorDensity(const SufficientStatistics& statistics, const ModelView& model);

  // K, or 1 where beta is fixed (also where both are: then nothing depends on y).
  std::size_t dimension() const { return dimension_; }
  std::size_t n_categories() const { return n_categories_; }
  const SufficientStatistics& statistics() const { return statistics_; }
  const ModelView& model() const { return model_; }
  bool alpha_fixed() const { return alpha_fixed_; }

  // From here on the Dirichlet of beta has this concentration in every category.
  void set_concentration(double concentration);

  // From here on y is in terms of this coordinate (v = log alpha before the first call).
  void use(const AlphaCoordinate& coordinate) { coordinate_ = coordinate; }
  const AlphaCoordinate& coordinate() const { return coordinate_; }

  // log density of y, up to a constant; -inf outside a bounded prior. Writes its gradient where not null.
  double value(const double* y, double* gradient = nullptr);
  // What the coordinates add to value(y): value(y) - coordinate_part(y) is the log density of log alpha and of the
  // log-ratios of beta, whatever the coordinates.
  double coordinate_part(const double* y) const;

  // v, of a free alpha (log alpha where it is fixed), and the K values of log beta at y.
  double scale(const double* y, double* log_beta) const;
  // log alpha, and the K values of log beta at y.
  double parameters(const double* y, double* log_beta) const;
  // The inverse, for a free alpha or a fixed beta; the auxiliary of a fixed alpha is put at 0.
  void coordinates(double log_alpha, const double* log_beta, double* y) const;

  // Log-likelihood (no coefficient) at log alpha and log beta, with its derivatives with respect to
  // log(alpha beta_k) where `slopes` is not null. Exact for concentrations far below the smallest double.
  double log_likelihood(double log_alpha, const double* log_beta, double* slopes);

 private:
  const SufficientStatistics& statistics_;
  const ModelView& model_;
  std::size_t n_categories_;
  std::size_t dimension_;
  bool alpha_fixed_;
  double fixed_log_alpha_;
  AlphaCoordinate coordinate_;
  std::vector<double> dirichlet_;  // the concentration of beta, or the fixed beta
  double prior_mass_ = 0.0;        // its sum
  double scale_exponent_ = 0.0;    // the likelihood goes as alpha^this when alpha -> 0
  std::vector<double> log_beta_;
  std::vector<double> concentration_;
  std::vector<double> slopes_;
};

}  // namespace hbm_fast
