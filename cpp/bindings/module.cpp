#include "bindings/array_arguments.hpp"

PYBIND11_MODULE(_in_main_interpreter, m) {
  using namespace hbm_fast::bindings;
  m.doc() = "The compiled kernels of hbm_fast; its public face is the package.";
  register_sufficient_statistics(m);  // first: others name its class in their signatures
  register_amortize(m);
  register_config(m);
  register_dirichlet_multinomial(m);
  register_predictive(m);
  register_prior(m);
  register_simulate(m);
  register_variates(m);
  register_sampling(m);
}

// pybind11's own entry takes the GIL by a call that never returns in a subinterpreter.
PYBIND11_PLUGIN_IMPL(_core) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError, "hbm_fast cannot be imported in a subinterpreter: use a process of its own");
    return nullptr;
  }
  return PyInit__in_main_interpreter();
}
