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
  const auto with_categories = [&](std::vector<std::size_t> lead) {
    lead.push_back(n_categories);
    return Doubles(lead);
  };
  const Doubles mu(shape), log_tau(shape), log_kappa(shape), acceptance(shape), log_alpha(of_datasets);
  const Doubles log_m = with_categories(shape), log_beta = with_categories(of_datasets);
  const Contiguous<bool> diverging(shape);
  const auto data = [](auto array) { return array.mutable_data(); };
  const PopulationArrays out{data(mu),        data(log_tau),  data(log_kappa),  data(log_m),
                             data(log_alpha), data(log_beta), data(acceptance), data(diverging)};
  const PopulationPriors priors{mean, sd, tau, {kappa, m}};
  const PopulationOptions options{n_chains, n_draws, n_warmup, to_key(key), n_threads};
  without_gil([&] {
    sample_population(datasets.build(n_threads), priors, options, out, [&](double share) {
      poll_signals();
      if (!progress.is_none()) {
        const WithGil gil;
        progress(share);
      }
    });
  });
  py::dict result;
  result["mu"] = mu;
  result["log_tau"] = log_tau;
  result["log_kappa"] = log_kappa;
  result["log_m"] = log_m;
  result["log_alpha"] = log_alpha;
  result["log_beta"] = log_beta;
  result["acceptance_rate"] = acceptance;
  result["diverging"] = diverging;
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
