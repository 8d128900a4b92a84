#include <vector>

#include "bindings/array_arguments.hpp"
#include "bindings/mixture_chains.hpp"

namespace hbm_fast::bindings {
namespace {

py::dict sample(const CountSlots& slots, std::size_t n_empty, const AlphaPrior& alpha, const BetaPrior& beta,
                std::size_t n_components, double weights, double concentration, double shape, double rate,
                std::size_t n_draws, std::size_t n_chains, std::size_t n_warmup, const Words& key, int n_threads,
                const py::object& progress) {
  refuse_if(beta.values.size() != slots.n_categories, "table and model differ in K");
  refuse_if(!(weights > 0.0) || !(concentration > 0.0), "weights and concentration must be positive");
  const ChainOptions of_chains{n_chains, n_draws, n_warmup, to_key(key), n_threads};
  const MixtureSamplerOptions options{of_chains, n_components, weights, concentration, shape, rate, n_empty};
  const ModelView model{alpha, beta};
  std::vector<MixtureChain> chains;
  without_gil([&] { chains = sample_mixture(slots, model, options, poll_with_progress(progress)); });
  const std::size_t k = slots.n_categories, most = most_components(chains, n_components);
  py::dict result = of_labels(chains, options, slots.n_groups() + n_empty, most);
  result["log_alpha"] = padded(chains, &MixtureChain::log_alpha, n_draws, most, 1, false);
  result["log_beta"] = padded(chains, &MixtureChain::log_beta, n_draws, most, k, true);
  if (beta.concentration) {
    result["log_concentration"] = padded(chains, &MixtureChain::log_concentration, n_draws, most, 1, false);
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
