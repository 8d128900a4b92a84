// What the samplers of mixtures share: the loop over sweeps, the concentration of a Dirichlet process, the
// prior of a split, and what is recorded of labels and weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "math/special.hpp"
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

// log prior probability of two parts of these sizes over that of the whole, with the choice among the unused places of
// a finite mixture.
inline double log_prior_of_split(const double (&sizes)[2], std::size_t n_unused, const MixtureSamplerOptions& options,
                                 double process_concentration) {
  const bool open = options.n_components == 0;
  const double more = open ? 0.0 : options.weights;
  const double value =
      log_abs_gamma(sizes[0] + more) + log_abs_gamma(sizes[1] + more) - log_abs_gamma(sizes[0] + sizes[1] + more);
  if (open) return value + std::log(process_concentration);
  return value + (std::log(static_cast<double>(n_unused)) - log_abs_gamma(more));
}

// The components of a draw: those of a finite mixture in the order of their places, those of a process in the order in
// which the groups use them.
struct DrawnComponents {
  std::vector<std::size_t> places;
  std::vector<double> sizes;        // groups of each
  std::vector<double> log_weights;  // drawn, of a finite mixture
};

// Records the labels, which are places below n_places, and draws the weights; `places` are those of a finite mixture.
inline DrawnComponents record_labels(Stream& stream, const std::vector<std::int32_t>& labels, std::size_t n_places,
                                     const std::vector<std::size_t>& places, double weights, MixtureChain& out) {
  DrawnComponents drawn{places, std::vector<double>(places.size(), 0.0), std::vector<double>(places.size())};
  std::vector<std::int32_t> number(n_places, -1);
  for (std::size_t i = 0; i < places.size(); ++i) number[places[i]] = static_cast<std::int32_t>(i);
  for (const std::int32_t label : labels) {
    const auto place = static_cast<std::size_t>(label);
    if (number[place] < 0) {
      number[place] = static_cast<std::int32_t>(drawn.places.size());
      drawn.places.push_back(place);
      drawn.sizes.push_back(0.0);
    }
    drawn.sizes[static_cast<std::size_t>(number[place])] += 1.0;
    out.labels.push_back(number[place]);
  }
  if (places.empty()) return drawn;
  std::vector<double> shares = drawn.sizes;
  for (double& n : shares) n += weights;
  log_dirichlet(stream, shares.data(), shares.size(), drawn.log_weights.data());
  return drawn;
}

// Records how many components there are and their weights: those of a process by the sizes, with the empty groups.
inline void record_weights(const std::vector<double>& sizes, std::vector<double> log_weights,
                           const MixtureSamplerOptions& options, double process_concentration, MixtureChain& out) {
  if (options.n_components == 0) {
    log_weights.resize(sizes.size());
    const double all = std::accumulate(sizes.begin(), sizes.end(), 0.0) + process_concentration;
    for (std::size_t i = 0; i < sizes.size(); ++i) log_weights[i] = std::log(sizes[i] / all);
  }
  out.log_weights.insert(out.log_weights.end(), log_weights.begin(), log_weights.end());
  out.n_components.push_back(static_cast<std::int32_t>(sizes.size()));
  out.n_used.push_back(static_cast<std::int32_t>(sizes.size()) -
                       static_cast<std::int32_t>(std::count(sizes.begin(), sizes.end(), 0.0)));
  out.process_concentration.push_back(process_concentration);
}

}  // namespace hbm_fast
