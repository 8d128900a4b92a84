#include "mcmc/population.hpp"

#include "bindings/datasets.hpp"

namespace hbm_fast::bindings {
namespace {

py::dict sample_posterior(const py::list& given, double mean, double sd, const AlphaPrior& tau, const AlphaPrior& kappa,
                          const BetaPrior& m, std::size_t n_draws, std::size_t n_chains, std::size_t n_warmup,
                          const Words& key, int n_threads, const py::object& progress) {
  refuse_if(m.fixed || m.concentration.has_value() || m.values.empty(), "m must have a Dirichlet of K known values");
  refuse_if(given.empty(), "there must be a dataset");
  const std::size_t n_categories = m.values.size();
  Datasets datasets(given, n_categories);
  const std::vector<std::size_t> shape{n_chains, n_draws};
  const std::vector<std::size_t> of_datasets{given.size(), n_chains, n_draws};
  py::dict result;
  const PopulationArrays out{
      .mu = add_array<double>(result, "mu", shape),
      .log_tau = add_array<double>(result, "log_tau", shape),
      .log_kappa = add_array<double>(result, "log_kappa", shape),
      .log_m = add_array<double>(result, "log_m", {n_chains, n_draws, n_categories}),
      .log_alpha = add_array<double>(result, "log_alpha", of_datasets),
      .log_beta = add_array<double>(result, "log_beta", {given.size(), n_chains, n_draws, n_categories}),
      .acceptance = add_array<double>(result, "acceptance_rate", shape),
      .diverging = add_array<bool>(result, "diverging", shape)};
  const PopulationPriors priors{mean, sd, tau, {kappa, m}};
  const ChainOptions options{n_chains, n_draws, n_warmup, to_key(key), n_threads};
  without_gil(
      [&] { sample_population(datasets.build(n_threads), priors, options, out, poll_with_progress(progress)); });
  return result;
}

}  // namespace

void register_population(py::module_ m) {
  m.def("sample", &sample_posterior, py::arg("datasets"), py::arg("mean"), py::arg("sd"), py::arg("tau"),
        py::arg("kappa"), py::arg("m"), py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"), py::arg("key"),
        py::arg("n_threads"), py::arg("progress"),
        "Draws of mu, log tau, log kappa (C, D), log m (C, D, K), log alpha (B, C, D) and log beta (B, C, D, K).");
}

}  // namespace hbm_fast::bindings
