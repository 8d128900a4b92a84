// What every sampler is to the driver: a chain with its own stream that warms up, then steps; and the loop over chains.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "core/parallel.hpp"
#include "core/stream.hpp"

namespace hbm_fast {

struct ChainOptions {
  std::size_t n_chains = 4;
  std::size_t n_draws = 1000;
  std::size_t n_warmup = 200;
  Key key{};
  int n_threads = 1;
};

// What one step reports beside the parameters.
struct StepStatistics {
  double log_density = 0.0;  // of the posterior of (log alpha, log-ratios of beta), up to a constant; NaN: not computed
  double acceptance = 1.0;   // mean acceptance probability of the step's proposals
  double step_size = 0.0;    // after warm-up a constant
  std::int32_t n_evaluations = 0;  // of the density (HMC: leapfrog steps, each with a gradient)
  bool diverging = false;
};

class Chain {
 public:
  virtual ~Chain() = default;
  // Called for i = 0 .. n-1; adaptation ends with i = n-1 and never comes back.
  virtual void warm_up(std::size_t i, std::size_t n) = 0;
  virtual StepStatistics step() = 0;
  // log alpha, and the K values of log beta, of the current state.
  virtual double parameters(double* log_beta) const = 0;
  // log c, where beta ~ Dirichlet(c, ..., c) with an unknown c.
  virtual double log_concentration() const { return std::numeric_limits<double>::quiet_NaN(); }
};

// start(c, timed_poll) is chain c of n_chains: a function that is called with 0, 1, ..., n_iterations - 1. `poll`, if
// given, is called with the share of the iterations done.
template <class Start>
void run_chains(std::size_t n_chains, std::size_t n_iterations, int n_threads, const Start& start,
                const std::function<void(double)>& poll) {
  const double n_all = static_cast<double>(n_chains) * static_cast<double>(n_iterations);
  std::atomic<std::size_t> done{0};
  const Poll poll_with_share = [&] {
    if (poll) poll(static_cast<double>(done) / n_all);
  };
  TimedPoll timed_poll(poll_with_share);
  parallel_for(
      n_chains, 1, n_threads,
      [&](std::size_t c, std::size_t) {
        auto iterate = start(c, timed_poll);
        // a look at the clock after 32 iterations, or after fewer where they take long
        std::size_t block = 1, since = 0;
        auto looked = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < n_iterations; ++i) {
          iterate(i);
          if (++since < block && i + 1 < n_iterations) continue;
          const auto now = std::chrono::steady_clock::now();
          block = now - looked < std::chrono::milliseconds(1) ? std::min<std::size_t>(2 * block, 32)
                                                              : std::max<std::size_t>(block / 2, 1);
          looked = now;
          done += std::exchange(since, 0);
          timed_poll();
        }
      },
      [&] { timed_poll(); });
}

}  // namespace hbm_fast
