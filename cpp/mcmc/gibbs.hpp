// Gibbs sampling with table counts: m | alpha, beta (table_counts.hpp); alpha | m by a slice step on log alpha, its
// density m log alpha - sum_n log (alpha)_{M_n} with no further auxiliary; beta | m ~ Dirichlet(b + m). Any prior of
// alpha and any Dirichlet, of a known or an unknown concentration; where beta is fixed, alpha is sliced on the
// likelihood itself.
#pragma once

#include <optional>
#include <vector>

#include "mcmc/chain.hpp"
#include "mcmc/start.hpp"

namespace hbm_fast {

class Gibbs final : public Chain {
 public:
  // `preparation` has the tables of the same statistics, and outlives the chain.
  Gibbs(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
        const Start& start);

  void warm_up(std::size_t, std::size_t) override { step(); }  // nothing to adapt
  StepStatistics step() override;
  double parameters(double* log_beta) const override;
  double log_concentration() const override;

 private:
  double log_posterior();
  double log_density_of_alpha(double log_alpha, double n_tables);

  PosteriorDensity density_;
  Stream stream_;
  const Preparation& preparation_;
  double log_alpha_;
  double width_ = 1.0;  // of the slice's first interval
  std::vector<double> log_beta_, tables_, y_;
  std::optional<Concentration> concentration_;
  double n_nonempty_ = 0.0;  // groups with a positive total
  bool few_totals_ = false;  // whether their distinct values are fewer than the levels of their table
};

}  // namespace hbm_fast
