// What the samplers of mixtures share: the loop over chains and sweeps, and the concentration of a Dirichlet process.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "core/parallel.hpp"
#include "mixture/sampler.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {

// make(c, poll) is chain c, which has sweep() and record(MixtureChain&).
template <class MakeChain>
std::vector<MixtureChain> run_chains(const MixtureSamplerOptions& options, const MakeChain& make,
                                     const std::function<void(double)>& poll) {
  const double n_sweeps =
      static_cast<double>(options.n_chains) * static_cast<double>(options.n_warmup + options.n_draws);
  std::atomic<std::size_t> done{0};
  const Poll poll_with_share = [&] {
    if (poll) poll(static_cast<double>(done) / n_sweeps);
  };
  TimedPoll timed_poll(poll_with_share);
  std::vector<MixtureChain> chains(options.n_chains);
  parallel_for(
      options.n_chains, 1, options.n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t c = begin; c < end; ++c) {
          auto chain = make(c, timed_poll);
          for (std::size_t i = 0; i < options.n_warmup + options.n_draws; ++i) {
            timed_poll();
            chain.sweep();
            if (i >= options.n_warmup) chain.record(chains[c]);
            ++done;
          }
        }
      },
      [&] { timed_poll(); });
  return chains;
}

inline double gamma_variate(Stream& stream, double shape) { return std::exp(log_gamma_variate(stream, shape)); }

// The concentration given the components that groups use: Escobar & West 1995 (doi:10.1080/01621459.1995.10476550),
// section 6.
inline double drawn_process_concentration(Stream& stream, const MixtureSamplerOptions& options, double present,
                                          std::size_t n_groups, std::size_t n_used) {
  if (!(options.rate > 0.0)) return present;
  if (n_groups == 0) return gamma_variate(stream, options.shape) / options.rate;
  const double n = static_cast<double>(n_groups), used = static_cast<double>(n_used);
  const double of_one[2] = {present + 1.0, n};
  double log_share[2];
  log_dirichlet(stream, of_one, 2, log_share);
  const double rate = options.rate - log_share[0];
  const double odds = (options.shape + used - 1.0) / (n * rate);
  const bool more = stream.uniform() * (1.0 + odds) < odds;
  return gamma_variate(stream, options.shape + used - (more ? 0.0 : 1.0)) / rate;
}

}  // namespace hbm_fast
