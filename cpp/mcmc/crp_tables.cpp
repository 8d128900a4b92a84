#include "mcmc/crp_tables.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// Where a level j (the c_kj groups with more than j draws) expects more new tables than this, one binomial is drawn.
constexpr double binomial_from = 6.0;

// H(n) = 1 + 1/2 + ... + 1/n: a table, and beyond it Euler's series (DLMF 2.10.8), exact to double precision there.
constexpr std::size_t n_harmonic = 1024;

const std::vector<double>& harmonic_table() {
  static const std::vector<double>& table = *[] {  // for ever: threads may still run when the process ends
    auto* const sums = new std::vector<double>(n_harmonic, 0.0);
    for (std::size_t n = 1; n < n_harmonic; ++n) (*sums)[n] = (*sums)[n - 1] + 1.0 / static_cast<double>(n);
    return sums;
  }();
  return table;
}

constexpr double euler_gamma = 0.57721566490153286061;

double harmonic(double n) {
  if (n < static_cast<double>(n_harmonic)) return harmonic_table()[static_cast<std::size_t>(n)];
  const double r = 1.0 / n;
  return std::log(n) + euler_gamma + r * (0.5 - r * (1.0 / 12 - r * r / 120));
}

// The j with H(j - 1) <= h < H(j).
double harmonic_level(double h) {
  const auto& table = harmonic_table();
  if (h < table.back()) return static_cast<double>(std::upper_bound(table.begin(), table.end(), h) - table.begin());
  double j = std::floor(std::exp(h - euler_gamma) + 0.5);
  while (harmonic(j) <= h) j += 1.0;
  while (harmonic(j - 1.0) > h) j -= 1.0;
  return j;
}

// Whether a trial at level j that the Poisson process hit, probability 1 - exp(-a/j), is a success, probability
// a/(a+j).
bool succeeds(Stream& stream, double a, double j) {
  const double x = a / j;
  const double u = stream.uniform() * (1.0 + x);
  return u < 1.0 || u * -std::expm1(-x) < x;
}

}  // namespace

bool whole_weights(const SufficientStatistics& statistics) {
  const auto whole = [](std::span<const double> weights) {
    return std::all_of(weights.begin(), weights.end(), [](double w) { return w == std::floor(w); });
  };
  for (std::size_t k = 0; k < statistics.n_categories(); ++k) {
    if (!whole(statistics.value_weights(k).weights)) return false;
  }
  return whole(statistics.total_value_weights().weights);
}

double expected_tables(const SufficientStatistics& statistics, double log_alpha, const double* log_beta) {
  double tables = 0.0;
  for (std::size_t k = 0; k < statistics.n_categories(); ++k) {
    const double a = std::exp(std::clamp(log_alpha + log_beta[k], std::log(smallest_concentration), 300.0));
    const auto [values, weights] = statistics.value_weights(k);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // the first draw opens a table for certain, which a / a would round
      tables += weights[i] * (1.0 + a * digamma_difference(a + 1.0, values[i] - 1.0));
    }
  }
  return tables;
}

TableCounts::TableCounts(const SufficientStatistics& statistics)
    : statistics_(statistics), reach_(statistics.n_categories()) {
  if (!whole_weights(statistics)) {
    throw std::invalid_argument(
        "method='gibbs' needs whole weights: no number of tables belongs to a fraction of a group. "
        "Use method='hmc' or 'mh'.");
  }
  for (std::size_t k = 0; k < reach_.size(); ++k) {
    if (!statistics.has_table(k)) continue;
    const auto c = statistics.exceedances(k);
    reach_[k].assign(std::max<std::size_t>(c.size(), 1), 0.0);
    for (std::size_t j = 1; j < c.size(); ++j) reach_[k][j] = reach_[k][j - 1] + c[j] / static_cast<double>(j);
  }
}

