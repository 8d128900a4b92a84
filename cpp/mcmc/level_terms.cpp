#include "mcmc/level_terms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/limits.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t most_terms = 4096;
constexpr double largest_float = 0x1.0p24;  // up to here whole numbers are exact
constexpr std::size_t most_at_once = 128;
// Above it all factors alpha + j are alpha, to double precision.
constexpr double highest_log_alpha = 80.0;

}  // namespace

LevelTerms::LevelTerms(const SufficientStatistics& statistics) : present_(statistics.n_categories()) {
  const std::size_t n_categories = statistics.n_categories();
  for (std::size_t k = 0; k <= n_categories && usable_; ++k) {
    const CountColumn& column = statistics.column(k);
    first_.push_back(level_.size());
    if (column.empty()) continue;
    if (column.value_weights().values.back() + static_cast<double>(level_.size()) > static_cast<double>(most_terms) ||
        column.n_positive() > largest_float) {
      usable_ = false;
      break;
    }
    const auto exceedances = column.exceedances();
    const double sign = k < n_categories ? 1.0 : -1.0;
    exponent_ += sign * exceedances[0];
    if (k < n_categories) {
      present_[k] = exceedances[0];
      draws_tables_ = draws_tables_ && exceedances[0] <= most_trials;
    }
    for (std::size_t j = 1; j < exceedances.size(); ++j) {
      level_.push_back(static_cast<float>(j));
      weight_.push_back(static_cast<float>(sign * exceedances[j]));
    }
  }
  const std::size_t padded = (level_.size() + level_block - 1) / level_block * level_block;
  level_.resize(padded, 1.0f);
  weight_.resize(padded, 0.0f);
}

double LevelTerms::scale(const double* log_beta, std::vector<double>& scales) const {
  double constant = 0.0;
  scales.assign(level_.size(), 1.0);
  for (std::size_t k = 0; k < present_.size(); ++k) {
    if (present_[k] == 0.0) continue;
    constant += present_[k] * log_beta[k];
    std::fill(scales.data() + first_[k], scales.data() + first_[k + 1], std::exp(log_beta[k]));
  }
  return constant;
}

void LevelTerms::draw_tables(Stream& stream, double log_alpha, const std::vector<double>& scales,
                             double* tables) const {
  const std::size_t of_categories = (first_.back() + level_block - 1) / level_block * level_block;
  std::array<double, 2 * most_at_once> block;
  double* const uniform = block.data();
  double* const successes = uniform + most_at_once;
  std::copy(present_.begin(), present_.end(), tables);
  const double alpha = std::exp(std::clamp(log_alpha, -log_alpha_range, highest_log_alpha));
  std::size_t k = 0;
  for (std::size_t begin = 0; begin < of_categories; begin += most_at_once) {
    const std::size_t n = std::min(most_at_once, of_categories - begin);
    for (std::size_t i = 0; i < n; ++i) uniform[i] = stream.uniform();
    binomials_of_levels()(scales.data() + begin, level_.data() + begin, weight_.data() + begin, n, alpha, uniform,
                          successes);
    for (std::size_t i = 0; i < n && begin + i < first_.back(); ++i) {
      while (begin + i >= first_[k + 1]) ++k;
      tables[k] += successes[i];
    }
  }
}

Expansion LevelTerms::log_likelihood(double log_alpha, const std::vector<double>& scales) const {
  const double above = std::min(log_alpha, highest_log_alpha);
  const double alpha = std::exp(std::max(above, -log_alpha_range));
  Expansion sum = sum_of_levels()(scales.data(), level_.data(), weight_.data(), scales.size(), alpha);
  sum.value += exponent_ * above;
  sum.slope += exponent_;
  return sum;
}

}  // namespace hbm_fast
