// The samplers without Python: gradient against differences, table counts against their exact mean, each chain against
// the exact posterior of Le (2020), the same bits for any number of threads.
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "mcmc/crp_tables.hpp"
#include "mcmc/level_terms.hpp"
#include "mcmc/posterior_density.hpp"
#include "mcmc/profile.hpp"
#include "mcmc/sample.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

SufficientStatistics statistics_of(const std::vector<std::int32_t>& counts, std::size_t n_categories) {
  SufficientStatistics result(n_categories);
  const std::size_t n = counts.size() / n_categories;
  result.add({counts.data(), CountType::int32, n, n_categories, static_cast<std::ptrdiff_t>(n_categories), 1});
  return result;
}

SufficientStatistics le2020() {
  std::vector<std::int32_t> counts;
  for (int n = 0; n < 10; ++n) counts.insert(counts.end(), {20, 0, 0, 20});
  counts.insert(counts.end(), {0, 1});
  return statistics_of(counts, 2);
}

ModelView model_of(std::size_t n_categories) {
  ModelView model;
  model.alpha = {AlphaKind::exponential, 1.0, 0.0, 0.0, 0.0};
  model.beta.values.assign(n_categories, 1.0);
  return model;
}

void gradient_agrees_with_differences() {
  const auto statistics = statistics_of({3, 0, 9, 1, 1, 0, 0, 0, 40}, 3);
  for (const AlphaPrior& alpha :
       {AlphaPrior{AlphaKind::exponential, 1.0, 0.0, 0.0, 0.0}, AlphaPrior{AlphaKind::fixed, 2.5, 0.0, 0.0, 0.0},
        AlphaPrior{AlphaKind::power, -1.5, 0.0, 0.01, 50.0}}) {
    ModelView model = model_of(3);
    model.alpha = alpha;
    PosteriorDensity density(statistics, model);
    density.use(AlphaCoordinate::around(alpha, 0.5));
    for (const double shift : {-20.0, -1.0, 3.0}) {
      std::array<double, 3> y{shift + 0.3, shift - 1.0, shift}, gradient{};
      density.value(y.data(), gradient.data());
      for (std::size_t k = 0; k < 3; ++k) {
        auto up = y, down = y;
        up[k] += 1e-5;
        down[k] -= 1e-5;
        CHECK_CLOSE((density.value(up.data()) - density.value(down.data())) / 2e-5, gradient[k], 1e-5);
      }
    }
  }
}

void coordinate_of_a_bounded_alpha() {
  const AlphaPrior prior{AlphaKind::log_uniform, 0.0, 0.0, 0.01, 50.0};
  for (const double at : {-4.5, 0.0, 3.9}) {
    const auto coordinate = AlphaCoordinate::around(prior, at);
    CHECK_CLOSE(coordinate.log_alpha(at), at, 1e-12);
    CHECK_CLOSE(coordinate.slope(at), 1.0, 1e-12);
    for (const double v : {at - 2.0 * coordinate.scale, at, at + 0.7 * coordinate.scale}) {
      const double h = 1e-5 * coordinate.scale;
      CHECK_CLOSE(coordinate.inverse(coordinate.log_alpha(v)), v, 1e-9);
      CHECK_CLOSE((coordinate.log_alpha(v + h) - coordinate.log_alpha(v - h)) / (2 * h), coordinate.slope(v), 1e-6);
      CHECK_CLOSE((coordinate.log_slope(v + h) - coordinate.log_slope(v - h)) / (2 * h),
                  coordinate.log_slope_derivative(v), 1e-4);
      CHECK_CLOSE((coordinate.log_slope_derivative(v - h) - coordinate.log_slope_derivative(v + h)) / (2 * h),
                  coordinate.log_slope_curvature(v), 1e-4);
    }
  }
}

// The proposal's density gives the lower mode the probability that quadrature gives it, 0.69.
void profile_finds_two_modes() {
  std::vector<std::int32_t> counts(8, 5000);
  for (int n = 0; n < 7; ++n) {
    for (const std::int32_t x : {3, 0, 0, 3}) counts.push_back(x);
  }
  const auto statistics = statistics_of(counts, 2);
  ModelView model = model_of(2);
  model.alpha = {AlphaKind::lomax, 0.5, 1.0, 0.0, 0.0};
  const Poll none;
  TimedPoll poll(none);
  const Profile profile(statistics, model, poll);
  CHECK(profile.regions().size() == 2);
  CHECK(profile.has_proposal());
  CHECK(profile.regions()[0].upper > 1.0 && profile.regions()[0].upper < 8.0);
  double below = 0.0;
  constexpr double h = 0.05;
  for (double t = -14.0; t < 4.0; t += h) {  // y = (t + u, t - u)
    for (double u = -8.0; u < 8.0; u += h) {
      if (t + std::log(2.0 * std::cosh(u)) > 4.0) continue;
      const std::array<double, 2> y{t + u, t - u};
      below += 2.0 * h * h * std::exp(profile.log_density(y.data()));
    }
  }
  constexpr double two_pi = 6.283185307179586;  // the constant that log_density leaves out
  CHECK(std::abs(below / two_pi - 0.69) < 0.1);
  Stream stream({1, 2}, Site::chain, 0, 0);
  std::array<double, 2> log_beta{};
  CHECK(profile.draw_start(0, 4, stream, log_beta.data()) < profile.regions()[0].upper);
  CHECK(profile.draw_start(3, 4, stream, log_beta.data()) > profile.regions()[0].upper);
  CHECK_CLOSE(std::exp(log_beta[0]) + std::exp(log_beta[1]), 1.0, 1e-12);
  const Poll interrupt = [] { throw std::logic_error("interrupt"); };
  TimedPoll interrupting(interrupt);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));  // from then on it polls
  CHECK(check::throws<std::logic_error>([&] { const Profile stopped(statistics, model, interrupting); }));
}

