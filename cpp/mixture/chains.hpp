// What the samplers of mixtures share: the loop over sweeps, and the concentration of a Dirichlet process.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "mixture/sampler.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {

// make(c, poll) is chain c, which has sweep() and record(MixtureChain&).
template <class MakeChain>
std::vector<MixtureChain> record_chains(const MixtureSamplerOptions& options, const MakeChain& make,
                                        const std::function<void(double)>& poll) {
  std::vector<MixtureChain> chains(options.n_chains);
  const auto start = [&](std::size_t c, TimedPoll& timed_poll) {
    return [&, c, chain = make(c, timed_poll)](std::size_t i) mutable {
      chain.sweep();
      if (i >= options.n_warmup) chain.record(chains[c]);
    };
  };
  run_chains(options.n_chains, options.n_warmup + options.n_draws, options.n_threads, start, poll);
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
