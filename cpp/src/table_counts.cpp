#include "hbm_fast/table_counts.hpp"

#include <algorithm>
#include <cmath>

#include "hbm_fast/variates.hpp"

namespace hbm_fast {
namespace {

// Where a level j (the c_kj groups with more than j draws) expects more new tables than this, one binomial is drawn.
constexpr double binomial_from = 6.0;

}  // namespace

TableCounts::TableCounts(const SufficientStatistics& statistics)
    : statistics_(statistics), reach_(statistics.n_categories()) {
  for (std::size_t k = 0; k < reach_.size(); ++k) {
    const auto c = statistics.exceedances(k);
    reach_[k].assign(std::max<std::size_t>(c.size(), 1), 0.0);
    for (std::size_t j = 1; j < c.size(); ++j) reach_[k][j] = reach_[k][j - 1] + c[j] / static_cast<double>(j);
  }
}

// Rare successes are found by skipping. Lay the trials of category k on a line, a trial at level j taking 1/j of it.
// Points of a Poisson process of rate a on that line hit a trial with probability 1 - exp(-a/j) >= a/(a+j), so a trial
// that is hit succeeds with probability a/(a+j) / (1 - exp(-a/j)). One process runs through all categories: what is left
// of an exponential gap at the end of one is carried to the next.
void TableCounts::draw(Stream& stream, double log_alpha, const double* log_beta, double* tables) const {
  double gap = exponential(stream);
  for (std::size_t k = 0; k < reach_.size(); ++k) {
    const auto c = statistics_.exceedances(k);
    const auto& reach = reach_[k];
    tables[k] = c.empty() ? 0.0 : c[0];
    if (c.size() < 2) continue;
    const double a = std::exp(std::min(log_alpha + log_beta[k], 300.0));

    std::size_t level = 1;
    for (; level < c.size(); ++level) {
      const double p = a / (a + static_cast<double>(level));
      if (c[level] * p < binomial_from) break;
      tables[k] += static_cast<double>(binomial(stream, static_cast<std::int64_t>(c[level]), p));
    }
    double position = reach[level - 1];
    const double end = reach.back();
    for (;;) {
      const double room = (end - position) * a;
      if (gap >= room) {
        gap -= room;
        break;
      }
      position += gap / a;
      gap = exponential(stream);
      const auto found = std::upper_bound(reach.begin() + static_cast<std::ptrdiff_t>(level), reach.end() - 1, position);
      level = static_cast<std::size_t>(found - reach.begin());
      const double j = static_cast<double>(level);
      const double trial = std::min(std::floor((position - reach[level - 1]) * j), c[level] - 1.0);
      const double x = a / j;
      const double u = stream.uniform();
      if (u * (1.0 + x) < 1.0 || u * (1.0 + x) * -std::expm1(-x) < x) tables[k] += 1.0;
      // on with the next trial: each is decided once
      position = trial + 1.0 < c[level] ? reach[level - 1] + (trial + 1.0) / j : reach[level];
      if (position >= end) break;
    }
  }
}

}  // namespace hbm_fast