// Rare successes are found by skipping. Lay the trials of category k on a line, a trial at level j taking 1/j of it.
// Points of a Poisson process of rate a on that line hit a trial with probability 1 - exp(-a/j) >= a/(a+j); what is hit
// is thinned. One process runs through all categories: what is left of an exponential gap at the end of one is carried
// on.
void TableCounts::draw(Stream& stream, double log_alpha, const double* log_beta, double* tables) const {
  double gap = exponential(stream);
  for (std::size_t k = 0; k < reach_.size(); ++k) {
    const double a = std::exp(std::min(log_alpha + log_beta[k], 300.0));
    tables[k] = statistics_.n_positive(k);
    tables[k] += statistics_.has_table(k) ? from_table(stream, k, a, gap) : from_pairs(stream, k, a, gap);
  }
}

double TableCounts::from_table(Stream& stream, std::size_t category, double a, double& gap) const {
  const auto c = statistics_.exceedances(category);
  const auto& reach = reach_[category];
  double tables = 0.0;
  std::size_t level = 1;
  for (; level < c.size(); ++level) {
    const double p = a / (a + static_cast<double>(level));
    if (c[level] * p < binomial_from) break;
    tables += static_cast<double>(binomial(stream, static_cast<std::int64_t>(c[level]), p));
  }
  if (level >= c.size()) return tables;
  double position = reach[level - 1];
  double next = 0.0;  // the first trial of `level` that is undecided: no rounding of `position` may bring one back
  const double end = reach.back();
  while (position < end) {
    const double remaining = (end - position) * a;
    if (gap >= remaining) {
      gap -= remaining;
      break;
    }
    position += gap / a;
    gap = exponential(stream);
    const auto found = std::upper_bound(reach.begin() + static_cast<std::ptrdiff_t>(level), reach.end() - 1, position);
    const auto hit = static_cast<std::size_t>(found - reach.begin());
    if (hit > level) next = 0.0;
    level = hit;
    const double j = static_cast<double>(level);
    const double trial = std::clamp(std::floor((position - reach[level - 1]) * j), next, c[level] - 1.0);
    if (succeeds(stream, a, j)) tables += 1.0;
    next = trial + 1.0;
    if (next < c[level]) {
      position = reach[level - 1] + next / j;
    } else {
      position = reach[level];
      ++level;
      next = 0.0;
      if (level >= c.size()) break;
    }
  }
  return tables;
}

// The same line, the trials of one group after those of another.
double TableCounts::from_pairs(Stream& stream, std::size_t category, double a, double& gap) const {
  const auto [values, weights] = statistics_.value_weights(category);
  double tables = 0.0;
  double above = statistics_.n_positive(category);  // groups with more than `level` draws
  std::size_t first = 0;
  double level = 1.0;
  for (;; level += 1.0) {
    for (; first < values.size() && values[first] <= level; ++first) above -= weights[first];
    const double p = a / (a + level);
    if (!(above * p >= binomial_from)) break;  // a NaN too, or this would never end
    tables += static_cast<double>(binomial(stream, static_cast<std::int64_t>(above), p));
  }
  const double start = harmonic(level - 1.0);
  for (std::size_t i = first; i < values.size(); ++i) {
    const double length = harmonic(values[i] - 1.0) - start;  // of one group's trials
    double group = 0.0;
    double position = 0.0;  // within the group
    double next = level;    // the first level of the group that is undecided
    for (;;) {
      const double remaining = ((weights[i] - group) * length - position) * a;
      if (!(gap < remaining)) {
        gap -= std::max(remaining, 0.0);
        break;
      }
      position += gap / a;
      gap = exponential(stream);
      const double passed = std::floor(position / length);
      if (passed > 0.0) next = level;
      group += passed;
      position -= passed * length;
      if (group >= weights[i]) break;
      const double j = std::clamp(harmonic_level(start + position), next, values[i] - 1.0);
      if (succeeds(stream, a, j)) tables += 1.0;
      position = harmonic(j) - start;
      next = j + 1.0;
      if (next >= values[i]) {  // on to the next group
        group += 1.0;
        position = 0.0;
        next = level;
      }
    }
  }
  return tables;
}

}  // namespace hbm_fast
