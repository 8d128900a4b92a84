// simulate: the same bits for any threads and slices, padding, statistics, and extreme concentrations.
#include "simulation/simulate.hpp"
#include "statistics/exceedances.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

struct Result {
  std::size_t b, n, k, j;
  std::vector<double> log_alpha, log_beta, alpha, beta, log_theta, theta;
  std::vector<std::int64_t> n_groups;
  std::vector<std::int32_t> counts;
  std::vector<float> statistics;

  Result(std::size_t b_, std::size_t n_, std::size_t k_, std::size_t j_)
      : b(b_),
        n(n_),
        k(k_),
        j(j_),
        log_alpha(b),
        log_beta(b * k),
        alpha(b),
        beta(b * k),
        log_theta(b * n * k),
        theta(b * n * k),
        n_groups(b),
        counts(b * n * k),
        statistics(b * (k + 1) * j) {}
  SimulationArrays arrays() {
    return {log_alpha.data(),
            log_beta.data(),
            alpha.data(),
            beta.data(),
            n_groups.data(),
            log_theta.data(),
            theta.data(),
            counts.data(),
            CountType::int32,
            j > 0 ? statistics.data() : nullptr,
            j};
  }
};

SimulationRequest request(std::size_t b, std::size_t n, std::size_t k, std::int64_t low, std::int64_t high) {
  SimulationRequest r{};
  r.key = {1, 2};
  r.n_datasets = b;
  r.max_groups = n;
  r.n_categories = k;
  r.alpha = {AlphaKind::exponential, 1.0, 0.0, 0.0, 0.0};
  r.beta.values.assign(k, 1.0);
  r.n_groups = {nullptr, 0, 0, 1, static_cast<std::int64_t>(n)};
  r.totals = {nullptr, 0, 0, low, high};
  return r;
}

void check_rows(const Result& r, const SimulationRequest& asked) {
  for (std::size_t d = 0; d < r.b; ++d) {
    for (std::size_t g = 0; g < r.n; ++g) {
      const std::size_t at = (d * r.n + g) * r.k;
      const bool real = g < static_cast<std::size_t>(r.n_groups[d]);
      double sum = 0.0;
      std::int64_t total = 0;
      for (std::size_t c = 0; c < r.k; ++c) {
        sum += r.theta[at + c];
        total += r.counts[at + c];
        if (real && !(r.log_theta[at + c] <= 0.0)) CHECK(false);
        if (r.counts[at + c] < 0) CHECK(false);
      }
      CHECK_CLOSE(sum, real ? 1.0 : 0.0, 1e-14);
      if (real) {
        CHECK(total >= asked.totals.low && total <= asked.totals.high);
      } else {
        CHECK(total == 0);
      }
    }
  }
}

void bits_and_rows() {
  for (const std::size_t k : {2, 3, 9, 31, 32, 70, 129, 200}) {
    for (const std::int64_t high : {0, 12, 40, 300}) {
      SimulationRequest asked = request(37, 9, k, high / 3, high);
      const auto j = static_cast<std::size_t>(high);
      Result whole(37, 9, k, j);
      simulate(asked, whole.arrays(), 1);
      check_rows(whole, asked);
      Result threads(37, 9, k, j);
      simulate(asked, threads.arrays(), 3);
      CHECK(threads.log_theta == whole.log_theta && threads.counts == whole.counts);
      CHECK(threads.statistics == whole.statistics);
      asked.first = 11;
      asked.n_datasets = 5;
      Result slice(5, 9, k, j);
      simulate(asked, slice.arrays(), 1);
      const auto from = static_cast<std::ptrdiff_t>(11 * 9 * k);
      CHECK(std::equal(slice.log_theta.begin(), slice.log_theta.end(), whole.log_theta.begin() + from));
      CHECK(std::equal(slice.counts.begin(), slice.counts.end(), whole.counts.begin() + from));
      if (j > 0) {
        std::vector<float> table(whole.statistics.size());
        const CountsBatch batch{{whole.counts.data(), CountType::int32, 9, k, static_cast<std::ptrdiff_t>(k), 1},
                                37,
                                static_cast<std::ptrdiff_t>(9 * k)};
        exceedance_counts(batch, j, table.data(), 2);
        CHECK(table == whole.statistics);
      }
    }
  }
}

void edges() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const std::size_t k : {2, 5, 40}) {
    for (const double log_alpha : {-1000.0, -690.0, -20.0, 0.0, 40.0, 700.0, 1e4}) {
      for (const std::int64_t total : {std::int64_t{0}, std::int64_t{20}, std::int64_t{2000000000}}) {
        SimulationRequest asked = request(8, 6, k, total, total);
        asked.alpha_given = asked.beta_given = true;
        Result r(8, 6, k, 0);
        for (auto& value : r.log_alpha) value = log_alpha;
        for (std::size_t i = 0; i < r.log_beta.size(); ++i) r.log_beta[i] = i % k == 1 ? -infinity : -std::log(k - 1.0);
        simulate(asked, r.arrays(), 2);
        check_rows(r, asked);
        for (std::size_t i = 0; i < r.counts.size(); ++i) {
          const bool real = i / k % 6 < static_cast<std::size_t>(r.n_groups[i / (6 * k)]);
          if (i % k == 1) {
            CHECK(r.counts[i] == 0 && r.theta[i] == 0.0);
          } else if (real) {
            CHECK(std::isfinite(r.log_theta[i]));
          }
        }
      }
    }
  }
}

// One dataset of many groups is one chunk: it polls inside.
void a_long_dataset_polls() {
  for (const std::size_t k : {2, 5, 40}) {
    const std::size_t n = 4'000'000 / k;
    SimulationRequest asked = request(1, n, k, 1, 100);
    asked.n_groups.low = asked.n_groups.high;
    Result r(1, n, k, 0);
    CHECK(check::throws<std::logic_error>(
        [&] { simulate(asked, r.arrays(), 1, [] { throw std::logic_error("interrupt"); }); }));
  }
}

}  // namespace

int main() {
  bits_and_rows();
  edges();
  a_long_dataset_polls();
  return check::report();
}
