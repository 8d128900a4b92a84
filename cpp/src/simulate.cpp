#include "hbm_fast/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "hbm_fast/variates.hpp"

namespace hbm_fast {
namespace {

// Uniform on low..high inclusive, exact (Lemire 2019, doi:10.1145/3230636).
std::int64_t uniform_integer(Stream& stream, std::int64_t low, std::int64_t high) {
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  const std::uint64_t threshold = (0 - range) % range;
  for (;;) {
    const auto product = static_cast<unsigned __int128>(stream.bits()) * range;
    if (static_cast<std::uint64_t>(product) >= threshold) return low + static_cast<std::int64_t>(product >> 64);
  }
}

template <class T>
struct Worker {
  const SimulationRequest& request;
  const SimulationArrays& arrays;
  std::vector<double> concentration, log_theta;
  std::vector<std::int64_t> x;

  void dataset(std::size_t b) {
    const std::size_t k_count = request.n_categories;
    const std::uint64_t number = request.first + b;
    hyperparameters(b, number);
    std::int64_t n_groups = request.n_groups.low;
    if (request.n_groups.values != nullptr) {
      n_groups = request.n_groups.given(b, 0);
    } else if (request.n_groups.high > request.n_groups.low) {
      Stream stream(request.key, Site::n_groups, number);
      n_groups = uniform_integer(stream, request.n_groups.low, request.n_groups.high);
    }
    arrays.n_groups[b] = n_groups;
    for (std::size_t k = 0; k < k_count; ++k) {
      concentration[k] = std::exp(arrays.log_alpha[b] + arrays.log_beta[b * k_count + k]);
    }
    float* statistics = arrays.statistics ? arrays.statistics + b * (k_count + 1) * arrays.max_total : nullptr;
    if (statistics) std::fill(statistics, statistics + (k_count + 1) * arrays.max_total, 0.0f);
    for (std::size_t n = 0; n < request.max_groups; ++n) {
      const std::size_t at = (b * request.max_groups + n) * k_count;
      if (n < static_cast<std::size_t>(n_groups)) {
        group(b, n, number);
      } else {
        std::fill(x.begin(), x.end(), 0);
        std::fill(log_theta.begin(), log_theta.end(), 0.0);
      }
      const bool real = n < static_cast<std::size_t>(n_groups);
      for (std::size_t k = 0; k < k_count; ++k) {
        if (arrays.counts) static_cast<T*>(arrays.counts)[at + k] = static_cast<T>(x[k]);
        if (arrays.log_theta) arrays.log_theta[at + k] = log_theta[k];
        if (arrays.theta) arrays.theta[at + k] = real ? std::exp(log_theta[k]) : 0.0;
      }
      if (statistics) {
        std::int64_t total = 0;
        for (std::size_t k = 0; k < k_count; ++k) {
          total += x[k];
          for (std::int64_t j = 0; j < x[k]; ++j) statistics[k * arrays.max_total + static_cast<std::size_t>(j)] += 1.0f;
        }
        for (std::int64_t j = 0; j < total; ++j) statistics[k_count * arrays.max_total + static_cast<std::size_t>(j)] += 1.0f;
      }
    }
  }

  void hyperparameters(std::size_t b, std::uint64_t number) {
    const std::size_t k_count = request.n_categories;
    Stream stream(request.key, Site::hyperparameters, number);
    if (!request.alpha_given) arrays.log_alpha[b] = request.alpha.draw_log(stream);
    if (request.beta_given) return;
    double* log_beta = arrays.log_beta + b * k_count;
    if (request.beta.fixed) {
      for (std::size_t k = 0; k < k_count; ++k) log_beta[k] = std::log(request.beta.values[k]);
    } else {
      log_dirichlet(stream, request.beta.values.data(), k_count, log_beta);
    }
  }

  void group(std::size_t b, std::size_t n, std::uint64_t number) {
    const std::size_t k_count = request.n_categories;
    std::int64_t total = request.totals.low;
    if (request.totals.values != nullptr) {
      total = request.totals.given(b, n);
    } else if (request.totals.high > request.totals.low) {
      Stream stream(request.key, Site::total, number, n);
      total = uniform_integer(stream, request.totals.low, request.totals.high);
    }
    Stream stream(request.key, Site::group, number, n);
    log_dirichlet(stream, concentration.data(), k_count, log_theta.data());
    // conditional binomials on exact suffix sums
    double rest = 0.0;
    for (std::size_t k = 0; k < k_count; ++k) rest += std::exp(log_theta[k]);
    std::vector<double>& suffix = suffix_;
    suffix.resize(k_count + 1);
    suffix[k_count] = 0.0;
    for (std::size_t k = k_count; k-- > 0;) suffix[k] = suffix[k + 1] + std::exp(log_theta[k]);
    for (std::size_t k = 0; k < k_count; ++k) {
      const bool last = k + 1 == k_count;
      x[k] = last ? total : binomial(stream, total, std::exp(log_theta[k]) / suffix[k]);
      total -= x[k];
    }
  }

  std::vector<double> suffix_{};
};

}  // namespace

void simulate(const SimulationRequest& request, const SimulationArrays& arrays, int n_threads, const Poll& poll) {
  const std::size_t k_count = request.n_categories;
  const std::size_t per_dataset = std::max<std::size_t>(request.max_groups * k_count, 1);
  const std::size_t chunk = std::clamp<std::size_t>(16384 / per_dataset, 1, 256);
  const CountsView type_only{nullptr, arrays.count_type, 0, k_count, 0, 0};
  visit(type_only, [&]<class T>(const TypedCounts<T>&) {
    parallel_for(request.n_datasets, chunk, n_threads, [&](std::size_t begin, std::size_t end) {
      Worker<T> worker{request, arrays, std::vector<double>(k_count), std::vector<double>(k_count), std::vector<std::int64_t>(k_count)};
      for (std::size_t b = begin; b < end; ++b) worker.dataset(b);
    }, poll);
  });
}

}  // namespace hbm_fast
