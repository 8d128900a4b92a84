#include <cmath>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "bindings/mixture_chains.hpp"
#include "mixture/multinomial_mode.hpp"

namespace hbm_fast::bindings {
namespace {

std::vector<double> to_prior(const CountSlots& slots, const Doubles& prior) {
  need_size(prior, slots.n_categories, "prior");
  std::vector<double> result(prior.data(), prior.data() + prior.size());
  for (const double b : result) refuse_if(!(b > 0.0) || !std::isfinite(b), "prior must be positive and finite");
  double all = 0.0;
  for (std::size_t g = 0; g < slots.n_groups(); ++g) all += slots.total_values[slots.total_slot[g]];
  refuse_if(all > 2147483647.0, "counts add up to more than an int32 holds");
  return result;
}

std::size_t need_components(const CountSlots& slots, const Doubles& beta, const Doubles& weights) {
  refuse_if(beta.ndim() != 2 || weights.ndim() != 1 || extent(beta, 0) != size_of(weights) || weights.size() < 1 ||
                extent(beta, 1) != slots.n_categories,
            "beta must have shape (J, K) and weights (J,)");
  return size_of(weights);
}

py::dict sample_multinomial(const CountSlots& slots, std::size_t n_empty, const Doubles& prior,
                            std::size_t n_components, double weights, double concentration, double shape, double rate,
                            std::size_t n_draws, std::size_t n_chains, std::size_t n_warmup, const Words& key,
                            int n_threads, const py::object& progress) {
  refuse_if(!(weights > 0.0) || !(concentration > 0.0), "weights and concentration must be positive");
  const std::vector<double> of_categories = to_prior(slots, prior);
  const MixtureSamplerOptions options{n_components, weights, concentration, shape,       rate,     n_empty,
                                      n_chains,     n_draws, n_warmup,      to_key(key), n_threads};
  const std::vector<MixtureChain> chains = chains_without_gil(progress, [&](const auto& poll) {
    return sample_multinomial_mixture(MultinomialGroups(slots, of_categories), options, poll);
  });
  return of_labels(chains, options, slots.n_groups() + n_empty, most_components(chains, n_components));
}

Doubles log_joint_of_multinomials(const CountSlots& slots, const Doubles& beta, const Doubles& weights) {
  const std::size_t n_components = need_components(slots, beta, weights);
  const std::vector<double> prior(slots.n_categories, 1.0);
  Doubles result(std::vector<std::size_t>{slots.n_groups(), n_components});
  double* const to = result.mutable_data();
  without_gil([&] {
    const Poll poll = poll_signals;
    TimedPoll timed_poll(poll);
    multinomial_log_joint(MultinomialGroups(slots, prior), n_components, beta.data(), weights.data(), to, timed_poll);
  });
  return result;
}

py::tuple maximize_multinomials(const CountSlots& slots, Doubles beta, Doubles weights, const Doubles& prior, double d,
                                double tolerance, std::size_t max_iterations) {
  const std::size_t n_components = need_components(slots, beta, weights);
  refuse_if(!(d >= 1.0), "the concentration of the weights' prior must be at least 1");
  const std::vector<double> of_categories = to_prior(slots, prior);
  double *const to_beta = beta.mutable_data(), *const to_weights = weights.mutable_data();
  MultinomialMode mode;
  without_gil([&] {
    const Poll poll = poll_signals;
    TimedPoll timed_poll(poll);
    mode = maximize_multinomial(MultinomialGroups(slots, of_categories), d, n_components, to_beta, to_weights,
                                tolerance, max_iterations, timed_poll);
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
  m.def("multinomial_log_joint", &log_joint_of_multinomials, py::arg("slots"), py::arg("beta"), py::arg("weights"),
        "Log weight plus log probability, without the coefficients, (N, J) of proportions (J, K).");
  m.def("maximize_multinomial", &maximize_multinomials, py::arg("slots"), py::arg("beta"), py::arg("weights"),
        py::arg("prior"), py::arg("d"), py::arg("tolerance"), py::arg("max_iterations"),
        "Moves beta (J, K) and weights (J) to a mode in place; returns the value, without the coefficients, the "
        "iterations and whether it converged. Where Ctrl-C raises, they hold the last iteration.");
}

}  // namespace hbm_fast::bindings
