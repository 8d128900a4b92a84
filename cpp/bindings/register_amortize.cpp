#include "bindings.hpp"
#include "hbm_fast/table_likelihood.hpp"

namespace hbm_fast::bindings {

void register_amortize(py::module_& m) {
  m.def(
      "table_log_likelihood",
      [](const py::array_t<float, py::array::c_style>& tables, const Doubles& log_alpha, const Doubles& log_beta, Doubles out,
         int n_threads) {
        if (tables.ndim() != 3 || tables.shape(1) < 2) throw std::invalid_argument("tables must have shape (B, K + 1, J)");
        const auto b = static_cast<std::size_t>(tables.shape(0));
        const auto k = static_cast<std::size_t>(tables.shape(1)) - 1;
        const auto j = static_cast<std::size_t>(tables.shape(2));
        if (log_alpha.ndim() != 2 || static_cast<std::size_t>(log_alpha.shape(0)) != b) throw std::invalid_argument("log_alpha must have shape (B, S)");
        const auto s = static_cast<std::size_t>(log_alpha.shape(1));
        if (static_cast<std::size_t>(log_beta.size()) != b * s * k) throw std::invalid_argument("log_beta must have shape (B, S, K)");
        if (static_cast<std::size_t>(out.size()) != b * s) throw std::invalid_argument("out must have shape (B, S)");
        const float* table = tables.data();
        const double* t = log_alpha.data();
        const double* u = log_beta.data();
        double* o = out.mutable_data();
        const py::gil_scoped_release release;
        table_log_likelihood(table, b, k, j, t, u, s, o, n_threads, poll_signals);
      },
      py::arg("tables").noconvert(), py::arg("log_alpha").noconvert(), py::arg("log_beta").noconvert(),
      py::arg("out").noconvert(), py::arg("n_threads"),
      "Writes the collapsed log-likelihood (no coefficient) of B exceedance tables at S concentrations each.");
}

}  // namespace hbm_fast::bindings
