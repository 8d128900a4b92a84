#include <algorithm>
#include <limits>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "mixture/sampler.hpp"

namespace hbm_fast::bindings {
namespace {

using Integers32 = Contiguous<std::int32_t>;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// (C, D, J, ...) from the values of each draw's components, NaN where a draw has fewer than J.
Doubles padded(const std::vector<MixtureChain>& chains, std::vector<double> MixtureChain::* values, std::size_t n_draws,
               std::size_t most, std::size_t width, bool has_axis) {
  std::vector<std::size_t> shape{chains.size(), n_draws, most};
  if (has_axis) shape.push_back(width);
  Doubles result(shape);
  double* to = result.mutable_data();
  std::fill_n(to, result.size(), missing);
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

py::dict sample(const CountSlots& slots, std::size_t n_empty, const AlphaPrior& alpha, const BetaPrior& beta,
                std::size_t n_components, double weights, double concentration, double shape, double rate,
                std::size_t n_draws, std::size_t n_chains, std::size_t n_warmup, const Words& key, int n_threads,
                const py::object& progress) {
  refuse_if(beta.values.size() != slots.n_categories, "table and model differ in K");
  refuse_if(!(weights > 0.0) || !(concentration > 0.0), "weights and concentration must be positive");
  const MixtureSamplerOptions options{n_components, weights, concentration, shape,       rate,     n_empty,
                                      n_chains,     n_draws, n_warmup,      to_key(key), n_threads};
  const ModelView model{alpha, beta};
  std::vector<MixtureChain> chains;
  without_gil([&] {
    chains = sample_mixture(slots, model, options, [&](double share) {
      poll_signals();
      if (!progress.is_none()) {
        const WithGil gil;
        progress(share);
      }
    });
  });
  std::size_t most = std::max<std::size_t>(n_components, 1);
  for (const MixtureChain& chain : chains) {
    for (const std::int32_t n : chain.n_components) most = std::max(most, static_cast<std::size_t>(n));
  }
  const std::size_t k = slots.n_categories, n_rows = slots.n_groups() + n_empty;
  py::dict result;
  result["log_alpha"] = padded(chains, &MixtureChain::log_alpha, n_draws, most, 1, false);
  result["log_beta"] = padded(chains, &MixtureChain::log_beta, n_draws, most, k, true);
  result["log_weights"] = padded(chains, &MixtureChain::log_weights, n_draws, most, 1, false);
  if (beta.concentration) {
    result["log_concentration"] = padded(chains, &MixtureChain::log_concentration, n_draws, most, 1, false);
  }
  result["labels"] = joined(chains, &MixtureChain::labels, {n_chains, n_draws, n_rows});
  result["n_components_used"] = joined(chains, &MixtureChain::n_used, {n_chains, n_draws});
  result["log_likelihood"] = joined(chains, &MixtureChain::log_likelihood, {n_chains, n_draws});
  if (n_components == 0) {
    result["process_concentration"] = joined(chains, &MixtureChain::process_concentration, {n_chains, n_draws});
  }
  return result;
}

}  // namespace

void register_mixture_sampler(py::module_ m) {
  m.def("sample", &sample, py::arg("slots"), py::arg("n_empty"), py::arg("alpha"), py::arg("beta"),
        py::arg("n_components"), py::arg("weights"), py::arg("concentration"), py::arg("shape"), py::arg("rate"),
        py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"), py::arg("key"), py::arg("n_threads"),
        py::arg("progress"),
        "Draws of labels (C, D, N), the slots' groups first, and of the components' parameters (C, D, J, ...), NaN "
        "where a draw has fewer; n_components 0 is a Dirichlet process.");
}

}  // namespace hbm_fast::bindings
