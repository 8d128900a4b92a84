#include <algorithm>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "bindings/mixture_chains.hpp"
#include "mixture/multinomial_mode.hpp"

namespace hbm_fast::bindings {
namespace {

void need_prior(const CountSlots& slots, const BetaPrior& beta) {
  refuse_if(beta.fixed || beta.concentration || beta.values.size() != slots.n_categories,
            "the prior of beta must be a Dirichlet of known concentration over the categories");
  double all = 0.0;
  for (std::size_t g = 0; g < slots.n_groups(); ++g) all += slots.total_values[slots.total_slot[g]];
  refuse_if(all > 2147483647.0, "counts add up to more than an int32 holds");
}

std::size_t need_components(const CountSlots& slots, const Doubles& beta, const Doubles& weights) {
  refuse_if(beta.ndim() != 2 || weights.ndim() != 1 || extent(beta, 0) != size_of(weights) || weights.size() < 1 ||
                extent(beta, 1) != slots.n_categories,
            "beta must have shape (J, K) and weights (J,)");
  return size_of(weights);
}

py::dict sample_multinomial(const CountSlots& slots, std::size_t n_empty, const BetaPrior& prior,
                            std::size_t n_components, double weights, double concentration, double shape, double rate,
                            std::size_t n_draws, std::size_t n_chains, std::size_t n_warmup, const Words& key,
                            int n_threads, const py::object& progress) {
  refuse_if(!(weights > 0.0) || !(concentration > 0.0), "weights and concentration must be positive");
  need_prior(slots, prior);
  const ChainOptions of_chains{n_chains, n_draws, n_warmup, to_key(key), n_threads};
  const MixtureSamplerOptions options{of_chains, n_components, weights, concentration, shape, rate, n_empty};
  std::vector<MixtureChain> chains;
  without_gil([&] {
    chains = sample_multinomial_mixture(MultinomialGroups(slots, prior.values), options, poll_with_progress(progress));
  });
  return of_labels(chains, options, slots.n_groups() + n_empty, most_components(chains, n_components));
}

Doubles log_joint_of_multinomials(const CountSlots& slots, const Doubles& beta, const Doubles& weights) {
  const std::size_t n_components = need_components(slots, beta, weights);
  const std::vector<double> prior(slots.n_categories, 1.0);
  Doubles result(std::vector<std::size_t>{slots.n_groups(), n_components});
  double* const to = result.mutable_data();
  without_gil_polled([&](TimedPoll& poll) {
    multinomial_log_joint(MultinomialGroups(slots, prior), n_components, beta.data(), weights.data(), to, poll);
  });
  return result;
}

// Log probability (S, J, R) of new groups given each component's groups; labels (S, N) of the slots' groups.
Doubles log_predictive_of_labels(const CountSlots& slots, const Contiguous<std::int32_t>& labels,
                                 std::size_t n_components, const BetaPrior& prior, const CountSlots& rows,
                                 int n_threads) {
  need_prior(slots, prior);
  refuse_if(labels.ndim() != 2 || extent(labels, 1) != slots.n_groups() || rows.n_categories != slots.n_categories,
            "labels must have shape (S, N), and the new groups the same categories");
  const std::int32_t* const at = labels.data();
  refuse_if(std::any_of(at, at + labels.size(),
                        [&](std::int32_t z) { return z < 0 || static_cast<std::size_t>(z) >= n_components; }),
            "a label is not below n_components");
  const std::size_t n_draws = extent(labels, 0), size = n_components * rows.n_groups();
  Doubles result(std::vector<std::size_t>{n_draws, n_components, rows.n_groups()});
  double* const to = result.mutable_data();
  without_gil_polled([&](TimedPoll& poll) {
    const MultinomialGroups groups(slots, prior.values), new_groups(rows, prior.values);
    parallel_for(
        n_draws, 1, n_threads,
        [&](std::size_t s, std::size_t) {
          log_predictive_given_labels(groups, at + s * groups.n_groups(), n_components, new_groups, to + s * size,
                                      poll);
        },
        [&] { poll(); });
  });
  return result;
}

py::tuple maximize_multinomials(const CountSlots& slots, Doubles beta, Doubles weights, const BetaPrior& prior,
                                double d, double tolerance, std::size_t max_iterations) {
  const std::size_t n_components = need_components(slots, beta, weights);
  refuse_if(!(d >= 1.0), "the concentration of the weights' prior must be at least 1");
  need_prior(slots, prior);
  double *const to_beta = beta.mutable_data(), *const to_weights = weights.mutable_data();
  MultinomialMode mode;
  without_gil_polled([&](TimedPoll& poll) {
    mode = maximize_multinomial(MultinomialGroups(slots, prior.values), d, n_components, to_beta, to_weights, tolerance,
                                max_iterations, poll);
  });
  return py::make_tuple(mode.value, mode.n_iterations, mode.converged);
}

}  // namespace

void register_mixture_multinomial(py::module_ m) {
  m.def("sample_multinomial", &sample_multinomial, py::arg("slots"), py::arg("n_empty"), py::arg("prior"),
        py::arg("n_components"), py::arg("weights"), py::arg("concentration"), py::arg("shape"), py::arg("rate"),
        py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"), py::arg("key"), py::arg("n_threads"),
        py::arg("progress"),
        "Draws of labels (C, D, N) of multinomial components, the slots' groups first, their proportions integrated "
        "out; n_components 0 is a Dirichlet process.");
  m.def("multinomial_log_predictive", &log_predictive_of_labels, py::arg("slots"), py::arg("labels"),
        py::arg("n_components"), py::arg("prior"), py::arg("rows"), py::arg("n_threads"),
        "Log probability, without the coefficients, (S, J, R) of new groups given each component's groups; labels "
        "(S, N).");
  m.def("multinomial_log_joint", &log_joint_of_multinomials, py::arg("slots"), py::arg("beta"), py::arg("weights"),
        "Log weight plus log probability, without the coefficients, (N, J) of proportions (J, K).");
  m.def("maximize_multinomial", &maximize_multinomials, py::arg("slots"), py::arg("beta"), py::arg("weights"),
        py::arg("prior"), py::arg("d"), py::arg("tolerance"), py::arg("max_iterations"),
        "Moves beta (J, K) and weights (J) to a mode in place; returns the value, without the coefficients, the "
        "iterations and whether it converged. Where Ctrl-C raises, they hold the last iteration.");
}

}  // namespace hbm_fast::bindings
