#include "mcmc/concentration.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "mcmc/dirichlet_block.hpp"
#include "mcmc/slice.hpp"

namespace hbm_fast {
namespace {

// log p(log c | m) up to a constant, the factors j = 0 apart: they alone need log c.
class GivenTables {
 public:
  GivenTables(const AlphaPrior& prior, std::vector<double> tables)
      : prior_(prior), n_categories_(static_cast<double>(tables.size())) {
    std::sort(tables.begin(), tables.end());
    for (const double m : tables) {
      if (m == 0.0) continue;
      n_tables_ += m;
      n_nonempty_ += 1.0;
      if (values_.empty() || values_.back().first != m) values_.emplace_back(m, 0.0);
      values_.back().second += 1.0;
    }
  }

  double operator()(double log_concentration) const {
    double value = prior_.log_density(log_concentration);
    if (n_tables_ == 0.0 || !std::isfinite(value)) return value;
    const double c = concentration_of(log_concentration);
    value += (n_nonempty_ - 1.0) * std::log(c) - log_rising(n_categories_ * c + 1.0, n_tables_ - 1.0);
    for (const auto& [m, times] : values_) value += times * log_rising(c + 1.0, m - 1.0);
    return value;
  }

 private:
  const AlphaPrior& prior_;
  double n_categories_;
  double n_tables_ = 0.0;
  double n_nonempty_ = 0.0;                        // categories with tables
  std::vector<std::pair<double, double>> values_;  // the distinct m_k, and of how many categories
};

}  // namespace

ConcentrationScale concentration_scale(const SufficientStatistics& statistics, const AlphaPrior& prior) {
  std::vector<double> least(statistics.n_categories());
  for (std::size_t k = 0; k < least.size(); ++k) least[k] = statistics.n_positive(k);
  const GivenTables density(prior, std::move(least));
  double from = -log_alpha_range, to = log_alpha_range;
  if (prior.bounded()) from = std::log(prior.lower), to = std::log(prior.upper);
  double best = 0.5 * (from + to);
  double step = (to - from) / 128.0;
  for (; step > 0.05; step *= 0.125) {  // a grid, then finer ones around its highest point
    double highest = -std::numeric_limits<double>::infinity();
    const double centre = best;
    for (int i = -64; i <= 64; ++i) {
      const double t = std::clamp(centre + i * step, from, to);
      const double value = density(t);
      if (value > highest) highest = value, best = t;
    }
  }
  constexpr double h = 0.1;
  const double bend = (2.0 * density(best) - density(best - h) - density(best + h)) / (h * h);
  const double curvature = std::isfinite(bend) ? std::max(bend, 0.1) : 0.1;  // infinite beside a bound
  return {best, std::max(3.0 / std::sqrt(curvature), 0.01)};
}

void Concentration::draw(Stream& stream, std::vector<double>& tables, double* log_beta) {
  log_concentration_ = slice(stream, log_concentration_, width_, GivenTables(prior_, tables));
  for (double& m : tables) m += value();
  log_dirichlet_block(stream, tables.data(), tables.size(), log_beta);
}

void Concentration::draw(Stream& stream, const TableCounts& crp_tables, PosteriorDensity& density, double* y) {
  const double log_alpha = density.parameters(y, log_beta_.data());
  const double v = density.scale(y, log_beta_.data());
  crp_tables.draw(stream, log_alpha, log_beta_.data(), tables_.data());
  draw(stream, tables_, log_beta_.data());
  density.set_concentration(value());
  for (std::size_t k = 0; k < log_beta_.size(); ++k) y[k] = v + log_beta_[k];
}

double Concentration::log_density() const {
  const double k = static_cast<double>(log_beta_.size());
  return prior_.log_density(log_concentration_) + log_abs_gamma(k * value()) - k * log_abs_gamma(value());
}

}  // namespace hbm_fast
