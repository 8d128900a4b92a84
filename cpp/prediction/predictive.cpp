#include "prediction/predictive.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// Below this log alpha a group is pure to far more digits than a double has.
constexpr double smallest_log_alpha = -600.0;
// Beyond this one theta is beta to all digits.
constexpr double largest_log_alpha = 600.0;

Stream stream_at(const PosteriorAddress& address, Site site, std::size_t dataset, std::size_t draw) {
  const Key key{address.key.high ^ mix(address.group), address.key.low};
  return Stream(key, site, address.datasets[dataset], draw);
}

// log((a + 1) ... (a + n - 1)): the rising factorial without its first factor, whose logarithm is log a itself, however
// small; beyond e^300 all factors are a.
double log_rising_rest(double log_a, double n) {
  if (n <= 1.0) return 0.0;
  return log_a > log_alpha_range ? (n - 1.0) * log_a : log_rising(1.0 + std::exp(log_a), n - 1.0);
}

void check_counts(const std::int64_t* values, std::size_t n, const char* name) {
  if (!std::all_of(values, values + n,
                   [](std::int64_t x) { return x >= 0 && static_cast<std::uint64_t>(x) <= largest_exact_integer; })) {
    throw std::invalid_argument(std::string(name) + " must hold counts from 0 to 2**53");
  }
}

// log(a (a+1) ... (a+n-1) / n!), whatever the size of a.
double log_choose_of(double log_a, double n) {
  const double inside = std::clamp(log_a, smallest_log_alpha, largest_log_alpha);
  const double outside = log_a - inside;  // below, one factor is a; above, all n are
  return log_choose(std::exp(inside), n) + (outside > 0.0 ? n : 1.0) * outside;
}

double log_pmf_of_large(double log_alpha, const double* log_beta, const std::int64_t* row, std::size_t k_n,
                        double total) {
  double value = -log_choose_of(log_alpha, total);
  for (std::size_t k = 0; k < k_n; ++k) {
    if (row[k] > 0) value += log_choose_of(log_alpha + log_beta[k], static_cast<double>(row[k]));
  }
  return value;
}

}  // namespace

void draw_log_theta(const DrawsView& draws, const std::int64_t* rows, const PosteriorAddress& address,
                    double* log_theta, int n_threads, const Poll& poll) {
  const std::size_t k_n = draws.n_categories;
  const std::size_t n = draws.n_datasets * draws.n_draws;
  check_counts(rows, draws.n_datasets * k_n, "rows");
  parallel_for(
      n, 512 / std::max<std::size_t>(k_n, 1), n_threads,
      [&](std::size_t begin, std::size_t end) {
        std::vector<double> concentration(k_n);
        for (std::size_t i = begin; i < end; ++i) {
          const std::size_t dataset = i / draws.n_draws;
          const std::int64_t* row = rows + dataset * k_n;
          const double log_alpha = std::clamp(draws.log_alpha[i], smallest_log_alpha, largest_log_alpha);
          for (std::size_t k = 0; k < k_n; ++k) {
            const double prior = std::exp(log_alpha + draws.log_beta[i * k_n + k]);
            concentration[k] = std::max(prior, smallest_concentration) + static_cast<double>(row[k]);
          }
          Stream stream = stream_at(address, Site::posterior_group, dataset, i % draws.n_draws);
          log_dirichlet(stream, concentration.data(), k_n, log_theta + i * k_n);
        }
      },
      poll);
}

void group_log_pmf(const DrawsView& draws, const std::int64_t* rows, std::size_t n_rows, bool coefficient,
                   double* log_pmf, int n_threads, const Poll& poll) {
  const std::size_t k_n = draws.n_categories;
  check_counts(rows, draws.n_datasets * n_rows * k_n, "rows");
  std::vector<double> totals(draws.n_datasets * n_rows, 0.0);
  std::vector<double> coefficients(totals.size(), 0.0);
  parallel_for(
      totals.size(), 4096 / std::max<std::size_t>(k_n, 1), n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) {
          for (std::size_t k = 0; k < k_n; ++k) {
            const auto x = static_cast<double>(rows[r * k_n + k]);
            totals[r] += x;
            if (coefficient) coefficients[r] -= log_factorial(x);
          }
          if (coefficient) coefficients[r] += log_factorial(totals[r]);
        }
      },
      poll);
  // A pair of a draw and a row at a time: there may be few draws of many rows.
  const std::size_t n = draws.n_datasets * draws.n_draws * n_rows;
  parallel_for(
      n, 1024 / std::max<std::size_t>(k_n, 1), n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t pair = begin; pair < end; ++pair) {
          const std::size_t i = pair / n_rows;
          const std::size_t at = i / draws.n_draws * n_rows + pair % n_rows;
          if (coefficient && totals[at] > large_count) {
            log_pmf[pair] =
                log_pmf_of_large(draws.log_alpha[i], draws.log_beta + i * k_n, rows + at * k_n, k_n, totals[at]);
            continue;
          }
          double value = coefficients[at] - log_rising_rest(draws.log_alpha[i], totals[at]);
          double present = 0.0;
          for (std::size_t k = 0; k < k_n; ++k) {
            const std::int64_t x = rows[at * k_n + k];
            if (x == 0) continue;
            const double log_beta = draws.log_beta[i * k_n + k];
            value += log_beta + log_rising_rest(draws.log_alpha[i] + log_beta, static_cast<double>(x));
            present += 1.0;
          }
          // the first factors: alpha beta_k of every category that is present, over one alpha
          log_pmf[pair] = present > 1.0 ? value + (present - 1.0) * draws.log_alpha[i] : value;
        }
      },
      poll);
}

void draw_predictive_counts(const double* log_theta, std::size_t n_datasets, std::size_t n_draws,
                            std::size_t n_categories, const std::int64_t* totals, const PosteriorAddress& address,
                            std::int64_t* counts, int n_threads, const Poll& poll) {
  const std::size_t n = n_datasets * n_draws;
  check_counts(totals, n_datasets, "totals");
  parallel_for(
      n, 512 / std::max<std::size_t>(n_categories, 1), n_threads,
      [&](std::size_t begin, std::size_t end) {
        std::vector<double> theta(n_categories);
        std::vector<double> rest(n_categories + 1);
        for (std::size_t i = begin; i < end; ++i) {
          for (std::size_t k = 0; k < n_categories; ++k) theta[k] = std::exp(log_theta[i * n_categories + k]);
          rest[n_categories] = 0.0;
          for (std::size_t k = n_categories; k-- > 0;)
            rest[k] = rest[k + 1] + theta[k];  // sums, not differences from 1
          Stream stream = stream_at(address, Site::predictive, i / n_draws, i % n_draws);
          std::int64_t left = totals[i / n_draws];
          for (std::size_t k = 0; k < n_categories; ++k) {
            const std::int64_t x = rest[k + 1] > 0.0 ? binomial(stream, left, theta[k] / rest[k]) : left;
            counts[i * n_categories + k] = x;
            left -= x;
          }
        }
      },
      poll);
}

}  // namespace hbm_fast