void density_is_a_power_where_concentrations_underflow() {
  const auto statistics = le2020();
  const ModelView model = model_of(2);
  PosteriorDensity density(statistics, model);
  const std::array<double, 2> log_beta{std::log(0.5), std::log(0.5)};
  // pure bags: alpha drops out as alpha -> 0, far below the smallest double
  const double at = density.log_likelihood(-400.0, log_beta.data(), nullptr);
  CHECK_CLOSE(density.log_likelihood(-5000.0, log_beta.data(), nullptr), at, 1e-12);
  CHECK_CLOSE(at, -21.0 * std::log(2.0), 1e-12);
}

// E m = sum over groups of a (digamma(a + x) - digamma(a)) = sum_j a / (a + j), whatever the form and the route.
void table_counts_have_their_mean() {
  struct Case {
    std::vector<std::int32_t> counts;
    double log_alpha;
  };
  std::vector<Case> cases{{{9, 4, 30, 0, 2, 2}, 0.7},
                          {{9, 4, 30, 0, 2, 2}, 4.0},
                          {{5000, 3, 5000, 70, 900, 1}, 1.0},
                          {{90000, 2, 5, 40000}, 3.0},
                          {{30, 3, 30, 3, 1, 1}, 132.0}};
  for (std::size_t i = 0; i < 2 * cases.size(); ++i) {
    const Case& c = cases[i / 2];
    const auto statistics = statistics_of(c.counts, 2);
    const TableCounts tables(statistics);
    const LevelTerms levels(statistics);
    const bool by_levels = i % 2 == 1;
    if (by_levels && !levels.draws_tables()) continue;
    const std::array<double, 2> log_beta{std::log(0.3), std::log(0.7)};
    const std::array<double, 2> beta{std::exp(log_beta[0]), std::exp(log_beta[1])};
    Stream stream({1, 2}, Site::chain, 3, 4);
    constexpr int n = 20000;
    std::array<double, 2> m{}, sum{}, expected{}, variance{};
    for (int draw = 0; draw < n; ++draw) {
      if (by_levels) {
        levels.draw_tables(stream, c.log_alpha, beta.data(), m.data());
      } else {
        tables.draw(stream, c.log_alpha, log_beta.data(), m.data());
      }
      for (std::size_t k = 0; k < 2; ++k) sum[k] += m[k];
    }
    for (std::size_t at = 0; at < c.counts.size(); ++at) {
      const double a = std::exp(c.log_alpha + log_beta[at % 2]);
      for (int j = 0; j < c.counts[at]; ++j) {
        const double p = a / (a + j);
        expected[at % 2] += p;
        variance[at % 2] += p * (1.0 - p);
      }
    }
    for (std::size_t k = 0; k < 2; ++k) {
      CHECK(std::abs(sum[k] / n - expected[k]) <= 6.5 * std::sqrt(variance[k] / n) + 1e-9 * expected[k]);
    }
  }
}

// The number of tables of 40 groups of two draws is 40 + Binomial(40, a / (a + 1)): its variance too.
void table_counts_by_levels_are_binomial() {
  std::vector<std::int32_t> counts;
  for (int i = 0; i < 40; ++i) counts.insert(counts.end(), {2, 0});
  const auto statistics = statistics_of(counts, 2);
  const LevelTerms levels(statistics);
  CHECK(levels.draws_tables());
  const std::array<double, 2> beta{0.5, 0.5};
  Stream stream({1, 2}, Site::chain, 5, 6);
  for (const double alpha : {0.2, 2.0, 30.0}) {
    const double p = 0.5 * alpha / (0.5 * alpha + 1.0), expected = 40.0 * p * (1.0 - p);
    constexpr int n = 20000;
    double sum = 0.0, squares = 0.0;
    std::array<double, 2> m{};
    for (int i = 0; i < n; ++i) {
      levels.draw_tables(stream, std::log(alpha), beta.data(), m.data());
      sum += m[0] - 40.0;
      squares += (m[0] - 40.0 - 40.0 * p) * (m[0] - 40.0 - 40.0 * p);
    }
    CHECK(std::abs(sum / n - 40.0 * p) <= 6.5 * std::sqrt(expected / n));
    CHECK(std::abs(squares / n / expected - 1.0) <= 0.07);
    CHECK(m[1] == 0.0);
  }
}

