// The posterior of (alpha, beta) given the counts, theta integrated out, as a smooth function of K real numbers.
//
// Coordinates y. Where alpha is free y_k = log(alpha beta_k), so that log alpha = logsumexp(y) and
//   log p(y) = prior(log alpha) + sum_k b_k log beta_k + log-likelihood,   log beta_k = y_k - log alpha,
// b the Dirichlet's concentration (the Jacobian of y -> (log alpha, beta) turns b_k - 1 into b_k).
// Where alpha is fixed, y keeps its K numbers and logsumexp(y) is an auxiliary standard normal, independent of beta.
// Where beta is fixed, y is the one number log alpha. Everything is on the log scale: no concentration underflows.
#pragma once

#include <cstddef>
#include <vector>

#include "hbm_fast/prior.hpp"
#include "hbm_fast/sufficient_statistics.hpp"

namespace hbm_fast {

// One per thread: it owns scratch space. The statistics and the model must outlive it.
class PosteriorDensity {
 public:
  PosteriorDensity(const SufficientStatistics& statistics, const ModelView& model);

  // K, or 1 where beta is fixed (also where both are: then nothing depends on y).
  std::size_t dimension() const { return dimension_; }
  std::size_t n_categories() const { return n_categories_; }
  const SufficientStatistics& statistics() const { return statistics_; }
  const ModelView& model() const { return model_; }

  // log density of y, up to a constant; -inf outside a bounded prior. Writes its gradient where not null.
  double value(const double* y, double* gradient = nullptr);

  // log alpha and the K values of log beta at y.
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
  double prior_mass_ = 0.0;       // sum of the Dirichlet's concentration
  double scale_exponent_ = 0.0;   // the likelihood goes as alpha^this when alpha -> 0
  std::vector<double> log_beta_;
  std::vector<double> concentration_;
  std::vector<double> slopes_;
};

}  // namespace hbm_fast
