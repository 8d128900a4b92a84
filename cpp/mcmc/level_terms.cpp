#include "mcmc/level_terms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/limits.hpp"

namespace hbm_fast {
namespace {

constexpr double largest_float = 0x1.0p24;  // up to here whole numbers are exact
constexpr std::size_t most_at_once = 128;

}  // namespace

LevelTerms::LevelTerms(const SufficientStatistics& statistics) : present_(statistics.n_categories()) {
  const std::size_t n_categories = statistics.n_categories();
  std::vector<float> levels, weights;
  for (std::size_t k = 0; k <= n_categories && usable_; ++k) {
    const CountColumn& column = statistics.column(k);
    first_.push_back(static_cast<std::uint32_t>(levels.size()));
    if (column.empty()) continue;
    if (column.value_weights().values.back() + static_cast<double>(levels.size()) > static_cast<double>(most_terms) ||
        column.n_positive() > largest_float) {
      usable_ = false;
      return;
    }
    const auto exceedances = column.exceedances();
    const double sign = k < n_categories ? 1.0 : -1.0;
    exponent_ += sign * exceedances[0];
    if (k < n_categories) {
      present_[k] = exceedances[0];
      draws_tables_ = draws_tables_ && exceedances[0] <= most_trials;
    }
    for (std::size_t j = 1; j < exceedances.size(); ++j) {
      levels.push_back(static_cast<float>(j));
      weights.push_back(static_cast<float>(sign * exceedances[j]));
    }
  }
  n_terms_ = (levels.size() + level_block - 1) / level_block * level_block;
  terms_.reserve(2 * n_terms_);
  terms_ = levels;
  terms_.resize(n_terms_, 1.0f);
  terms_.insert(terms_.end(), weights.begin(), weights.end());
  terms_.resize(2 * n_terms_, 0.0f);
}

double LevelTerms::constant(const double* log_beta) const {
  double sum = 0.0;
  for (std::size_t k = 0; k < present_.size(); ++k) {
    if (present_[k] != 0.0) sum += present_[k] * log_beta[k];
  }
  return sum;
}

void LevelTerms::scale(const double* beta, Scales& scales) const {
  for (std::size_t k = 0; k < present_.size(); ++k) {
    std::fill(scales.data() + first_[k], scales.data() + first_[k + 1], beta[k]);
  }
  std::fill(scales.data() + first_.back(), scales.data() + n_terms_, 1.0);
}

void LevelTerms::draw_tables(Stream& stream, double log_alpha, const double* beta, double* tables) const {
  const std::size_t of_categories = (first_.back() + level_block - 1) / level_block * level_block;
  Scales scales;
  scale(beta, scales);
  std::array<double, 2 * most_at_once> block;
  double* const uniform = block.data();
  double* const successes = uniform + most_at_once;
  std::copy(present_.begin(), present_.end(), tables);
  const double alpha = std::exp(std::clamp(log_alpha, -log_alpha_range, highest_log_alpha));
  std::size_t k = 0;
  for (std::size_t begin = 0; begin < of_categories; begin += most_at_once) {
    const std::size_t n = std::min(most_at_once, of_categories - begin);
    for (std::size_t i = 0; i < n; ++i) uniform[i] = stream.uniform();
    binomials_of_levels()(scales.data() + begin, levels() + begin, weights() + begin, n, alpha, uniform, successes);
    for (std::size_t i = 0; i < n && begin + i < first_.back(); ++i) {
      while (begin + i >= first_[k + 1]) ++k;
      tables[k] += successes[i];
    }
  }
}

Expansion LevelTerms::log_likelihood(double log_alpha, const double* beta) const {
  const double above = std::min(log_alpha, highest_log_alpha);
  const double alpha = std::exp(std::max(above, -log_alpha_range));
  Scales scales;
  scale(beta, scales);
  Expansion sum = sum_of_levels()(scales.data(), levels(), weights(), n_terms_, alpha);
  sum.value += exponent_ * above;
  sum.slope += exponent_;
  return sum;
}

}  // namespace hbm_fast
