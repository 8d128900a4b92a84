// Draws of the samplers of mixtures -> arrays.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "mixture/sampler.hpp"

namespace hbm_fast::bindings {

// (C, D, J, ...) from the values of each draw's components, NaN where a draw has fewer than J.
inline Doubles padded(const std::vector<MixtureChain>& chains, std::vector<double> MixtureChain::* values,
                      std::size_t n_draws, std::size_t most, std::size_t width, bool has_axis) {
  std::vector<std::size_t> shape{chains.size(), n_draws, most};
  if (has_axis) shape.push_back(width);
  Doubles result(shape);
  double* to = result.mutable_data();
  std::fill_n(to, result.size(), std::numeric_limits<double>::quiet_NaN());
  for (const MixtureChain& chain : chains) {
    const double* from = (chain.*values).data();
    for (std::size_t d = 0; d < n_draws; ++d, to += most * width) {
      const std::size_t n = static_cast<std::size_t>(chain.n_components[d]) * width;
      std::copy_n(from, n, to);
      from += n;
    }
  }
  return result;
}

template <class T>
Contiguous<T> joined(const std::vector<MixtureChain>& chains, std::vector<T> MixtureChain::* values,
                     std::vector<std::size_t> shape) {
  Contiguous<T> result(std::move(shape));
  T* to = result.mutable_data();
  for (const MixtureChain& chain : chains) to = std::copy((chain.*values).begin(), (chain.*values).end(), to);
  return result;
}

// J, or the largest number of components of a draw.
inline std::size_t most_components(const std::vector<MixtureChain>& chains, std::size_t n_components) {
  std::size_t most = std::max<std::size_t>(n_components, 1);
  for (const MixtureChain& chain : chains) {
    for (const std::int32_t n : chain.n_components) most = std::max(most, static_cast<std::size_t>(n));
  }
  return most;
}

// What every mixture has, whatever its components.
inline py::dict of_labels(const std::vector<MixtureChain>& chains, const MixtureSamplerOptions& options,
                          std::size_t n_rows, std::size_t most) {
  const std::size_t n_chains = options.n_chains, n_draws = options.n_draws;
  py::dict result;
  result["log_weights"] = padded(chains, &MixtureChain::log_weights, n_draws, most, 1, false);
  result["labels"] = joined(chains, &MixtureChain::labels, {n_chains, n_draws, n_rows});
  result["n_components_used"] = joined(chains, &MixtureChain::n_used, {n_chains, n_draws});
  result["log_likelihood"] = joined(chains, &MixtureChain::log_likelihood, {n_chains, n_draws});
  if (options.n_components == 0) {
    result["process_concentration"] = joined(chains, &MixtureChain::process_concentration, {n_chains, n_draws});
  }
  return result;
}

}  // namespace hbm_fast::bindings
