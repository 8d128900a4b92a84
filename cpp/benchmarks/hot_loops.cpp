// One hot loop, named on the command line, on fixed data: tools/instruction_counts.py counts its
// instructions under callgrind.
// With a second argument the loop runs that many times, so that the difference of two runs is free of the set-up.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "likelihood/log_pmf.hpp"
#include "simulation/simulate.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace {

constexpr std::size_t n_rows = 2000;
constexpr std::size_t n_categories = 5;

std::vector<std::int32_t> table(std::int32_t largest) {
  std::vector<std::int32_t> counts(n_rows * n_categories);
  hbm_fast::Stream stream({1, 2}, hbm_fast::Site::group, 0);
  for (auto& x : counts) x = static_cast<std::int32_t>(stream.uniform() * stream.uniform() * (largest + 1));
  return counts;
}

double likelihood(int repeats) {
  const auto counts = table(20);
  std::vector<double> concentration(n_categories, 0.7);
  std::vector<double> values(n_rows);
  const hbm_fast::CountsView view{counts.data(), hbm_fast::CountType::int32, n_rows, n_categories, n_categories, 1};
  const hbm_fast::Rows rows{view, concentration.data(), 1, {n_rows}, {n_categories}, {0}};
  double sum = 0.0;
  for (int r = 0; r < 10 * repeats; ++r) {
    concentration[0] = 0.5 + 1e-3 * r;
    hbm_fast::log_pmf(rows, true, values.data(), 1, {});
    sum += values[7];
  }
  return sum;
}

double statistics(int repeats) {
  const auto counts = table(50);
  hbm_fast::SufficientStatistics stats(n_categories);
  stats.add({counts.data(), hbm_fast::CountType::int32, n_rows, n_categories, n_categories, 1});
  std::vector<double> concentration(n_categories, 0.7);
  std::vector<double> gradient(n_categories);
  double sum = 0.0;
  for (int r = 0; r < 1000 * repeats; ++r) {
    concentration[0] = 0.5 + 1e-3 * r;
    sum += stats.log_likelihood(concentration.data(), gradient.data());
  }
  return sum;
}

double simulator(int repeats) {
  constexpr std::size_t n_datasets = 100;
  constexpr std::size_t n_groups = 21;
  constexpr std::size_t k = 2;
  hbm_fast::SimulationRequest request{};
  request.key = {3, 4};
  request.n_datasets = n_datasets;
  request.max_groups = n_groups;
  request.n_categories = k;
  request.alpha = {hbm_fast::AlphaKind::exponential, 1.0, 0.0, 0.0, 0.0};
  request.beta.values.assign(k, 1.0);
  request.n_groups.low = request.n_groups.high = n_groups;
  request.totals.low = request.totals.high = 20;
  std::vector<double> log_alpha(n_datasets), log_beta(n_datasets * k), alpha(n_datasets), beta(n_datasets * k);
  std::vector<double> log_theta(n_datasets * n_groups * k), theta(n_datasets * n_groups * k);
  std::vector<std::int64_t> groups(n_datasets);
  std::vector<std::int32_t> counts(n_datasets * n_groups * k);
  const hbm_fast::SimulationArrays arrays{log_alpha.data(),
                                          log_beta.data(),
                                          alpha.data(),
                                          beta.data(),
                                          groups.data(),
                                          log_theta.data(),
                                          theta.data(),
                                          counts.data(),
                                          hbm_fast::CountType::int32,
                                          nullptr,
                                          20,
                                          nullptr};
  double sum = 0.0;
  for (int r = 0; r < repeats; ++r) {
    request.first = static_cast<std::uint64_t>(r) * n_datasets;
    hbm_fast::simulate(request, arrays, 1);
    sum += counts[7];
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 1;
  const std::map<std::string, double (*)(int)> loops{
      {"likelihood", likelihood}, {"statistics", statistics}, {"simulate", simulator}};
  if (!loops.contains(name)) {
    std::fprintf(stderr, "usage: hot_loops likelihood|statistics|simulate [REPEATS]\n");
    return 2;
  }
  std::printf("%.17g\n", loops.at(name)(repeats));  // the result is used
}
