#include "bindings.hpp"

PYBIND11_MODULE(_core, m) {
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
