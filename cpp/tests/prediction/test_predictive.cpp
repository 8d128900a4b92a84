// draw_log_theta, group_log_pmf, draw_predictive_counts: against closed forms, and at alphas below the smallest
// double.
#include "prediction/predictive.hpp"

#include <cmath>
#include <vector>

#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

constexpr std::size_t n_draws = 40000;

struct Draws {
  std::vector<double> log_alpha;
  std::vector<double> log_beta;
  DrawsView view() const { return {log_alpha.data(), log_beta.data(), 1, log_alpha.size(), 2}; }
};

Draws constant(double log_alpha, double beta_0) {
  Draws draws{std::vector<double>(n_draws, log_alpha), std::vector<double>(2 * n_draws)};
  for (std::size_t s = 0; s < n_draws; ++s) {
    draws.log_beta[2 * s] = std::log(beta_0);
    draws.log_beta[2 * s + 1] = std::log1p(-beta_0);
  }
  return draws;
}

const std::uint64_t dataset = 3;
const PosteriorAddress address{{1, 2}, 5, &dataset};

std::vector<double> theta_of(const Draws& draws, const std::int64_t* row) {
  std::vector<double> log_theta(2 * n_draws);
  draw_log_theta(draws.view(), row, address, log_theta.data(), 2, {});
  return log_theta;
}

void theta_has_its_moments() {
  for (const double alpha : {0.01, 1.0, 30.0}) {
    const std::int64_t row[] = {3, 1};
    const Draws draws = constant(std::log(alpha), 0.25);
    const std::vector<double> log_theta = theta_of(draws, row);
    double mean = 0.0;
    for (std::size_t s = 0; s < n_draws; ++s) mean += std::exp(log_theta[2 * s]) / n_draws;
    const double a = 0.25 * alpha + 3.0, total = alpha + 4.0;
    const double sd = std::sqrt(a * (total - a) / (total * total * (total + 1.0)));
    CHECK(std::abs(mean - a / total) < 6.5 * sd / std::sqrt(n_draws));
  }
}

void theta_of_a_vanishing_alpha_is_pure() {
  const std::int64_t empty[] = {0, 0};
  for (const double log_alpha : {-300.0, -1e4, -1e300}) {
    const std::vector<double> log_theta = theta_of(constant(log_alpha, 0.25), empty);
    double first = 0.0;
    bool finite = true, pure = true;
    for (std::size_t s = 0; s < n_draws; ++s) {
      finite &= std::isfinite(log_theta[2 * s]) && std::isfinite(log_theta[2 * s + 1]);
      const double theta = std::exp(log_theta[2 * s]);
      pure &= theta == 0.0 || theta == 1.0;
      first += theta / n_draws;
    }
    CHECK(finite);
    CHECK(pure);
    CHECK(std::abs(first - 0.25) < 6.5 * std::sqrt(0.1875 / n_draws));
  }
}

void log_pmf_matches_closed_forms() {
  const std::int64_t rows[] = {0, 0, 0, 1, 0, 4, 2, 1};
  for (const double log_alpha : {-900.0, -30.0, 0.0, 3.0}) {
    const Draws draws = constant(log_alpha, 0.25);
    std::vector<double> log_pmf(4 * n_draws);
    group_log_pmf(draws.view(), rows, 4, true, log_pmf.data(), 2, {});
    const double alpha = std::exp(log_alpha), a = 0.25 * alpha, b = 0.75 * alpha;
    CHECK(log_pmf[0] == 0.0);
    CHECK_CLOSE(log_pmf[1], std::log(0.75), 1e-14);
    CHECK_CLOSE(log_pmf[2],
                std::log(0.75) + std::log((b + 1) * (b + 2) * (b + 3) / ((alpha + 1) * (alpha + 2) * (alpha + 3))),
                1e-13);
    const double mixed = std::log(3.0 * 0.25 * 0.75) + log_alpha + std::log((a + 1) / ((alpha + 1) * (alpha + 2)));
    CHECK_CLOSE(log_pmf[3], mixed, 1e-13);
  }
  const Draws draws = constant(800.0, 0.25);  // alpha itself would overflow: theta is beta
  std::vector<double> log_pmf(4 * n_draws);
  group_log_pmf(draws.view(), rows, 4, false, log_pmf.data(), 2, {});
  CHECK_CLOSE(log_pmf[3], 2.0 * std::log(0.25) + std::log(0.75), 1e-12);
  const std::vector<double> log_theta = theta_of(draws, rows);
  CHECK_CLOSE(log_theta[0], std::log(0.25), 1e-12);
}

void counts_add_up_and_have_their_mean() {
  const Draws draws = constant(0.0, 0.25);
  const std::int64_t row[] = {0, 2};
  const std::vector<double> log_theta = theta_of(draws, row);
  const std::int64_t total = 10;
  std::vector<std::int64_t> counts(2 * n_draws);
  draw_predictive_counts(log_theta.data(), 1, n_draws, 2, &total, address, counts.data(), 2, {});
  double mean = 0.0;
  bool whole = true;
  for (std::size_t s = 0; s < n_draws; ++s) {
    whole &= counts[2 * s] + counts[2 * s + 1] == total && counts[2 * s] >= 0;
    mean += static_cast<double>(counts[2 * s]) / n_draws;
  }
  CHECK(whole);
  CHECK(std::abs(mean - 10.0 * 0.25 / 3.0) < 6.5 * 3.0 / std::sqrt(n_draws));
}

}  // namespace

int main() {
  theta_has_its_moments();
  theta_of_a_vanishing_alpha_is_pure();
  log_pmf_matches_closed_forms();
  counts_add_up_and_have_their_mean();
  return check::report();
}
