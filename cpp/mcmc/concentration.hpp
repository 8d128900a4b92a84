// The unknown concentration c of beta ~ Dirichlet(c, ..., c). Given the CRP table counts m_k, which are a sample of
// size m = sum_k m_k from beta, beta integrates out (a Dirichlet-multinomial of m):
//   p(log c | m) = p(log c) (c)_{m_1} ... (c)_{m_K} / (K c)_m,   (a)_n = a (a + 1) ... (a + n - 1),
// so that c moves freely however little beta is known, and beta | c, m ~ Dirichlet(c + m).
#pragma once

#include <vector>

#include "core/stream.hpp"
#include "mcmc/crp_tables.hpp"
#include "mcmc/posterior_density.hpp"
#include "priors/prior.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

// Where slice steps on log c start, and how wide their first interval is.
struct ConcentrationScale {
  double log_concentration = 0.0;
  double width = 1.0;
};

// The mode of log c given the least tables, one for each category of each group that has counts, and three standard
// deviations there.
ConcentrationScale concentration_scale(const SufficientStatistics& statistics, const AlphaPrior& prior);

// c and beta of one chain. The prior must outlive it.
class Concentration {
 public:
  Concentration(const AlphaPrior& prior, std::size_t n_categories, double log_concentration, double width)
      : prior_(prior),
        log_concentration_(log_concentration),
        width_(width),
        tables_(n_categories),
        log_beta_(n_categories) {}

  // A slice step on log c given the table counts (K,), then log beta given both; c is added to `tables`.
  void draw(Stream& stream, std::vector<double>& tables, double* log_beta);
  // The same, for chains that move on y: draws the table counts, then c, now that of the density, and beta given alpha.
  void draw(Stream& stream, const TableCounts& crp_tables, PosteriorDensity& density, double* y);

  double log_value() const { return log_concentration_; }
  double value() const { return concentration_of(log_concentration_); }
  // log of p(log c) Gamma(K c) / Gamma(c)^K: what c adds to the log density of the posterior beside
  // sum_k c log beta_k.
  double log_density() const;

 private:
  const AlphaPrior& prior_;
  double log_concentration_;
  double width_;
  std::vector<double> tables_, log_beta_;
};

}  // namespace hbm_fast