void derivatives_along_log_alpha() {
  const auto statistics = statistics_of({9, 4, 30, 0, 2, 2}, 2);
  const LevelTerms levels(statistics);
  const std::array<double, 2> beta{0.3, 0.7}, log_beta{std::log(0.3), std::log(0.7)};
  const double constant = levels.constant(log_beta.data());
  for (const double at : {-3.0, 0.0, 4.0}) {
    const auto value = [&](double x) { return levels.log_likelihood(x, beta.data()).value; };
    const Expansion here = levels.log_likelihood(at, beta.data());
    const std::array<double, 2> concentration{0.3 * std::exp(at), 0.7 * std::exp(at)};
    CHECK_CLOSE(here.value + constant, statistics.log_likelihood(concentration.data()), 1e-12);
    CHECK_CLOSE(here.slope, (value(at + 1e-4) - value(at - 1e-4)) / 2e-4, 1e-6);
    CHECK_CLOSE(here.curvature, (value(at + 1e-3) - 2.0 * here.value + value(at - 1e-3)) / 1e-6, 1e-5);
  }
}

void expected_tables_are_their_sum() {
  const auto statistics = statistics_of({9, 4, 30, 0, 2, 2}, 2);
  const std::array<double, 2> log_beta{std::log(0.3), std::log(0.7)};
  double expected = 0.0;
  for (const auto& [count, share] : {std::pair{9, 0.3}, {4, 0.7}, {30, 0.3}, {2, 0.3}, {2, 0.7}}) {
    for (int j = 0; j < count; ++j) expected += 2.0 * share / (2.0 * share + j);
  }
  CHECK_CLOSE(expected_tables(statistics, std::log(2.0), log_beta.data()), expected, 1e-13);
  CHECK_CLOSE(expected_tables(statistics, -1e6, log_beta.data()), 5.0, 1e-13);
}

void fractions_of_groups_have_no_tables() {
  const std::vector<std::int32_t> counts{3, 1};
  const double weight = 0.5;
  SufficientStatistics statistics(2);
  statistics.add({counts.data(), CountType::int32, 1, 2, 2, 1}, &weight);
  CHECK(!whole_weights(statistics));
  CHECK(check::throws<std::invalid_argument>([&] { const TableCounts tables(statistics); }));
}

// By quadrature: log alpha's mean, and that of log c where the concentration c ~ Exponential(1) of beta is unknown.
void chains_find_the_exact_posterior(bool known_concentration) {
  const auto statistics = le2020();
  ModelView model = model_of(2);
  if (!known_concentration) model.beta.concentration = model.alpha;
  for (const SamplerKind kind : {SamplerKind::hmc, SamplerKind::gibbs, SamplerKind::metropolis}) {
    constexpr std::size_t n_chains = 4, n_draws = 20000, n = n_chains * n_draws;
    std::array<std::vector<double>, 2> log_alpha;
    for (const int n_threads : {1, 3}) {
      auto& draws = log_alpha[n_threads == 1 ? 0 : 1];
      draws.resize(n);
      std::vector<double> log_beta(2 * n), log_density(n), acceptance(n), step_size(n), log_concentration(n);
      std::vector<std::int32_t> evaluations(n);
      std::int32_t n_modes = 0;
      const std::unique_ptr<bool[]> diverging(new bool[n]);
      sample({&statistics}, model, {{n_chains, n_draws, 200, {7, 8}, n_threads}, {kind}},
             {draws.data(), log_beta.data(), log_density.data(), acceptance.data(), step_size.data(),
              evaluations.data(), diverging.get(), &n_modes, known_concentration ? nullptr : log_concentration.data()},
             [](double) {});
      if (known_concentration) continue;
      double mean = 0.0;
      for (const double t : log_concentration) mean += t / static_cast<double>(n);
      CHECK(std::abs(mean - 0.127616) < 0.03);  // over 6 standard errors
    }
    CHECK(log_alpha[0] == log_alpha[1]);
    double mean = 0.0;
    for (const double t : log_alpha[0]) mean += t / static_cast<double>(n);
    CHECK(std::abs(mean + 4.147418) < 0.08);  // over 6 standard errors of the slowest
  }
}

}  // namespace

int main() {
  gradient_agrees_with_differences();
  coordinate_of_a_bounded_alpha();
  profile_finds_two_modes();
  density_is_a_power_where_concentrations_underflow();
  table_counts_have_their_mean();
  table_counts_by_levels_are_binomial();
  derivatives_along_log_alpha();
  expected_tables_are_their_sum();
  fractions_of_groups_have_no_tables();
  chains_find_the_exact_posterior(true);
  chains_find_the_exact_posterior(false);
  return check::report();
}
