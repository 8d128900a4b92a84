#include "bindings/array_arguments.hpp"

PYBIND11_MODULE(_in_main_interpreter, m) {
  using namespace hbm_fast::bindings;
  m.doc() = "The compiled kernels of hbm_fast, one submodule a concept; the package is their interface.";
  register_config(m.def_submodule("config", "The build and the instruction-set level."));
  register_priors(m.def_submodule("priors", "Priors of alpha and beta."));  // before those whose signatures name them
  register_likelihood(m.def_submodule("likelihood", "The Dirichlet-multinomial log pmf and its gradient."));
  register_statistics(m.def_submodule("statistics", "Sufficient statistics, exceedances and their likelihood."));
  register_simulation(m.def_submodule("simulation", "Datasets from the model, Dirichlet and multinomial variates."));
  register_mcmc(m.def_submodule("mcmc", "Markov chains of the posterior."));
  py::module_ mixture = m.def_submodule("mixture", "Mixtures of Dirichlet-multinomials: modes and Markov chains.");
  register_mixture(mixture);
  register_mixture_sampler(mixture);
  register_mixture_multinomial(mixture);
  register_population(m.def_submodule("population", "Markov chains of a population of datasets."));
  register_prediction(m.def_submodule("prediction", "Groups under draws of the posterior."));
  register_networks(m.def_submodule("networks", "Mixtures of Gaussians and tails of the normal distribution."));
  register_regression(
      m.def_submodule("regression", "Dirichlet-multinomial regression: derivatives and Newton's method."));
}

// pybind11's own entry takes the GIL by a call that never returns in a subinterpreter.
PYBIND11_PLUGIN_IMPL(_core) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError, "hbm_fast cannot be imported in a subinterpreter: use a process of its own");
    return nullptr;
  }
  return PyInit__in_main_interpreter();
}
