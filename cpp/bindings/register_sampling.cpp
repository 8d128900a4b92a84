#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "hbm_fast/laplace.hpp"
#include "hbm_fast/sample.hpp"
#include "hbm_fast/table_counts.hpp"

namespace hbm_fast::bindings {
namespace {

using Integers32 = py::array_t<std::int32_t, py::array::c_style>;
using Bools = py::array_t<bool, py::array::c_style>;

SamplerKind sampler_kind(const std::string& method) {
  if (method == "hmc") return SamplerKind::hmc;
  if (method == "gibbs") return SamplerKind::gibbs;
  if (method == "mh") return SamplerKind::metropolis;
  throw std::invalid_argument("unknown sampler: " + method);
}

// Statistics as they are given, or built here from counts (N, K), many datasets at once.
class Datasets {
 public:
  Datasets(const py::list& given, std::size_t n_categories) : built_(given.size()), all_(given.size()) {
    std::vector<CountsView> counts(given.size());
    for (std::size_t b = 0; b < given.size(); ++b) {
      if (py::isinstance<py::array>(given[b])) {
        counts[b] = to_counts(py::reinterpret_borrow<py::array>(given[b]));
      } else {
        all_[b] = given[b].cast<const SufficientStatistics*>();
        if (all_[b]->n_categories() != n_categories) throw std::invalid_argument("statistics and model differ in K");
      }
    }
    counts_ = std::move(counts);
    n_categories_ = n_categories;
  }

  // Without the GIL; the arrays must stay alive.
  const std::vector<const SufficientStatistics*>& build(int n_threads) {
    parallel_for(all_.size(), 16, n_threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t b = begin; b < end; ++b) {
        if (all_[b] != nullptr) continue;
        built_[b] = std::make_unique<SufficientStatistics>(n_categories_);
        built_[b]->add(counts_[b]);
        all_[b] = built_[b].get();
      }
    }, poll_signals);
    return all_;
  }

 private:
  std::size_t n_categories_ = 0;
  std::vector<CountsView> counts_;
  std::vector<std::unique_ptr<SufficientStatistics>> built_;
  std::vector<const SufficientStatistics*> all_;
};

py::dict sample_posterior(const py::list& given, const AlphaPrior& alpha, const BetaPrior& beta, const std::string& method, std::size_t n_draws, std::size_t n_chains,
                          std::size_t n_warmup, const Words& key, int n_threads,
                          const py::object& progress, const std::optional<std::pair<Doubles, Doubles>>& start) {
  const std::size_t n_categories = beta.values.size();
  Datasets datasets(given, n_categories);
  SamplerOptions options{sampler_kind(method), n_chains, n_draws, n_warmup, to_key(key), n_threads};
  if (start) {
    const auto n = static_cast<py::ssize_t>(given.size() * n_chains);
    if (start->first.size() != n || start->second.size() != n * static_cast<py::ssize_t>(n_categories)) {
      throw std::invalid_argument("start must be (B, C) and (B, C, K)");
    }
    options.start_log_alpha = start->first.data();
    options.start_log_beta = start->second.data();
  }
  const auto shape = std::vector<std::size_t>{given.size(), n_chains, n_draws};
  const Doubles log_alpha(shape), log_density(shape), acceptance(shape), step_size(shape);
  const Doubles log_beta(std::vector<std::size_t>{given.size(), n_chains, n_draws, n_categories});
  const Integers32 n_evaluations(shape);
  const Bools diverging(shape);
  const auto data = [](auto array) { return array.mutable_data(); };
  const SampleArrays out{data(log_alpha), data(log_beta),      data(log_density), data(acceptance),
                         data(step_size), data(n_evaluations), data(diverging)};
  const ModelView model{alpha, beta};
  {
    const py::gil_scoped_release release;
    sample(datasets.build(n_threads), model, options, out, [&](double share) {
      poll_signals();
      if (!progress.is_none()) {
        const py::gil_scoped_acquire gil;
        progress(share);
      }
    });
  }
  py::dict result;
  result["log_alpha"] = log_alpha;
  result["log_beta"] = log_beta;
  result["log_density"] = log_density;
  result["acceptance_rate"] = acceptance;
  result["step_size"] = step_size;
  result["n_steps"] = n_evaluations;
  result["diverging"] = diverging;
  return result;
}

// Where the posterior of every dataset is highest, log alpha (B,) and log beta (B, K), and the standard deviation of
// log alpha that its curvature there implies (B,), 0 for a fixed alpha.
py::tuple modes(const py::list& given, const AlphaPrior& alpha, const BetaPrior& beta, int n_threads) {
  const std::size_t n_categories = beta.values.size();
  Datasets datasets(given, n_categories);
  const auto n_datasets = static_cast<py::ssize_t>(given.size());
  Doubles log_alpha(n_datasets), spread(n_datasets);
  Doubles log_beta(std::vector<py::ssize_t>{n_datasets, static_cast<py::ssize_t>(n_categories)});
  double *to_alpha = log_alpha.mutable_data(), *to_beta = log_beta.mutable_data(), *to_spread = spread.mutable_data();
  const ModelView model{alpha, beta};
  {
    const py::gil_scoped_release release;
    const auto& statistics = datasets.build(n_threads);
    parallel_for(statistics.size(), 1, n_threads, [&](std::size_t begin, std::size_t end) {
      std::vector<double> slope(beta.fixed ? 1 : n_categories), z(slope.size());
      for (std::size_t b = begin; b < end; ++b) {
        PosteriorDensity density(*statistics[b], model);
        const Whitening at_mode = laplace(density);
        double* own = to_beta + b * n_categories;
        to_alpha[b] = density.parameters(at_mode.centre.data(), own);
        for (std::size_t k = 0; k < slope.size(); ++k) slope[k] = beta.fixed ? 1.0 : std::exp(own[k]);  // of log alpha
        at_mode.pull_back(slope.data(), z.data());
        double variance = 0.0;
        for (const double s : z) variance += s * s;
        to_spread[b] = model.alpha.kind == AlphaKind::fixed ? 0.0 : std::sqrt(variance);
      }
    }, poll_signals);
  }
  return py::make_tuple(log_alpha, log_beta, spread);
}

}  // namespace

void register_sampling(py::module_& m) {
  m.def("modes", &modes, py::arg("datasets"), py::arg("alpha"), py::arg("beta"), py::arg("n_threads"),
        "The mode of each posterior, log alpha (B,) and log beta (B, K), and the spread of log alpha by the curvature (B,).");
  m.def("whole_weights", &whole_weights, py::arg("statistics"), "Whether every group counts a whole number of times.");
  m.def("sample", &sample_posterior, py::arg("datasets"), py::arg("alpha"), py::arg("beta"), py::arg("method"),
        py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"), py::arg("key").noconvert(), py::arg("n_threads"),
        py::arg("progress"), py::arg("start") = py::none(),
        "Draws (B, C, D) of every dataset, with what each step reports; start is log alpha (B, C), log beta (B, C, K).");
}

}  // namespace hbm_fast::bindings
