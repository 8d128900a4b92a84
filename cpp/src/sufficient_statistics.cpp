#include "hbm_fast/sufficient_statistics.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "hbm_fast/special.hpp"

namespace hbm_fast {
namespace {

// table[j] += 1 for j < value: a tally at value - 1, turned into exceedances by suffix sums.
void tally(std::vector<double>& tallies, std::uint64_t value) {
  if (value == 0) return;
  if (tallies.size() < value) tallies.resize(value, 0.0);
  tallies[value - 1] += 1.0;
}

void add_suffix_sums(const std::vector<double>& tallies, std::vector<double>& exceedances) {
  if (exceedances.size() < tallies.size()) exceedances.resize(tallies.size(), 0.0);
  double above = 0.0;
  for (std::size_t j = tallies.size(); j-- > 0;) {
    above += tallies[j];
    exceedances[j] += above;
  }
}

void add_table(const std::vector<double>& from, std::vector<double>& to) {
  if (to.size() < from.size()) to.resize(from.size(), 0.0);
  for (std::size_t j = 0; j < from.size(); ++j) to[j] += from[j];
}

double table_value(std::span<const double> table, double a, double* slope) {
  double value = 0.0;
  double derivative = 0.0;
  for (std::size_t j = 0; j < table.size(); ++j) {
    const double z = a + static_cast<double>(j);
    value += table[j] * std::log(z);
    derivative += table[j] / z;
  }
  *slope = derivative;
  return value;
}

}  // namespace

SufficientStatistics::SufficientStatistics(std::size_t n_categories) : exceedances_(n_categories) {}

void SufficientStatistics::add(const CountsView& counts) {
  if (counts.n_categories != n_categories()) {
    throw std::invalid_argument("counts has " + std::to_string(counts.n_categories) + " categories; these statistics have " +
                                std::to_string(n_categories()));
  }
  std::vector<std::vector<double>> tallies(n_categories());
  std::vector<double> totals;
  double coefficient = 0.0;
  visit(counts, [&](auto table) {
    for (std::size_t n = 0; n < table.n_rows; ++n) {
      std::uint64_t total = 0;
      for (std::size_t k = 0; k < table.n_categories; ++k) {
        const auto x = table.at(n, k);
        if (x < 0) throw std::invalid_argument("counts must not be negative");
        tally(tallies[k], static_cast<std::uint64_t>(x));
        coefficient -= log_factorial(static_cast<double>(x));
        total += static_cast<std::uint64_t>(x);
      }
      tally(totals, total);
      coefficient += log_factorial(static_cast<double>(total));
    }
  });
  for (std::size_t k = 0; k < n_categories(); ++k) add_suffix_sums(tallies[k], exceedances_[k]);
  add_suffix_sums(totals, totals_);
  n_groups_ += static_cast<double>(counts.n_rows);
  log_coefficient_ += coefficient;
}

void SufficientStatistics::merge(const SufficientStatistics& other) {
  if (other.n_categories() != n_categories()) {
    throw std::invalid_argument("cannot merge statistics of " + std::to_string(other.n_categories()) + " and " +
                                std::to_string(n_categories()) + " categories");
  }
  for (std::size_t k = 0; k < n_categories(); ++k) add_table(other.exceedances_[k], exceedances_[k]);
  add_table(other.totals_, totals_);
  n_groups_ += other.n_groups_;
  log_coefficient_ += other.log_coefficient_;
}

double SufficientStatistics::log_likelihood(const double* concentration, double* gradient) const {
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories(); ++k) total += concentration[k];
  double total_slope = 0.0;
  double value = -table_value(totals_, total, &total_slope);
  for (std::size_t k = 0; k < n_categories(); ++k) {
    double slope = 0.0;
    value += table_value(exceedances_[k], concentration[k], &slope);
    if (gradient != nullptr) gradient[k] = slope - total_slope;
  }
  return value;
}

}  // namespace hbm_fast
