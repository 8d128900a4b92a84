// The sampler and the modes of mixtures of multinomials on any table: draws that fit each other, products beside sums
// of logs, and a value that no iteration lowers.
#include <cmath>
#include <limits>

#include "fuzz/fuzz_input.hpp"
#include "math/special.hpp"
#include "mixture/count_slots.hpp"
#include "mixture/multinomial_mode.hpp"
#include "mixture/multinomial_sampler.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto n = static_cast<std::size_t>(input.range(0, 40)), k = static_cast<std::size_t>(input.range(1, 20));
  const std::int64_t most = input.flag() ? 3 : 100000;
  std::vector<std::int64_t> values, columns, offsets{0};
  for (std::size_t g = 0; g < n; ++g) {
    for (std::size_t c = 0; c < k; ++c) {
      const std::int64_t x = input.flag() ? input.range(0, most) : 0;
      if (x == 0) continue;
      values.push_back(x);
      columns.push_back(static_cast<std::int64_t>(c));
    }
    offsets.push_back(static_cast<std::int64_t>(values.size()));
  }
  const hbm_fast::CountSlots slots({values.data(), columns.data(), offsets.data(), n, k, nullptr}, {});
  std::vector<double> prior(k);
  for (double& b : prior) b = std::exp(static_cast<double>(input.range(-50, 10)));
  const hbm_fast::MultinomialGroups groups(slots, prior);

  hbm_fast::MixtureSamplerOptions options;
  options.n_components = static_cast<std::size_t>(input.range(0, 40));
  options.weights = std::exp(static_cast<double>(input.range(-5, 5)));
  if (input.flag()) options.shape = options.rate = 1.0;
  options.n_empty = n - slots.n_groups();
  options.n_chains = 2;
  options.n_draws = 3;
  options.n_warmup = 1;
  options.key = {input.take<std::uint64_t>(), 1};
  const auto chains = hbm_fast::sample_multinomial_mixture(groups, options, {});
  for (const auto& chain : chains) {
    REQUIRE(chain.labels.size() == 3 * n && chain.log_likelihood.size() == 3);
    for (std::size_t d = 0; d < 3; ++d) {
      REQUIRE(std::isfinite(chain.log_likelihood[d]) && chain.log_likelihood[d] <= 1e-6);
      REQUIRE(chain.n_used[d] <= chain.n_components[d]);
      for (std::size_t g = 0; g < n; ++g) {
        REQUIRE(chain.labels[d * n + g] >= 0 && chain.labels[d * n + g] < chain.n_components[d]);
      }
    }
  }

  // of one component: each group given the others, beside differences of log gammas
  const std::size_t filled = slots.n_groups();
  if (filled == 0) return 0;
  const hbm_fast::Poll none;
  hbm_fast::TimedPoll poll(none);
  std::vector<double> sums(k, 0.0), out(2 * filled);
  double total = 0.0;
  for (std::size_t g = 0; g < filled; ++g) {
    for (const auto* at = groups.begin(g); at != groups.end(g); ++at) sums[at->category] += at->count;
    total += groups.totals[g];
  }
  const std::vector<std::int32_t> zeros(filled, 0);
  hbm_fast::log_predictive_given_labels(groups, zeros.data(), 2, groups, out.data(), poll);
  for (std::size_t g = 0; g < filled; ++g) {
    double expected = -hbm_fast::log_rising(total + groups.sum_of_prior, groups.totals[g]), size_of_terms = -expected;
    for (const auto* at = groups.begin(g); at != groups.end(g); ++at) {
      const double term = hbm_fast::log_rising(sums[at->category] + at->prior, at->count);
      expected += term;
      size_of_terms += std::abs(term);
    }
    REQUIRE(std::abs(out[g] - expected) <= 1e-12 * (1.0 + size_of_terms));
  }

  const auto j = static_cast<std::size_t>(input.range(1, 18));
  std::vector<double> beta(j * k), weights(j, 1.0 / static_cast<double>(j));
  for (std::size_t c = 0; c < j; ++c) {
    double sum = 0.0;
    for (std::size_t i = 0; i < k; ++i) sum += beta[c * k + i] = std::exp(static_cast<double>(input.range(-9, 0)));
    for (std::size_t i = 0; i < k; ++i) beta[c * k + i] /= sum;
  }
  double before = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < 4; ++i) {
    const auto mode = hbm_fast::maximize_multinomial(groups, 1.0, j, beta.data(), weights.data(), 1e-9, 1, poll);
    REQUIRE(mode.value >= before - 1e-9 * (1.0 + std::abs(mode.value)));
    before = mode.value;
  }
  return 0;
}
