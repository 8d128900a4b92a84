#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/datasets.hpp"
#include "mcmc/crp_tables.hpp"
#include "mcmc/profile.hpp"
#include "mcmc/sample.hpp"

namespace hbm_fast::bindings {
namespace {

SamplerKind sampler_kind(const std::string& method) {
  if (method == "hmc") return SamplerKind::hmc;
  if (method == "gibbs") return SamplerKind::gibbs;
  if (method == "mh") return SamplerKind::metropolis;
  throw std::invalid_argument("unknown sampler: " + method);
}

py::dict sample_posterior(const py::list& given, const AlphaPrior& alpha, const BetaPrior& beta,
                          const std::vector<std::string>& methods, std::size_t n_draws, std::size_t n_chains,
                          std::size_t n_warmup, const Words& key, int n_threads, const py::object& progress,
                          const std::optional<std::pair<Doubles, Doubles>>& start) {
  const std::size_t n_categories = beta.values.size();
  refuse_if(n_categories == 0, "there must be at least one category");
  Datasets datasets(given, n_categories);
  refuse_if(methods.size() != given.size(), "methods must name a sampler for each dataset");
  SamplerOptions options{{n_chains, n_draws, n_warmup, to_key(key), n_threads}, {}};
  for (const std::string& method : methods) options.kinds.push_back(sampler_kind(method));
  if (start) {
    const auto n = static_cast<py::ssize_t>(given.size() * n_chains);
    refuse_if(start->first.size() != n || start->second.size() != n * static_cast<py::ssize_t>(n_categories),
              "start must be (B, C) and (B, C, K)");
    options.start_log_alpha = start->first.data();
    options.start_log_beta = start->second.data();
  }
  const auto shape = std::vector<std::size_t>{given.size(), n_chains, n_draws};
  py::dict result;
  const SampleArrays out{
      .log_alpha = add_array<double>(result, "log_alpha", shape),
      .log_beta = add_array<double>(result, "log_beta", {given.size(), n_chains, n_draws, n_categories}),
      .log_density = add_array<double>(result, "log_density", shape),
      .acceptance = add_array<double>(result, "acceptance_rate", shape),
      .step_size = add_array<double>(result, "step_size", shape),
      .n_evaluations = add_array<std::int32_t>(result, "n_steps", shape),
      .diverging = add_array<bool>(result, "diverging", shape),
      .n_modes = add_array<std::int32_t>(result, "n_modes", {given.size()}),
      .log_concentration = beta.concentration ? add_array<double>(result, "log_concentration", shape) : nullptr};
  const ModelView model{alpha, beta};
  without_gil([&] { sample(datasets.build(n_threads), model, options, out, poll_with_progress(progress)); });
  return result;
}

// Where the posterior of every dataset is highest, log alpha (B,) and log beta (B, K), and the standard deviation of
// log alpha that its curvature there implies (B,), 0 for a fixed alpha.
py::tuple modes(const py::list& given, const AlphaPrior& alpha, const BetaPrior& beta, int n_threads) {
  refuse_if(beta.concentration.has_value(), "the mode is of a model with a known concentration of beta");
  const std::size_t n_categories = beta.values.size();
  refuse_if(n_categories == 0, "there must be at least one category");
  Datasets datasets(given, n_categories);
  const auto n_datasets = static_cast<py::ssize_t>(given.size());
  Doubles log_alpha(n_datasets), spread(n_datasets);
  Doubles log_beta(std::vector<py::ssize_t>{n_datasets, static_cast<py::ssize_t>(n_categories)});
  double *to_alpha = log_alpha.mutable_data(), *to_beta = log_beta.mutable_data(), *to_spread = spread.mutable_data();
  const ModelView model{alpha, beta};
  without_gil_polled([&](TimedPoll& poll) {
    const auto& statistics = datasets.build(n_threads);
    parallel_for(
        statistics.size(), 1, n_threads,
        [&](std::size_t b, std::size_t) {
          const Mode mode = highest_mode(*statistics[b], model, poll);
          to_alpha[b] = mode.log_alpha;
          std::copy(mode.log_beta.begin(), mode.log_beta.end(), to_beta + b * n_categories);
          to_spread[b] = mode.spread;
        },
        [&] { poll(); });
  });
  return py::make_tuple(log_alpha, log_beta, spread);
}

}  // namespace

void register_mcmc(py::module_ m) {
  m.def("modes", &modes, py::arg("datasets"), py::arg("alpha"), py::arg("beta"), py::arg("n_threads"),
        "The mode of each posterior, log alpha (B,) and log beta (B, K), and the spread of log alpha by the curvature "
        "(B,).");
  m.def(
      "expected_tables",
      [](const SharedStatistics& statistics, const Doubles& log_alpha, const Doubles& log_beta) {
        const auto snapshot = statistics.snapshot();
        const std::size_t k = snapshot->n_categories();
        const std::size_t n = size_of(log_alpha);
        refuse_if(size_of(log_beta) != n * k, "log_alpha must be (S,) and log_beta (S, K)");
        double sum = 0.0;
        without_gil([&] {
          for (std::size_t s = 0; s < n; ++s) {
            sum += expected_tables(*snapshot, log_alpha.data()[s], log_beta.data() + s * k);
          }
        });
        return sum / static_cast<double>(n);
      },
      py::arg("statistics"), py::arg("log_alpha"), py::arg("log_beta"),
      "The expected number of CRP tables, a mean over S draws.");
  m.def(
      "whole_weights", [](const SharedStatistics& statistics) { return whole_weights(*statistics.snapshot()); },
      py::arg("statistics"), "Whether every group counts a whole number of times.");
  m.def("sample", &sample_posterior, py::arg("datasets"), py::arg("alpha"), py::arg("beta"), py::arg("methods"),
        py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"), py::arg("key"), py::arg("n_threads"),
        py::arg("progress"), py::arg("start") = py::none(),
        "Draws (B, C, D) of every dataset by its method, with what each step reports, and the modes of log alpha (B,);"
        " start is log alpha (B, C), log beta (B, C, K).");
}

}  // namespace hbm_fast::bindings
